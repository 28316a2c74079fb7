"""Demand of an environment on the account's quotas, counted in the templates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from hosting.model.stack_order import EDGE_REGION
from hosting.model.templates import Template

if TYPE_CHECKING:
    from mypy_boto3_service_quotas import ServiceQuotasClient


@dataclass(frozen=True)
class Quota:
    """Quota of Service Quotas, and the resource type that counts against it."""

    service: str
    code: str
    name: str
    type: str
    # Scope of the quota: per zone, of which the templates use two, or in the region of CloudFront.
    zones: int = 1
    region: str = ""


QUOTAS = (
    Quota("vpc", "L-F678F1CE", "VPCs", "AWS::EC2::VPC"),
    Quota("vpc", "L-A4707A72", "internet gateways", "AWS::EC2::InternetGateway"),
    Quota("vpc", "L-FE5A380F", "NAT gateways in a zone", "AWS::EC2::NatGateway", zones=2),
    Quota("vpc", "L-29B6F2EB", "interface endpoints in a VPC", "AWS::EC2::VPCEndpoint"),
    Quota("ec2", "L-0263D0A3", "Elastic IP addresses", "AWS::EC2::EIP"),
    Quota("elasticloadbalancing", "L-53DA6B97", "load balancers", "AWS::ElasticLoadBalancingV2::LoadBalancer"),
    Quota("rds", "L-952B80B8", "database clusters", "AWS::RDS::DBCluster"),
    Quota("cloudformation", "L-0485CB21", "stacks", "AWS::CloudFormation::Stack"),
    Quota("cloudfront", "L-24B04930", "distributions", "AWS::CloudFront::Distribution", region=EDGE_REGION),
)
FARGATE = ("fargate", "L-3032A538")


def count_demand(root: Template, templates: Mapping[str, Template]) -> Counter[str]:
    """Return the maximum number of resources of each type that a root stack creates. Conditions are ignored."""
    made = [root, *(templates[child] for child in root.children.values())]
    return Counter(
        resource["Type"]
        for template in made
        for resource in template.resources.values()
        # Gateway endpoints have another quota, which is far larger.
        if resource.get("Properties", {}).get("VpcEndpointType") != "Gateway"
    )


def calculate_vcpus(root: Template, values: Mapping[str, str]) -> float:
    """Return the vCPUs of Fargate while all services are deployed at once and one task of each job runs.

    A service runs twice, old and new. A service with one task stops it before the new one starts.
    """

    def value(workload: str, parameter: str) -> int:
        # Workloads without a size of their own share parameters.
        given = root.resources[f"{workload}ServiceStack"]["Properties"]["Parameters"][parameter]
        return int(values[given["Ref"]])

    def tasks(workload: str) -> int:
        if root.kind_of(workload) == "job" or root.has_one_task(workload):
            return 1
        return 2 * value(workload, "MinTasks")

    return sum(tasks(workload) * value(workload, "Cpu") / 1024 for workload in root.services)


def read_quota(client: ServiceQuotasClient, service: str, code: str) -> float:
    """Return the value of the account, or the default of AWS."""
    try:
        return client.get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]["Value"]
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "NoSuchResourceException":
            raise
    return client.get_aws_default_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]["Value"]


def count_used(clients: Any, region: str, kind: str) -> int | None:
    """Return the number of existing resources of a type, or None if more than one call would be needed."""
    match kind:
        case "AWS::EC2::VPC":
            return sum(len(page["Vpcs"]) for page in clients.ec2(region).get_paginator("describe_vpcs").paginate())
        case "AWS::EC2::EIP":
            return len(clients.ec2(region).describe_addresses()["Addresses"])
        case "AWS::EC2::InternetGateway":
            pages = clients.ec2(region).get_paginator("describe_internet_gateways").paginate()
            return sum(len(page["InternetGateways"]) for page in pages)
        case "AWS::ElasticLoadBalancingV2::LoadBalancer":
            pages = clients.elbv2(region).get_paginator("describe_load_balancers").paginate()
            return sum(len(page["LoadBalancers"]) for page in pages)
        case "AWS::RDS::DBCluster":
            pages = clients.rds(region).get_paginator("describe_db_clusters").paginate()
            return sum(len(page["DBClusters"]) for page in pages)
        case _:
            return None
