"""What becomes of a resource's data when CloudFormation deletes or replaces it: one table for all layers.

CloudFormation User Guide, "DeletionPolicy attribute": both policies are literals, the same in every environment.
``RetainExceptOnCreate`` keeps what was in use, but leaves no orphan behind after a first creation that failed.
"""

from __future__ import annotations

from typing import Any

KEEP = {"DeletionPolicy": "RetainExceptOnCreate", "UpdateReplacePolicy": "Retain"}
SNAPSHOT = {"DeletionPolicy": "Snapshot", "UpdateReplacePolicy": "Snapshot"}
DISCARD = {"DeletionPolicy": "Delete", "UpdateReplacePolicy": "Delete"}
# Deleted with the stack, but never emptied by a replacement that somebody overlooked in a change set.
DELETE_WITH_STACK = {"DeletionPolicy": "Delete", "UpdateReplacePolicy": "Retain"}

_TABLE: dict[str, dict[str, str]] = {
    # Encrypts kept data, so it must outlive it: a deleted key makes snapshots and archives unreadable.
    "key": KEEP,
    "database cluster": SNAPSHOT,
    # Aurora's data is in the cluster; an instance holds none, and cannot be snapshotted by itself.
    "database instance": DISCARD,
    "archive": KEEP,
    # Delivery goes on while the stack is deleted, so an emptied log bucket fills again and blocks the deletion.
    "log bucket": KEEP,
    "artifacts": KEEP,
    "images": KEEP,
    # S3 refuses to delete a bucket with objects, so this loses nothing; where allowed, the site's custom resource
    # empties it first.
    "site bucket": DELETE_WITH_STACK,
    # Named, and made again under the same name: a kept one would block the next creation. Archived where it matters.
    "log group": DISCARD,
    "queue": DISCARD,
    # Whatever it holds has a policy of its own.
    "nested stack": DISCARD,
    # Generated values without worth outside the stack.
    "generated secret": DISCARD,
}


def deletion_policy(kind: str) -> dict[str, Any]:
    """DeletionPolicy and UpdateReplacePolicy for a kind of the table above; KeyError for any other."""
    return dict(_TABLE[kind])
