"""The lines of an estimate: what the resources of each layer cost at the least and at the most."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from hosting.analysis.cost import prices
from hosting.analysis.cost.prices import Price, Prices
from hosting.analysis.resolve import ResolvedEnvironment, Resource, Stack

# Charged by what passes through, is stored or is called: type -> what the bill counts.
BY_USE = {
    "AWS::CloudFront::Distribution": "requests and data to viewers",
    "AWS::CloudFront::Function": "invocations",
    "AWS::EC2::FlowLog": "its log group",
    "AWS::EC2::NatGateway": "data that passes it, besides the hours",
    "AWS::EC2::VPCEndpoint": "data that passes it, besides the hours",
    "AWS::ECR::Repository": "stored images",
    "AWS::ECS::Cluster": "metrics of Container Insights",
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "capacity units (LCU), besides the hours",
    "AWS::KinesisFirehose::DeliveryStream": "archived logs",
    "AWS::KMS::Key": "requests, and kept versions after a rotation, besides the month",
    "AWS::Lambda::Function": "invocations and their duration",
    "AWS::Logs::Delivery": "delivered log records",
    "AWS::Logs::LogGroup": "log records written and kept",
    "AWS::Logs::MetricFilter": "one custom metric, in months in which it counts something",
    "AWS::RDS::DBCluster": "storage, I/O, backups, backtrack records",
    "AWS::Route53::RecordSet": "queries other than those to aliases of AWS resources",
    "AWS::S3::Bucket": "objects and requests",
    "AWS::SecretsManager::Secret": "calls, besides the month",
    "AWS::SNS::Topic": "messages",
    "AWS::SQS::Queue": "messages",
    "AWS::WAFv2::WebACL": "requests, besides the month",
}

# Settings and permissions, and what AWS gives away with what they belong to.
FREE = frozenset(
    {
        "AWS::ApplicationAutoScaling::ScalableTarget",
        "AWS::Budgets::Budget",
        "AWS::CertificateManager::Certificate",
        "AWS::Chatbot::SlackChannelConfiguration",
        "AWS::CloudFormation::Stack",
        "AWS::CloudFront::CachePolicy",
        "AWS::CloudFront::OriginAccessControl",
        "AWS::CloudFront::OriginRequestPolicy",
        "AWS::CloudFront::ResponseHeadersPolicy",
        "AWS::EC2::InternetGateway",
        "AWS::EC2::Route",
        "AWS::EC2::RouteTable",
        "AWS::EC2::SecurityGroup",
        "AWS::EC2::SecurityGroupEgress",
        "AWS::EC2::SecurityGroupIngress",
        "AWS::EC2::Subnet",
        "AWS::EC2::SubnetRouteTableAssociation",
        "AWS::EC2::VPC",
        "AWS::EC2::VPCGatewayAttachment",
        "AWS::ECS::ClusterCapacityProviderAssociations",
        "AWS::ECS::TaskDefinition",
        "AWS::ElasticLoadBalancingV2::Listener",
        "AWS::ElasticLoadBalancingV2::ListenerRule",
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        "AWS::Events::Rule",
        "AWS::IAM::ManagedPolicy",
        "AWS::IAM::Role",
        "AWS::KMS::Alias",
        "AWS::Lambda::EventInvokeConfig",
        "AWS::Lambda::Permission",
        "AWS::Logs::DeliveryDestination",
        "AWS::Logs::DeliverySource",
        "AWS::Logs::LogStream",
        "AWS::Logs::SubscriptionFilter",
        "AWS::RDS::DBClusterParameterGroup",
        "AWS::RDS::DBParameterGroup",
        "AWS::RDS::DBSubnetGroup",
        "AWS::S3::BucketPolicy",
        "AWS::SNS::Subscription",
        "AWS::SNS::TopicPolicy",
        "AWS::SQS::QueuePolicy",
        "AWS::WAFv2::LoggingConfiguration",
        "Custom::SiteContent",
    }
)

EXCLUDED = (
    "taxes, discounts, Savings Plans, credits, the free tier, and support",
    "data transfer: to the internet, between zones, between regions",
    "public addresses of the load balancer beyond one in each of its subnets",
    "the hosted zone, images' build and scanning, and whatever is not in the templates",
    "alarms that scaling makes for itself: four for each service",
    "both versions of a task during a deployment",
)

# Scaling policies: each makes two alarms of its own (Application Auto Scaling User Guide, target tracking).
_MADE_BY_SCALING = {"AWS::ApplicationAutoScaling::ScalingPolicy"}


@dataclass(frozen=True)
class Line:
    """One thing that is paid by the hour or month. ``least`` and ``most`` are dollars in a month."""

    layer: str
    item: str
    quantity: str
    least: Decimal
    most: Decimal
    price: Price


@dataclass(frozen=True)
class Unknown:
    """One thing that is paid for, and for which the table has no price."""

    layer: str
    item: str
    quantity: str


@dataclass(frozen=True)
class Estimate:
    environment: str
    lines: tuple[Line, ...]
    unknown: tuple[Unknown, ...]
    by_use: tuple[tuple[str, str], ...]  # resource type, what the bill counts

    @property
    def layers(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Layer -> least and most in a month, in the order of the templates."""
        return {layer: self._sum(line for line in self.lines if line.layer == layer) for layer in self._names()}

    @property
    def total(self) -> tuple[Decimal, Decimal]:
        return self._sum(self.lines)

    def _names(self) -> list[str]:
        return list(dict.fromkeys(line.layer for line in self.lines))

    @staticmethod
    def _sum(lines: Iterable[Line]) -> tuple[Decimal, Decimal]:
        found = list(lines)
        return sum((line.least for line in found), Decimal(0)), sum((line.most for line in found), Decimal(0))


