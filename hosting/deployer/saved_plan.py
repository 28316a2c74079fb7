"""A plan as a file, so that exactly the approved changes are executed.

The change sets remain in CloudFormation. The file contains their ARNs and digests of their inputs. Before an execution
all of it is compared again: the local templates and parameters, the content of the change sets, and the last event of
every stack in the tree. Any difference makes the plan stale, and it is refused.

The file contains digests instead of parameter values and properties. NoEcho values are not part of any digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from hosting.deployer import change_sets, deployment, events, stack_parameters
from hosting.deployer.aws import stacks
from hosting.deployer.aws.stacks import STACK_TYPE
from hosting.deployer.change_sets import ChangeSet
from hosting.deployer.context import Context, States
from hosting.deployer.deployment import Kind, StackPlan
from hosting.deployer.environment import Environment, no_echo_parameters
from hosting.deployer.errors import RefusedError
from hosting.deployer.first_deployment import choose_scope
from hosting.deployer.safeguards.gates import Allowed
from hosting.deployer.shared_bootstrap import keep_deployed_resources
from hosting.model.errors import InputError, Problem
from hosting.model.stack_order import Stack

FORMAT = "hosting-platform/saved-plan/1"

_SAVE_AGAIN = "save a new plan: deploy.py plan -e {environment} --out FILE"


@dataclass(frozen=True)
class SavedStack:
    """One stack in an approved plan."""

    role: str
    name: str
    region: str
    kind: str
    change_set: str = ""
    stack_id: str = ""
    keep: bool = False
    # Digest of the change set, including nested ones.
    content: str = ""
    # Digest of the parameter values.
    parameters: str = ""
    # Stack id -> last event, for the stack and its nested stacks.
    last: Mapping[str, str] | None = None


@dataclass(frozen=True)
class SavedPlan:
    """Approved plan with everything that the approval depends on."""

    environment: str
    project: str
    account: str
    region: str
    created: str
    # File name -> digest.
    templates: Mapping[str, str]
    # Digest of the parameter file with its overrides, the tags, and the Lambda packages.
    inputs: str
    overrides: tuple[str, ...]
    allow_replace: tuple[str, ...]
    allow_delete: tuple[str, ...]
    stacks: tuple[SavedStack, ...]

    @property
    def allowed(self) -> Allowed:
        return Allowed.named(self.allow_replace, self.allow_delete)


def save(
    context: Context, plans: Sequence[StackPlan], allowed: Allowed, overrides: Sequence[str], created: str
) -> SavedPlan:
    """Return the plan as a value that can be written to a file. The change sets must remain."""
    environment = context.environment
    secret = no_echo_parameters(environment.templates)
    if hidden := [item.partition("=")[0] for item in overrides if item.partition("=")[0] in secret]:
        problem = Problem(
            "--set",
            f"{', '.join(hidden)} is a secret, and a saved plan must not contain it",
            "set it in the parameter file",
        )
        raise InputError([problem])
    return SavedPlan(
        environment=environment.name,
        project=environment.project,
        account=context.identity.account,
        region=context.home,
        created=created,
        templates=_templates(environment),
        inputs=_inputs(environment),
        overrides=tuple(overrides),
        allow_replace=tuple(sorted(allowed.replace)),
        allow_delete=tuple(sorted(allowed.delete)),
        stacks=tuple(_saved(context, plan) for plan in plans),
    )


def write(path: Path, plan: SavedPlan) -> None:
    """Write the plan to a file with mode 0600. The file is replaced atomically."""
    body = {"format": FORMAT, **asdict(plan)}
    text = json.dumps({**body, "digest": _digest(body)}, indent=2) + "\n"
    partial = path.with_name(f".{path.name}.part")
    try:
        partial.touch(mode=0o600)
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read(path: Path) -> SavedPlan:
    """Return the plan of a file. Raises InputError if the file is incomplete, changed, or of another version."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _refused(path, f"cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise _refused(path, "is not a complete saved plan") from None
    if not isinstance(document, dict) or not str(document.get("format", "")).startswith("hosting-platform/saved-plan/"):
        raise _refused(path, "is not a saved plan")
    if document["format"] != FORMAT:
        raise _refused(path, f"was written by another version of deploy.py ({document['format']})")
    digest = document.pop("digest", "")
    if digest != _digest(document):
        raise _refused(path, "was changed after it was saved")
    del document["format"]
    try:
        found: SavedPlan = _build(SavedPlan, document)
        for one in found.stacks:
            if Kind(one.kind) in {Kind.CREATE, Kind.UPDATE} and not (one.change_set and one.stack_id):
                raise ValueError(f"{one.name} has no change set")
    except (TypeError, ValueError):
        raise _refused(path, "is not a complete saved plan") from None
    return found


