"""Deletion policies: what CloudFormation does with a resource's data when it deletes or replaces the resource.

Both policies are literals, the same in every environment (CloudFormation User Guide, "DeletionPolicy attribute").
``RetainExceptOnCreate`` keeps a resource that was in use, but deletes it after a failed first creation.
"""

from __future__ import annotations

from typing import Any

RETAIN = {"DeletionPolicy": "RetainExceptOnCreate", "UpdateReplacePolicy": "Retain"}
SNAPSHOT = {"DeletionPolicy": "Snapshot", "UpdateReplacePolicy": "Snapshot"}
DELETE = {"DeletionPolicy": "Delete", "UpdateReplacePolicy": "Delete"}
# Deleted with the stack, but retained by a replacement that a reviewer overlooked in a change set.
DELETE_WITH_STACK = {"DeletionPolicy": "Delete", "UpdateReplacePolicy": "Retain"}

_TABLE: dict[str, dict[str, str]] = {
    # The key encrypts retained data: without the key, snapshots and archives are unreadable.
    "key": RETAIN,
    "database cluster": SNAPSHOT,
    # Aurora stores data in the cluster. An instance has no data, and no snapshot of its own.
    "database instance": DELETE,
    "archive": RETAIN,
    # AWS delivers logs while the stack is deleted, so an emptied log bucket fills again and blocks the deletion.
    "log bucket": RETAIN,
    "artifacts": RETAIN,
    "images": RETAIN,
    # S3 rejects the deletion of a bucket with objects, so no data is lost. The site's custom resource empties the
    # bucket first, if the environment allows it.
    "site bucket": DELETE_WITH_STACK,
    # A log group has a fixed name, so a retained one would block the next creation. prod archives its logs.
    "log group": DELETE,
    "queue": DELETE,
    # The resources of the nested stack have policies of their own.
    "nested stack": DELETE,
    # A secret of an app: what it encrypts is unreadable without it.
    "app secret": RETAIN,
    # Objects, files and messages of the apps. The names are CloudFormation's, so that a new environment has others.
    "app bucket": RETAIN,
    "app queue": RETAIN,
    "volume": RETAIN,
    # A generated value that no system outside the stack uses.
    "generated secret": DELETE,
}


def deletion_policy(kind: str) -> dict[str, Any]:
    """Return DeletionPolicy and UpdateReplacePolicy for a row of the table. Raises KeyError for any other name."""
    return dict(_TABLE[kind])
