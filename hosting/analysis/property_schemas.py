"""The shape of the properties that proofs and policies read, so that a damaged template is a message and no traceback.

cfn-lint judges every property, in seconds; this looks at the few that are taken apart here, in no time.
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
    """A string, a number or a boolean: CloudFormation takes them alike, but in policies."""

    strings_only: bool = False


@dataclass(frozen=True)
class Items:
    """A list, or what stands for a list of one."""

    of: Shape


@dataclass(frozen=True)
class Values:
    """An object with any keys."""

    of: Shape


Shape: TypeAlias = "Text | Items | Values | Mapping[str, Shape]"

TEXT = Text()
TEXTS = Items(TEXT)
WORDS = Items(Text(strings_only=True))
_POLICY: Shape = {
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
_ACTIONS: Shape = Items(
    {
        "Type": TEXT,
        "TargetGroupArn": TEXT,
        "ForwardConfig": {"TargetGroups": Items({"TargetGroupArn": TEXT})},
    }
)
_BEHAVIOUR: Shape = {"PathPattern": TEXT, "ViewerProtocolPolicy": TEXT, "TargetOriginId": TEXT}
_RULE: Shape = Values(TEXT)

SHAPES: Mapping[str, Shape] = {
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


def check_shapes(env: ResolvedEnvironment) -> None:
    """Refuse what CloudFormation would refuse too, before anything is read out of it."""
    for stack in env.stacks.values():
        for resource in stack.resources.values():
            shape = SHAPES.get(resource.type)
            for path, wanted in _wrong(dict(resource.properties), shape, "Properties") if shape else ():
                what = f"{resource.logical_id}: {path} is not {wanted}"
                raise ResolveError(what, template=stack.template.name, stack=stack.path)


def _wrong(value: Json, shape: Shape, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(shape, Text):
        if not isinstance(value, str if shape.strings_only else (str, int, float)):
            yield path, "a text"
    elif isinstance(shape, Items):
        for index, item in enumerate(value if isinstance(value, list) else [value]):
            yield from _wrong(item, shape.of, f"{path}.{index}" if isinstance(value, list) else path)
    elif path.endswith("Principal") and value == "*":
        return  # the one place where a text stands for an object
    elif not isinstance(value, Mapping):
        yield path, "an object"
    else:
        for key, item in value.items():
            inner = shape.of if isinstance(shape, Values) else shape.get(key)
            if inner is not None:
                yield from _wrong(item, inner, f"{path}.{key}")
