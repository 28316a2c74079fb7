"""Derived entries of a nested change set, and real changes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hosting.deployer import change_set_filter
from hosting.deployer.aws.stacks import STACK_TYPE
from hosting.deployer.change_set_filter import ChangeSetFilter
from hosting.deployer.change_sets import Change, ChangeSet, Detail
from hosting.model.templates import Template

GROUP = "{{IntrinsicFunction:shop/NetworkStack.Outputs.GroupId/Fn::GetAtt}}"
VERSION = "{{IntrinsicFunction:shop/NetworkStack.Outputs.Version/Fn::GetAtt}}"
PORT = "{{IntrinsicFunction:shop/NetworkStack.Outputs.Port/Fn::GetAtt}}"
GATEWAY = "{{IntrinsicFunction:shop/NetworkStack.Outputs.Gateway/Fn::GetAtt}}"
HOST = "{{IntrinsicFunction:shop/NetworkStack.Outputs.Host/Fn::GetAtt}}"


def template(**body: Any) -> Template:
    return Template("x.json", json.dumps(body))


NETWORK: dict[str, Any] = {
    "Parameters": {"Domain": {"Type": "String"}, "Gateway": {"Type": "String"}},
    "Conditions": {"HasDomain": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Domain"}, ""]}]}},
    "Resources": {"Group": {}, "Function": {}, "Rule": {}},
    "Outputs": {
        "GroupId": {"Value": {"Fn::GetAtt": ["Group", "GroupId"]}},
        "Version": {"Value": {"Fn::GetAtt": ["Function", "Version"]}},
        "Port": {"Value": "3306"},
        "Gateway": {"Value": {"Ref": "Gateway"}},
        "Host": {"Value": {"Fn::If": ["HasDomain", {"Ref": "Domain"}, {"Fn::Sub": "${Group.Name}.${AWS::Region}"}]}},
    },
}
ROOT = {
    "Resources": {
        "NetworkStack": {
            "Properties": {
                "Parameters": {
                    "Domain": {"Ref": "DomainName"},
                    "Gateway": {"Fn::GetAtt": ["GatewayStack", "Outputs.Id"]},
                }
            }
        },
        "ServiceStack": {"Properties": {"Parameters": {"Key": {"Fn::GetAtt": ["NetworkStack", "Outputs.GroupId"]}}}},
    }
}
NOW = {"NetworkStack": {"GroupId": "sg-1", "Version": "7", "Port": "3306", "Gateway": "igw-1", "Host": "g.eu-west-1"}}


def reviewed(*network: Change, service: tuple[Change, ...], unchanged: frozenset[str] = frozenset()) -> ChangeSet:
    def nested(name: str, changes: tuple[Change, ...]) -> Change:
        inner = ChangeSet("", "", "", name, "CREATE_COMPLETE", "", changes)
        return Change("Modify", name, "arn", STACK_TYPE, nested=inner)

    whole = (nested("NetworkStack", network), nested("ServiceStack", service))
    found = ChangeSetFilter(template(**ROOT), {"NetworkStack": template(**NETWORK)}, NOW, unchanged)
    return found.classify(ChangeSet("", "", "", "shop", "CREATE_COMPLETE", "", whole))


def service(changed: ChangeSet) -> dict[str, str]:
    inner = changed.changes[1].nested
    assert inner is not None
    return {change.logical_id: change.effect for change in inner.changes}


def modify(name: str, *details: Detail, replacement: str = "False") -> Change:
    return Change("Modify", name, "", "AWS::X", replacement, details=details)


def value(before: str | None, after: str | None, recreation: str = "Always", cause: str = "P") -> Detail:
    return Detail("Properties", "Prop", before, after, recreation, "Static", "ParameterReference", cause)


def reference(cause: str, name: str = "Prop", recreation: str = "Always") -> Detail:
    source = "ResourceAttribute" if "." in cause else "ResourceReference"
    return Detail("Properties", name, "x", "{{changeSet:KNOWN_AFTER_APPLY}}", recreation, "Dynamic", source, cause)


RULE = modify("Rule", value("1", "2", "Never"))
TOUCHED = modify("Group", value("1", "2", "Never"))
REPLACED = modify("Group", value("1", "2"), replacement="True")


@pytest.mark.parametrize(
    ("network", "detail", "effect"),
    [
        (RULE, value("sg-1", GROUP), "nothing"),
        (TOUCHED, value("sg-1", GROUP), "nothing"),
        (REPLACED, value("sg-1", GROUP), "replace"),
        (RULE, value("sg-2", GROUP), "replace"),
        (RULE, value(f'["sg-1", "{"3306"}"]', f'["{GROUP}", "{PORT}"]'), "nothing"),
        (RULE, value('["sg-1", "3307"]', f'["{GROUP}", "{PORT}"]'), "replace"),
        (modify("Function", value("1", "2", "Never")), value("7", VERSION), "replace"),
        (RULE, value("7", VERSION), "nothing"),
        (RULE, value("sg-1", "{{IntrinsicFunction:shop/OtherStack.Outputs.GroupId/Fn::GetAtt}}"), "replace"),
        (RULE, value("g.eu-west-1", HOST), "replace"),
        (RULE, value(None, None, cause="Key"), "nothing"),
        (REPLACED, value(None, None, cause="Key"), "replace"),
        (RULE, value(None, None, cause="Unknown"), "replace"),
        (RULE, value("1", "2"), "replace"),
    ],
    ids=[
        "source untouched",
        "source changed in place",
        "source replaced",
        "wired to another value before",
        "inside a document, with a literal output",
        "the rest of the document changes",
        "an attribute that is no identifier",
        "such an attribute of an untouched source",
        "an unknown stack",
        "an output that hands on a parameter that may change",
        "no values, source untouched",
        "no values, source replaced",
        "no values, unknown source",
        "plain change",
    ],
)
def test_a_value_that_depends_on_a_sibling_is_classified(network: Change, detail: Detail, effect: str) -> None:
    changed = reviewed(network, service=(modify("Task", detail, replacement="True"),))
    assert service(changed) == {"Task": effect}


def test_an_output_that_hands_on_a_parameter_that_stays() -> None:
    changed = reviewed(RULE, service=(modify("Task", value("g.eu-west-1", HOST)),), unchanged=frozenset({"DomainName"}))
    assert service(changed) == {"Task": "nothing"}


def test_an_output_that_hands_on_what_a_stack_gives_that_does_not_change() -> None:
    """A change set lists no nested stack without a change."""
    assert service(reviewed(RULE, service=(modify("Load", value("igw-1", GATEWAY)),))) == {"Load": "nothing"}


def test_a_change_propagates_within_a_stack() -> None:
    chain = (
        modify("Policy", reference("Target"), replacement="Conditional"),
        modify("Target", reference("Service.Name"), replacement="Conditional"),
        modify("Service", value("sg-1", GROUP), replacement="True"),
    )
    assert service(reviewed(RULE, service=chain)) == dict.fromkeys(("Policy", "Target", "Service"), "nothing")
    moved = service(reviewed(REPLACED, service=chain))
    assert moved == {"Policy": "may replace", "Target": "may replace", "Service": "replace"}


def test_the_remaining_details_decide_about_the_replacement() -> None:
    task = modify("Task", value("sg-1", GROUP), value("1", "2", "Never"), replacement="True")
    changed = reviewed(RULE, service=(task,))
    assert service(changed) == {"Task": "modify"}
    assert changed.counts() == {"modify": 2}
    assert changed.derived == 0


def test_a_property_listed_twice_is_classified_by_the_entry_with_the_cause() -> None:
    vague = Detail("Properties", "Prop", None, None, "Always", "Dynamic", "DirectModification", "")
    assert service(reviewed(RULE, service=(modify("Task", vague, value("sg-1", GROUP)),))) == {"Task": "nothing"}
    changed = reviewed(REPLACED, service=(modify("Task", vague, value("sg-1", GROUP), replacement="True"),))
    assert service(changed) == {"Task": "replace"}
    assert service(reviewed(RULE, service=(modify("Task", vague),))) == {"Task": "modify"}


def test_a_tree_of_derived_changes_only_is_counted_and_folded() -> None:
    changed = reviewed(RULE, service=(modify("Task", value("sg-1", GROUP)),))
    assert changed.counts() == {"modify": 1}
    assert changed.derived == 1
    assert [change.logical_id for change in changed.effective] == ["NetworkStack"]


def test_outputs_count_as_the_same_only_by_definition() -> None:
    deployed = {"Outputs": {"GroupId": NETWORK["Outputs"]["GroupId"], "Port": {"Value": "3307"}}}
    assert change_set_filter.find_unchanged_outputs(deployed, template(**NETWORK)) == {"GroupId"}


def test_a_possible_replacement_propagates_as_possible() -> None:
    target = reference("Service.Name")
    chain = (
        modify("Target", target, value("1", "2", "Never"), replacement="True"),
        modify("Policy", reference("Target"), replacement="True"),
        modify("Service", value("1", "2", "Conditionally"), replacement="Conditional"),
    )
    spread = service(reviewed(RULE, service=chain))
    assert spread == dict.fromkeys(("Target", "Policy", "Service"), "may replace")
    certain = (chain[0], chain[1], modify("Service", value("1", "2"), replacement="True"))
    assert service(reviewed(RULE, service=certain)) == dict.fromkeys(("Target", "Policy", "Service"), "replace")


def test_a_flat_stack_is_reviewed_like_any_other() -> None:
    """Edge and its monitoring nest no stacks, and also list the dependents of a changed resource."""
    fed = Detail("Properties", "Prop", None, None, "Always", "Dynamic", "ParameterReference", "Name")
    changes = (modify("Key", value("1", "2", "Never")), modify("Alias", reference("Key")), modify("Topic", fed))
    found = ChangeSetFilter(template(Resources={"Key": {}, "Alias": {}, "Topic": {}}), {}, {}, frozenset({"Name"}))
    classified = found.classify(ChangeSet("", "", "", "edge", "CREATE_COMPLETE", "", changes))
    assert [one.effect for one in classified.changes] == ["modify", "nothing", "nothing"]


@pytest.mark.parametrize(
    ("type", "before", "after", "properties", "effect"),
    [
        ("AWS::ECS::Service", "2", None, {}, "nothing"),
        ("AWS::ECS::Service", "2", "3", {"DesiredCount": 3}, "modify"),
        ("AWS::ECS::Service", None, "2", {"DesiredCount": 2}, "modify"),
        ("AWS::ECS::Service", "2", None, {"DesiredCount": "{{changeSet:KNOWN_AFTER_APPLY}}"}, "modify"),
        ("AWS::Other", "2", None, {}, "modify"),
    ],
    ids=["not given any more", "another number", "given again", "known later", "of another resource"],
)
def test_a_removed_desired_count_is_no_change(
    type: str, before: str | None, after: str | None, properties: dict[str, Any], effect: str
) -> None:
    count = Detail("Properties", "DesiredCount", before, after, "Never", "Static", "DirectModification", "")
    after_it = json.dumps({"Properties": properties})
    change = Change("Modify", "Service", "", type, "False", details=(count,), after=after_it)
    assert service(reviewed(service=(change,))) == {"Service": effect}


BRANCHES: dict[str, Any] = {
    "Parameters": {"Domain": {"Type": "String"}},
    "Conditions": {
        "HasDomain": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Domain"}, ""]}]},
        "IsSecure": {"Fn::And": [{"Condition": "HasDomain"}, {"Fn::Equals": ["a", "a"]}]},
    },
    "Resources": {"Https": {}, "Http": {}},
    "Outputs": {"Listener": {"Value": {"Fn::If": ["IsSecure", {"Ref": "Https"}, {"Ref": "Http"}]}}},
}


@pytest.mark.parametrize(
    ("replaced", "domain", "unchanged", "effect"),
    [
        ("Http", "example.com", True, "nothing"),
        ("Https", "example.com", True, "replace"),
        ("Https", "", True, "nothing"),
        ("Http", "", True, "replace"),
        ("Http", None, True, "replace"),
        ("Https", None, True, "replace"),
        ("", "example.com", False, "replace"),
        ("", "example.com", True, "nothing"),
    ],
    ids=[
        "the other branch is replaced",
        "the branch that counts is replaced",
        "the other branch, without a domain",
        "the branch that counts, without a domain",
        "unknown, so the one counts",
        "unknown, so the other counts too",
        "the condition may turn over",
        "nothing of it changes",
    ],
)
def test_an_output_with_conditions_uses_the_deployed_branch(
    replaced: str, domain: str | None, unchanged: bool, effect: str
) -> None:
    listener = "{{IntrinsicFunction:shop/NetworkStack.Outputs.Listener/Fn::GetAtt}}"
    moved = (modify(replaced, value("1", "2"), replacement="True"),) if replaced else (RULE,)
    task = modify("Task", value("arn", listener), replacement="True")
    sets = {"NetworkStack": moved, "ServiceStack": (task,)}
    changes = tuple(
        Change("Modify", name, "arn", STACK_TYPE, nested=ChangeSet("", "", "", "", "CREATE_COMPLETE", "", inner))
        for name, inner in sets.items()
    )
    found = ChangeSetFilter(
        template(**ROOT),
        {"NetworkStack": template(**BRANCHES)},
        {"NetworkStack": {"Listener": "arn"}},
        frozenset({"DomainName"} if unchanged else ()),
        parameters={} if domain is None else {"NetworkStack": {"Domain": domain}},
    )
    assert service(found.classify(ChangeSet("", "", "", "shop", "CREATE_COMPLETE", "", changes))) == {"Task": effect}
