"""Each rule of CloudFormation's own rules is shown to fail."""

# ruff: noqa: E501 -- one case on each line reads as a table

from __future__ import annotations

from typing import Any

import pytest

from hosting.analysis.rules import cloudformation, nesting

STACK = "CloudFormation::Stack"
SECRET = "{{resolve:secretsmanager:arn:SecretString}}"
LONG = "x" * 5000


def select_wired(b: Any) -> None:
    b.put("ECS::Service", "NetworkConfiguration.AwsvpcConfiguration.Subnets.0", {"Fn::Select": [0, {"Fn::Split": [",", {"Ref": "AppSubnet1Id"}]}]})  # fmt: skip


def condition_on_wired(b: Any) -> None:
    b.bodies["workload-orders.json"]["Conditions"]["Odd"] = {"Fn::Equals": [{"Ref": "VpcId"}, ""]}


def conditional_output(b: Any) -> None:
    b.bodies["database.json"]["Outputs"]["DbClusterId"]["Condition"] = "IsServerless"


def read_missing_output(b: Any) -> None:
    b.replace(STACK, "Outputs.VpcId", "Outputs.VpcNumber", has="SecurityTemplateKey")


def needs_more(b: Any) -> None:
    b.bodies["security.json"]["Parameters"]["Depth"] = {"Type": "String"}


def alias_without_prefix(b: Any) -> None:
    b.put("KMS::Alias", "AliasName", "alias/data")


def export(b: Any) -> None:
    b.bodies["network.json"]["Outputs"]["VpcId"]["Export"] = {"Name": "vpc"}


def secret_output(b: Any) -> None:
    b.bodies["egress.json"]["Outputs"]["NatGateway1Id"]["Value"] = SECRET


def broken_down_the_line(b: Any) -> None:
    """A constraint of a nested stack on what the root passes to it."""
    b.bodies["network.json"]["Parameters"]["VpcNetwork"]["AllowedPattern"] = "172.*"


