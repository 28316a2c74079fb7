"""Checks of the requirements of ECS Exec (Amazon ECS Developer Guide, "Using ECS Exec").

The same checks run on the templates, without AWS, and on the running tasks. A session needs all requirements. For each
missing one AWS reports the same error: "target not connected".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from hosting.deployer.errors import DeployerError
from hosting.deployer.operate import plugin, tasks, tunnel
from hosting.deployer.operate.checklist import (
    Check,
    create_check,
    ok,
    problem,
    run_check,
    unknown,
)
from hosting.deployer.operate.platform import Job, Platform, Service
from hosting.model.stack_order import ROOT
from hosting.model.templates import Template

TEMPLATES, LIVE = "templates", "live"

_CHANNELS = (
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
)
_CORE = "AmazonSSMManagedInstanceCore"
# Folders to which the agent writes. With a read-only root file system they must be volumes.
_AGENT_FOLDERS = ("/managed-agents", "/var/lib/amazon/ssm", "/var/log/amazon/ssm")
_OLDEST_PLATFORM = (1, 4, 0)
_KEYS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}


# --- templates


def check_templates(templates: Mapping[str, Template], container: str, workload: str | None = None) -> Iterator[Check]:
    """Yield the checks that need only the templates, for the first workload or for the one of this name."""
    root = templates[ROOT]
    names = {name.lower(): name for name in root.services}
    name = names.get((workload or "").lower(), root.services[0])
    own, access = templates[root.children[f"{name}ServiceStack"]], templates["access.json"]
    definition = _api_shape(_resource(own, "AWS::ECS::TaskDefinition"))
    if root.kind_of(name) == "job":
        what, launch = "the schedule", _resource(own, "AWS::Scheduler::Schedule")["Target"]["EcsParameters"]
    else:
        what, launch = "the service", _resource(own, "AWS::ECS::Service")
    enabled = launch.get("EnableExecuteCommand") is True
    yield create_check(
        TEMPLATES, f"{what} allows ECS Exec", enabled, "EnableExecuteCommand", "set EnableExecuteCommand"
    )
    yield from _definition(TEMPLATES, definition, container)
    yield _role_in_template(access)
    yield _route_in_template(templates["egress.json"], access)
    yield from _transcripts_in_template(templates["application.json"], access)


def _role_in_template(access: Template) -> Check:
    role = access.resources.get("TaskRole", {}).get("Properties", {})
    text = json.dumps(role)
    holds = _CORE in text or all(action in text for action in _CHANNELS)
    seen = _CORE if _CORE in text else "ssmmessages actions"
    return create_check(TEMPLATES, "the task role may open channels", holds, seen, f"attach {_CORE} to TaskRole")


def _route_in_template(egress: Template, access: Template) -> Check:
    endpoints = [
        logical_id
        for logical_id, resource in egress.resources.items()
        if resource["Type"] == "AWS::EC2::VPCEndpoint" and "ssmmessages" in json.dumps(resource["Properties"])
    ]
    nat = any(resource["Type"] == "AWS::EC2::NatGateway" for resource in egress.resources.values())
    group = access.resources.get("ServiceSecurityGroup", {}).get("Properties", {})
    opens = any(str(rule.get("ToPort")) == "443" for rule in group.get("SecurityGroupEgress", ()))
    what = "a task reaches Session Manager"
    if not opens:
        return problem(TEMPLATES, what, "no egress on port 443", "open port 443 in ServiceSecurityGroup")
    seen = " and ".join([*endpoints, *(["a NAT gateway"] if nat else [])])
    return create_check(
        TEMPLATES, what, bool(endpoints or nat), seen, "add an endpoint of ssmmessages or a NAT gateway"
    )


def _transcripts_in_template(application: Template, access: Template) -> Iterator[Check]:
    cluster = _resource(application, "AWS::ECS::Cluster")
    settings = cluster.get("Configuration", {}).get("ExecuteCommandConfiguration", {})
    attached = "SessionPolicyArn" in json.dumps(access.resources.get("TaskRole", {}))
    grants = json.dumps(application.resources.get("SessionPolicy", {})) if attached else ""
    if settings.get("KmsKeyId"):
        what, remedy = (
            "the task role may use the sessions' key",
            "allow kms:Decrypt in SessionPolicy, and attach it to TaskRole",
        )
        yield create_check(TEMPLATES, what, "kms:Decrypt" in grants, "kms:Decrypt", remedy)
    if settings.get("Logging") == "OVERRIDE":
        what, remedy = (
            "the task role may write transcripts",
            "allow logs:PutLogEvents in SessionPolicy, and attach it to TaskRole",
        )
        yield create_check(TEMPLATES, what, "logs:PutLogEvents" in grants, "logs:PutLogEvents", remedy)


# --- deployed tasks


def check_account(platform: Platform, service: Service | Job, container: str) -> Iterator[Check]:
    """Yield the checks of this machine, the service, its tasks, and the account."""
    yield from run_check(LIVE, plugin.NAME, _plugin)
    yield from run_check(LIVE, "the service", lambda: _service(platform, service))
    sessions: dict[str, Any] = {}
    yield from run_check(LIVE, "the session settings of the cluster", lambda: _settings(platform, sessions))
    found: list[tasks.Task] = []
    yield from run_check(LIVE, "running tasks", lambda: _tasks(platform, service, container, found))
    for arn in sorted({task.definition for task in found}):
        definition: dict[str, Any] = {}
        yield from run_check(LIVE, "the task definition", partial(_read_definition, platform, arn, definition))
        if definition:
            yield from _definition(LIVE, definition, container)
            role = definition.get("taskRoleArn", "")
            yield from run_check(LIVE, "the task role", partial(_simulated, platform, role, sessions))
    yield from run_check(LIVE, "the route to Session Manager", lambda: _endpoints(platform, service))
    if found:
        yield from run_check(LIVE, "your own permissions", lambda: _own(platform, found[0], sessions))


def _plugin() -> Iterator[Check]:
    try:
        found = plugin.find_plugin()
    except DeployerError as error:
        yield problem(LIVE, plugin.NAME, error.what, error.hint)
    else:
        yield ok(LIVE, plugin.NAME, ".".join(str(part) for part in found.version) or found.path)


def _service(platform: Platform, service: Service | Job) -> Iterator[Check]:
    enabled = tasks.describe_launch(platform, service).exec_enabled
    kind = "job" if isinstance(service, Job) else "service"
    remedy = f"deploy the {kind} again: it was disabled outside CloudFormation"
    yield create_check(LIVE, f"{kind} {service.slug} allows ECS Exec", enabled, "enableExecuteCommand", remedy)


def _tasks(platform: Platform, service: Service | Job, container: str, found: list[tasks.Task]) -> Iterator[Check]:
    found += tasks.list_running_tasks(platform, service)
    if not found:
        name = platform.context.environment.name
        if isinstance(service, Job):
            start = f"deploy.py run -e {name} --service {service.slug}"
            yield unknown(LIVE, "tasks are running", f"none: a job has tasks only while it runs; start one: {start}")
        else:
            yield problem(LIVE, "tasks are running", "none", f"find the reason: deploy.py status -e {name}")
    for task in found:
        short = f"task {task.id[:8]}"
        remedy = "force a new deployment: the task was started before ECS Exec was enabled"
        yield create_check(LIVE, f"{short} allows ECS Exec", task.exec_enabled, "enableExecuteCommand", remedy)
        if version := task.platform_version:
            new = version == "LATEST" or tuple(int(part) for part in version.split(".")) >= _OLDEST_PLATFORM
            remedy = "use platform version 1.4.0 or later"
            yield create_check(LIVE, f"{short}: the platform version supports ECS Exec", new, version, remedy)
        agent = task.container(container).agent
        what = f"{short}: the agent in {container} is running"
        if agent:
            remedy = "stop the task; if the next one has the same problem, see the checks above"
            yield create_check(LIVE, what, agent == "RUNNING", agent.lower(), remedy)
        else:
            yield unknown(LIVE, what, "ECS reports no status")


def _read_definition(platform: Platform, arn: str, into: dict[str, Any]) -> Iterator[Check]:
    into |= tasks.read_task_definition(platform, arn)
    yield from ()


def _settings(platform: Platform, into: dict[str, Any]) -> Iterator[Check]:
    """Read the session settings of the cluster: encryption key and log group."""
    answer: Any = platform.context.clients.ecs(platform.home).describe_clusters(
        clusters=[platform.cluster], include=["CONFIGURATIONS"]
    )
    for cluster in answer["clusters"]:
        into |= cluster.get("configuration", {}).get("executeCommandConfiguration", {})
    yield from ()


def _simulated(platform: Platform, role: str, sessions: Mapping[str, Any]) -> Iterator[Check]:
    """Check the policies of the task role with the policy simulator of IAM."""
    if not role:
        return
    name = role.rpartition("/")[2]
    denied = _denied(platform, role, _CHANNELS)
    seen = ", ".join(denied) + " denied" if denied else f"ssmmessages by {name}"
    yield create_check(LIVE, "the task role may open channels", not denied, seen, f"attach {_CORE} to {name}")
    if key := sessions.get("kmsKeyId", ""):
        what = "the task role may use the sessions' key"
        denied = _denied(platform, role, ["kms:Decrypt"], [key] if key.startswith("arn:") else [])
        yield create_check(LIVE, what, not denied, "kms:Decrypt", f"allow kms:Decrypt on {key} to {name}")
    group = sessions.get("logConfiguration", {}).get("cloudWatchLogGroupName", "")
    if group and sessions.get("logging") == "OVERRIDE":
        identity = platform.context.identity
        arn = f"arn:{identity.partition}:logs:{platform.home}:{identity.account}:log-group:{group}:log-stream:any"
        denied = _denied(platform, role, ["logs:PutLogEvents"], [arn])
        remedy = f"allow logs:PutLogEvents on {group} to {name}"
        yield create_check(LIVE, "the task role may write transcripts", not denied, "logs:PutLogEvents", remedy)


def _denied(platform: Platform, principal: str, actions: Sequence[str], resources: Sequence[str] = ()) -> list[str]:
    """Return the actions that the principal is denied."""
    request: dict[str, Any] = {"PolicySourceArn": principal, "ActionNames": list(actions)}
    if resources:
        request["ResourceArns"] = list(resources)
    answer: Any = platform.context.clients.iam(platform.home).simulate_principal_policy(**request)
    found = {one["EvalActionName"] for one in answer["EvaluationResults"] if one["EvalDecision"] != "allowed"}
    return [action for action in actions if action in found]


def _endpoints(platform: Platform, service: Service | Job) -> Iterator[Check]:
    """Check the interface endpoint. The service name resolves to it, so a faulty one is worse than none."""
    clients = platform.context.clients
    network = tasks.describe_launch(platform, service).network.get("awsvpcConfiguration", {})
    ec2 = clients.ec2(platform.home)
    subnets = ec2.describe_subnets(SubnetIds=list(network.get("subnets", ())))["Subnets"]
    vpc = subnets[0]["VpcId"] if subnets else ""
    name = f"com.amazonaws.{platform.home}.ssmmessages"
    found = ec2.describe_vpc_endpoints(
        Filters=[{"Name": "vpc-id", "Values": [vpc]}, {"Name": "service-name", "Values": [name]}]
    )["VpcEndpoints"]
    what = "the route to Session Manager"
    if not found:
        yield ok(LIVE, what, "through the NAT gateway (no endpoint of ssmmessages)")
    for endpoint in found:
        state = str(endpoint.get("State", "")).lower()
        good = state == "available" and bool(endpoint.get("PrivateDnsEnabled"))
        seen = f"{endpoint['VpcEndpointId']} is {state}" + (
            "" if endpoint.get("PrivateDnsEnabled") else ", no private DNS"
        )
        yield create_check(LIVE, what, good, seen, "deploy the network again")


def _own(platform: Platform, task: tasks.Task, sessions: Mapping[str, Any]) -> Iterator[Check]:
    """Check the permissions of the caller."""
    identity = platform.context.identity
    source = _principal(platform, identity.arn)
    what = "you may open sessions"
    if source is None:
        yield unknown(LIVE, what, f"IAM cannot simulate {identity.arn}")
        return
    cluster = task.arn.replace(":task/", ":cluster/").rpartition("/")[0]
    # Commands need the first permission, tunnels the second.
    document = f"arn:{identity.partition}:ssm:{platform.home}::document/{tunnel.DOCUMENT}"
    wanted = {"ecs:ExecuteCommand": [cluster, task.arn], "ssm:StartSession": [task.arn, document]}
    if (key := sessions.get("kmsKeyId", "")).startswith("arn:"):
        # The caller generates the data key that encrypts the session.
        wanted["kms:GenerateDataKey"] = [key]
    denied = [one for action, where in wanted.items() for one in _denied(platform, source, [action], where)]
    seen = ", ".join(denied) + " denied" if denied else ", ".join(wanted)
    remedy = "allow " + "; ".join(f"{action} on {' and '.join(wanted[action])}" for action in denied)
    yield create_check(LIVE, what, not denied, seen, remedy)


def _principal(platform: Platform, arn: str) -> str | None:
    """Return the ARN of the caller's user or role for the policy simulator. None if it does not support the caller."""
    if ":assumed-role/" not in arn:
        return arn if ":user/" in arn else None
    name = arn.partition(":assumed-role/")[2].split("/")[0]
    try:
        # The ARN of a session does not contain the path of the role, and roles of IAM Identity Center have
        # one.
        return platform.context.clients.iam(platform.home).get_role(RoleName=name)["Role"]["Arn"]
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "NoSuchEntity":
            raise
        return None


