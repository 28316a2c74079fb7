"""Refuse new values of parameters that are decided at the creation of an environment."""

from __future__ import annotations

from hosting.deployer.aws.stacks import Next
from hosting.deployer.context import Context, States
from hosting.deployer.errors import RefusedError
from hosting.model.creation_parameters import find_refused_changes


def require_unchanged(context: Context, states: States) -> None:
    """Raise RefusedError for every new value that a live stack cannot take.

    A first creation that did not finish is not checked: the resource may not exist yet, and its change set is checked
    for replacements before it is executed.
    """
    found = []
    for stack, state in states.items():
        if state is None or state.next in {Next.CREATE, Next.REPLACE, Next.CONTINUE}:
            continue
        template = context.template(stack)
        declared = {name: one.default for name, one in template.parameters.items() if one.default is not None}
        wanted = {**declared, **context.environment.file.values}
        after = {name: value for name, value in wanted.items() if name in template.parameters}
        found += [f"{stack.label}: {one}" for one in find_refused_changes(state.parameters, after)]
    if found:
        what = "\n  ".join(["refused, because these values are decided at creation:", *found])
        raise RefusedError(what, hint="docs/changes.md lists these parameters")
