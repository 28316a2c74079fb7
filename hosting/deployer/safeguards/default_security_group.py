"""Removal of AWS's own rules from the VPC's default security group.

No resource uses the group, but a resource that is created manually without a group gets it. CloudFormation can add
rules to the group but not remove them (Amazon VPC User Guide, "Default security groups for your VPCs"), so the deployer
removes them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client


def revoke_rules(client: EC2Client, vpc_id: str) -> bool:
    """Revoke every rule of the VPC's default security group. Return whether there was one."""
    groups = client.describe_security_groups(
        Filters=[{"Name": "vpc-id", "Values": [vpc_id]}, {"Name": "group-name", "Values": ["default"]}]
    )["SecurityGroups"]
    closed = False
    for group in groups:
        if inward := group.get("IpPermissions"):
            _revoke(partial(client.revoke_security_group_ingress, GroupId=group["GroupId"], IpPermissions=inward))
            closed = True
        if outward := group.get("IpPermissionsEgress"):
            _revoke(partial(client.revoke_security_group_egress, GroupId=group["GroupId"], IpPermissions=outward))
            closed = True
    return closed


def _revoke(revoke: Callable[[], object]) -> None:
    """Revoke rules. If a reply is lost, the repeated request reports that the rules do not exist: that is a success."""
    try:
        revoke()
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "InvalidPermission.NotFound":
            raise
