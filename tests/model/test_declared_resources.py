"""The estimate of a first plan counts what the values of the environment create."""

from __future__ import annotations

from typing import Any

from hosting.model.declared_resources import count_resources
from hosting.model.templates import Template

TOPIC = {"Type": "AWS::SNS::Topic"}


def nested(key: str, condition: str = "", **parameters: Any) -> dict[str, Any]:
    url = {"Fn::Sub": "https://${ArtifactBucket}.s3/${" + key + "}"}
    body = {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": url, "Parameters": parameters}}
    return {**body, "Condition": condition} if condition else body


ROOT = Template.from_body(
    "root.json",
    {
        "Parameters": {"DbReader": {"Type": "String"}, "Scope": {"Type": "String"}},
        "Conditions": {
            "HasReader": {"Fn::Equals": [{"Ref": "DbReader"}, "true"]},
            "ReadsNow": {"Fn::And": [{"Condition": "HasReader"}, {"Fn::Equals": [{"Ref": "Scope"}, "all"]}]},
        },
        "Resources": {
            "Own": TOPIC,
            "ReaderStack": nested("ReaderTemplateKey", "ReadsNow"),
            "AlarmsStack": nested(
                "AlarmsTemplateKey",
                Reader={"Ref": "DbReader"},
                Topic={"Fn::GetAtt": ["ReaderStack", "Outputs.Topic"]},
                Scope={"Ref": "Scope"},
            ),
        },
    },
)
ALARMS = Template.from_body(
    "alarms.json",
    {
        "Parameters": {name: {"Type": "String"} for name in ("Reader", "Topic", "Scope")},
        "Conditions": {
            "HasReader": {"Fn::Equals": [{"Ref": "Reader"}, "true"]},
            "IsAll": {"Fn::Equals": [{"Ref": "Scope"}, "all"]},
        },
        "Resources": {
            "Always": TOPIC,
            "Lag": {**TOPIC, "Condition": "HasReader"},
            "Late": {**TOPIC, "Condition": "IsAll"},
        },
    },
)
READER = Template.from_body("reader.json", {"Resources": {"One": TOPIC, "Two": TOPIC}})
TEMPLATES = {one.name: one for one in (ROOT, ALARMS, READER)}


def test_a_condition_that_is_false_leaves_out_the_resource_in_nested_stacks_too() -> None:
    assert count_resources(ROOT, TEMPLATES, {"DbReader": "false"}) == {"": 1, "AlarmsStack": 2}


def test_a_condition_that_is_not_known_counts() -> None:
    assert count_resources(ROOT, TEMPLATES, {"DbReader": "true"}) == {"": 1, "ReaderStack": 2, "AlarmsStack": 3}
    assert count_resources(ROOT, TEMPLATES, {"DbReader": "true", "Scope": "none"}) == {"": 1, "AlarmsStack": 2}
