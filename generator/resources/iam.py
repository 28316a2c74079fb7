"""IAM documents in awacs, in the few shapes this project uses.

Permissions whose ARN is born in a later layer are managed policies made there and attached to the role by name, so
no role carries inline policies and no layer has to guess a name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from awacs import sts
from awacs.aws import (
    Action,
    Allow,
    ArnLike,
    Bool,
    Condition,
    ConditionElement,
    Deny,
    PolicyDocument,
    Principal,
    Statement,
    StringEquals,
)
from troposphere import AWSHelperFn, Ref, Sub
from troposphere.iam import ManagedPolicy, Role

from generator import value_types as v

ACCOUNT = Ref("AWS::AccountId")


def policy_document(*statements: Statement) -> PolicyDocument:
    return PolicyDocument(Version="2012-10-17", Statement=list(statements))


def all_conditions(*elements: ConditionElement) -> Condition:
    """Several conditions, all of which must hold.

    Raises ValueError for two of one operator: awacs would keep only the last of them.
    """
    operators = [element.condition for element in elements]
    if len(set(operators)) != len(operators):
        raise ValueError(f"two conditions with one operator in {operators}: put their keys into one dict")
    return Condition(list(elements))


def allow(
    sid: str,
    actions: Sequence[Action],
    resources: Sequence[str | AWSHelperFn],
    *when: ConditionElement,
    principal: Principal | None = None,
) -> Statement:
    """An Allow. ``resources`` is empty only in trust policies."""
    optional: dict[str, Any] = {"Resource": list(resources) or None, "Principal": principal}
    if when:
        optional["Condition"] = all_conditions(*when)
    return Statement(
        Sid=sid, Effect=Allow, Action=list(actions), **{name: value for name, value in optional.items() if value}
    )


def service_principal(name: str | Sub) -> Principal:
    """A service principal: ``ecs-tasks`` or a Sub that names the region."""
    return Principal("Service", f"{name}.amazonaws.com" if isinstance(name, str) else name)


def source_account_condition() -> StringEquals:
    """Against the confused deputy: the service must act for this account."""
    return StringEquals("aws:SourceAccount", ACCOUNT)


def source_arn_condition(arn: str | v.TopicArn | Ref) -> ArnLike:
    """Against the confused deputy: the service must act for this resource."""
    return ArnLike("aws:SourceArn", Sub(arn) if isinstance(arn, str) else arn)


def service_role(
    title: str,
    principal: str,
    *when: ConditionElement,
    description: str,
    managed: Sequence[Sub | v.SessionPolicyArn] = (),
    **attributes: Any,
) -> Role:
    """A role that one AWS service assumes. ``managed`` are policies that AWS prescribes, or of an earlier layer.

    ``when`` is empty only for services whose documents name no condition that they send, Lambda, AWS Chatbot and
    Firehose (Amazon Data Firehose Developer Guide, "Allow Firehose to assume an IAM role"): with one that is not sent
    the role could never be assumed. Each takes a role only from who may pass it, which is its own account.
    """
    if managed:
        attributes["ManagedPolicyArns"] = list(managed)
    return Role(
        title,
        Description=description,
        AssumeRolePolicyDocument=policy_document(
            allow("LetServiceAssume", [sts.AssumeRole], [], *when, principal=service_principal(principal))
        ),
        **attributes,
    )


def attach_policy(
    title: str, role: Role | v.ExecutionRoleName, *statements: Statement, description: str, **attributes: Any
) -> ManagedPolicy:
    """Permissions for a role of this template, or, by its name, of an earlier layer."""
    return ManagedPolicy(
        title,
        Description=description,
        Roles=[role.ref() if isinstance(role, Role) else role],
        PolicyDocument=policy_document(*statements),
        **attributes,
    )


def managed_policy(title: str, *statements: Statement, description: str, **attributes: Any) -> ManagedPolicy:
    """Permissions that roles of later layers attach themselves, by the policy's ARN."""
    return ManagedPolicy(title, Description=description, PolicyDocument=policy_document(*statements), **attributes)


def deny_insecure_transport(actions: Sequence[Action], *resources: AWSHelperFn) -> Statement:
    """TLS only, whoever calls."""
    return Statement(
        Sid="DenyPlainHttp",
        Effect=Deny,
        Principal=Principal("*"),
        Action=list(actions),
        Resource=list(resources),
        Condition=Condition(Bool("aws:SecureTransport", "false")),
    )
