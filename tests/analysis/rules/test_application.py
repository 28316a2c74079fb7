"""Each rule of load balancer, tasks and services is shown to fail."""

# ruff: noqa: E501 -- one case on each line reads as a table

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from hosting.analysis.rules import application, services, tasks

TASK, SERVICE, RULE, LISTENER, BALANCER, TARGET, ROLE, POLICY = (
    "ECS::TaskDefinition",
    "ECS::Service",
    "ElasticLoadBalancingV2::ListenerRule",
    "ElasticLoadBalancingV2::Listener",
    "ElasticLoadBalancingV2::LoadBalancer",
    "ElasticLoadBalancingV2::TargetGroup",
    "IAM::Role",
    "IAM::ManagedPolicy",
)
# A rule of a workload. Another rule redirects the second host name.
SECRET = "X-Origin-Verify"


def container(b: Any, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        item for item in b.one(TASK)["Properties"]["ContainerDefinitions"] if item["Name"] == name
    )
    return found


def app(b: Any) -> dict[str, Any]:
    return container(b, "app")


def bastion(b: Any) -> dict[str, Any]:
    return container(b, "bastion")


def script(b: Any, old: str, new: str) -> None:
    text = bastion(b)["Command"][0]
    assert old in text
    bastion(b)["Command"] = [text.replace(old, new)]


def attribute(b: Any, old: str, new: str) -> None:
    b.replace(BALANCER, old, new)


def without_bastion(b: Any) -> None:
    containers = b.one(TASK)["Properties"]["ContainerDefinitions"]
    containers[:] = [item for item in containers if item["Name"] != "bastion"]


def without_header(b: Any) -> None:
    conditions = b.one(RULE, SECRET)["Properties"]["Conditions"]
    conditions[:] = [item for item in conditions if item["Field"] != "http-header"]


def lifecycle(b: Any) -> None:
    text = '{"rules": [{"selection": {"tagStatus": "any", "countType": "sinceImagePushed", "countNumber": 14}}]}'
    b.put("ECR::Repository", "LifecyclePolicy.LifecyclePolicyText", text)


def second_listener(b: Any) -> None:
    kind = "ElasticLoadBalancingV2::Listener"
    b.add(kind, "SecondListener", deepcopy(b.one(kind)))