@dataclass(frozen=True)
class Demand:
    """What a resource needs, before anybody asked for a price."""

    price: str
    item: str
    least: Decimal
    most: Decimal
    count: str  # shown: "2", "2 to 10 tasks"


def estimate(env: ResolvedEnvironment, table: Prices | None = None) -> Estimate:
    """The estimate of one environment. Bootstrap is shared by the environments, and paid by use alone."""
    table = table if table is not None else prices.load()
    lines: list[Line] = []
    unknown: list[Unknown] = []
    used: set[str] = set()
    for stack in env.stacks.values():
        for resource in stack.resources.values():
            if resource.type in BY_USE:
                used.add(resource.type)
            if not _is_known(resource.type):
                unknown.append(Unknown(layer_of(stack), resource.type, resource.logical_id))
            for demand in _demands(resource, stack, env):
                price = table.get((demand.price, stack.region))
                if price is None:
                    unknown.append(Unknown(layer_of(stack), demand.item, f"{demand.count} in {stack.region}"))
                    continue
                least, most = demand.least * price.monthly, demand.most * price.monthly
                lines.append(Line(layer_of(stack), demand.item, demand.count, least, most, price))
    merged = tuple(_merged(lines))
    return Estimate(env.name, merged, tuple(_counted(unknown)), tuple((name, BY_USE[name]) for name in sorted(used)))


def layer_of(stack: Stack) -> str:
    """``root/FrontendServiceStack`` -> ``FrontendService``; the stacks of the chain by their own names."""
    return stack.path.partition("/")[2].removesuffix("Stack") or stack.path


def _is_known(kind: str) -> bool:
    return kind in BY_USE or kind in FREE or kind in _RULES or kind in _MADE_BY_SCALING


def _merged(lines: Iterable[Line]) -> Iterator[Line]:
    """Things of one kind in one layer on one line."""
    groups: dict[tuple[str, str, str], list[Line]] = {}
    for line in lines:
        groups.setdefault((line.layer, line.item, line.price.id), []).append(line)
    for (layer, item, _), same in groups.items():
        quantity = same[0].quantity if len(same) == 1 else _total(same)
        least, most = Estimate._sum(same)
        yield Line(layer, item, quantity, least, most, same[0].price)


def _total(lines: list[Line]) -> str:
    counts = [line.quantity for line in lines]
    return str(sum(int(count) for count in counts)) if all(map(str.isdigit, counts)) else " + ".join(counts)


def _counted(found: Iterable[Unknown]) -> Iterator[Unknown]:
    groups: dict[tuple[str, str], list[str]] = {}
    for one in found:
        groups.setdefault((one.layer, one.item), []).append(one.quantity)
    for (layer, item), quantities in groups.items():
        distinct = list(dict.fromkeys(quantities))
        times = f"{len(quantities)} times " if len(quantities) > 1 and len(distinct) == 1 else ""
        yield Unknown(layer, item, times + "; ".join(distinct))


# --- What each type of resource is paid for ----------------------------------------------------------------------


def _demands(resource: Resource, stack: Stack, env: ResolvedEnvironment) -> Iterator[Demand]:
    rule = _RULES.get(resource.type)
    if rule is not None:
        yield from rule(resource, stack, env)


def _fixed(price: str, item: str, count: int = 1) -> Demand:
    return Demand(price, item, Decimal(count), Decimal(count), str(count))


def _nat_gateway(resource: Resource, stack: Stack, env: ResolvedEnvironment) -> Iterator[Demand]:  # noqa: ARG001
    yield _fixed("nat-gateway", "NAT gateway")


def _address(resource: Resource, stack: Stack, env: ResolvedEnvironment) -> Iterator[Demand]:  # noqa: ARG001
    yield _fixed("public-ipv4", "public IPv4 address")


