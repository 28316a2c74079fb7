"""Health of every state that AWS reports, the first line of `status`, and states of a deployed environment."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from rich.console import Console

from hosting.cli.commands.status import render_status
from hosting.deployer.aws import stacks
from hosting.deployer.aws.stacks import StackState
from hosting.deployer.aws.statuses import STATUSES
from hosting.deployer.operate import health_checks, states
from hosting.deployer.operate.states import Health, Part, State, classify, classify_stack
from hosting.deployer.operate.status import Status, as_document
from tests.deployer.operate import parts

Run = Callable[..., "subprocess.CompletedProcess[str]"]
CLUSTER = "atlas-lab"

TABLES: Mapping[str, Mapping[str, State]] = {
    "cluster": states.CLUSTER,
    "instance": states.INSTANCE,
    "rollout": states.ROLLOUT,
    "service": states.SERVICE,
    "target": states.TARGET,
    "distribution": states.DISTRIBUTION,
    "alarm": states.ALARM,
}
# The states in which a part serves its clients as usual. Every other state must not be good.
GOOD = {
    "cluster": {"available", "backing-up", "storage-optimization"},
    "instance": {
        "available",
        "backing-up",
        "storage-optimization",
        "configuring-enhanced-monitoring",
        "configuring-iam-database-auth",
        "configuring-log-exports",
        "configuring-associated-roles",
    },
    "rollout": {"COMPLETED"},
    "service": {"ACTIVE"},
    "target": {"healthy", "draining", "unhealthy.draining"},
    "distribution": {"Deployed"},
    "alarm": {"OK"},
}


@pytest.mark.parametrize("table", TABLES)
def test_only_the_states_of_this_list_are_good(table: str) -> None:
    assert {name for name, state in TABLES[table].items() if state.health is Health.GOOD} == GOOD[table]


@pytest.mark.parametrize(("table", "name"), [(table, name) for table, found in TABLES.items() for name in found])
def test_a_bad_state_has_a_meaning_and_a_next_step(table: str, name: str) -> None:
    state = TABLES[table][name]
    if state.health is Health.BAD and table != "alarm":  # the description of an alarm has both
        assert state.meaning
        assert state.next.startswith(("docs/incidents.md#", "deploy.py ", "aws "))


@pytest.mark.parametrize("table", TABLES)
def test_a_state_that_aws_adds_is_unknown_and_so_not_good(table: str) -> None:
    state = classify(TABLES[table], "hibernating")
    assert (state.health, state.meaning) == (Health.UNKNOWN, 'the state "hibernating" is unknown')


@pytest.mark.parametrize("status", [*STATUSES, None, "NEW_STATUS"])
def test_only_a_complete_stack_is_good(status: str | None) -> None:
    state = classify_stack(status)
    if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"):
        assert state.health is Health.GOOD
    elif status == "NEW_STATUS":
        assert state.health is Health.UNKNOWN
    elif status and status.endswith("IN_PROGRESS") and status != "REVIEW_IN_PROGRESS":
        assert (state.health, state.next) == (Health.BUSY, "deploy.py watch -e {env}")
    else:
        assert state.health is Health.BAD
        assert state.next.startswith("deploy.py ")


def test_a_stack_that_was_rolled_back_is_bad_although_it_works() -> None:
    stack = SimpleNamespace(label="root")
    state = StackState(id="arn", name=CLUSTER, status="UPDATE_ROLLBACK_COMPLETE", reason="Backend failed")
    part = health_checks.examine_stack(stack, state, "lab")
    assert part.health is Health.BAD
    assert part.text == (
        "UPDATE_ROLLBACK_COMPLETE, the last deployment failed: the stack was rolled back to its state before the "
        "update: Backend failed"
    )
    assert part.next == "deploy.py diagnose -e lab"


# --- the first line


def status_of(*found: Part) -> Status:
    return Status(CLUSTER, datetime.now(UTC), found)


def test_the_first_line_names_the_cause_and_the_next_command() -> None:
    found = status_of(
        Part("stacks", "root", Health.BAD, "rolled back", next="deploy.py diagnose -e lab"),
        Part("services", "orders", Health.BAD, "0 of 2 tasks run"),
        Part("database", CLUSTER, Health.BAD, "stopped", next="aws rds start-db-cluster"),
        Part("alarms", "all", Health.UNKNOWN, "unreadable"),
    )
    assert found.headline == "database atlas-lab: stopped (3 more). Next: aws rds start-db-cluster"


def test_an_unknown_part_is_worse_than_a_busy_one() -> None:
    busy, unknown = Part("services", "orders", Health.BUSY, "starts"), Part("database", "", Health.UNKNOWN, "no answer")
    assert status_of(busy, unknown).health is Health.UNKNOWN
    assert status_of(busy, unknown).headline == "database: no answer."
    assert status_of(busy).headline == "1 of 1 parts are busy"
    assert status_of(Part("services", "x", Health.GOOD, "runs")).headline == "all 1 parts are good"
    assert status_of().health is Health.UNKNOWN


# --- a deployed environment


def test_a_stopped_database_is_bad(deploy_py: Run, deployed: parts.Deployed) -> None:
    rds = deployed.client("rds")
    rds.stop_db_cluster(DBClusterIdentifier=CLUSTER)
    try:
        done = deploy_py("status", "-e", "lab")
        assert done.returncode == 1
        first = done.stdout.splitlines()[0]
        assert "bad  database atlas-lab: the database is stopped" in first
        assert "Next: aws rds start-db-cluster --db-cluster-identifier atlas-lab --region ap-northeast-1" in first
        document = json.loads(deploy_py("status", "-e", "lab", "--output", "json").stdout)
        assert document["headline"] in first
    finally:
        rds.start_db_cluster(DBClusterIdentifier=CLUSTER)


def test_a_deleted_database_is_bad(deployed: parts.Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    real = stacks.describe_stack

    def another_cluster(client: Any, name: str) -> StackState | None:
        state = real(client, name)
        assert state is not None
        return StackState(state.id, state.name, state.status, outputs={"DbClusterId": "atlas-lab-deleted"})

    monkeypatch.setattr(stacks, "describe_stack", another_cluster)
    (part,) = health_checks.examine("database", lambda: health_checks.examine_database(deployed.platform))
    assert part.health is Health.BAD
    assert "atlas-lab-deleted" in part.text
    assert part.next == "docs/incidents.md#database-deleted"


class Rds:
    """RDS with another state of the cluster and of one instance."""

    def __init__(self, real: Any, cluster: str, instance: str) -> None:
        self._real, self._cluster, self._instance = real, cluster, instance

    def describe_db_clusters(self, **given: Any) -> Any:
        answer = self._real.describe_db_clusters(**given)
        answer["DBClusters"][0]["Status"] = self._cluster
        return answer

    def get_paginator(self, name: str) -> Any:
        pages = list(self._real.get_paginator(name).paginate())
        for page in pages:
            for instance in page["DBInstances"]:
                instance["DBInstanceStatus"] = self._instance
        return SimpleNamespace(paginate=lambda **_: pages)


@pytest.mark.parametrize(
    ("cluster", "instance", "health", "words"),
    [
        ("inaccessible-encryption-credentials", "available", Health.BAD, "RDS cannot use the key of the database"),
        ("available", "storage-full", Health.BAD, "storage-full, the local storage is full"),
        ("available", "rebooting", Health.BUSY, "rebooting, the instance restarts"),
        ("hibernating", "available", Health.UNKNOWN, 'the state "hibernating" is unknown'),
    ],
)
def test_states_of_the_cluster_and_of_its_instances_count(
    deployed: parts.Deployed,
    monkeypatch: pytest.MonkeyPatch,
    cluster: str,
    instance: str,
    health: Health,
    words: str,
) -> None:
    clients = deployed.platform.context.clients
    real = clients.rds(deployed.platform.home)
    monkeypatch.setattr(type(clients), "rds", lambda *_: Rds(real, cluster, instance))
    found = status_of(*health_checks.examine_database(deployed.platform))
    assert found.health is health
    assert any(words in part.text for part in found.parts), found.parts


@pytest.mark.parametrize(
    ("code", "health"), [("TargetGroupNotFound", Health.BAD), ("AccessDenied", Health.UNKNOWN), ("500", Health.UNKNOWN)]
)
def test_a_missing_resource_is_bad_and_a_refused_answer_is_unknown(code: str, health: Health) -> None:
    def refuse() -> list[Part]:
        raise ClientError({"Error": {"Code": code, "Message": "Target group x was not found"}}, "Describe")

    (part,) = health_checks.examine("targets orders", refuse)
    assert (part.area, part.name, part.health) == ("targets", "orders", health)
    assert part.next.startswith("docs/incidents.md#")


def test_an_alarm_without_actions_is_bad(deployed: parts.Deployed) -> None:
    cloudwatch = deployed.client("cloudwatch")
    cloudwatch.disable_alarm_actions(AlarmNames=[f"{CLUSTER}-portal-5xx"])
    try:
        found = health_checks.examine_alarms(deployed.platform)
        bad = [part for part in found if part.health is Health.BAD]
        assert [(part.name, part.text) for part in bad] == [("portal-5xx", "its actions are disabled")]
        assert bad[0].next.startswith("aws cloudwatch enable-alarm-actions --alarm-names atlas-lab-portal-5xx")
    finally:
        cloudwatch.enable_alarm_actions(AlarmNames=[f"{CLUSTER}-portal-5xx"])


def test_the_next_step_of_an_alarm_is_the_command_of_its_description(deployed: parts.Deployed) -> None:
    cloudwatch = deployed.client("cloudwatch")
    cloudwatch.set_alarm_state(AlarmName=f"{CLUSTER}-portal-5xx", StateValue="ALARM", StateReason="test")
    try:
        (bad,) = [part for part in health_checks.examine_alarms(deployed.platform) if part.health is Health.BAD]
        assert (bad.text, bad.next) == (
            "The app returns server errors",
            "deploy.py logs --service portal --since 1h -e lab",
        )
    finally:
        cloudwatch.set_alarm_state(AlarmName=f"{CLUSTER}-portal-5xx", StateValue="OK", StateReason="test")


def test_the_screen_and_the_document_name_the_declared_exceptions() -> None:
    found = Status(CLUSTER, datetime.now(UTC), (), exceptions=("Mailer runs one task and is not highly available",))
    console = Console(file=io.StringIO(), width=200)
    console.print(render_status(found))
    assert "declared: Mailer runs one task and is not highly available" in console.file.getvalue()  # type: ignore[attr-defined]
    assert as_document(found)["declaredExceptions"] == list(found.exceptions)
