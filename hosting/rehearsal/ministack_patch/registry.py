"""Registers resource types in MiniStack's engine, and turns error answers of its services into exceptions.

A handler takes resolved properties and returns (physical id, attributes). A type that is registered here delegates to
MiniStack's own service if there is one, so that describe calls find what the template created.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from ministack.services.cloudformation import provisioners

from hosting.rehearsal.ministack_patch.patching import IncompatibleError, record

Properties = dict[str, Any]
Provisioned = tuple[str, dict[str, Any]]
Create = Callable[[str, Properties, str], Provisioned]
Update = Callable[[str, Properties, Properties, str, str], Provisioned]
Delete = Callable[[str, Properties], None]

# Properties the reference marks "Update requires: Replacement", for the types MiniStack has no list of.
# Without a list MiniStack reports every change as a conditional replacement.
REPLACES: dict[str, tuple[str, ...]] = {
    "AWS::CloudFormation::Stack": (),
    "AWS::EC2::VPC": ("CidrBlock", "Ipv4IpamPoolId", "Ipv4NetmaskLength"),
    "AWS::EC2::Subnet": ("AvailabilityZone", "AvailabilityZoneId", "CidrBlock", "VpcId", "Ipv6Native"),
    "AWS::EC2::RouteTable": ("VpcId",),
    "AWS::EC2::Route": ("DestinationCidrBlock", "DestinationPrefixListId", "RouteTableId"),
    "AWS::EC2::SubnetRouteTableAssociation": ("RouteTableId", "SubnetId"),
    "AWS::EC2::InternetGateway": (),
    "AWS::EC2::VPCGatewayAttachment": ("VpcId", "InternetGatewayId"),
    "AWS::EC2::VPCEndpoint": ("ServiceName", "VpcEndpointType", "VpcId"),
    "AWS::EC2::SecurityGroup": ("GroupDescription", "GroupName", "VpcId"),
    "AWS::Logs::LogGroup": ("LogGroupName",),
    "AWS::Logs::SubscriptionFilter": ("FilterName", "LogGroupName"),
    "AWS::Logs::MetricFilter": ("FilterName", "LogGroupName"),
    "AWS::KMS::Key": (),
    "AWS::KMS::Alias": ("AliasName",),
    "AWS::S3::Bucket": ("BucketName", "ObjectLockEnabled"),
    "AWS::S3::BucketPolicy": ("Bucket",),
    "AWS::SecretsManager::Secret": ("Name",),
    "AWS::SNS::TopicPolicy": (),
    "AWS::SQS::QueuePolicy": (),
    "AWS::KinesisFirehose::DeliveryStream": ("DeliveryStreamName", "DeliveryStreamType"),
    "AWS::Lambda::Permission": (
        "Action",
        "EventSourceToken",
        "FunctionName",
        "FunctionUrlAuthType",
        "Principal",
        "PrincipalOrgID",
        "SourceAccount",
        "SourceArn",
    ),
    "AWS::Lambda::EventInvokeConfig": ("FunctionName", "Qualifier"),
    "AWS::ECS::Cluster": ("ClusterName",),
    "AWS::ECS::TaskDefinition": (
        "ContainerDefinitions",
        "Cpu",
        "EphemeralStorage",
        "ExecutionRoleArn",
        "Family",
        "IpcMode",
        "Memory",
        "NetworkMode",
        "PidMode",
        "PlacementConstraints",
        "ProxyConfiguration",
        "RequiresCompatibilities",
        "RuntimePlatform",
        "TaskRoleArn",
        "Volumes",
    ),
    "AWS::ECS::Service": (
        "Cluster",
        "DeploymentController",
        "LaunchType",
        "Role",
        "SchedulingStrategy",
        "ServiceName",
    ),
    "AWS::ElasticLoadBalancingV2::Listener": ("LoadBalancerArn",),
    "AWS::ElasticLoadBalancingV2::ListenerRule": ("ListenerArn",),
    "AWS::Route53::RecordSet": ("HostedZoneId", "HostedZoneName", "Name"),
    "AWS::CloudWatch::Alarm": ("AlarmName",),
    "AWS::CloudWatch::Dashboard": ("DashboardName",),
    "AWS::CloudFront::OriginAccessControl": (),
    "AWS::CloudFront::CachePolicy": (),
    "AWS::CloudFront::OriginRequestPolicy": (),
    "AWS::CloudFront::ResponseHeadersPolicy": (),
    "AWS::CloudFront::Distribution": (),
    "AWS::Events::Rule": ("EventBusName", "Name"),
    "AWS::ServiceDiscovery::PrivateDnsNamespace": ("Name", "Vpc"),
    "AWS::ServiceDiscovery::Service": ("HealthCheckCustomConfig", "Name", "NamespaceId", "Type"),
}


def install() -> None:
    """Complete MiniStack's table of replacing properties, for change sets and for the engine alike."""
    table = provisioners._REPLACING_PROPERTIES
    for kind, names in REPLACES.items():
        table.setdefault(kind, names)
    record("cloudformation.provisioners._REPLACING_PROPERTIES")