# --- both


def _definition(area: str, definition: Mapping[str, Any], name: str) -> Iterator[Check]:
    """Check a task definition in the format of the API."""
    has_role = bool(definition.get("taskRoleArn"))
    yield create_check(area, "the task has a role", has_role, "taskRoleArn", "without one the agent has no credentials")
    apart = not definition.get("pidMode")
    yield create_check(area, "containers have separate process namespaces", apart, "no pidMode", "remove pidMode")
    containers: Sequence[Mapping[str, Any]] = definition.get("containerDefinitions", ())
    found = next((one for one in containers if one.get("name") == name), None)
    if found is None:
        known = ", ".join(str(one.get("name")) for one in containers)
        yield problem(area, f"container {name} exists", "no", f"use another one with --container: {known}")
        return
    yield _writable(area, found, name)
    init = bool(found.get("linuxParameters", {}).get("initProcessEnabled"))
    remedy = "set InitProcessEnabled, or ended sessions leave zombie processes"
    yield create_check(area, f"{name}: an init process reaps children", init, "initProcessEnabled", remedy)
    set_here = {str(one.get("name")) for one in (*found.get("environment", ()), *found.get("secrets", ()))}
    keys = sorted(set_here & _KEYS)
    remedy = f"remove {', '.join(keys)}: the agent would use them in place of the task role"
    yield create_check(area, f"{name}: no access keys in the environment", not keys, ", ".join(keys) or "none", remedy)


