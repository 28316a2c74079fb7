"""Redeployments after a secret got a new value, with services on the emulator that read the secret or do not."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.lambdas.proxy import Proxy, Reply, Request
from tests.lambdas.runtime import Function, FunctionError

Start = Callable[..., Function]
Client = Callable[..., Any]

CLUSTER = "shop-prod"
LONG_AGO = datetime.now(UTC) - timedelta(days=2)
SOON = datetime.now(UTC) + timedelta(days=2)


class Scene:
    """A cluster with services, and a secret. The test sets its date of rotation, because the emulator has none."""

    def __init__(self, aws: Client, proxy: Proxy) -> None:
        self.ecs = aws("ecs")
        self.secret: str = aws("secretsmanager").create_secret(Name="database", SecretString="{}")["ARN"]
        self.ecs.create_cluster(clusterName=CLUSTER)
        self.rotated: datetime | None = None
        # Versions of a secret are as old as the test. The real ones are older than the deployments.
        self.created = LONG_AGO - timedelta(days=1)
        self.refused: set[str] = set()
        # Ends of deployments that ECS's circuit breaker rolled back. The emulator has no circuit breaker.
        self.rolled_back: list[datetime] = []
        self.calls: list[str] = []
        proxy.answer = self._answer

    def _answer(self, request: Request, forward: Callable[[], Reply]) -> Reply:
        self.calls.append(request.operation)
        if request.operation == "UpdateService" and json.loads(request.body)["service"] in self.refused:
            refusal = {"__type": "AccessDeniedException", "message": "not authorized to perform: ecs:UpdateService"}
            return Reply(400, json.dumps(refusal).encode(), "application/x-amz-json-1.1")
        reply = forward()
        rotated = request.operation == "DescribeSecret" and json.loads(request.body)["SecretId"] == self.secret
        if rotated and self.rotated:
            described = json.loads(reply.body) | {"LastRotatedDate": self.rotated.timestamp()}
            reply = Reply(reply.status, json.dumps(described).encode(), reply.content_type)
        if request.operation == "ListSecretVersionIds":
            listed = json.loads(reply.body)
            for version in listed["Versions"]:
                version["CreatedDate"] = self.created.timestamp()
            reply = Reply(reply.status, json.dumps(listed).encode(), reply.content_type)
        if request.operation == "DescribeServices" and self.rolled_back:
            described = json.loads(reply.body)
            for service in described["services"]:
                self._roll_back(service)
            reply = Reply(reply.status, json.dumps(described).encode(), reply.content_type)
        return reply

    def _roll_back(self, service: dict[str, Any]) -> None:
        """Change a service as ECS does: the old deployment with its date, and events with the newest first."""
        name, primary = service["serviceName"], service["deployments"][0]
        service["deployments"] = [primary | {"createdAt": LONG_AGO.timestamp(), "rolloutState": "COMPLETED"}]
        service["events"] = [
            {
                "id": f"{ended.timestamp()}-{number}",
                "createdAt": ended.timestamp(),
                "message": f"(service {name}) {text}",
            }
            for ended in sorted(self.rolled_back, reverse=True)
            for number, text in enumerate(
                (
                    "has reached a steady state.",
                    "(deployment ecs-svc/1675294001379389663) deployment completed.",
                    "rolling back to deployment ecs-svc/1675294001379389663.",
                    "(deployment ecs-svc/1571272475813219068) deployment failed: tasks failed to start.",
                )
            )
        ]

    def service(self, name: str, *secrets: str, desired: int = 2) -> None:
        sources = [{"name": f"S{number}", "valueFrom": secret} for number, secret in enumerate(secrets)]
        containers = [{"name": "bastion", "image": "b"}, {"name": "app", "image": "a", "secrets": sources}]
        definition = self.ecs.register_task_definition(family=name, containerDefinitions=containers)
        arn = definition["taskDefinition"]["taskDefinitionArn"]
        self.ecs.create_service(cluster=CLUSTER, serviceName=name, taskDefinition=arn, desiredCount=desired)

    def deployment(self, name: str) -> str:
        service = self.ecs.describe_services(cluster=CLUSTER, services=[name])["services"][0]
        primary: str = service["deployments"][0]["id"]
        return primary


@pytest.fixture
def scene(aws: Client, proxied: Proxy) -> Scene:
    return Scene(aws, proxied)


@pytest.fixture
def watch(function: Start, endpoint: Mapping[str, str], proxied: Proxy, scene: Scene) -> Function:
    own = {"AWS_ENDPOINT_URL": proxied.endpoint, "CLUSTER_NAME": CLUSTER}
    return function("credentials_watch", {**endpoint, **own})


# EventBridge User Guide, scheduled events.
SCHEDULED = {
    "version": "0",
    "id": "89d1a02d-5ec7-412e-82f5-13505f849b41",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": "123456789012",
    "time": "2026-11-22T11:30:00Z",
    "region": "ap-northeast-1",
    "resources": ["arn:aws:events:ap-northeast-1:123456789012:rule/shop-prod-credentials"],
    "detail": {},
}


def test_only_services_that_read_a_rotated_secret_are_redeployed(watch: Function, scene: Scene, aws: Client) -> None:
    scene.service("whole", scene.secret)
    scene.service("field", "arn:aws:ssm:ap-northeast-1:1:parameter/x", f"{scene.secret}:password::")
    scene.service("other", aws("secretsmanager").create_secret(Name="database-of-another", SecretString="{}")["ARN"])
    scene.service("none")
    before = {name: scene.deployment(name) for name in ("whole", "field", "other", "none")}
    scene.rotated = SOON
    answer = watch.invoke(SCHEDULED).payload
    assert sorted(answer["redeployed"]) == ["field", "whole"]
    assert (answer["current"], answer["failed"]) == (["other"], [])
    changed = {name for name, deployment in before.items() if scene.deployment(name) != deployment}
    assert changed == {"whole", "field"}


@pytest.mark.parametrize("rotated", [None, LONG_AGO], ids=["never", "before the deployment"])
def test_a_service_newer_than_the_rotation_is_not_redeployed(
    watch: Function, scene: Scene, rotated: datetime | None
) -> None:
    scene.service("whole", scene.secret)
    before = scene.deployment("whole")
    scene.rotated = rotated
    answer = watch.invoke(SCHEDULED).payload
    assert answer["redeployed"] == []
    assert scene.deployment("whole") == before
    assert "UpdateService" not in scene.calls


def test_the_next_run_redeploys_no_service_again(watch: Function, scene: Scene) -> None:
    """The function has no state besides the date of the new deployment."""
    scene.service("whole", scene.secret)
    scene.rotated = datetime.now(UTC) + timedelta(seconds=1)
    assert watch.invoke(SCHEDULED).payload["redeployed"] == ["whole"]
    scene.rotated = LONG_AGO
    answer = watch.invoke(SCHEDULED).payload
    assert (answer["redeployed"], answer["current"]) == ([], ["whole"])


def test_a_deployment_that_ecs_rolls_back_is_forced_twice_at_most(watch: Function, scene: Scene) -> None:
    """After the rollback the newest deployment is the old one, which stays older than the rotation."""
    scene.service("broken", scene.secret)
    now = datetime.now(UTC)
    scene.rotated = now - timedelta(hours=1)
    # Failures before the rotation are not caused by the new password.
    scene.rolled_back = [now - timedelta(hours=3), now - timedelta(hours=2)]
    assert watch.invoke(SCHEDULED).payload["redeployed"] == ["broken"]
    scene.rolled_back.append(now - timedelta(minutes=50))
    assert watch.invoke(SCHEDULED).payload["redeployed"] == ["broken"], "the failed deployment may be one of a user"
    scene.rolled_back.append(now - timedelta(minutes=20))
    answer = watch.invoke(SCHEDULED)
    assert (answer.payload["redeployed"], answer.payload["given_up"]) == ([], ["broken"])
    assert "broken holds an old secret: its deployments since the change failed" in answer.logs
    assert scene.calls.count("UpdateService") == 2
    scene.rotated = now - timedelta(minutes=10)
    assert watch.invoke(SCHEDULED).payload["redeployed"] == ["broken"], "failures are counted since the last rotation"


def test_a_deployment_in_progress_is_not_replaced(watch: Function, scene: Scene) -> None:
    """The deployment is newer than the rotation, also before it succeeds or fails."""
    scene.service("slow", scene.secret)
    scene.rotated = datetime.now(UTC) - timedelta(seconds=30)
    answer = watch.invoke(SCHEDULED).payload
    assert (answer["redeployed"], answer["current"]) == ([], ["slow"])


def test_a_service_without_tasks_and_a_deleted_one_are_not_redeployed(watch: Function, scene: Scene) -> None:
    scene.service("stopped", scene.secret, desired=0)
    scene.service("deleted", scene.secret)
    scene.ecs.delete_service(cluster=CLUSTER, service="deleted", force=True)
    scene.rotated = SOON
    assert watch.invoke(SCHEDULED).payload["redeployed"] == []


def test_all_services_of_several_pages_are_redeployed(watch: Function, scene: Scene) -> None:
    names = [f"service-{number:02d}" for number in range(23)]
    for name in names:
        scene.service(name, scene.secret)
    scene.rotated = SOON
    assert sorted(watch.invoke(SCHEDULED).payload["redeployed"]) == names


def test_a_refused_deployment_does_not_stop_the_other_ones(watch: Function, scene: Scene) -> None:
    for name in ("first", "second", "third"):
        scene.service(name, scene.secret)
    before = {name: scene.deployment(name) for name in ("first", "second", "third")}
    scene.rotated, scene.refused = SOON, {"second"}
    with pytest.raises(FunctionError, match="deployment failed for second") as failed:
        watch.invoke(SCHEDULED)
    assert "AccessDeniedException" in failed.value.logs
    assert {name for name in before if scene.deployment(name) != before[name]} == {"first", "third"}


def changed(scene: Scene, time: datetime, **other: Any) -> dict[str, Any]:
    """Return Secrets Manager's event (Secrets Manager User Guide, "Secret event notifications")."""
    return (
        SCHEDULED
        | {
            "detail-type": "Secret Label Updated",
            "source": "aws.secretsmanager",
            "time": f"{time:%Y-%m-%dT%H:%M:%SZ}",
            "resources": [scene.secret],
            "detail": {"name": "database", "labelUpdated": "AWSCURRENT", "versionId": "a1b2c3d4"},
        }
        | other
    )


