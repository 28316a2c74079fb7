"""Network: the VPC, its subnets in two zones, their route tables, and the internet gateway.

The layer ``egress`` adds NAT gateways and endpoints, which take minutes. The layer ``security`` adds the flow log,
which needs a key of that layer, and every security group except that of the endpoints.
"""

from collections.abc import Mapping
from types import MappingProxyType

from troposphere import AWSHelperFn, Sub, Tags, Template
from troposphere.ec2 import (
    VPC,
    InternetGateway,
    Route,
    RouteTable,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    SubnetRouteTableAssociation,
    VPCGatewayAttachment,
)

from generator import value_types as v
from generator.interfaces import AppRouteTables, AppSubnets, DbSubnets, PublicSubnets
from generator.platform_parts import COMPLETE, Parts
from generator.resources.cidr import ANY_ADDRESS, Block, plan_subnets
from generator.resources.security_groups import no_egress
from generator.resources.tags import name_tag
from generator.wiring import ABSENT, FrozenConfig, Layer, StackInterface

ZONES = 2


class Config(FrozenConfig):
    """Prefix length of the subnets of each tier."""

    tiers: Mapping[str, int] = MappingProxyType({"Public": 24, "App": 23, "Db": 24})
    parts: Parts = COMPLETE


class Inputs(StackInterface):
    """Parameters of the nested stack."""

    prefix: v.NamePrefix
    vpc_network: v.Octets
    first_zone: v.FirstZoneName
    second_zone: v.SecondZoneName


class Outputs(StackInterface):
    """Outputs of the nested stack."""

    vpc_id: v.VpcId
    public_subnets: PublicSubnets
    app_subnets: AppSubnets
    db_subnets: DbSubnets
    app_route_tables: AppRouteTables
    endpoint_security_group_id: v.EndpointSecurityGroupId


def build(t: Template, config: Config, inputs: Inputs) -> Outputs:
    """Add the VPC with public, app and database subnets in two zones, and their route tables."""
    network = t.add_resource(vpc())
    gateway = t.add_resource(InternetGateway("InternetGateway", Tags=name_tag("internet")))
    attachment = t.add_resource(
        VPCGatewayAttachment("InternetGatewayAttachment", VpcId=network.ref(), InternetGatewayId=gateway.ref())
    )
    blocks = plan_subnets(config.tiers, ZONES)
    public = add_subnets(t, "Public", network, blocks["Public"], inputs)
    app = add_subnets(t, "App", network, blocks["App"], inputs)
    add_public_routes(t, network, public, gateway, attachment)
    app_tables = add_app_tables(t, network, app)
    isolated = add_isolated_subnets(t, network, blocks["Db"], inputs) if config.parts.database else [ABSENT] * ZONES
    endpoints = t.add_resource(endpoint_group(network, blocks["App"]))
    return Outputs(
        vpc_id=v.VpcId(network.ref()),
        public_subnets=PublicSubnets(
            public_subnet_1_id=v.PublicSubnetId(public[0].ref()), public_subnet_2_id=v.PublicSubnetId(public[1].ref())
        ),
        app_subnets=AppSubnets(
            app_subnet_1_id=v.AppSubnetId(app[0].ref()), app_subnet_2_id=v.AppSubnetId(app[1].ref())
        ),
        db_subnets=DbSubnets(
            db_subnet_1_id=v.DbSubnetId(isolated[0]),
            db_subnet_2_id=v.DbSubnetId(isolated[1]),
        ),
        app_route_tables=AppRouteTables(
            app_route_table_1_id=v.AppRouteTableId(app_tables[0].ref()),
            app_route_table_2_id=v.AppRouteTableId(app_tables[1].ref()),
        ),
        endpoint_security_group_id=v.EndpointSecurityGroupId(endpoints.get_att("GroupId")),
    )


