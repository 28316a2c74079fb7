"""The parts of an environment's status: each function reads one part from AWS and returns its health."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from hosting.deployer.aws import stacks
from hosting.deployer.aws.session import explain
from hosting.deployer.errors import DeployerError
from hosting.deployer.operate import logs, tasks
from hosting.deployer.operate.platform import Job, Platform, Service
from hosting.deployer.operate.standalone_task import APP
from hosting.deployer.operate.states import (
    ALARM,
    CLUSTER,
    DISTRIBUTION,
    INSTANCE,
    ROLLOUT,
    SERVICE,
    STATUS,
    TARGET,
    Health,
    Part,
    State,
    classify,
    classify_stack,
    worst,
)
from hosting.model.schedule_times import find_next_time
from hosting.model.stack_order import EDGE_REGION, StackRole

# Answers of AWS for a resource that does not exist: of RDS, ECS, Elastic Load Balancing and CloudFront.
_MISSING = {
    "DBClusterNotFoundFault",
    "ClusterNotFoundException",
    "ServiceNotFoundException",
    "TargetGroupNotFound",
    "TargetGroupNotFoundException",
    "NoSuchDistribution",
}


def examine(subject: str, job: Callable[[], list[Part]]) -> list[Part]:
    """Return the parts of a job. A resource that does not exist is bad, and any other failure leaves it unknown."""
    area, _, name = subject.partition(" ")
    try:
        return job()
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in _MISSING:
            section = "database-deleted" if area == "database" else "resource-missing"
            text = error.response["Error"].get("Message") or "the resource does not exist"
            return [Part(area, name, Health.BAD, text.rstrip("."), {}, f"docs/incidents.md#{section}")]
        return [Part(area, name, Health.UNKNOWN, explain(error).what, {}, _UNKNOWN)]
    except BotoCoreError as error:
        return [Part(area, name, Health.UNKNOWN, explain(error).what, {}, _UNKNOWN)]
    except DeployerError as error:
        return [Part(area, name, Health.UNKNOWN, str(error).splitlines()[0], {}, _UNKNOWN)]


_UNKNOWN = "docs/incidents.md#status-unknown"


def _next(state: State, environment: str, name: str = "", region: str = "") -> str:
    return state.next.format(env=environment, name=name, region=region)


def examine_stack(stack: Any, state: stacks.StackState | None, environment: str) -> Part:
    """Return the health of a stack of the chain."""
    status = state.status if state else None
    found = classify_stack(status)
    text = status or "not deployed"
    if found.meaning and state:
        text += f", {found.meaning}"
    if state and state.reason and found.health is Health.BAD:
        text += f": {state.reason}"
    return Part(
        "stacks", stack.label, found.health, text, {"status": status} if status else {}, _next(found, environment)
    )


def no_services(platform: Platform) -> list[Part]:
    """Return a bad part if no service is deployed although the templates declare one."""
    template = platform.context.template(platform.context.stack(StackRole.ROOT))
    if platform.services or all(template.kind_of(name) == "job" for name in template.services):
        return []
    return [Part("services", "", Health.BAD, "no service is deployed", {}, f"deploy.py deploy -e {platform.name}")]


def examine_service(platform: Platform, service: Service) -> list[Part]:
    """Return the health of a service, and of its targets."""
    clients, home = platform.context.clients, platform.home
    answer: Any = clients.ecs(home).describe_services(cluster=platform.cluster, services=[service.ecs_name])
    if not answer["services"]:
        missing = "docs/incidents.md#resource-missing"
        return [Part("services", service.slug, Health.BAD, "the service does not exist in ECS", {}, missing)]
    live = answer["services"][0]
    primary: dict[str, Any] = next((one for one in live["deployments"] if one["status"] == "PRIMARY"), {})
    rollout = primary.get("rolloutState", "")
    state = worst(classify(SERVICE, live["status"]), classify(ROLLOUT, rollout))
    logs = f"deploy.py logs --service {service.slug} --previous -e {{env}}"
    if not live["desiredCount"]:
        # No deployment sets a desired count of 0. It was set manually, and viewers get the error page.
        scale = "docs/incidents.md#scale-a-service"
        state = worst(state, State(Health.BAD, "the desired count is 0", scale))
    elif live["runningCount"] < live["desiredCount"] and rollout != "IN_PROGRESS":
        state = worst(state, State(Health.BAD, "tasks are missing", logs))
    elif live["pendingCount"]:
        state = worst(state, State(Health.BUSY, "tasks are starting", STATUS))
    definition = live["taskDefinition"].rpartition("/")[2]
    text = f"{live['runningCount']} of {live['desiredCount']} tasks run, deployment {rollout.lower() or 'unknown'}"
    if rollout == "FAILED":
        text += f" ({primary.get('rolloutStateReason', '')})"
    elif state.meaning:
        text += f", {state.meaning}"
    data = {
        "desired": live["desiredCount"],
        "running": live["runningCount"],
        "pending": live["pendingCount"],
        "deployment": rollout,
        "taskDefinition": definition,
    }
    text = f"{text}, {definition.rpartition('-')[2]}"
    parts = [Part("services", service.slug, state.health, text, data, _next(state, platform.name))]

    def targets_of(group: str) -> Callable[[], list[Part]]:
        return lambda: [_examine_targets(platform, service, group, live["desiredCount"])]

    for balancer in live["loadBalancers"]:
        parts += examine(f"targets {service.slug}", targets_of(balancer["targetGroupArn"]))
    return parts


def _examine_targets(platform: Platform, service: Service, arn: str, desired: int) -> Part:
    answer: Any = platform.context.clients.elbv2(platform.home).describe_target_health(TargetGroupArn=arn)
    states: dict[str, int] = {}
    reasons = set()
    for one in answer["TargetHealthDescriptions"]:
        name = one["TargetHealth"]["State"]
        states[name] = states.get(name, 0) + 1
        if name not in {"healthy", "draining", "initial"} and one["TargetHealth"].get("Description"):
            reasons.add(one["TargetHealth"]["Description"])
    healthy = states.get("healthy", 0)
    section = "docs/incidents.md#healthy-hosts"
    found = [State(Health.GOOD), *(classify(TARGET, name) for name in states)]
    if not healthy and desired and not states.get("initial"):
        found.append(State(Health.BAD, "no target is healthy", section))
    elif healthy < desired:
        found.append(State(Health.BUSY, "targets are missing", STATUS))
    state = worst(*found)
    text = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none registered"
    if reasons:
        text += f" ({'; '.join(sorted(reasons))})"
    elif state.meaning:
        text += f", {state.meaning}"
    return Part("targets", service.slug, state.health, text, {"states": states}, _next(state, platform.name))


def examine_job(platform: Platform, job: Job) -> list[Part]:
    """Return the health of a job: the exit code of the app in its last run, and its next run."""
    schedule = tasks.describe_schedule(platform, job)
    # A task that `run` started with another command is no run of the job.
    running = [task for task in tasks.list_running_tasks(platform, job) if not task.has_other_command]
    ended = [task for task in tasks.list_stopped_tasks(platform, job) if not task.has_other_command]
    last = max(ended, key=lambda task: task.stopped, default=None)
    state, code = State(Health.GOOD), None
    if last is None:
        written = logs.find_last_time(platform, job)
        seen = f", last line of its log {_time(written)}" if written else ""
        texts = [f"no run within the last hour{seen}"]
    else:
        app = next((one for one in last.containers if one.name == APP), None)
        code = app.exit_code if app is not None else None
        ending = f"exit code {code}" if code is not None else f"it did not start: {last.why_stopped()}"
        texts = [f"last run ended {_time(last.stopped)}, {ending}"]
        if code != 0:
            state = State(Health.BAD, "", f"deploy.py logs --service {job.slug} --previous -e {{env}}")
    if running:
        texts.insert(0, f"running since {_time(min(task.started for task in running))}")
    enabled = schedule.get("State", "ENABLED") == "ENABLED"
    expression, zone = schedule["ScheduleExpression"], schedule.get("ScheduleExpressionTimezone") or "UTC"
    upcoming = find_next_time(expression, zone, datetime.now(UTC)) if enabled else None
    if not enabled:
        texts.append(f"disabled by the parameter {job.name}Enabled")
    else:
        texts.append(f"next run {_time(upcoming)}" if upcoming else f"runs at {expression} {zone}")
    data = {
        "enabled": enabled,
        "schedule": expression,
        "timezone": zone,
        "running": len(running),
        "exitCode": code,
        "ended": last.stopped.isoformat(timespec="seconds") if last else None,
        "next": upcoming.isoformat(timespec="seconds") if upcoming else None,
    }
    return [Part("jobs", job.slug, state.health, ", ".join(texts), data, _next(state, platform.name))]


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}Z"


def examine_database(platform: Platform) -> list[Part]:
    """Return the health of the database cluster, and of each instance that is not good."""
    clients, home = platform.context.clients, platform.home
    nested = stacks.describe_stack(clients.cloudformation(home), platform.nested.get("DatabaseStack", ""))
    identifier = nested.outputs.get("DbClusterId", "") if nested is not None else ""
    if not identifier:
        # Without an identifier RDS would return every cluster of the account.
        return [Part("database", "", Health.BAD, "not deployed", {}, f"deploy.py deploy -e {platform.name}")]
    answer: Any = clients.rds(home).describe_db_clusters(DBClusterIdentifier=identifier)
    cluster = answer["DBClusters"][0]
    members = cluster["DBClusterMembers"]
    writer = next((one["DBInstanceIdentifier"] for one in members if one["IsClusterWriter"]), "none")
    readers = sum(1 for one in members if not one["IsClusterWriter"])
    state = classify(CLUSTER, cluster["Status"])
    if writer == "none":
        state = worst(state, State(Health.BAD, "no instance is the writer", "docs/incidents.md#database-not-available"))
    text = f"{cluster['Status']}, Aurora MySQL {cluster['EngineVersion']}, writer {writer}, {readers} readers"
    if state.meaning:
        text = f"{state.meaning} ({text})"
    capacity = cluster.get("ServerlessV2ScalingConfiguration") or {}
    if capacity:
        text += f", {capacity['MinCapacity']:g} to {capacity['MaxCapacity']:g} ACU"
    data = {"status": cluster["Status"], "version": cluster["EngineVersion"], "readers": readers}
    parts = [Part("database", identifier, state.health, text, data, _next(state, platform.name, identifier, home))]
    pages = (
        clients.rds(home)
        .get_paginator("describe_db_instances")
        .paginate(Filters=[{"Name": "db-cluster-id", "Values": [identifier]}])
    )
    for instance in (one for page in pages for one in page["DBInstances"]):
        status = instance["DBInstanceStatus"]
        found = classify(INSTANCE, status)
        if found.health is not Health.GOOD:
            name = instance["DBInstanceIdentifier"]
            text = f"{status}, {found.meaning}" if found.meaning else status
            step = _next(found, platform.name, name, home)
            parts.append(Part("database", name, found.health, text, {"status": status}, step))
    return parts


def examine_distribution(platform: Platform) -> list[Part]:
    """Return the health of the distribution."""
    identifier = platform.output("DistributionId")
    answer: Any = platform.context.clients.cloudfront(platform.home).get_distribution(Id=identifier)
    found = answer["Distribution"]
    enabled = found["DistributionConfig"]["Enabled"]
    state = classify(DISTRIBUTION, found["Status"])
    if not enabled:
        state = worst(state, State(Health.BAD, "disabled", "docs/incidents.md#cloudfront-5xx"))
    invalidating = found.get("InProgressInvalidationBatches", 0)
    text = f"{found['Status'].lower()}{'' if enabled else ', disabled'}, {platform.output('SiteUrl')}"
    if invalidating:
        text += f", {invalidating} invalidations running"
    data = {"status": found["Status"], "enabled": enabled}
    return [Part("distribution", identifier, state.health, text, data, _next(state, platform.name))]


def examine_alarms(platform: Platform) -> list[Part]:
    """Return each alarm that is not good, and one part for all others."""
    parts: list[Part] = []
    counts = {"OK": 0, "INSUFFICIENT_DATA": 0}
    for region in dict.fromkeys((platform.home, EDGE_REGION)):
        client = platform.context.clients.cloudwatch(region)
        # Without AlarmTypes, AWS leaves out composite alarms.
        pages = client.get_paginator("describe_alarms").paginate(
            AlarmNamePrefix=f"{platform.family}-", AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        )
        for page in pages:
            for alarm in [*page.get("MetricAlarms", []), *page.get("CompositeAlarms", [])]:
                state = alarm.get("StateValue", "")
                name = alarm["AlarmName"].removeprefix(f"{platform.family}-")
                found = classify(ALARM, state)
                if found.health in (Health.BAD, Health.UNKNOWN):
                    text, step = _describe_alarm(alarm)
                    text = text if state == "ALARM" else found.meaning
                    parts.append(
                        Part("alarms", name, found.health, text, {"state": state, "region": region}, step or found.next)
                    )
                elif not alarm.get("ActionsEnabled", True):
                    enable = f"aws cloudwatch enable-alarm-actions --alarm-names {alarm['AlarmName']} --region {region}"
                    parts.append(Part("alarms", name, Health.BAD, "its actions are disabled", {"state": state}, enable))
                else:
                    counts[state] += 1
    quiet, silent = counts["OK"], counts["INSUFFICIENT_DATA"]
    if not parts and not quiet and not silent:
        return [Part("alarms", "", Health.BAD, "no alarm exists", {}, f"deploy.py deploy -e {platform.name}")]
    text = f"{quiet} in state OK" + (f", {silent} without data yet" if silent else "")
    health = Health.BUSY if silent else Health.GOOD
    parts.append(Part("alarms", "the others" if parts else "all", health, text, {"ok": quiet, "silent": silent}))
    return parts


def _describe_alarm(alarm: Mapping[str, Any]) -> tuple[str, str]:
    """Return the meaning of an alarm and its next command, which its description names in a line of its own."""
    lines = (alarm.get("AlarmDescription") or alarm.get("StateReason", "")).splitlines()
    steps = [line.removeprefix("Next: ") for line in lines if line.startswith("Next: ")]
    return lines[0].rstrip(".") if lines else "", steps[0] if steps else ""
