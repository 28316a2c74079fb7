"""The cluster, the load balancer and each service: running, reachable, scalable, with ECS Exec."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from hosting.rehearsal.checks.base import Area, Deployed, Proof

proof = Area("services")

SECRET_HEADER = "X-Origin-Verify"  # noqa: S105 - the header's name
EXEC_POLICY = "AmazonSSMManagedInstanceCore"
_ATTEMPTS, _PAUSE_SECONDS = 50, 0.1


def cluster(deployed: Deployed) -> Iterator[Proof]:
    """Check status, Container Insights, capacity providers and the recording of ECS Exec sessions."""
    (found,) = deployed.client("ecs").describe_clusters(
        clusters=[deployed.family], include=["SETTINGS", "CONFIGURATIONS"]
    )["clusters"]
    settings = {setting["name"]: setting["value"] for setting in found["settings"]}
    wanted = deployed.parameter("ContainerInsights")
    yield proof("the cluster is active", found["status"] == "ACTIVE", found["clusterName"])
    yield proof("container insights are as the parameters say", settings.get("containerInsights") == wanted, settings)
    yield proof("the cluster runs on Fargate", "FARGATE" in found["capacityProviders"], found["capacityProviders"])
    recording = found.get("configuration", {}).get("executeCommandConfiguration", {})
    group = recording.get("logConfiguration", {}).get("cloudWatchLogGroupName")
    yield proof("sessions of ECS Exec are encrypted and recorded", recording.get("kmsKeyId") and group, group)


def load_balancer(deployed: Deployed) -> Iterator[Proof]:
    """Check subnets, access logs, certificate and rules of the load balancer."""
    elb = deployed.client("elbv2")
    arn = deployed.id("ApplicationStack/LoadBalancer")
    (balancer,) = elb.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"]
    public = {deployed.id(f"NetworkStack/PublicSubnet{number}") for number in (1, 2)}
    subnets = {zone["SubnetId"] for zone in balancer["AvailabilityZones"]}
    yield proof("the load balancer is active in both public subnets", subnets == public, balancer["DNSName"])
    attributes = {
        one["Key"]: one["Value"] for one in elb.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
    }
    logs = attributes.get("access_logs.s3.enabled") == "true"
    yield proof("the load balancer logs its requests", logs, attributes.get("access_logs.s3.bucket", "nowhere"))
    listeners = {one["Port"]: one for one in elb.describe_listeners(LoadBalancerArn=arn)["Listeners"]}
    (default,) = listeners[443]["DefaultActions"]
    answer = default.get("FixedResponseConfig", {}).get("StatusCode")
    yield proof("port 443 refuses by default", answer == "403", f"{default['Type']} {answer}")
    certificates = [one["CertificateArn"] for one in listeners[443]["Certificates"]]
    yield proof("port 443 has its certificate", len(certificates) == 1, certificates)
    (default,) = listeners[80]["DefaultActions"]
    yield proof("port 80 redirects by default", default["Type"] == "redirect", default.get("RedirectConfig"))
    secrets = {origin_secret(deployed), origin_secret(deployed, "NextOriginSecret")}
    for port, listener in sorted(listeners.items()):
        rules = elb.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
        forwarding = [rule for rule in rules if any(action["Type"] == "forward" for action in rule["Actions"])]
        with_secret = [rule for rule in forwarding if set(header(rule)) == secrets]
        if forwarding or (port == origin_port(deployed) and deployed.has_web_service):
            yield proof(
                f"port {port} forwards only what carries CloudFront's secret",
                forwarding and with_secret == forwarding,
                f"{len(with_secret)} of {len(forwarding)} rules ask for {SECRET_HEADER}",
            )


def origin_port(deployed: Deployed) -> int:
    """Return the port that CloudFront calls: 80 without a domain, because no public certificate is possible then."""
    return 443 if deployed.parameter("DomainName") else 80


def origin_secret(deployed: Deployed, name: str = "OriginSecret") -> str:
    """Return the value of the header that CloudFront sends, or of the one that it sends after a rotation."""
    arn = deployed.id(f"SecurityStack/{name}")
    return str(deployed.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"])


def header(rule: dict[str, Any]) -> list[str]:
    for condition in rule["Conditions"]:
        config = condition.get("HttpHeaderConfig") or {}
        if config.get("HttpHeaderName") == SECRET_HEADER:
            return list(config["Values"])
    return []


def each_service(deployed: Deployed) -> Iterator[Proof]:
    """Check the tasks, the target group, the scaling and the task definition of each service."""
    for name in deployed.services:
        arn = deployed.id(f"{name}ServiceStack/Service")
        (service,) = deployed.client("ecs").describe_services(cluster=deployed.family, services=[arn])["services"]
        yield from tasks(deployed, name, service)
        behind = deployed.kinds[name] == "web service"
        seen = f"{deployed.kinds[name]}, {len(service['loadBalancers'])} target groups"
        yield proof(
            f"{name} is behind the load balancer if its kind is", behind == bool(service["loadBalancers"]), seen
        )
        if behind:
            yield from reachable(deployed, name, service)
        if deployed.kinds[name] == "internal service":
            yield from resolvable(deployed, name, service)
        if name not in deployed.single:
            yield from scaling(deployed, name, service)
        yield from definition(deployed, name, service["taskDefinition"])


def each_job(deployed: Deployed) -> Iterator[Proof]:
    """Check the schedule of each job and the task definition that it starts."""
    for name in [name for name in deployed.images if name not in deployed.services]:
        schedule = deployed.client("scheduler").get_schedule(Name=deployed.id(f"{name}ServiceStack/Schedule"))
        target = schedule["Target"]["EcsParameters"]
        network = target["NetworkConfiguration"]["awsvpcConfiguration"]
        private = {deployed.id(f"NetworkStack/AppSubnet{number}") for number in (1, 2)}
        yield proof(f"{name} runs by its schedule", schedule["State"], f"{schedule['ScheduleExpression']}")
        yield proof(f"tasks of {name} are private", set(network["Subnets"]) == private, network["AssignPublicIp"])
        yield from definition(deployed, name, target["TaskDefinitionArn"])
        if schedule["State"] == "ENABLED":
            yield from run_of_job(deployed, name, schedule)


def run_of_job(deployed: Deployed, name: str, schedule: dict[str, Any]) -> Iterator[Proof]:
    """Check that EventBridge Scheduler has started a task of a job, and that its command has ended."""
    # Scheduler starts tasks in this name, cut to 36 characters.
    started_by = f"chronos-schedule/{schedule['Name']}"[:36]
    ecs, ended = deployed.client("ecs"), []
    for _ in range(_ATTEMPTS):
        arns = ecs.list_tasks(cluster=deployed.family, startedBy=started_by, desiredStatus="STOPPED")["taskArns"]
        if arns:
            ended = ecs.describe_tasks(cluster=deployed.family, tasks=arns)["tasks"]
            break
        time.sleep(_PAUSE_SECONDS)
    codes = [one.get("exitCode") for task in ended for one in task["containers"] if one["name"] == "app"]
    yield proof(f"{name} has run with its role, and its command has ended", codes and set(codes) == {0}, codes)
    queue = deployed.id(f"{name}ServiceStack/RefusedStartsQueue")
    waiting = deployed.client("sqs").get_queue_attributes(
        QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessages"]
    )["Attributes"]["ApproximateNumberOfMessages"]
    yield proof(f"no start of {name} was refused", waiting == "0", f"{waiting} messages")


def resolvable(deployed: Deployed, name: str, service: dict[str, Any]) -> Iterator[Proof]:
    """Check that the name of an internal service resolves to its running tasks."""
    discovery, ecs = deployed.client("servicediscovery"), deployed.client("ecs")
    (registry,) = service["serviceRegistries"]
    identifier = registry["registryArn"].rpartition("/")[2]
    instances = deployed.pages("servicediscovery", "list_instances", "Instances", ServiceId=identifier)
    arns = deployed.pages("ecs", "list_tasks", "taskArns", cluster=deployed.family, serviceName=service["serviceName"])
    running = ecs.describe_tasks(cluster=deployed.family, tasks=arns)["tasks"] if arns else []
    addresses = {
        detail["value"]
        for task in running
        for attachment in task["attachments"]
        for detail in attachment["details"]
        if detail["name"] == "privateIPv4Address"
    }
    found = discovery.get_service(Id=identifier)["Service"]
    namespace = discovery.get_namespace(Id=found["NamespaceId"])["Namespace"]
    zone = namespace["Properties"]["DnsProperties"]["HostedZoneId"]
    sets = deployed.pages("route53", "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=zone)
    full = f"{found['Name']}.{namespace['Name']}."
    records = {one["Value"] for item in sets if item["Name"] == full for one in item["ResourceRecords"]}
    registered = {one["Attributes"]["AWS_INSTANCE_IPV4"] for one in instances}
    yield proof(f"the name of {name} resolves to its tasks", addresses and registered == records == addresses, full)


def size(deployed: Deployed, name: str, what: str) -> str:
    """Return a service's own parameter, or the one that services without their own size share."""
    return deployed.parameter(f"{name}{what}") or deployed.parameter(f"Service{what}")


