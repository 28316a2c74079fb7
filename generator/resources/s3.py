"""Buckets as every layer wants them: private, encrypted, versioned, TLS only, with an end to what is kept."""

from __future__ import annotations

from typing import Any

from awacs import s3 as s3_actions
from awacs.aws import Statement
from awacs.s3 import Action as S3Action
from troposphere import Sub, Template
from troposphere.s3 import (
    AbortIncompleteMultipartUpload,
    Bucket,
    BucketEncryption,
    BucketPolicy,
    LifecycleConfiguration,
    LifecycleRule,
    LoggingConfiguration,
    NoncurrentVersionExpiration,
    OwnershipControls,
    OwnershipControlsRule,
    PublicAccessBlockConfiguration,
    ServerSideEncryptionByDefault,
    ServerSideEncryptionRule,
    VersioningConfiguration,
)

from generator import value_types as v
from generator.resources.deletion_policies import deletion_policy
from generator.resources.iam import (
    allow,
    deny_insecure_transport,
    policy_document,
    service_principal,
    source_account_condition,
)
from generator.resources.suppressions import suppress

NONCURRENT_DAYS = 30


def lifecycle_rule(rule_id: str, **rule: Any) -> LifecycleRule:
    """A rule for the whole bucket that also ends old versions and abandoned uploads."""
    return LifecycleRule(
        Id=rule_id,
        Status="Enabled",
        AbortIncompleteMultipartUpload=AbortIncompleteMultipartUpload(DaysAfterInitiation=7),
        NoncurrentVersionExpiration=NoncurrentVersionExpiration(NoncurrentDays=NONCURRENT_DAYS),
        **rule,
    )


def private_bucket(
    title: str,
    *,
    holds: str,
    rules: list[LifecycleRule],
    key: v.TelemetryKeyArn | None = None,
    access_logs: tuple[v.AccessLogBucketName, str] | None = None,
    small_objects_move: bool = False,
    **attributes: Any,
) -> Bucket:
    """A bucket. ``holds`` is its row in ``durability``; ``key`` a KMS key, SSE-S3 without.

    ``access_logs`` is a bucket and a prefix. ``small_objects_move`` lets objects below 128 KB change storage class,
    which S3 would otherwise leave where they are. ``attributes`` are more of the resource's own.
    """
    default = (
        ServerSideEncryptionByDefault(SSEAlgorithm="aws:kms", KMSMasterKeyID=key)
        if key
        else ServerSideEncryptionByDefault(SSEAlgorithm="AES256")
    )
    lifecycle = LifecycleConfiguration(Rules=rules)
    if small_objects_move:
        lifecycle.TransitionDefaultMinimumObjectSize = "varies_by_storage_class"
    if access_logs:
        bucket, prefix = access_logs
        attributes["LoggingConfiguration"] = LoggingConfiguration(DestinationBucketName=bucket, LogFilePrefix=prefix)
    return Bucket(
        title,
        BucketEncryption=BucketEncryption(
            ServerSideEncryptionConfiguration=[
                ServerSideEncryptionRule(ServerSideEncryptionByDefault=default, BucketKeyEnabled=key is not None)
            ]
        ),
        OwnershipControls=OwnershipControls(Rules=[OwnershipControlsRule(ObjectOwnership="BucketOwnerEnforced")]),
        PublicAccessBlockConfiguration=PublicAccessBlockConfiguration(
            BlockPublicAcls=True, BlockPublicPolicy=True, IgnorePublicAcls=True, RestrictPublicBuckets=True
        ),
        VersioningConfiguration=VersioningConfiguration(Status="Enabled"),
        LifecycleConfiguration=lifecycle,
        **attributes,
        **deletion_policy(holds),
    )


def object_arn(bucket: Bucket, pattern: str = "*") -> Sub:
    """The ARN of a bucket's objects. ``pattern`` may hold ``${...}`` of Fn::Sub."""
    return Sub(f"${{{bucket.title}.Arn}}/{pattern}")


def bucket_policy(bucket: Bucket, *statements: Statement) -> BucketPolicy:
    """The bucket's policy: TLS only, and what the statements allow."""
    return BucketPolicy(
        f"{bucket.title}Policy",
        Bucket=bucket.ref(),
        PolicyDocument=policy_document(
            deny_insecure_transport([S3Action("*")], bucket.get_att("Arn"), object_arn(bucket)),
            *statements,
        ),
    )


def add_access_log_bucket(t: Template, title: str, days: int) -> Bucket:
    """Where S3 writes who read and wrote the other buckets of the stack's region."""
    bucket = t.add_resource(
        private_bucket(
            title,
            holds="log bucket",
            rules=[lifecycle_rule("Expire", ExpirationInDays=days)],
            **suppress(
                CKV_AWS_18="It receives the access logs: logging its own access to itself would never end "
                "(Amazon S3 User Guide, Enabling Amazon S3 server access logging)."
            ),
        )
    )
    t.add_resource(
        bucket_policy(
            bucket,
            allow(
                "WriteServerAccessLogs",
                [s3_actions.PutObject],
                [object_arn(bucket)],
                source_account_condition(),
                principal=service_principal("logging.s3"),
            ),
        )
    )
    return bucket
