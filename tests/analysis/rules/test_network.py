"""Each rule of the network is shown to fail."""

# ruff: noqa: E501 -- one case on each line reads as a table

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from hosting.analysis.rules import network

S3_ONLY_OURS = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::ours/*"}],
}
STACK = "CloudFormation::Stack"


def egress_beside_network(b: Any) -> None:
    """Addresses made while the internet gateway may not be attached yet: nothing of the network is taken."""
    for name in b.bodies["egress.json"]["Parameters"]:
        if name != "Prefix":
            b.put(STACK, f"Parameters.{name}", "given", has="EgressTemplateKey")


def second_gateway_endpoint(b: Any) -> None:
    b.add("EC2::VPCEndpoint", "SecondEndpoint", deepcopy(b.one("EC2::VPCEndpoint", has="Gateway")), has="Gateway")


# Rule, environment, what breaks it, and the rules that cannot be kept apart from it.
CASES: list[tuple[str, str, Any, set[str]]] = [
    ("NET-01", "lab", lambda b: b.put("EC2::VPC", "EnableDnsHostnames", False), set()),
    ("NET-01", "lab", lambda b: b.drop("EC2::VPCEndpoint", "PrivateDnsEnabled", has="Interface"), set()),
    ("NET-02", "lab", lambda b: b.replace("EC2::VPCEndpoint", "ecr.dkr", "ecr.dcr"), set()),
    ("NET-02", "lab", lambda b: b.remove("EC2::VPCEndpoint", has=".logs"), set()),
    ("NET-03", "lab", lambda b: b.drop("EC2::VPCEndpoint", "SubnetIds.1", has="Interface"), set()),
    ("NET-03", "lab", lambda b: b.replace("EC2::VPCEndpoint", "AppSubnet2", "AppSubnet1"), set()),
    ("NET-04", "lab", lambda b: b.drop("EC2::SecurityGroup", "SecurityGroupIngress.1", has="endpoints"), set()),
    ("NET-05", "lab", lambda b: b.drop("EC2::VPCEndpoint", "RouteTableIds.1", has="Gateway"), set()),
    ("NET-05", "lab", lambda b: b.put("EC2::VPCEndpoint", "PolicyDocument", S3_ONLY_OURS, has="Gateway"), set()),
    ("NET-06", "lab", lambda b: b.add("EC2::VPCGatewayAttachment", "Address", {"Type": "AWS::EC2::EIP", "Properties": {"Domain": "vpc"}}), set()),
    ("NET-06", "lab", egress_beside_network, {"NET-03", "NET-16"}),
    ("NET-06", "lab", lambda b: b.drop("EC2::Route", "/DependsOn", has="InternetGateway"), set()),
    ("NET-07", "lab", lambda b: b.replace("EC2::Route", "NatGateway2", "NatGateway1"), set()),
    ("NET-07", "lab", lambda b: b.replace("EC2::NatGateway", "PublicSubnet2", "AppSubnet2"), set()),
    ("NET-08", "lab", lambda b: b.put("EC2::Subnet", "CidrBlock", "10.1.0.0/24", has="public-1"), set()),
    ("NET-09", "lab", lambda b: b.put("EC2::Subnet", "MapPublicIpOnLaunch", True), set()),
    ("NET-09", "lab", lambda b: b.put("ECS::Service", "NetworkConfiguration.AwsvpcConfiguration.AssignPublicIp", "ENABLED"), set()),
    ("NET-10", "lab", lambda b: b.drop("EC2::FlowLog", "DeliverLogsPermissionArn"), set()),
    ("NET-10", "lab", lambda b: b.statement("IAM::ManagedPolicy", "WriteFlowLog")["Action"].remove("logs:PutLogEvents"), set()),
    ("NET-10", "lab", lambda b: b.remove("EC2::FlowLog"), set()),
    ("NET-12", "lab", lambda b: b.put("EC2::VPCEndpoint", "PrivateDnsEnabled", True, has="Gateway"), set()),
    ("NET-12", "lab", lambda b: b.drop("EC2::NatGateway", "AllocationId"), set()),
    ("NET-14", "lab", lambda b: b.replace("EC2::SubnetRouteTableAssociation", "DbRouteTable", "AppRouteTable1", has="DbSubnet1"), set()),
    ("NET-15", "lab", lambda b: b.remove("EC2::SubnetRouteTableAssociation", has="DbSubnet1"), set()),
    ("NET-16", "lab", lambda b: b.put("ElasticLoadBalancingV2::LoadBalancer", "Subnets.1", {"Ref": "PublicSubnet1Id"}), set()),
    ("NET-16", "lab", lambda b: b.replace("EC2::SubnetRouteTableAssociation", "AppRouteTable2", "DbRouteTable"), {"NET-05"}),
    ("NET-17", "lab", lambda b: b.replace(STACK, "EgressStack\", \"Outputs.", "NetworkStack\", \"Outputs.", has="OrdersAccessStack"), set()),
    ("NET-18", "lab", second_gateway_endpoint, set()),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "environment", "damage", "also"), CASES, ids=[case[0] for case in CASES])
def test_rule_fails(check: Any, rule: str, environment: str, damage: Any, also: set[str]) -> None:
    check(rule, environment, damage, also)


def test_every_guard_is_shown_to_fail(guards_of: Any) -> None:
    assert {case[0] for case in CASES} == guards_of(network)
