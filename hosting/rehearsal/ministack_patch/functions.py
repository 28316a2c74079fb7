"""Lambda: a function whose package is missing fails, as at AWS."""

from __future__ import annotations

from ministack.services import s3

from hosting.rehearsal.ministack_patch.registry import Properties, as_bool, wrap


def install() -> None:
    wrap("AWS::Lambda::Function", before=refuse_missing_code)


def refuse_missing_code(properties: Properties) -> Properties:
    """Convert numbers and booleans of a function. Raise ValueError if its package is not in S3."""
    code = properties.get("Code") or {}
    bucket, key = code.get("S3Bucket"), code.get("S3Key")
    if bucket or key:
        found = s3._get_object_data(bucket, key) if bucket in s3._buckets else None
        if found is None:
            what = "NoSuchKey" if bucket in s3._buckets else "NoSuchBucket"
            described = "key" if bucket in s3._buckets else "bucket"
            raise ValueError(
                f"Error occurred while GetObject. S3 Error Code: {what}. S3 Error Message: The specified "
                f"{described} does not exist. (Service: Lambda, Status Code: 400)"
            )
    typed = dict(properties)
    for name in ("Timeout", "MemorySize", "ReservedConcurrentExecutions"):
        if name in typed:
            typed[name] = int(typed[name])
    if "Enabled" in typed:
        typed["Enabled"] = as_bool(typed["Enabled"])
    return typed
