"""The VPC's default security group is emptied, once. What a whole deployment leaves of it, the rehearsal proves."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from hosting.deployer.safeguards import default_security_group

VPC = "vpc-0123456789abcdef0"
GROUP = "sg-0123456789abcdef0"
ASKED = {"Filters": [{"Name": "vpc-id", "Values": [VPC]}, {"Name": "group-name", "Values": ["default"]}]}
# As AWS makes the group: members reach each other, and everything else.
INWARD = [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": GROUP, "UserId": "123456789012"}]}]
OUTWARD = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]


def client() -> Any:
    session: Any = boto3.Session(aws_access_key_id="x", aws_secret_access_key="x", region_name="eu-west-1")
    return session.client("ec2")


def group(**rules: object) -> dict[str, object]:
    return {"SecurityGroups": [{"GroupId": GROUP, "GroupName": "default", **rules}]}


def test_every_rule_is_revoked() -> None:
    ec2 = client()
    with Stubber(ec2) as stub:
        stub.add_response("describe_security_groups", group(IpPermissions=INWARD, IpPermissionsEgress=OUTWARD), ASKED)
        stub.add_response("revoke_security_group_ingress", {}, {"GroupId": GROUP, "IpPermissions": INWARD})
        stub.add_response("revoke_security_group_egress", {}, {"GroupId": GROUP, "IpPermissions": OUTWARD})
        assert default_security_group.revoke_rules(ec2, VPC)
        stub.assert_no_pending_responses()


def test_a_rerun_finds_nothing_to_do() -> None:
    ec2 = client()
    with Stubber(ec2) as stub:
        stub.add_response("describe_security_groups", group(IpPermissions=[], IpPermissionsEgress=[]), ASKED)
        assert not default_security_group.revoke_rules(ec2, VPC)


def test_a_rule_that_does_not_exist_any_longer_is_no_error() -> None:
    """The first reply got lost, and the SDK asked again."""
    ec2 = client()
    with Stubber(ec2) as stub:
        stub.add_response("describe_security_groups", group(IpPermissions=INWARD), ASKED)
        stub.add_client_error("revoke_security_group_ingress", "InvalidPermission.NotFound")
        assert default_security_group.revoke_rules(ec2, VPC)
        stub.assert_no_pending_responses()
    with Stubber(ec2) as stub:
        stub.add_response("describe_security_groups", group(IpPermissions=INWARD), ASKED)
        stub.add_client_error("revoke_security_group_ingress", "UnauthorizedOperation")
        with pytest.raises(ClientError):
            default_security_group.revoke_rules(ec2, VPC)
