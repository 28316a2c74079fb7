"""The number of resources that a stack will have, as far as its conditions are known before it is created."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from hosting.model.errors import ResolveError
from hosting.model.intrinsics import Evaluator, parameter_values
from hosting.model.templates import Template
from hosting.model.tokens import Json


def count_resources(
    template: Template, templates: Mapping[str, Template], values: Mapping[str, Json]
) -> dict[str, int]:
    """Return the number of resources of each nested stack by its logical id; "" for resources of the stack itself.

    A resource is left out only if its condition is certainly false. Nested stacks get the values that are known.
    """
    found: Counter[str] = Counter()
    evaluator = Evaluator(template, template.name, parameter_values(template, values), {})
    for logical_id in _present(evaluator):
        child = template.children.get(logical_id)
        if child is None:
            found[""] += 1
        elif child in templates:
            given = template.resources[logical_id].get("Properties", {}).get("Parameters", {})
            known = {name: evaluator.value_or_unknown(value) for name, value in given.items()}
            inner = Evaluator(templates[child], child, parameter_values(templates[child], known), {})
            found[logical_id] += sum(1 for _ in _present(inner))
    return dict(found)


def _present(evaluator: Evaluator) -> Iterator[str]:
    for logical_id, resource in evaluator.template.resources.items():
        condition = resource.get("Condition")
        try:
            if condition and evaluator.condition(condition) is False:
                continue
        except ResolveError:
            pass  # CloudFormation reports a condition that cannot be evaluated
        yield logical_id
