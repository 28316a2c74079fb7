"""Notifications of events that AWS services send to EventBridge."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import console
from notification import Notification, code, cut, escape, redact_text, runbook
from settings import Settings

# CloudFormation names ECS services and task definitions after the stack of their workload:
# shop-prod-BackendServiceStack-1ABC-Service-x1.
_STACK = re.compile(r"-([A-Z][A-Za-z0-9]*?)ServiceStack-")


def _workload(name: str, prefix: str) -> str:
    """Return the name of a workload as deploy.py knows it, or "" for a resource of another stack.

    The task definitions of a job have the fixed family <prefix>-<job>.
    """
    if found := _STACK.search(name):
        return found.group(1).lower()
    return name.removeprefix(f"{prefix}-") if re.fullmatch(rf"{re.escape(prefix)}-[a-z0-9]+", name) else ""


_DEPLOYMENTS = {
    "SERVICE_DEPLOYMENT_FAILED": (":red_circle:", "failed and is rolled back"),
    "SERVICE_DEPLOYMENT_COMPLETED": (":white_check_mark:", "completed"),
    "SERVICE_DEPLOYMENT_IN_PROGRESS": (":hourglass_flowing_sand:", "in progress"),
}


def deployment(event: Mapping[str, Any], settings: Settings) -> Notification:
    """Return the notification of an ECS deployment's change of state."""
    detail, arn, region = event["detail"], event["resources"][0], event["region"]
    cluster, service = arn.split("/")[-2:]
    name = detail["eventName"]
    emoji, state = _DEPLOYMENTS.get(name, (":information_source:", name))
    page = console.service(region, cluster, service)
    steps: tuple[str, ...] = (f"Open the service's deployments: {page}",)
    if name == "SERVICE_DEPLOYMENT_FAILED":
        steps = (settings.command("diagnose"), runbook("deployment-failed"), f"Read why the tasks stopped: {page}")
    return Notification(
        id=event["id"],
        thread=f"ecs/{cluster}/{service}",
        event_type=event["detail-type"],
        title=f"{emoji} Deployment of {escape(_workload(service, settings.prefix) or service)} {escape(state)}",
        text=escape(detail.get("reason") or "ECS gave no reason."),
        steps=steps,
        resources=(arn,),
        context=(("deployment", str(detail.get("deploymentId", ""))),),
    )


# Tasks of no service, by their field startedBy: of lambda/migration and of deploy.py run. The others are jobs.
_STARTERS = {"migration": "Migration of", "deploy-py/run": "Command of deploy.py run for"}

# The container of the workload itself. The bastion of the same task always ends with 137 or 143.
_APP = "app"


def task(event: Mapping[str, Any], settings: Settings) -> Iterator[Notification]:
    """Yield the notification of a task that stopped by itself, or none for a job that succeeded."""
    detail, region = event["detail"], event["region"]
    cluster = detail["clusterArn"].split("/")[-1]
    group = detail["group"]
    of_service = group.startswith("service:")
    containers = detail["containers"]
    app: Mapping[str, Any] = next((one for one in containers if one["name"] == _APP), {})
    if not of_service and app.get("exitCode") == 0:
        return
    family = detail["taskDefinitionArn"].rpartition("/")[2].partition(":")[0]
    workload = _workload(family, settings.prefix)
    task_id = detail["taskArn"].split("/")[-1]
    stop_code = detail.get("stopCode", "-")
    ended = f"exit code {app['exitCode']}" if "exitCode" in app else "it did not start"
    lines = [f"{escape(detail.get('stoppedReason') or 'ECS gave no reason.')} ({escape(stop_code)})"]
    for container in containers:
        state = f"exit code {container['exitCode']}" if "exitCode" in container else "never started"
        reason = f": {redact_text(container['reason'])}" if container.get("reason") else ""
        lines.append(f"• `{escape(container['name'])}` {state}{escape(reason)}")
    name = workload or family
    started_by = detail.get("startedBy", "")
    kind = _STARTERS.get(started_by, "Job")
    step = settings.command(f"logs --service {workload} --previous" if workload else "status")
    if workload and started_by in _STARTERS:
        # --previous finds tasks of the service, and the runs of a job.
        step = settings.command(f"logs --service {workload} --since 1h")
    title = f"A task of {name} stopped: {ended}" if of_service else f"{kind} {name} failed: {ended}"
    yield Notification(
        id=event["id"],
        thread=f"ecs/{cluster}/{group.removeprefix('service:') if of_service else name}",
        event_type=event["detail-type"],
        title=f":octagonal_sign: {escape(title)}",
        text="\n".join(lines),
        steps=(
            step,
            runbook("task-stopped" if of_service else "job-failed"),
            f"Read its last log lines: {console.task(region, cluster, task_id)}",
            _TASK_STEPS.get(stop_code, "A service starts a new task automatically, a job starts at its next time."),
        ),
        resources=(detail["taskArn"],),
    )


_TASK_STEPS = {
    "TaskFailedToStart": "Check that the image exists, and that the execution role may read the image and the secrets.",
    "EssentialContainerExited": "Exit code 137: memory limit or failed health check. Other codes are the program's.",
}


