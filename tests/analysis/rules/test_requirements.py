"""Each requirement of the platform is shown to fail on templates that do not meet it."""

# ruff: noqa: E501 -- one case on each line reads as a table

from __future__ import annotations

import json
from typing import Any

import pytest

from hosting.analysis.rules import requirements

VPC, SUBNET, ROUTE, ENDPOINT = "EC2::VPC", "EC2::Subnet", "EC2::Route", "EC2::VPCEndpoint"
CLUSTER, SERVICE, TASK = "ECS::Cluster", "ECS::Service", "ECS::TaskDefinition"
DATABASE, INSTANCE, INGRESS = "RDS::DBCluster", "RDS::DBInstance", "EC2::SecurityGroupIngress"
BALANCER, LISTENER = "ElasticLoadBalancingV2::LoadBalancer", "ElasticLoadBalancingV2::Listener"
SITE, ACL, BUCKET = "CloudFront::Distribution", "WAFv2::WebACL", "S3::Bucket"
FUNCTION = "Lambda::Function"


def container(b: Any, name: str) -> dict[str, Any]:
    """Return a container of the task definition."""
    found: dict[str, Any] = next(
        item for item in b.one(TASK)["Properties"]["ContainerDefinitions"] if item["Name"] == name
    )
    return found


def one_zone(b: Any) -> None:
    for subnet in b.every(SUBNET):
        subnet["Properties"]["AvailabilityZone"] = "ap-northeast-1c"


def swap_network(b: Any, tier: str, size: int) -> None:
    """Give the first subnet of a tier a network of another size."""
    b.put(SUBNET, "CidrBlock", f"10.44.200.0/{size}", has=tier)


def share_task(b: Any) -> None:
    for service in b.every(SERVICE):
        service["Properties"]["TaskDefinition"] = "arn:aws:ecs:ap-northeast-1:123456789012:task-definition/shared:1"


def without_waf_group(b: Any, name: str) -> None:
    rules = b.one(ACL)["Properties"]["Rules"]
    rules[:] = [item for item in rules if name not in json.dumps(item)]


def relay_elsewhere(b: Any) -> None:
    next(item for item in container(b, "bastion")["Environment"] if item["Name"] == "DB_HOST")["Value"] = (
        "db.example.com"
    )


def one_task(b: Any) -> None:
    b.put("ApplicationAutoScaling::ScalableTarget", "MinCapacity", 1)


def function_without_package(b: Any) -> None:
    b.put(FUNCTION, "Code.S3Key", "functions/other/0123.zip", has="LogProcessorCodeKey")


def early_layer(b: Any) -> None:
    """Let the database take a value of the application."""
    stack = b.bodies["root.json"]["Resources"]["DatabaseStack"]["Properties"]["Parameters"]
    stack["Prefix"] = {"Fn::GetAtt": ["ApplicationStack", "Outputs.ClusterName"]}


