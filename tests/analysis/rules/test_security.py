"""Each rule of keys, groups, roles, buckets and the web ACL is shown to fail."""

# ruff: noqa: E501 -- one case on each line reads as a table

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from hosting.analysis.rules import buckets, roles, security

KEY, BUCKET, GROUP, ACL, ROLE, POLICY = (
    "KMS::Key", "S3::Bucket", "EC2::SecurityGroup", "WAFv2::WebACL", "IAM::Role", "IAM::ManagedPolicy",
)  # fmt: skip
TWO_LISTS = [
    {
        "IpProtocol": "tcp", "FromPort": port, "ToPort": port,
        "SourcePrefixListId": {"Ref": "CloudFrontPrefixListId"}, "Description": "CloudFront",
    }
    for port in (80, 443)
]  # fmt: skip
OPEN = [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": "0.0.0.0/0", "Description": "Everybody"}]


def index_of(b: Any, name: str) -> int:
    rules = b.one(ACL)["Properties"]["Rules"]
    return next(number for number, rule in enumerate(rules) if rule["Name"] == name)


def common(b: Any) -> dict[str, Any]:
    rule: dict[str, Any] = b.one(ACL)["Properties"]["Rules"][index_of(b, "AWSManagedRulesCommonRuleSet")]
    return rule


def tls_statement(b: Any) -> None:
    statements = b.one("S3::BucketPolicy", "StaticBucket")["Properties"]["PolicyDocument"]["Statement"]
    statements[:] = [item for item in statements if item["Effect"] != "Deny"]


def administer(b: Any) -> None:
    statements = b.one(KEY, "data")["Properties"]["KeyPolicy"]["Statement"]
    statements[:] = [item for item in statements if "kms:*" not in item["Action"]]


def in_clear(b: Any) -> None:
    container = b.one("ECS::TaskDefinition")["Properties"]["ContainerDefinitions"][0]
    container["Environment"].append({"Name": "API_TOKEN", "Value": "abc"})


def except_iam(b: Any) -> None:
    statement = {"Effect": "Allow", "NotAction": ["iam:*"], "Resource": {"Fn::GetAtt": ["FlowLogGroup", "Arn"]}}
    b.one(POLICY, "WriteFlowLog")["Properties"]["PolicyDocument"]["Statement"].append(statement)


def group_without_vpc(b: Any) -> None:
    b.put(GROUP, "VpcId", "vpc-12345678", has="-database")


def names(group: str) -> dict[str, Any]:
    """Return an inline rule that allows a group of the same template."""
    source = {"Fn::GetAtt": [group, "GroupId"]}
    ports = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}
    return {**ports, "SourceSecurityGroupId": source, "Description": "Its members"}


def inline_rule(b: Any, within: str, named: str) -> None:
    """One group names another, without being named itself."""
    b.one(GROUP, within)["Properties"]["SecurityGroupIngress"].append(names(b.name_of(GROUP, named)))


def circle(b: Any) -> None:
    """Two groups of one template that name each other."""
    inline_rule(b, '-alb"', '-alb-redirect"')
    inline_rule(b, '-alb-redirect"', '-alb"')


def sid(b: Any, kind: str, name: str, **changes: Any) -> None:
    b.statement(kind, name).update(changes)


def two_statements(b: Any) -> None:
    common(b)["Statement"]["GeoMatchStatement"] = {"CountryCodes": ["JP"]}


def costly_exclusions(b: Any) -> None:
    """Exclude one path after the other from a group, each with transformations of its own."""
    steps = [{"Priority": place, "Type": kind} for place, kind in enumerate(("URL_DECODE", "NORMALIZE_PATH"))]
    match = {"RegexString": "^/upload/", "FieldToMatch": {"UriPath": {}}, "TextTransformations": steps}
    statements = [{"RegexMatchStatement": match} for _ in range(20)]
    scope = {"NotStatement": {"Statement": {"OrStatement": {"Statements": statements}}}}
    common(b)["Statement"]["ManagedRuleGroupStatement"]["ScopeDownStatement"] = scope


