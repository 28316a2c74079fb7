"""Takes AWS's own rules out of the VPC's default security group.

Nothing is in the group, but whoever adds something to the VPC by hand and names no group puts it there. CloudFormation
can add rules to it and take none away (Amazon VPC User Guide, "Default security groups for your VPCs"), so it is
closed here, once the VPC is there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client


def revoke_rules(client: EC2Client, vpc_id: str) -> bool:
    """Revoke every rule of the VPC's default group; whether there was one."""
    groups = client.describe_security_groups(
        Filters=[{"Name": "vpc-id", "Values": [vpc_id]}, {"Name": "group-name", "Values": ["default"]}]
    )["SecurityGroups"]
    closed = False
    for group in groups:
        if inward := group.get("IpPermissions"):
            _gone(partial(client.revoke_security_group_ingress, GroupId=group["GroupId"], IpPermissions=inward))
            closed = True
        if outward := group.get("IpPermissionsEgress"):
            _gone(partial(client.revoke_security_group_egress, GroupId=group["GroupId"], IpPermissions=outward))
            closed = True
    return closed


def _gone(revoke: Callable[[], object]) -> None:
    """Revoke rules. Asked again because a reply got lost, EC2 answers that there are no such rules: then it is done."""
    try:
        revoke()
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "InvalidPermission.NotFound":
            raise
