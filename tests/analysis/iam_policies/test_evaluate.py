"""The evaluator decides as IAM does, for what our policies use."""

from __future__ import annotations

from typing import Any

import pytest

from hosting.analysis.errors import AnalysisError
from hosting.analysis.iam_policies.documents import LIMIT, PER_ROLE, split_into_policies
from hosting.analysis.iam_policies.evaluate import ApiCall, is_allowed
from hosting.analysis.iam_policies.grants import VIA_CLOUDFORMATION, PolicyStatement
from hosting.analysis.iam_policies.trust import build_trust_policy

HOST = "token.actions.githubusercontent.com"
VIA = {"aws:CalledVia": ["cloudformation.amazonaws.com", "lambda.amazonaws.com"]}


def policy(*statements: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"Version": "2012-10-17", "Statement": list(statements)}]


def allow(action: str, resource: str, **condition: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"Effect": "Allow", "Action": action, "Resource": resource}
    return body | ({"Condition": condition} if condition else {})


@pytest.mark.parametrize(
    ("pattern", "resource", "allowed"),
    [
        ("arn:aws:s3:::a-*", "arn:aws:s3:::a-b", True),
        ("arn:aws:s3:::a-*", "arn:aws:s3:::ab", False),
        ("arn:aws:s3:::a-*", "arn:aws:s3:::A-b", False),
        ("arn:aws:s3:::a-?", "arn:aws:s3:::a-bc", False),
        ("arn:aws:s3:::a[b]", "arn:aws:s3:::ab", False),
        ("*", "anything", True),
    ],
)
def test_resources(pattern: str, resource: str, allowed: bool) -> None:
    assert is_allowed(policy(allow("s3:GetObject", pattern)), ApiCall("s3:GetObject", resource)) is allowed


def test_variables_of_a_policy() -> None:
    own = policy(allow("ssm:TerminateSession", "arn:aws:ssm:::session/${aws:userid}-*"))
    session = "arn:aws:ssm:::session/AIDA1-0a1b"
    assert is_allowed(own, ApiCall("ssm:TerminateSession", session, {"aws:userid": "AIDA1"}))
    assert not is_allowed(own, ApiCall("ssm:TerminateSession", session, {"aws:userid": "AIDA2"}))
    assert not is_allowed(own, ApiCall("ssm:TerminateSession", session))


def test_actions_ignore_case_and_deny_wins() -> None:
    statement = allow("s3:getobject", "*")
    assert is_allowed(policy(statement), ApiCall("s3:GetObject", "x"))
    assert not is_allowed(policy(statement), ApiCall("s3:GetObjects", "x"))
    assert not is_allowed(policy(statement, {**statement, "Effect": "Deny"}), ApiCall("s3:GetObject", "x"))
    assert not is_allowed([], ApiCall("s3:GetObject", "x"))


@pytest.mark.parametrize(
    ("operator", "key", "wanted", "context", "allowed"),
    [
        ("StringEquals", "iam:PassedToService", ["a", "b"], {"iam:PassedToService": "b"}, True),
        ("StringEquals", "iam:PassedToService", ["a", "b"], {"iam:PassedToService": "c"}, False),
        ("StringEquals", "iam:PassedToService", "a", {"IAM:passedtoservice": "a"}, True),
        ("StringEquals", "iam:PassedToService", "a", {}, False),
        ("StringLike", "iam:PassedToService", "a*", {"iam:PassedToService": "abc"}, True),
        ("ArnEquals", "ecs:cluster", ["arn:a"], {"ecs:cluster": "arn:a"}, True),
        ("ArnEquals", "ecs:cluster", ["arn:a"], {"ecs:cluster": "arn:b"}, False),
        ("ArnEquals", "ecs:cluster", ["arn:a"], {}, False),
        ("BoolIfExists", "ssm:SessionDocumentAccessCheck", "true", {}, True),
        ("BoolIfExists", "ssm:SessionDocumentAccessCheck", "true", {"ssm:SessionDocumentAccessCheck": "true"}, True),
        ("BoolIfExists", "ssm:SessionDocumentAccessCheck", "true", {"ssm:SessionDocumentAccessCheck": "false"}, False),
        ("ForAnyValue:StringEquals", "aws:CalledVia", ["cloudformation.amazonaws.com"], VIA, True),
        ("ForAnyValue:StringEquals", "aws:CalledVia", ["cloudformation.amazonaws.com"], {}, False),
        ("StringEquals", "aws:CalledVia", "cloudformation.amazonaws.com", VIA, False),
        ("Null", "s3:if-none-match", "false", {"s3:if-none-match": "*"}, True),
        ("Null", "s3:if-none-match", "false", {}, False),
        ("Null", "s3:if-none-match", "true", {}, True),
    ],
)
def test_conditions(operator: str, key: str, wanted: Any, context: dict[str, Any], allowed: bool) -> None:
    statement = allow("x:Y", "*", **{operator: {key: wanted}})
    assert is_allowed(policy(statement), ApiCall("x:Y", "*", context)) is allowed


