"""What people read when AWS refuses a session, a secret or a task."""

from __future__ import annotations

import platform as machine
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, SSOTokenLoadError
from botocore.stub import Stubber

from hosting.deployer.errors import DeployerError
from hosting.deployer.operate import (
    credentials,
    execute,
    plugin,
    standalone_task,
    tasks,
    tunnel,
)
from hosting.deployer.operate.tasks import Container, Task
from tests.deployer.operate import parts

TASK = Task(
    arn="arn:aws:ecs:ap-northeast-1:111122223333:task/atlas-lab/0123456789abcdef",
    cluster="atlas-lab",
    definition="atlas-lab:1",
    status="RUNNING",
    desired="RUNNING",
    started=datetime(2026, 11, 22, tzinfo=UTC),
    exec_enabled=True,
    containers=(Container("bastion", "0123-456", "RUNNING", "HEALTHY", "RUNNING"),),
)


def refusal(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "not you"}}, operation)


def test_a_denied_tunnel_names_the_two_things_to_allow(deployed: parts.Deployed) -> None:
    found = tunnel._refused(refusal("AccessDeniedException", "StartSession"), TASK, deployed.platform)
    assert f"ssm:StartSession on {TASK.arn} and on the document AWS-StartPortForwardingSession" in str(found)


def test_an_agent_that_is_not_connected_leads_to_the_check(deployed: parts.Deployed) -> None:
    found = tunnel._refused(refusal("TargetNotConnected", "StartSession"), TASK, deployed.platform)
    assert "deploy.py exec --check -e lab" in str(found)


def test_the_tunnel_reconnects_after_a_network_failure(
    deployed: parts.Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A laptop that has slept finds neither session nor network; what no waiting mends ends it all the same."""
    trouble = iter(
        [
            EndpointConnectionError(endpoint_url="https://ecs.example"),
            refusal("ThrottlingException", "ListTasks"),
            SSOTokenLoadError(error_msg="logged out"),
            refusal("ExpiredTokenException", "ListTasks"),
        ]
    )

    def pick(*_: object) -> Task:
        raise next(trouble)

    monkeypatch.setattr("hosting.deployer.operate.tasks.select_task", pick)
    door = tunnel.Tunnel(
        deployed.platform,
        plugin.Plugin("none", ()),
        deployed.platform.service(None),
        tunnel.DatabaseEnd.WRITER,
        1,
        sleep=lambda _: None,
    )
    events = door.follow(reconnect=True)
    lost = [next(events) for _ in range(3)]
    assert [one.wait for one in lost if isinstance(one, tunnel.Lost)] == [1.0, 2.0, 4.0]
    with pytest.raises(DeployerError, match="have expired"):
        next(events)


def test_a_denied_command_names_what_to_allow(deployed: parts.Deployed) -> None:
    found = execute._refused(refusal("AccessDeniedException", "ExecuteCommand"), TASK, "app", deployed.platform)
    assert f"ecs:ExecuteCommand on {TASK.arn}" in str(found)


def test_a_denied_secret_offers_another_way(deployed: parts.Deployed) -> None:
    with Stubber(deployed.client("secretsmanager")) as stub:
        stub.add_client_error("get_secret_value", "AccessDeniedException", "not you")
        with pytest.raises(DeployerError, match="or use --user NAME"):
            credentials.read_master_login(deployed.platform)


def test_a_secret_that_is_no_json_is_not_quoted(deployed: parts.Deployed) -> None:
    with Stubber(deployed.client("secretsmanager")) as stub:
        stub.add_response("get_secret_value", {"SecretString": "hunter2-not-json"})
        with pytest.raises(DeployerError) as caught:
            credentials.read_master_login(deployed.platform)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_passwords_are_not_in_representations() -> None:
    assert "hunter2" not in repr(credentials.Login("admin", "hunter2"))


def test_a_task_that_could_not_be_placed_is_reported_with_the_reason(deployed: parts.Deployed) -> None:
    service = deployed.platform.service(None)
    client = deployed.client("ecs")
    live: Any = client.describe_services(cluster="atlas-lab", services=[service.ecs_name])
    definition: Any = client.describe_task_definition(taskDefinition=live["services"][0]["taskDefinition"])
    for answer in (live, definition):
        answer.pop("ResponseMetadata")
    with Stubber(client) as stub:
        stub.add_response("describe_services", live)
        stub.add_response("describe_task_definition", definition)
        stub.add_response("run_task", {"tasks": [], "failures": [{"reason": "Capacity is unavailable at this time"}]})
        with pytest.raises(DeployerError, match="Capacity is unavailable"):
            standalone_task.start_task(deployed.platform, service, ["true"])


def test_stopped_tasks_are_read_to_the_last_page(deployed: parts.Deployed) -> None:
    """A crash loop fills the first page; the task that stopped last may be on any."""
    raw = {"taskArn": TASK.arn, "taskDefinitionArn": "app:1", "lastStatus": "STOPPED", "containers": []}
    with Stubber(deployed.client("ecs")) as stub:
        stub.add_response("list_tasks", {"taskArns": ["a"], "nextToken": "more"})
        stub.add_response("list_tasks", {"taskArns": ["b"]})
        stub.add_response(
            "describe_tasks", {"tasks": [raw], "failures": []}, {"cluster": "atlas-lab", "tasks": ["a", "b"]}
        )
        assert len(list(tasks.list_stopped_tasks(deployed.platform, deployed.platform.service(None)))) == 1


def test_a_service_that_was_deleted_outside_cloudformation_is_an_error(deployed: parts.Deployed) -> None:
    service = deployed.platform.service(None)
    gone: Any = {"services": [{"serviceName": service.ecs_name, "status": "INACTIVE"}], "failures": []}
    for answer in (gone, {"services": [], "failures": [{"reason": "MISSING"}]}):
        with Stubber(deployed.client("ecs")) as stub:
            stub.add_response("describe_services", answer)
            with pytest.raises(DeployerError, match="the service does not exist in ECS"):
                standalone_task.start_task(deployed.platform, service, ["true"])


@pytest.mark.parametrize(
    ("system", "words"),
    [("Darwin", "brew install"), ("Windows", "winget install"), ("Linux", "session-manager-plugin")],
)
def test_the_install_command_fits_the_machine(system: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "system", lambda: system)
    assert words in plugin.install_command()


@pytest.mark.parametrize(("text", "version"), [("1.2.707.0\n", (1, 2, 707, 0)), ("v1.2", (1, 2)), ("unknown", ())])
def test_versions_of_the_plugin_are_parsed(text: str, version: tuple[int, ...]) -> None:
    assert plugin.parse_version(text) == version
