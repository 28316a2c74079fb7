"""The requirements of the platform, one rule for each row. They hold for every valid configuration.

So a rule names no network, zone, environment or service: it takes them from the templates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_network

from hosting.analysis.resolve import ResolvedEnvironment, Resource
from hosting.analysis.rules.database import task_groups
from hosting.analysis.rules.network import (
    ENDPOINT,
    SUBNET,
    default_routes,
    find_route_tables,
    is_public,
    task_subnets,
    zones,
)
from hosting.analysis.rules.registry import EnvironmentCheck, RuleMatch, TemplateLocation, environment_rule
from hosting.analysis.rules.services import is_single, scheduled_tasks, starters
from hosting.analysis.rules.values import ROLE, flag, follow, follow_all, is_same, listed, permissions
from hosting.model.stack_order import ROOT
from hosting.model.templates import NESTED_STACK

VPC, GATEWAY, NAT = "AWS::EC2::VPC", "AWS::EC2::InternetGateway", "AWS::EC2::NatGateway"
CLUSTER, SERVICE, TASK = "AWS::ECS::Cluster", "AWS::ECS::Service", "AWS::ECS::TaskDefinition"
DATABASE, INSTANCE, SUBNET_GROUP = "AWS::RDS::DBCluster", "AWS::RDS::DBInstance", "AWS::RDS::DBSubnetGroup"
BALANCER, LISTENER = "AWS::ElasticLoadBalancingV2::LoadBalancer", "AWS::ElasticLoadBalancingV2::Listener"
DISTRIBUTION, WEB_ACL = "AWS::CloudFront::Distribution", "AWS::WAFv2::WebACL"
BUCKET, LOG_GROUP = "AWS::S3::Bucket", "AWS::Logs::LogGroup"
INGRESS, FUNCTION, TOPIC = "AWS::EC2::SecurityGroupIngress", "AWS::Lambda::Function", "AWS::SNS::Topic"


def requirement(row: str, title: str) -> Callable[[EnvironmentCheck], EnvironmentCheck]:
    """Register the rule of one row of the requirements."""
    return environment_rule(
        f"REQ-{row}",
        title,
        why=f"Users rely on it (requirements of the platform, row {row}).",
        hint="restore the required property, or change the requirement and this rule together",
    )


def missing(kind: str, env: ResolvedEnvironment, count: int = 1) -> Iterator[RuleMatch]:
    """Report if the environment has not exactly `count` resources of a type."""
    found = env.of_type(kind)
    if len(found) != count:
        where = found[-1] if found else TemplateLocation(ROOT)
        yield RuleMatch(where, "", f"the environment has {len(found)} {kind}, not {count}")


def has_part(env: ResolvedEnvironment, part: str) -> bool:
    """Return whether the environment has a part of the platform that a project can leave out."""
    return part not in env.stacks["root"].template.without


def database_subnets(env: ResolvedEnvironment) -> list[Resource]:
    """Return the subnets of the database."""
    return [item for group in env.of_type(SUBNET_GROUP) for item in follow_all(env, group.get("SubnetIds"), SUBNET)]


def public_subnets(env: ResolvedEnvironment) -> list[Resource]:
    """Return the subnets of the load balancers."""
    return [item for one in env.of_type(BALANCER) for item in follow_all(env, one.get("Subnets"), SUBNET)]


# --- Network -----------------------------------------------------------------------------------------------------


@requirement("N1", "One VPC with a /16 network spans two zones")
def one_vpc(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    yield from missing(VPC, env)
    for vpc in env.of_type(VPC):
        network = ip_network(str(vpc.get("CidrBlock")))
        if network.prefixlen != 16 or not network.is_private:
            yield RuleMatch(vpc, "Properties.CidrBlock", f"{network} is not a private /16 network")
        if len(found := zones(env.of_type(SUBNET))) != 2:
            yield RuleMatch(vpc, "", f"its subnets are in {len(found)} zones, not in two")


@requirement("N2", "Each zone has a public /24, a private /23 for tasks and an isolated /24 for the database")
def three_tiers(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    tiers = {"public": (public_subnets, 24), "task": (task_subnets, 23)}
    if has_part(env, "database"):
        tiers["database"] = (database_subnets, 24)
    for tier, (find, length) in tiers.items():
        subnets = find(env)
        if len(subnets) != 2 or len(zones(subnets)) != 2:
            where = subnets[0] if subnets else TemplateLocation(ROOT)
            yield RuleMatch(where, "", f"{len(subnets)} {tier} subnets are not one in each of two zones")
        for subnet in subnets:
            if ip_network(str(subnet.get("CidrBlock"))).prefixlen != length:
                yield RuleMatch(subnet, "Properties.CidrBlock", f"this {tier} subnet is not a /{length}")
            if is_public(env, subnet) != (tier == "public"):
                yield RuleMatch(subnet, "", f"the routes of this {tier} subnet are not those of its tier")
            if tier == "database" and any(default_routes(env, table) for table in find_route_tables(env, subnet)):
                yield RuleMatch(subnet, "", "this database subnet has a route to the internet")


@requirement("N3", "One internet gateway and one NAT gateway in each zone")
def gateways(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    yield from missing(GATEWAY, env)
    yield from missing(NAT, env, len(zones(env.of_type(SUBNET))))
    for subnet in task_subnets(env):
        routes = [route for table in find_route_tables(env, subnet) for route in default_routes(env, table)]
        for nat in [follow(env, route.get("NatGatewayId"), NAT) for route in routes] or [None]:
            outside = follow(env, nat.get("SubnetId"), SUBNET) if nat else None
            if outside is None or outside.get("AvailabilityZone") != subnet.get("AvailabilityZone"):
                yield RuleMatch(subnet, "", "its default route does not lead to the NAT gateway of its own zone")


@requirement("N4", "Endpoints exist for Session Manager, ECR, CloudWatch Logs and S3")
def endpoints_exist(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    found = {
        (item.get("VpcEndpointType", "Gateway"), str(item.get("ServiceName")).split(".", 3)[-1])
        for item in env.of_type(ENDPOINT)
    }
    interfaces = {"ssm", "ssmmessages", "ec2messages", "ecr.api", "ecr.dkr", "logs"}
    for kind, service in sorted({("Gateway", "s3"), *(("Interface", name) for name in interfaces)} - found):
        for vpc in env.of_type(VPC):
            yield RuleMatch(vpc, "", f"the VPC has no {kind.lower()} endpoint for {service}")


# --- Compute -----------------------------------------------------------------------------------------------------


@requirement("C1", "One cluster runs Fargate only and has Container Insights")
def fargate_only(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    yield from missing(CLUSTER, env)
    for cluster in env.of_type(CLUSTER):
        settings = {item.get("Name"): item.get("Value") for item in listed(cluster.get("ClusterSettings"))}
        if settings.get("containerInsights") not in {"enabled", "enhanced"}:
            yield RuleMatch(cluster, "Properties.ClusterSettings", "Container Insights is off")
    for providers in env.of_type("AWS::ECS::ClusterCapacityProviderAssociations"):
        if not set(listed(providers.get("CapacityProviders"))) <= {"FARGATE", "FARGATE_SPOT"}:
            yield RuleMatch(providers, "Properties.CapacityProviders", "a capacity provider is not Fargate")
    for starter, path in starters(env):
        given = {item.get("CapacityProvider") for item in listed(starter.get(f"{path}CapacityProviderStrategy"))}
        launch = starter.get(f"{path}LaunchType")
        if launch != "FARGATE" and not (given and given <= {"FARGATE", "FARGATE_SPOT"}):
            yield RuleMatch(starter, f"Properties.{path}LaunchType", "the launch type is not FARGATE")


@requirement("C2", "Every task has CPU and memory of its own parameters")
def sizes(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for task in env.of_type(TASK):
        for name in ("Cpu", "Memory"):
            if not str(task.get(name, "")).isdecimal():
                yield RuleMatch(task, f"Properties.{name}", f"the task has no {name}")


@requirement("C3", "Every task runs the app and a bastion, which relays to the database if there is one")
def app_and_bastion(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for task in env.of_type(TASK):
        containers = {item.get("Name"): item for item in listed(task.get("ContainerDefinitions"))}
        app, bastion = containers.get("app", {}), containers.get("bastion", {})
        if not flag(app.get("Essential")):
            yield RuleMatch(task, "Properties.ContainerDefinitions", "the task has no essential container app")
        if bastion.get("Essential") not in (False, "false"):
            yield RuleMatch(task, "Properties.ContainerDefinitions", "no container bastion that may stop alone")
        command = " ".join(str(item) for item in listed(bastion.get("Command")))
        if not command.rstrip().endswith("exec sleep infinity"):
            yield RuleMatch(task, "Properties.ContainerDefinitions", "the bastion does not stay")
        if not has_part(env, "database"):
            continue
        if "socat" not in command:
            yield RuleMatch(task, "Properties.ContainerDefinitions", "the bastion does not relay with socat")
        relayed = {item.get("Name"): item.get("Value") for item in listed(bastion.get("Environment"))}
        if follow(env, relayed.get("DB_HOST"), DATABASE) is None:
            yield RuleMatch(task, "Properties.ContainerDefinitions", "the bastion does not relay to the database")


@requirement("C4", "Services are separate: each has a task definition of its own")
def separate_services(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    used: list[Resource | None] = []
    for service in env.of_type(SERVICE):
        task = follow(env, service.get("TaskDefinition"), TASK)
        if task is None or task in used:
            yield RuleMatch(service, "Properties.TaskDefinition", "the service has no task definition of its own")
        used.append(task)
    if not used and not list(scheduled_tasks(env)):
        yield RuleMatch(TemplateLocation(ROOT), "", "the environment has neither a service nor a job")


@requirement("C5", "Session Manager reaches every task")
def session_manager(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for task in env.of_type(TASK):
        role = follow(env, task.get("TaskRoleArn"), "AWS::IAM::Role")
        policies = [str(item) for item in listed(role.get("ManagedPolicyArns"))] if role else []
        if not any(item.endswith(":aws:policy/AmazonSSMManagedInstanceCore") for item in policies):
            yield RuleMatch(
                role or task, "Properties.ManagedPolicyArns", "AmazonSSMManagedInstanceCore is not attached"
            )


@requirement("C6", "Every task allows ECS Exec, and services have at least two tasks unless the project declares one")
def two_tasks(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for starter, path in starters(env):
        if not flag(starter.get(f"{path}EnableExecuteCommand")):
            yield RuleMatch(starter, f"Properties.{path}EnableExecuteCommand", "ECS Exec is off")
    for service in env.of_type(SERVICE):
        count = service.get("DesiredCount")
        if count is not None and int(count) < 2 and not is_single(env, service):
            yield RuleMatch(service, "Properties.DesiredCount", "the service starts with fewer than two tasks")
    for target in env.of_type("AWS::ApplicationAutoScaling::ScalableTarget"):
        if not 2 <= int(target.get("MinCapacity")) <= int(target.get("MaxCapacity")):
            yield RuleMatch(target, "Properties.MinCapacity", "scaling allows fewer than two tasks")


# --- Database ----------------------------------------------------------------------------------------------------


@requirement("D1", "One Aurora MySQL cluster is in the isolated subnets, unless the project declares none")
def aurora(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    yield from missing(DATABASE, env, int(has_part(env, "database")))
    for cluster in env.of_type(DATABASE):
        if cluster.get("Engine") != "aurora-mysql":
            yield RuleMatch(cluster, "Properties.Engine", "the engine is not aurora-mysql")
        if follow(env, cluster.get("DBSubnetGroupName"), SUBNET_GROUP) is None:
            yield RuleMatch(cluster, "Properties.DBSubnetGroupName", "the cluster is not in the group of its subnets")
        if not env.of_type(INSTANCE):
            yield RuleMatch(cluster, "", "the cluster has no instance")


@requirement("D2", "Only the services reach the database, on port 3306")
def database_access(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    services = task_groups(env)
    for cluster in env.of_type(DATABASE):
        groups = follow_all(env, cluster.get("VpcSecurityGroupIds"))
        if not groups:
            yield RuleMatch(cluster, "Properties.VpcSecurityGroupIds", "the cluster has no security group")
        for group in groups:
            if group.get("SecurityGroupIngress"):
                yield RuleMatch(group, "Properties.SecurityGroupIngress", "the group has ingress of its own")
        for entry in env.of_type(INGRESS):
            if follow(env, entry.get("GroupId")) not in groups:
                continue
            opened = (entry.get("IpProtocol"), str(entry.get("FromPort")), str(entry.get("ToPort")))
            if opened != ("tcp", "3306", "3306"):
                yield RuleMatch(entry, "Properties.ToPort", "the rule opens more than TCP 3306")
            if follow(env, entry.get("SourceSecurityGroupId")) not in services:
                yield RuleMatch(entry, "Properties.SourceSecurityGroupId", "the source is not the group of a service")
    for instance in env.of_type(INSTANCE):
        if instance.get("PubliclyAccessible") not in (False, "false"):
            yield RuleMatch(instance, "Properties.PubliclyAccessible", "the instance may be public")


@requirement("D3", "The database is encrypted, and a secret holds its credentials")
def database_secret(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for cluster in env.of_type(DATABASE):
        for name in ("StorageEncrypted", "ManageMasterUserPassword"):
            if not flag(cluster.get(name)):
                yield RuleMatch(cluster, f"Properties.{name}", f"{name} is not true")
        if cluster.get("MasterUserPassword") is not None:
            yield RuleMatch(cluster, "Properties.MasterUserPassword", "the password is in the template")


# --- Edge --------------------------------------------------------------------------------------------------------


@requirement("S1", "The load balancer is public, and port 80 redirects to HTTPS")
def balancer(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    yield from missing(BALANCER, env)
    for one in env.of_type(BALANCER):
        if one.get("Scheme") != "internet-facing":
            yield RuleMatch(one, "Properties.Scheme", "the load balancer is not internet-facing")
    for port, protocol in (("80", "HTTP"), ("443", "HTTPS")):
        found = [item for item in env.of_type(LISTENER) if str(item.get("Port")) == port]
        if [item.get("Protocol") for item in found] != [protocol]:
            yield RuleMatch(found[0] if found else TemplateLocation(ROOT), "", f"no {protocol} listener on port {port}")
        for listener in found if port == "80" else []:
            redirect = listener.get("DefaultActions.0.RedirectConfig") or {}
            if (redirect.get("Protocol"), str(redirect.get("Port"))) != ("HTTPS", "443"):
                yield RuleMatch(listener, "Properties.DefaultActions", "the listener does not redirect to HTTPS")


@requirement("S2", "CloudFront serves static files and the sorry page from a bucket")
def static_files(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    yield from missing(DISTRIBUTION, env)
    for one in env.of_type(DISTRIBUTION):
        origins = {item.get("Id"): item for item in listed(one.get("DistributionConfig.Origins"))}
        behaviors = listed(one.get("DistributionConfig.CacheBehaviors"))
        targets = {item.get("PathPattern"): origins.get(item.get("TargetOriginId"), {}) for item in behaviors}
        static = env.stacks["root"].template.static_path
        for path in [*([f"{static}*"] if static else []), "/sorry/*"]:
            if follow(env, targets.get(path, {}).get("DomainName"), BUCKET) is None:
                yield RuleMatch(one, "Properties.DistributionConfig.CacheBehaviors", f"no bucket serves {path}")
        errors = listed(one.get("DistributionConfig.CustomErrorResponses"))
        if not {item.get("ResponsePagePath") for item in errors} <= {None, "/sorry/index.html"}:
            yield RuleMatch(one, "Properties.DistributionConfig.CustomErrorResponses", "errors show another page")


@requirement("S3", "Only CloudFront reads the bucket of static files")
def origin_access(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for one in env.of_type(DISTRIBUTION):
        for origin in listed(one.get("DistributionConfig.Origins")):
            bucket = follow(env, origin.get("DomainName"), BUCKET)
            if bucket is None:
                continue
            control = follow(env, origin.get("OriginAccessControlId"), "AWS::CloudFront::OriginAccessControl")
            if control is None:
                yield RuleMatch(one, "Properties.DistributionConfig.Origins", "the bucket has no origin access control")
            block = bucket.get("PublicAccessBlockConfiguration") or {}
            if len(block) != 4 or not all(flag(value) for value in block.values()):
                yield RuleMatch(bucket, "Properties.PublicAccessBlockConfiguration", "the bucket may become public")
            for policy in env.of_type("AWS::S3::BucketPolicy"):
                if not is_same(env, policy.get("Bucket"), bucket.ref):
                    continue
                for statement in listed(policy.get("PolicyDocument.Statement")):
                    condition = str(statement.get("Condition", {}).get("StringEquals", {}).get("AWS:SourceArn", ""))
                    by_cloudfront = statement.get("Principal") == {"Service": "cloudfront.amazonaws.com"}
                    if statement.get("Effect") == "Allow" and not (by_cloudfront and one.ref in condition):
                        path = "Properties.PolicyDocument"
                        yield RuleMatch(policy, path, "the policy allows more than this distribution")


@requirement("S4", "A web ACL with AWS managed rules protects CloudFront")
def web_acl(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    yield from missing(WEB_ACL, env)
    for acl in env.of_type(WEB_ACL):
        names = {
            item.get("Statement", {}).get("ManagedRuleGroupStatement", {}).get("Name")
            for item in listed(acl.get("Rules"))
        }
        for name in ("AWSManagedRulesCommonRuleSet", "AWSManagedRulesSQLiRuleSet"):
            if name not in names:
                yield RuleMatch(acl, "Properties.Rules", f"the web ACL does not use {name}")
    for one in env.of_type(DISTRIBUTION):
        if follow(env, one.get("DistributionConfig.WebACLId"), WEB_ACL) is None:
            yield RuleMatch(one, "Properties.DistributionConfig.WebACLId", "the distribution has no web ACL")


# --- Operations --------------------------------------------------------------------------------------------------


@requirement("O1", "Logs of ECS, RDS and the VPC go to CloudWatch Logs")
def logs(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for task in env.of_type(TASK):
        for container in listed(task.get("ContainerDefinitions")):
            options = container.get("LogConfiguration", {}).get("Options", {})
            if follow(env, options.get("awslogs-group"), LOG_GROUP) is None:
                name = container.get("Name")
                yield RuleMatch(task, "Properties.ContainerDefinitions", f"container {name} has no log group of ours")
    names = {item.get("LogGroupName") for item in env.of_type(LOG_GROUP)}
    for cluster in env.of_type(DATABASE):
        exported = listed(cluster.get("EnableCloudwatchLogsExports"))
        for log in exported or ["error"]:
            name = f"/aws/rds/cluster/{cluster.get('DBClusterIdentifier')}/{log}"
            if log not in exported or name not in names:
                path = "Properties.EnableCloudwatchLogsExports"
                yield RuleMatch(cluster, path, f"log {log} of the database has no log group of ours")
    yield from missing("AWS::EC2::FlowLog", env)
    for flow in env.of_type("AWS::EC2::FlowLog"):
        if (flow.get("LogDestinationType"), flow.get("TrafficType")) != ("cloud-watch-logs", "ALL"):
            yield RuleMatch(flow, "Properties.TrafficType", "the flow log does not send all traffic to CloudWatch Logs")


@requirement("O2", "Logs are deleted after a retention, and archived logs move to Glacier")
def retention(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for group in env.of_type(LOG_GROUP):
        if not str(group.get("RetentionInDays", "")).isdecimal():
            yield RuleMatch(group, "Properties.RetentionInDays", "the log group keeps its logs for ever")
    for stream in env.of_type("AWS::KinesisFirehose::DeliveryStream"):
        buckets = follow_all(env, stream.get("ExtendedS3DestinationConfiguration.BucketARN"), BUCKET)
        rules = [item for bucket in buckets for item in listed(bucket.get("LifecycleConfiguration.Rules"))]
        moves = {
            item.get("StorageClass"): int(item.get("TransitionInDays"))
            for entry in rules
            for item in listed(entry.get("Transitions"))
        }
        ends = [int(entry["ExpirationInDays"]) for entry in rules if "ExpirationInDays" in entry]
        if not ends or not moves.get("GLACIER", max(ends)) < max(ends):
            yield RuleMatch(
                (buckets or [stream])[0],
                "Properties.LifecycleConfiguration",
                "archived logs do not move to Glacier and end",
            )


@requirement("O3", "Alarms go to Slack where a channel is configured")
def alarms_in_slack(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    channels = env.of_type("AWS::Chatbot::SlackChannelConfiguration")
    heard = [topic for channel in channels for topic in follow_all(env, channel.get("SnsTopicArns"), TOPIC)]
    topics = [*heard, *_relayed_topics(env, heard)]
    alarms = env.of_type("AWS::CloudWatch::Alarm")
    if not alarms:
        yield RuleMatch(TemplateLocation(ROOT), "", "the environment has no alarm")
    for alarm in alarms:
        actions = follow_all(env, alarm.get("AlarmActions"), TOPIC)
        if not actions or (channels and any(topic not in topics for topic in actions)):
            yield RuleMatch(alarm, "Properties.AlarmActions", "the alarm does not notify the channel")


def _relayed_topics(env: ResolvedEnvironment, heard: list[Resource]) -> Iterator[Resource]:
    """Yield the topics whose messages a function writes anew for a topic that the channel reads."""
    for subscription in env.of_type("AWS::SNS::Subscription"):
        function = follow(env, subscription.get("Endpoint"), FUNCTION)
        for grant in permissions(env, follow(env, function.get("Role"), ROLE)) if function else ():
            if grant.allows("sns:Publish") and any(topic in heard for topic in follow_all(env, grant.resources)):
                yield from follow_all(env, subscription.get("TopicArn"), TOPIC)


@requirement("O4", "Functions run Python and have packages of this project")
def python_functions(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    functions = env.of_type(FUNCTION)
    packages = {str(item.get("Code.S3Key")).split("/")[1:2][0] for item in functions if item.get("Code.S3Key")}
    required = {"custom_resource", *(["log_processor"] if has_part(env, "archive") else [])}
    for name in sorted(required - packages):
        yield RuleMatch(TemplateLocation(ROOT), "", f"the environment has no function {name}")
    for function in functions:
        if not str(function.get("Runtime", "")).startswith("python3."):
            yield RuleMatch(function, "Properties.Runtime", "the runtime is not Python")


@requirement("L1", "Root nests layers, and a layer takes values from earlier layers only")
def layers(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    root = env.stacks["root"]
    names = ("Network", "Security", "Database", "Application", "Distribution", "Operations")
    order = [name for name in names if name != "Database" or has_part(env, "database")]
    position = {f"root/{name}Stack": number for number, name in enumerate(order)}
    for resource in root.resources.values():
        if resource.type != NESTED_STACK:
            yield RuleMatch(resource, "", "root contains a resource that is not a nested stack")
    for path, number in position.items():
        if path not in env.stacks:
            yield RuleMatch(TemplateLocation(ROOT), "", f"there is no layer {order[number]}")
            continue
        for source in env.resources_in(dict(env.stacks[path].parameters)):
            if position.get(source.stack, -1) >= number:
                nested = root.resources[path.removeprefix("root/")]
                yield RuleMatch(nested, "Properties.Parameters", f"the layer takes a value from {source.stack}")
