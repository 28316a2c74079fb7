"""Finds permissions that exist only after a change, from one resource before and after.

These are pure functions on documents. A prediction has the documents from the templates, a change set has them in its
contexts before and after. Both therefore describe a change in the same words, and both gates refuse the same changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hosting.analysis.diff.statements import PermissionDifference, compare_policies
from hosting.analysis.diff.traffic import compare_rules, read_rules
from hosting.model.tokens import Json

ROLE = "AWS::IAM::Role"
PERMISSION = "AWS::Lambda::Permission"
IDENTITIES = frozenset({ROLE, "AWS::IAM::Group", "AWS::IAM::User"})

# Properties that contain a resource-based policy.
DOCUMENTS = ("PolicyDocument", "KeyPolicy", "RepositoryPolicyText", "ResourcePolicy", "AssumeRolePolicyDocument")

# AWS managed policies that allow everything, or allow granting everything.
_ADMINISTRATION = ("AdministratorAccess", "IAMFullAccess", "PowerUserAccess", "SystemAdministrator")

_Test = Callable[[Json], bool]


def _on(value: Json) -> bool:
    return value is True or str(value).lower() == "true"


def _off(value: Json) -> bool:
    return not _on(value)


# Single settings: type, path, test of the open value, and its meaning.
_SWITCHES: tuple[tuple[str, str, _Test, str], ...] = (
    ("AWS::S3::Bucket", "PublicAccessBlockConfiguration.BlockPublicAcls", _off, "public ACLs are possible"),
    ("AWS::S3::Bucket", "PublicAccessBlockConfiguration.BlockPublicPolicy", _off, "a public policy is possible"),
    ("AWS::S3::Bucket", "PublicAccessBlockConfiguration.IgnorePublicAcls", _off, "public ACLs take effect"),
    ("AWS::S3::Bucket", "PublicAccessBlockConfiguration.RestrictPublicBuckets", _off, "a public policy takes effect"),
    ("AWS::RDS::DBInstance", "PubliclyAccessible", _on, "reachable from the internet"),
    ("AWS::RDS::DBCluster", "PubliclyAccessible", _on, "reachable from the internet"),
    ("AWS::EC2::Subnet", "MapPublicIpOnLaunch", _on, "instances and tasks in this subnet get a public address"),
    *(
        switch
        for kind, settings in (("AWS::ECS::Service", ""), ("AWS::Scheduler::Schedule", "Target.EcsParameters."))
        for switch in (
            (
                kind,
                f"{settings}NetworkConfiguration.AwsvpcConfiguration.AssignPublicIp",
                lambda value: value == "ENABLED",
                "tasks get public addresses",
            ),
            (kind, f"{settings}EnableExecuteCommand", _on, "commands can be run in the containers"),
        )
    ),
    (
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        "Scheme",
        lambda value: value in {None, "internet-facing"},
        "reachable from the internet",
    ),
)


def compare_resource(
    kind: str, before: Mapping[str, Json] | None, after: Mapping[str, Json] | None
) -> list[PermissionDifference]:
    """Return all differences of permissions between two sets of properties; None means that the resource is absent.

    This covers one resource. Grants of other resources to a role, and rules of other resources for a group, are
    compared by `permissions`, which sees all resources.
    """
    old, new = before or {}, after or {}
    lines = [*compare_rules(read_rules(kind, old) if before else [], read_rules(kind, new) if after else [])]
    for name in DOCUMENTS:
        lines += compare_policies([old.get(name)], [new.get(name)])
    if kind in IDENTITIES:
        lines += compare_policies(inline_policies(old), inline_policies(new))
        lines += compare_managed(old.get("ManagedPolicyArns"), new.get("ManagedPolicyArns"))
        if before and after:
            lines += compare_boundary(old, new)
    if kind == PERMISSION:
        lines += compare_policies([build_invocation_policy(before)], [build_invocation_policy(after)])
    if before and after:
        lines += compare_switches(kind, old, new)
    return lines


def inline_policies(properties: Mapping[str, Json]) -> list[Json]:
    """Return the inline policies of an identity."""
    return [item.get("PolicyDocument") for item in properties.get("Policies") or [] if isinstance(item, Mapping)]


def compare_managed(before: Json, after: Json) -> list[PermissionDifference]:
    """Compare attached policies by ARN. The content of our own policies is compared at their definition."""
    old, new = _arns(before), _arns(after)
    lines = []
    for arn in new:
        if arn not in old:
            name = arn.rsplit("/", 1)[-1]
            aws = ":aws:policy/" in arn
            severe = aws and name.startswith(_ADMINISTRATION)
            what = f"attaches {'AWS-managed policy ' if aws else ''}{name}" if aws else "attaches a policy"
            lines.append(PermissionDifference("+", arn, what + (": allows everything" if severe else ""), severe))
    return [*lines, *(PermissionDifference("-", arn) for arn in old if arn not in new)]


def compare_boundary(before: Mapping[str, Json], after: Mapping[str, Json]) -> list[PermissionDifference]:
    """Compare the permissions boundary of an identity; its removal is severe."""
    old, new = before.get("PermissionsBoundary"), after.get("PermissionsBoundary")
    if old == new:
        return []
    if new is None:
        return [PermissionDifference("-", f"permissions boundary {old}", "permissions boundary removed", True)]
    return [
        PermissionDifference(
            "~" if old else "+", f"permissions boundary {new}", "another permissions boundary" if old else ""
        )
    ]


def build_invocation_policy(properties: Mapping[str, Json] | None) -> Json:
    """Return the policy statement that a Lambda permission becomes."""
    if not properties:
        return None
    keys = {"SourceArn": ("ArnLike", "aws:SourceArn"), "SourceAccount": ("StringEquals", "aws:SourceAccount")}
    keys["PrincipalOrgID"] = ("StringEquals", "aws:PrincipalOrgID")
    condition: dict[str, Any] = {}
    for name, (operator, key) in keys.items():
        if name in properties:
            condition.setdefault(operator, {})[key] = properties[name]
    principal = str(properties.get("Principal", ""))
    return {
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service" if principal.endswith(".amazonaws.com") else "AWS": principal},
            "Action": properties.get("Action", ""),
            "Resource": properties.get("FunctionName", ""),
            "Condition": condition,
        }
    }


def compare_switches(kind: str, before: Mapping[str, Json], after: Mapping[str, Json]) -> list[PermissionDifference]:
    lines = []
    for wanted, path, is_open, meaning in _SWITCHES:
        old, new = _at(before, path), _at(after, path)
        if kind == wanted and is_open(new) and not is_open(old):
            lines.append(PermissionDifference("~", f"{path}: {_shown(old)} -> {_shown(new)}", meaning, True))
    return lines


def _shown(value: Json) -> str:
    return "(none)" if value is None else str(value)


def _arns(value: Json) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _at(value: Json, path: str) -> Json:
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value
