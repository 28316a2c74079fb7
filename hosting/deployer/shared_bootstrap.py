"""Bootstrap is shared by all environments and checkouts of a project: a deployment adds to it and removes nothing.

Its repositories have DeletionPolicy Retain. A deleted one would remain in the account outside of the stack, and a
template that adds it again would fail with AlreadyExists.
"""

from __future__ import annotations

from dataclasses import replace

from hosting.deployer.aws import stacks
from hosting.deployer.aws.stacks import Next, StackState
from hosting.deployer.context import Context
from hosting.model.shared_template import keep_deployed
from hosting.model.stack_order import Stack, StackRole


def keep_deployed_resources(
    context: Context, stack: Stack, state: StackState | None
) -> tuple[Context, tuple[str, ...]]:
    """Return the context with a bootstrap template that deletes nothing, and the resources that only AWS has.

    Any other stack, and a stack without resources, leave the context unchanged.
    """
    if stack.role is not StackRole.BOOTSTRAP or state is None or state.next is Next.CREATE:
        return context, ()
    deployed = stacks.read_template(context.clients.cloudformation(stack.region), state.id)
    shared = keep_deployed(context.template(stack), deployed)
    if not shared.kept:
        return context, ()
    environment = context.environment
    # A parameter that this checkout does not know keeps its deployed value.
    values = [f"{name}={state.parameters[name]}" for name in shared.kept.get("Parameters", ())]
    environment = replace(
        environment,
        file=environment.file.override(values),
        templates={**environment.templates, stack.template: shared.template},
    )
    return replace(context, environment=environment), shared.kept.get("Resources", ())
