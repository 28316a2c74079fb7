"""Who may do more, over all resources that speak for a role or a group."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from hosting.analysis.diff.permissions import PermissionChange, compare_permissions
from hosting.analysis.resolve import ResolvedEnvironment, resolve
from hosting.model.parameter_file import Environment
from hosting.model.templates import Template

Bodies = dict[str, dict[str, Any]]

READ = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
TRUST = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ecs-tasks.amazonaws.com"}}


def role(**properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {"Statement": [TRUST]}, **properties}}


def policy(*statements: Any, roles: tuple[str, ...] = ("Reader",)) -> dict[str, Any]:
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    attached = [{"Ref": name} for name in roles]
    return {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": document, "Roles": attached}}


def rule(**properties: Any) -> dict[str, Any]:
    ports = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}
    return {"Type": "AWS::EC2::SecurityGroupIngress", "Properties": {**ports, **properties}}


@pytest.fixture
def changed(small: Bodies) -> Callable[..., list[PermissionChange]]:
    """`changed(before, after)`: what differs between two sets of resources in the edge stack."""

    def side(resources: dict[str, Any]) -> ResolvedEnvironment:
        bodies = copy.deepcopy(small)
        bodies["edge.json"]["Resources"] |= resources
        templates = {name: Template.from_body(name, body) for name, body in bodies.items()}
        return resolve(templates, Environment("dev", {"Project": "shop"}))

    def run(before: dict[str, Any], after: dict[str, Any]) -> list[PermissionChange]:
        return list(compare_permissions(side(before), side(after)))

    return run


def broader(found: list[PermissionChange]) -> list[tuple[str, str]]:
    return [(access.logical_id, access.aspect) for access in found if access.is_broader]


def test_a_statement_that_only_moved_is_no_news(changed: Callable[..., list[PermissionChange]]) -> None:
    before = {"Reader": role(), "One": policy(READ)}
    inline = [{"PolicyName": "p", "PolicyDocument": {"Statement": [READ]}}]
    assert changed(before, {"Reader": role(Policies=inline)}) == []
    assert changed(before, {"Reader": role(), "Two": policy(READ)}) == []


def test_a_policy_attached_to_a_second_role(changed: Callable[..., list[PermissionChange]]) -> None:
    before = {"Reader": role(), "Other": role(), "One": policy(READ)}
    after = {**before, "One": policy(READ, roles=("Reader", "Other"))}
    assert broader(changed(before, after)) == [("Other", "permissions")]


def test_a_policy_of_no_role_is_compared(changed: Callable[..., list[PermissionChange]]) -> None:
    guardrail = policy(READ, roles=())
    wider = policy({**READ, "Action": "s3:*"}, roles=())
    assert broader(changed({"Guardrail": guardrail}, {"Guardrail": wider})) == [("Guardrail", "permissions")]


def test_a_new_role_may_something_new(changed: Callable[..., list[PermissionChange]]) -> None:
    found = changed({}, {"Reader": role(), "One": policy(READ)})
    assert broader(found) == [("Reader", "permissions"), ("Reader", "trust")]


def test_trust(changed: Callable[..., list[PermissionChange]]) -> None:
    open_to_all = role(AssumeRolePolicyDocument={"Statement": [{**TRUST, "Principal": "*"}]})
    (access,) = changed({"Reader": role()}, {"Reader": open_to_all})
    assert (access.aspect, access.is_severe) == ("trust", True)


def test_a_rule_of_its_own_counts_with_its_group(changed: Callable[..., list[PermissionChange]]) -> None:
    group = {"Type": "AWS::EC2::SecurityGroup", "Properties": {"GroupDescription": "g"}}
    inside = {"SecurityGroupIngress": [{**rule()["Properties"], "CidrIp": "10.0.0.0/8"}]}
    single = rule(GroupId={"Fn::GetAtt": ["Group", "GroupId"]}, CidrIp="10.0.0.0/8")
    before = {"Group": {**group, "Properties": {**group["Properties"], **inside}}}  # type: ignore[dict-item]
    assert changed(before, {"Group": group, "Single": single}) == []
    opened = rule(GroupId={"Fn::GetAtt": ["Group", "GroupId"]}, CidrIp="0.0.0.0/0")
    (access,) = changed(before, {**before, "Single": opened})
    assert (access.logical_id, access.is_severe) == ("Group", True)


def test_a_rule_for_a_group_that_is_not_ours(changed: Callable[..., list[PermissionChange]]) -> None:
    assert broader(changed({}, {"Single": rule(GroupId="sg-1", CidrIp="0.0.0.0/0")})) == [("Single", "rules")]
