"""Buckets in the form that every layer uses: private, encrypted, versioned, TLS only; old versions expire."""

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
    """Return a lifecycle rule for the whole bucket. It also expires old versions and incomplete uploads."""
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
    data: str,
    rules: list[LifecycleRule],
    key: v.TelemetryKeyArn | None = None,
    access_logs: tuple[v.AccessLogBucketName, str] | None = None,
    small_objects_move: bool = False,
    **attributes: Any,
) -> Bucket:
    """Return a bucket.

    ``data`` is the bucket's row in the table of deletion policies. ``key`` is a KMS key; without it the bucket uses
    SSE-S3. ``access_logs`` is a bucket and a prefix. With ``small_objects_move`` objects below 128 KB change their
    storage class too, which S3 does not do by default. ``attributes`` are further properties of the resource.
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
        **deletion_policy(data),
    )


def object_arn(bucket: Bucket, pattern: str = "*") -> Sub:
    """Return the ARN of a bucket's objects. ``pattern`` may contain ``${...}`` of Fn::Sub."""
    return Sub(f"${{{bucket.title}.Arn}}/{pattern}")


def bucket_policy(bucket: Bucket, *statements: Statement) -> BucketPolicy:
    """Return the bucket's policy: TLS only, and the given statements."""
    return BucketPolicy(
        f"{bucket.title}Policy",
        Bucket=bucket.ref(),
        PolicyDocument=policy_document(
            deny_insecure_transport([S3Action("*")], bucket.get_att("Arn"), object_arn(bucket)),
            *statements,
        ),
    )


def add_access_log_bucket(t: Template, title: str, days: int | v.LogRetentionDays) -> Bucket:
    """Add the bucket to which S3 writes the access logs of the other buckets."""
    bucket = t.add_resource(
        private_bucket(
            title,
            data="log bucket",
            rules=[lifecycle_rule("Expire", ExpirationInDays=days)],
            **suppress(
                CKV_AWS_18="It receives the access logs: a log of its own access would cause an endless loop "
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
