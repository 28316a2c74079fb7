"""Egress: the routes of the app subnets out of the VPC: a NAT gateway per zone, and endpoints of AWS services.

It is a layer of its own because a NAT gateway takes minutes and only tasks need it. CloudFormation creates keys,
database and load balancer at the same time. Layers that run tasks take the app subnets from here, so that they wait for
the routes. The layer ``network`` contains the route tables and the security group of the endpoints.
"""

from troposphere import Sub, Template
from troposphere.ec2 import EIP, NatGateway, Route, VPCEndpoint

from generator import value_types as v
from generator.interfaces import AppRouteTables, AppSubnets, NatGateways, PublicSubnets, RoutedAppSubnets
from generator.resources.cidr import ANY_ADDRESS
from generator.resources.tags import name_tag
from generator.wiring import FrozenConfig, Layer, StackInterface


class Config(FrozenConfig):
    """The AWS services that tasks call through endpoints in the VPC."""

    interface_endpoints: tuple[str, ...] = ("ssm", "ssmmessages", "ec2messages", "ecr.api", "ecr.dkr", "logs")


class Inputs(StackInterface):
    """Parameters of the nested stack."""

    prefix: v.NamePrefix
    vpc_id: v.VpcId
    public_subnets: PublicSubnets
    app_subnets: AppSubnets
    app_route_tables: AppRouteTables
    endpoint_security_group_id: v.EndpointSecurityGroupId


class Outputs(StackInterface):
    """Outputs of the nested stack."""

    routed_app_subnets: RoutedAppSubnets
    nat_gateways: NatGateways


def build(t: Template, config: Config, inputs: Inputs) -> Outputs:
    """Add a NAT gateway per zone and the endpoints."""
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


def add_nat_gateway(t: Template, number: int, public_subnet: v.PublicSubnetId, table: v.AppRouteTableId) -> NatGateway:
    """Add the NAT gateway of a zone and the default route of that zone's route table.

    With one NAT gateway per zone, the failure of a zone does not affect the routes of the other zone.
    """
    address = t.add_resource(EIP(f"NatAddress{number}", Domain="vpc", Tags=name_tag(f"nat-{number}")))
    nat = t.add_resource(
        NatGateway(
            f"NatGateway{number}",
            AllocationId=address.get_att("AllocationId"),
            SubnetId=public_subnet,
            Tags=name_tag(f"nat-{number}"),
        )
    )
    t.add_resource(
        Route(
            f"AppDefaultRoute{number}",
            RouteTableId=table,
            DestinationCidrBlock=ANY_ADDRESS,
            NatGatewayId=nat.ref(),
        )
    )
    return nat


def add_endpoints(t: Template, config: Config, inputs: Inputs) -> None:
    """Add interface endpoints with private DNS, and the gateway endpoint of S3.

    Private DNS replaces the public names of the services in the whole VPC. Therefore the security group of the
    endpoints admits every task: otherwise image pulls, sessions and logs time out although the NAT gateway works.
    """
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
    # The default policy allows full access: ECR stores image layers in a bucket of AWS, and tasks install packages.
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
