"""A whole rehearsal, with every call that the deployer made and every resource that came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import boto3
import pytest

from hosting.analysis.resolve import ResolvedEnvironment, resolve
from hosting.cli.support.exit_codes import Exit
from hosting.model.parameter_file import load_environment
from hosting.model.templates import load_complete
from hosting.rehearsal.checks.base import Deployed
from tests.support.project import PARAMS, TEMPLATES, main

PROJECT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Asked:
    """One call as the SDK made it."""

    service: str  # as IAM calls it: what requests are signed for
    operation: str
    region: str
    parameters: Mapping[str, Any]
    answer: Mapping[str, Any]


@dataclass(frozen=True)
class Made:
    """One resource that CloudFormation made."""

    stack: str  # the path that the analysis gives it: "root/NetworkStack"
    logical_id: str
    type: str
    physical_id: str
    region: str


@dataclass
class Rehearsal:
    environment: str
    asked: list[Asked] = field(default_factory=list)
    made: dict[tuple[str, str], Made] = field(default_factory=dict)

    @property
    def resolved(self) -> ResolvedEnvironment:
        file = PARAMS / f"{self.environment}.json"
        return resolve(load_complete(TEMPLATES), load_environment(file))


def _listen(client: Any, asked: list[Asked]) -> None:
    events = client.meta.events

    def before(params: Any, context: dict[str, Any], **_: Any) -> None:
        context["asked"] = dict(params)

    def after(model: Any, parsed: Any, context: dict[str, Any], **_: Any) -> None:
        service = model.service_model.signing_name
        region = client.meta.region_name
        asked.append(Asked(service, model.name, region, context.get("asked", {}), parsed))

    events.register("provide-client-params", before)
    events.register("after-call", after)


def _collect(deployed: Deployed, path: str, stack: str, region: str, into: dict[tuple[str, str], Made]) -> None:
    """By a client of the checks: what the test asks is not what the deployer asks."""
    pages = deployed.client("cloudformation", region).get_paginator("list_stack_resources")
    for page in pages.paginate(StackName=stack):
        for item in page["StackResourceSummaries"]:
            made = Made(path, item["LogicalResourceId"], item["ResourceType"], item["PhysicalResourceId"], region)
            into[path, made.logical_id] = made
            if made.type == "AWS::CloudFormation::Stack":
                _collect(deployed, f"{path}/{made.logical_id}", made.physical_id, region, into)


@pytest.fixture(scope="module", params=["lab", "live"])
def rehearsal(request: pytest.FixtureRequest) -> Rehearsal:
    """From the first plan to the last deletion, as `deploy.py rehearse` does it."""
    from hosting.rehearsal import rehearse

    seen = Rehearsal(request.param)
    make, look = boto3.Session.client, rehearse.collect_deployed_resources

    def listening(self: boto3.Session, *given: Any, **named: Any) -> Any:
        client = cast("Any", make)(self, *given, **named)
        # The deployer has a user agent of its own; calls of checks and of the preparation are not the deployer's.
        if "hosting-platform" in str(getattr(named.get("config"), "user_agent_extra", "")):
            _listen(client, seen.asked)
        return client

    def looking(context: Any, states: Mapping[Any, Any]) -> Deployed:
        deployed = look(context, states)
        for stack, state in states.items():
            if state is not None:
                path = f"bootstrap-{stack.region}" if str(stack.role) == "bootstrap" else str(stack.role)
                _collect(deployed, path.removesuffix(f"-{context.home}"), state.id, stack.region, seen.made)
        return deployed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boto3.Session, "client", listening)
        patch.setattr(rehearse, "collect_deployed_resources", looking)
        assert main(["rehearse", "-e", request.param]) == Exit.DONE
    return seen
