"""The Rules of a template have three results: true, false, and not known yet."""

from __future__ import annotations

from typing import Any

import pytest

from hosting.model.intrinsics import UNKNOWN, BrokenAssertion, broken_assertions
from hosting.model.templates import Template

REF = {"Ref": "A"}


def broken(rules: dict[str, Any], values: dict[str, Any]) -> list[BrokenAssertion]:
    """Return the broken assertions of a template with these rules, whose parameters have no defaults."""
    parameters = {"A": {"Type": "String"}, "Environment": {"Type": "String"}}
    return list(broken_assertions(Template.from_body("root.json", {"Parameters": parameters, "Rules": rules}), values))


@pytest.mark.parametrize(
    ("assertion", "value", "holds"),
    [
        ({"Fn::Equals": [REF, "x"]}, "x", True),
        ({"Fn::Equals": [REF, "x"]}, "y", False),
        ({"Fn::Equals": [REF, "x"]}, UNKNOWN, True),
        ({"Fn::Not": [{"Fn::Equals": [REF, "x"]}]}, "x", False),
        ({"Fn::Not": [{"Fn::Equals": [REF, "x"]}]}, UNKNOWN, True),
        ({"Fn::And": [{"Fn::Equals": [REF, "x"]}, {"Fn::Equals": ["1", "2"]}]}, UNKNOWN, False),
        ({"Fn::And": [{"Fn::Equals": [REF, "x"]}, {"Fn::Equals": ["1", "1"]}]}, UNKNOWN, True),
        ({"Fn::Or": [{"Fn::Equals": [REF, "x"]}, {"Fn::Equals": ["1", "2"]}]}, "y", False),
        ({"Fn::Or": [{"Fn::Equals": [REF, "x"]}, {"Fn::Equals": ["1", "1"]}]}, UNKNOWN, True),
        ({"Fn::Contains": [["x", "y"], REF]}, "y", True),
        ({"Fn::Contains": [["x", "y"], REF]}, "z", False),
        ({"Fn::Contains": [["x", "y"], REF]}, UNKNOWN, True),
        ({"Fn::EachMemberIn": [REF, ["x", "y"]]}, "x,y", True),
        ({"Fn::EachMemberIn": [REF, ["x", "y"]]}, "x,z", False),
        ({"Fn::EachMemberEquals": [REF, "x"]}, "x,x", True),
        ({"Fn::EachMemberEquals": [REF, "x"]}, "x,y", False),
        ({"Fn::EachMemberEquals": [{"Fn::ValueOf": ["A", "VpcId"]}, "vpc-1"]}, "x", True),
        ({"Fn::EachMemberIn": [{"Fn::ValueOfAll": ["AWS::EC2::Subnet::Id", "VpcId"]}, {"Fn::RefAll": "V"}]}, "x", True),
    ],
)
def test_assertions(assertion: Any, value: Any, holds: bool) -> None:
    rule = {"R": {"Assertions": [{"Assert": assertion, "AssertDescription": "no"}]}}
    assert (not broken(rule, {"A": value})) is holds


def test_a_condition_that_does_not_hold_or_is_unknown_silences_the_rule() -> None:
    rule = {
        "R": {
            "RuleCondition": {"Fn::Equals": [{"Ref": "Environment"}, "prod"]},
            "Assertions": [{"Assert": {"Fn::Equals": [REF, "x"]}, "AssertDescription": "A must be x"}],
        }
    }
    assert not broken(rule, {"A": "y", "Environment": "dev"})
    assert not broken(rule, {"A": "y", "Environment": UNKNOWN})
    (found,) = broken(rule, {"A": "y", "Environment": "prod"})
    assert (found.rule, found.description, found.parameters) == ("R", "A must be x", ("A", "Environment"))
