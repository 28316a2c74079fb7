"""Each rule of what strict reviewers ask is shown to fail."""

# ruff: noqa: E501 -- one case on each line reads as a table

from __future__ import annotations

from typing import Any

import pytest

from hosting.analysis.rules import hardening

TASK, KEY, LOG = "ECS::TaskDefinition", "KMS::Key", "WAFv2::LoggingConfiguration"
DEFAULT_GROUP = {"Fn::GetAtt": ["Vpc", "DefaultSecurityGroup"]}


def app(b: Any) -> dict[str, Any]:
    found: dict[str, Any] = b.one(TASK)["Properties"]["ContainerDefinitions"][0]
    return found


def without_deny(b: Any, kind: str, has: str = "") -> None:
    statements = b.one(kind, has)["Properties"]["PolicyDocument"]["Statement"]
    statements[:] = [item for item in statements if item["Effect"] != "Deny"]


def only_one_condition(b: Any) -> None:
    """Then AWS's own calls for a key in use would be denied, or a user's direct call allowed."""
    del b.statement(KEY, "DenyGrantsToOthers")["Condition"]["BoolIfExists"]["aws:PrincipalIsAWSService"]


def admit(b: Any, kind: str, path: str, action: str, resource: Any, has: str = "") -> None:
    """Return a statement that allows all accounts."""
    statement = {"Effect": "Allow", "Principal": "*", "Action": action, "Resource": resource}
    b.one(kind, has)["Properties"][path]["Statement"].append(statement)


def of_service(b: Any) -> int:
    """Return the number of the statement that allows SNS in the policy of the home region's queue."""
    found = b.one("SQS::QueuePolicy", has="KeepUndeliveredNotices")["Properties"]["PolicyDocument"]["Statement"]
    return next(number for number, item in enumerate(found) if item.get("Sid") == "KeepUndeliveredNotices")


def open_secret(b: Any) -> None:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": "secretsmanager:GetSecretValue",
        "Resource": "*",
    }
    policy = {
        "SecretId": {"Ref": "OriginSecret"},
        "ResourcePolicy": {"Version": "2012-10-17", "Statement": [statement]},
    }
    b.add("SecretsManager::Secret", "Open", {"Type": "AWS::SecretsManager::ResourcePolicy", "Properties": policy})


# Rule, environment, what breaks it, and the rules that cannot be kept apart from it.
CASES: list[tuple[str, str, Any, set[str]]] = [
    ("SEC-31", "lab", lambda b: app(b).update(User="0:0"), set()),
    ("SEC-31", "lab", lambda b: app(b).update(User="node"), set()),
    ("SEC-31", "lab", lambda b: app(b).pop("User"), set()),
    ("SEC-31", "lab", lambda b: app(b).pop("Memory"), set()),
    ("SEC-31", "lab", lambda b: app(b).update(ReadonlyRootFilesystem=False), set()),
    ("SEC-31", "lab", lambda b: app(b).update(Privileged=True), set()),
    ("SEC-32", "lab", lambda b: b.drop("EC2::VPCEndpoint", "SecurityGroupIds", has="ecr.api"), {"NET-04"}),
    ("SEC-32", "lab", lambda b: b.bodies["network.json"]["Outputs"]["EndpointSecurityGroupId"].update(Value=DEFAULT_GROUP), {"NET-04"}),
    ("SEC-33", "lab", lambda b: without_deny(b, "SNS::TopicPolicy", "ChatTopic"), set()),
    ("SEC-33", "lab", lambda b: without_deny(b, "SQS::QueuePolicy"), set()),
    ("SEC-34", "lab", lambda b: b.statement(KEY, "DenyGrantsToOthers").update(Action=["kms:RevokeGrant"]), set()),
    ("SEC-34", "lab", only_one_condition, set()),
    ("SEC-35", "lab", lambda b: b.drop(LOG, "RedactedFields"), set()),
    ("SEC-35", "lab", lambda b: b.put(LOG, "RedactedFields", [{"SingleHeader": {"Name": "cookie"}}]), set()),
    ("SEC-36", "lab", lambda b: admit(b, "S3::BucketPolicy", "PolicyDocument", "s3:GetObject", {"Fn::Sub": "${StaticBucket.Arn}/*"}, has="StaticBucket"), set()),
    ("SEC-36", "lab", lambda b: admit(b, KEY, "KeyPolicy", "kms:Decrypt", "*"), set()),
    ("SEC-36", "lab", open_secret, set()),
    ("SEC-36", "lab", lambda b: b.drop("SQS::QueuePolicy", f"PolicyDocument.Statement.{of_service(b)}.Condition", has="KeepUndeliveredNotices"), set()),
    ("SEC-37", "lab", lambda b: b.rule("Ingress", has="CloudFrontPrefixListId").pop("Description"), set()),
    ("SEC-37", "lab", lambda b: b.drop("EC2::SecurityGroup", "SecurityGroupEgress", has="-database"), set()),
    ("SEC-38", "lab", lambda b: b.drop("Logs::LogGroup", "KmsKeyId"), set()),
    ("SEC-38", "lab", lambda b: b.drop("SNS::Topic", "KmsMasterKeyId"), set()),
    ("SEC-38", "lab", lambda b: b.drop("SQS::Queue", "KmsMasterKeyId"), set()),
    ("SEC-39", "lab", lambda b: b.put("RDS::DBCluster", "EnableIAMDatabaseAuthentication", False), set()),
    ("SEC-39", "lab", lambda b: b.drop("RDS::DBCluster", "CopyTagsToSnapshot"), set()),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "environment", "damage", "also"), CASES, ids=[case[0] for case in CASES])
def test_rule_fails(check: Any, rule: str, environment: str, damage: Any, also: set[str]) -> None:
    check(rule, environment, damage, also)


def test_every_guard_is_shown_to_fail(guards_of: Any) -> None:
    assert {case[0] for case in CASES} == guards_of(hardening)
