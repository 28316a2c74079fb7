"""The policies for operating, against what the commands ask of AWS on a deployed environment."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import boto3
import pytest
from botocore import xform_name
from botocore.session import get_session

from hosting.analysis.errors import AnalysisError
from hosting.analysis.iam_policies.actions import is_known, resource_types
from hosting.analysis.iam_policies.calls import FREE
from hosting.analysis.iam_policies.documents import LIMIT, split_into_policies
from hosting.analysis.iam_policies.evaluate import ApiCall, is_allowed
from hosting.analysis.iam_policies.operate import COMMANDS, GRANTS, operate_statements
from hosting.analysis.resolve import ResolvedEnvironment, resolve
from hosting.deployer.operate import tunnel
from hosting.model.parameter_file import load_environment
from hosting.model.templates import load_complete
from hosting.rehearsal.emulator import Emulator
from tests.analysis.iam_policies.conftest import Asked, _listen
from tests.deployer.operate import parts
from tests.support.project import PARAMS, REPOSITORY, TEMPLATES, main

ACCOUNT = load_environment(PARAMS / "lab.json").account
HOME, FAMILY = "ap-northeast-1", "atlas-lab"
HERE = f"{HOME}:{ACCOUNT}"
CLUSTER = f"arn:aws:ecs:{HERE}:cluster/{FAMILY}"
TASK = f"arn:aws:ecs:{HERE}:task/{FAMILY}/1a2b"
DEFINITION = f"arn:aws:ecs:{HERE}:task-definition/{FAMILY}-OrdersServiceStack-1A-TaskDefinition-2B"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/{FAMILY}-OrdersAccessSta-TaskRole-1A2B"
SECRET = f"arn:aws:secretsmanager:{HERE}:secret:rds!cluster-1a2b-3c4d"
WORKLOAD_SECRET = f"arn:aws:secretsmanager:{HERE}:secret:{FAMILY}/orders/SMTP_PASSWORD-1a2b3c"
OF_STORES = {"aws:ResourceTag/aws:cloudformation:stack-name": f"{FAMILY}-StoresStack-1A2B"}
DOCUMENT = f"arn:aws:ssm:{HOME}::document/{tunnel.DOCUMENT}"
KEY = f"arn:aws:kms:{HERE}:key/1a2b"
SITE = f"arn:aws:s3:::{FAMILY}-distributio-staticbucket-1a2b"
OF_CLUSTER = {"aws:ResourceTag/aws:rds:primaryDBClusterArn": f"arn:aws:rds:{HERE}:cluster:{FAMILY}"}
DATA: dict[str, str | list[str]] = {
    "kms:ResourceAliases": [f"alias/{FAMILY}-data"],
    "kms:ViaService": f"secretsmanager.{HOME}.amazonaws.com",
}
SESSIONS: dict[str, str | list[str]] = {"kms:ResourceAliases": [f"alias/{FAMILY}-telemetry"]}
IN_CLUSTER = {"ecs:cluster": CLUSTER}
TO_TASKS = {"iam:PassedToService": "ecs-tasks.amazonaws.com"}

# What no client of ours asks for and AWS asks of the caller all the same, or what only a real plugin asks.
BESIDES: dict[str, list[ApiCall]] = {
    "tunnel": [
        ApiCall("kms:Decrypt", KEY, DATA),
        ApiCall("ssmmessages:OpenDataChannel", f"arn:aws:ssm:{HERE}:session/AIDA1-0a1b", {"aws:userid": "AIDA1"}),
        ApiCall("ssm:ResumeSession", f"arn:aws:ssm:{HERE}:session/AIDA1-0a1b", {"aws:userid": "AIDA1"}),
    ],
    "exec": [
        ApiCall("kms:GenerateDataKey", KEY, SESSIONS),
        ApiCall("ssmmessages:OpenDataChannel", f"arn:aws:ssm:{HERE}:session/ecs-execute-command-0a1b"),
    ],
    "run": [
        ApiCall("iam:PassRole", ROLE, TO_TASKS),
        ApiCall("ecs:TagResource", TASK, {"ecs:CreateAction": "RunTask"}),
        ApiCall("ecs:TagResource", f"{DEFINITION}-run:1", {"ecs:CreateAction": "RegisterTaskDefinition"}),
    ],
    "secrets": [
        ApiCall("cloudformation:ListStackResources", f"arn:aws:cloudformation:{HERE}:stack/{FAMILY}/1a2b"),
        ApiCall("secretsmanager:DescribeSecret", WORKLOAD_SECRET, OF_STORES),
        ApiCall("secretsmanager:PutSecretValue", WORKLOAD_SECRET, OF_STORES),
        ApiCall("kms:Decrypt", KEY, DATA),
        ApiCall("kms:GenerateDataKey", KEY, DATA),
    ],
    "rotate-origin-secret": [ApiCall("kms:Decrypt", KEY, DATA), ApiCall("kms:GenerateDataKey", KEY, DATA)],
}


def environment(name: str) -> ResolvedEnvironment:
    return resolve(load_complete(TEMPLATES), load_environment(PARAMS / f"{name}.json"))


@pytest.fixture(scope="module")
def dev() -> ResolvedEnvironment:
    return environment("lab")


def policies(env: ResolvedEnvironment, *commands: str, containers: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    return [
        item.body for item in split_into_policies("operate", operate_statements(env, commands or COMMANDS, containers))
    ]


# --- What the commands ask ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def deployed() -> Iterator[parts.Deployed]:
    """On an emulator of its own: others deploy to the same account."""
    with Emulator() as running:
        yield parts.deploy(running)


@pytest.fixture(scope="module")
def asked(deployed: parts.Deployed, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Asked]]:
    """Command -> the calls that it made."""
    folder = tmp_path_factory.mktemp("operate")
    (folder / "site").mkdir()
    (folder / "site" / "app.css").write_text("body {}")
    ran: dict[str, list[list[str]]] = {
        "status": [["status"]],
        "events": [["events"]],
        "logs": [
            ["logs", "app"], ["logs", "bastion"], ["logs", "db"], ["logs", "exec"], ["logs", "waf"],
            ["logs", "lambda", "slack-notifier"], ["logs", "app", "--previous"],
        ],
        "exec": [["exec", "--check"], ["exec", "--", "true"]],
        "run": [["run", "--detach", "--", "true"], ["run", "--detach", "--image", IMAGE, "--", "true"]],
        "secrets": [["secrets", "list"]],
        "site": [
            ["site", str(folder / "site")], ["site", str(folder / "site")], ["site", str(folder), "--delete", "--wait"],
        ],
        "restart": [["restart", "--service", "orders"]],
        "invalidate": [["invalidate", "/static/*", "--wait"]],
        "addresses": [["addresses", "--block", "203.0.113.7"]],
        "rotate-origin-secret": [["rotate-origin-secret"]],
    }  # fmt: skip
    make, found = boto3.Session.client, {command: list[Asked]() for command in ran}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in parts.with_plugin(deployed.environment(), folder).items():
            patch.setenv(name, value)
        _end_a_task(deployed)
        for command, lines in ran.items():

            def listening(self: boto3.Session, *given: Any, _into: list[Asked] = found[command], **named: Any) -> Any:
                client = cast("Any", make)(self, *given, **named)
                _listen(client, _into)
                return client

            patch.setattr(boto3.Session, "client", listening)
            for line in lines:
                names = 2 if line[0] == "secrets" else 1
                assert main([*line[:names], "-e", "lab", *line[names:]]) in (0, 1), line
    return found


def _end_a_task(deployed: parts.Deployed) -> None:
    """So that `logs --previous` has one to look at."""
    ecs = deployed.client("ecs")
    service = deployed.platform.services[0].ecs_name
    (arn, *_) = ecs.list_tasks(cluster=FAMILY, serviceName=service)["taskArns"]
    ecs.stop_task(cluster=FAMILY, task=arn)


IMAGE = f"public.ecr.aws/docker/library/busybox@sha256:{'1' * 64}"


def on(call: Asked) -> Iterator[tuple[str, dict[str, Any]]]:
    """What IAM is asked about for a call, written from the Service Authorization Reference: resource, and context."""
    given, here = call.parameters, f"{call.region}:{ACCOUNT}"
    match f"{SERVICE.get(call.service, call.service)}:{call.operation}":
        case (
            "cloudformation:DescribeStacks" | "cloudformation:ListStackResources" | "cloudformation:DescribeStackEvents"
        ):
            name = given["StackName"]
            yield name if name.startswith("arn:") else f"arn:aws:cloudformation:{here}:stack/{name}/1a2b", {}
        case "ecs:DescribeServices":
            for name in given["services"]:
                yield f"arn:aws:ecs:{here}:service/{given['cluster']}/{name}", {}
        case "ecs:UpdateService":
            yield f"arn:aws:ecs:{here}:service/{given['cluster']}/{given['service']}", {}
        case "ecs:DescribeTasks":
            for arn in given["tasks"]:
                yield arn, {}
        case "ecs:ListTasks":
            yield "*", {"ecs:cluster": f"arn:aws:ecs:{here}:cluster/{given['cluster']}"}
        case "ecs:StopTask":
            yield given["task"], {}
        case "ecs:DescribeClusters":
            yield CLUSTER, {}
        case "ecs:ExecuteCommand":
            for arn in (given["task"], CLUSTER):
                yield arn, {"ecs:container-name": given["container"]}
        case "ecs:RunTask":
            yield given["taskDefinition"], {"ecs:cluster": f"arn:aws:ecs:{here}:cluster/{given['cluster']}"}
        case "ecs:RegisterTaskDefinition":
            yield f"arn:aws:ecs:{here}:task-definition/{given['family']}:*", {}
        case "ssm:TerminateSession":
            yield f"arn:aws:ssm:{here}:session/ecs-execute-command-1a2b", {}
        case "logs:FilterLogEvents":
            yield f"arn:aws:logs:{here}:log-group:{given['logGroupName']}:*", {}
        case "rds:DescribeDBClusters":
            yield f"arn:aws:rds:{here}:cluster:{given['DBClusterIdentifier']}", {}
        case "rds:DescribeDBInstances":
            yield f"arn:aws:rds:{here}:db:*", {}
        case "iam:SimulatePrincipalPolicy":
            yield given["PolicySourceArn"], {}
        case "s3:ListObjectsV2":
            yield f"arn:aws:s3:::{given['Bucket']}", {}
        case "s3:HeadObject" | "s3:PutObject" | "s3:DeleteObject":
            yield f"arn:aws:s3:::{given['Bucket']}/{given['Key']}", {}
        case "secretsmanager:GetSecretValue" | "secretsmanager:PutSecretValue":
            yield given["SecretId"], {}
        case "wafv2:GetIPSet" | "wafv2:UpdateIPSet":
            yield f"arn:aws:wafv2:{here}:global/ipset/{given['Name']}/{given['Id']}", {}
        case "elasticloadbalancing:ModifyRule":
            yield given["RuleArn"], {}
        case "cloudfront:GetDistribution" | "cloudfront:GetDistributionConfig" | "cloudfront:UpdateDistribution":
            yield f"arn:aws:cloudfront::{ACCOUNT}:distribution/{given['Id']}", {}
        case "cloudfront:CreateInvalidation" | "cloudfront:GetInvalidation":
            yield f"arn:aws:cloudfront::{ACCOUNT}:distribution/{given['DistributionId']}", {}
        case action:
            bound = resource_types(action) and action not in {
                "cloudwatch:DescribeAlarms",
                "cloudwatch:DescribeAlarmHistory",
            }
            assert not bound, (action, given)
            yield "*", {}


# What requests are signed for -> what IAM calls the service.
SERVICE = {"monitoring": "cloudwatch"}
PERMISSION_OF = {"s3:HeadObject": "s3:GetObject", "s3:ListObjectsV2": "s3:ListBucket"}


def calls(asked: list[Asked]) -> list[ApiCall]:
    found = []
    for call in asked:
        action = f"{SERVICE.get(call.service, call.service)}:{call.operation}"
        if action not in FREE:
            found += [ApiCall(PERMISSION_OF.get(action, action), arn, context) for arn, context in on(call)]
    return found


# What `tunnel` asks, which needs a database to be tried with; a test of its own compares this with the code.
TUNNEL = [
    ApiCall("cloudformation:DescribeStacks", f"arn:aws:cloudformation:{HERE}:stack/{FAMILY}/1a2b"),
    ApiCall("cloudformation:ListStackResources", f"arn:aws:cloudformation:{HERE}:stack/{FAMILY}-X-1A/1a2b"),
    ApiCall("ecs:ListTasks", "*", IN_CLUSTER),
    ApiCall("ecs:DescribeTasks", TASK),
    ApiCall("ecs:DescribeTaskDefinition", "*"),
    ApiCall("ssm:StartSession", TASK, {"ssm:SessionDocumentAccessCheck": "true"}),
    ApiCall("ssm:StartSession", DOCUMENT),
    ApiCall("ssm:TerminateSession", f"arn:aws:ssm:{HERE}:session/AIDA1-0a1b", {"aws:userid": "AIDA1"}),
    ApiCall("secretsmanager:GetSecretValue", SECRET, OF_CLUSTER),
]


@pytest.fixture(scope="module")
def needed(asked: dict[str, list[Asked]]) -> dict[str, list[ApiCall]]:
    found = {command: calls(made) for command, made in asked.items()} | {"tunnel": TUNNEL}
    # While the task is followed, and on Ctrl-C.
    group = f"arn:aws:logs:{HERE}:log-group:/{FAMILY}/orders/app:*"
    found["run"] += [
        ApiCall("ecs:DescribeTasks", TASK),
        ApiCall("logs:FilterLogEvents", group),
        ApiCall("ecs:StopTask", TASK),
    ]
    return {command: [*made, *BESIDES.get(command, [])] for command, made in found.items()}


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_command_asks_its_own_policy_allows(
    command: str, needed: dict[str, list[ApiCall]], dev: ResolvedEnvironment
) -> None:
    assert needed[command]
    policy = policies(dev, command)
    assert [call for call in needed[command] if not is_allowed(policy, call)] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_no_action_of_a_command_is_there_for_nothing(
    command: str, needed: dict[str, list[ApiCall]], dev: ResolvedEnvironment
) -> None:
    given = {action for body in policies(dev, command) for item in body["Statement"] for action in item["Action"]}
    # The plugin resumes an interrupted session of either kind.
    assert given - {call.action for call in needed[command]} <= {"ssm:ResumeSession"}


def test_every_call_in_the_code_has_its_permission() -> None:
    """One way through a command is one of many; the code shows them all."""
    given = {action for grant in GRANTS for action in grant.actions} | FREE
    session, known = get_session(), dict[str, set[str]]()
    for service in ("cloudformation", "cloudfront", "cloudwatch", "ec2", "ecs", "elbv2", "iam", "logs", "rds", "s3",
                    "secretsmanager", "ssm", "sts"):  # fmt: skip
        model = session.get_service_model(service)
        for operation in model.operation_names:
            action = f"{SERVICE.get(model.signing_name, model.signing_name)}:{operation}"
            known.setdefault(xform_name(operation), set()).add(PERMISSION_OF.get(action, action))
    missing = [
        f"{path.name}: {name}"
        for path in sorted((REPOSITORY / "hosting" / "deployer" / "operate").glob("*.py"))
        # `preflight` is for the owner of an account, before an environment exists.
        if path.name not in {"preflight.py", "quotas.py", "images.py"}
        for name in names_called(path) & set(known)
        if not known[name] & given
    ]
    # `exec --check` queries the permissions of its caller, whose name is unknown; without an answer it reports "not
    # checkable".
    missing = [one for one in missing if one != "exec_checker.py: get_role"]
    assert missing == [], "add the permission to GRANTS in hosting/analysis/iam_policies/operate.py"


def names_called(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            found.add(node.func.attr)
            if node.func.attr == "get_paginator" and isinstance(node.args[0], ast.Constant):
                found.add(str(node.args[0].value))
    return found


# --- What the policies must not allow ----------------------------------------------------------------------------


OTHER = "atlas-live"


@pytest.mark.parametrize(
    "call",
    [
        ApiCall("ssm:StartSession", TASK, {"ssm:SessionDocumentAccessCheck": "false"}),
        ApiCall("ssm:StartSession", TASK.replace(FAMILY, OTHER), {"ssm:SessionDocumentAccessCheck": "true"}),
        ApiCall("ssm:StartSession", DOCUMENT.replace("PortForwarding", "SSH")),
        ApiCall("ssm:StartSession", f"arn:aws:ssm:{HERE}:document/SSM-SessionManagerRunShell"),
        ApiCall("ssm:StartSession", f"arn:aws:ec2:{HERE}:instance/i-1a2b"),
        ApiCall("ssm:TerminateSession", f"arn:aws:ssm:{HERE}:session/AIDA2-0a1b", {"aws:userid": "AIDA1"}),
        ApiCall("ecs:ExecuteCommand", TASK.replace(FAMILY, OTHER)),
        ApiCall("ecs:ListTasks", "*", {"ecs:cluster": CLUSTER.replace(FAMILY, OTHER)}),
        ApiCall("ecs:ListTasks", "*"),
        ApiCall("ecs:RunTask", f"{DEFINITION}:1", {"ecs:cluster": CLUSTER.replace(FAMILY, OTHER)}),
        ApiCall("ecs:RegisterTaskDefinition", f"{DEFINITION}:*"),
        ApiCall("ecs:TagResource", TASK),
        ApiCall("iam:PassRole", ROLE, {"iam:PassedToService": "lambda.amazonaws.com"}),
        ApiCall("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/Administrator", TO_TASKS),
        ApiCall("secretsmanager:GetSecretValue", SECRET),
        ApiCall("secretsmanager:GetSecretValue", SECRET, {key: f"{arn}x" for key, arn in OF_CLUSTER.items()}),
        ApiCall("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{HERE}:secret:ApiToken-1a2b", OF_CLUSTER),
        ApiCall("kms:Decrypt", KEY, SESSIONS),
        ApiCall("kms:Decrypt", KEY, {"kms:ResourceAliases": DATA["kms:ResourceAliases"]}),
        ApiCall("kms:GenerateDataKey", KEY, {"kms:ResourceAliases": [f"alias/{OTHER}-telemetry"]}),
        ApiCall("s3:PutObject", f"{SITE}/elsewhere/app.css"),
        ApiCall("s3:DeleteObject", f"arn:aws:s3:::{FAMILY}-securitystack-archivebucket-1a2b/logs"),
        ApiCall("logs:FilterLogEvents", f"arn:aws:logs:{HERE}:log-group:/{OTHER}/orders/app:*"),
        ApiCall("cloudformation:DeleteStack", f"arn:aws:cloudformation:{HERE}:stack/{FAMILY}/1a2b"),
        ApiCall("rds:DescribeDBClusters", f"arn:aws:rds:{HERE}:cluster:{OTHER}"),
    ],
    ids=lambda call: call.action,
)  # fmt: skip
def test_an_unnecessary_call_is_denied(dev: ResolvedEnvironment, call: ApiCall) -> None:
    assert not is_allowed(policies(dev), call)


@pytest.mark.parametrize("target", [TASK, CLUSTER])
def test_exec_can_be_kept_to_a_container(dev: ResolvedEnvironment, target: str) -> None:
    policy = policies(dev, "exec", containers=("bastion",))
    assert is_allowed(policy, ApiCall("ecs:ExecuteCommand", target, {"ecs:container-name": "bastion"}))
    assert not is_allowed(policy, ApiCall("ecs:ExecuteCommand", target, {"ecs:container-name": "app"}))


def test_a_container_that_no_task_has(dev: ResolvedEnvironment) -> None:
    with pytest.raises(AnalysisError, match="no task has a container nginx"):
        operate_statements(dev, containers=("nginx",))


def test_who_looks_can_open_nothing(dev: ResolvedEnvironment) -> None:
    looking = {
        action
        for body in policies(dev, "status", "events", "logs")
        for item in body["Statement"]
        for action in item["Action"]
    }
    assert all(re.match(r"\w+:(Describe|List|Filter|Get(?!Secret))", action) for action in looking), looking


@pytest.mark.parametrize("name", ["lab", "live"])
def test_limits_and_wildcards(name: str) -> None:
    made = split_into_policies("operate", operate_statements(environment(name)))
    statements = [item for one in made for item in one.body["Statement"]]
    assert len({item["Sid"] for item in statements}) == len(statements) == len([one for one in GRANTS if not one.jobs])
    assert all(one.size <= LIMIT for one in made)
    for statement in statements:
        assert all(is_known(action) and "*" not in action for action in statement["Action"])
        if statement["Resource"] == "*":
            # CloudWatch shows composite alarms only to callers that may see all alarms.
            free = {"cloudwatch:DescribeAlarms", "cloudwatch:DescribeAlarmHistory"}
            assert all(not resource_types(action) or action in free for action in statement["Action"])


def test_conditions_are_known_to_the_services() -> None:
    """Each key is one of the service's own, or of those that every service has."""
    own = {"ecs": {"ecs:cluster", "ecs:container-name", "ecs:CreateAction"}, "iam": {"iam:PassedToService"},
           "kms": {"kms:ResourceAliases", "kms:ViaService"}, "ssm": {"ssm:SessionDocumentAccessCheck"}}  # fmt: skip
    for statement in operate_statements(environment("lab"), containers=("bastion",)):
        (service,) = {action.partition(":")[0] for action in statement.actions if action[:11] != "ssmmessages"}
        keys = {key for values in (statement.condition or {}).values() for key in values}
        assert all(key in own.get(service, set()) or key.startswith("aws:ResourceTag/") for key in keys), statement
