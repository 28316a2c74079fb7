"""Egress: the ways out of the app subnets: a NAT gateway per zone, and the private ways to AWS.

A layer of its own, because a NAT gateway takes minutes, and nothing but a task needs one: keys, database and load
balancer are made meanwhile. Whoever runs in the app subnets takes them from here, so that it waits until they lead
somewhere. Leaves to ``network`` the route tables and the endpoints' security group.
"""

from troposphere import Sub, Template
from troposphere.ec2 import EIP, NatGateway, Route, VPCEndpoint

from generator import value_types as v
from generator.interfaces import AppRouteTables, AppSubnets, NatGateways, PublicSubnets, RoutedAppSubnets
from generator.resources.cidr import INTERNET
from generator.resources.tags import name_tag
from generator.wiring import FrozenConfig, Layer, StackInterface


class Config(FrozenConfig):
    """The AWS services that tasks reach without leaving the VPC."""

    interface_endpoints: tuple[str, ...] = ("ssm", "ssmmessages", "ec2messages", "ecr.api", "ecr.dkr", "logs")


class Inputs(StackInterface):
    prefix: v.NamePrefix
    vpc_id: v.VpcId
    public_subnets: PublicSubnets
    app_subnets: AppSubnets
    app_route_tables: AppRouteTables
    endpoint_security_group_id: v.EndpointSecurityGroupId


class Outputs(StackInterface):
    routed_app_subnets: RoutedAppSubnets
    nat_gateways: NatGateways


def build(t: Template, config: Config, inputs: Inputs) -> Outputs:
    first, second = (
        add_nat_gateway(t, number, subnet, table)
        for number, (subnet, table) in enumerate(
            zip(inputs.public_subnets.ids, inputs.app_route_tables.ids, strict=True), start=1
        )
    )
    add_endpoints(t, config, inputs)
    return Outputs(
        routed_app_subnets=RoutedAppSubnets(
            app_subnet_1_id=v.RoutedAppSubnetId(inputs.app_subnets.app_subnet_1_id.data),
            app_subnet_2_id=v.RoutedAppSubnetId(inputs.app_subnets.app_subnet_2_id.data),
        ),
        nat_gateways=NatGateways(
            nat_gateway_1_id=v.NatGatewayId(first.ref()), nat_gateway_2_id=v.NatGatewayId(second.ref())
        ),
    )


def add_nat_gateway(t: Template, number: int, outside: v.PublicSubnetId, table: v.AppRouteTableId) -> NatGateway:
    """One per zone, with that zone's default route: a zone that fails takes only its own way out with it."""
    address = t.add_resource(EIP(f"NatAddress{number}", Domain="vpc", Tags=name_tag(f"nat-{number}")))
    nat = t.add_resource(
        NatGateway(
            f"NatGateway{number}",
            AllocationId=address.get_att("AllocationId"),
            SubnetId=outside,
            Tags=name_tag(f"nat-{number}"),
        )
    )
    t.add_resource(
        Route(
            f"AppDefaultRoute{number}",
            RouteTableId=table,
            DestinationCidrBlock=INTERNET,
            NatGatewayId=nat.ref(),
        )
    )
    return nat


def add_endpoints(t: Template, config: Config, inputs: Inputs) -> None:
    """Private ways to AWS. Private DNS takes over the public names, so their group lets every task in: without it
    pulls, sessions and logs hang although the NAT gateway works."""
    for service in config.interface_endpoints:
        t.add_resource(
            VPCEndpoint(
                "".join(part.capitalize() for part in service.split(".")) + "Endpoint",
                VpcEndpointType="Interface",
                VpcId=inputs.vpc_id,
                ServiceName=Sub(f"com.amazonaws.${{AWS::Region}}.{service}"),
                SubnetIds=inputs.app_subnets.ids,
                SecurityGroupIds=[inputs.endpoint_security_group_id],
                PrivateDnsEnabled=True,
                Tags=name_tag(service.replace(".", "-")),
            )
        )
    # Full access by its default policy: ECR's layers lie in a bucket of AWS, and tasks install packages over it.
    t.add_resource(
        VPCEndpoint(
            "S3Endpoint",
            VpcEndpointType="Gateway",
            VpcId=inputs.vpc_id,
            ServiceName=Sub("com.amazonaws.${AWS::Region}.s3"),
            RouteTableIds=inputs.app_route_tables.ids,
            Tags=name_tag("s3"),
        )
    )


LAYER = Layer("Egress", "Egress: NAT gateways, routes out, VPC endpoints.", Inputs, Outputs, build)
