"""The endpoints in the network of an environment, and the peers outside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

from hosting.analysis.resolve import ResolvedEnvironment, Resource
from hosting.analysis.rules.values import flag, listed
from hosting.model.templates import DeclaredEgress
from hosting.model.tokens import Json, origin

VPC = "AWS::EC2::VPC"
SUBNET = "AWS::EC2::Subnet"
GROUP = "AWS::EC2::SecurityGroup"
VPC_ENDPOINT = "AWS::EC2::VPCEndpoint"
LOAD_BALANCER = "AWS::ElasticLoadBalancingV2::LoadBalancer"
LISTENER = "AWS::ElasticLoadBalancingV2::Listener"
LISTENER_RULE = "AWS::ElasticLoadBalancingV2::ListenerRule"
TARGET_GROUP = "AWS::ElasticLoadBalancingV2::TargetGroup"
SERVICE = "AWS::ECS::Service"
SCHEDULE = "AWS::Scheduler::Schedule"
CLUSTER = "AWS::RDS::DBCluster"
INSTANCE = "AWS::RDS::DBInstance"
DISTRIBUTION = "AWS::CloudFront::Distribution"
BUCKET = "AWS::S3::Bucket"
FILE_SYSTEM = "AWS::EFS::FileSystem"
MOUNT_TARGET = "AWS::EFS::MountTarget"

MYSQL = 3306
NFS = 2049
HTTPS = 443


@dataclass(frozen=True)
class ExternalPeer:
    """A peer outside the VPC."""

    name: str
    title: str


INTERNET = ExternalPeer("internet", "the internet")
CLOUDFRONT = ExternalPeer("cloudfront", "CloudFront")


@dataclass(frozen=True, eq=False)
class Endpoint:
    """A resource with addresses in the VPC: load balancer, service, database, volume or VPC endpoint."""

    name: str
    title: str
    resource: Resource
    subnets: tuple[Resource, ...]
    groups: tuple[Resource, ...]
    ports: tuple[int, ...]
    # Whether it has a public address, and the resource and property that decide it.
    public: bool = False
    public_setting: tuple[Resource, str] | None = None


Peer = ExternalPeer | Endpoint


@dataclass(frozen=True)
class NetworkModel:
    """The network of one resolved environment."""

    env: ResolvedEnvironment
    # Pairs of services (lower case) with a direct path that has to be open.
    calls: frozenset[tuple[str, str]] = field(default_factory=frozenset)

    @cached_property
    def cloudfront_list(self) -> str:
        """The id of the prefix list of CloudFront's addresses, from the parameter that the deployer fills in."""
        return str(self.env.stacks["root"].parameters.get("CloudFrontPrefixListId", ""))

    @cached_property
    def load_balancers(self) -> list[Endpoint]:
        """The load balancers, with the ports of their listeners."""
        found = []
        for number, item in enumerate(self.env.of_type(LOAD_BALANCER)):
            found.append(
                Endpoint(
                    "alb" if not number else f"alb-{number + 1}",
                    "the load balancer",
                    item,
                    tuple(self.follow_all(item.get("Subnets"), SUBNET)),
                    tuple(self.follow_all(item.get("SecurityGroups"), GROUP)),
                    tuple(_ports(listener.get("Port") for listener in self.listeners(item))),
                    item.get("Scheme", "internet-facing") == "internet-facing",
                    (item, "Properties.Scheme"),
                )
            )
        return found

    @cached_property
    def declared_calls(self) -> frozenset[tuple[str, str]]:
        """The pairs of services with a direct path that has to be open: those of the project, and those asked for."""
        workloads = self.env.stacks["root"].template.section("Metadata").get("Workloads", {})
        own = {(caller.lower(), name.lower()) for name, one in workloads.items() for caller in one.get("CalledBy", ())}
        return self.calls | own

    def declared_egress(self, service: Endpoint) -> tuple[DeclaredEgress, ...]:
        """Return what the project declares that a service reaches on the internet beside HTTPS."""
        root = self.env.stacks["root"].template
        return tuple(rule for name in root.services if name.lower() == service.name for rule in root.egress_of(name))

    @cached_property
    def services(self) -> list[Endpoint]:
        """The ECS services and jobs, with the ports on which others reach them."""
        found = []
        for item in self.env.of_type(SERVICE, SCHEDULE):
            in_schedule = "Target.EcsParameters." if item.type == SCHEDULE else ""
            network = f"{in_schedule}NetworkConfiguration.AwsvpcConfiguration"
            title = item.stack.rsplit("/", 1)[-1].removesuffix("Stack").removesuffix("Service") or item.logical_id
            found.append(
                Endpoint(
                    title.lower(),
                    f"service {title}",
                    item,
                    tuple(self.follow_all(item.get(f"{network}.Subnets"), SUBNET)),
                    tuple(self.follow_all(item.get(f"{network}.SecurityGroups"), GROUP)),
                    self._ports_of(item),
                    item.get(f"{network}.AssignPublicIp", "DISABLED") != "DISABLED",
                    (item, f"Properties.{network}.AssignPublicIp"),
                )
            )
        return sorted(found, key=lambda endpoint: endpoint.name)

    def _ports_of(self, service: Resource) -> tuple[int, ...]:
        """Return the container ports behind load balancers, and those of a service with a name in private DNS."""
        found: list[Json] = [entry.get("ContainerPort") for entry in listed(service.get("LoadBalancers"))]
        task = self.follow(service.get("TaskDefinition"))
        if task is not None and listed(service.get("ServiceRegistries")):
            for container in listed(task.get("ContainerDefinitions")):
                found += [mapping.get("ContainerPort") for mapping in listed(container.get("PortMappings"))]
        return tuple(_ports(found))

    @cached_property
    def databases(self) -> list[Endpoint]:
        """The database clusters, with the subnets of their subnet group."""
        found = []
        for number, item in enumerate(self.env.of_type(CLUSTER)):
            instances = [
                one for one in self.env.of_type(INSTANCE) if self.refers_to(one.get("DBClusterIdentifier"), item)
            ]
            open_ones = [one for one in instances if flag(one.get("PubliclyAccessible"))]
            shown = next(iter(open_ones or instances), item)
            group = self.follow(item.get("DBSubnetGroupName"))
            found.append(
                Endpoint(
                    "aurora" if not number else f"aurora-{number + 1}",
                    "Aurora",
                    item,
                    tuple(self.follow_all(group.get("SubnetIds"), SUBNET)) if group else (),
                    tuple(self.follow_all(item.get("VpcSecurityGroupIds"), GROUP)),
                    tuple(_ports([item.get("Port", MYSQL)])),
                    bool(open_ones),
                    (shown, "Properties.PubliclyAccessible"),
                )
            )
        return found

    @cached_property
    def volumes(self) -> list[Endpoint]:
        """The file systems, with the subnets and groups of their mount targets."""
        found = []
        for item in self.env.of_type(FILE_SYSTEM):
            targets = [one for one in self.env.of_type(MOUNT_TARGET) if self.refers_to(one.get("FileSystemId"), item)]
            groups = [group for one in targets for group in self.follow_all(one.get("SecurityGroups"), GROUP)]
            name = item.logical_id.removesuffix("Volume")
            found.append(
                Endpoint(
                    f"volume:{name.lower()}",
                    f"volume {name}",
                    item,
                    tuple(self.follow_all([one.get("SubnetId") for one in targets], SUBNET)),
                    tuple({group.ref: group for group in groups}.values()),
                    (NFS,),
                )
            )
        return found

    def mounts(self, service: Endpoint, volume: Endpoint) -> bool:
        """Return whether the project declares that a service mounts a volume."""
        root = self.env.stacks["root"].template
        uses = [use for name in root.services if name.lower() == service.name for use in root.uses_of(name)]
        return any(use.use == "Mount" and f"volume:{use.store.lower()}" == volume.name for use in uses)

    @cached_property
    def interface_endpoints(self) -> list[Endpoint]:
        """The interface endpoints. Gateway endpoints have no addresses; they are routes."""
        return [
            Endpoint(
                f"endpoint:{self.service_name(item)}",
                f"the endpoint of {self.service_name(item)}",
                item,
                tuple(self.follow_all(item.get("SubnetIds"), SUBNET)),
                tuple(self.follow_all(item.get("SecurityGroupIds"), GROUP)),
                (HTTPS,),
            )
            for item in sorted(self.env.of_type(VPC_ENDPOINT), key=lambda one: one.logical_id)
            if item.get("VpcEndpointType", "Gateway") == "Interface"
        ]

    @cached_property
    def interface_endpoint_groups(self) -> list[Endpoint]:
        """Interface endpoints with the same groups and subnets, as one endpoint for claims about other peers."""
        sets: dict[tuple[tuple[int, ...], tuple[int, ...]], Endpoint] = {}
        for endpoint in self.interface_endpoints:
            key = (tuple(id(item) for item in endpoint.groups), tuple(id(item) for item in endpoint.subnets))
            if key not in sets:
                number = f"-{len(sets) + 1}" if sets else ""
                sets[key] = replace(endpoint, name=f"endpoints{number}", title=f"the interface endpoints{number}")
        return list(sets.values())

    def listeners(self, load_balancer: Resource) -> list[Resource]:
        return [
            item for item in self.env.of_type(LISTENER) if self.refers_to(item.get("LoadBalancerArn"), load_balancer)
        ]

    def service_name(self, endpoint: Resource) -> str:
        """Return "ecr.api" for "com.amazonaws.ap-northeast-1.ecr.api"; the whole name in another region."""
        region = self.env.stacks[endpoint.stack].region
        return str(endpoint.get("ServiceName")).removeprefix(f"com.amazonaws.{region}.")

    def follow(self, value: Json, *types: str) -> Resource | None:
        """Return the resource that a value refers to, through outputs of nested stacks, or None."""
        found = origin(value)
        while found is not None and found.attribute.startswith("Outputs."):
            child = self.env.stacks.get(f"{found.stack}/{found.logical_id}")
            found = origin(child.outputs.get(found.attribute.removeprefix("Outputs."))) if child else None
        resource = self.env.resource(found)
        return resource if resource and (not types or resource.type in types) else None

    def follow_all(self, values: Json, *types: str) -> list[Resource]:
        found = [self.follow(value, *types) for value in listed(values)]
        return [item for item in found if item is not None]

    def refers_to(self, value: Json, resource: Resource) -> bool:
        return self.follow(value) is resource

    def find_vpc(self, resource: Resource) -> Resource | None:
        return self.follow(resource.get("VpcId"), VPC)

    def find(self, kind: str, test: Callable[[Resource], bool]) -> list[Resource]:
        return [item for item in self.env.of_type(kind) if test(item)]


def _ports(values: object) -> list[int]:
    found = []
    for value in values if hasattr(values, "__iter__") else ():
        try:
            found.append(int(value))
        except (TypeError, ValueError):
            continue  # a port that is not a number makes the claim fail
    return sorted(set(found))