def tasks(deployed: Deployed, name: str, service: dict[str, Any]) -> Iterator[Proof]:
    """Check number, containers, zones and subnets of a service's tasks."""
    ecs = deployed.client("ecs")
    minimum = 1 if name in deployed.single else int(size(deployed, name, "MinTasks"))
    counts = f"{service['runningCount']} of {service['desiredCount']} running, {service['status']}"
    running = service["runningCount"] == service["desiredCount"] >= minimum and service["status"] == "ACTIVE"
    yield proof(f"{name} has its tasks", running, counts)
    rollout = [deployment["rolloutState"] for deployment in service["deployments"]]
    yield proof(f"{name}'s deployment is finished", rollout == ["COMPLETED"], rollout)
    breaker = service["deploymentConfiguration"].get("deploymentCircuitBreaker", {})
    yield proof(f"{name} rolls a bad deployment back by itself", breaker.get("rollback"), breaker)
    arns = deployed.pages("ecs", "list_tasks", "taskArns", cluster=deployed.family, serviceName=service["serviceName"])
    found = ecs.describe_tasks(cluster=deployed.family, tasks=arns)["tasks"] if arns else []
    containers = {(one["name"], one["lastStatus"]) for task in found for one in task["containers"]}
    yield proof(
        f"every task of {name} runs the application and the bastion",
        found and containers == {("app", "RUNNING"), ("bastion", "RUNNING")},
        [f"{container} {status}" for container, status in sorted(containers)],
    )
    open_to_exec = [task for task in found if task["enableExecuteCommand"]]
    yield proof(
        f"ECS Exec is enabled on {name} and its tasks",
        service["enableExecuteCommand"] and open_to_exec == found,
        f"{len(open_to_exec)} of {len(found)} tasks",
    )
    zones = {task["availabilityZone"] for task in found}
    yield proof(f"tasks of {name} are in both zones", len(zones) == 2 or len(found) < 2, zones)
    network = service["networkConfiguration"]["awsvpcConfiguration"]
    private = {deployed.id(f"NetworkStack/AppSubnet{number}") for number in (1, 2)}
    yield proof(
        f"tasks of {name} are private",
        set(network["subnets"]) == private and network["assignPublicIp"] == "DISABLED",
        f"{len(network['subnets'])} app subnets, public addresses {network['assignPublicIp']}",
    )


