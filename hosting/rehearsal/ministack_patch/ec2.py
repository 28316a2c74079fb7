"""EC2: elastic IP addresses, NAT gateways, rules of security groups, flow logs; attributes and answers completed."""
# Handlers take the arguments that MiniStack passes, needed or not.
# ruff: noqa: ARG001

from __future__ import annotations

import functools
import html
import json
import re
from typing import Any

from ministack.services import cloudwatch_logs, ec2
from ministack.services.cloudformation import provisioners

from hosting.rehearsal.ministack_patch.api import Proceed, Reply, operation
from hosting.rehearsal.ministack_patch.registry import (
    Properties,
    Provisioned,
    checked,
    query,
    register,
    tag_list,
    wrap,
)


def install() -> None:
    """Register the types of EC2 that MiniStack refuses, and complete those that it has."""
    register("AWS::EC2::EIP", create=create_address, update=update_tags, delete=delete_address, replaces=("Domain",))
    register(
        "AWS::EC2::NatGateway",
        create=create_nat_gateway,
        update=update_tags,
        delete=delete_nat_gateway,
        replaces=("AllocationId", "ConnectivityType", "PrivateIpAddress", "SubnetId", "VpcId"),
    )
    for direction, store in (("Ingress", "IpPermissions"), ("Egress", "IpPermissionsEgress")):
        register(
            f"AWS::EC2::SecurityGroup{direction}",
            create=functools.partial(create_rule, store),
            update=functools.partial(update_rule, store),
            delete=delete_rule,
            replaces=(
                "CidrIp",
                "CidrIpv6",
                "DestinationPrefixListId",
                "DestinationSecurityGroupId",
                "FromPort",
                "GroupId",
                "IpProtocol",
                "SourcePrefixListId",
                "SourceSecurityGroupId",
                "ToPort",
            ),
        )
    register(
        "AWS::EC2::FlowLog",
        create=create_flow_log,
        update=update_tags,
        delete=delete_flow_log,
        replaces=(
            "DeliverLogsPermissionArn",
            "DestinationOptions",
            "LogDestination",
            "LogDestinationType",
            "LogFormat",
            "LogGroupName",
            "MaxAggregationInterval",
            "ResourceId",
            "ResourceType",
            "TrafficType",
        ),
    )
    wrap("AWS::EC2::VPC", after=with_cidr_block)
    wrap("AWS::EC2::Subnet", before=booleans("MapPublicIpOnLaunch"))
    wrap("AWS::EC2::VPCEndpoint", before=booleans("PrivateDnsEnabled"))


def booleans(*names: str) -> Any:
    """Return a function that converts properties to booleans; a Ref or a condition makes them strings."""

    def convert(properties: Properties) -> Properties:
        return {name: str(value).lower() == "true" if name in names else value for name, value in properties.items()}

    return convert


def with_cidr_block(physical_id: str, attributes: dict[str, Any], properties: Properties) -> Provisioned:
    block = ec2._vpcs[physical_id]["CidrBlock"]
    return physical_id, {**attributes, "CidrBlock": block, "CidrBlockAssociations": [f"vpc-cidr-assoc-{physical_id}"]}


