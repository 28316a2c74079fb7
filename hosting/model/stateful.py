"""What must not be replaced or deleted unasked, in one table.

Two kinds of loss. Some resources hold what no template can make again. Others hold nothing, but are so far below
everything else that all of it is made anew with them, databases included.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HOLDS_DATA: Mapping[str, str] = {
    "AWS::RDS::DBCluster": "the database",
    "AWS::RDS::DBInstance": "a database instance",
    # What it encrypted can be read by nobody afterwards.
    "AWS::KMS::Key": "the key of encrypted data",
    "AWS::S3::Bucket": "stored objects",
    "AWS::ECR::Repository": "pushed images",
    "AWS::SecretsManager::Secret": "a secret that is in use",
    "AWS::Logs::LogGroup": "logs that are meant to be kept",
}
CARRIES: Mapping[str, str] = {
    "AWS::EC2::VPC": "everything in the network is replaced with it",
    "AWS::EC2::Subnet": "everything in the subnet is replaced with it",
}
LOSING = frozenset({"replace", "may replace", "delete"})


def loss(type: str, policy: str = "", properties: Mapping[str, Any] | None = None) -> str:
    """What would be lost with a resource, in words; empty when nothing is.

    `policy` is a template's word (Retain) or a change set's (ReplaceAndRetain). A log group that the template
    does not retain holds what its owner has given up already. An instance of an Aurora cluster holds nothing:
    the data is in its cluster.
    """
    if type == "AWS::Logs::LogGroup" and "Retain" not in policy:
        return ""
    if type == "AWS::RDS::DBInstance" and "DBClusterIdentifier" in (properties or {}):
        return ""
    return HOLDS_DATA.get(type) or CARRIES.get(type, "")
