"""A deployment as a pipeline of values: environment, context, states, plans, operations.

    environment = prepare(...)           offline; every mistake in the input shows here
    context = connect(...)               who and where we are; guards
    states = survey(context)             the chain as it stands
    plan = plan_stack(context, ...)      a change set, nothing to do, or why it has to wait
    operation = execute(context, plan)   started; follow it, then ask for its outcome

Whoever calls decides what to show and whether to go on between any two of them.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Literal

from deployer import (
    certificate,
    changesets,
    checks,
    events,
    facts,
    package,
    parameters,
    review,
    session,
    stacks,
    templates,
)
from deployer.chain import TEMPLATES, Role, Stack, chain, feeders, wired
from deployer.changesets import ChangeSet, ChangeSetRequest
from deployer.errors import (
    ChangeSetError,
    DeployerError,
    DeploymentFailedError,
    InputError,
    Problem,
    RecoverError,
    StateError,
)
from deployer.events import Event
from deployer.package import Artifact, Upload
from deployer.parameters import ParameterFile
from deployer.session import Clients, Identity
from deployer.stacks import Next, StackState
from deployer.templates import Template

ORIGIN_CERTIFICATE = "OriginCertificateArn"
BUCKET = "ArtifactBucket"
HOME_REGION = "HomeRegion"

# Stands for a certificate that a plan must not import yet. CloudFormation does not look at it before it is used.
_FUTURE_CERTIFICATE = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True)
class Environment:
    """An environment as its files describe it, checked."""

    name: str
    project: str
    file: ParameterFile
    templates: Mapping[str, Template]
    # Template -> what it needs in the artifact bucket of its region.
    artifacts: Mapping[str, tuple[Artifact, ...]] = field(default_factory=dict)

    @property
    def family(self) -> str:
        return f"{self.project}-{self.name}"

    @property
    def is_production(self) -> bool:
        return self.name == "prod"


@dataclass(frozen=True)
class Context:
    """An environment in an account."""

    environment: Environment
    clients: Clients
    identity: Identity
    chain: tuple[Stack, ...]
    role_arn: str | None = None
    sleep: Callable[[float], None] = time.sleep

    @property
    def home(self) -> str:
        return self.stack(Role.ROOT).region

    def stack(self, role: Role) -> Stack:
        return next(stack for stack in self.chain if stack.role is role)

    def template(self, stack: Stack) -> Template:
        return self.environment.templates[stack.template]


States = Mapping[Stack, StackState | None]


class Kind(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    NOTHING = "nothing"
    # Cannot be computed yet: an earlier stack has to be there first.
    LATER = "later"


@dataclass(frozen=True)
class StackPlan:
    """What a deployment would do to one stack."""

    stack: Stack
    kind: Kind
    change_set: ChangeSet | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    # Whether what is finished stays when a later resource fails.
    keep: bool = False
    # For LATER: what it waits for, and how many resources each of its layers declares.
    after: tuple[Stack, ...] = ()
    declares: Mapping[str, int] = field(default_factory=dict)
    note: str = ""


def prepare(project_root: Path, environment: str, *, overrides: Iterable[str] = ()) -> Environment:
    """Read and check everything that an environment's deployment is made of. Calls nothing."""
    found = recall(project_root, environment, overrides=overrides)
    checks.check(found.file, environment, found.templates)
    names = [name for name in TEMPLATES.values() if name in found.templates]
    return replace(found, artifacts=package.artifacts(found.templates, names, project_root / "lambda"))


def recall(project_root: Path, environment: str, *, overrides: Iterable[str] = ()) -> Environment:
    """Only what it takes to find an environment that is deployed: it must not take a faultless file to see
    or destroy one."""
    path = parameters.locate(project_root / "params", environment)
    file = parameters.read(path, f"params/{path.name}")
    file = checks.complete(file.override(overrides), environment)
    loaded = templates.load(project_root / "templates")
    declared = checks.declarations(loaded).get("Project", {})
    default = next((one.default for one in declared.values() if one.default), "")
    return Environment(environment, file.values.get("Project", default), file, loaded)


