"""Nested stacks: references, exports, updates, rollback and deletion; no events without a change."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

Nested = Callable[..., dict[str, Any]]

BROKEN = {
    "Type": "Custom::Broken",
    "Properties": {"ServiceToken": {"Fn::Sub": "arn:aws:lambda:${AWS::Region}:${AWS::AccountId}:function:none"}},
}


def queue_template(**more: Any) -> dict[str, Any]:
    return {
        "Parameters": {"Purpose": {"Type": "String"}},
        "Resources": {
            "OrdersQueue": {
                "Type": "AWS::SQS::Queue",
                "Properties": {"Tags": [{"Key": "purpose", "Value": {"Ref": "Purpose"}}]},
            },
            **more,
        },
        "Outputs": {"QueueArn": {"Value": {"Fn::GetAtt": ["OrdersQueue", "Arn"]}}},
    }


def topic_template(**more: Any) -> dict[str, Any]:
    return {
        "Parameters": {"QueueArn": {"Type": "String"}},
        "Resources": {
            "NewsTopic": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Ref": "QueueArn"}}},
            **more,
        },
        "Outputs": {"TopicArn": {"Value": {"Ref": "NewsTopic"}}},
    }


def root(nested: Nested, queue: str, topic: str) -> dict[str, Any]:
    return {
        "Parameters": {"Purpose": {"Type": "String", "Default": "test"}},
        "Resources": {
            "QueueStack": nested(queue, Purpose={"Ref": "Purpose"}),
            "TopicStack": nested(topic, QueueArn={"Fn::GetAtt": ["QueueStack", "Outputs.QueueArn"]}),
        },
        "Outputs": {"TopicArn": {"Value": {"Fn::GetAtt": ["TopicStack", "Outputs.TopicArn"]}}},
    }


def test_outputs_reach_siblings_and_the_parent(cloud: Any, nested: Nested, account: str) -> None:
    template = root(nested, cloud.put("queue", queue_template()), cloud.put("topic", topic_template()))
    stack = cloud.create("root", template)
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    child = cloud.stack(cloud.child("root", "QueueStack"))
    assert child["ParentId"] == child["RootId"] == stack["StackId"]
    assert child["StackName"].startswith("root-QueueStack-")
    topic = cloud.outputs("root")["TopicArn"]
    display_name = cloud.aws("sns").get_topic_attributes(TopicArn=topic)["Attributes"]["DisplayName"]
    assert display_name.startswith(f"arn:aws:sqs:ap-northeast-1:{account}:root-QueueStack-")


def test_dynamic_references_and_exports_work_inside_children(cloud: Any, nested: Nested) -> None:
    cloud.aws("secretsmanager").create_secret(Name="greeting", SecretString=json.dumps({"text": "hello"}))
    template = topic_template()
    template["Resources"]["NewsTopic"]["Properties"]["DisplayName"] = {
        "Fn::Sub": "{{resolve:secretsmanager:greeting:SecretString:text}}-${QueueArn}"
    }
    template["Outputs"]["TopicArn"]["Export"] = {"Name": "news"}
    url = cloud.put("topic", template)
    cloud.create("root", {"Resources": {"TopicStack": nested(url, QueueArn="q")}})
    exports = {export["Name"]: export["Value"] for export in cloud.cloudformation.list_exports()["Exports"]}
    attributes = cloud.aws("sns").get_topic_attributes(TopicArn=exports["news"])["Attributes"]
    assert attributes["DisplayName"] == "hello-q"


def test_a_child_without_a_change_has_no_events_in_an_update(cloud: Any, nested: Nested) -> None:
    queue, topic = cloud.put("queue", queue_template()), cloud.put("topic", topic_template())
    cloud.create("root", root(nested, queue, topic))
    before = cloud.events(cloud.child("root", "TopicStack"))
    cloud.update("root", root(nested, queue, topic), Purpose="other")
    assert cloud.events(cloud.child("root", "TopicStack")) == before
    assert cloud.stack(cloud.child("root", "QueueStack"))["StackStatus"] == "UPDATE_COMPLETE"


def test_unchanged_resources_of_an_updated_stack_send_no_events(cloud: Any, nested: Nested) -> None:
    other = {"Type": "AWS::SQS::Queue"}
    first, second = queue_template(Other=other), queue_template(Other=other, Another=other)
    cloud.create("plain", first, Purpose="a")
    seen = len(cloud.events("plain"))
    cloud.update("plain", second, Purpose="b")
    assert [event for event in cloud.events("plain")[seen:] if event[0] != "plain"] == [
        ("Another", "CREATE_IN_PROGRESS"),
        ("Another", "CREATE_COMPLETE"),
        ("OrdersQueue", "UPDATE_IN_PROGRESS"),
        ("OrdersQueue", "UPDATE_COMPLETE"),
    ]


def test_a_removed_resource_is_deleted_in_the_cleanup_phase(cloud: Any) -> None:
    cloud.create("plain", queue_template(Other={"Type": "AWS::SQS::Queue"}), Purpose="a")
    seen = len(cloud.events("plain"))
    cloud.update("plain", queue_template(), Purpose="a")
    assert cloud.events("plain")[seen:] == [
        ("plain", "UPDATE_IN_PROGRESS"),
        ("plain", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"),
        ("Other", "DELETE_IN_PROGRESS"),
        ("Other", "DELETE_COMPLETE"),
        ("plain", "UPDATE_COMPLETE"),
    ]


@pytest.mark.parametrize("key", ["topic", "topic-2"])
def test_a_changed_template_is_deployed_with_the_same_url_and_with_another_one(
    cloud: Any, nested: Nested, key: str
) -> None:
    queue, topic = cloud.put("queue", queue_template()), cloud.put("topic", topic_template())
    cloud.create("root", root(nested, queue, topic))
    changed = cloud.put(key, topic_template(SecondTopic={"Type": "AWS::SNS::Topic"}))
    cloud.update("root", root(nested, queue, changed), Purpose="other")
    child = cloud.child("root", "TopicStack")
    resources = cloud.cloudformation.describe_stack_resources(StackName=child)["StackResources"]
    assert {resource["LogicalResourceId"] for resource in resources} == {"NewsTopic", "SecondTopic"}


def test_a_failed_child_rolls_back_its_parent_and_all_resources(cloud: Any, nested: Nested) -> None:
    url = cloud.put("queue", queue_template(Broken=BROKEN | {"DependsOn": "OrdersQueue"}))
    stack = cloud.create("root", {"Resources": {"QueueStack": nested(url, Purpose="a")}})
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    reason = cloud.reasons("root")["QueueStack"]
    assert reason.startswith("Embedded stack arn:aws:cloudformation:")
    assert reason.endswith("was not successfully created: The following resource(s) failed to create: [Broken]. ")
    assert cloud.aws("sqs").list_queues().get("QueueUrls", []) == []
    child = reason.split()[2]
    assert cloud.stack(child)["StackStatus"] == "DELETE_COMPLETE"


def test_a_failed_update_rolls_back_every_child(cloud: Any, nested: Nested) -> None:
    queue, topic = cloud.put("queue", queue_template()), cloud.put("topic", topic_template())
    cloud.create("root", root(nested, queue, topic))
    broken = cloud.put("topic-2", topic_template(Broken=BROKEN))
    stack = cloud.update("root", root(nested, queue, broken), Purpose="other")
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "Currently in UPDATE_ROLLBACK_IN_PROGRESS with reason" in cloud.reasons("root")["TopicStack"]
    assert ("Broken", "CREATE_FAILED") in cloud.events(cloud.child("root", "TopicStack"))
    parameters = cloud.stack(cloud.child("root", "QueueStack"))["Parameters"]
    assert parameters == [{"ParameterKey": "Purpose", "ParameterValue": "test"}]
    assert cloud.update("root", root(nested, queue, topic), Purpose="third")["StackStatus"] == "UPDATE_COMPLETE"


def test_a_failed_creation_that_was_not_rolled_back_is_continued_by_an_update(cloud: Any, nested: Nested) -> None:
    broken = cloud.put("queue", queue_template(Broken=BROKEN | {"DependsOn": "OrdersQueue"}))
    change_set = cloud.change_set("root", {"Resources": {"QueueStack": nested(broken, Purpose="a")}}, kind="CREATE")
    stack = cloud.execute(change_set, DisableRollback=True)
    assert stack["StackStatus"] == "CREATE_FAILED"
    queues = cloud.aws("sqs").list_queues()["QueueUrls"]
    repaired = cloud.put("queue-2", queue_template())
    change_set = cloud.change_set("root", {"Resources": {"QueueStack": nested(repaired, Purpose="a")}})
    assert [change["ResourceChange"]["Action"] for change in change_set["Changes"]] == ["Modify"]
    assert cloud.execute(change_set, DisableRollback=True)["StackStatus"] == "UPDATE_COMPLETE"
    assert cloud.aws("sqs").list_queues()["QueueUrls"] == queues
    assert cloud.delete("root")["StackStatus"] == "DELETE_COMPLETE"
    assert not cloud.aws("sqs").list_queues().get("QueueUrls")


def test_a_child_without_acknowledged_capabilities_is_refused(cloud: Any, nested: Nested) -> None:
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {"Version": "2012-10-17"}}}
    url = cloud.put("role", {"Resources": {"SomeRole": role}})
    template = json.dumps({"Resources": {"RoleStack": nested(url)}})
    identifier = cloud.cloudformation.create_stack(StackName="root", TemplateBody=template)["StackId"]
    assert cloud.wait(identifier)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "Requires capabilities : [CAPABILITY_IAM]" in cloud.reasons("root")["RoleStack"]


def test_a_deletion_respects_the_deletion_policies_inside_children(cloud: Any, nested: Nested) -> None:
    kept = {"Type": "AWS::SNS::Topic", "DeletionPolicy": "Retain"}
    url = cloud.put("queue", queue_template(KeptTopic=kept))
    cloud.create("root", {"Resources": {"QueueStack": nested(url, Purpose="a")}})
    child = cloud.child("root", "QueueStack")
    assert cloud.delete("root")["StackStatus"] == "DELETE_COMPLETE"
    assert ("KeptTopic", "DELETE_SKIPPED") in cloud.events(child)
    assert len(cloud.aws("sns").list_topics()["Topics"]) == 1
    assert not cloud.aws("sqs").list_queues().get("QueueUrls")


def test_a_child_that_cannot_be_deleted_fails_its_parent(cloud: Any, nested: Nested) -> None:
    bucket = {"Type": "AWS::S3::Bucket"}
    url = cloud.put(
        "bucket", {"Resources": {"FullBucket": bucket}, "Outputs": {"Name": {"Value": {"Ref": "FullBucket"}}}}
    )
    cloud.create("root", {"Resources": {"BucketStack": nested(url)}})
    name = cloud.outputs(cloud.child("root", "BucketStack"))["Name"]
    cloud.s3.put_object(Bucket=name, Key="precious", Body=b"1")
    assert cloud.delete("root")["StackStatus"] == "DELETE_FAILED"
    assert "not empty" in cloud.reasons(cloud.child("root", "BucketStack"))["FullBucket"]
    cloud.s3.delete_object(Bucket=name, Key="precious")
    assert cloud.delete("root")["StackStatus"] == "DELETE_COMPLETE"


def test_termination_protection_is_enforced(cloud: Any) -> None:
    cloud.create("plain", queue_template(), Purpose="a")
    cloud.cloudformation.update_termination_protection(StackName="plain", EnableTerminationProtection=True)
    with pytest.raises(ClientError, match="TerminationProtection is enabled"):
        cloud.cloudformation.delete_stack(StackName="plain")


def test_a_missing_template_fails_with_the_message_of_s3(cloud: Any, nested: Nested) -> None:
    url = cloud.put("queue", queue_template()) + "-missing"
    stack = cloud.create("root", {"Resources": {"QueueStack": nested(url, Purpose="a")}})
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "The specified key does not exist" in cloud.reasons("root")["QueueStack"]


STUBBORN = b"""
import json, urllib.request
import boto3

