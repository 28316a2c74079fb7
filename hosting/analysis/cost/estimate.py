"""Computes the lines of an estimate: minimum and maximum cost of the resources of each layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from hosting.analysis.cost import prices
from hosting.analysis.cost.prices import Price, Prices
from hosting.analysis.resolve import ResolvedEnvironment, Resource, Stack

SCHEDULE = "AWS::Scheduler::Schedule"

# Charged by usage: type -> the quantity on the bill.
BY_USE = {
    "AWS::CloudFront::Distribution": "requests and data to viewers",
    "AWS::CloudFront::Function": "invocations",
    "AWS::EC2::FlowLog": "its log group",
    "AWS::EC2::NatGateway": "processed data, in addition to the hours",
    "AWS::EC2::VPCEndpoint": "processed data, in addition to the hours",
    "AWS::ECR::Repository": "stored images",
    "AWS::ECS::Cluster": "metrics of Container Insights",
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "capacity units (LCU), in addition to the hours",
    "AWS::EFS::FileSystem": "stored files, data read and written, and daily backups",
    "AWS::KinesisFirehose::DeliveryStream": "archived logs",
    "AWS::KMS::Key": "requests, and kept versions after a rotation, in addition to the month",
    "AWS::Lambda::Function": "invocations and their duration",
    "AWS::Logs::Delivery": "delivered log records",
    "AWS::Logs::LogGroup": "log records written and kept",
    "AWS::Logs::MetricFilter": "one custom metric, in months in which it counts something",
    "AWS::RDS::DBCluster": "storage, I/O, backups, backtrack records",
    "AWS::Route53::RecordSet": "queries other than those to aliases of AWS resources",
    "AWS::S3::Bucket": "objects and requests",
    "AWS::Scheduler::Schedule": "starts; the tasks of a job by their hours, below",
    # Amazon ECS Developer Guide, Service discovery pricing.
    "AWS::ServiceDiscovery::PrivateDnsNamespace": "DNS queries, in addition to the hosted zone",
    "AWS::ServiceDiscovery::Service": "calls of the discovery API, which no tool of this platform makes",
    "AWS::SecretsManager::Secret": "calls, in addition to the month",
    "AWS::SNS::Topic": "messages",
    "AWS::SQS::Queue": "messages",
    "AWS::WAFv2::WebACL": "requests, in addition to the month",
}

# Types without a charge: settings, permissions, and parts of charged resources.
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
        "AWS::WAFv2::IPSet",
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
        "AWS::EFS::AccessPoint",
        "AWS::EFS::MountTarget",
        "AWS::ECS::TaskDefinition",
        "AWS::ElasticLoadBalancingV2::Listener",
        "AWS::ElasticLoadBalancingV2::ListenerRule",
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        "AWS::Events::Rule",
        "AWS::IAM::ManagedPolicy",
        "AWS::IAM::Role",
        "AWS::KMS::Alias",
        "AWS::Lambda::EventInvokeConfig",
        "AWS::Lambda::EventSourceMapping",
        "AWS::Lambda::Permission",
        "AWS::Logs::DeliveryDestination",
        "AWS::Logs::DeliverySource",
        "AWS::Logs::LogStream",
        "AWS::Logs::SubscriptionFilter",
        "AWS::RDS::DBClusterParameterGroup",
        "AWS::RDS::DBParameterGroup",
        "AWS::RDS::DBSubnetGroup",
        "AWS::S3::BucketPolicy",
        "AWS::SecretsManager::RotationSchedule",
        "AWS::SNS::Subscription",
        "AWS::SNS::TopicPolicy",
        "AWS::SQS::QueuePolicy",
        "AWS::WAFv2::LoggingConfiguration",
        "Custom::DatabaseUser",
        "Custom::Migration",
        "Custom::SiteContent",
    }
)

EXCLUDED = (
    "taxes, discounts, Savings Plans, credits, the free tier, and support",
    "data transfer: to the internet, between zones, between regions",
    "public addresses of the load balancer beyond one in each of its subnets",
    "the hosted zone, building and scanning of images, and resources outside the templates",
    "alarms that Application Auto Scaling creates: four per service",
    "both versions of a task during a deployment, and tasks of migrations",
)

# Scaling policies: each creates two alarms (Application Auto Scaling User Guide, target tracking).
_MADE_BY_SCALING = {"AWS::ApplicationAutoScaling::ScalingPolicy"}


@dataclass(frozen=True)
class CostLine:
    """One item that is charged by hour or month. ``least`` and ``most`` are US dollars per month."""

    layer: str
    item: str
    quantity: str
    least: Decimal
    most: Decimal
    price: Price


@dataclass(frozen=True)
class UnpricedItem:
    """One charged item for which the table has no price."""

    layer: str
    item: str
    quantity: str


@dataclass(frozen=True)
class Estimate:
    """The cost of one environment per month."""

    environment: str
    lines: tuple[CostLine, ...]
    unknown: tuple[UnpricedItem, ...]
    by_use: tuple[tuple[str, str], ...]  # resource type, quantity on the bill

    @property
    def layers(self) -> dict[str, tuple[Decimal, Decimal]]:
        """The minimum and maximum per month of each layer, in the order of the templates."""
        return {layer: self._sum(line for line in self.lines if line.layer == layer) for layer in self._names()}

    @property
    def total(self) -> tuple[Decimal, Decimal]:
        return self._sum(self.lines)

    def _names(self) -> list[str]:
        return list(dict.fromkeys(line.layer for line in self.lines))

    @staticmethod
    def _sum(lines: Iterable[CostLine]) -> tuple[Decimal, Decimal]:
        found = list(lines)
        return sum((line.least for line in found), Decimal(0)), sum((line.most for line in found), Decimal(0))


@dataclass(frozen=True)
class Demand:
    """The quantity of one priced item that a resource uses."""

    price: str
    item: str
    least: Decimal
    most: Decimal
    count: str  # shown: "2", "2 to 10 tasks"


def estimate_costs(env: ResolvedEnvironment, table: Prices | None = None) -> Estimate:
    """Estimate one environment. Bootstrap is shared by the environments, and is charged by usage only."""
    table = table if table is not None else prices.load_prices()
    lines: list[CostLine] = []
    unknown: list[UnpricedItem] = []
    used: set[str] = set()
    for stack in env.stacks.values():
        for resource in stack.resources.values():
            if resource.type in BY_USE:
                used.add(resource.type)
            if not _is_known(resource.type):
                unknown.append(UnpricedItem(layer_name(stack), resource.type, resource.logical_id))
            for demand in _demands(resource, stack, env):
                price = table.get((demand.price, stack.region))
                if price is None:
                    unknown.append(UnpricedItem(layer_name(stack), demand.item, f"{demand.count} in {stack.region}"))
                    continue
                least, most = demand.least * price.monthly, demand.most * price.monthly
                lines.append(CostLine(layer_name(stack), demand.item, demand.count, least, most, price))
    merged = tuple(_merged(lines))
    by_use = [(name, BY_USE[name]) for name in sorted(used)]
    return Estimate(env.name, merged, tuple(_counted(unknown)), (*by_use, *_hours_of_jobs(env, table)))


def _hours_of_jobs(env: ResolvedEnvironment, table: Prices) -> Iterator[tuple[str, str]]:
    """Yield the price of an hour of each job's task. How long a run takes is not in the templates."""
    for schedule in env.of_type(SCHEDULE):
        task = env.resource(schedule.get("Target.EcsParameters.TaskDefinitionArn"))
        if task is None:
            continue
        stack = env.stacks[schedule.stack]
        spot = _is_on_spot(schedule.get("Target.EcsParameters.CapacityProviderStrategy"))
        demands = list(_fargate(task, Decimal(1), Decimal(1), "1 task", spot=spot))
        prices_of_hours = [table.get((demand.price, stack.region)) for demand in demands]
        known = [price for price in prices_of_hours if price is not None]
        usd = sum((demand.least * price.usd for demand, price in zip(demands, known, strict=False)), Decimal(0))
        amount = f"{usd:.4f} USD" if len(known) == len(demands) else "unknown price"
        sizes = " and ".join(demand.count.removeprefix("1 task of ") for demand in demands)
        yield SCHEDULE, f"{layer_name(stack).removesuffix('Service')}: {amount} for each hour of a task of {sizes}"


