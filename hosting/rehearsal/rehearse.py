"""Collects what a rehearsal has deployed, proves it, and lists what a rehearsal cannot prove."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hosting.rehearsal.checks import Proof, prove, prove_afterwards
from hosting.rehearsal.checks.base import Deployed

if TYPE_CHECKING:
    from hosting.deployer.aws.stacks import StackState
    from hosting.deployer.deployment import Context
    from hosting.model.stack_order import Stack

# An emulator answers API calls. What depends on networks, time, money or containers is not rehearsed.
NOT_PROVEN = (
    "that your role and the functions' roles have the permissions: the emulator does not check permissions",
    "that AWS accepts every property: `deploy.py validate` checks that, with AWS's own schemas",
    "quotas, capacity, prices and durations",
    "DNS: that the hosted zone answers for the domain, and that certificates are validated by it",
    "that the images start, answer their health checks and find the database; no container runs",
    "the bastion's relay and sessions of ECS Exec, which need the SSM agent of a real task",
    "Aurora itself: failover, pausing, and that a rotated password works",
    "CloudFront itself: requests pass a simulation of it (docs/edge-simulator.md); which requests WAF allows",
    "that Slack shows a message: the workspace has to be authorised in the console once",
)


@dataclass
class Result:
    """The proofs of one rehearsal, in the order in which they were made."""

    proofs: list[Proof] = field(default_factory=list)

    @property
    def failed(self) -> list[Proof]:
        return [proof for proof in self.proofs if not proof.holds]

    @property
    def areas(self) -> dict[str, tuple[int, int]]:
        """Proofs that hold, and all, by area."""
        counted: dict[str, tuple[int, int]] = {}
        for proof in self.proofs:
            good, total = counted.get(proof.area, (0, 0))
            counted[proof.area] = (good + proof.holds, total + 1)
        return counted


def collect_deployed_resources(context: Context, states: Mapping[Stack, StackState | None]) -> Deployed:
    """Return the deployed environment in the form that the checks use."""
    from hosting.model.stack_order import EDGE_REGION, StackRole

    present: dict[str, StackState] = {}
    for stack, state in states.items():
        if state is not None:
            # Bootstrap has stacks in two regions; the one outside the home region needs another name.
            away = stack.role is StackRole.BOOTSTRAP and stack.region != context.home
            present[f"{stack.role}-{stack.region}" if away else str(stack.role)] = state
    root = present[str(StackRole.ROOT)]
    template = context.template(context.stack(StackRole.ROOT))
    return Deployed(
        family=context.environment.family,
        account=context.identity.account,
        home=context.home,
        edge=EDGE_REGION,
        stacks={name: state.id for name, state in present.items()},
        outputs={name: state.outputs for name, state in present.items()},
        parameters=root.parameters,
        services=tuple(name for name in template.services if template.kind_of(name) != "job"),
        single=frozenset(name for name in template.services if template.has_one_task(name)),
        has_web_service=any(template.kind_of(name) == "web service" for name in template.services),
        images={name: template.image_parameter(name) for name in template.services},
        kinds={name: template.kind_of(name) for name in template.services},
        without=template.without,
        host_names=template.host_names(root.parameters),
        clients=context.clients,
    )


def supply_secrets(context: Context) -> list[str]:
    """Set a value for every supplied secret that exists without one, as a person does. Return the names."""
    from hosting.deployer import workload_secrets
    from hosting.deployer.aws.stacks import describe_stack
    from hosting.model.stack_order import StackRole

    root = context.stack(StackRole.ROOT)
    states = workload_secrets.describe_secrets(
        context, describe_stack(context.clients.cloudformation(root.region), root.name)
    )
    missing = workload_secrets.list_missing_values(states)
    empty = [state for state in states if state.declared in missing and state.arn]
    for state in empty:
        workload_secrets.set_value(context, state, f"value of {state.declared.name} in a rehearsal")
    return [state.declared.name for state in empty]


def examine(deployed: Deployed, result: Result) -> Iterator[Proof]:
    """Yield the proofs of a deployment, and add them to the result."""
    for proof in prove(deployed):
        result.proofs.append(proof)
        yield proof


def examine_remains(deployed: Deployed, result: Result) -> Iterator[Proof]:
    """Yield the proofs after destroying `deployed`, and add them to the result."""
    for proof in prove_afterwards(deployed):
        result.proofs.append(proof)
        yield proof


def empty(deployed: Deployed, bucket: str) -> None:
    """Delete all objects and versions of a bucket, as its owner would."""
    s3 = deployed.client("s3")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for item in page.get("Versions", []) + page.get("DeleteMarkers", []):
            s3.delete_object(Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"])
