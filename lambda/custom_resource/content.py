"""Content of the site's bucket: writes the first pages, and empties the bucket. Every step can be repeated."""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from answer import Outcome
from botocore.config import Config
from botocore.exceptions import ClientError

logger = logging.getLogger()

# Browsers revalidate each time, CloudFront once a minute. So viewers see a corrected page soon, and many errors at
# once, which all show the sorry page, cause few requests to the bucket.
CACHE_CONTROL = "max-age=0, s-maxage=60, must-revalidate"
# This function replaces only objects with this metadata. A user uploaded the other ones.
MARK = "site-content-sha256"

# In these statuses CloudFormation also deletes the bucket. In every other status only this resource was removed or
# renamed, and the site keeps its content.
DELETING = ("DELETE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS")


@dataclass(frozen=True)
class Page:
    """A page of the package and its key in the bucket."""

    key: str
    file: str
    # CloudFront refers to the sorry page, so it is restored. If a user deletes the index page, it stays deleted.
    needed: bool


SORRY_PAGE = Page("sorry/index.html", "pages/sorry.html", True)


class UnusableRequestError(Exception):
    """The request has a type or a property that this resource does not support."""


class UnfinishedError(Exception):
    """The bucket still contains objects: the time was too short, or S3 refused to delete them."""


def apply(event: dict[str, Any], seconds_left: Callable[[], float], never_created: str) -> Outcome:
    """Write the pages for Create and Update, or empty the bucket for Delete if its stack is deleted.

    Raises ClientError, UnusableRequestError or UnfinishedError. CloudFormation then receives FAILED.
    """
    properties = event.get("ResourceProperties") or {}
    match event.get("RequestType"):
        case "Create" | "Update":
            bucket = _bucket(properties)
            pages = [SORRY_PAGE]
            if index := properties.get("IndexPage", ""):
                pages.append(Page(index, "pages/index.html", False))
            written = [page.key for page in pages if _write(_s3(), bucket, page)]
            # The bucket is the physical id. If the bucket changes, CloudFormation deletes this resource with its old
            # properties, and so the content of the old bucket.
            return Outcome(f"site-content:{bucket}", {"Written": str(len(written))})
        case "Delete":
            physical_id = event.get("PhysicalResourceId") or never_created
            created = physical_id != never_created
            deleted = 0
            try:
                # Properties are strings. Every other value keeps the content.
                if properties.get("EmptyOnDelete") == "true" and _is_deleting(event["StackId"]):
                    deleted = _empty(_s3(), _bucket(properties), seconds_left)
            except (ClientError, UnusableRequestError, UnfinishedError) as error:
                if created:
                    raise
                # The creation may have failed between the pages. Its cause must not fail the rollback, too.
                logger.warning("pages of a failed creation are not deleted: %s", error)
            return Outcome(physical_id, {"Deleted": str(deleted)})
        case other:
            raise UnusableRequestError(f"request type {other!r} is not supported: it must be Create, Update or Delete")


def _bucket(properties: dict[str, Any]) -> str:
    bucket = properties.get("BucketName")
    if not isinstance(bucket, str) or not bucket:
        raise UnusableRequestError("the property BucketName is missing")
    return bucket


# Shorter than the function's timeout, so that a dead connection raises an error with its own name.
_CONFIG = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard"})


def _s3() -> Any:
    return boto3.client("s3", config=_CONFIG)


def _is_deleting(stack_id: str) -> bool:
    """Return whether CloudFormation deletes the whole stack, or rolls its creation back."""
    (stack,) = boto3.client("cloudformation", config=_CONFIG).describe_stacks(StackName=stack_id)["Stacks"]
    deleting = stack["StackStatus"] in DELETING
    if not deleting:
        logger.info("the bucket is not emptied: the stack is in %s and keeps it", stack["StackStatus"])
    return deleting


def _write(s3: Any, bucket: str, page: Page) -> bool:
    """Upload a page unless it is current or belongs to a user. Return whether it was uploaded."""
    body = (Path(__file__).parent / page.file).read_bytes()
    digest = hashlib.sha256(body).hexdigest()
    try:
        existing = s3.head_object(Bucket=bucket, Key=page.key)
    except ClientError as error:
        # The reply to HEAD has no body, so a missing bucket is a 404, too. Then the upload below fails.
        if error.response["Error"]["Code"] not in ("404", "NoSuchKey", "NotFound"):
            raise
        if not page.needed and error.response["ResponseMetadata"]["HTTPHeaders"].get("x-amz-delete-marker") == "true":
            logger.info("%s is not restored: a user deleted it", page.key)
            return False
    else:
        mark = existing["Metadata"].get(MARK)
        if mark is None:
            logger.info("%s is not replaced: a user uploaded it", page.key)
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
    """Delete all versions and delete markers, and return their number.

    Each listing starts at the first key again, and the last one must be empty. So objects that arrive meanwhile are
    deleted, too. Only `deploy.py site` writes to this bucket. Denying uploads first would need a permission to change
    the bucket policy.
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
            raise UnfinishedError(
                f"the bucket is not empty: the time was enough to delete {deleted} object versions. "
                "To continue, delete the stack again."
            )
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
        # DeleteObjects succeeds even if S3 refuses every single deletion.
        if errors := answer.get("Errors"):
            first = errors[0]
            raise UnfinishedError(
                f"the bucket is not empty: S3 refused to delete {len(errors)} object versions, first "
                f"{first.get('Key')} ({first.get('Code')}). Remove the cause, then delete the stack again."
            )
        deleted += len(objects)
