"""Refusals before an operation changes a resource, with AWS's messages."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError


def template(parameter: dict[str, Any], **more: Any) -> dict[str, Any]:
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Ref": "Value"}}}
    return {"Parameters": {"Value": parameter}, "Resources": {"NewsTopic": topic}, **more}


@pytest.mark.parametrize(
    ("parameter", "value", "message"),
    [
        (
            {"Type": "String", "AllowedPattern": "[a-z]+", "ConstraintDescription": "must be lower case"},
            "A",
            "Parameter Value failed to satisfy constraint: must be lower case",
        ),
        ({"Type": "String", "AllowedPattern": "[a-z]+"}, "A", r"Parameter 'Value' must match pattern \[a-z\]\+"),
        ({"Type": "String", "AllowedValues": ["a", "b"]}, "c", "Parameter 'Value' must be one of AllowedValues"),
        ({"Type": "Number"}, "many", "Parameter 'Value' must be a number"),
        ({"Type": "Number", "MaxValue": 3}, "4", "must be a number not greater than 3"),
        ({"Type": "String", "MinLength": 2}, "a", "must contain at least 2 characters"),
    ],
)
def test_a_value_that_violates_its_constraint_is_refused(
    cloud: Any, parameter: dict[str, Any], value: str, message: str
) -> None:
    with pytest.raises(ClientError, match=message):
        cloud.create("plain", template(parameter), Value=value)


def test_missing_and_unknown_parameters_are_refused(cloud: Any) -> None:
    with pytest.raises(ClientError, match=r"Parameters: \[Value\] must have values"):
        cloud.create("plain", template({"Type": "String"}))
    with pytest.raises(ClientError, match=r"Parameters: \[Wrong\] do not exist in the template"):
        cloud.create("plain", template({"Type": "String"}), Value="a", Wrong="b")


def test_parameters_that_violate_a_rule_are_refused(cloud: Any) -> None:
    rule = {
        "Assertions": [
            {"Assert": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Value"}, "bad"]}]}, "AssertDescription": "never bad"}
        ]
    }
    with pytest.raises(ClientError, match="never bad"):
        cloud.create("plain", template({"Type": "String"}, Rules={"NotBad": rule}), Value="bad")


def test_a_named_role_without_its_capability_is_refused(cloud: Any) -> None:
    role = {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "x", "AssumeRolePolicyDocument": {}}}
    with pytest.raises(ClientError, match=r"Requires capabilities : \[CAPABILITY_NAMED_IAM\]"):
        cloud.cloudformation.create_stack(
            StackName="plain",
            TemplateBody=json.dumps({"Resources": {"SomeRole": role}}),
            Capabilities=["CAPABILITY_IAM"],
        )


def test_an_unknown_resource_type_is_never_skipped(cloud: Any) -> None:
    with pytest.raises(ClientError, match=r"Unrecognized resource types: \[AWS::EC2::Nonsense\]"):
        cloud.create("plain", {"Resources": {"Thing": {"Type": "AWS::EC2::Nonsense"}}})


def test_a_reference_to_an_unknown_name_is_refused(cloud: Any) -> None:
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Ref": "Unknown"}}}
    with pytest.raises(ClientError, match=r"Unresolved resource dependencies \[Unknown\] in the Resources block"):
        cloud.create("plain", {"Resources": {"NewsTopic": topic}})


def test_a_reference_to_a_resource_without_its_condition_is_refused(cloud: Any) -> None:
    body = {
        "Conditions": {"Never": {"Fn::Equals": [{"Fn::Join": ["", ["a", "b"]]}, "c"]}},
        "Resources": {
            "Absent": {"Type": "AWS::SNS::Topic", "Condition": "Never"},
            "Present": {
                "Type": "AWS::SNS::Topic",
                "Properties": {"DisplayName": {"Fn::If": ["Never", {"Ref": "Absent"}, "fine"]}},
            },
        },
    }
    assert cloud.create("plain", body)["StackStatus"] == "CREATE_COMPLETE"
    body["Outputs"] = {"Absent": {"Value": {"Ref": "Absent"}}}
    with pytest.raises(ClientError, match=r"\[Absent\] in the Outputs block"):
        cloud.create("other", body)


def test_a_function_without_its_code_fails_the_creation(cloud: Any) -> None:
    cloud.put("something", b"")
    function = {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Role": "arn:aws:iam::123456789012:role/none",
            "Runtime": "python3.13",
            "Handler": "index.handler",
            "Code": {"S3Bucket": cloud.bucket, "S3Key": "lambda/none.zip"},
        },
    }
    assert cloud.create("plain", {"Resources": {"SomeFunction": function}})["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "NoSuchKey" in cloud.reasons("plain")["SomeFunction"]
