"""The VPC's default security group is emptied, once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deployer import default_group


def test_every_rule_goes_and_a_rerun_finds_none(aws: Callable[..., Any]) -> None:
    ec2 = aws("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    other = ec2.create_security_group(GroupName="own", Description="ours", VpcId=vpc)["GroupId"]
    https = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.9.0.0/16"}]}
    ec2.authorize_security_group_ingress(GroupId=other, IpPermissions=[https])
    groups = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["SecurityGroups"]
    default = next(group["GroupId"] for group in groups if group["GroupName"] == "default")
    # As AWS makes it, which lets members reach each other.
    member = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": default}]}
    ec2.authorize_security_group_ingress(GroupId=default, IpPermissions=[member])

    assert default_group.close(ec2, vpc)
    (found,) = ec2.describe_security_groups(GroupIds=[default])["SecurityGroups"]
    assert (found["IpPermissions"], found["IpPermissionsEgress"]) == ([], [])
    (kept,) = ec2.describe_security_groups(GroupIds=[other])["SecurityGroups"]
    assert kept["IpPermissions"]

    assert not default_group.close(ec2, vpc)