def _build(annotation: Any, value: Any) -> Any:
    """Return a value of JSON as the type of an annotation. Raises TypeError for any other type.

    A person can change the file and compute a new digest.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if is_dataclass(annotation) and isinstance(annotation, type) and isinstance(value, dict):
        hints = get_type_hints(annotation)
        return annotation(**{name: _build(hints.get(name), item) for name, item in value.items()})
    if origin is tuple and isinstance(value, list):
        return tuple(_build(arguments[0], item) for item in value)
    if origin is Mapping and isinstance(value, dict):
        return {_build(arguments[0], key): _build(arguments[1], item) for key, item in value.items()}
    if type(None) in arguments:
        return None if value is None else _build(arguments[0], value)
    if isinstance(annotation, type) and type(value) is annotation:
        return value
    raise TypeError(f"{type(value).__name__} instead of {annotation}")


def restore(context: Context, plan: SavedPlan, states: States, where: str) -> list[StackPlan]:
    """Return the plans of an approved file for execution. Raises RefusedError if the saved plan is stale."""
    environment = context.environment
    if mismatches := list(_wrong_account_or_region(context, plan)):
        raise InputError([Problem(where, what, "use other credentials, or save a new plan") for what in mismatches])
    if stale := list(_other_input(environment, plan)):
        raise _stale_plan_error(plan, where, stale)
    by_name = {(stack.name, stack.region): stack for stack in context.chain}
    plans = []
    for saved in plan.stacks:
        stack = by_name.get((saved.name, saved.region))
        if stack is None:
            stale.append(f"{saved.name} ({saved.region}) does not belong to {environment.name}")
            continue
        restored, found = _restore(context, stack, saved, states)
        stale += found
        plans.append(restored)
    if stale:
        raise _stale_plan_error(plan, where, stale)
    return plans


def _saved(context: Context, plan: StackPlan) -> SavedStack:
    stack = plan.stack
    base = SavedStack(str(stack.role), stack.name, stack.region, str(plan.kind))
    if plan.change_set is None:
        return base
    # The digest covers the change set as CloudFormation returns it, without the classification by
    # `change_set_filter`.
    raw = change_sets.wait_for_change_set(
        context.clients.cloudformation(stack.region), plan.change_set.id, sleep=context.sleep
    )
    return replace(
        base,
        change_set=raw.id,
        stack_id=raw.stack_id,
        keep=plan.keep,
        content=compute_change_set_digest(raw),
        parameters=_parameters(context, stack, plan.parameters),
        last=_last_events(context, stack, raw.stack_id),
    )


def _restore(context: Context, stack: Stack, saved: SavedStack, states: States) -> tuple[StackPlan, list[str]]:
    kind = Kind(saved.kind)
    state = states[stack]
    if kind in {Kind.LATER, Kind.NOTHING}:
        exists = state is not None
        after = tuple(one for one in context.chain[: context.chain.index(stack)])
        return StackPlan(stack, kind, exists=exists, after=after if kind is Kind.LATER else ()), []
    client = context.clients.cloudformation(stack.region)
    empty = StackPlan(stack, kind)
    if state is None or state.id != saved.stack_id:
        return empty, [f"{stack.label} was replaced by another stack"]
    if _last_events(context, stack, state.id) != saved.last:
        return empty, [f"{stack.label} has changed since the plan was saved (its status is {state.status})"]
    if change_sets.is_gone(client, saved.change_set):
        return empty, [f"the change set of {stack.label} was deleted, executed or made obsolete"]
    change_set = change_sets.wait_for_change_set(client, saved.change_set, sleep=context.sleep)
    if change_set.stack_id != saved.stack_id or compute_change_set_digest(change_set) != saved.content:
        return empty, [f"the change set of {stack.label} differs from the approved one"]
    context, _ = keep_deployed_resources(context, stack, state)
    scope = choose_scope(context.template(stack), state)
    values = stack_parameters.resolve_parameter_values(context, stack, states, final=False, scope=scope)
    if _parameters(context, stack, values) != saved.parameters:
        return empty, [f"the parameter values of {stack.label} have changed"]
    return deployment.classify_changes(context, StackPlan(stack, kind, change_set, values, keep=saved.keep), state), []


def compute_change_set_digest(change_set: ChangeSet) -> str:
    """Return a digest of the effects of a change set."""

    def as_data(one: ChangeSet) -> Any:
        """Return the changes as lists, which have one JSON form."""
        return [
            [
                change.action,
                change.logical_id,
                change.physical_id,
                change.resource_type,
                change.replacement,
                change.before,
                change.after,
                [[item.attribute, item.name, item.before, item.after, item.recreation] for item in change.details],
                as_data(change.nested) if change.nested is not None and change.nested.id else None,
            ]
            for change in sorted(one.changes, key=lambda change: change.logical_id)
        ]

    return _digest([change_set.id, change_set.status, as_data(change_set)])


def _wrong_account_or_region(context: Context, plan: SavedPlan) -> Iterable[str]:
    here = {"project": context.environment.project, "account": context.identity.account, "region": context.home}
    for what, value in here.items():
        if getattr(plan, what) != value:
            yield f"is a plan for {what} {getattr(plan, what)}, but the {what} is {value}"


def _other_input(environment: Environment, plan: SavedPlan) -> Iterable[str]:
    now = _templates(environment)
    if changed := sorted(name for name in {*now, *plan.templates} if now.get(name) != plan.templates.get(name)):
        yield f"templates have changed: {', '.join(changed)}"
    if _inputs(environment) != plan.inputs:
        yield f"{environment.file.path} or the Lambda packages have changed since the plan was saved"


def _templates(environment: Environment) -> dict[str, str]:
    return {name: template.digest for name, template in sorted(environment.templates.items())}


def _inputs(environment: Environment) -> str:
    secret = no_echo_parameters(environment.templates)
    values = {name: value for name, value in environment.file.values.items() if name not in secret}
    keys = sorted({item.key for items in environment.artifacts.values() for item in items})
    return _digest([sorted(values.items()), sorted(environment.file.tags.items()), keys])


def _parameters(context: Context, stack: Stack, values: Mapping[str, str]) -> str:
    secret = no_echo_parameters(context.environment.templates)
    return _digest([stack.name, sorted((name, value) for name, value in values.items() if name not in secret)])


def _last_events(context: Context, stack: Stack, stack_id: str) -> dict[str, str]:
    """Return the last event of a stack and of each nested stack. Any operation on them would change it."""
    client = context.clients.cloudformation(stack.region)
    found = {stack_id: events.read_cursor(client, stack_id).event_id}
    for one in stacks.list_resources(client, stack_id):
        if one.type == STACK_TYPE and one.physical_id:
            found |= _last_events(context, stack, one.physical_id)
    return found


def _digest(document: Any) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _refused(path: Path, what: str) -> InputError:
    return InputError([Problem(str(path), what, "save one with `deploy.py plan -e ENV --out FILE`")])


def _stale_plan_error(plan: SavedPlan, where: str, reasons: Sequence[str]) -> RefusedError:
    what = "\n  ".join(["the saved plan is stale:", *reasons])
    return RefusedError(what, where=where, hint=_SAVE_AGAIN.format(environment=plan.environment))