def reachable(deployed: Deployed, name: str, service: dict[str, Any]) -> Iterator[Proof]:
    """Check that the load balancer has every task as a healthy target."""
    elb = deployed.client("elbv2")
    (balancer,) = service["loadBalancers"]
    group = balancer["targetGroupArn"]
    (found,) = elb.describe_target_groups(TargetGroupArns=[group])["TargetGroups"]
    associated = found["LoadBalancerArns"] == [deployed.id("ApplicationStack/LoadBalancer")]
    targets = elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    states = [f"{one['Target']['Id']}:{one['Target']['Port']} {one['TargetHealth']['State']}" for one in targets]
    healthy = [state for state in states if state.endswith(" healthy")]
    yield proof(f"{name}'s target group belongs to the load balancer", associated, found["TargetGroupName"])
    yield proof(f"every task of {name} is a healthy target", len(healthy) == service["runningCount"], states)


def scaling(deployed: Deployed, name: str, service: dict[str, Any]) -> Iterator[Proof]:
    client = deployed.client("application-autoscaling")
    resource = f"service/{deployed.family}/{service['serviceName']}"
    targets = client.describe_scalable_targets(ServiceNamespace="ecs", ResourceIds=[resource])["ScalableTargets"]
    limits = [(str(target["MinCapacity"]), str(target["MaxCapacity"])) for target in targets]
    wanted = (size(deployed, name, "MinTasks"), size(deployed, name, "MaxTasks"))
    yield proof(f"{name} scales within its limits", limits == [wanted], [f"{low} to {high}" for low, high in limits])
    policies = client.describe_scaling_policies(ServiceNamespace="ecs", ResourceId=resource)["ScalingPolicies"]
    yield proof(f"{name} scales by itself", policies, [policy["PolicyName"] for policy in policies])


def definition(deployed: Deployed, name: str, arn: str) -> Iterator[Proof]:
    """Check image, secrets, bastion and roles of a workload's task definition."""
    found = deployed.client("ecs").describe_task_definition(taskDefinition=arn)["taskDefinition"]
    containers = {container["name"]: container for container in found["containerDefinitions"]}
    image = containers["app"]["image"]
    yield proof(f"{name} runs the image of the parameters", image == deployed.parameter(deployed.images[name]), image)
    secrets = {one["name"]: one["valueFrom"] for one in containers["app"].get("secrets", [])}
    injected = all(value.startswith("arn:aws:secretsmanager:") for value in secrets.values())
    yield proof(f"{name} gets its secrets by reference", injected, list(secrets))
    bastion = containers["bastion"]
    yield proof(
        f"the bastion of {name} cannot take the task down",
        not bastion["essential"] and bastion.get("restartPolicy", {}).get("enabled"),
        f"essential {bastion['essential']}, restarts {bastion.get('restartPolicy')}",
    )
    role = found["taskRoleArn"].rpartition("/")[2]
    policies = deployed.pages("iam", "list_attached_role_policies", "AttachedPolicies", RoleName=role)
    names = [policy["PolicyName"] for policy in policies]
    yield proof(f"the task role of {name} carries {EXEC_POLICY}", EXEC_POLICY in names, names)
    process = containers["app"].get("linuxParameters", {}).get("initProcessEnabled")
    yield proof(f"{name} has an init process, which ECS Exec needs", process, process)


CHECKS = (cluster, load_balancer, each_service, each_job)
