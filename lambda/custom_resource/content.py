"""Writes the first pages to the bucket, and empties the bucket. Every step can be repeated."""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from answer import NEVER_CREATED
from botocore.config import Config
from botocore.exceptions import ClientError

logger = logging.getLogger()

# Browsers revalidate each time, CloudFront once a minute. A corrected page is visible soon, and during an outage, when
# the sorry page is requested most, few requests reach the bucket.
CACHE_CONTROL = "max-age=0, s-maxage=60, must-revalidate"
# This function replaces objects with this metadata. Objects without it were uploaded by another principal.
MARK = "site-content-sha256"

# In these statuses of the stack the bucket is deleted too. In any other status only this resource was removed or
# renamed, and the site remains.
STACK_IS_DELETED = ("DELETE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS")


@dataclass(frozen=True)
class Page:
    """One page of the initial content."""

    key: str
    file: str
    # Whether CloudFront itself shows the page. An operator may delete the other one, which is only an example.
    needed: bool


PAGES = (Page("sorry/index.html", "pages/sorry.html", True), Page("static/index.html", "pages/index.html", False))


@dataclass(frozen=True)
class Outcome:
    """The result of a request."""

    physical_id: str
    data: dict[str, str]


class UnusableRequestError(Exception):
    """The template requests something that this resource does not support."""


class UnfinishedError(Exception):
    """The bucket contains more objects than one invocation can delete."""


def apply(event: dict[str, Any], seconds_left: Callable[[], float]) -> Outcome:
    """Carry out a request of CloudFormation, and return the physical id and the attributes."""
    properties = event.get("ResourceProperties") or {}
    match event.get("RequestType"):
        case "Create" | "Update":
            bucket = _bucket(properties)
            written = [page.key for page in PAGES if _write(_s3(), bucket, page)]
            # The bucket is the identity: for another bucket CloudFormation deletes this resource, and with it
            # the content of the old bucket.
            paths = {"SorryPagePath": "/sorry/index.html", "IndexPagePath": "/static/index.html"}
            return Outcome(f"site-content:{bucket}", {"Written": str(len(written)), **paths})
        case "Delete":
            physical_id = event.get("PhysicalResourceId") or NEVER_CREATED
            created = physical_id != NEVER_CREATED
            deleted = 0
            try:
                # Properties are strings; anything but this one keeps the content.
                if properties.get("EmptyOnDelete") == "true" and _stack_is_deleted(event["StackId"]):
                    deleted = _empty(_s3(), _bucket(properties), seconds_left)
            except (ClientError, UnusableRequestError, UnfinishedError) as error:
                if created:
                    raise
                # A creation may fail between the pages. The same error must not block the rollback.
                logger.warning("the rest of a failed creation remains: %s", error)
            return Outcome(physical_id, {"Deleted": str(deleted)})
        case other:
            raise UnusableRequestError(f"request type {other!r} is not one of Create, Update, Delete")


def _bucket(properties: dict[str, Any]) -> str:
    bucket = properties.get("BucketName")
    if not isinstance(bucket, str) or not bucket:
        raise UnusableRequestError("the property BucketName is missing")
    return bucket


# Short of the function's own time, so that a dead connection is an error with a name.
_CONFIG = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard"})


def _s3() -> Any:
    return boto3.client("s3", config=_CONFIG)


def _stack_is_deleted(stack_id: str) -> bool:
    (stack,) = boto3.client("cloudformation", config=_CONFIG).describe_stacks(StackName=stack_id)["Stacks"]
    deleted = stack["StackStatus"] in STACK_IS_DELETED
    if not deleted:
        logger.info("the stack is in %s and keeps its bucket, so the content remains", stack["StackStatus"])
    return deleted


def _write(s3: Any, bucket: str, page: Page) -> bool:
    body = (Path(__file__).parent / page.file).read_bytes()
    digest = hashlib.sha256(body).hexdigest()
    try:
        there = s3.head_object(Bucket=bucket, Key=page.key)
    except ClientError as error:
        # The answer to HEAD has no body, so its code is 404 only. NoSuchBucket has the same code and fails below.
        if error.response["Error"]["Code"] not in ("404", "NoSuchKey", "NotFound"):
            raise
        if not page.needed and error.response["ResponseMetadata"]["HTTPHeaders"].get("x-amz-delete-marker") == "true":
            logger.info("%s was deleted by another principal and is not written again", page.key)
            return False
    else:
        mark = there["Metadata"].get(MARK)
        if mark is None:
            logger.info("%s was uploaded by another principal and is not replaced", page.key)
            return False
        if mark == digest:
            return False
    s3.put_object(
        Bucket=bucket,
        Key=page.key,
        Body=body,
        ContentType="text/html; charset=utf-8",
        CacheControl=CACHE_CONTROL,
        Metadata={MARK: digest},
    )
    return True


def _empty(s3: Any, bucket: str, seconds_left: Callable[[], float]) -> int:
    """Delete all versions and delete markers, one page at a time, always from the start.

    Only `deploy.py site sync` writes here, so new objects are not denied first: that would require the permission to
    change the bucket's policy. The last listing, which must be empty, finds objects that arrive meanwhile.
    """
    deleted = 0
    while True:
        try:
            found = s3.list_object_versions(Bucket=bucket, MaxKeys=1000)
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchBucket":
                return deleted
            raise
        objects = [
            {"Key": item["Key"], "VersionId": item["VersionId"]}
            for item in found.get("Versions", []) + found.get("DeleteMarkers", [])
        ]
        if not objects:
            return deleted
        if seconds_left() <= 0:
            raise UnfinishedError(f"{deleted} object versions are deleted and more are left; delete the stack again")
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
        # The call succeeds even when every single deletion is refused.
        if errors := answer.get("Errors"):
            first = errors[0]
            raise UnfinishedError(
                f"{len(errors)} object versions cannot be deleted, first {first.get('Key')}: {first.get('Code')}"
            )
        deleted += len(objects)
