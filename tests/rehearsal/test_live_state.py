"""The emulator refuses what AWS refuses because of other resources, in operations and in change sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

Template = dict[str, Any]
ZONES = ("ap-northeast-1a", "ap-northeast-1c")


def one(kind: str, **properties: Any) -> Template:
    return {"Resources": {"It": {"Type": kind, "Properties": properties}}}


def retained(template: Template) -> Template:
    return {"Resources": {name: {**body, "DeletionPolicy": "Retain"} for name, body in template["Resources"].items()}}


NAMES: dict[str, dict[str, Any]] = {
    "AWS::ECR::Repository": {"RepositoryName": "platform/search"},
    "AWS::Logs::LogGroup": {"LogGroupName": "/platform/app"},
    "AWS::ECS::Cluster": {"ClusterName": "platform"},
    "AWS::SNS::Topic": {"TopicName": "alarms"},
    "AWS::SQS::Queue": {"QueueName": "jobs"},
    "AWS::SecretsManager::Secret": {"Name": "platform/app", "SecretString": "not-a-secret"},
    "AWS::CloudWatch::Alarm": {
        "AlarmName": "errors",
        "Namespace": "Platform",
        "MetricName": "Errors",
        "ComparisonOperator": "GreaterThanThreshold",
        "EvaluationPeriods": 1,
        "Period": 60,
        "Statistic": "Sum",
        "Threshold": 1,
    },
    "AWS::IAM::Role": {"RoleName": "app", "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []}},
    "AWS::ElasticLoadBalancingV2::TargetGroup": {"Name": "app", "Protocol": "HTTP", "Port": 80, "VpcId": "vpc-1"},
}


def name_of(kind: str) -> str:
    return str(next(iter(NAMES[kind].values())))


def already_exists(kind: str) -> str:
    return f"Resource of type '{kind}' with identifier '{name_of(kind)}' already exists."


@pytest.mark.parametrize("kind", NAMES)
def test_a_second_stack_cannot_create_a_resource_of_the_same_name(cloud: Any, kind: str) -> None:
    assert cloud.create("first", one(kind, **NAMES[kind]))["StackStatus"] == "CREATE_COMPLETE"
    assert cloud.create("second", one(kind, **NAMES[kind]))["StackStatus"] == "ROLLBACK_COMPLETE"
    reason = cloud.reasons("second")["It"]
    assert already_exists(kind) in reason
    assert "HandlerErrorCode: AlreadyExists" in reason


@pytest.mark.parametrize("kind", ["AWS::ECR::Repository", "AWS::Logs::LogGroup"])
def test_a_resource_that_a_deleted_stack_retained_keeps_its_name(cloud: Any, kind: str) -> None:
    cloud.create("first", retained(one(kind, **NAMES[kind])))
    cloud.delete("first")
    assert cloud.create("second", one(kind, **NAMES[kind]))["StackStatus"] == "ROLLBACK_COMPLETE"


def test_a_resource_that_was_created_without_cloudformation_keeps_its_name(cloud: Any, aws: Callable[..., Any]) -> None:
    aws("ecr").create_repository(repositoryName="platform/search")
    aws("logs").create_log_group(logGroupName="/platform/app")
    for kind in ("AWS::ECR::Repository", "AWS::Logs::LogGroup"):
        name = kind.split("::")[1].lower()
        assert cloud.create(name, one(kind, **NAMES[kind]))["StackStatus"] == "ROLLBACK_COMPLETE"
        assert already_exists(kind) in cloud.reasons(name)["It"]


@pytest.mark.parametrize("kind", ["AWS::ECR::Repository", "AWS::SQS::Queue"])
def test_an_update_cannot_add_a_resource_of_a_name_in_use(cloud: Any, kind: str) -> None:
    cloud.create("owner", one(kind, **NAMES[kind]))
    other = one("AWS::SNS::Topic")
    cloud.create("other", other)
    other["Resources"]["Second"] = one(kind, **NAMES[kind])["Resources"]["It"]
    assert cloud.update("other", other)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert already_exists(kind) in cloud.reasons("other")["Second"]


@pytest.mark.parametrize("kind", ["AWS::Logs::LogGroup", "AWS::ECS::Cluster"])
def test_a_nested_stack_cannot_take_over_the_name_of_its_sibling(
    cloud: Any, nested: Callable[..., Template], kind: str
) -> None:
    """A resource that moves to another layer is created there before the old layer deletes it."""
    full, empty = cloud.put("full.json", one(kind, **NAMES[kind])), cloud.put("empty.json", one("AWS::SNS::Topic"))
    before = {"Resources": {"AStack": nested(full), "BStack": nested(empty)}}
    assert cloud.create("root", before)["StackStatus"] == "CREATE_COMPLETE"
    after = {"Resources": {"AStack": nested(empty), "BStack": nested(full)}}
    after["Resources"]["AStack"]["DependsOn"] = "BStack"
    assert cloud.update("root", after)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"


@pytest.mark.parametrize("kind", ["AWS::Logs::LogGroup", "AWS::ECR::Repository"])
def test_early_validation_names_the_resource_until_the_change_set_is_deleted(
    cloud: Any, nested: Callable[..., Template], kind: str
) -> None:
    cloud.create("owner", one(kind, **NAMES[kind]))
    root = {"Resources": {"AppStack": nested(cloud.put("app.json", one(kind, **NAMES[kind])))}}
    found = cloud.change_set("root", root, kind="CREATE")
    assert found["Status"] == "FAILED"
    nested_set = found["StatusReason"].split()[3]
    child = cloud.described(nested_set)
    assert "[AWS::EarlyValidation::ResourceExistenceCheck]" in child["StatusReason"]
    (event,) = cloud.cloudformation.describe_events(ChangeSetName=nested_set)["OperationEvents"]
    assert event["EventType"] == "VALIDATION_ERROR"
    assert event["ValidationStatusReason"] == already_exists(kind)
    assert event["ValidationPath"].startswith("/Resources/It/Properties/")
    assert event["LogicalResourceId"] == "It"
    cloud.cloudformation.delete_change_set(ChangeSetName=found["ChangeSetId"])
    with pytest.raises(ClientError, match="does not exist"):
        cloud.cloudformation.describe_events(ChangeSetName=nested_set)


def test_a_change_set_without_conflicts_has_no_events(cloud: Any) -> None:
    found = cloud.change_set("plain", one("AWS::SNS::Topic"), kind="CREATE")
    assert cloud.cloudformation.describe_events(ChangeSetName=found["ChangeSetId"])["OperationEvents"] == []


@pytest.mark.parametrize(
    ("kind", "properties", "changed"),
    [
        ("AWS::EC2::SecurityGroup", {"GroupName": "web", "GroupDescription": "old"}, {"GroupDescription": "new"}),
        ("AWS::S3::Bucket", {"BucketName": "replaced-with-a-fixed-name"}, {"ObjectLockEnabled": True}),
    ],
)
def test_a_resource_with_a_fixed_name_cannot_be_replaced(
    cloud: Any, kind: str, properties: dict[str, Any], changed: dict[str, Any]
) -> None:
    assert cloud.create("plain", one(kind, **properties))["StackStatus"] == "CREATE_COMPLETE"
    assert cloud.update("plain", one(kind, **properties | changed))["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "cannot update a stack when a custom-named resource requires replacing" in cloud.reasons("plain")["It"]


def network(*ranges: str) -> Template:
    vpc = {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.9.0.0/16"}}
    subnets = {
        f"Subnet{number}": {
            "Type": "AWS::EC2::Subnet",
            "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": cidr, "AvailabilityZone": ZONES[number % 2]},
        }
        for number, cidr in enumerate(ranges)
    }
    return {"Resources": {"Vpc": vpc, **subnets}}


def test_subnets_of_a_vpc_do_not_overlap(cloud: Any) -> None:
    assert cloud.create("plain", network("10.9.0.0/24", "10.9.0.128/25"))["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "conflicts with another subnet" in " ".join(cloud.reasons("plain").values())


def test_a_subnet_cannot_move_to_another_zone_with_its_range(cloud: Any) -> None:
    template = network("10.9.0.0/24")
    cloud.create("plain", template)
    template["Resources"]["Subnet0"]["Properties"]["AvailabilityZone"] = ZONES[1]
    assert cloud.update("plain", template)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "The CIDR '10.9.0.0/24' conflicts with another subnet" in cloud.reasons("plain")["Subnet0"]


def routed() -> Template:
    """Return a VPC with a default route and two endpoints."""
    tables = {"RouteTableIds": [{"Ref": "Table"}]}
    vpc = {"VpcId": {"Ref": "Vpc"}}
    resources: dict[str, Any] = {
        "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.9.0.0/16"}},
        "Gateway": {"Type": "AWS::EC2::InternetGateway"},
        "Table": {"Type": "AWS::EC2::RouteTable", "Properties": vpc},
        "Route": {
            "Type": "AWS::EC2::Route",
            "Properties": {
                "RouteTableId": {"Ref": "Table"},
                "DestinationCidrBlock": "0.0.0.0/0",
                "GatewayId": {"Ref": "Gateway"},
            },
        },
        "ToS3": {"Type": "AWS::EC2::VPCEndpoint", "Properties": {**vpc, **tables, "ServiceName": S3}},
        "ToLogs": {"Type": "AWS::EC2::VPCEndpoint", "Properties": {**vpc, **PRIVATE, "ServiceName": LOGS}},
    }
    return {"Resources": resources}


S3, LOGS = "com.amazonaws.ap-northeast-1.s3", "com.amazonaws.ap-northeast-1.logs"
PRIVATE = {"VpcEndpointType": "Interface", "PrivateDnsEnabled": True, "SubnetIds": ["subnet-1"]}


@pytest.mark.parametrize(
    ("like", "text"),
    [
        ("Route", "The route identified by 0.0.0.0/0 already exists."),
        ("ToS3", "already has a route with destination-prefix-list-id"),
        ("ToLogs", f"because there is already a conflicting DNS domain for {LOGS.rsplit('.', maxsplit=1)[-1]}."),
    ],
)
def test_a_route_and_an_endpoint_that_change_their_logical_id_collide_with_the_old_ones(
    cloud: Any, like: str, text: str
) -> None:
    template = routed()
    assert cloud.create("plain", template)["StackStatus"] == "CREATE_COMPLETE"
    second = template["Resources"].pop(like)
    template["Resources"]["Second"] = second
    assert cloud.update("plain", template)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert text in cloud.reasons("plain")["Second"]


def test_routes_and_endpoints_change_in_place(cloud: Any) -> None:
    template = routed()
    cloud.create("plain", template)
    other = {"Type": "AWS::EC2::InternetGateway"}
    template["Resources"]["Other"] = other
    template["Resources"]["Route"]["Properties"]["GatewayId"] = {"Ref": "Other"}
    for endpoint in ("ToS3", "ToLogs"):
        template["Resources"][endpoint]["Properties"]["PolicyDocument"] = {"Version": "2012-10-17", "Statement": []}
    assert cloud.update("plain", template)["StackStatus"] == "UPDATE_COMPLETE"


def balancer(*names: str) -> dict[str, Any]:
    """Return load balancers, each with a listener, and one target group."""
    found: dict[str, Any] = {
        "Group": {
            "Type": "AWS::ElasticLoadBalancingV2::TargetGroup",
            "Properties": {"Protocol": "HTTP", "Port": 80, "VpcId": "vpc-1", "TargetType": "ip"},
        }
    }
    for name in names:
        found[name] = {
            "Type": "AWS::ElasticLoadBalancingV2::LoadBalancer",
            "Properties": {"Subnets": ["subnet-1", "subnet-2"]},
        }
        found[f"{name}Listener"] = {
            "Type": "AWS::ElasticLoadBalancingV2::Listener",
            "Properties": {
                "LoadBalancerArn": {"Ref": name},
                "Port": 80,
                "Protocol": "HTTP",
                "DefaultActions": [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "403"}}],
            },
        }
    return found


def rule(listener: str, priority: int) -> dict[str, Any]:
    return {
        "Type": "AWS::ElasticLoadBalancingV2::ListenerRule",
        "Properties": {
            "ListenerArn": {"Ref": listener},
            "Priority": priority,
            "Conditions": [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/*"]}}],
            "Actions": [{"Type": "forward", "TargetGroupArn": {"Ref": "Group"}}],
        },
    }


def test_a_listener_has_one_rule_per_priority(cloud: Any) -> None:
    """A renamed service is created with the priority of the old one, which is deleted later."""
    template = {"Resources": {**balancer("Main"), "OldRule": rule("MainListener", 200)}}
    assert cloud.create("plain", template)["StackStatus"] == "CREATE_COMPLETE"
    template["Resources"]["NewRule"] = template["Resources"].pop("OldRule")
    assert cloud.update("plain", template)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "Priority '200' is currently in use" in cloud.reasons("plain")["NewRule"]


def test_a_rule_cannot_be_changed_to_a_priority_in_use(cloud: Any) -> None:
    rules = {"First": rule("MainListener", 100), "Second": rule("MainListener", 200)}
    template = {"Resources": {**balancer("Main"), **rules}}
    cloud.create("plain", template)
    template["Resources"]["First"]["Properties"]["Priority"] = 200
    assert cloud.update("plain", template)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "Priority '200' is currently in use" in cloud.reasons("plain")["First"]


def test_a_target_group_belongs_to_one_load_balancer(cloud: Any) -> None:
    rules = {"First": rule("MainListener", 100), "Second": rule("OtherListener", 100)}
    rules["Second"]["DependsOn"] = "First"
    status = cloud.create("plain", {"Resources": {**balancer("Main", "Other"), **rules}})["StackStatus"]
    assert status == "ROLLBACK_COMPLETE"
    assert "cannot be associated with more than one load balancer" in cloud.reasons("plain")["Second"]


UNIQUE: dict[str, tuple[dict[str, Any], str]] = {
    "AWS::CloudFront::OriginAccessControl": (
        {
            "OriginAccessControlConfig": {
                "Name": "static",
                "OriginAccessControlOriginType": "s3",
                "SigningBehavior": "always",
                "SigningProtocol": "sigv4",
            }
        },
        "Resource of type 'AWS::CloudFront::OriginAccessControl' with identifier 'static' already exists.",
    ),
    "AWS::CloudFront::Function": (
        {
            "Name": "redirect",
            "AutoPublish": True,
            "FunctionCode": "function handler(event) { return event.request; }",
            "FunctionConfig": {"Comment": "x", "Runtime": "cloudfront-js-2.0"},
        },
        "Resource of type 'AWS::CloudFront::Function' with identifier 'redirect' already exists.",
    ),
    "AWS::CloudFront::ResponseHeadersPolicy": (
        {"ResponseHeadersPolicyConfig": {"Name": "headers", "Comment": "x"}},
        "Another response headers policy with the same name already exists",
    ),
    "AWS::CloudWatch::CompositeAlarm": (
        {"AlarmName": "all", "AlarmRule": "FALSE"},
        "Resource of type 'AWS::CloudWatch::CompositeAlarm' with identifier 'all' already exists.",
    ),
    "AWS::Chatbot::SlackChannelConfiguration": (
        {
            "ConfigurationName": "platform",
            "IamRoleArn": "arn:aws:iam::123456789012:role/chat",
            "SlackChannelId": "C0123456789",
            "SlackWorkspaceId": "T0123456789",
        },
        "Resource of type 'AWS::Chatbot::SlackChannelConfiguration' with identifier 'platform' already exists.",
    ),
    "AWS::Budgets::Budget": (
        {
            "Budget": {
                "BudgetName": "monthly",
                "BudgetLimit": {"Amount": 100, "Unit": "USD"},
                "BudgetType": "COST",
                "TimeUnit": "MONTHLY",
            }
        },
        "Error creating budget: monthly - the budget already exists.",
    ),
}


@pytest.mark.parametrize("kind", UNIQUE)
def test_a_second_stack_neither_adopts_nor_overwrites_a_resource_of_the_account(cloud: Any, kind: str) -> None:
    properties, text = UNIQUE[kind]
    assert cloud.create("first", one(kind, **properties))["StackStatus"] == "CREATE_COMPLETE"
    assert cloud.create("second", one(kind, **properties))["StackStatus"] == "ROLLBACK_COMPLETE"
    assert text in cloud.reasons("second")["It"]


def test_notifications_of_a_budget_change_only_with_its_name(cloud: Any) -> None:
    """Notifications can only be replaced, and the old budget has the name until the update ends."""
    properties = UNIQUE["AWS::Budgets::Budget"][0]
    cloud.create("plain", one("AWS::Budgets::Budget", **properties))
    notification = {"ComparisonOperator": "GREATER_THAN", "NotificationType": "ACTUAL", "Threshold": 80}
    subscriber = {"Address": "team@example.com", "SubscriptionType": "EMAIL"}
    notified = {"NotificationsWithSubscribers": [{"Notification": notification, "Subscribers": [subscriber]}]}
    assert (
        cloud.update("plain", one("AWS::Budgets::Budget", **properties, **notified))["StackStatus"]
        == "UPDATE_ROLLBACK_COMPLETE"
    )
    assert "the budget already exists" in cloud.reasons("plain")["It"]
    renamed = {"Budget": properties["Budget"] | {"BudgetName": "monthly-80"}}
    updated = cloud.update("plain", one("AWS::Budgets::Budget", **renamed, **notified))
    assert updated["StackStatus"] == "UPDATE_COMPLETE"


@pytest.mark.parametrize("kind", ["A", "TXT"])
def test_a_record_of_a_name_in_use_is_refused_with_the_text_of_route_53(
    cloud: Any, aws: Callable[..., Any], kind: str
) -> None:
    zone = aws("route53").create_hosted_zone(Name="example.com", CallerReference=kind)["HostedZone"]["Id"]
    identifier = zone.rpartition("/")[2]

    def record(value: str) -> Template:
        named = {"HostedZoneId": identifier, "Name": "www.example.com", "Type": kind, "TTL": "60"}
        return one("AWS::Route53::RecordSet", **named, ResourceRecords=[value])

    old, new = {"A": ("192.0.2.1", "192.0.2.2"), "TXT": ('"a"', '"b"')}[kind]
    assert cloud.create("first", record(old))["StackStatus"] == "CREATE_COMPLETE"
    assert cloud.create("second", record(new))["StackStatus"] == "ROLLBACK_COMPLETE"
    refused = f"Tried to create resource record set [name='www.example.com.', type='{kind}'] but it already exists"
    assert refused in cloud.reasons("second")["It"]
    assert cloud.update("first", record(new))["StackStatus"] == "UPDATE_COMPLETE"


def test_a_record_needs_its_hosted_zone(cloud: Any) -> None:
    record = one(
        "AWS::Route53::RecordSet",
        HostedZoneId="Z0000000000000000000",
        Name="www.example.com",
        Type="TXT",
        TTL="60",
        ResourceRecords=['"x"'],
    )
    assert cloud.create("plain", record)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "No hosted zone found with ID: Z0000000000000000000" in cloud.reasons("plain")["It"]


def two_topics(name: str, function: str) -> Template:
    """Return a topic that a new name replaces, and a resource that fails unless `function` is given."""
    return {
        "Resources": {
            "NamedTopic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": name}},
            "Later": {
                "Type": "Custom::Thing" if not function else "AWS::SNS::Topic",
                "DependsOn": "NamedTopic",
                "Properties": {} if function else {"ServiceToken": "arn:aws:lambda:ap-northeast-1:1:function:none"},
            },
        }
    }


def unfinished(cloud: Any) -> None:
    change_set = cloud.change_set("plain", two_topics("one", ""), kind="CREATE")
    assert cloud.execute(change_set, DisableRollback=True)["StackStatus"] == "CREATE_FAILED"


def test_an_unfinished_creation_takes_updates_only_with_disable_rollback(cloud: Any) -> None:
    unfinished(cloud)
    change_set = cloud.change_set("plain", two_topics("one", "now"))
    with pytest.raises(ClientError, match=r"currently in a non-terminal \[CREATE_FAILED\] state"):
        cloud.execute(change_set)
    assert cloud.execute(change_set, DisableRollback=True)["StackStatus"] == "UPDATE_COMPLETE"


def test_an_unfinished_creation_cannot_be_continued_with_a_replacement(cloud: Any) -> None:
    unfinished(cloud)
    change_set = cloud.change_set("plain", two_topics("two", "now"))
    assert cloud.execute(change_set, DisableRollback=True)["StackStatus"] == "UPDATE_FAILED"
    reason = cloud.reasons("plain")["NamedTopic"]
    assert reason == "Replacement type updates not supported on stack with disable-rollback."


def test_a_replacement_is_refused_in_nested_stacks_too(cloud: Any, nested: Callable[..., Template]) -> None:
    failing = two_topics("x", "")["Resources"]["Later"] | {"DependsOn": "AppStack"}
    body = {
        "Parameters": {"Image": {"Type": "String"}},
        "Resources": {
            "Task": {
                "Type": "AWS::ECS::TaskDefinition",
                "Properties": {"Family": "app", "ContainerDefinitions": [{"Name": "app", "Image": {"Ref": "Image"}}]},
            }
        },
    }
    url = cloud.put("app.json", body)
    change_set = cloud.change_set(
        "root", {"Resources": {"AppStack": nested(url, Image="a"), "Z": failing}}, kind="CREATE"
    )
    assert cloud.execute(change_set, DisableRollback=True)["StackStatus"] == "CREATE_FAILED"
    change_set = cloud.change_set("root", {"Resources": {"AppStack": nested(url, Image="b")}})
    assert cloud.execute(change_set, DisableRollback=True)["StackStatus"] == "UPDATE_FAILED"
    child = cloud.child("root", "AppStack")
    assert "Replacement type updates not supported" in cloud.reasons(child)["Task"]


def test_a_rollback_is_never_refused(cloud: Any) -> None:
    """The rollback of a replaced resource returns to a name that still exists."""
    before = one("AWS::Logs::LogGroup", LogGroupName="/a")
    cloud.create("plain", before)
    after = one("AWS::Logs::LogGroup", LogGroupName="/b")
    after["Resources"]["Failing"] = two_topics("x", "")["Resources"]["Later"] | {"DependsOn": "It"}
    assert cloud.update("plain", after)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert cloud.update("plain", one("AWS::Logs::LogGroup", LogGroupName="/c"))["StackStatus"] == "UPDATE_COMPLETE"
