"""Identifiers: which one a property takes, and which one a reference returns.

An identifier has a name such as ``AWS::EC2::VPC.VpcId``: a resource type and one of its properties. The sources are

- the resource schemas of CloudFormation that cfn-lint installs: ``format`` and ``relationshipRef`` of a property, and
  ``primaryIdentifier`` of a type, which is the value of Ref;
- the tables below for the properties that the schemas describe as a plain string.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from hosting.model.tokens import Json

_FUNCTION = "AWS::Lambda::Function.Arn"
_KEY = ("AWS::KMS::Key.Arn", "AWS::KMS::Key.Id")
_LOAD_BALANCER_NAME = "AWS::ElasticLoadBalancingV2::LoadBalancer.DNSName"
_GROUP = ("AWS::EC2::SecurityGroup.GroupId", "AWS::EC2::SecurityGroup.Id")
_QUEUE = "AWS::SQS::Queue.Arn"
_ROLE = "AWS::IAM::Role.Arn"
_SUBNET = "AWS::EC2::Subnet.Id"
_TASK = "AWS::ECS::TaskDefinition.Ref"
_TARGET_GROUP = "AWS::ElasticLoadBalancingV2::TargetGroup.Ref"
_TOPIC = "AWS::SNS::Topic.Arn"

# Type and path of a property -> the identifiers that it takes. The schemas say only "string" here; the source is the
# property's description in the CloudFormation Template Reference.
_TAKES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "AWS::ApplicationAutoScaling::ScalingPolicy": {
        "ScalingTargetId": ("AWS::ApplicationAutoScaling::ScalableTarget.Ref",)
    },
    "AWS::Budgets::Budget": {"NotificationsWithSubscribers.*.Subscribers.*.Address": (_TOPIC,)},
    "AWS::Chatbot::SlackChannelConfiguration": {
        "GuardrailPolicies.*": ("AWS::IAM::ManagedPolicy.Ref",),
        "SnsTopicArns.*": (_TOPIC,),
    },
    "AWS::CloudFront::Distribution": {
        "DistributionConfig.CacheBehaviors.*.FunctionAssociations.*.FunctionARN": (
            "AWS::CloudFront::Function.FunctionARN",
        ),
        "DistributionConfig.CacheBehaviors.*.ResponseHeadersPolicyId": ("AWS::CloudFront::ResponseHeadersPolicy.Ref",),
        "DistributionConfig.DefaultCacheBehavior.FunctionAssociations.*.FunctionARN": (
            "AWS::CloudFront::Function.FunctionARN",
        ),
        "DistributionConfig.DefaultCacheBehavior.OriginRequestPolicyId": ("AWS::CloudFront::OriginRequestPolicy.Ref",),
        "DistributionConfig.DefaultCacheBehavior.ResponseHeadersPolicyId": (
            "AWS::CloudFront::ResponseHeadersPolicy.Ref",
        ),
        "DistributionConfig.Origins.*.DomainName": (_LOAD_BALANCER_NAME, "AWS::S3::Bucket.RegionalDomainName"),
        "DistributionConfig.Origins.*.OriginAccessControlId": ("AWS::CloudFront::OriginAccessControl.Ref",),
        "DistributionConfig.WebACLId": ("AWS::WAFv2::WebACL.Arn",),
    },
    "AWS::CloudWatch::Alarm": {
        "AlarmActions.*": (_TOPIC, _FUNCTION),
        "InsufficientDataActions.*": (_TOPIC, _FUNCTION),
        "OKActions.*": (_TOPIC, _FUNCTION),
    },
    "AWS::EC2::FlowLog": {
        "DeliverLogsPermissionArn": (_ROLE,),
        "ResourceId": (
            "AWS::EC2::VPC.Ref",
            "AWS::EC2::Subnet.Ref",
            "AWS::EC2::NetworkInterface.Ref",
            "AWS::EC2::TransitGateway.Ref",
        ),
    },
    "AWS::EC2::NatGateway": {"AllocationId": ("AWS::EC2::EIP.AllocationId",)},
    "AWS::EC2::Route": {
        "GatewayId": ("AWS::EC2::InternetGateway.Ref", "AWS::EC2::VPNGateway.Ref"),
        "NatGatewayId": ("AWS::EC2::NatGateway.Ref",),
        "RouteTableId": ("AWS::EC2::RouteTable.Ref",),
    },
    "AWS::EC2::SubnetRouteTableAssociation": {"RouteTableId": ("AWS::EC2::RouteTable.Ref",)},
    "AWS::EC2::VPCGatewayAttachment": {"InternetGatewayId": ("AWS::EC2::InternetGateway.Ref",)},
    "AWS::ECS::Cluster": {
        "Configuration.ExecuteCommandConfiguration.LogConfiguration.CloudWatchLogGroupName": (
            "AWS::Logs::LogGroup.Name",
        ),
    },
    "AWS::ECS::ClusterCapacityProviderAssociations": {"Cluster": ("AWS::ECS::Cluster.Ref", "AWS::ECS::Cluster.Arn")},
    "AWS::ECS::Service": {
        "Cluster": ("AWS::ECS::Cluster.Ref", "AWS::ECS::Cluster.Arn"),
        "DeploymentConfiguration.Alarms.AlarmNames.*": ("AWS::CloudWatch::Alarm.Ref",),
        "LoadBalancers.*.TargetGroupArn": (_TARGET_GROUP,),
        "ServiceRegistries.*.RegistryArn": ("AWS::ServiceDiscovery::Service.Arn",),
        "TaskDefinition": (_TASK,),
    },
    "AWS::ECS::TaskDefinition": {
        "ContainerDefinitions.*.Secrets.*.ValueFrom": ("AWS::SecretsManager::Secret.Ref",),
        "ContainerDefinitions.*.LogConfiguration.Options.awslogs-group": ("AWS::Logs::LogGroup.Name",),
    },
    "AWS::ElasticLoadBalancingV2::Listener": {
        "DefaultActions.*.TargetGroupArn": (_TARGET_GROUP,),
        "LoadBalancerArn": ("AWS::ElasticLoadBalancingV2::LoadBalancer.Ref",),
    },
    "AWS::ElasticLoadBalancingV2::ListenerRule": {
        "Actions.*.TargetGroupArn": (_TARGET_GROUP,),
        "ListenerArn": ("AWS::ElasticLoadBalancingV2::Listener.Ref",),
    },
    "AWS::Events::Rule": {
        "Targets.*.Arn": (_FUNCTION, _QUEUE, _TOPIC, "AWS::Logs::LogGroup.Arn", "AWS::ECS::Cluster.Arn"),
        "Targets.*.DeadLetterConfig.Arn": (_QUEUE,),
    },
    "AWS::IAM::ManagedPolicy": {"Roles.*": ("AWS::IAM::Role.Ref",)},
    "AWS::IAM::Role": {"ManagedPolicyArns.*": ("AWS::IAM::ManagedPolicy.Ref",)},
    "AWS::KMS::Alias": {"TargetKeyId": _KEY},
    "AWS::KinesisFirehose::DeliveryStream": {
        "DeliveryStreamEncryptionConfigurationInput.KeyARN": ("AWS::KMS::Key.Arn",),
        "ExtendedS3DestinationConfiguration.BucketARN": ("AWS::S3::Bucket.Arn",),
        "ExtendedS3DestinationConfiguration.CloudWatchLoggingOptions.LogStreamName": ("AWS::Logs::LogStream.Ref",),
        "ExtendedS3DestinationConfiguration.EncryptionConfiguration.KMSEncryptionConfig.AWSKMSKeyARN": (
            "AWS::KMS::Key.Arn",
        ),
    },
    "AWS::Lambda::EventInvokeConfig": {
        "DestinationConfig.OnFailure.Destination": (_QUEUE, _TOPIC, _FUNCTION),
        "FunctionName": ("AWS::Lambda::Function.Ref", _FUNCTION),
    },
    "AWS::Lambda::Function": {
        "LoggingConfig.LogGroup": ("AWS::Logs::LogGroup.Name",),
        "Role": (_ROLE,),
    },
    "AWS::Lambda::Permission": {
        "FunctionName": ("AWS::Lambda::Function.Ref", _FUNCTION),
        "SourceArn": (
            *(_TOPIC, _QUEUE, "AWS::Events::Rule.Arn", "AWS::Logs::LogGroup.Arn", "AWS::S3::Bucket.Arn"),
            "AWS::SecretsManager::Secret.Ref",
        ),
    },
    "AWS::Logs::Delivery": {
        "DeliveryDestinationArn": ("AWS::Logs::DeliveryDestination.Arn",),
        "DeliverySourceName": ("AWS::Logs::DeliverySource.Ref",),
    },
    "AWS::Logs::DeliveryDestination": {
        "DestinationResourceArn": (
            "AWS::S3::Bucket.Arn",
            "AWS::Logs::LogGroup.Arn",
            "AWS::KinesisFirehose::DeliveryStream.Arn",
        ),
    },
    "AWS::Logs::SubscriptionFilter": {
        "DestinationArn": (_FUNCTION, "AWS::KinesisFirehose::DeliveryStream.Arn", "AWS::Kinesis::Stream.Arn"),
    },
    "AWS::RDS::DBCluster": {
        "DBClusterParameterGroupName": ("AWS::RDS::DBClusterParameterGroup.Ref",),
        "DBSubnetGroupName": ("AWS::RDS::DBSubnetGroup.Ref",),
        "PerformanceInsightsKmsKeyId": _KEY,
    },
    "AWS::RDS::DBInstance": {
        "DBClusterIdentifier": ("AWS::RDS::DBCluster.Ref",),
        "DBSubnetGroupName": ("AWS::RDS::DBSubnetGroup.Ref",),
    },
    "AWS::RDS::DBSubnetGroup": {"SubnetIds.*": (_SUBNET,)},
    "AWS::Route53::RecordSet": {
        "AliasTarget.DNSName": (_LOAD_BALANCER_NAME, "AWS::CloudFront::Distribution.DomainName"),
    },
    "AWS::S3::Bucket": {"LoggingConfiguration.DestinationBucketName": ("AWS::S3::Bucket.Name",)},
    "AWS::S3::BucketPolicy": {"Bucket": ("AWS::S3::Bucket.Name",)},
    "AWS::Scheduler::Schedule": {
        "Target.Arn": ("AWS::ECS::Cluster.Arn", _FUNCTION, _QUEUE, _TOPIC),
        "Target.DeadLetterConfig.Arn": (_QUEUE,),
        "Target.EcsParameters.NetworkConfiguration.AwsvpcConfiguration.SecurityGroups.*": _GROUP,
        "Target.EcsParameters.NetworkConfiguration.AwsvpcConfiguration.Subnets.*": (_SUBNET,),
        "Target.EcsParameters.TaskDefinitionArn": (_TASK,),
        "Target.RoleArn": (_ROLE,),
    },
    "AWS::ServiceDiscovery::PrivateDnsNamespace": {"Vpc": ("AWS::EC2::VPC.VpcId",)},
    "AWS::ServiceDiscovery::Service": {"NamespaceId": ("AWS::ServiceDiscovery::PrivateDnsNamespace.Ref",)},
    "AWS::SNS::Subscription": {
        "Endpoint": (_FUNCTION, _QUEUE, "AWS::KinesisFirehose::DeliveryStream.Arn"),
        "RedrivePolicy.deadLetterTargetArn": (_QUEUE,),
    },
    "AWS::SNS::TopicPolicy": {"Topics.*": (_TOPIC,)},
    "AWS::SQS::QueuePolicy": {"Queues.*": ("AWS::SQS::Queue.Ref",)},
    "AWS::WAFv2::LoggingConfiguration": {"ResourceArn": ("AWS::WAFv2::WebACL.Arn",)},
    "AWS::WAFv2::WebACL": {
        "Rules.*.Statement.OrStatement.Statements.*.IPSetReferenceStatement.Arn": ("AWS::WAFv2::IPSet.Arn",),
    },
}

# Types of this project have no schema. Their functions pass these properties to ECS, RDS and Secrets Manager.
_CUSTOM: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "Custom::DatabaseUser": {
        "MasterSecret": ("AWS::RDS::DBCluster.MasterUserSecret.SecretArn",),
        "Secret": ("AWS::SecretsManager::Secret.Ref",),
    },
    "Custom::Migration": {
        "Cluster": ("AWS::ECS::Cluster.Arn",),
        "LogGroup": ("AWS::Logs::LogGroup.Ref",),
        "SecurityGroups.*": _GROUP,
        "Subnets.*": (_SUBNET,),
        "TaskDefinition": (_TASK,),
    },
}

# Dimension of a metric -> the identifier of the resource. An alarm on another resource's value never changes its state
# (the CloudWatch pages of each service's guide, such as Amazon ECS Developer Guide, "CloudWatch metrics").
_DIMENSIONS: Mapping[str, tuple[str, ...]] = {
    "ClusterName": ("AWS::ECS::Cluster.Ref",),
    "DBClusterIdentifier": ("AWS::RDS::DBCluster.Ref",),
    "DeliveryStreamName": ("AWS::KinesisFirehose::DeliveryStream.Ref",),
    "DistributionId": ("AWS::CloudFront::Distribution.Ref",),
    "FunctionName": ("AWS::Lambda::Function.Ref",),
    "LoadBalancer": ("AWS::ElasticLoadBalancingV2::LoadBalancer.LoadBalancerFullName",),
    "NatGatewayId": ("AWS::EC2::NatGateway.Ref",),
    "QueueName": ("AWS::SQS::Queue.QueueName",),
    "ServiceName": ("AWS::ECS::Service.Name",),
    "TargetGroup": ("AWS::ElasticLoadBalancingV2::TargetGroup.TargetGroupFullName",),
}

# Attributes that are the identifier of another resource, or that the schema does not mark as an identifier.
_RETURNS: Mapping[str, tuple[str, ...]] = {
    # The ARN. The schema has it twice, and only Id as the primary identifier of the relations to it.
    "AWS::CertificateManager::Certificate.Ref": ("AWS::CertificateManager::Certificate.Id",),
    # RDS creates the secret (CloudFormation Template Reference, AWS::RDS::DBCluster, "Return values").
    "AWS::RDS::DBCluster.MasterUserSecret.SecretArn": ("AWS::SecretsManager::Secret.Ref",),
}
# The schema's primaryIdentifier is not what Ref returns (CloudFormation Template Reference, "Return values").
_REF_IS_NOT_PRIMARY = {"AWS::Events::Rule"}


def identifiers_of_dimension(name: str) -> frozenset[str]:
    """Return the identifiers that a dimension of a metric takes, or an empty set if it is not known."""
    return frozenset(_DIMENSIONS.get(name, ()))


@cache
def identifiers_taken(resource_type: str, path: str) -> frozenset[str]:
    """Return the identifiers that a property takes, or an empty set if unknown. ``*`` is an index in ``path``."""
    if resource_type.startswith("Custom::") and path == "ServiceToken":
        return frozenset({_FUNCTION, _TOPIC})
    known = set({**_TAKES, **_CUSTOM}.get(resource_type, {}).get(path, ()))
    return frozenset(known | _schema_identifiers(resource_type).get(path, set()))


@cache
def identifiers_returned(resource_type: str, attribute: str) -> frozenset[str]:
    """Return the names of the identifier that Ref or an attribute returns, one per way to write it."""
    name = f"{resource_type}.{attribute}"
    names = {name, *_RETURNS.get(name, ())}
    if attribute == "Ref" and resource_type not in _REF_IS_NOT_PRIMARY:
        primary = _schema(resource_type).get("primaryIdentifier", [])
        attribute = primary[0].rpartition("/")[2] if len(primary) == 1 else attribute
        names.add(f"{resource_type}.{attribute}")
    elif _is_primary(resource_type, attribute):
        names.add(f"{resource_type}.Ref")
    return frozenset(names | _schema_identifiers(resource_type).get(attribute, set()))


def _is_primary(resource_type: str, attribute: str) -> bool:
    return bool(_schema(resource_type).get("primaryIdentifier") == [f"/properties/{attribute}"])


@cache
def _schema_identifiers(resource_type: str) -> dict[str, set[str]]:
    """Return the identifiers of each property of a type, by its path."""
    schema = _schema(resource_type)
    found: dict[str, set[str]] = {}
    for path, identifier in _walk(schema, schema, "", frozenset()):
        found.setdefault(path, set()).add(identifier)
    return found


def _walk(schema: Json, node: Json, path: str, seen: frozenset[str]) -> Iterator[tuple[str, str]]:
    if not isinstance(node, dict):
        return
    if (reference := node.get("$ref")) and reference not in seen:
        definition = schema
        for step in reference.removeprefix("#/").split("/"):
            definition = definition[step]
        yield from _walk(schema, definition, path, seen | {reference})
    if str(node.get("format", "")).startswith("AWS::"):
        # The plural is the format of a list: AWS::EC2::Subnet.Ids.
        yield path, node["format"].removesuffix("s")
    if target := node.get("relationshipRef"):
        yield path, f"{target['typeName']}.{target['propertyPath'].rpartition('/')[2]}"
    for key in ("anyOf", "oneOf", "allOf"):
        for choice in node.get(key, ()):
            yield from _walk(schema, choice, path, seen)
    for name, inner in node.get("properties", {}).items():
        yield from _walk(schema, inner, f"{path}.{name}" if path else name, seen)
    if "items" in node:
        yield from _walk(schema, node["items"], f"{path}.*", seen)


@cache
def _schema(resource_type: str) -> dict[str, Json]:
    file = _schema_files().get(resource_type)
    schema: dict[str, Json] = json.loads((_schemas() / "resources" / f"{file}.json").read_text()) if file else {}
    return schema


@cache
def _schema_files() -> dict[str, str]:
    files: dict[str, str] = json.loads((_schemas() / "providers" / "us-east-1.json").read_text())
    return files


def _schemas() -> Path:
    """Return the folder of the schemas. The package is not imported, because that takes longer than all rules."""
    found = importlib.util.find_spec("cfnlint")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("cfn-lint is not installed. Run `make install`.")
    return Path(found.submodule_search_locations[0]) / "data" / "schemas"