def tag_specifications(properties: Properties, kind: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tag": tag_list(properties.get("Tags"))}]


def update_tags(physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str) -> Provisioned:
    """Update the tags, the only property that these types update without replacement."""
    identifier = physical_id
    if physical_id.count(".") == 3:
        identifier = next(key for key, item in ec2._addresses.items() if item["PublicIp"] == physical_id)
    provisioners._ec2_apply_tags(identifier, new, old)
    return physical_id, resource_attributes(physical_id, identifier)


def resource_attributes(physical_id: str, identifier: str) -> dict[str, Any]:
    if identifier.startswith("eipalloc-"):
        return {"AllocationId": identifier, "PublicIp": physical_id}
    if identifier.startswith("nat-"):
        return {"NatGatewayId": identifier}
    return {"Id": identifier}


def extract_element(xml: dict[str, Any], tag: str) -> str:
    match = re.search(rf"<{tag}>([^<]+)</{tag}>", xml["_xml"])
    if match is None:
        raise ValueError(f"EC2 answered without {tag}")
    return match[1]


def create_address(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    """Allocate an elastic IP address."""
    reply = checked(
        ec2._allocate_address(
            query(Domain=properties.get("Domain", "vpc"), TagSpecification=tag_specifications(properties, "elastic-ip"))
        ),
        "AllocateAddress",
    )
    identifier, address = extract_element(reply, "allocationId"), extract_element(reply, "publicIp")
    provisioners._ec2_apply_tags(identifier, properties)
    return address, resource_attributes(address, identifier)


def delete_address(physical_id: str, properties: Properties) -> None:
    for identifier, address in ec2._addresses.items():
        if address["PublicIp"] == physical_id:
            if address.get("_nat_gateway") in live_nat_gateways():
                raise ValueError(f"You do not have permission to access the specified resource: {identifier} is in use")
            checked(ec2._release_address(query(AllocationId=identifier)), "ReleaseAddress")


def live_nat_gateways() -> set[str]:
    return {identifier for identifier, nat in ec2._nat_gateways.items() if nat["State"] != "deleted"}


def create_nat_gateway(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    """Create a NAT gateway. Raise ValueError if its subnet or address does not exist."""
    subnet, allocation = properties.get("SubnetId", ""), properties.get("AllocationId", "")
    if subnet not in ec2._subnets:
        raise ValueError(f"The subnet ID '{subnet}' does not exist")
    if properties.get("ConnectivityType", "public") == "public" and allocation not in ec2._addresses:
        raise ValueError(f"The allocation ID '{allocation}' does not exist")
    reply = checked(
        ec2._create_nat_gateway(
            query(
                SubnetId=subnet,
                AllocationId=allocation,
                ConnectivityType=properties.get("ConnectivityType", "public"),
                TagSpecification=tag_specifications(properties, "natgateway"),
            )
        ),
        "CreateNatGateway",
    )
    identifier = extract_element(reply, "natGatewayId")
    if allocation:
        ec2._addresses[allocation]["AssociationId"] = f"eipassoc-{identifier[4:]}"
        ec2._addresses[allocation]["_nat_gateway"] = identifier
    provisioners._ec2_apply_tags(identifier, properties)
    return identifier, resource_attributes(identifier, identifier)


def delete_nat_gateway(physical_id: str, properties: Properties) -> None:
    nat = ec2._nat_gateways.pop(physical_id, None)
    if nat and nat.get("AllocationId") in ec2._addresses:
        ec2._addresses[nat["AllocationId"]] |= {"AssociationId": None, "_nat_gateway": None}


def create_rule(store: str, logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    """Add a rule to a security group. Raise ValueError if the group is missing or has that rule."""
    group = ec2._security_groups.get(properties.get("GroupId", ""))
    if group is None:
        raise ValueError(f"The security group '{properties.get('GroupId')}' does not exist")
    rules: list[dict[str, Any]] = group[store]
    egress = store == "IpPermissionsEgress"
    (wanted,) = provisioners._ec2_sg_permissions([properties])
    if any(ec2._rules_match(wanted, rule) for rule in rules):
        raise ValueError(f"the specified rule already exists in {properties['GroupId']}")
    wanted["SecurityGroupRuleId"] = ec2._sg_rule_id(properties["GroupId"], egress, wanted)
    if egress:
        # The first explicit egress rule replaces the default rule that allows all egress, as in CloudFormation.
        rules[:] = [rule for rule in rules if not default_egress(rule)]
    rules.append(wanted)
    return wanted["SecurityGroupRuleId"], {"Id": wanted["SecurityGroupRuleId"]}


def default_egress(rule: dict[str, Any]) -> bool:
    return (
        rule.get("IpProtocol") == "-1"
        and [entry.get("CidrIp") for entry in rule.get("IpRanges", [])] == ["0.0.0.0/0"]
        and "SecurityGroupRuleId" not in rule
    )


def update_rule(
    store: str, physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str
) -> Provisioned:
    """Replace a rule by one with another description, the only property that is updated in place."""
    delete_rule(physical_id, old)
    return create_rule(store, logical_id, new, stack_name)


def delete_rule(physical_id: str, properties: Properties) -> None:
    group = ec2._security_groups.get(properties.get("GroupId", ""))
    if group is None:
        return
    for name in ("IpPermissions", "IpPermissionsEgress"):
        group[name] = [rule for rule in group[name] if rule.get("SecurityGroupRuleId") != physical_id]


def create_flow_log(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    """Create a flow log. Raise ValueError if its log group does not exist."""
    kind = properties.get("LogDestinationType", "cloud-watch-logs")
    group = properties.get("LogGroupName") or str(properties.get("LogDestination", "")).partition(":log-group:")[2]
    if kind == "cloud-watch-logs" and group.removesuffix(":*") not in cloudwatch_logs._log_groups:
        raise ValueError(f"The log group '{group}' of the flow log does not exist")
    reply = checked(
        ec2._create_flow_logs(
            query(
                ResourceId=[properties["ResourceId"]],
                ResourceType=properties["ResourceType"],
                TrafficType=properties.get("TrafficType", "ALL"),
                LogDestinationType=kind,
                LogDestination=properties.get("LogDestination"),
                LogGroupName=properties.get("LogGroupName"),
            )
        ),
        "CreateFlowLogs",
    )
    identifier = extract_element(reply, "item")
    ec2._flow_logs[identifier] |= {
        "_more": {
            "logGroupName": group.removesuffix(":*"),
            "deliverLogsPermissionArn": properties.get("DeliverLogsPermissionArn", ""),
            "logFormat": properties.get("LogFormat", ""),
            "maxAggregationInterval": str(properties.get("MaxAggregationInterval", 600)),
        }
    }
    provisioners._ec2_apply_tags(identifier, properties)
    return identifier, resource_attributes(identifier, identifier)


def delete_flow_log(physical_id: str, properties: Properties) -> None:
    checked(ec2._delete_flow_logs(query(FlowLogId=[physical_id])), "DeleteFlowLogs")


@operation("ec2:DescribeNatGateways")
async def describe_nat_gateways(parameters: dict[str, Any], proceed: Proceed) -> Reply:
    """Add the addresses of gateways, which MiniStack omits."""

    def addresses(match: re.Match[str]) -> str:
        """Return a match with the gateway's address set filled in."""
        allocation = ec2._nat_gateways[match[1]].get("AllocationId")
        address = ec2._addresses.get(allocation) if allocation else None
        if address is None:
            return match[0]
        inner = (
            f"<item><allocationId>{allocation}</allocationId><publicIp>{address['PublicIp']}</publicIp>"
            f"<associationId>{address['AssociationId']}</associationId><isPrimary>true</isPrimary>"
            "<status>succeeded</status></item>"
        )
        return match[0].replace("<natGatewayAddressSet/>", f"<natGatewayAddressSet>{inner}</natGatewayAddressSet>")

    return await corrected(proceed, r"<natGatewayId>([^<]+)</natGatewayId>.*?<natGatewayAddressSet/>", addresses)


@operation("ec2:DescribeVpcEndpoints")
async def describe_vpc_endpoints(parameters: dict[str, Any], proceed: Proceed) -> Reply:
    """Add private DNS and policy, which MiniStack omits, and apply the filters, which it ignores."""
    filters = ec2._parse_filters(parameters)

    def wanted(endpoint: dict[str, Any]) -> bool:
        named = {"vpc-id": "VpcId", "service-name": "ServiceName", "vpc-endpoint-type": "VpcEndpointType"}
        return all(endpoint[named[name]] in values for name, values in filters.items() if name in named)

    def completed(match: re.Match[str]) -> str:
        """Return an endpoint with its missing elements, or nothing if the filters exclude it."""
        endpoint = ec2._vpc_endpoints[match[2]]
        if not wanted(endpoint):
            return ""
        private = str(endpoint.get("PrivateDnsEnabled", False)).lower()
        policy = endpoint.get("PolicyDocument")
        more = f"<privateDnsEnabled>{private}</privateDnsEnabled>"
        if policy:
            more += f"<policyDocument>{html.escape(json.dumps(policy))}</policyDocument>"
        return match[1] + more + match[3]

    following = r"(?=\s*(?:<item>\s*<vpcEndpointId>|</vpcEndpointSet>))"
    pattern = r"(<item>\s*<vpcEndpointId>([^<]+)</vpcEndpointId>)(.*?</item>)" + following
    return await corrected(proceed, pattern, completed)


@operation("ec2:DescribeFlowLogs")
async def describe_flow_logs(parameters: dict[str, Any], proceed: Proceed) -> Reply:
    """Add destination, role and format of flow logs, which MiniStack omits."""

    def more(match: re.Match[str]) -> str:
        known = ec2._flow_logs[match[1]].get("_more", {})
        return match[0] + "".join(f"<{name}>{html.escape(value)}</{name}>" for name, value in known.items() if value)

    return await corrected(proceed, r"<flowLogId>([^<]+)</flowLogId>", more)


async def corrected(proceed: Proceed, pattern: str, replacement: Any) -> Reply:
    status, headers, body = await proceed()
    if status == 200:
        body = re.sub(pattern, replacement, body.decode(), flags=re.DOTALL).encode()
    return status, headers, body
