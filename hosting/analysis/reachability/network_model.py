"""What stands in the network of an environment, and who is outside of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

from hosting.analysis.resolve import ResolvedEnvironment, Resource
from hosting.analysis.rules.values import flag, listed
from hosting.model.tokens import Json, origin

VPC = "AWS::EC2::VPC"
SUBNET = "AWS::EC2::Subnet"
GROUP = "AWS::EC2::SecurityGroup"
ENDPOINT = "AWS::EC2::VPCEndpoint"
LOAD_BALANCER = "AWS::ElasticLoadBalancingV2::LoadBalancer"
LISTENER = "AWS::ElasticLoadBalancingV2::Listener"
LISTENER_RULE = "AWS::ElasticLoadBalancingV2::ListenerRule"
TARGET_GROUP = "AWS::ElasticLoadBalancingV2::TargetGroup"
SERVICE = "AWS::ECS::Service"
CLUSTER = "AWS::RDS::DBCluster"
INSTANCE = "AWS::RDS::DBInstance"
DISTRIBUTION = "AWS::CloudFront::Distribution"
BUCKET = "AWS::S3::Bucket"

MYSQL = 3306
HTTPS = 443


@dataclass(frozen=True)
class Outside:
    """Whoever is not in the VPC."""

    name: str
    title: str


INTERNET = Outside("internet", "the internet")
CLOUDFRONT = Outside("cloudfront", "CloudFront")


@dataclass(frozen=True, eq=False)
class Place:
    """Something with addresses in the VPC."""

    name: str
    title: str
    resource: Resource
    subnets: tuple[Resource, ...]
    groups: tuple[Resource, ...]
    listens: tuple[int, ...]
    # The property that gives it an address of the internet, or would: the resource, the path, and what it says now.
    public: bool = False
    public_at: tuple[Resource, str] | None = None


Peer = Outside | Place


@dataclass(frozen=True)
class World:
    """One resolved environment, looked at as a network."""

    env: ResolvedEnvironment
    # Set by whoever asks: pairs of services (lower case) that are meant to talk to each other directly.
    calls: frozenset[tuple[str, str]] = field(default_factory=frozenset)

    @cached_property
    def cloudfront_list(self) -> str:
        """The prefix list of CloudFront's addresses: only the deployer can look it up, so a root parameter holds it."""
        return str(self.env.stacks["root"].parameters.get("CloudFrontPrefixListId", ""))

    @cached_property
    def load_balancers(self) -> list[Place]:
        places = []
        for number, item in enumerate(self.env.of_type(LOAD_BALANCER)):
            places.append(
                Place(
                    "alb" if not number else f"alb-{number + 1}",
                    "the load balancer",
                    item,
                    tuple(self.all_behind(item.get("Subnets"), SUBNET)),
                    tuple(self.all_behind(item.get("SecurityGroups"), GROUP)),
                    tuple(_ports(listener.get("Port") for listener in self.listeners(item))),
                    item.get("Scheme", "internet-facing") == "internet-facing",
                    (item, "Properties.Scheme"),
                )
            )
        return places

    @cached_property
    def services(self) -> list[Place]:
        places = []
        for item in self.env.of_type(SERVICE):
            network = "NetworkConfiguration.AwsvpcConfiguration"
            title = item.stack.rsplit("/", 1)[-1].removesuffix("Stack").removesuffix("Service") or item.logical_id
            places.append(
                Place(
                    title.lower(),
                    f"service {title}",
                    item,
                    tuple(self.all_behind(item.get(f"{network}.Subnets"), SUBNET)),
                    tuple(self.all_behind(item.get(f"{network}.SecurityGroups"), GROUP)),
                    tuple(_ports(entry.get("ContainerPort") for entry in listed(item.get("LoadBalancers")))),
                    item.get(f"{network}.AssignPublicIp", "DISABLED") != "DISABLED",
                    (item, f"Properties.{network}.AssignPublicIp"),
                )
            )
        return sorted(places, key=lambda place: place.name)

    @cached_property
    def databases(self) -> list[Place]:
        places = []
        for number, item in enumerate(self.env.of_type(CLUSTER)):
            instances = [one for one in self.env.of_type(INSTANCE) if self.same(one.get("DBClusterIdentifier"), item)]
            open_ones = [one for one in instances if flag(one.get("PubliclyAccessible"))]
            shown = next(iter(open_ones or instances), item)
            group = self.behind(item.get("DBSubnetGroupName"))
            places.append(
                Place(
                    "aurora" if not number else f"aurora-{number + 1}",
                    "Aurora",
                    item,
                    tuple(self.all_behind(group.get("SubnetIds"), SUBNET)) if group else (),
                    tuple(self.all_behind(item.get("VpcSecurityGroupIds"), GROUP)),
                    tuple(_ports([item.get("Port", MYSQL)])),
                    bool(open_ones),
                    (shown, "Properties.PubliclyAccessible"),
                )
            )
        return places

    @cached_property
    def endpoints(self) -> list[Place]:
        """Interface endpoints; gateway endpoints are routes, not places."""
        return [
            Place(
                f"endpoint:{self.service_of(item)}",
                f"the endpoint of {self.service_of(item)}",
                item,
                tuple(self.all_behind(item.get("SubnetIds"), SUBNET)),
                tuple(self.all_behind(item.get("SecurityGroupIds"), GROUP)),
                (HTTPS,),
            )
            for item in sorted(self.env.of_type(ENDPOINT), key=lambda one: one.logical_id)
            if item.get("VpcEndpointType", "Gateway") == "Interface"
        ]

    @cached_property
    def endpoint_sets(self) -> list[Place]:
        """Interface endpoints behind the same groups in the same subnets: to a claim about others they are one."""
        sets: dict[tuple[tuple[int, ...], tuple[int, ...]], Place] = {}
        for place in self.endpoints:
            key = (tuple(id(item) for item in place.groups), tuple(id(item) for item in place.subnets))
            if key not in sets:
                number = f"-{len(sets) + 1}" if sets else ""
                sets[key] = replace(place, name=f"endpoints{number}", title=f"the interface endpoints{number}")
        return list(sets.values())

    def listeners(self, load_balancer: Resource) -> list[Resource]:
        return [item for item in self.env.of_type(LISTENER) if self.same(item.get("LoadBalancerArn"), load_balancer)]

    def service_of(self, endpoint: Resource) -> str:
        """ "ecr.api" of "com.amazonaws.ap-northeast-1.ecr.api"; the whole name when it is not of this region."""
        region = self.env.stacks[endpoint.stack].region
        return str(endpoint.get("ServiceName")).removeprefix(f"com.amazonaws.{region}.")

    def behind(self, value: Json, *types: str) -> Resource | None:
        """The resource that a value is, or is an attribute of, followed through the outputs of nested stacks."""
        found = origin(value)
        while found is not None and found.attribute.startswith("Outputs."):
            child = self.env.stacks.get(f"{found.stack}/{found.logical_id}")
            found = origin(child.outputs.get(found.attribute.removeprefix("Outputs."))) if child else None
        resource = self.env.resource(found)
        return resource if resource and (not types or resource.type in types) else None

    def all_behind(self, values: Json, *types: str) -> list[Resource]:
        found = [self.behind(value, *types) for value in listed(values)]
        return [item for item in found if item is not None]

    def same(self, value: Json, resource: Resource) -> bool:
        return self.behind(value) is resource

    def vpc_of(self, resource: Resource) -> Resource | None:
        return self.behind(resource.get("VpcId"), VPC)

    def find(self, kind: str, test: Callable[[Resource], bool]) -> list[Resource]:
        return [item for item in self.env.of_type(kind) if test(item)]


def _ports(values: object) -> list[int]:
    found = []
    for value in values if hasattr(values, "__iter__") else ():
        try:
            found.append(int(value))
        except (TypeError, ValueError):
            continue  # a port that is no number is nothing that a claim could be made about; the claim then fails
    return sorted(set(found))
