"""IAM documents in awacs, in the few forms that this project uses.

A later layer grants permissions on its own resources with a managed policy, which it attaches to the role by name. So
no role has inline policies, and no layer has to predict a name.
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
    """Return a policy document with the statements."""
    return PolicyDocument(Version="2012-10-17", Statement=list(statements))


def all_conditions(*elements: ConditionElement) -> Condition:
    """Return several conditions, all of which must be true.

    Raises ValueError for two conditions with the same operator: awacs would keep only the last one.
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
    """Return a statement that allows actions. ``resources`` is empty only in trust policies."""
    optional: dict[str, Any] = {"Resource": list(resources) or None, "Principal": principal}
    if when:
        optional["Condition"] = all_conditions(*when)
    return Statement(
        Sid=sid, Effect=Allow, Action=list(actions), **{name: value for name, value in optional.items() if value}
    )


def service_principal(name: str | Sub) -> Principal:
    """Return a service principal: ``ecs-tasks``, or a Sub that contains the region."""
    return Principal("Service", f"{name}.amazonaws.com" if isinstance(name, str) else name)


def source_account_condition() -> StringEquals:
    """Return the condition that the service acts for this account, against the confused deputy problem."""
    return StringEquals("aws:SourceAccount", ACCOUNT)


def source_arn_condition(arn: str | v.TopicArn | Ref) -> ArnLike:
    """Return the condition that the service acts for this resource, against the confused deputy problem."""
    return ArnLike("aws:SourceArn", Sub(arn) if isinstance(arn, str) else arn)


def service_role(
    title: str,
    principal: str,
    *when: ConditionElement,
    description: str,
    managed: Sequence[Sub | v.SessionPolicyArn] = (),
    **attributes: Any,
) -> Role:
    """Return a role that one AWS service assumes.

    ``managed`` are policies that AWS prescribes, or policies of an earlier layer. ``when`` is empty only for services
    whose documents name no condition key: Lambda and AWS Chatbot. With a key that the service does not send, it could
    never assume the role. These services accept a role only from a principal that may pass it, which is in its own
    account.
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
    title: str,
    role: Role | v.ExecutionRoleName | v.TaskRoleName,
    *statements: Statement,
    description: str,
    **attributes: Any,
) -> ManagedPolicy:
    """Return a managed policy that is attached to a role of this template, or by name to one of an earlier layer."""
    return ManagedPolicy(
        title,
        Description=description,
        Roles=[role.ref() if isinstance(role, Role) else role],
        PolicyDocument=policy_document(*statements),
        **attributes,
    )


def managed_policy(title: str, *statements: Statement, description: str, **attributes: Any) -> ManagedPolicy:
    """Return a managed policy that roles of later layers attach by its ARN."""
    return ManagedPolicy(title, Description=description, PolicyDocument=policy_document(*statements), **attributes)


def deny_insecure_transport(actions: Sequence[Action], *resources: AWSHelperFn) -> Statement:
    """Return a statement that denies every request without TLS. The policy of a file system names no resource."""
    named: dict[str, Any] = {"Resource": list(resources)} if resources else {}
    return Statement(
        Sid="DenyPlainHttp",
        Effect=Deny,
        Principal=Principal("*"),
        Action=list(actions),
        **named,
        Condition=Condition(Bool("aws:SecureTransport", "false")),
    )