# Rule, environment, what breaks it, and the rules that cannot be kept apart from it.
CASES: list[tuple[str, str, Any, set[str]]] = [
    ("APP-01", "lab", lambda b: b.put(TASK, "Memory", "4096"), set()),
    ("APP-01", "lab", lambda b: app(b).update(Memory=500), set()),
    ("APP-02", "lab", lambda b: b.drop(TASK, "RuntimePlatform"), set()),
    ("APP-03", "lab", lambda b: b.put(SERVICE, "EnableExecuteCommand", False), set()),
    ("APP-03", "lab", lambda b: b.drop(ROLE, "ManagedPolicyArns.0", has="AmazonSSMManagedInstanceCore"), set()),
    ("APP-03", "lab", lambda b: b.put(SERVICE, "PlatformVersion", "1.3.0"), set()),
    ("APP-04", "lab", lambda b: bastion(b).update(ReadonlyRootFilesystem=True), set()),
    ("APP-04", "lab", lambda b: app(b)["LinuxParameters"].pop("InitProcessEnabled"), set()),
    ("APP-04", "lab", lambda b: b.put(TASK, "PidMode", "task"), set()),
    ("APP-05", "lab", lambda b: b.statement(POLICY, "WriteSessionTranscripts")["Action"].remove("logs:PutLogEvents"), set()),
    ("APP-05", "lab", lambda b: b.statement(POLICY, "DecryptSessions").update(Action=["kms:DescribeKey"]), set()),
    ("APP-05", "lab", lambda b: b.drop("ECS::Cluster", "Configuration"), set()),
    ("APP-07", "lab", lambda b: bastion(b)["RestartPolicy"].update(RestartAttemptPeriod=10), set()),
    ("APP-07", "lab", lambda b: bastion(b).update(Essential=True), set()),
    ("APP-07", "lab", lambda b: app(b).update(Essential=False), set()),
    ("APP-08", "lab", lambda b: script(b, "exec sleep infinity", "wait"), set()),
    ("APP-08", "lab", lambda b: script(b, "relay() {", "set -e\nrelay() {"), set()),
    ("APP-08", "lab", lambda b: script(b, ",bind=127.0.0.1", ""), set()),
    ("APP-08", "lab", lambda b: [item.update(Value="db.example.com") for item in bastion(b)["Environment"]], set()),
    ("APP-09", "lab", lambda b: script(b, "13306", "8080"), set()),
    ("APP-09", "lab", lambda b: bastion(b).update(PortMappings=[{"ContainerPort": 13306}]), set()),
    ("APP-10", "lab", lambda b: app(b).update(Image="nginx:latest"), set()),
    ("APP-11", "lab", lambda b: b.statement(POLICY, "PullImages")["Action"].remove("ecr:BatchGetImage"), set()),
    ("APP-11", "lab", lambda b: b.statement(POLICY, "DecryptSecrets").update(Action=["kms:Encrypt"]), set()),
    ("APP-11", "lab", lambda b: b.drop(TASK, "ExecutionRoleArn"), set()),
    ("APP-11", "lab", lambda b: app(b)["Secrets"][0].update(ValueFrom={"Fn::Sub": "${DatabaseSecretArn}:username:"}), set()),
    ("APP-11", "lab", lambda b: app(b)["Secrets"][0].update(ValueFrom={"Fn::Sub": "${DatabaseSecretArn}:host::"}), set()),
    ("APP-12", "lab", lambda b: app(b)["LogConfiguration"]["Options"].update({"mode": "blocking"}), set()),
    ("APP-12", "lab", lambda b: app(b)["LogConfiguration"]["Options"].update({"awslogs-create-group": "true"}), set()),
    ("APP-13", "lab", lambda b: b.put(SERVICE, "LoadBalancers.0.ContainerName", "web"), set()),
    ("APP-13", "lab", lambda b: b.put(TARGET, "TargetType", "instance"), set()),
    ("APP-14", "lab", lambda b: b.one(SERVICE)["DependsOn"].remove(b.name_of(RULE, SECRET)), set()),
    ("APP-15", "lab", lambda b: b.drop(SERVICE, "DeploymentConfiguration.DeploymentCircuitBreaker"), set()),
    ("APP-15", "lab", lambda b: b.put(SERVICE, "DeploymentConfiguration.MaximumPercent", 100), set()),
    ("APP-37", "lab", lambda b: b.put(SERVICE, "DeploymentConfiguration.Alarms.AlarmNames.0", "errors"), set()),
    ("APP-37", "lab", lambda b: b.put(SERVICE, "DeploymentConfiguration.Alarms.Rollback", False), set()),
    ("APP-37", "lab", lambda b: b.drop(SERVICE, "DeploymentConfiguration.Alarms"), set()),
    ("APP-37", "lab", lambda b: b.put("CloudWatch::Alarm", "TreatMissingData", "breaching", has="portal-5xx"), set()),
    ("APP-16", "lab", lambda b: b.parameters.update(PortalMinTasks="1"), {"CF-21"}),
    ("APP-16", "lab", lambda b: b.parameters.update(PortalMinTasks="6"), {"CF-32"}),
    ("APP-17", "lab", lambda b: b.put(SERVICE, "CapacityProviderStrategy", [{"CapacityProvider": "FARGATE"}]), set()),
    ("APP-17", "lab", lambda b: b.drop(SERVICE, "PropagateTags"), set()),
    ("APP-19", "lab", lambda b: b.put(TARGET, "HealthCheckTimeoutSeconds", 15), set()),
    ("APP-19", "lab", lambda b: app(b).update(StopTimeout=300), set()),
    ("APP-19", "lab", lambda b: b.drop(TARGET, "Matcher"), set()),
    ("APP-20", "lab", lambda b: app(b).update(DependsOn=[{"ContainerName": "proxy", "Condition": "START"}]), set()),
    ("APP-20", "lab", lambda b: bastion(b)["HealthCheck"].update(Command=["true"]), set()),
    ("APP-21", "lab", lambda b: b.drop(LISTENER, "SslPolicy", has="SslPolicy"), set()),
    ("APP-21", "lab", lambda b: b.parameters.update(OriginCertificateArn="arn:aws:acm:us-east-1:111122223333:certificate/01234567-89ab-cdef-0123-456789abcdef"), {"CF-32"}),
    ("APP-22", "live", without_header, set()),
    ("APP-22", "lab", lambda b: b.put(LISTENER, "DefaultActions.0.FixedResponseConfig.StatusCode", "404", has="HTTPS\", \"SslPolicy"), set()),
    ("APP-22", "lab", lambda b: b.put(RULE, "Priority", 200, has=SECRET), set()),
    ("APP-23", "lab", lambda b: attribute(b, "drop_invalid_header_fields", "drop_invalid_headers"), set()),
    ("APP-23", "lab", lambda b: attribute(b, "defensive", "monitor"), set()),
    ("APP-24", "lab", lambda b: b.put("ECS::Cluster", "ClusterSettings.0.Value", "disabled"), set()),
    ("APP-24", "lab", lambda b: b.replace("Logs::LogGroup", "/performance", "/metrics"), set()),
    ("APP-25", "live", lambda b: b.drop("CertificateManager::Certificate", "DomainValidationOptions"), set()),
    ("APP-26", "lab", lambda b: b.put("ECR::Repository", "ImageTagMutability", "MUTABLE"), set()),
    ("APP-26", "lab", lifecycle, set()),
    ("APP-29", "lab", lambda b: b.put("ApplicationAutoScaling::ScalableTarget", "ResourceId", {"Ref": "Service"}), set()),
    ("APP-29", "lab", lambda b: b.replace("ApplicationAutoScaling::ScalingPolicy", "ECSServiceAverageCPUUtilization", "ECSServiceAverageCPU"), set()),
    ("APP-32", "lab", lambda b: b.put(LISTENER, "DefaultActions.0.RedirectConfig.Protocol", "HTTP", has="redirect"), set()),
    ("APP-33", "lab", without_bastion, set()),
    ("APP-34", "lab", lambda b: b.put(SERVICE, "DesiredCount", 2), set()),
    ("APP-35", "lab", lambda b: b.put(SERVICE, "TaskDefinition", "web:1"), {"SEC-24"}),
    ("APP-36", "lab", second_listener, set()),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "environment", "damage", "also"), CASES, ids=[case[0] for case in CASES])
def test_rule_fails(check: Any, rule: str, environment: str, damage: Any, also: set[str]) -> None:
    check(rule, environment, damage, also)


def test_every_guard_is_shown_to_fail(guards_of: Any) -> None:
    assert {case[0] for case in CASES} == guards_of(application, services, tasks)