def large_policy(b: Any) -> None:
    """Add statements that allow nothing new, until the policy is above the limit."""
    document = b.one("IAM::ManagedPolicy", has="WriteFlowLog")["Properties"]["PolicyDocument"]
    first = document["Statement"][0]
    document["Statement"] += [{**deepcopy(first), "Sid": f"Copy{number}"} for number in range(60)]


# Rule, environment, what breaks it, and the rules that cannot be kept apart from it.
CASES: list[tuple[str, str, Any, set[str]]] = [
    ("SEC-01", "lab", administer, set()),
    ("SEC-01", "lab", lambda b: b.drop(KEY, "EnableKeyRotation"), set()),
    ("SEC-02", "lab", lambda b: b.put("Logs::LogGroup", "KmsKeyId", {"Ref": "TelemetryKey"}, has="vpc-flow"), set()),
    ("SEC-02", "lab", lambda b: sid(b, KEY, "EncryptLogGroups", Principal={"Service": "logs.amazonaws.com"}), set()),
    ("SEC-03", "lab", lambda b: b.put("SNS::Topic", "KmsMasterKeyId", "alias/aws/sns", has="alarms"), set()),
    ("SEC-03", "lab", lambda b: b.replace(KEY, "cloudwatch.amazonaws.com", "cloudwatch2.amazonaws.com"), set()),
    ("SEC-04", "lab", lambda b: b.statement("SNS::TopicPolicy", "PublishAlarms").pop("Condition"), set()),
    ("SEC-04", "lab", lambda b: sid(b, "SNS::TopicPolicy", "PublishAlarms", Action=["sns:Subscribe"]), set()),
    ("SEC-05", "lab", circle, set()),
    ("SEC-05", "lab", lambda b: inline_rule(b, "-alb\"", "-alb\""), set()),
    ("SEC-06", "lab", lambda b: b.put(GROUP, "SecurityGroupIngress", TWO_LISTS, has="-alb\""), set()),
    ("SEC-07", "lab", lambda b: b.drop_rule("Egress", has="3306"), set()),
    ("SEC-07", "lab", lambda b: b.drop_rule("Ingress", has="AlbSecurityGroupId"), set()),
    ("SEC-07", "lab", lambda b: b.put(GROUP, "SecurityGroupEgress.0.CidrIp", "10.44.0.0/16", has="HTTPS to AWS"), set()),
    ("SEC-09", "lab", lambda b: b.put(ACL, "Scope", "REGIONAL"), set()),
    ("SEC-09", "lab", lambda b: b.drop("CloudFront::Distribution", "DistributionConfig.WebACLId"), set()),
    ("SEC-10", "lab", lambda b: common(b).update(Action={"Block": {}}), set()),
    ("SEC-10", "lab", lambda b: common(b).update(Priority=0), set()),
    ("SEC-10", "lab", lambda b: common(b)["Statement"]["ManagedRuleGroupStatement"].update(Name="AWSManagedCommon"), set()),
    ("SEC-10", "lab", lambda b: b.put(ACL, "DefaultAction", {"Block": {}}), set()),
    ("SEC-10", "lab", costly_exclusions, set()),
    ("SEC-11", "lab", lambda b: common(b)["Statement"]["ManagedRuleGroupStatement"].pop("RuleActionOverrides"), set()),
    ("SEC-12", "lab", lambda b: b.put("WAFv2::LoggingConfiguration", "LogDestinationConfigs", [{"Fn::GetAtt": ["WafLogGroup", "Arn"]}]), set()),
    ("SEC-12", "lab", lambda b: b.replace("Logs::LogGroup", "aws-waf-logs-", "waf-logs-"), set()),
    ("SEC-12", "lab", lambda b: b.remove("WAFv2::LoggingConfiguration"), set()),
    ("SEC-14", "lab", lambda b: b.replace("S3::BucketPolicy", "/AWSLogs/", "/logs/"), set()),
    ("SEC-14", "lab", lambda b: b.replace(BUCKET, "AES256", "aws:kms", has="alb-logs"), set()),
    ("SEC-15", "lab", lambda b: sid(b, POLICY, "WritePages", Resource=[{"Fn::GetAtt": ["StaticBucket", "Arn"]}]), set()),
    ("SEC-16", "live", lambda b: b.parameters.update(ArchiveGlacierDays="500"), {"CF-21", "CF-32"}),
    ("SEC-16", "lab", lambda b: b.drop(BUCKET, "LifecycleConfiguration.Rules.0.AbortIncompleteMultipartUpload"), set()),
    ("SEC-16", "lab", lambda b: b.drop(BUCKET, "LifecycleConfiguration.TransitionDefaultMinimumObjectSize", has="GLACIER"), set()),
    ("SEC-17", "lab", lambda b: b.replace(ROLE, "ecs-tasks.amazonaws.com", "ecs-task.amazonaws.com"), set()),
    ("SEC-17", "lab", lambda b: b.drop(ROLE, "AssumeRolePolicyDocument.Statement.0.Condition", has="ecs-tasks"), set()),
    ("SEC-19", "lab", tls_statement, set()),
    ("SEC-20", "lab", lambda b: b.put(BUCKET, "PublicAccessBlockConfiguration.BlockPublicPolicy", False), set()),
    ("SEC-20", "lab", lambda b: b.drop(BUCKET, "OwnershipControls"), set()),
    ("SEC-21", "lab", lambda b: b.replace(ROLE, "policy/service-role/AmazonRDS", "policy/AmazonRDS"), {"DB-10"}),
    ("SEC-40", "lab", two_statements, set()),
    ("SEC-40", "lab", lambda b: common(b)["Statement"]["ManagedRuleGroupStatement"].update(ScopeDownStatement={}), set()),
    ("SEC-41", "lab", large_policy, set()),
    ("SEC-22", "lab", lambda b: b.statement(POLICY, "WriteOwnLogs").update(Action=["logs:*"]), {"OPS-11"}),
    ("SEC-22", "lab", lambda b: b.statement(POLICY, "ReadDatabaseSecret").update(Resource=["*"]), {"APP-11", "STO-06"}),
    ("SEC-22", "lab", except_iam, set()),
    ("SEC-23", "lab", lambda b: b.one(GROUP, "-alb\"")["Properties"]["SecurityGroupIngress"].extend(OPEN), set()),
    ("SEC-23", "lab", lambda b: b.drop("ElasticLoadBalancingV2::LoadBalancer", "SecurityGroups.1"), set()),
    ("SEC-24", "lab", lambda b: b.put(ROLE, "ManagedPolicyArns", [{"Fn::Sub": "arn:${AWS::Partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"}], has="lambda"), set()),
    ("SEC-24", "lab", lambda b: b.statement(POLICY, "WriteOwnLogs")["Action"].append("ssmmessages:OpenDataChannel"), set()),
    ("SEC-25", "lab", in_clear, set()),
    ("SEC-26", "lab", lambda b: b.put("SecretsManager::Secret", "GenerateSecretString.ExcludePunctuation", False), set()),
    ("SEC-27", "lab", group_without_vpc, set()),
    ("SEC-28", "lab", lambda b: b.replace(ROLE, "vpc-flow-log/*", "log-group:*"), set()),
    ("SEC-28", "lab", lambda b: b.put(ROLE, "AssumeRolePolicyDocument.Statement.0.Condition", {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}, has="firehose"), set()),
    ("SEC-29", "lab", lambda b: b.put("SQS::Queue", "KmsMasterKeyId", "alias/aws/sqs"), set()),
    ("SEC-30", "lab", lambda b: b.statement("S3::BucketPolicy", "WriteServerAccessLogs").update(Action=["s3:GetObject"]), set()),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "environment", "damage", "also"), CASES, ids=[case[0] for case in CASES])
def test_rule_fails(check: Any, rule: str, environment: str, damage: Any, also: set[str]) -> None:
    check(rule, environment, damage, also)


def test_every_guard_is_shown_to_fail(guards_of: Any) -> None:
    assert {case[0] for case in CASES} == guards_of(buckets, roles, security)


def test_a_group_may_name_another_that_does_not_name_it(untouched: Any) -> None:
    inline_rule(untouched, '-alb"', '-alb-redirect"')
    assert "SEC-05" not in untouched.found()