def test_the_event_of_a_secret_redeploys_the_services_that_read_it(watch: Function, scene: Scene, aws: Client) -> None:
    other = aws("secretsmanager").create_secret(Name="other", SecretString="{}")["ARN"]
    scene.service("database", other, f"{scene.secret}:password::")
    scene.service("other", other)
    scene.created = SOON
    answer = watch.invoke(changed(scene, datetime.now(UTC))).payload
    assert (answer["redeployed"], answer["current"]) == (["database"], []), "the other secret has no event"


def test_the_time_of_the_event_counts_if_the_label_moves_to_an_old_version(watch: Function, scene: Scene) -> None:
    scene.service("whole", scene.secret)
    assert watch.invoke(changed(scene, LONG_AGO)).payload["current"] == ["whole"], "a delayed event changes nothing"
    assert watch.invoke(changed(scene, SOON)).payload["redeployed"] == ["whole"]


def test_the_schedule_finds_a_new_value_of_any_secret_without_a_rotation(
    watch: Function, scene: Scene, aws: Client
) -> None:
    key = aws("secretsmanager").create_secret(Name="api-key", SecretString="a")["ARN"]
    scene.service("reader", key)
    scene.service("pinned", f"{key}:::{'a1b2c3d4-5678-90ab-cdef-EXAMPLE11111'}", f"{key}::AWSPREVIOUS:")
    assert watch.invoke(SCHEDULED).payload["current"] == ["reader"]
    scene.created = SOON
    answer = watch.invoke(SCHEDULED).payload
    assert answer["redeployed"] == ["reader"], "a fixed version does not change"