# By the categories that the EventBridge rule sends (Amazon RDS User Guide, event categories).
_DATABASE_STEPS = {
    "availability": "A restart closes all connections. The services connect again automatically.",
    "deletion": "If no operator intended the deletion, stop all deployments before you restore a snapshot.",
    "failover": "Watch the error rate of the services: after a failover they open new connections.",
    "failure": "RDS replaces a failed instance automatically. If the services stay down, read the error log.",
    "low storage": "Find queries that sort or join on disk in the slow query log. Larger classes have more storage.",
    "maintenance": "Connections may close for a moment. A pending maintenance action has a date, which you can change.",
    "recovery": "The services connect again automatically. No action is necessary while their error rate falls.",
}


def database(event: Mapping[str, Any], settings: Settings) -> Notification:
    """Return the notification of an event of the database cluster or of one of its instances."""
    detail, region = event["detail"], event["region"]
    name, is_cluster = detail["SourceIdentifier"], "Cluster" in event["detail-type"]
    found = detail["EventCategories"]
    return Notification(
        id=event["id"],
        thread=f"rds/{name}",
        event_type=event["detail-type"],
        title=f":floppy_disk: {escape(name)}: {escape(', '.join(found) or 'event')}",
        text=escape(detail["Message"]),
        steps=(
            settings.command("status"),
            runbook("database-events"),
            f"Read the database's events and status: {console.database(region, name, is_cluster=is_cluster)}",
            *dict.fromkeys(_DATABASE_STEPS[each] for each in found if each in _DATABASE_STEPS),
        ),
        resources=tuple(event.get("resources", ())),
        context=(("event", str(detail.get("EventID", ""))),),
    )


def stack(event: Mapping[str, Any], settings: Settings) -> Notification:
    """Return the notification of a stack whose deployment was rolled back, or whose rollback failed."""
    arn, details = event["detail"]["stack-id"], event["detail"]["status-details"]
    name, status = arn.split("/")[1], details["status"]
    stuck = status.endswith("_FAILED")
    return Notification(
        id=event["id"],
        thread=f"stack/{name}",
        event_type=event["detail-type"],
        title=f":red_circle: Stack {escape(name)}: "
        + ("the rollback failed" if stuck else "the last deployment failed and was rolled back"),
        text=escape(f"{status}: {details.get('status-reason') or 'CloudFormation gave no reason.'}"),
        steps=(
            settings.command("recover" if stuck else "diagnose"),
            runbook("rollback-failed" if stuck else "deployment-failed"),
            f"Read the events: {console.stack(event['region'], arn)}",
        ),
        resources=(arn,),
    )


def certificate(event: Mapping[str, Any], settings: Settings) -> Notification:
    """Return the notification of a certificate that expires, has expired or cannot be renewed."""
    detail, arn = event["detail"], event["resources"][0]
    name, days = detail["CommonName"], detail.get("DaysToExpiry")
    what = {
        "ACM Certificate Approaching Expiration": f"expires in {days} days",
        "ACM Certificate Expired": "has expired",
    }.get(event["detail-type"], "cannot be renewed automatically")
    return Notification(
        id=event["id"],
        thread=f"certificate/{arn}",
        event_type=event["detail-type"],
        title=f":lock: The certificate of {escape(name)} {escape(what)}",
        text="ACM renews a certificate that it issued while the DNS record of its validation exists. "
        "It does not renew an imported certificate.",
        steps=(
            settings.command("preflight"),
            runbook("certificate-expires"),
            f"Compare the DNS records: {console.certificate(event['region'], arn)}",
        ),
        resources=(arn,),
        context=(("days", str(days if days is not None else "")),),
    )


def health(event: Mapping[str, Any], settings: Settings) -> Notification:
    """Return the notification of an event of AWS Health."""
    detail = event["detail"]
    texts = [one["latestDescription"] for one in detail["eventDescription"]]
    entities = [str(one["entityValue"]) for one in detail.get("affectedEntities", ()) if one.get("entityValue")]
    affected = f"\n*Affected* {escape(', '.join(entities))}" if entities else ""
    closed = detail.get("statusCode") == "closed"
    return Notification(
        id=event["id"],
        thread=f"health/{detail['eventArn']}",
        event_type=event["detail-type"],
        title=f"{':white_check_mark:' if closed else ':hospital:'} AWS Health: {escape(detail['service'])}, "
        + escape(f"{detail['eventTypeCode']}{', closed' if closed else ''}"),
        text=cut(escape("\n".join(texts)), 2000) + affected,
        steps=(settings.command("status"), runbook("aws-health"), f"Read the event: {console.health()}"),
        resources=(detail["eventArn"],),
        context=(("start", str(detail.get("startTime", ""))), ("category", str(detail.get("eventTypeCategory", "")))),
    )


def other(event: Mapping[str, Any]) -> Notification:
    """Return the notification of an event that has no text of its own."""
    return Notification(
        id=event["id"],
        thread=f"{event['source']}/{event['detail-type']}",
        event_type=event["detail-type"],
        title=f":information_source: {escape(event['detail-type'])}",
        text=code(cut(redact_text(json.dumps(event.get("detail"), ensure_ascii=False, indent=1)), 2500)),
        steps=(f"Read the details in the service's console: {console.home(event['region'])}",),
        resources=tuple(event.get("resources", ())),
    )