def layer_name(stack: Stack) -> str:
    """Return the layer of a stack: ``root/FrontendServiceStack`` -> ``FrontendService``."""
    return stack.path.partition("/")[2].removesuffix("Stack") or stack.path


def _is_known(kind: str) -> bool:
    return kind in BY_USE or kind in FREE or kind in _RULES or kind in _MADE_BY_SCALING


def _merged(lines: Iterable[CostLine]) -> Iterator[CostLine]:
    """Yield one line for equal items of one layer."""
    groups: dict[tuple[str, str, str], list[CostLine]] = {}
    for line in lines:
        groups.setdefault((line.layer, line.item, line.price.id), []).append(line)
    for (layer, item, _), same in groups.items():
        quantity = same[0].quantity if len(same) == 1 else _total(same)
        least, most = Estimate._sum(same)
        yield CostLine(layer, item, quantity, least, most, same[0].price)


def _total(lines: list[CostLine]) -> str:
    counts = [line.quantity for line in lines]
    return str(sum(int(count) for count in counts)) if all(map(str.isdigit, counts)) else " + ".join(counts)


def _counted(found: Iterable[UnpricedItem]) -> Iterator[UnpricedItem]:
    groups: dict[tuple[str, str], list[str]] = {}
    for one in found:
        groups.setdefault((one.layer, one.item), []).append(one.quantity)
    for (layer, item), quantities in groups.items():
        distinct = list(dict.fromkeys(quantities))
        times = f"{len(quantities)} times " if len(quantities) > 1 and len(distinct) == 1 else ""
        yield UnpricedItem(layer, item, times + "; ".join(distinct))


