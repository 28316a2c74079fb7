"""Types of the properties that proofs and policies read, so that a damaged template gives an error and no traceback.

cfn-lint checks every property in seconds. This module checks the few properties that this package reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from hosting.analysis.resolve import ResolvedEnvironment
from hosting.model.errors import ResolveError
from hosting.model.tokens import Json


@dataclass(frozen=True)
class Text:
    """A string, a number or a boolean. CloudFormation accepts each of them, except in policies."""

    strings_only: bool = False


@dataclass(frozen=True)
class Items:
    """A list, or a single value that CloudFormation accepts as a list of one."""

    item: Schema


@dataclass(frozen=True)
class Values:
    """An object with any keys."""

    item: Schema


Schema: TypeAlias = "Text | Items | Values | Mapping[str, Schema]"

TEXT = Text()
TEXTS = Items(TEXT)
WORDS = Items(Text(strings_only=True))
_POLICY: Schema = {
    "Statement": Items(
        {
            "Effect": TEXT,
            "Principal": Values(WORDS),
            "Action": WORDS,
            "Resource": WORDS,
            "Condition": Values(Values(TEXTS)),
        }
    )
}
_ACTIONS: Schema = Items(
    {
        "Type": TEXT,
        "TargetGroupArn": TEXT,
        "ForwardConfig": {"TargetGroups": Items({"TargetGroupArn": TEXT})},
    }
)
_BEHAVIOUR: Schema = {"PathPattern": TEXT, "ViewerProtocolPolicy": TEXT, "TargetOriginId": TEXT}
_RULE: Schema = Values(TEXT)

PROPERTY_SCHEMAS: Mapping[str, Schema] = {
    "AWS::CloudFront::Distribution": {
        "DistributionConfig": {
            "DefaultCacheBehavior": _BEHAVIOUR,
            "CacheBehaviors": Items(_BEHAVIOUR),
            "Origins": Items(
                {
                    "Id": TEXT,
                    "DomainName": TEXT,
                    "CustomOriginConfig": {"HTTPPort": TEXT, "HTTPSPort": TEXT, "OriginProtocolPolicy": TEXT},
                    "OriginCustomHeaders": Items({"HeaderName": TEXT, "HeaderValue": TEXT}),
                }
            ),
        }
    },
    "AWS::CloudFront::OriginAccessControl": {"OriginAccessControlConfig": Values(TEXT)},
    "AWS::EC2::SecurityGroup": {"SecurityGroupIngress": Items(_RULE), "SecurityGroupEgress": Items(_RULE)},
    "AWS::EC2::SecurityGroupIngress": _RULE,
    "AWS::EC2::SecurityGroupEgress": _RULE,
    "AWS::EC2::Route": Values(TEXT),
    "AWS::EC2::Subnet": {"AvailabilityZone": TEXT, "CidrBlock": TEXT, "VpcId": TEXT},
    "AWS::EC2::VPCEndpoint": {"PolicyDocument": _POLICY, "ServiceName": TEXT, "VpcEndpointType": TEXT},
    "AWS::ECS::Service": {
        "LoadBalancers": Items({"TargetGroupArn": TEXT, "ContainerPort": TEXT}),
        "NetworkConfiguration": {"AwsvpcConfiguration": {"AssignPublicIp": TEXT}},
    },
    "AWS::ElasticLoadBalancingV2::Listener": {"Port": TEXT, "DefaultActions": _ACTIONS},
    "AWS::ElasticLoadBalancingV2::ListenerRule": {
        "Actions": _ACTIONS,
        "Conditions": Items(
            {
                "Field": TEXT,
                "Values": TEXTS,
                "PathPatternConfig": {"Values": TEXTS},
                "HttpHeaderConfig": {"HttpHeaderName": TEXT, "Values": TEXTS},
            }
        ),
    },
    "AWS::IAM::Role": {"AssumeRolePolicyDocument": _POLICY},
    "AWS::S3::BucketPolicy": {"PolicyDocument": _POLICY},
}


def check_property_types(env: ResolvedEnvironment) -> None:
    """Raise ResolveError for a property of a wrong type, which CloudFormation rejects too."""
    for stack in env.stacks.values():
        for resource in stack.resources.values():
            schema = PROPERTY_SCHEMAS.get(resource.type)
            for path, wanted in _wrong(dict(resource.properties), schema, "Properties") if schema else ():
                what = f"{resource.logical_id}: {path} is not {wanted}"
                raise ResolveError(what, template=stack.template.name, stack=stack.path)


def _wrong(value: Json, schema: Schema, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(schema, Text):
        if not isinstance(value, str if schema.strings_only else (str, int, float)):
            yield path, "a string"
    elif isinstance(schema, Items):
        for index, item in enumerate(value if isinstance(value, list) else [value]):
            yield from _wrong(item, schema.item, f"{path}.{index}" if isinstance(value, list) else path)
    elif path.endswith("Principal") and value == "*":
        return  # the only object that may be a string
    elif not isinstance(value, Mapping):
        yield path, "an object"
    else:
        for key, item in value.items():
            inner = schema.item if isinstance(schema, Values) else schema.get(key)
            if inner is not None:
                yield from _wrong(item, inner, f"{path}.{key}")
