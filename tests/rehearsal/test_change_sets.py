"""Change sets with nested stacks: nested sets, pages, values, statuses and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

Nested = Callable[..., dict[str, Any]]

TOPIC = "AWS::SNS::Topic"


def topic(name: str, **parameters: Any) -> dict[str, Any]:
    """Return a template with one topic, whose name is a parameter."""
    return {
        "Parameters": {"Name": {"Type": "String"}, **parameters},
        "Resources": {"NewsTopic": {"Type": TOPIC, "Properties": {"DisplayName": {"Fn::Sub": f"{name} ${{Name}}"}}}},
        "Outputs": {"TopicArn": {"Value": {"Ref": "NewsTopic"}}},
    }


def chain(nested: Nested, first: str, second: str) -> dict[str, Any]:
    return {
        "Parameters": {"Name": {"Type": "String", "Default": "one"}},
        "Resources": {
            "FirstStack": nested(first, Name={"Ref": "Name"}),
            "SecondStack": nested(second, Name={"Fn::GetAtt": ["FirstStack", "Outputs.TopicArn"]}),
        },
    }


def lines(change_set: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {change["ResourceChange"]["LogicalResourceId"]: change["ResourceChange"] for change in change_set["Changes"]}


@pytest.fixture
def two(cloud: Any, nested: Nested) -> dict[str, Any]:
    return chain(nested, cloud.put("first", topic("first")), cloud.put("second", topic("second")))


def test_a_change_set_of_a_first_deployment_has_one_for_each_child(cloud: Any, two: dict[str, Any]) -> None:
    change_set = cloud.change_set("root", two, kind="CREATE")
    assert (change_set["Status"], change_set["ExecutionStatus"]) == ("CREATE_COMPLETE", "AVAILABLE")
    assert change_set["IncludeNestedStacks"] is True
    assert cloud.stack("root")["StackStatus"] == "REVIEW_IN_PROGRESS"
    second = cloud.described(lines(change_set)["SecondStack"]["ChangeSetId"])
    assert second["ParentChangeSetId"] == second["RootChangeSetId"] == change_set["ChangeSetId"]
    assert lines(second)["NewsTopic"]["Action"] == "Add"
    placeholder = "{{IntrinsicFunction:root/FirstStack.Outputs.TopicArn/Fn::GetAtt}}"
    assert second["Parameters"] == [{"ParameterKey": "Name", "ParameterValue": placeholder}]
    announced = cloud.stack(second["StackId"])
    assert announced["StackStatus"] == "REVIEW_IN_PROGRESS"
    assert cloud.execute(change_set)["StackStatus"] == "CREATE_COMPLETE"
    assert cloud.stack(second["StackId"])["StackStatus"] == "CREATE_COMPLETE"
    assert cloud.described(second["ChangeSetId"])["ExecutionStatus"] == "EXECUTE_COMPLETE"


def test_a_change_set_without_a_change_is_empty(cloud: Any, two: dict[str, Any]) -> None:
    cloud.create("root", two)
    change_set = cloud.change_set("root", two)
    assert (change_set["Status"], change_set["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE")
    assert change_set["StatusReason"].startswith("The submitted information didn't contain changes.")


def test_a_changed_parameter_shows_values_in_the_child_and_a_possible_change_in_its_sibling(
    cloud: Any, two: dict[str, Any]
) -> None:
    cloud.create("root", two)
    change_set = cloud.change_set("root", two, Name="two")
    assert {line["Replacement"] for line in lines(change_set).values()} == {"False"}
    first = cloud.described(lines(change_set)["FirstStack"]["ChangeSetId"])
    (detail,) = [
        detail for detail in lines(first)["NewsTopic"]["Details"] if detail["ChangeSource"] == "DirectModification"
    ]
    assert detail["Target"]["BeforeValue"] == "first one"
    assert detail["Target"]["AfterValue"] == "first two"
    assert json.loads(lines(first)["NewsTopic"]["AfterContext"])["Properties"]["DisplayName"] == "first two"
    # The sibling's input is only a placeholder until the first stack is updated, so it may change.
    assert "ChangeSetId" in lines(change_set)["SecondStack"]


def test_values_are_described_only_on_request(cloud: Any, two: dict[str, Any]) -> None:
    cloud.create("root", two)
    identifier = lines(cloud.change_set("root", two, Name="two"))["FirstStack"]["ChangeSetId"]
    plain = cloud.cloudformation.describe_change_set(ChangeSetName=identifier)
    assert "BeforeValue" not in json.dumps(plain, default=str)


def test_a_changed_template_changes_only_its_own_child(cloud: Any, nested: Nested, two: dict[str, Any]) -> None:
    cloud.create("root", two)
    changed = topic("second")
    changed["Resources"]["OtherTopic"] = {"Type": TOPIC}
    template = chain(nested, cloud.put("first", topic("first")), cloud.put("second-2", changed))
    change_set = cloud.change_set("root", template)
    assert list(lines(change_set)) == ["SecondStack"]
    child = cloud.described(lines(change_set)["SecondStack"]["ChangeSetId"])
    assert [(name, line["Action"]) for name, line in lines(child).items()] == [("OtherTopic", "Add")]


def test_a_child_whose_own_change_set_is_empty_is_listed_without_one(
    cloud: Any, nested: Nested, two: dict[str, Any]
) -> None:
    cloud.create("root", two)
    template = chain(nested, cloud.put("first", topic("first")), cloud.put("same-content", topic("second")))
    line = lines(cloud.change_set("root", template))["SecondStack"]
    assert line["Action"] == "Modify"
    assert "ChangeSetId" not in line


def test_a_new_output_alone_is_a_change(cloud: Any) -> None:
    cloud.create("plain", topic("t"), Name="a")
    template = topic("t")
    template["Outputs"]["Name"] = {"Value": {"Fn::GetAtt": ["NewsTopic", "TopicName"]}}
    change_set = cloud.change_set("plain", template, Name="a")
    assert (change_set["Status"], change_set["Changes"]) == ("CREATE_COMPLETE", [])
    cloud.execute(change_set)
    assert "Name" in cloud.outputs("plain")


def test_many_changes_come_in_pages(cloud: Any) -> None:
    resources = {f"Topic{number:02}": {"Type": TOPIC} for number in range(45)}
    change_set = cloud.change_set("plain", {"Resources": resources}, kind="CREATE")
    assert len(change_set["Changes"]) == len(resources)
    first = cloud.cloudformation.describe_change_set(ChangeSetName=change_set["ChangeSetId"])
    assert len(first["Changes"]) < len(resources)
    assert "NextToken" in first


def test_a_child_that_would_be_refused_fails_the_whole_change_set(cloud: Any, nested: Nested) -> None:
    url = cloud.put("strict", topic("t", Missing={"Type": "String"}))
    change_set = cloud.change_set("root", {"Resources": {"TopicStack": nested(url, Name="a")}}, kind="CREATE")
    assert change_set["Status"] == "FAILED"
    assert change_set["StatusReason"].startswith("Nested change set arn:aws:cloudformation:")
    child = cloud.described(lines(change_set)["TopicStack"]["ChangeSetId"])
    assert child["StatusReason"] == "Parameters: [Missing] must have values"


def test_deleting_a_change_set_deletes_its_nested_ones(cloud: Any, two: dict[str, Any]) -> None:
    change_set = cloud.change_set("root", two, kind="CREATE")
    child = lines(change_set)["FirstStack"]["ChangeSetId"]
    with pytest.raises(ClientError, match="root stack"):
        cloud.cloudformation.delete_change_set(ChangeSetName=child)
    with pytest.raises(ClientError, match="root stack"):
        cloud.cloudformation.execute_change_set(ChangeSetName=child)
    cloud.cloudformation.delete_change_set(ChangeSetName=change_set["ChangeSetId"])
    with pytest.raises(ClientError, match="does not exist"):
        cloud.described(child)
    assert [stack["StackName"] for stack in cloud.cloudformation.describe_stacks()["Stacks"]] == ["root"]
    assert cloud.delete("root")["StackStatus"] == "DELETE_COMPLETE"


def test_a_second_change_set_for_a_reviewed_stack_belongs_to_the_same_stack(cloud: Any, two: dict[str, Any]) -> None:
    first = cloud.change_set("root", two, kind="CREATE", name="first")
    second = cloud.change_set("root", two, kind="CREATE", name="second")
    assert first["StackId"] == second["StackId"]
    listed = cloud.cloudformation.list_change_sets(StackName="root")["Summaries"]
    assert [summary["ChangeSetName"] for summary in listed] == ["first", "second"]
    assert cloud.execute(second)["StackStatus"] == "CREATE_COMPLETE"


def test_a_rolled_back_creation_cannot_be_updated(cloud: Any) -> None:
    broken = {"Type": "AWS::SNS::Subscription", "Properties": {"TopicArn": "none", "Protocol": "no", "Endpoint": "x"}}
    missing = {"Type": "Custom::Missing", "Properties": {"ServiceToken": "arn:aws:lambda:x:1:function:none"}}
    template = {"Resources": {"First": missing, "Second": broken | {"DependsOn": "First"}}}
    assert cloud.create("plain", template)["StackStatus"] == "ROLLBACK_COMPLETE"
    for kind, words in (
        ("UPDATE", "is in ROLLBACK_COMPLETE state and can not be updated"),
        ("CREATE", "already exists"),
    ):
        with pytest.raises(ClientError, match=words):
            cloud.change_set("plain", topic("t"), kind=kind, Name="a")
    with pytest.raises(ClientError, match="already exists"):
        cloud.create("plain", topic("t"), Name="a")


def test_a_replacement_is_marked_as_replacement(cloud: Any) -> None:
    group = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": {"Ref": "Name"}, "RetentionInDays": 3}}
    template = {"Parameters": {"Name": {"Type": "String"}}, "Resources": {"OrdersLogGroup": group}}
    cloud.create("plain", template, Name="one")
    assert lines(cloud.change_set("plain", template, Name="two"))["OrdersLogGroup"]["Replacement"] == "True"