# --- Charges of each resource type --------------------------------------------------------------------------


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
    """Yield the price per zone. Endpoints of type Gateway, which is the default, are free."""
    if resource.get("VpcEndpointType", "Gateway") == "Interface":
        yield _fixed("interface-endpoint", "interface endpoint, in each zone", len(resource.get("SubnetIds", [])))


def _load_balancer(resource: Resource, stack: Stack, env: ResolvedEnvironment) -> Iterator[Demand]:  # noqa: ARG001
    yield _fixed("load-balancer", "load balancer")
    if resource.get("Scheme") == "internet-facing":
        yield _fixed("public-ipv4", "public IPv4 address", len(resource.get("Subnets", [])))


def _service(resource: Resource, stack: Stack, env: ResolvedEnvironment) -> Iterator[Demand]:
    """Yield CPU and memory of the minimum and maximum number of tasks; without scaling, of the desired count."""
    task = env.resource(resource.get("TaskDefinition"))
    if task is None:
        return
    least = most = _number(resource.get("DesiredCount", "1"))
    for target in stack.of_type("AWS::ApplicationAutoScaling::ScalableTarget"):
        least, most = _number(target.get("MinCapacity")), _number(target.get("MaxCapacity"))
    tasks = f"{least} tasks" if least == most else f"{least} to {most} tasks"
    yield from _fargate(task, least, most, tasks, spot=_is_on_spot(resource.get("CapacityProviderStrategy")))


def _fargate(task: Resource, least: Decimal, most: Decimal, tasks: str, *, spot: bool) -> Iterator[Demand]:
    """Yield CPU and memory of a number of tasks. The price of spare capacity changes daily and is in no table."""
    kind = "fargate-spot" if spot else "fargate"
    name = "Fargate Spot" if spot else "Fargate"
    machine = str(task.get("RuntimePlatform.CpuArchitecture", "X86_64")).lower()
    cpu, memory = _number(task.get("Cpu")) / 1024, _number(task.get("Memory")) / 1024
    yield Demand(f"{kind}-vcpu-{machine}", f"{name} CPU", least * cpu, most * cpu, f"{tasks} of {cpu:f} vCPU")
    yield Demand(f"{kind}-gb-{machine}", f"{name} memory", least * memory, most * memory, f"{tasks} of {memory:f} GB")


def _is_on_spot(strategy: object) -> bool:
    return "FARGATE_SPOT" in str(strategy)


def _namespace(resource: Resource, stack: Stack, env: ResolvedEnvironment) -> Iterator[Demand]:  # noqa: ARG001
    """Yield the private hosted zone that Cloud Map creates."""
    yield _fixed("hosted-zone", "hosted zone of internal services")


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
    """Yield the price per metric of the alarm."""
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
    "AWS::ServiceDiscovery::PrivateDnsNamespace": _namespace,
    "AWS::WAFv2::WebACL": _web_acl,
}
