"""Schemas of workloads in the emulator: created through the Data API, and rotated with the packaged function."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from hosting.deployer import context as contexts
from hosting.deployer import deployment, pipeline
from hosting.deployer import environment as environments
from hosting.deployer.reporter import SilentReporter
from hosting.model.stack_order import StackRole
from hosting.rehearsal import rehearse
from hosting.rehearsal.checks import database
from hosting.rehearsal.checks.base import Deployed
from hosting.rehearsal.emulator import Emulator
from hosting.rehearsal.prerequisites import Prerequisites
from tests.support.project import copy_project, write_templates

pytestmark = pytest.mark.slow(reason="deploys an environment")


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    folder: Path = copy_project(tmp_path_factory.mktemp("schemas"))
    file = folder / "workloads.py"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("priority=100", 'priority=100, schema="my_orders"'), encoding="utf-8")
    write_templates(folder)
    with Emulator() as emulator:
        environment = environments.prepare(folder, "lab")
        clients = emulator.clients(environment.file.account or "123456789012")
        context = contexts.connect(environment, clients, sleep=lambda seconds: time.sleep(min(seconds, 0.05)))
        seeding = Prerequisites(emulator, context.identity.account, context.home)
        seeding.prepare(environment.file.values)
        pipeline.deploy_stacks(context, SilentReporter(), through=StackRole.BOOTSTRAP)
        seeding.push_images(environment.file.values)
        pipeline.deploy_stacks(context, SilentReporter())
        yield rehearse.collect_deployed_resources(context, deployment.describe_stacks(context))


def test_a_rotation_names_the_other_user(deployed: Deployed) -> None:
    proofs = list(database.users_take_turns(deployed))
    assert [(proof.holds, proof.seen) for proof in proofs] == [(True, "my_orders_a, then my_orders_b")]


def statement(deployed: Deployed, **changed: Any) -> Any:
    cluster = f"arn:aws:rds:{deployed.home}:{deployed.account}:cluster:{deployed.family}"
    request = {"resourceArn": cluster, "secretArn": deployed.outputs["root"]["DatabaseSecretArn"], "sql": "SELECT 1"}
    client: Any = deployed.clients.create("rds-data", deployed.home, Config(retries={"total_max_attempts": 1}))
    return client.execute_statement(**request | changed)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({}, "BadRequestException"),
        ({"resourceArn": "arn:aws:rds:ap-northeast-1:222233334444:cluster:other"}, "DatabaseNotFoundException"),
        ({"sql": "ALTER USER 'x'@'%' IDENTIFIED WITH mysql_native_password AS '*" + "A" * 40 + "'"}, "BadRequest"),
    ],
)
def test_the_data_api_refuses_what_it_cannot_execute(deployed: Deployed, changed: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError, match=code):
        statement(deployed, **changed)


def test_the_data_api_refuses_a_secret_of_another_user(deployed: Deployed) -> None:
    secret = deployed.id("DatabaseUsersStack/MyOrdersUserSecret")
    with pytest.raises(ClientError, match="Access denied"):
        statement(deployed, secretArn=secret)


def test_the_data_api_has_to_be_on(deployed: Deployed) -> None:
    rds, arn = deployed.client("rds"), f"arn:aws:rds:{deployed.home}:{deployed.account}:cluster:{deployed.family}"
    rds.disable_http_endpoint(ResourceArn=arn)
    try:
        with pytest.raises(ClientError, match="HttpEndpointNotEnabled"):
            statement(deployed)
    finally:
        rds.enable_http_endpoint(ResourceArn=arn)
