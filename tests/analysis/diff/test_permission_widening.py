"""Who may do more: policies, rules, attachments and switches."""

from __future__ import annotations

from typing import Any

import pytest

from hosting.analysis.diff.permission_widening import compare_resource
from hosting.analysis.diff.statements import compare_policies, matches
from hosting.analysis.diff.traffic import TrafficRule, compare_rules, read_rules

ROLE = "AWS::IAM::Role"
GROUP = "AWS::EC2::SecurityGroup"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


def allow(action: Any, resource: Any = "arn:a", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return allow(action, resource, **more) | {"Effect": "Deny"}


def document(*statements: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def reasons(before: list[Any], after: list[Any]) -> list[str]:
    lines = compare_policies([document(*before)], [document(*after)])
    return [line.broader for line in lines if line.broader]


ACCOUNT = {"StringEquals": {"aws:SourceAccount": "111122223333"}}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([], [allow("s3:GetObject")], ["new statement"]),
        ([allow("s3:GetObject")], [], []),
        ([allow("s3:GetObject")], [allow(["s3:GetObject", "s3:PutObject"])], ["new action s3:PutObject"]),
        ([allow("s3:Get*")], [allow("s3:GetObject")], []),
        ([allow("s3:GetObject")], [allow("s3:Get*")], ["new action s3:Get*"]),
        ([allow("s3:GetObject", "arn:a/x")], [allow("s3:GetObject", "arn:a/*")], ["new resource arn:a/*"]),
        ([allow("s3:GetObject", "arn:a/*")], [allow("s3:GetObject", "arn:a/x")], []),
        # A statement of another name, two out of one, one out of two: the same is allowed.
        ([allow("s3:GetObject", Sid="One")], [allow("s3:GetObject", Sid="Two")], []),
        ([allow(["a:x", "a:y"])], [allow("a:x"), allow("a:y")], []),
        ([allow("a:x"), allow("a:y")], [allow(["a:x", "a:y"])], []),
        # Conditions.
        (
            [allow("a:x", Condition=ACCOUNT)],
            [allow("a:x")],
            ["condition removed: StringEquals aws:SourceAccount 111122223333"],
        ),
        ([allow("a:x")], [allow("a:x", Condition=ACCOUNT)], []),
        (
            [allow("a:x", Condition={"ArnLike": {"aws:SourceArn": "arn:b"}})],
            [allow("a:x", Condition={"ArnLike": {"aws:SourceArn": "arn:*"}})],
            ["condition loosened: ArnLike aws:SourceArn arn:b -> ArnLike aws:SourceArn arn:*"],
        ),
        (
            [allow("a:x", Condition={"StringNotEquals": {"k": ["1", "2"]}})],
            [allow("a:x", Condition={"StringNotEquals": {"k": ["1"]}})],
            ["condition loosened: StringNotEquals k 1, 2 -> StringNotEquals k 1"],
        ),
        # Principals.
        (
            [allow("a:x", Principal={"Service": "ecs.amazonaws.com"}, Sid="S")],
            [allow("a:x", Principal="*", Sid="S")],
            ["new principal AWS:*"],
        ),
        # Denials.
        ([deny("a:*")], [], ["no longer denied"]),
        ([deny("a:*")], [deny("a:x")], ["denies less than before"]),
        ([deny("a:x")], [deny("a:*")], []),
        # A negation covers only itself.
        ([allow("a:x")], [{"Effect": "Allow", "NotAction": "a:x", "Resource": "arn:a"}], ["new action NotAction:a:x"]),
    ],
)
def test_policies(before: list[Any], after: list[Any], expected: list[str]) -> None:
    assert reasons(before, after) == expected


def test_everything_for_anybody_is_severe() -> None:
    (line,) = compare_policies([], [document(allow("*", "*"))])
    assert line.severe
    (line,) = compare_policies([], [document(allow("s3:GetObject", Principal="*"))])
    assert line.severe
    (line,) = compare_policies([], [document(allow("s3:GetObject"))])
    assert not line.severe


def test_what_is_known_only_later_is_taken_for_what_it_was() -> None:
    assert matches("arn:aws:s3:::bucket", "{{changeSet:KNOWN_AFTER_APPLY}}")
    assert matches("arn:bucket/*", "{{IntrinsicFunction:root/A.Outputs.B/Fn::GetAtt}}/*")
    assert not matches("arn:bucket", "{{changeSet:KNOWN_AFTER_APPLY}}/*")


