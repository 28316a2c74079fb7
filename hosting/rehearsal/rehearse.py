"""What a rehearsal does besides deploying: finding what was deployed, proving it, and saying what stays unproven."""

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

# An emulator answers by the letter of the API. Whatever depends on the world behind it is not rehearsed.
NOT_PROVEN = (
    "that your role and the functions' roles are allowed to do it: the emulator asks nobody for permission",
    "that AWS accepts every property: `deploy.py validate` judges that, with AWS's own schemas",
    "quotas, capacity, prices, and how long things take",
    "DNS: that the hosted zone answers for the domain, and that certificates are validated by it",
    "that the images start, answer their health checks and find the database; no container runs",
    "the bastion's relay and sessions of ECS Exec, which need the SSM agent of a real task",
    "Aurora itself: failover, pausing, and that a rotated password works",
    "CloudFront's edge: caching, headers and the pages viewers see; what WAF lets through",
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


def look(context: Context, states: Mapping[Stack, StackState | None]) -> Deployed:
    """What is deployed, as the proofs want to see it."""
    from hosting.model.stack_order import EDGE_REGION, StackRole

    present: dict[str, StackState] = {}
    for stack, state in states.items():
        if state is not None:
            # Bootstrap stands in two regions; the one away from home needs a name of its own.
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
        services=tuple(template.services),
        clients=context.clients,
    )


def examine(deployed: Deployed, result: Result) -> Iterator[Proof]:
    """Every proof of a deployment, kept in the result too."""
    for proof in prove(deployed):
        result.proofs.append(proof)
        yield proof


def examine_remains(deployed: Deployed, result: Result) -> Iterator[Proof]:
    """The same after destroying, of what `deployed` once was."""
    for proof in prove_afterwards(deployed):
        result.proofs.append(proof)
        yield proof


def empty(deployed: Deployed, bucket: str) -> None:
    """Delete everything in a bucket, every version of it, as its owner would."""
    s3 = deployed.client("s3")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for item in page.get("Versions", []) + page.get("DeleteMarkers", []):
            s3.delete_object(Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"])
