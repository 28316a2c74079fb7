"""Several environments and checkouts share bootstrap: no deployment takes away what another one has added to it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from generator.config import load_config
from generator.render import render_all
from hosting.deployer import deployment, pipeline
from hosting.deployer.deployment import Context, Kind
from hosting.deployer.reporter import Level, SilentReporter
from hosting.model.stack_order import StackRole
from hosting.rehearsal.emulator import DEFAULT_ACCOUNT, DEFAULT_REGION, Emulator
from hosting.rehearsal.prerequisites import Prerequisites
from tests.support.project import copy_project


@dataclass
class Messages(SilentReporter):
    """Reporter that records the messages."""

    texts: list[str] = field(default_factory=list)

    def notify(self, text: str, level: Level = "info") -> None:
        self.texts.append(text)


@dataclass(frozen=True)
class Checkout:
    """One checkout of the project, which deploys to the account of the emulator."""

    folder: Path
    emulator: Emulator

    def context(self, environment: str, through: StackRole | None = None) -> Context:
        found = deployment.prepare(self.folder, environment, through=through)
        clients = self.emulator.clients(DEFAULT_ACCOUNT, DEFAULT_REGION)
        return deployment.connect(found, clients, sleep=lambda seconds: time.sleep(min(seconds, 0.02)))

    def deploy(self, environment: str, through: StackRole | None = None) -> list[str]:
        """Deploy an environment after its prerequisites, and return the messages."""
        context, messages = self.context(environment, through), Messages()
        prerequisites = Prerequisites(self.emulator, DEFAULT_ACCOUNT, DEFAULT_REGION)
        prerequisites.prepare(context.environment.file.values)
        if through is None:
            pipeline.deploy_stacks(context, Messages(), through=StackRole.BOOTSTRAP)
            prerequisites.push_images(context.environment.file.values)
        pipeline.deploy_stacks(context, messages, through=through)
        return messages.texts

    def plan_bootstrap(self, environment: str) -> tuple[set[Kind], list[str]]:
        """Plan bootstrap in both regions. Return the kinds of the plans and the messages."""
        context, messages = self.context(environment, StackRole.BOOTSTRAP), Messages()
        states = deployment.describe_stacks(context)
        plans = pipeline.plan_stacks(context, states, messages, verb="plan", through=StackRole.BOOTSTRAP)
        for one in plans:
            deployment.discard(context, one)
        return {one.kind for one in plans}, messages.texts

    def repositories(self) -> set[str]:
        """Return the repositories of the account."""
        client = self.emulator.clients(DEFAULT_ACCOUNT, DEFAULT_REGION).ecr(DEFAULT_REGION)
        return {one["repositoryName"] for one in client.describe_repositories()["repositories"]}

    def tags(self, repository: str) -> set[str]:
        """Return the tags of all images of a repository."""
        client = self.emulator.clients(DEFAULT_ACCOUNT, DEFAULT_REGION).ecr(DEFAULT_REGION)
        images = client.describe_images(repositoryName=repository)["imageDetails"]
        return {tag for image in images for tag in image.get("imageTags", [])}


def make_checkout(folder: Path, emulator: Emulator, *, without: str = "") -> Checkout:
    """Write a checkout of the tests' project, without one of its services if `without` names it."""
    copy_project(folder)
    workloads = folder / "workloads.py"
    lines = workloads.read_text().splitlines(keepends=True)
    workloads.write_text("".join(line for line in lines if not without or f'"{without}"' not in line))
    for file in (folder / "params").glob("*.json"):
        document = json.loads(re.sub(r"\d{12}(?=\.dkr|\")", DEFAULT_ACCOUNT, file.read_text()))
        document["Parameters"] = {
            name: value for name, value in document["Parameters"].items() if not without or not name.startswith(without)
        }
        file.write_text(json.dumps(document))
    (folder / "templates").mkdir()
    for name, text in render_all(load_config(folder)).items():
        (folder / "templates" / name).write_text(text)
    return Checkout(folder, emulator)


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """An emulator of its own, because both checkouts deploy into one account."""
    with Emulator() as started:
        yield started


@pytest.fixture
def newer(tmp_path: Path, emulator: Emulator) -> Checkout:
    """The checkout to which a service was added."""
    return make_checkout(tmp_path / "newer", emulator)


@pytest.fixture
def older(tmp_path: Path, emulator: Emulator) -> Checkout:
    """The checkout of the release before."""
    return make_checkout(tmp_path / "older", emulator, without="Search")


def test_an_older_checkout_deploys_its_environment_beside_a_newer_one(newer: Checkout, older: Checkout) -> None:
    newer.deploy("lab")
    assert "atlas/search" in newer.repositories()
    kinds, messages = older.plan_bootstrap("live")
    assert kinds == {Kind.NOTHING}
    assert [text for text in messages if "SearchRepository" in text] == [
        "atlas-bootstrap: SearchRepository stays, although templates/bootstrap.json does not contain it"
    ]
    older.deploy("live")
    assert "atlas/search" in older.repositories()
    # Both environments run one digest of Portal, and each protects it.
    assert {tag.rsplit("-", 2)[0] for tag in older.tags("atlas/portal") if tag.startswith("in-use-")} == {
        "in-use-lab",
        "in-use-live",
    }
    assert newer.plan_bootstrap("lab")[0] == {Kind.NOTHING}
    context = newer.context("lab")
    (stack, *_) = context.chain
    state = deployment.describe_stacks(context)[stack]
    assert state is not None
    assert state.status == "CREATE_COMPLETE"


def test_a_parameter_that_only_bootstrap_has_keeps_its_value(newer: Checkout, older: Checkout) -> None:
    file = newer.folder / "templates" / "bootstrap.json"
    body = json.loads(file.read_text())
    body["Parameters"]["Owner"] = {"Type": "String", "Default": "none"}
    body["Resources"]["Topic"] = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Ref": "Owner"}}}
    file.write_text(json.dumps(body))
    values = newer.folder / "params" / "lab.json"
    document = json.loads(values.read_text())
    document["Parameters"]["Owner"] = "web"
    values.write_text(json.dumps(document))
    newer.deploy("lab", StackRole.BOOTSTRAP)
    assert older.plan_bootstrap("live")[0] == {Kind.NOTHING}
    older.deploy("live", StackRole.BOOTSTRAP)
    context = older.context("live", StackRole.BOOTSTRAP)
    state = deployment.describe_stacks(context)[context.chain[0]]
    assert state is not None
    assert state.parameters["Owner"] == "web"
