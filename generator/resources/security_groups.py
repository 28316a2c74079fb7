"""Rules of security groups that several layers use."""

from __future__ import annotations

from troposphere.ec2 import SecurityGroupRule


def no_egress() -> SecurityGroupRule:
    """Return a rule that allows no egress. Without an egress rule EC2 adds one that allows all egress."""
    return SecurityGroupRule(IpProtocol="-1", CidrIp="127.0.0.1/32", Description="None: answers need no rule")