def connect(
    environment: Environment,
    clients: Clients,
    *,
    region: str | None = None,
    role_arn: str | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Context:
    """Find out who and where we are, and refuse to go on anywhere else than where the environment belongs."""
    file = environment.file
    home = session.home_region(file.region, region, clients.region, file.path)
    identity = session.identify(clients, home)
    session.guard_account(identity, file.account, file.where("Account"))
    return Context(environment, clients, identity, chain(environment.project, environment.name, home), role_arn, sleep)


def survey(context: Context) -> dict[Stack, StackState | None]:
    """Every stack of the chain as it is now."""
    # Clients are made one after the other, so making them here keeps the threads to the calls.
    for region in {stack.region for stack in context.chain}:
        context.clients.cloudformation(region)

    def state(stack: Stack) -> StackState | None:
        found = stacks.describe(context.clients.cloudformation(stack.region), stack.name)
        return None if found is None or found.status == "DELETE_COMPLETE" else found

    with ThreadPoolExecutor(8) as pool:
        return dict(zip(context.chain, pool.map(state, context.chain), strict=True))


def require_ready(states: States) -> None:
    """Raise when a stack of the chain is in a state in which a deployment cannot start."""
    for stack, state in states.items():
        if state is None:
            continue
        where = stack.label
        match state.next:
            case Next.WAIT:
                hint = "wait until it has ended, then run this again"
                raise StateError(f"an operation is running ({state.status})", where=where, hint=hint)
            case Next.RECOVER:
                hint = (
                    "continue the rollback first: aws cloudformation continue-update-rollback --stack-name "
                    + state.name
                )
                raise RecoverError(f"its rollback failed ({state.status}): {state.reason}", where=where, hint=hint)
            case Next.DELETE:
                hint = "finish the deletion with `deploy.py destroy`, then deploy again"
                raise RecoverError(f"it is half deleted ({state.status}): {state.reason}", where=where, hint=hint)
            case _:
                pass


def check_images(context: Context) -> None:
    """Raise for every image of our own registry that is not there."""
    environment = context.environment
    values = dict(environment.file.values)
    root = context.template(context.stack(Role.ROOT))
    for name, parameter in root.parameters.items():
        values.setdefault(name, parameter.default or "")
    wanted = {
        name: (environment.file.where(name), image) for name, image in facts.images(root.parameters, values).items()
    }
    client = context.clients.ecr(context.home)
    if found := list(facts.missing_images(client, context.identity.account, context.home, wanted)):
        raise InputError(found)


def upload(context: Context, states: States, roles: Iterable[Role]) -> Iterator[Upload]:
    """Put what these stacks need into the bucket of their region, where there is a bucket already."""
    wanted: dict[tuple[str, str], list[Artifact]] = {}
    for stack in (stack for stack in context.chain if stack.role in set(roles)):
        bucket = _wired(context, stack, states).get(BUCKET)
        if bucket is not None:
            items = wanted.setdefault((stack.region, bucket), [])
            items += context.environment.artifacts.get(stack.template, ())
            template = context.template(stack)
            if len(template.data) > templates.BODY_LIMIT:
                items.append(Artifact("", template.key, template.data))
    for (region, bucket), items in wanted.items():
        yield from package.upload(context.clients.s3(region), bucket, items)


def plan_stack(context: Context, stack: Stack, states: States, *, verb: str, final: bool = False) -> StackPlan:
    """Compute what would happen to one stack. Leaves a change set only in a plan that has one.

    A `final` plan is about to be executed: then what it refers to is made, which a preview must not do.
    """
    state = states[stack]
    if absent := _awaited(context, stack, states):
        return StackPlan(stack, Kind.LATER, after=absent, declares=declared_resources(context, stack))
    if state is not None and state.next is Next.REPLACE:
        note = f"left empty by a creation that was rolled back ({state.status}); deleted first"
        return StackPlan(stack, Kind.LATER, declares=declared_resources(context, stack), note=note)
    client = context.clients.cloudformation(stack.region)
    if state is not None and state.next is Next.CREATE:
        remove_shell(context, stack, state.id)
        state = None
    values = _values(context, stack, states, final=final)
    request = _request(context, stack, state, values, verb, _wired(context, stack, states).get(BUCKET, ""))
    arn = changesets.create(client, request)
    try:
        change_set = changesets.wait(client, arn, sleep=context.sleep)
    except BaseException:
        # Also when interrupted: nothing half-done stays behind.
        _discard(context, stack, arn, creates=request.creates)
        raise
    kind = Kind.CREATE if request.creates else Kind.UPDATE
    if changesets.is_only_empty(change_set):
        _discard(context, stack, arn, creates=request.creates)
        return StackPlan(stack, Kind.NOTHING, parameters=values)
    if reason := changesets.problem(change_set):
        _discard(context, stack, arn, creates=request.creates)
        raise ChangeSetError(f"CloudFormation cannot compute the change set: {reason}", where=stack.label)
    # An hour of creating the root is not thrown away because its last layer failed; whatever exists completely
    # goes back to how it was.
    unfinished = kind is Kind.CREATE or (state is not None and state.next is Next.CONTINUE)
    reviewed = _review(context, stack, change_set, state, values)
    return StackPlan(stack, kind, reviewed, values, keep=stack.role is Role.ROOT and unfinished)


def _review(
    context: Context, stack: Stack, change_set: ChangeSet, state: StackState | None, values: Mapping[str, str]
) -> ChangeSet:
    """The change set with what it only lists told from what it changes."""
    nested = {one.logical_id: one.physical_id for one in change_set.changes if one.nested and one.physical_id}
    if state is None or not nested:
        return change_set
    client = context.clients.cloudformation(stack.region)
    template = context.template(stack)
    templates_of = review.children(template, context.environment.templates)
    before = state.parameters
    unchanged = frozenset(name for name, value in values.items() if before.get(name) == value)

    def outputs(logical_id: str) -> Mapping[str, str]:
        found, child = stacks.describe(client, nested[logical_id]), templates_of.get(logical_id)
        if found is None or child is None:
            return {}
        # What an output means can only have changed when the child's template has.
        if child.key in {before[name] for name in unchanged}:
            return found.outputs
        same = review.same_outputs(stacks.template_body(client, found.id), child)
        return {name: value for name, value in found.outputs.items() if name in same}

    with ThreadPoolExecutor(8) as pool:
        known = dict(zip(nested, pool.map(outputs, nested), strict=True))
    return review.Review(template, templates_of, known, unchanged).settle(change_set)


def is_current(context: Context, plan: StackPlan, states: States) -> bool:
    """Whether a plan that was made earlier would be made with the same inputs now."""
    if plan.kind is Kind.LATER or _awaited(context, plan.stack, states):
        return False
    wires = {
        name: value
        for name, value in _wired(context, plan.stack, states).items()
        if name in context.template(plan.stack).parameters
    }
    return all(plan.parameters.get(name) == value for name, value in wires.items()) and not any(
        _FUTURE_CERTIFICATE in value for value in plan.parameters.values()
    )


def discard(context: Context, plan: StackPlan) -> None:
    """Delete a plan's change set, and the empty stack that a first one brings with it."""
    if plan.change_set is not None:
        _discard(context, plan.stack, plan.change_set.id, creates=plan.kind is Kind.CREATE)


def remove_shell(context: Context, stack: Stack, stack_id: str) -> None:
    """Delete a stack that holds nothing: never executed, or rolled back to nothing."""
    client = context.clients.cloudformation(stack.region)
    for arn in changesets.leftovers(client, stack_id):
        changesets.discard(client, arn, sleep=context.sleep)
    start = events.cursor(client, stack_id)
    client.delete_stack(StackName=stack_id)
    for _ in events.follow(client, start, sleep=context.sleep):
        pass


@dataclass
class Operation:
    """Something that CloudFormation is doing to a stack. Follow it, then ask for the outcome."""

    stack: Stack
    stack_id: str
    verb: str
    rounds: Iterator[Sequence[Event]]
    events: list[Event] = field(default_factory=list)

    def follow(self) -> Iterator[Sequence[Event]]:
        for batch in self.rounds:
            self.events += batch
            yield batch


def execute(context: Context, plan: StackPlan) -> Operation:
    """Start a plan's change set."""
    if plan.change_set is None:
        raise DeployerError("there is no change set to execute", where=plan.stack.label)
    client = context.clients.cloudformation(plan.stack.region)
    start = events.cursor(client, plan.change_set.stack_id)
    changesets.execute(client, plan.change_set, token=plan.change_set.name, keep=plan.keep)
    rounds = events.follow(client, start, sleep=context.sleep)
    return Operation(plan.stack, plan.change_set.stack_id, str(plan.kind), rounds)


def outcome(context: Context, operation: Operation) -> StackState:
    """The stack after an operation that ended well; `DeploymentFailedError` otherwise."""
    client = context.clients.cloudformation(operation.stack.region)
    state = stacks.describe(client, operation.stack_id)
    status = state.status if state is not None else "DELETE_COMPLETE"
    if state is None or not stacks.is_good(status):
        failure = events.first_failure(operation.events)
        raise DeploymentFailedError(operation.stack.label, status, failure, hint=_after(status))
    return state


def protect(context: Context, stack: Stack, state: StackState) -> bool:
    """Switch termination protection on for a root in production; whether it had to be."""
    if stack.role is not Role.ROOT or not context.environment.is_production or state.protected:
        return False
    client = context.clients.cloudformation(stack.region)
    client.update_termination_protection(StackName=state.id, EnableTerminationProtection=True)
    return True


def declared_resources(context: Context, stack: Stack) -> dict[str, int]:
    """How many resources each layer of a stack declares; conditions are for CloudFormation to judge."""
    template = context.template(stack)
    found: Counter[str] = Counter()
    for logical_id in template.resources:
        child = template.children.get(logical_id)
        if child is None:
            found[""] += 1
        elif child in context.environment.templates:
            found[logical_id] += len(context.environment.templates[child].resources)
    return dict(found)


def with_parameters(environment: Environment, overrides: Iterable[str]) -> Environment:
    """The same environment with some values changed, checked again."""
    file = environment.file.override(overrides)
    checks.check(file, environment.name, environment.templates)
    return replace(environment, file=file)


def _after(status: str) -> str:
    if status == "CREATE_FAILED":
        return "what was finished is kept: correct the cause and deploy again, it goes on from here"
    if status.endswith("ROLLBACK_COMPLETE"):
        return "everything is as it was before: correct the cause and deploy again"
    if status.endswith("ROLLBACK_FAILED"):
        return "the rollback failed too: the stack needs continue-update-rollback before anything else"
    return ""


def _wired(context: Context, stack: Stack, states: States) -> dict[str, str]:
    outputs = {one: state.outputs for one, state in states.items() if state is not None}
    return wired(stack, context.chain, outputs)


def _awaited(context: Context, stack: Stack, states: States) -> tuple[Stack, ...]:
    """Earlier stacks that must exist before this one's inputs are known."""
    template = context.template(stack)
    needed = set(template.parameters) | ({BUCKET} if len(template.data) > templates.BODY_LIMIT else set())
    available = _wired(context, stack, states)
    missing = needed - available.keys()
    return tuple(earlier for earlier in feeders(stack, context.chain) if missing & context.template(earlier).outputs)


def _values(context: Context, stack: Stack, states: States, *, final: bool) -> dict[str, str]:
    """A value for every parameter that the template declares."""
    template = context.template(stack)
    given: dict[str, str] = {name: p.default for name, p in template.parameters.items() if p.default is not None}
    given |= context.environment.file.values
    given |= {item.parameter: item.key for item in context.environment.artifacts.get(stack.template, ())}
    given |= _wired(context, stack, states)
    given[HOME_REGION] = context.home
    if facts.PREFIX_LIST_ID in template.parameters:
        given[facts.PREFIX_LIST_ID] = facts.prefix_list_id(context.clients.ec2(stack.region), stack.region)
    if _needs_certificate(template, given):
        given[ORIGIN_CERTIFICATE] = _certificate(context, stack, final=final)
    values = {name: given[name] for name in template.parameters if name in given}
    if facts.SERVICE_IS_NEW in template.parameters:
        values.pop(facts.SERVICE_IS_NEW, None)
        client = context.clients.cloudformation(stack.region)
        ecs = context.clients.ecs(stack.region)
        state = states[stack]
        present = state if state is not None and state.next is not Next.CREATE else None
        values[facts.SERVICE_IS_NEW] = facts.service_is_new(client, ecs, template, present, values)
    if missing := [name for name in template.parameters if name not in values]:
        file = context.environment.file.path
        raise InputError([Problem(file, f'missing "{name}" for {template.name}') for name in missing])
    return values


def _needs_certificate(template: Template, given: Mapping[str, str]) -> bool:
    declares = ORIGIN_CERTIFICATE in template.parameters
    return declares and not given.get(ORIGIN_CERTIFICATE) and not given.get("DomainName")


def _certificate(context: Context, stack: Stack, *, final: bool) -> str:
    client = context.clients.acm(stack.region)
    family = context.environment.family
    if final:
        return certificate.ensure(client, family)
    identity = context.identity
    future = f"arn:{identity.partition}:acm:{stack.region}:{identity.account}:certificate/{_FUTURE_CERTIFICATE}"
    return certificate.find(client, family) or future


def _request(
    context: Context, stack: Stack, state: StackState | None, values: Mapping[str, str], verb: str, bucket: str
) -> ChangeSetRequest:
    template = context.template(stack)
    name = f"{verb}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
    source: dict[Literal["TemplateBody", "TemplateURL"], str] = {"TemplateBody": template.text}
    if len(template.data) > templates.BODY_LIMIT:
        source = {"TemplateURL": package.url(bucket, stack.region, context.identity.url_suffix, template.key)}
    creates = state is None
    # Bootstrap is shared by the environments: with the tags of each, every deployment would change it back.
    own = {"Project": context.environment.project}
    tags = (
        own
        if stack.role is Role.BOOTSTRAP
        else {**own, "Environment": context.environment.name, **context.environment.file.tags}
    )
    return ChangeSetRequest(
        stack=stack.name,
        name=name,
        creates=creates,
        template=source,
        parameters=values,
        tags=tags,
        description=f"{name} of {stack.name}",
        role_arn=context.role_arn,
    )


def _discard(context: Context, stack: Stack, arn: str, *, creates: bool) -> None:
    client = context.clients.cloudformation(stack.region)
    changesets.discard(client, arn, sleep=context.sleep)
    if creates:
        state = stacks.describe(client, stack.name)
        if state is not None and state.status == "REVIEW_IN_PROGRESS":
            remove_shell(context, stack, state.id)