# Rule, environment, what breaks it, and the requirements that cannot be kept apart from it.
CASES: list[tuple[str, str, Any, set[str]]] = [
    ("REQ-N1", "lab", lambda b: b.put(VPC, "CidrBlock", "10.44.0.0/20"), set()),
    ("REQ-N1", "lab", lambda b: b.put(VPC, "CidrBlock", "8.8.0.0/16"), set()),
    ("REQ-N1", "lab", one_zone, {"REQ-N2", "REQ-N3"}),
    ("REQ-N2", "lab", lambda b: swap_network(b, "-public-", 23), set()),
    ("REQ-N2", "lab", lambda b: swap_network(b, "-app-", 24), set()),
    ("REQ-N2", "lab", lambda b: swap_network(b, "-db-", 23), set()),
    ("REQ-N3", "lab", lambda b: b.remove(ROUTE, has="NatGateway"), set()),
    ("REQ-N3", "lab", lambda b: b.put(ROUTE, "NatGatewayId", {"Ref": "NatGateway2"}, has="NatGateway1"), set()),
    ("REQ-N3", "lab", lambda b: b.add(VPC, "Second", {"Type": "AWS::EC2::InternetGateway"}), set()),
    ("REQ-N4", "lab", lambda b: b.remove(ENDPOINT, has="ssmmessages"), set()),
    ("REQ-N4", "lab", lambda b: b.put(ENDPOINT, "VpcEndpointType", "Interface", has="Gateway"), set()),
    ("REQ-C1", "lab", lambda b: b.put(CLUSTER, "ClusterSettings", [{"Name": "containerInsights", "Value": "disabled"}]), set()),
    ("REQ-C1", "lab", lambda b: b.put(SERVICE, "LaunchType", "EC2"), set()),
    ("REQ-C1", "lab", lambda b: b.put("ECS::ClusterCapacityProviderAssociations", "CapacityProviders", ["own"]), set()),
    ("REQ-C2", "lab", lambda b: b.drop(TASK, "Memory"), set()),
    ("REQ-C3", "lab", lambda b: container(b, "app").update(Essential=False), set()),
    ("REQ-C3", "lab", lambda b: container(b, "bastion").update(Essential=True), set()),
    ("REQ-C3", "lab", lambda b: container(b, "bastion").update(Command=["sleep infinity"]), set()),
    ("REQ-C3", "lab", relay_elsewhere, set()),
    ("REQ-C4", "lab", share_task, set()),
    ("REQ-C5", "lab", lambda b: b.replace("IAM::Role", "AmazonSSMManagedInstanceCore", "AWSHealthFullAccess"), set()),
    ("REQ-C6", "lab", lambda b: b.put(SERVICE, "EnableExecuteCommand", False), set()),
    ("REQ-C6", "lab", lambda b: b.put(SERVICE, "DesiredCount", 1), set()),
    ("REQ-C6", "lab", one_task, set()),
    ("REQ-D1", "lab", lambda b: b.put(DATABASE, "Engine", "aurora-postgresql"), set()),
    ("REQ-D1", "lab", lambda b: b.remove(INSTANCE), set()),
    ("REQ-D2", "lab", lambda b: b.put(INGRESS, "ToPort", 3307, has="DatabaseSecurityGroupId"), set()),
    ("REQ-D2", "lab", lambda b: b.put(INGRESS, "SourceSecurityGroupId", "sg-0123456789abcdef0", has="DatabaseSecurityGroupId"), set()),
    ("REQ-D2", "lab", lambda b: b.put(INSTANCE, "PubliclyAccessible", True), set()),
    ("REQ-D3", "lab", lambda b: b.put(DATABASE, "StorageEncrypted", False), set()),
    ("REQ-D3", "lab", lambda b: b.drop(DATABASE, "ManageMasterUserPassword"), set()),
    ("REQ-D3", "lab", lambda b: b.put(DATABASE, "MasterUserPassword", "not-a-secret"), set()),
    ("REQ-S1", "lab", lambda b: b.put(BALANCER, "Scheme", "internal"), set()),
    ("REQ-S1", "lab", lambda b: b.put(LISTENER, "DefaultActions.0.RedirectConfig.Protocol", "HTTP", has="RedirectConfig"), set()),
    ("REQ-S2", "lab", lambda b: b.replace(SITE, "/static/*", "/assets/*"), set()),
    ("REQ-S2", "lab", lambda b: b.replace(SITE, "/sorry/index.html", "/error.html"), set()),
    ("REQ-S3", "lab", lambda b: b.replace("S3::BucketPolicy", "cloudfront.amazonaws.com", "ec2.amazonaws.com"), set()),
    ("REQ-S4", "lab", lambda b: without_waf_group(b, "AWSManagedRulesCommonRuleSet"), set()),
    ("REQ-S4", "lab", lambda b: b.drop(SITE, "DistributionConfig.WebACLId"), set()),
    ("REQ-O1", "lab", lambda b: container(b, "app").update(LogConfiguration={}), set()),
    ("REQ-O1", "lab", lambda b: b.drop(DATABASE, "EnableCloudwatchLogsExports"), set()),
    ("REQ-O1", "lab", lambda b: b.put("EC2::FlowLog", "TrafficType", "REJECT"), set()),
    ("REQ-O2", "lab", lambda b: b.drop("Logs::LogGroup", "RetentionInDays"), set()),
    ("REQ-O2", "lab", lambda b: b.replace(BUCKET, '"GLACIER"', '"STANDARD_IA"'), set()),
    ("REQ-O3", "lab", lambda b: b.drop("CloudWatch::Alarm", "AlarmActions"), set()),
    ("REQ-O4", "lab", function_without_package, set()),
    ("REQ-O4", "lab", lambda b: b.put(FUNCTION, "Runtime", "nodejs22.x"), set()),
    ("REQ-L1", "lab", early_layer, set()),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "environment", "damage", "also"), CASES)
def test_a_requirement_fails_on_templates_that_do_not_meet_it(
    check: Any, rule: str, environment: str, damage: Any, also: set[str]
) -> None:
    check(rule, environment, damage, also)


def test_every_requirement_is_shown_to_fail(guards_of: Any) -> None:
    assert {case[0] for case in CASES} == guards_of(requirements)