def test_an_unknown_operator_is_no_answer() -> None:
    with pytest.raises(ValueError, match="DateLessThan"):
        is_allowed(
            policy(allow("x:Y", "*", DateLessThan={"aws:CurrentTime": "2030"})),
            ApiCall("x:Y", "*", {"aws:CurrentTime": "1"}),
        )


# --- Managed policies --------------------------------------------------------------------------------------------


def many(count: int, why: str = "Do") -> PolicyStatement:
    return PolicyStatement(
        why, tuple(f"service:Operation{number:04}" for number in range(count)), ("*",), VIA_CLOUDFORMATION
    )


def test_a_long_statement_is_cut_and_nothing_is_lost() -> None:
    made = split_into_policies("role", [many(600), many(10, "More")])
    assert [item.name for item in made] == [f"role-{number}" for number in range(1, len(made) + 1)]
    assert all(item.size <= LIMIT for item in made)
    actions = [action for item in made for one in item.statements for action in one.actions]
    assert sorted(actions) == sorted((*many(600).actions, *many(10).actions))


def test_more_policies_than_a_role_can_have_are_an_error() -> None:
    with pytest.raises(AnalysisError, match=f"a role can have {PER_ROLE}"):
        split_into_policies("role", [many(3000)])


# --- Trust -------------------------------------------------------------------------------------------------------


def test_one_action_on_many_resources_is_cut_too() -> None:
    """As with roles to pass, of which every service has some."""
    roles = tuple(f"arn:aws:iam::111122223333:role/platform-dev-Service{number:03}Ac*-Task*" for number in range(200))
    made = split_into_policies("role", [PolicyStatement("PassTasks", ("iam:PassRole",), roles)])
    statements = [item for one in made for item in one.statements]
    assert len(made) > 1
    assert all(one.size <= LIMIT for one in made)
    assert sorted(arn for item in statements for arn in item.resources) == sorted(roles)
    assert len({item.why for item in statements}) == len(statements)


def test_only_the_named_workflows_take_the_role() -> None:
    trust = build_trust_policy("111122223333", "aws", "octo-org/site", branch="main", environment="")
    (statement,) = trust["Statement"]
    assert statement["Principal"] == {"Federated": f"arn:aws:iam::111122223333:oidc-provider/{HOST}"}
    # A trust policy has no Resource; for the evaluator it applies to its role.
    standing = policy({**statement, "Resource": "*"})

    def taken(subject: str, audience: str = "sts.amazonaws.com") -> bool:
        context = {f"{HOST}:sub": subject, f"{HOST}:aud": audience}
        return is_allowed(standing, ApiCall("sts:AssumeRoleWithWebIdentity", "role", context))

    assert taken("repo:octo-org/site:ref:refs/heads/main")
    assert not taken("repo:octo-org/site:ref:refs/heads/main", "other")
    assert not taken("repo:octo-org/site:ref:refs/heads/main2")
    assert not taken("repo:octo-org/site:pull_request")
    assert not taken("repo:octo-org/other:ref:refs/heads/main")


@pytest.mark.parametrize(
    ("repository", "branch", "environment"),
    [
        ("octo-org", "main", ""),
        ("octo-org/*", "main", ""),
        ("*/*", "main", ""),
        ("octo-org/site:x", "main", ""),
        ("octo-org/site", "", ""),
        ("octo-org/site", "main", "prod"),
        ("octo-org/site", "*", ""),
        ("octo-org/site", "", "pro?"),
    ],
)
def test_a_wide_trust_is_refused(repository: str, branch: str, environment: str) -> None:
    with pytest.raises(AnalysisError):
        build_trust_policy("111122223333", "aws", repository, branch=branch, environment=environment)
