"""The order of operations on root: what the next one deploys, which service failed, and whether it can be continued."""

from __future__ import annotations

from collections.abc import Iterator

from hosting.deployer.aws.stacks import Next, StackState
from hosting.deployer.change_sets import ChangeSet
from hosting.deployer.errors import RefusedError
from hosting.model.operation_scope import EVERYTHING, PLATFORM, PLATFORM_ONLY, OperationScope, is_platform_only
from hosting.model.templates import Template


def choose_scope(template: Template, state: StackState | None) -> OperationScope:
    """Return the scope of the next operation on a stack in this state."""
    if PLATFORM_ONLY not in template.parameters:
        return EVERYTHING
    if state is None or state.next is Next.CREATE:
        return PLATFORM
    unfinished = state.next is Next.CONTINUE and is_platform_only(state.parameters)
    return PLATFORM if unfinished else EVERYTHING


def failed_service(template: Template, failed_in: str, logical_id: str) -> str | None:
    """Return the service whose nested stack failed, or None if another part of root did.

    `failed_in` is the path of the stack with the first failed resource, such as `shop-dev/BackendServiceStack`.
    """
    nested = (*failed_in.split("/")[1:], logical_id)[0]
    return next((name for name in template.services if nested == f"{name}ServiceStack"), None)


def require_continuable(change_set: ChangeSet, where: str) -> None:
    """Raise RefusedError if an unfinished creation would be continued with a replacement, which CloudFormation refuses.

    The way out loses no data: the creation is finished with the deployed values, and an ordinary update replaces then.
    """
    replaced = list(_replacements(change_set))
    if not replaced:
        return
    lines = "\n  ".join(replaced)
    raise RefusedError(
        f"the unfinished creation cannot be continued: CloudFormation replaces nothing in it\n  {lines}",
        where=where,
        hint="set these values back to the deployed ones and deploy: the creation is then finished, and nothing is "
        "lost. Make the change again and deploy once more: an ordinary update replaces the resources",
    )


def _replacements(change_set: ChangeSet) -> Iterator[str]:
    for path, change in change_set.walk():
        if change.effect == "replace":
            causes = sorted({detail.name for detail in change.details if detail.recreation == "Always" and detail.name})
            because = f" because of {', '.join(causes)}" if causes else ""
            yield f"{'/'.join((*path, change.logical_id))} ({change.resource_type}) would be replaced{because}"