def test_attached_policies_of_aws() -> None:
    (line,) = compare_resource(ROLE, {}, {"ManagedPolicyArns": [ADMINISTRATOR]})
    assert (line.sign, line.severe) == ("+", True)
    assert "AdministratorAccess" in line.broader
    (line,) = compare_resource(ROLE, {"ManagedPolicyArns": [ADMINISTRATOR]}, {})
    assert (line.sign, line.broader) == ("-", "")


def test_a_boundary_removed() -> None:
    (line,) = compare_resource(ROLE, {"PermissionsBoundary": "arn:b"}, {"Path": "/"})
    assert line.broader == "permissions boundary removed"


def test_a_permission_without_its_source() -> None:
    kind = "AWS::Lambda::Permission"
    given = {"Action": "lambda:InvokeFunction", "FunctionName": "f", "Principal": "events.amazonaws.com"}
    (line,) = compare_resource(kind, {**given, "SourceArn": "arn:rule"}, given)
    assert line.broader == "condition removed: ArnLike aws:SourceArn arn:rule"


@pytest.mark.parametrize(
    ("kind", "before", "after", "meaning"),
    [
        (
            "AWS::S3::Bucket",
            {"PublicAccessBlockConfiguration": {"BlockPublicPolicy": True}},
            {"PublicAccessBlockConfiguration": {"BlockPublicPolicy": False}},
            "a public policy is possible",
        ),
        ("AWS::RDS::DBInstance", {"PubliclyAccessible": "false"}, {"PubliclyAccessible": "true"}, "reachable"),
        ("AWS::EC2::Subnet", {"MapPublicIpOnLaunch": False}, {"MapPublicIpOnLaunch": True}, "public address"),
    ],
)
def test_switches(kind: str, before: dict[str, Any], after: dict[str, Any], meaning: str) -> None:
    (line,) = compare_resource(kind, before, after)
    assert line.severe
    assert meaning in line.broader
    assert not [line for line in compare_resource(kind, after, before) if line.broader]


def rule(peer: str, first: int = 443, last: int = 443, protocol: str = "tcp", *, incoming: bool = True) -> TrafficRule:
    return TrafficRule(incoming, protocol, first, last, peer)


@pytest.mark.parametrize(
    ("before", "after", "broader"),
    [
        ([], [rule("10.0.0.0/16")], ["new ingress"]),
        ([], [rule("0.0.0.0/0")], ["open to the internet"]),
        ([], [rule("0.0.0.0/0", incoming=False)], ["new egress"]),
        ([rule("10.0.0.0/16")], [rule("10.0.1.0/24")], []),
        ([rule("10.0.1.0/24")], [rule("10.0.0.0/16")], ["new ingress"]),
        ([rule("sg-1", 0, 65535)], [rule("sg-1")], []),
        ([rule("sg-1")], [rule("sg-1", 442, 443)], ["new ingress"]),
        ([rule("sg-1", 0, 65535, "all")], [rule("sg-1", protocol="udp")], []),
        ([rule("sg-1")], [rule("sg-2")], ["new ingress"]),
        ([rule("sg-1")], [], []),
    ],
)
def test_rules(before: list[TrafficRule], after: list[TrafficRule], broader: list[str]) -> None:
    assert [line.broader for line in compare_rules(before, after) if line.broader] == broader


def test_a_group_without_rules_allows_all_egress() -> None:
    inside = [{"IpProtocol": "-1", "CidrIp": "127.0.0.1/32"}]
    lines = compare_resource(GROUP, {"SecurityGroupEgress": inside}, {"GroupDescription": "x"})
    assert [line.text for line in lines if line.broader] == ["everything to 0.0.0.0/0"]
    assert read_rules(GROUP, {"SecurityGroupEgress": inside}) == [rule("127.0.0.1/32", 0, 65535, "all", incoming=False)]


def test_a_description_opens_nothing() -> None:
    old = {"SecurityGroupIngress": [{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "CidrIp": "10.0.0.0/8"}]}
    new = {"SecurityGroupIngress": [{**old["SecurityGroupIngress"][0], "Description": "x"}]}
    assert compare_resource(GROUP, old, new) == []
