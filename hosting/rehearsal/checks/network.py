"""The network: private subnets, with a NAT gateway in each zone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from hosting.rehearsal.checks.base import Area, Deployed, Proof

proof = Area("network")

ENDPOINTS = frozenset({"s3", "ecr.api", "ecr.dkr", "logs", "ssm", "ssmmessages", "ec2messages"})
PREFIX_LIST = "com.amazonaws.global.cloudfront.origin-facing"


def in_vpc(deployed: Deployed) -> list[dict[str, Any]]:
    return [{"Name": "vpc-id", "Values": [deployed.id("NetworkStack/Vpc")]}]


def vpc_and_subnets(deployed: Deployed) -> Iterator[Proof]:
    """Check the address range, DNS settings, zones and public addresses of the network."""
    ec2 = deployed.client("ec2")
    vpc = deployed.id("NetworkStack/Vpc")
    (found,) = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]
    yield proof("the VPC has the block of the parameters", found["CidrBlock"].endswith(".0.0/16"), found["CidrBlock"])
    names = {"enableDnsSupport": "EnableDnsSupport", "enableDnsHostnames": "EnableDnsHostnames"}
    dns = {
        name: ec2.describe_vpc_attribute(VpcId=vpc, Attribute=name)[answer]["Value"] for name, answer in names.items()
    }
    yield proof("the VPC resolves names, as private endpoints need", all(dns.values()), dns)
    subnets = {subnet["SubnetId"]: subnet for subnet in ec2.describe_subnets(Filters=in_vpc(deployed))["Subnets"]}
    for tier in ("Public", "App", *(["Db"] if deployed.has_database else [])):
        pair = [subnets[deployed.id(f"NetworkStack/{tier}Subnet{number}")] for number in (1, 2)]
        zones = [subnet["AvailabilityZone"] for subnet in pair]
        seen = ", ".join(f"{subnet['CidrBlock']} in {subnet['AvailabilityZone']}" for subnet in pair)
        yield proof(f"two {tier} subnets are in two zones", len(set(zones)) == 2, seen)
    public = [subnet["SubnetId"] for subnet in subnets.values() if subnet["MapPublicIpOnLaunch"]]
    yield proof("no subnet hands out public addresses", not public, public or f"{len(subnets)} subnets")


def routes(deployed: Deployed) -> Iterator[Proof]:
    """Check that app subnets use the NAT gateway of their zone, and that database subnets have no default route."""
    ec2 = deployed.client("ec2")
    tables = ec2.describe_route_tables(Filters=in_vpc(deployed))["RouteTables"]
    subnets = {subnet["SubnetId"]: subnet for subnet in ec2.describe_subnets(Filters=in_vpc(deployed))["Subnets"]}
    by_subnet = {link["SubnetId"]: table for table in tables for link in table["Associations"] if "SubnetId" in link}
    gateways = {
        nat["NatGatewayId"]: nat
        for nat in ec2.describe_nat_gateways(Filter=in_vpc(deployed))["NatGateways"]
        if nat["State"] == "available"
    }
    zones = {subnets[nat["SubnetId"]]["AvailabilityZone"] for nat in gateways.values()}
    addresses = [address["PublicIp"] for nat in gateways.values() for address in nat["NatGatewayAddresses"]]
    yield proof(
        "each zone has a NAT gateway with an address of its own",
        len(gateways) == 2 and len(zones) == 2 and len(set(addresses)) == 2,
        f"{', '.join(sorted(zones))}: {', '.join(addresses)}",
    )

    def default_route(subnet: str) -> dict[str, Any] | None:
        found = by_subnet[subnet]["Routes"]
        return next((route for route in found if route.get("DestinationCidrBlock") == "0.0.0.0/0"), None)

    for number in (1, 2):
        public = default_route(deployed.id(f"NetworkStack/PublicSubnet{number}")) or {}
        target = str(public.get("GatewayId"))
        yield proof(f"public subnet {number} leads to the internet gateway", target.startswith("igw-"), target)
        app = deployed.id(f"NetworkStack/AppSubnet{number}")
        gateway = gateways.get((default_route(app) or {}).get("NatGatewayId", ""))
        zone = subnets[gateway["SubnetId"]]["AvailabilityZone"] if gateway else "no gateway"
        own = subnets[app]["AvailabilityZone"]
        yield proof(f"app subnet {number} leaves through its own zone", zone == own, f"{own} by {zone}")
        if not deployed.has_database:
            continue
        database = default_route(deployed.id(f"NetworkStack/DbSubnet{number}"))
        yield proof(f"database subnet {number} has no way out", database is None, database or "local routes only")


def endpoints(deployed: Deployed) -> Iterator[Proof]:
    """Check the VPC endpoints that tasks require without the internet."""
    found = deployed.client("ec2").describe_vpc_endpoints(Filters=in_vpc(deployed))["VpcEndpoints"]
    prefix = f"com.amazonaws.{deployed.home}."
    services = {endpoint["ServiceName"].removeprefix(prefix): endpoint for endpoint in found}
    missing = ENDPOINTS - set(services)
    yield proof("endpoints exist for what tasks need without the internet", not missing, missing or set(services))
    interfaces = [endpoint for endpoint in found if endpoint["VpcEndpointType"] == "Interface"]
    good = [one for one in interfaces if one["PrivateDnsEnabled"] and len(one["SubnetIds"]) == 2]
    yield proof(
        "interface endpoints answer by the services' own names in both zones",
        len(good) == len(interfaces) > 0,
        f"{len(good)} of {len(interfaces)}",
    )


def security_groups(deployed: Deployed) -> Iterator[Proof]:
    """Check the sources that the security groups admit."""
    ec2 = deployed.client("ec2")
    groups = ec2.describe_security_groups(Filters=in_vpc(deployed))["SecurityGroups"]
    by_id = {group["GroupId"]: group for group in groups}
    world = [
        group["GroupName"]
        for group in groups
        for rule in group["IpPermissions"]
        if any(block["CidrIp"] == "0.0.0.0/0" for block in rule["IpRanges"])
    ]
    default = [group for group in groups if group["GroupName"] == "default"]
    rules = [rule for group in default for rule in all_rules(group)]
    yield proof("the VPC's default security group is closed", default and not rules, rules or "no rule in it")
    yield proof("no security group admits the whole internet", not world, world or f"{len(groups)} groups")
    names = [{"Name": "prefix-list-name", "Values": [PREFIX_LIST]}]
    (prefix_list,) = ec2.describe_managed_prefix_lists(Filters=names)["PrefixLists"]
    for name, port in (("AlbSecurityGroup", 443), ("RedirectSecurityGroup", 80)):
        rules = by_id[deployed.id(f"SecurityStack/{name}")]["IpPermissions"]
        sources = {(rule["FromPort"], entry["PrefixListId"]) for rule in rules for entry in rule["PrefixListIds"]}
        others = [rule for rule in rules if rule["IpRanges"] or rule["UserIdGroupPairs"]]
        yield proof(
            f"the load balancer's port {port} is open to CloudFront only",
            sources == {(port, prefix_list["PrefixListId"])} and not others,
            f"{PREFIX_LIST} ({prefix_list['PrefixListId']})",
        )
    if not deployed.has_database:
        mysql = [group["GroupName"] for group in groups for rule in all_rules(group) if rule.get("FromPort") == 3306]
        yield proof("no security group has a rule for a database", not mysql, mysql or f"{len(groups)} groups")
        return
    admitted = Counter(
        pair["GroupId"]
        for rule in by_id[deployed.id("SecurityStack/DatabaseSecurityGroup")]["IpPermissions"]
        for pair in rule["UserIdGroupPairs"]
    )
    services = {deployed.id(f"{service}AccessStack/ServiceSecurityGroup") for service in deployed.images}
    yield proof("the database admits only the services", set(admitted) == services, list(admitted))


def all_rules(group: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rules of a security group in both directions."""
    return [*group["IpPermissions"], *group["IpPermissionsEgress"]]


def flow_log(deployed: Deployed) -> Iterator[Proof]:
    logs = deployed.client("ec2").describe_flow_logs(
        Filters=[{"Name": "resource-id", "Values": [deployed.id("NetworkStack/Vpc")]}]
    )["FlowLogs"]
    good = [log for log in logs if log["FlowLogStatus"] == "ACTIVE" and log["TrafficType"] == "ALL"]
    yield proof("all traffic of the VPC is logged", good, [log.get("LogGroupName") for log in logs])


CHECKS = (vpc_and_subnets, routes, endpoints, security_groups, flow_log)