def register(kind: str, *, create: Create, update: Update, delete: Delete, replaces: tuple[str, ...] = ()) -> None:
    """Register the handlers of a resource type that MiniStack refuses or implements incompletely."""
    provisioners._RESOURCE_HANDLERS[kind] = {
        "create": create,
        "update": update,
        "update_with_logical_id": True,
        "delete": delete,
    }
    provisioners._REPLACING_PROPERTIES[kind] = replaces
    record(kind)


def native_handlers(kind: str) -> dict[str, Any]:
    """Return MiniStack's own handlers of a type for a patch to wrap. Raise IncompatibleError if there are none."""
    if kind not in provisioners._RESOURCE_HANDLERS:
        raise IncompatibleError(f"MiniStack has no handlers for {kind}")
    handlers: dict[str, Any] = provisioners._RESOURCE_HANDLERS[kind]
    record(kind)
    return handlers


def wrap(
    kind: str,
    *,
    before: Callable[[Properties], Properties] | None = None,
    after: Callable[[str, dict[str, Any], Properties], Provisioned] | None = None,
) -> None:
    """Change the input and the result of MiniStack's create and update handlers of a type."""
    handlers = dict(native_handlers(kind))
    create, update = handlers["create"], handlers["update"]
    with_logical_id = handlers.get("update_with_logical_id")

    def prepared(properties: Properties) -> Properties:
        return before(properties) if before else properties

    def finished(result: Provisioned, properties: Properties) -> Provisioned:
        return after(*result, properties) if after else result

    def new_create(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
        return finished(create(logical_id, prepared(properties), stack_name), properties)

    def new_update(physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str) -> Provisioned:
        rest = (logical_id,) if with_logical_id else ()
        return finished(update(physical_id, prepared(old), prepared(new), stack_name, *rest), new)

    handlers |= {"create": new_create, "update": new_update, "update_with_logical_id": True}
    provisioners._RESOURCE_HANDLERS[kind] = handlers


def check_deletion(kind: str, refuse: Callable[[str], None]) -> None:
    """Call `refuse`, which may raise ValueError, before a resource of a type is deleted. MiniStack never refuses."""
    handlers = dict(native_handlers(kind))
    delete = handlers["delete"]

    def checked_delete(physical_id: str, properties: Properties) -> None:
        refuse(physical_id)
        delete(physical_id, properties)

    provisioners._RESOURCE_HANDLERS[kind] = handlers | {"delete": checked_delete}


def physical_name(stack_name: str, logical_id: str, longest: int = 128, *, lowercase: bool = False) -> str:
    return str(provisioners._physical_name(stack_name, logical_id, lowercase=lowercase, max_len=longest))


def checked(reply: Any, what: str) -> dict[str, Any]:
    """Return the parsed JSON of a MiniStack service's answer. Raise ValueError if it is an error."""
    status, _headers, body = reply[:3]
    text = body.decode() if isinstance(body, bytes) else str(body)
    if status >= 400:
        raise ValueError(f"{what}: {error_text(text)}")
    try:
        parsed = json.loads(text) if text else {}
    except ValueError:
        return {"_xml": text}
    return parsed if isinstance(parsed, dict) else {}


def error_text(body: str) -> str:
    if match := re.search(r"<Message>(.*?)</Message>", body, re.DOTALL):
        return match[1]
    try:
        parsed = json.loads(body)
    except ValueError:
        return body
    return str(parsed.get("message") or parsed.get("Message") or body)


def tag_list(tags: Any) -> list[dict[str, str]]:
    """Return a template's tags, which are a list or a map, as a list of Key and Value."""
    if isinstance(tags, dict):
        return [{"Key": key, "Value": str(value)} for key, value in tags.items()]
    return [{"Key": tag["Key"], "Value": str(tag.get("Value", ""))} for tag in tags or []]


def query(**parameters: Any) -> dict[str, list[str]]:
    """Return parameters in the form of MiniStack's Query services; lists become Name.1, Name.2, ..."""
    flat: dict[str, list[str]] = {}

    def add(name: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, member in value.items():
                add(f"{name}.{key}", member)
        elif isinstance(value, list | tuple):
            for index, member in enumerate(value, 1):
                add(f"{name}.{index}", member)
        elif value is not None:
            flat[name] = [str(value).lower() if isinstance(value, bool) else str(value)]

    for name, value in parameters.items():
        add(name, value)
    return flat


def as_bool(value: Any) -> bool:
    return str(value).lower() == "true"


def without(mapping: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: value for name, value in mapping.items() if name not in set(names)}