def test_a_secret_of_another_account_does_not_fail_the_invocation(watch: Function, scene: Scene) -> None:
    scene.service("shop-prod-partner", "arn:aws:secretsmanager:ap-northeast-1:999999999999:secret:partner-AbCdEf:key::")
    scene.service("shop-prod-remote", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:remote-AbCdEf")
    assert watch.invoke(SCHEDULED).payload["unreadable"] == []


def test_a_deleted_secret_fails_the_invocation_after_the_other_services(
    watch: Function, scene: Scene, aws: Client
) -> None:
    gone = aws("secretsmanager").create_secret(Name="gone", SecretString="a")["ARN"]
    scene.service("broken", gone)
    scene.service("whole", scene.secret)
    aws("secretsmanager").delete_secret(SecretId=gone, ForceDeleteWithoutRecovery=True)
    scene.rotated = SOON
    before = scene.deployment("whole")
    with pytest.raises(FunctionError, match=r"secrets that cannot be described: .*gone"):
        watch.invoke(SCHEDULED)
    assert scene.deployment("whole") != before


def test_the_function_calls_only_what_its_role_allows(watch: Function, scene: Scene) -> None:
    scene.service("whole", scene.secret)
    scene.rotated = SOON
    watch.invoke(SCHEDULED)
    assert set(scene.calls) == {
        "DescribeSecret",
        "ListSecretVersionIds",
        "ListServices",
        "DescribeServices",
        "DescribeTaskDefinition",
        "UpdateService",
    }
