"""The deletion of an environment whose internal service still has an address in Cloud Map."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config

from generator.config import load_config
from generator.render import render_all
from hosting.deployer import context as contexts
from hosting.deployer import environment as environments
from hosting.deployer import pipeline
from hosting.deployer.context import Context
from hosting.deployer.errors import DeploymentFailedError
from hosting.deployer.reporter import SilentReporter
from hosting.model.stack_order import StackRole
from hosting.rehearsal.emulator import Emulator
from hosting.rehearsal.prerequisites import Prerequisites
from tests.support.project import copy_project

pytestmark = pytest.mark.slow(reason="deploys an environment")

WORKLOADS = """
from generator.workloads import InternalService, WebService

WORKLOADS = (
    WebService("Portal", paths=("/*",), priority=900),
    InternalService("Orders", called_by=("Portal",)),
    WebService("Search", paths=("/search",), priority=200),
)
"""


@pytest.fixture
def deployed(tmp_path: Path) -> Iterator[Context]:
    folder = copy_project(tmp_path)
    (folder / "workloads.py").write_text(WORKLOADS, encoding="utf-8")
    (folder / "templates").mkdir()
    for name, text in render_all(load_config(folder)).items():
        (folder / "templates" / name).write_text(text, encoding="utf-8")
    with Emulator() as emulator:
        environment = environments.prepare(folder, "lab")
        clients = emulator.clients(environment.file.account or "123456789012")
        context = contexts.connect(environment, clients, sleep=lambda seconds: time.sleep(min(seconds, 0.05)))
        values = environment.file.values
        seeding = Prerequisites(emulator, context.identity.account, context.home)
        seeding.prepare(values)
        pipeline.deploy_stacks(context, SilentReporter(), through=StackRole.BOOTSTRAP)
        seeding.push_images(values)
        pipeline.deploy_stacks(context, SilentReporter())
        yield context


def test_a_deletion_is_repeated_until_ecs_has_removed_the_addresses(deployed: Context) -> None:
    cloud_map: Any = deployed.clients.create("servicediscovery", deployed.home, Config())
    (name,) = cloud_map.list_services()["Services"]
    left = {"ServiceId": name["Id"], "InstanceId": "left-by-ecs"}
    cloud_map.register_instance(**left, Attributes={"AWS_INSTANCE_IPV4": "10.44.0.9"})
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        if seconds >= 60:
            waits.append(seconds)
            if len(waits) == 2:
                cloud_map.deregister_instance(**left)
        time.sleep(min(seconds, 0.05))

    pipeline.destroy_stacks(replace(deployed, sleep=sleep), SilentReporter())
    assert len(waits) == 2
    assert cloud_map.list_services()["Services"] == []


def test_a_deletion_that_does_not_pass_ends_with_the_reason(deployed: Context) -> None:
    cloud_map: Any = deployed.clients.create("servicediscovery", deployed.home, Config())
    (name,) = cloud_map.list_services()["Services"]
    cloud_map.register_instance(
        ServiceId=name["Id"], InstanceId="by-a-person", Attributes={"AWS_INSTANCE_IPV4": "10.44.0.9"}
    )
    with pytest.raises(DeploymentFailedError, match="contains registered instances"):
        pipeline.destroy_stacks(deployed, SilentReporter())
