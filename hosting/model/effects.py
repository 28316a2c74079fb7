"""The effects of a change on a resource, and the resources that must not be replaced or deleted unasked.

A loss has one of two reasons. Some resources hold data that no template can create again. Others hold no data but
contain such resources: their replacement replaces everything in them, databases included.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# The most severe first. `plan` and `diff` print these words.
EFFECTS = ("replace", "delete", "may replace", "modify", "import", "add", "unknown")
DESTRUCTIVE_EFFECTS = frozenset({"replace", "may replace", "delete"})

HOLDS_DATA: Mapping[str, str] = {
    "AWS::RDS::DBCluster": "the database",
    "AWS::RDS::DBInstance": "a database instance",
    # Without the key, the data that it encrypted is unreadable.
    "AWS::KMS::Key": "the key of encrypted data",
    "AWS::S3::Bucket": "stored objects",
    "AWS::ECR::Repository": "pushed images",
    "AWS::SecretsManager::Secret": "a secret that is in use",
    "AWS::EFS::FileSystem": "the files of a volume",
    "AWS::Logs::LogGroup": "logs that are meant to be kept",
    "AWS::SQS::Queue": "messages that wait in a queue",
}
# Others of these types hold what may be lost: logs that end soon, and notices that failed.
_ONLY_IF_RETAINED = frozenset({"AWS::Logs::LogGroup", "AWS::SQS::Queue"})
CONTAINS_STATEFUL: Mapping[str, str] = {
    "AWS::EC2::VPC": "everything in the network is replaced with it",
    "AWS::EC2::Subnet": "everything in the subnet is replaced with it",
}


def count_effects(effects: Iterable[str]) -> dict[str, int]:
    """Return how often each effect occurs, the most severe first. Effects that are not in the table are left out."""
    found = list(effects)
    return {effect: found.count(effect) for effect in EFFECTS if effect in found}


def describe_loss(type: str, policy: str = "", properties: Mapping[str, Any] | None = None) -> str:
    """Return a description of the data that is lost with a resource, or "" if none is lost.

    `policy` is the policy of the template (Retain) or of a change set (ReplaceAndRetain). A log group or a queue that
    the template does not retain is no loss. An instance of an Aurora cluster holds no data: the data is in its cluster.
    """
    if type in _ONLY_IF_RETAINED and "Retain" not in policy:
        return ""
    if type == "AWS::RDS::DBInstance" and "DBClusterIdentifier" in (properties or {}):
        return ""
    return HOLDS_DATA.get(type) or CONTAINS_STATEFUL.get(type, "")