def vpc() -> VPC:
    # Private DNS of the interface endpoints requires both (AWS PrivateLink Guide, "DNS names").
    return VPC(
        "Vpc",
        CidrBlock=Sub("${VpcNetwork}.0.0/16"),
        EnableDnsSupport=True,
        EnableDnsHostnames=True,
        Tags=Tags(Name=Sub("${Prefix}")),
    )


def add_subnets(t: Template, tier: str, network: VPC, blocks: tuple[Block, ...], inputs: Inputs) -> list[Subnet]:
    """Add one subnet per zone and return them in the order of the zones."""
    zones = (inputs.first_zone, inputs.second_zone)
    return [
        t.add_resource(
            Subnet(
                f"{tier}Subnet{number}",
                VpcId=network.ref(),
                AvailabilityZone=zone,
                CidrBlock=block.sub(),
                MapPublicIpOnLaunch=False,  # load balancer and NAT gateways have addresses of their own
                Tags=name_tag(f"{tier.lower()}-{number}"),
            )
        )
        for number, (zone, block) in enumerate(zip(zones, blocks, strict=True), start=1)
    ]


def add_public_routes(
    t: Template, network: VPC, subnets: list[Subnet], gateway: InternetGateway, attachment: VPCGatewayAttachment
) -> None:
    """Add the route table with the default route to the internet gateway."""
    table = t.add_resource(RouteTable("PublicRouteTable", VpcId=network.ref(), Tags=name_tag("public")))
    t.add_resource(
        Route(
            "PublicDefaultRoute",
            RouteTableId=table.ref(),
            DestinationCidrBlock=ANY_ADDRESS,
            GatewayId=gateway.ref(),
            DependsOn=[attachment],
        )
    )
    for subnet in subnets:
        associate_route_table(t, subnet, table)


def add_app_tables(t: Template, network: VPC, subnets: list[Subnet]) -> list[RouteTable]:
    """Add one route table per zone. The layer ``egress`` adds the default routes to the NAT gateways."""
    tables = []
    for number, subnet in enumerate(subnets, start=1):
        table = t.add_resource(
            RouteTable(f"AppRouteTable{number}", VpcId=network.ref(), Tags=name_tag(f"app-{number}"))
        )
        associate_route_table(t, subnet, table)
        tables.append(table)
    return tables


def add_isolated_subnets(t: Template, network: VPC, blocks: tuple[Block, ...], inputs: Inputs) -> list[AWSHelperFn]:
    """Add the subnets of the database with a route table without a default route. Return the ids of the subnets.

    The table is separate, so that a later change of another route table cannot open a route to the database.
    """
    subnets = add_subnets(t, "Db", network, blocks, inputs)
    table = t.add_resource(RouteTable("DbRouteTable", VpcId=network.ref(), Tags=name_tag("db")))
    for subnet in subnets:
        associate_route_table(t, subnet, table)
    return [subnet.ref() for subnet in subnets]


def associate_route_table(t: Template, subnet: Subnet, table: RouteTable) -> None:
    t.add_resource(
        SubnetRouteTableAssociation(f"{subnet.title}Routes", SubnetId=subnet.ref(), RouteTableId=table.ref())
    )


def endpoint_group(network: VPC, blocks: tuple[Block, ...]) -> SecurityGroup:
    """Return the security group of the endpoints, which ``egress`` creates.

    It is in this layer, because the CIDR blocks of the tasks' subnets are known here.
    """
    return SecurityGroup(
        "EndpointSecurityGroup",
        GroupDescription="Interface endpoints, reached by tasks",
        VpcId=network.ref(),
        SecurityGroupIngress=[
            SecurityGroupRule(
                IpProtocol="tcp",
                FromPort=443,
                ToPort=443,
                CidrIp=block.sub(),
                Description=f"HTTPS from app subnet {number}",
            )
            for number, block in enumerate(blocks, start=1)
        ],
        SecurityGroupEgress=[no_egress()],
        Tags=name_tag("endpoints"),
    )


LAYER = Layer("Network", "Network: VPC, subnets in two zones, route tables.", Inputs, Outputs, build)