def _endpoint(resource: Resource, stack: Stack, env: ResolvedEnvironment) -> Iterator[Demand]:  # noqa: ARG001
    """Paid in each zone. One of type Gateway, which is the default, is free."""
    if resource.get("VpcEndpointType", "Gateway") == "Interface":
        yield _fixed("interface-endpoint", "interface endpoint, in each zone", len(resource.get("SubnetIds", [])))


def _load_balancer(resource: Resource, stack: Stack, env: ResolvedEnvironment) -> Iterator[Demand]:  # noqa: ARG001
    yield _fixed("load-balancer", "load balancer")
    if resource.get("Scheme") == "internet-facing":
        yield _fixed("public-ipv4", "public IPv4 address", len(resource.get("Subnets", [])))


def _service(resource: Resource, stack: Stack, env: ResolvedEnvironment) -> Iterator[Demand]:
    """Tasks between the least and the greatest number; without scaling just so many as are wanted."""
    task = env.resource(resource.get("TaskDefinition"))
    if task is None:
        return
    least = most = _number(resource.get("DesiredCount", "1"))
    for target in stack.of_type("AWS::ApplicationAutoScaling::ScalableTarget"):
        least, most = _number(target.get("MinCapacity")), _number(target.get("MaxCapacity"))
    machine = str(task.get("RuntimePlatform.CpuArchitecture", "X86_64")).lower()
    tasks = f"{least} tasks" if least == most else f"{least} to {most} tasks"
    cpu, memory = _number(task.get("Cpu")) / 1024, _number(task.get("Memory")) / 1024
    yield Demand(f"fargate-vcpu-{machine}", "Fargate CPU", least * cpu, most * cpu, f"{tasks} of {cpu:f} vCPU")
    yield Demand(f"fargate-gb-{machine}", "Fargate memory", least * memory, most * memory, f"{tasks} of {memory:f} GB")


def _database(resource: Resource, stack: Stack, env: ResolvedEnvironment) -> Iterator[Demand]:  # noqa: ARG001
    kind = resource.get("DBInstanceClass")
    if kind != "db.serverless":
        yield _fixed(f"aurora-{kind}", f"Aurora instance {kind}")
        return
    cluster = env.resource(resource.get("DBClusterIdentifier"))
    scaling = cluster.get("ServerlessV2ScalingConfiguration", {}) if cluster else {}
    least, most = _number(scaling.get("MinCapacity", "0")), _number(scaling.get("MaxCapacity", "0"))
    yield Demand("aurora-acu", "Aurora serverless instance", least, most, f"{least} to {most} ACU")


def _cluster(resource: Resource, stack: Stack, env: ResolvedEnvironment) -> Iterator[Demand]:  # noqa: ARG001
    if resource.get("ManageMasterUserPassword") in (True, "true"):
        yield _fixed("secret", "secret")


def _key(resource: Resource, stack: Stack, env: ResolvedEnvironment) -> Iterator[Demand]:  # noqa: ARG001
    yield _fixed("kms-key", "KMS key")


def _secret(resource: Resource, stack: Stack, env: ResolvedEnvironment) -> Iterator[Demand]:  # noqa: ARG001
    yield _fixed("secret", "secret")


def _alarm(resource: Resource, stack: Stack, env: ResolvedEnvironment) -> Iterator[Demand]:  # noqa: ARG001
    """Paid for each metric that it looks at."""
    metrics = [one for one in resource.get("Metrics", []) if "MetricStat" in one]
    if resource.get("Period") is not None and _number(resource.get("Period")) < 60:
        yield _fixed("alarm-high-resolution", "high-resolution alarm")
    else:
        yield _fixed("alarm", "alarm, by its metrics", len(metrics) or 1)


def _dashboard(resource: Resource, stack: Stack, env: ResolvedEnvironment) -> Iterator[Demand]:  # noqa: ARG001
    yield _fixed("dashboard", "dashboard")


def _web_acl(resource: Resource, stack: Stack, env: ResolvedEnvironment) -> Iterator[Demand]:  # noqa: ARG001
    yield _fixed("web-acl", "web ACL")
    yield _fixed("web-acl-rule", "rule of the web ACL", len(resource.get("Rules", [])))


def _number(value: object) -> Decimal:
    return Decimal(str(value))


_RULES: dict[str, Callable[[Resource, Stack, ResolvedEnvironment], Iterator[Demand]]] = {
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::CloudWatch::Dashboard": _dashboard,
    "AWS::EC2::EIP": _address,
    "AWS::EC2::NatGateway": _nat_gateway,
    "AWS::EC2::VPCEndpoint": _endpoint,
    "AWS::ECS::Service": _service,
    "AWS::ElasticLoadBalancingV2::LoadBalancer": _load_balancer,
    "AWS::KMS::Key": _key,
    "AWS::RDS::DBCluster": _cluster,
    "AWS::RDS::DBInstance": _database,
    "AWS::SecretsManager::Secret": _secret,
    "AWS::WAFv2::WebACL": _web_acl,
}
