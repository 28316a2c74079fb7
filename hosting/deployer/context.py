"""An environment in an AWS account: the credentials, the stacks, and their current states."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from hosting.deployer.aws import session, stacks
from hosting.deployer.aws.session import Clients, Identity
from hosting.deployer.aws.stacks import Next, StackState
from hosting.deployer.aws.statuses import STATUSES
from hosting.deployer.environment import Environment
from hosting.deployer.errors import RecoverError, StateError
from hosting.model.stack_order import Stack, StackRole, stack_order
from hosting.model.templates import Template


@dataclass(frozen=True)
class Context:
    """An environment in an account."""

    environment: Environment
    clients: Clients
    identity: Identity
    chain: tuple[Stack, ...]
    role_arn: str | None = None
    sleep: Callable[[float], None] = time.sleep
    # Whether change sets are computed without those of nested stacks.
    flat: bool = False

    @property
    def home(self) -> str:
        return self.stack(StackRole.ROOT).region

    def stack(self, role: StackRole) -> Stack:
        return next(stack for stack in self.chain if stack.role is role)

    def template(self, stack: Stack) -> Template:
        return self.environment.templates[stack.template]


States = Mapping[Stack, StackState | None]


def connect(
    environment: Environment,
    clients: Clients,
    *,
    region: str | None = None,
    role_arn: str | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Context:
    """Return the context of an environment after checking the account and the region.

    Raises GuardError if the credentials or `region` do not match the environment's own.
    """
    file = environment.file
    home = session.resolve_home_region(file.region, region, clients.region, file.path)
    identity = session.identify(clients, home)
    session.require_account(identity, file.account, file.where("Account"))
    return Context(
        environment, clients, identity, stack_order(environment.project, environment.name, home), role_arn, sleep
    )


def describe_stacks(context: Context) -> dict[Stack, StackState | None]:
    """Return the current state of each stack. A stack that does not exist is None."""
    # boto3 sessions are not thread-safe while they create clients, so the clients are created before the threads
    # start.
    for region in {stack.region for stack in context.chain}:
        context.clients.cloudformation(region)

    def state(stack: Stack) -> StackState | None:
        found = stacks.describe_stack(context.clients.cloudformation(stack.region), stack.name)
        return None if found is None or found.status == "DELETE_COMPLETE" else found

    with ThreadPoolExecutor(8) as pool:
        return dict(zip(context.chain, pool.map(state, context.chain), strict=True))


def require_ready(states: States) -> None:
    """Raise an error if a stack is in a state in which a deployment cannot start."""
    for stack, state in states.items():
        if state is None:
            continue
        where = stack.label
        match state.next:
            case Next.WAIT:
                raise StateError(_found(state), where=where, hint=STATUSES[state.status].remedy)
            case Next.RECOVER | Next.DELETE:
                raise RecoverError(_found(state), where=where, hint=STATUSES[state.status].remedy)
            case _:
                pass


def _found(state: StackState) -> str:
    reason = f": {state.reason}" if state.reason else ""
    return f"the stack {STATUSES[state.status].meaning} ({state.status}){reason}"
