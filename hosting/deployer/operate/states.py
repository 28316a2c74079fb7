"""The tables of states: what each state that AWS reports means for the health of an environment.

A state that is not in its table is unknown, and unknown is never good. Each table names the AWS document of its states.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from hosting.deployer.aws.statuses import STATUSES, Next


class Health(StrEnum):
    """Health of one part of an environment."""

    GOOD = "good"
    BUSY = "busy"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class State:
    """Health of a part, its meaning, and the next step: a command, or a section of docs/incidents.md.

    A next step that begins with "aws" or "deploy.py" is a command. `{env}`, `{name}`, `{region}` in it are replaced.
    """

    health: Health
    meaning: str = ""
    next: str = ""


_GOOD, _BUSY, _BAD = Health.GOOD, Health.BUSY, Health.BAD
STATUS = "deploy.py status -e {env}"
_WATCH = "deploy.py watch -e {env}"
_DATABASE = "docs/incidents.md#database-not-available"
_INSTANCE = "docs/incidents.md#database-events"
_KEY = "docs/incidents.md#database-key"

# Amazon Aurora User Guide, "Viewing DB cluster status". Clients can connect in the states that are good or busy, except
# while the cluster starts, fails over, upgrades or renames.
CLUSTER: Mapping[str, State] = {
    "available": State(_GOOD),
    "backing-up": State(_GOOD),
    "storage-optimization": State(_GOOD),
    "update-iam-db-auth": State(_BUSY),
    "configuring-iam-database-auth": State(_BUSY),
    "modifying": State(_BUSY),
    "maintenance": State(_BUSY),
    "creating": State(_BUSY),
    "starting": State(_BUSY),
    "failing-over": State(_BUSY, "a reader becomes the writer", STATUS),
    "promoting": State(_BUSY),
    "renaming": State(_BUSY),
    "resetting-master-credentials": State(_BUSY),
    "upgrading": State(_BUSY),
    "migrating": State(_BUSY),
    "preparing-data-migration": State(_BUSY),
    "scaling-compute": State(_BUSY),
    "scaling-storage": State(_BUSY),
    "backtracking": State(_BAD, "no client can connect during the backtrack", _DATABASE),
    "stopping": State(_BAD, "the database is being stopped", _DATABASE),
    "stopped": State(
        _BAD, "the database is stopped", "aws rds start-db-cluster --db-cluster-identifier {name} --region {region}"
    ),
    "deleting": State(_BAD, "the database is being deleted", "docs/incidents.md#database-deleted"),
    "failed": State(_BAD, "the database failed", _DATABASE),
    "cloning-failed": State(_BAD, "the clone could not be created", _DATABASE),
    "migration-failed": State(_BAD, "the migration failed", _DATABASE),
    "inaccessible-encryption-credentials": State(_BAD, "RDS cannot use the key of the database", _KEY),
    "inaccessible-encryption-credentials-recoverable": State(_BAD, "RDS cannot use the key of the database", _KEY),
}

# Amazon Aurora User Guide, "Viewing DB instance status in an Aurora cluster".
INSTANCE: Mapping[str, State] = {
    "available": State(_GOOD),
    "backing-up": State(_GOOD),
    "storage-optimization": State(_GOOD),
    "configuring-enhanced-monitoring": State(_GOOD),
    "configuring-iam-database-auth": State(_GOOD),
    "configuring-log-exports": State(_GOOD),
    "configuring-associated-roles": State(_GOOD),
    "modifying": State(_BUSY),
    "creating": State(_BUSY),
    "converting-to-vpc": State(_BUSY),
    "maintenance": State(_BUSY),
    "moving-to-vpc": State(_BUSY),
    "rebooting": State(_BUSY, "the instance restarts", _INSTANCE),
    "renaming": State(_BUSY),
    "resetting-master-credentials": State(_BUSY),
    "starting": State(_BUSY),
    "upgrading": State(_BUSY),
    "deleting": State(_BAD, "the instance is being deleted", _INSTANCE),
    "failed": State(_BAD, "the instance failed", _DATABASE),
    "inaccessible-encryption-credentials": State(_BAD, "RDS cannot use the key of the database", _KEY),
    "incompatible-network": State(_BAD, "RDS cannot attach the instance to the network", _DATABASE),
    "incompatible-option-group": State(_BAD, "RDS cannot apply the option group", _DATABASE),
    "incompatible-parameters": State(_BAD, "the parameters do not fit the engine", _DATABASE),
    "incompatible-restore": State(_BAD, "the restore failed", _DATABASE),
    "insufficient-capacity": State(_BAD, "AWS has no capacity for the instance", _DATABASE),
    "restore-error": State(_BAD, "the restore failed", _DATABASE),
    "stopped": State(_BAD, "the instance is stopped", _DATABASE),
    "stopping": State(_BAD, "the instance is being stopped", _DATABASE),
    "storage-full": State(_BAD, "the local storage is full", _DATABASE),
}

# Amazon ECS API Reference, Deployment, rolloutState.
ROLLOUT: Mapping[str, State] = {
    "COMPLETED": State(_GOOD),
    "IN_PROGRESS": State(_BUSY, "a deployment is in progress", STATUS),
    "FAILED": State(_BAD, "the deployment failed", "docs/incidents.md#deployment-failed"),
}

# Amazon ECS API Reference, Service, status.
SERVICE: Mapping[str, State] = {
    "ACTIVE": State(_GOOD),
    "DRAINING": State(_BAD, "the service is being deleted", "docs/incidents.md#running-tasks"),
    "INACTIVE": State(_BAD, "the service is deleted", "docs/incidents.md#running-tasks"),
}

# Elastic Load Balancing API Reference, TargetHealth, State. "unused" is a target that gets no requests: its group has
# no rule, or its zone is disabled.
TARGET: Mapping[str, State] = {
    "healthy": State(_GOOD),
    "draining": State(_GOOD),
    "unhealthy.draining": State(_GOOD),
    "initial": State(_BUSY),
    "unhealthy": State(_BAD, "the load balancer gets no good answer", "docs/incidents.md#healthy-hosts"),
    "unused": State(_BAD, "the target gets no requests", "docs/incidents.md#healthy-hosts"),
    "unavailable": State(_BAD, "health checks are disabled", "docs/incidents.md#healthy-hosts"),
}

# Amazon CloudFront API Reference, Distribution, Status.
DISTRIBUTION: Mapping[str, State] = {
    "Deployed": State(_GOOD),
    "InProgress": State(_BUSY, "the configuration is on its way to the edge locations", STATUS),
}

# Amazon CloudWatch API Reference, MetricAlarm, StateValue. Every alarm of the templates treats missing data as good or
# as bad, so only a new alarm has no data.
ALARM: Mapping[str, State] = {
    "OK": State(_GOOD),
    "ALARM": State(_BAD),
    "INSUFFICIENT_DATA": State(_BUSY, "has no data yet", STATUS),
}


WORST_FIRST = (Health.BAD, Health.UNKNOWN, Health.BUSY, Health.GOOD)


@dataclass(frozen=True)
class Part:
    """One line of the status. `data` has the values for programs, `next` the next command or section of the runbook."""

    area: str
    name: str
    health: Health
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)
    next: str = ""


def worst(*states: State) -> State:
    """Return the state with the worst health. The first one of equal states is returned."""
    return min(states, key=lambda state: WORST_FIRST.index(state.health))


def classify(table: Mapping[str, State], state: str) -> State:
    """Return the meaning of a state. A state that the table does not contain is unknown."""
    known = table.get(state)
    return known or State(Health.UNKNOWN, f'the state "{state}" is unknown', "docs/incidents.md#status-unknown")


def classify_stack(status: str | None) -> State:
    """Return the meaning of a stack's status, or of a stack that does not exist.

    A stack that was rolled back works, but the last deployment failed: the templates differ from what is deployed.
    """
    if status is None:
        return State(Health.BAD, "is not deployed", "deploy.py deploy -e {env}")
    if status not in STATUSES:
        return classify({}, status)
    row = STATUSES[status]
    if row.next is Next.WAIT:
        return State(Health.BUSY, row.meaning, _WATCH)
    if row.good and row.next is Next.UPDATE:
        return State(Health.GOOD)
    step = {
        Next.RECOVER: "deploy.py recover -e {env}",
        Next.DELETE: "deploy.py recover -e {env}",
        Next.CONTINUE: "deploy.py diagnose -e {env}",
        Next.UPDATE: "deploy.py diagnose -e {env}",
    }
    meaning = "the last deployment failed: the stack " + row.meaning if row.next is Next.UPDATE else row.meaning
    return State(Health.BAD, meaning, step.get(row.next, "deploy.py deploy -e {env}"))
