"""Replaces tokens by plausible names of resources that do not exist yet.

parliament needs ARNs in AWS's form: with a token it recognizes neither service nor resource.
"""

from __future__ import annotations

from collections.abc import Mapping

from hosting.analysis.resolve import ResolvedEnvironment, Resource, Stack
from hosting.model.tokens import Json, Origin, pieces

_UUID = "11111111-2222-4333-8444-555555555555"
_SECRET_FORM = "arn:aws:secretsmanager:{region}:{account}:secret:{name}-AbCdEf"  # noqa: S105 -- an address

# Type and attribute -> form of the value. {name} is the name in the template, if there is one.
_FORMS: Mapping[tuple[str, str], str] = {
    ("AWS::CloudFront::Distribution", "Ref"): "E1ABCDEFGHIJKL",
    ("AWS::ECS::Cluster", "Arn"): "arn:aws:ecs:{region}:{account}:cluster/{name}",
    ("AWS::Events::Rule", "Arn"): "arn:aws:events:{region}:{account}:rule/{name}",
    ("AWS::IAM::ManagedPolicy", "Ref"): "arn:aws:iam::{account}:policy/{name}",
    ("AWS::IAM::Role", "Arn"): "arn:aws:iam::{account}:role/{name}",
    ("AWS::KMS::Key", "Arn"): f"arn:aws:kms:{{region}}:{{account}}:key/{_UUID}",
    ("AWS::KMS::Key", "Ref"): _UUID,
    ("AWS::KinesisFirehose::DeliveryStream", "Arn"): "arn:aws:firehose:{region}:{account}:deliverystream/{name}",
    ("AWS::Lambda::Function", "Arn"): "arn:aws:lambda:{region}:{account}:function:{name}",
    ("AWS::Logs::LogGroup", "Arn"): "arn:aws:logs:{region}:{account}:log-group:{name}:*",
    (
        "AWS::RDS::DBCluster",
        "MasterUserSecret.SecretArn",
    ): _SECRET_FORM,
    ("AWS::S3::Bucket", "Arn"): "arn:aws:s3:::{name}",
    ("AWS::SNS::Topic", "Ref"): "arn:aws:sns:{region}:{account}:{name}",
    ("AWS::SQS::Queue", "Arn"): "arn:aws:sqs:{region}:{account}:{name}",
    ("AWS::SecretsManager::Secret", "Ref"): _SECRET_FORM,
}

_NAMES = ("BucketName", "ClusterName", "DBClusterIdentifier", "FunctionName", "LogGroupName", "Name", "RoleName")


def fill_example_values(env: ResolvedEnvironment, value: Json) -> Json:
    """Return the value with all tokens replaced."""
    if isinstance(value, dict):
        return {key: fill_example_values(env, item) for key, item in value.items()}
    if isinstance(value, list):
        return [fill_example_values(env, item) for item in value]
    if isinstance(value, str):
        return "".join(part if isinstance(part, str) else _value(env, part) for part in pieces(value))
    return value


def _value(env: ResolvedEnvironment, source: Origin) -> str:
    resource = env.resource(source)
    if resource is None:
        return source.logical_id.lower()
    form = _FORMS.get((resource.type, source.attribute), "{name}")
    stack = env.stacks[resource.stack]
    return form.format(name=_name(env, resource, stack), region=stack.region, account=stack.account)


def _name(env: ResolvedEnvironment, resource: Resource, stack: Stack) -> str:
    given = next((name for key in _NAMES if isinstance(name := resource.get(key), str)), None)
    return (
        str(fill_example_values(env, given)) if given else f"{stack.path.rsplit('/')[-1]}-{resource.logical_id}".lower()
    )
