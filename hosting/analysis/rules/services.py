"""Services, their scaling and target groups: what hangs a deployment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from hosting.analysis.resolve import ResolvedEnvironment, Resource
from hosting.analysis.rules.registry import RuleMatch, TemplateLocation, environment_rule, template_rule
from hosting.analysis.rules.values import (
    depends_on_resource,
    flag,
    follow,
    follow_all,
    is_attribute,
    is_same,
    listed,
    number,
)
from hosting.model.templates import Template
from hosting.model.tokens import Json, origin

SERVICE = "AWS::ECS::Service"
SCHEDULE = "AWS::Scheduler::Schedule"
TASK = "AWS::ECS::TaskDefinition"
BALANCER = "AWS::ElasticLoadBalancingV2::LoadBalancer"
LISTENER = "AWS::ElasticLoadBalancingV2::Listener"
RULE = "AWS::ElasticLoadBalancingV2::ListenerRule"
TARGET_GROUP = "AWS::ElasticLoadBalancingV2::TargetGroup"


def containers(task: Resource) -> list[tuple[int, Mapping[str, Json]]]:
    return list(enumerate(listed(task.get("ContainerDefinitions"))))


def task_definition(env: ResolvedEnvironment, service: Resource) -> Resource | None:
    return follow(env, service.get("TaskDefinition"), TASK)


def scheduled_tasks(env: ResolvedEnvironment) -> Iterator[tuple[Resource, Resource]]:
    """Return each schedule that starts tasks, with its task definition."""
    for schedule in env.of_type(SCHEDULE):
        if task := follow(env, schedule.get("Target.EcsParameters.TaskDefinitionArn"), TASK):
            yield schedule, task


# Where a service and the schedule of a job have the settings of their tasks, and their cluster.
_SETTINGS = {SERVICE: "", SCHEDULE: "Target.EcsParameters."}
_CLUSTERS = {SERVICE: "Cluster", SCHEDULE: "Target.Arn"}


def starters(env: ResolvedEnvironment) -> Iterator[tuple[Resource, str]]:
    """Return each service and each schedule that starts tasks, with the path of the settings of the tasks."""
    for kind, path in _SETTINGS.items():
        for item in env.of_type(kind):
            if kind == SERVICE or item.get("Target.EcsParameters") is not None:
                yield item, path


def started_tasks(env: ResolvedEnvironment) -> Iterator[tuple[Resource, str, Resource]]:
    """Return each service and each schedule with the path of the settings of its tasks, and its task definition."""
    for starter, task in (*served_tasks(env), *scheduled_tasks(env)):
        yield starter, _SETTINGS[starter.type], task


def cluster_of(env: ResolvedEnvironment, starter: Resource) -> Resource | None:
    """Return the cluster in which a service or a schedule starts tasks."""
    return follow(env, starter.get(_CLUSTERS[starter.type]), "AWS::ECS::Cluster")


def is_single(env: ResolvedEnvironment, service: Resource) -> bool:
    """Return whether the project declares that exactly one task of the service runs."""
    return env.stacks[service.stack].template.section("Metadata").get("OneTask") is True


def served_tasks(env: ResolvedEnvironment) -> Iterator[tuple[Resource, Resource]]:
    """Return each service with its task definition."""
    for service in env.of_type(SERVICE):
        if task := task_definition(env, service):
            yield service, task


def target_ports(service: Resource) -> list[int]:
    """Return the container ports behind load balancers."""
    ports = [number(item.get("ContainerPort")) for item in listed(service.get("LoadBalancers"))]
    return [int(port) for port in ports if port is not None]


def listener_ports(env: ResolvedEnvironment, balancer: Resource) -> list[int]:
    ports = [
        number(item.get("Port"))
        for item in env.of_type(LISTENER)
        if follow(env, item.get("LoadBalancerArn")) == balancer
    ]
    return [int(port) for port in ports if port is not None]


def find_listener_rules(env: ResolvedEnvironment, listener: Resource) -> list[Resource]:
    return [rule for rule in env.of_type(RULE) if follow(env, rule.get("ListenerArn")) == listener]


def forwards(rule: Resource) -> bool:
    return any(action.get("Type") == "forward" for action in listed(rule.get("Actions") or rule.get("DefaultActions")))


def header_conditions(rule: Resource) -> list[Mapping[str, Json]]:
    return [
        item.get("HttpHeaderConfig", {})
        for item in listed(rule.get("Conditions"))
        if item.get("Field") == "http-header"
    ]


def attributes(resource: Resource, path: str) -> dict[str, str]:
    return {str(item.get("Key")): str(item.get("Value")) for item in listed(resource.get(path))}


@environment_rule(
    "APP-13",
    "The load balancer sends to a container and a port that exist",
    why="ECS refuses a name or port that the task does not have, and Fargate needs targets of type ip (Amazon ECS "
    "Developer Guide, Use an Application Load Balancer for Amazon ECS).",
    hint="use the app container's name and port; TargetType ip",
)
def load_balanced_container(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for service, task in served_tasks(env):
        for index, item in enumerate(listed(service.get("LoadBalancers"))):
            path = f"Properties.LoadBalancers.{index}"
            ports = [
                str(mapping.get("ContainerPort"))
                for _, container in containers(task)
                if container.get("Name") == item.get("ContainerName")
                for mapping in listed(container.get("PortMappings"))
            ]
            if str(item.get("ContainerPort")) not in ports:
                yield RuleMatch(
                    service, path, f"no {item.get('ContainerName')}:{item.get('ContainerPort')} in the task"
                )
            target = follow(env, item.get("TargetGroupArn"), TARGET_GROUP)
            if target is None or target.get("TargetType") != "ip":
                yield RuleMatch(service, path, "no target group of type ip")


@environment_rule(
    "APP-14",
    "A service waits until a listener uses its target group",
    why="ECS refuses a target group without a load balancer, in the first deployment only (Amazon ECS Developer Guide, "
    "Troubleshoot service load balancers).",
    hint="add the listener rule to the service's DependsOn",
)
def service_after_rule(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for service in env.of_type(SERVICE):
        stack = env.stacks[service.stack]
        for item in listed(service.get("LoadBalancers")):
            target = follow(env, item.get("TargetGroupArn"), TARGET_GROUP)
            users = [
                user
                for user in stack.of_type(RULE, LISTENER)
                if target in follow_all(env, user.get("Actions") or user.get("DefaultActions"))
            ]
            if target and not any(depends_on_resource(stack, service, user.logical_id) for user in users):
                yield RuleMatch(service, "DependsOn", f"does not wait for a rule that forwards to {target.logical_id}")


@environment_rule(
    "APP-15",
    "A deployment can proceed, and one that fails is rolled back",
    why="Without the circuit breaker a bad image holds the stack for hours; 100/100 percent can never replace a task "
    "(Amazon ECS Developer Guide, How the Amazon ECS deployment circuit breaker detects failures).",
    hint="enable the breaker with rollback, 100 and 200 percent, zone rebalancing, and a grace period of 60 s",
)
def deployments(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for service in env.of_type(SERVICE):
        path = "DeploymentConfiguration"
        breaker = [service.get(f"{path}.DeploymentCircuitBreaker.{key}") for key in ("Enable", "Rollback")]
        if not all(flag(item) for item in breaker):
            yield RuleMatch(service, f"Properties.{path}.DeploymentCircuitBreaker", "does not roll back")
        low, high = (number(service.get(f"{path}.{key}")) for key in ("MinimumHealthyPercent", "MaximumPercent"))
        single = is_single(env, service)
        if (low, high) != (0, 100) if single else low != 100 or high is None or high < 200:
            yield RuleMatch(service, f"Properties.{path}", f"{low} to {high} percent")
        if service.get("AvailabilityZoneRebalancing") != ("DISABLED" if single else "ENABLED"):
            text = "a second task would start" if single else "zones are not rebalanced"
            yield RuleMatch(service, "Properties.AvailabilityZoneRebalancing", text)
        grace = number(service.get("HealthCheckGracePeriodSeconds"))
        if bool(listed(service.get("LoadBalancers"))) != (grace is not None) or (grace is not None and grace < 60):
            yield RuleMatch(service, "Properties.HealthCheckGracePeriodSeconds", f"grace period {grace}")


@environment_rule(
    "APP-37",
    "A service behind the load balancer is rolled back if the new version misbehaves",
    why="The circuit breaker sees tasks that do not start, and no errors of tasks that run. ECS ignores the name of an "
    "alarm that does not exist (Amazon ECS Developer Guide, How CloudWatch alarms detect Amazon ECS deployment "
    "failures).",
    hint="list alarms of this template in DeploymentConfiguration.Alarms by Ref, with Enable, Rollback and "
    "TreatMissingData notBreaching",
)
def watched_deployments(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    path = "DeploymentConfiguration.Alarms"
    for service in env.of_type(SERVICE):
        names = listed(service.get(f"{path}.AlarmNames"))
        alarms = follow_all(env, names, "AWS::CloudWatch::Alarm")
        if len(alarms) != len(names) or (not names and listed(service.get("LoadBalancers"))):
            yield RuleMatch(service, f"Properties.{path}.AlarmNames", f"{len(alarms)} of {len(names)} alarms exist")
        if names and not all(flag(service.get(f"{path}.{key}")) for key in ("Enable", "Rollback")):
            yield RuleMatch(service, f"Properties.{path}", "does not roll back")
        for alarm in alarms:
            if alarm.get("TreatMissingData") != "notBreaching":
                yield RuleMatch(alarm, "Properties.TreatMissingData", "rolls back a deployment without traffic")


@environment_rule(
    "APP-16",
    "A service starts with two tasks or more, and never scales below",
    why="A new service without DesiredCount starts with one task, and the minimum of scaling is enforced only at its "
    "first event (Application Auto Scaling User Guide, Target tracking scaling policies).",
    hint="give at least 2 as DesiredCount of a new service and as MinCapacity",
)
def two_tasks(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for service in env.of_type(SERVICE):
        count = number(service.get("DesiredCount"))
        if is_single(env, service):
            if count != 1:
                yield RuleMatch(service, "Properties.DesiredCount", f"starts with {count or 1:g} tasks, not with one")
            continue
        if count is None or count < 2:
            yield RuleMatch(service, "Properties.DesiredCount", f"starts with {count or 1:g} task")
        targets = [item for item in scaling_targets(env) if service in follow_all(env, item.get("ResourceId"))]
        if not targets:
            yield RuleMatch(service, "", "does not scale")
        for target in targets:
            low, high = number(target.get("MinCapacity")) or 0, number(target.get("MaxCapacity")) or 0
            if not 2 <= low <= high:
                yield RuleMatch(target, "Properties.MinCapacity", f"scales from {low:g} to {high:g}")


def scaling_targets(env: ResolvedEnvironment) -> list[Resource]:
    return env.of_type("AWS::ApplicationAutoScaling::ScalableTarget")


@template_rule(
    "APP-34",
    "An update leaves the number of tasks to scaling",
    why="A DesiredCount that is always given sets the number back at every update of the service (CloudFormation "
    "Template Reference, AWS::ECS::Service).",
    hint="give DesiredCount by Fn::If, only when the service is new",
)
def count_only_when_new(templates: Mapping[str, Template]) -> Iterator[RuleMatch]:
    for template in templates.values():
        for logical_id, resource in template.resources.items():
            if resource["Type"] != SERVICE:
                continue
            count = resource.get("Properties", {}).get("DesiredCount")
            # Nothing else changes the number of a single task.
            if count == 1 and template.section("Metadata").get("OneTask") is True:
                continue
            branches = count.get("Fn::If", []) if isinstance(count, dict) else []
            if {"Ref": "AWS::NoValue"} not in branches[1:]:
                yield RuleMatch(
                    TemplateLocation(template.name, logical_id), "Properties.DesiredCount", "is set at every update"
                )


@environment_rule(
    "APP-17",
    "Services run on Fargate, by one way of saying so",
    why="LaunchType and CapacityProviderStrategy exclude each other, and tags reach tasks only when propagated (Amazon "
    "ECS API Reference, CreateService).",
    hint="set one of the two, PropagateTags SERVICE (of a schedule TASK_DEFINITION) and EnableECSManagedTags",
)
def fargate_only(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for starter, path in starters(env):
        providers = [item.get("CapacityProvider") for item in listed(starter.get(f"{path}CapacityProviderStrategy"))]
        launch = starter.get(f"{path}LaunchType")
        if bool(providers) == bool(launch) or launch not in (None, "FARGATE") or not _fargate(providers):
            text = f"launch type {launch} with capacity providers {providers}"
            yield RuleMatch(starter, f"Properties.{path}LaunchType", text)
    for schedule in env.of_type(SCHEDULE):
        ecs = "Target.EcsParameters"
        tagged = schedule.get(f"{ecs}.PropagateTags") == "TASK_DEFINITION"
        if schedule.get(ecs) is not None and not (tagged and flag(schedule.get(f"{ecs}.EnableECSManagedTags"))):
            yield RuleMatch(schedule, f"Properties.{ecs}.PropagateTags", "tasks are not tagged")
    for service in env.of_type(SERVICE):
        if service.get("PropagateTags") != "SERVICE" or not flag(service.get("EnableECSManagedTags")):
            yield RuleMatch(service, "Properties.PropagateTags", "tasks are not tagged")
    for clusters in env.of_type("AWS::ECS::Cluster", "AWS::ECS::ClusterCapacityProviderAssociations"):
        if not _fargate(listed(clusters.get("CapacityProviders"))):
            yield RuleMatch(clusters, "Properties.CapacityProviders", "not Fargate only")


def _fargate(providers: list[str]) -> bool:
    return set(providers) <= {"FARGATE", "FARGATE_SPOT"}


@environment_rule(
    "APP-19",
    "Health checks and draining have times that work",
    why="A timeout above the interval is refused; a long delay slows every deployment; Fargate stops a container after "
    "at most 120 s (Elastic Load Balancing User Guide, Target group health checks).",
    hint="timeout below interval, Matcher 200-399, deregistration delay up to 60, StopTimeout up to 120",
)
def target_times(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for target in env.of_type(TARGET_GROUP):
        interval = number(target.get("HealthCheckIntervalSeconds")) or 30
        timeout = number(target.get("HealthCheckTimeoutSeconds")) or 5
        if timeout >= interval:
            yield RuleMatch(
                target, "Properties.HealthCheckTimeoutSeconds", f"{timeout:g} s in an interval of {interval:g}"
            )
        given = attributes(target, "TargetGroupAttributes")
        delay = number(given.get("deregistration_delay.timeout_seconds", 300)) or 0
        if delay > 60:
            yield RuleMatch(target, "Properties.TargetGroupAttributes", f"deregistration takes {delay:g} s")
        if not target.get("HealthCheckPath"):
            yield RuleMatch(target, "Properties.HealthCheckPath", "no path to check")
        if not target.get("Matcher.HttpCode"):
            yield RuleMatch(target, "Properties.Matcher", "which answers are healthy is left to the default")
    for task in env.of_type(TASK):
        for index, container in containers(task):
            if (number(container.get("StopTimeout")) or 0) > 120:
                path = f"Properties.ContainerDefinitions.{index}.StopTimeout"
                yield RuleMatch(task, path, f"{container.get('StopTimeout')} s to stop")


_SCALING_METRICS = {
    "ALBRequestCountPerTarget",
    "ECSServiceAverageCPUUtilization",
    "ECSServiceAverageMemoryUtilization",
}


@environment_rule(
    "APP-29",
    "Scaling names its service as Application Auto Scaling wants it",
    why="The id is service/<cluster>/<service> with names, not ARNs; a role of ours would replace the service-linked "
    "one (Application Auto Scaling User Guide, Amazon ECS and Application Auto Scaling).",
    hint="build ResourceId from the cluster's name and GetAtt Name of the service; drop RoleARN",
)
def scaling_names(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for target in scaling_targets(env):
        parts = str(target.get("ResourceId")).split("/service/", 1)[-1]
        good = re.fullmatch(r"service/(?P<cluster>\S+)/(?P<service><<[^<>]+>>)", str(target.get("ResourceId")))
        service = follow(env, good["service"], SERVICE) if good else None
        if not good or service is None or not is_attribute(good["service"], "Name"):
            yield RuleMatch(target, "Properties.ResourceId", f"{parts} is not service/<cluster>/<service name>")
        elif not _names_cluster(env, good["cluster"], service):
            yield RuleMatch(target, "Properties.ResourceId", "is not the service's cluster")
        if target.get("RoleARN") is not None:
            yield RuleMatch(target, "Properties.RoleARN", "a role in place of the service-linked one")
    for policy in env.of_type("AWS::ApplicationAutoScaling::ScalingPolicy"):
        path = "TargetTrackingScalingPolicyConfiguration.PredefinedMetricSpecification"
        metric, label = policy.get(f"{path}.PredefinedMetricType"), policy.get(f"{path}.ResourceLabel")
        if metric is not None and metric not in _SCALING_METRICS:
            yield RuleMatch(policy, f"Properties.{path}", f"{metric} is no metric of a service")
        if (metric == "ALBRequestCountPerTarget") != (label is not None):
            yield RuleMatch(policy, f"Properties.{path}", f"{metric} with label {label}")


def _names_cluster(env: ResolvedEnvironment, text: str, service: Resource) -> bool:
    cluster = follow(env, service.get("Cluster"), "AWS::ECS::Cluster")
    if cluster is None:
        return False
    return text == cluster.get("ClusterName") or (origin(text) is not None and is_same(env, text, cluster.ref))


@environment_rule(
    "APP-35",
    "A service runs a task definition of ours",
    why="A revision that the stack does not own is not updated with it, and none of these rules sees it (Amazon ECS "
    "Developer Guide, Service definition parameters).",
    hint="take TaskDefinition from Ref, Cluster from the application layer",
)
def own_task_definition(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for starter, path in starters(env):
        name = f"{path}TaskDefinition" + ("Arn" if path else "")
        if follow(env, starter.get(name), TASK) is None:
            yield RuleMatch(starter, f"Properties.{name}", "is not ours")


@environment_rule(
    "APP-36",
    "A load balancer has one listener on each port",
    why="The second is refused: a listener already exists on this port (Elastic Load Balancing API Reference, "
    "CreateListener, DuplicateListener).",
    hint="use another port, or add rules to the first listener",
)
def single_listeners(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    users: dict[tuple[str, str], Resource] = {}
    for listener in env.of_type("AWS::ElasticLoadBalancingV2::Listener"):
        port = str(listener.get("Port"))
        first = users.setdefault((str(listener.get("LoadBalancerArn")), port), listener)
        if first is not listener:
            yield RuleMatch(listener, "Properties.Port", f"port {port} is used by {first.logical_id}")
