"""S3 buckets with the configuration of their templates, most of which MiniStack's provisioner drops."""

from __future__ import annotations

from typing import Any

import botocore.serialize
from ministack.services import s3

from hosting.rehearsal.ministack_patch import shapes
from hosting.rehearsal.ministack_patch.registry import (
    Properties,
    Provisioned,
    as_bool,
    check_deletion,
    checked,
    tag_list,
    wrap,
)

BUCKET = "AWS::S3::Bucket"
POLICY = "AWS::S3::BucketPolicy"


def install() -> None:
    wrap(BUCKET, after=configure)
    wrap(POLICY, before=refuse_missing_bucket)
    check_deletion(BUCKET, refuse_full_bucket)


def configure(name: str, attributes: dict[str, Any], properties: Properties) -> Provisioned:
    """Apply encryption, lifecycle, ownership, logging, tags and versioning of a template to a bucket."""
    encryption = (properties.get("BucketEncryption") or {}).get("ServerSideEncryptionConfiguration")
    if encryption:
        rules = [
            {
                "ApplyServerSideEncryptionByDefault": rule.get("ServerSideEncryptionByDefault") or {},
                "BucketKeyEnabled": as_bool(rule.get("BucketKeyEnabled", False)),
            }
            for rule in encryption
        ]
        put(
            s3._put_bucket_encryption,
            name,
            "PutBucketEncryption",
            {"ServerSideEncryptionConfiguration": {"Rules": rules}},
        )
    if lifecycle := properties.get("LifecycleConfiguration"):
        rules = [lifecycle_rule(rule) for rule in lifecycle["Rules"]]
        put(
            s3._put_bucket_lifecycle,
            name,
            "PutBucketLifecycleConfiguration",
            {"LifecycleConfiguration": {"Rules": rules}},
        )
    if ownership := properties.get("OwnershipControls"):
        put(
            s3._put_bucket_ownership_controls,
            name,
            "PutBucketOwnershipControls",
            {"OwnershipControls": ownership},
        )
    if target := properties.get("LoggingConfiguration"):
        enabled = {
            "TargetBucket": target.get("DestinationBucketName", name),
            "TargetPrefix": target.get("LogFilePrefix", ""),
        }
        put(s3._put_bucket_logging, name, "PutBucketLogging", {"BucketLoggingStatus": {"LoggingEnabled": enabled}})
    if tags := tag_list(properties.get("Tags")):
        put(s3._put_bucket_tagging, name, "PutBucketTagging", {"Tagging": {"TagSet": tags}})
    if (properties.get("VersioningConfiguration") or {}).get("Status") == "Suspended":
        s3._bucket_versioning[name] = "Suspended"
    dual_stack = attributes["RegionalDomainName"].replace(".s3.", ".s3.dualstack.")
    return name, {**attributes, "DualStackDomainName": dual_stack}


def put(operation: Any, bucket: str, name: str, parameters: dict[str, Any]) -> None:
    """Call MiniStack's operation with the body that the SDK sends."""
    model = shapes.service("s3").operation_model(name)
    conformed = shapes.request("s3", name, {"Bucket": bucket, **parameters})
    request = botocore.serialize.create_serializer("rest-xml").serialize_to_request(conformed, model)
    body = request["body"]
    checked(operation(bucket, body if isinstance(body, bytes) else str(body).encode()), name)


def lifecycle_rule(rule: Properties) -> dict[str, Any]:
    """Convert a lifecycle rule of a template to the form of the API."""
    converted: dict[str, Any] = {"Status": rule["Status"], "Filter": lifecycle_filter(rule)}
    if "Id" in rule:
        converted["ID"] = rule["Id"]
    expiration: dict[str, Any] = {}
    if "ExpirationInDays" in rule:
        expiration["Days"] = rule["ExpirationInDays"]
    if as_bool(rule.get("ExpiredObjectDeleteMarker", False)):
        expiration["ExpiredObjectDeleteMarker"] = True
    if expiration:
        converted["Expiration"] = expiration
    transitions = rule.get("Transitions") or ([rule["Transition"]] if "Transition" in rule else [])
    if transitions:
        converted["Transitions"] = [
            {"Days": transition["TransitionInDays"], "StorageClass": transition["StorageClass"]}
            for transition in transitions
        ]
    if old := rule.get("NoncurrentVersionExpiration"):
        converted["NoncurrentVersionExpiration"] = old
    if "NoncurrentVersionExpirationInDays" in rule:
        converted["NoncurrentVersionExpiration"] = {"NoncurrentDays": rule["NoncurrentVersionExpirationInDays"]}
    if old := rule.get("NoncurrentVersionTransitions"):
        converted["NoncurrentVersionTransitions"] = [
            {"NoncurrentDays": transition["TransitionInDays"], "StorageClass": transition["StorageClass"]}
            for transition in old
        ]
    if abort := rule.get("AbortIncompleteMultipartUpload"):
        converted["AbortIncompleteMultipartUpload"] = abort
    return converted


def lifecycle_filter(rule: Properties) -> dict[str, Any]:
    tags = tag_list(rule.get("TagFilters"))
    prefix = rule.get("Prefix", "")
    if not tags:
        return {"Prefix": prefix}
    if len(tags) == 1 and not prefix:
        return {"Tag": tags[0]}
    return {"And": {"Prefix": prefix, "Tags": tags}}


def refuse_missing_bucket(properties: Properties) -> Properties:
    bucket = properties.get("Bucket", "")
    if bucket not in s3._buckets:
        raise ValueError(f"The specified bucket does not exist: {bucket}")
    return properties


def refuse_full_bucket(name: str) -> None:
    """Raise ValueError if a bucket has objects or versions. AWS does not empty a bucket for CloudFormation."""
    bucket = s3._buckets.get(name)
    if bucket is not None and (bucket["objects"] or s3._bucket_has_versions(name)):
        raise ValueError(
            "The bucket you tried to delete is not empty (Service: S3, Status Code: 409). "
            f"You must delete all versions in the bucket. {name}"
        )