def _writable(area: str, container: Mapping[str, Any], name: str) -> Check:
    what = f"{name}: the agent can write"
    # A parameter or a condition may be true or false.
    if container.get("readonlyRootFilesystem") in (None, False, "false"):
        return ok(area, what, "the root file system is writable")
    points = (one for one in container.get("mountPoints", ()) if not one.get("readOnly"))
    mounted = {str(one.get("containerPath")) for one in points}
    missing = [folder for folder in _AGENT_FOLDERS if folder not in mounted]
    seen = f"the root is read-only, and {', '.join(missing)} is no volume" if missing else "to volumes of its own"
    return create_check(area, what, not missing, seen, f"mount a volume at each of {', '.join(_AGENT_FOLDERS)}")


def _resource(template: Template, kind: str) -> dict[str, Any]:
    for resource in template.resources.values():
        if resource.get("Type") == kind:
            properties: dict[str, Any] = resource.get("Properties", {})
            return properties
    raise DeployerError(f"has no {kind}", where=f"templates/{template.name}", hint="run `deploy.py generate`")


def _api_shape(value: Any) -> Any:
    """Return properties of a template with the spelling of the API, so that the same checks work for both."""
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: _api_shape(item) for key, item in value.items()}
    return [_api_shape(item) for item in value] if isinstance(value, list) else value
