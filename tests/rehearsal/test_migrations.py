"""A declared migration in the emulator: when it runs, with which image, how often, and what its failure leaves."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from generator.config import load_config
from generator.render import render_all
from hosting.deployer import context as contexts
from hosting.deployer import environment as environments
from hosting.deployer import pipeline
from hosting.deployer.context import Context
from hosting.deployer.errors import DeployerError, DeploymentFailedError
from hosting.deployer.reporter import SilentReporter
from hosting.model.stack_order import StackRole
from hosting.rehearsal.emulator import Emulator
from hosting.rehearsal.prerequisites import Prerequisites
from tests.support.project import REPOSITORY, copy_project
from tests.support.waiting import PATIENCE, eventually

CLUSTER = "atlas-lab"
WORKLOADS = """
from generator.workloads import WebService

WORKLOADS = (
    WebService("Portal", paths=("/*",), priority=900),
    WebService("Orders", paths=("/orders", "/orders/*"), priority=100, migrate=("./manage", "migrate")),
    WebService("Search", paths=("/search", "/search/*"), priority=200, like="Orders"),
)
"""
_digits = itertools.count(1)


@dataclass
class Site:
    """An environment whose workload Orders has a migration. Search runs the same image and has none."""

    emulator: Emulator
    project: Path
    seeding: Prerequisites = field(init=False)

    def __post_init__(self) -> None:
        context = self.context()
        self.seeding = Prerequisites(self.emulator, context.identity.account, context.home)
        self.ecs: Any = context.clients.ecs(context.home)

    def context(self, *overrides: str) -> Context:
        environment = environments.prepare(self.project, "lab", overrides=overrides)
        clients = self.emulator.clients(environment.file.account or "123456789012")
        return contexts.connect(environment, clients, sleep=lambda seconds: time.sleep(min(seconds, 0.05)))

    def new_image(self, *, migrates: int | None = 0) -> str:
        """Push an image of Orders and Search, and return the parameter that names it."""
        repository = self.context().environment.file.values["OrdersImage"].partition("@")[0]
        image = f"{repository}@sha256:{next(_digits):064x}"
        self.seeding.push_images({"Image": image})
        self.seeding.declare_command("./manage migrate", exit_code=migrates)
        return f"OrdersImage={image}"

    def deploy(self, *overrides: str) -> None:
        pipeline.deploy_stacks(self.context(*overrides), SilentReporter())

    def migrations(self, image: str) -> list[dict[str, Any]]:
        """Return the tasks of the migration with an image."""
        arns = [
            arn
            for status in ("RUNNING", "STOPPED")
            for arn in self.ecs.list_tasks(cluster=CLUSTER, startedBy="migration", desiredStatus=status)["taskArns"]
        ]
        tasks = self.ecs.describe_tasks(cluster=CLUSTER, tasks=arns)["tasks"] if arns else []
        return [task for task in tasks if image_of(task["containers"]) == image]

    def serving(self) -> dict[str, set[str]]:
        """Return the images of the running tasks of each service."""
        arns = self.ecs.list_tasks(cluster=CLUSTER, desiredStatus="RUNNING")["taskArns"]
        found: dict[str, set[str]] = {"Orders": set(), "Search": set()}
        for task in self.ecs.describe_tasks(cluster=CLUSTER, tasks=arns)["tasks"] if arns else []:
            for name, images in found.items():
                if task["group"].startswith("service:") and f"-{name}ServiceStack-" in task["group"]:
                    images.add(image_of(task["containers"]))
        return found


def image_of(containers: list[dict[str, Any]]) -> str:
    return next(str(one["image"]) for one in containers if one["name"] == "app")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copy_project(tmp_path_factory.mktemp("migrating"))
    (folder / "workloads.py").write_text(WORKLOADS, encoding="utf-8")
    parameters = folder / "params" / "lab.json"
    text = parameters.read_text(encoding="utf-8")
    parameters.write_text("".join(line for line in text.splitlines(True) if "SearchImage" not in line))
    (folder / "templates").mkdir()
    for name, body in render_all(load_config(folder)).items():
        (folder / "templates" / name).write_text(body, encoding="utf-8")
    return folder


def start(emulator: Emulator, project: Path) -> Site:
    """Return a site of which bootstrap is deployed and whose images exist."""
    site = Site(emulator, project)
    values = site.context().environment.file.values
    site.seeding.prepare(values)
    pipeline.deploy_stacks(site.context(), SilentReporter(), through=StackRole.BOOTSTRAP)
    site.seeding.push_images(values)
    return site


@pytest.fixture(scope="module")
def deployed(project: Path) -> Iterator[Site]:
    """A deployed site. Each test deploys an image of its own to it."""
    with Emulator() as emulator:
        site = start(emulator, project)
        site.deploy()
        yield site


def test_a_first_deployment_migrates_before_its_services_exist(project: Path) -> None:
    with Emulator() as emulator:
        site = start(emulator, project)
        site.seeding.declare_command("./manage migrate", exit_code=None)
        image = site.context().environment.file.values["OrdersImage"]
        deployment = threading.Thread(target=site.deploy)
        deployment.start()
        try:
            (task,) = eventually(lambda: site.migrations(image))
            assert site.serving() == {"Orders": set(), "Search": set()}
        finally:
            for task in site.migrations(image):
                site.seeding.end_task(task["taskArn"], 0)
            deployment.join(PATIENCE)
        assert site.serving() == {"Orders": {image}, "Search": {image}}
        assert len(site.migrations(image)) == 1


def test_a_failed_migration_of_a_first_deployment_keeps_the_platform(project: Path) -> None:
    """Search shares the image, so it waits for the schema. Portal does not."""
    with Emulator() as emulator:
        site = start(emulator, project)
        site.seeding.declare_command("./manage migrate", exit_code=3)
        with pytest.raises(DeploymentFailedError, match="Orders"):
            site.deploy()
        services = site.ecs.list_services(cluster=CLUSTER)["serviceArns"]
        assert [one for one in services if "-PortalServiceStack-" not in one] == []
        assert len(services) == 1
        image = site.new_image()
        site.deploy(image)
        assert site.serving() == {"Orders": {image.partition("=")[2]}, "Search": {image.partition("=")[2]}}


def test_a_new_version_migrates_once_while_only_the_old_one_serves(deployed: Site) -> None:
    """The client is killed meanwhile: CloudFormation continues, and the next client finds nothing left to do."""
    before = deployed.serving()
    override = deployed.new_image(migrates=None)
    image = override.partition("=")[2]
    command = ["deploy", "-e", "lab", "--yes", "--root", str(deployed.project), "--set", override]
    environment = deployed.emulator.subprocess_environment(deployed.seeding.account)
    client = subprocess.Popen(
        [sys.executable, str(REPOSITORY / "deploy.py"), *command],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )

    def started() -> list[dict[str, Any]]:
        assert client.poll() is None, client.communicate()[1]
        return deployed.migrations(image)

    (task,) = eventually(started)
    client.kill()
    client.wait()
    assert task["overrides"]["containerOverrides"][0]["command"] == ["./manage", "migrate"]
    assert deployed.serving() == before
    deployed.seeding.end_task(task["taskArn"], 0)
    deployed.deploy(override)
    assert deployed.serving() == {"Orders": {image}, "Search": {image}}
    assert len(deployed.migrations(image)) == 1


def test_a_failed_migration_leaves_the_old_version_serving(deployed: Site) -> None:
    before = deployed.serving()
    (old,) = before["Orders"]
    runs = len(deployed.migrations(old))
    override = deployed.new_image(migrates=3)
    with pytest.raises(DeploymentFailedError) as caught:
        deployed.deploy(override)
    assert deployed.serving() == before
    (task,) = deployed.migrations(override.partition("=")[2])
    message = shown(caught.value)
    assert "migration of Orders `./manage migrate` ended with exit code 3" in message
    assert task["taskArn"].rpartition("/")[2] in message
    assert len(deployed.migrations(old)) == runs, "the rollback runs no migration"
    # The corrected version migrates again.
    corrected = deployed.new_image()
    deployed.deploy(corrected)
    image = corrected.partition("=")[2]
    assert deployed.serving() == {"Orders": {image}, "Search": {image}}


def test_a_version_that_misbehaves_is_rolled_back_after_its_migration(deployed: Site) -> None:
    before = deployed.serving()
    override = deployed.new_image()
    image = override.partition("=")[2]
    deployed.seeding.push_alarming_image(image, f"{CLUSTER}-orders-5xx")
    with pytest.raises(DeploymentFailedError) as caught:
        deployed.deploy(override)
    assert deployed.serving() == before
    assert len(deployed.migrations(image)) == 1
    assert f"alarm detected: {CLUSTER}-orders-5xx" in shown(caught.value)
    assert "an alarm fired during the deployment" in shown(caught.value)


def shown(error: DeployerError) -> str:
    return f"{error} {error.hint}"


def test_a_deployment_without_a_new_version_runs_no_migration(deployed: Site) -> None:
    override = deployed.new_image()
    deployed.deploy(override)
    deployed.deploy(override, "LogRetentionDays=5")
    assert len(deployed.migrations(override.partition("=")[2])) == 1