# Rule, environment, what breaks it, and the rules that cannot be kept apart from it.
CASES: list[tuple[str, str, Any, set[str]]] = [
    ("CF-01", "lab", lambda b: b.bodies["workload-orders.json"]["Parameters"]["VpcId"].update(Type="AWS::EC2::VPC::Id"), set()),
    ("CF-01", "lab", lambda b: b.bodies["workload-orders.json"]["Parameters"]["VpcId"].update(AllowedPattern="vpc-.*"), set()),
    ("CF-02", "lab", select_wired, set()),
    ("CF-03", "lab", condition_on_wired, set()),
    ("CF-04", "lab", export, set()),
    ("CF-04", "lab", lambda b: b.put("Logs::LogGroup", "Tags", [{"Key": "a", "Value": {"Fn::ImportValue": "x"}}]), set()),
    ("CF-05", "lab", lambda b: b.put(STACK, "Parameters.Prefix", {"Ref": "ServiceIsNew"}), {"CF-14"}),
    ("CF-06", "lab", lambda b: b.put(STACK, "Parameters.Nonsense", "x", has="SecurityTemplateKey"), set()),
    ("CF-06", "lab", needs_more, set()),
    ("CF-08", "lab", lambda b: b.put(STACK, "TemplateURL", {"Fn::Sub": "s3://bucket/${NetworkTemplateKey}"}, has="NetworkTemplateKey"), set()),
    ("CF-08", "lab", lambda b: b.put(STACK, "Parameters.AlbFullName", LONG, has="OrdersCpu"), {"CF-21"}),
    ("CF-09", "lab", lambda b: b.put("Lambda::Function", "Code.S3Key", "lambda/latest.zip"), set()),
    ("CF-10", "lab", lambda b: b.bodies["network.json"].update(Transform="AWS::LanguageExtensions"), set()),
    ("CF-10", "lab", lambda b: b.put("Logs::LogGroup", "/DeletionPolicy", {"Ref": "Prefix"}), set()),
    ("CF-11", "lab", lambda b: b.drop("S3::Bucket", "/DeletionPolicy", has="artifacts/"), set()),
    ("CF-11", "lab", lambda b: b.put("RDS::DBCluster", "/UpdateReplacePolicy", "Delete"), set()),
    ("CF-12", "lab", lambda b: b.put("KMS::Key", "/DeletionPolicy", "Delete", has="${Prefix}-data"), {"CF-11"}),
    ("CF-13", "lab", lambda b: b.put("IAM::Role", "RoleName", "task"), set()),
    ("CF-14", "lab", alias_without_prefix, set()),
    ("CF-14", "lab", lambda b: b.put("CloudWatch::Alarm", "AlarmName", {"Fn::Sub": "${Prefix}-portal-cpu"}, has="orders-cpu"), set()),
    ("CF-15", "lab", lambda b: b.put("EC2::SecurityGroup", "GroupDescription", "caf\u00e9"), {"CF-26"}),
    ("CF-16", "lab", lambda b: b.put("Custom::SiteContent", "BucketName", SECRET), set()),
    ("CF-17", "lab", lambda b: b.drop("EC2::FlowLog", "/DependsOn"), set()),
    ("CF-18", "lab", secret_output, set()),
    ("CF-19", "lab", lambda b: b.put("EC2::Subnet", "AvailabilityZone", {"Fn::Select": [0, {"Fn::GetAZs": ""}]}), {"NET-07"}),
    ("CF-20", "lab", conditional_output, set()),
    ("CF-21", "lab", lambda b: b.parameters.update(PortalCpu="256", PortalMemory="4096"), {"APP-01"}),
    ("CF-21", "lab", broken_down_the_line, set()),
    ("CF-22", "lab", lambda b: b.put("CloudFront::Distribution", "DistributionConfig.Comment", "x" * 129), set()),
    ("CF-23", "lab", lambda b: b.put("CloudWatch::Dashboard", "DashboardBody", {"Fn::Sub": "{\"widgets\": [${Prefix}]}"}), set()),
    ("CF-24", "lab", lambda b: b.put("Events::Rule", "EventPattern.source", "aws.ecs", has="EventPattern"), set()),
    ("CF-25", "lab", lambda b: b.put("RDS::DBCluster", "DBClusterIdentifier", {"Fn::Sub": "${Prefix}-Orders"}), {"DB-06"}),
    ("CF-25", "lab", lambda b: b.put("RDS::DBCluster", "DBClusterIdentifier", {"Fn::Sub": "${Prefix}--db"}), {"DB-06"}),
    ("CF-26", "lab", lambda b: b.rule("Ingress", has="Alb").update(Description={"Fn::Sub": "alb -> ${Prefix}"}), set()),
    ("CF-27", "lab", lambda b: b.parameters.update(SecondZone="us-east-1c"), {"CF-32"}),
    ("CF-32", "lab", lambda b: b.parameters.update(DbMinCapacity="8", DbMaxCapacity="2"), {"DB-02"}),
    ("CF-32", "live", lambda b: b.parameters.update(OrdersMinTasks="20"), {"APP-16"}),
    ("CF-28", "lab", read_missing_output, {"NET-10", "SEC-27", "CF-31"}),
    ("CF-29", "lab", lambda b: b.bodies["root.json"]["Resources"].update(Odd={"Type": "AWS::CloudFormation::WaitConditionHandle"}), set()),
    ("CF-30", "lab", lambda b: b.put(STACK, "TimeoutInMinutes", 15), set()),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "environment", "damage", "also"), CASES, ids=[case[0] for case in CASES])
def test_rule_fails(check: Any, rule: str, environment: str, damage: Any, also: set[str]) -> None:
    check(rule, environment, damage, also)


def test_every_guard_is_shown_to_fail(guards_of: Any) -> None:
    assert {case[0] for case in CASES} == guards_of(cloudformation, nesting)