def handler(event, context):
    properties = event["ResourceProperties"]
    stuck = boto3.client("s3").list_objects_v2(Bucket=properties["Bucket"], Prefix="stuck")["KeyCount"]
    answer = {key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")}
    answer |= {"Status": "FAILED" if stuck else "SUCCESS", "Reason": "stuck", "PhysicalResourceId": "it"}
    request = urllib.request.Request(event["ResponseURL"], data=json.dumps(answer).encode(), method="PUT")
    urllib.request.urlopen(request)
"""


def stubborn(cloud: Any) -> dict[str, Any]:
    """Return a template whose update and rollback fail while the bucket has an object named stuck."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("index.py", STUBBORN)
    cloud.put("stubborn.zip", archive.getvalue())
    function = {
        "Role": "arn:aws:iam::123456789012:role/none",
        "Runtime": "python3.13",
        "Handler": "index.handler",
        "Timeout": 20,
        "Code": {"S3Bucket": cloud.bucket, "S3Key": "stubborn.zip"},
    }
    custom = {
        "ServiceToken": {"Fn::GetAtt": ["Function", "Arn"]},
        "ServiceTimeout": "20",
        "Bucket": cloud.bucket,
        "Text": {"Ref": "Text"},
    }
    return {
        "Parameters": {"Text": {"Type": "String"}},
        "Resources": {
            "Function": {"Type": "AWS::Lambda::Function", "Properties": function},
            "Stubborn": {"Type": "Custom::Stubborn", "Properties": custom},
        },
    }


@pytest.mark.parametrize("skipped", [False, True])
def test_a_failed_rollback_of_a_child_is_continued_from_the_root(cloud: Any, nested: Nested, skipped: bool) -> None:
    url = cloud.put("stubborn", stubborn(cloud))

    def root_of(text: str) -> dict[str, Any]:
        return {"Resources": {"StubbornStack": nested(url, Text=text)}}

    cloud.create("root", root_of("one"))
    cloud.put("stuck", b"")
    assert cloud.update("root", root_of("two"))["StackStatus"] == "UPDATE_ROLLBACK_FAILED"
    child = cloud.stack(cloud.child("root", "StubbornStack"))
    assert child["StackStatus"] == "UPDATE_ROLLBACK_FAILED"
    with pytest.raises(ClientError, match="UPDATE_ROLLBACK_FAILED state and can not be updated"):
        cloud.change_set("root", root_of("three"))
    skip = [f"{child['StackName']}.Stubborn"] if skipped else []
    if not skipped:
        cloud.s3.delete_object(Bucket=cloud.bucket, Key="stuck")
    cloud.cloudformation.continue_update_rollback(StackName="root", ResourcesToSkip=skip)
    assert cloud.wait("root")["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert cloud.stack(child["StackId"])["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"


def test_a_child_of_a_protected_root_is_protected_too(cloud: Any, nested: Nested) -> None:
    url = cloud.put("queue", queue_template())
    cloud.create("root", {"Resources": {"QueueStack": nested(url, Purpose="a")}})
    cloud.cloudformation.update_termination_protection(StackName="root", EnableTerminationProtection=True)
    with pytest.raises(ClientError, match="TerminationProtection is enabled on its root"):
        cloud.cloudformation.delete_stack(StackName=cloud.child("root", "QueueStack"))


def test_a_deleted_stack_is_described_only_by_its_id(cloud: Any) -> None:
    first = cloud.create("plain", queue_template(), Purpose="a")["StackId"]
    cloud.delete("plain")
    with pytest.raises(ClientError, match="does not exist"):
        cloud.events("plain")
    second = cloud.create("plain", queue_template(), Purpose="a")["StackId"]
    assert cloud.stack(first)["StackStatus"] == "DELETE_COMPLETE"
    assert cloud.stack("plain")["StackId"] == second
    assert ("OrdersQueue", "DELETE_COMPLETE") in cloud.events(first)
