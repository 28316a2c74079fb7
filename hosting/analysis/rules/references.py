"""References: the resource behind a reference has the type that the property takes."""

from __future__ import annotations

from collections.abc import Iterator

from hosting.analysis.identifiers import identifiers_of_dimension, identifiers_returned, identifiers_taken
from hosting.analysis.resolve import ResolvedEnvironment, Resource
from hosting.analysis.rules.registry import RuleMatch, environment_rule
from hosting.model.tokens import Json, Origin, origin


@environment_rule(
    "CF-31",
    "A reference leads to a resource of the type that its property takes",
    why="CloudFormation passes any text on, and the service rejects the identifier of another resource only when it "
    "creates or updates this one. cfn-lint compares types within one template, not through the parameters and outputs "
    "of nested stacks (CloudFormation User Guide, Intrinsic function reference).",
    hint="pass the identifier that the message names; give the value in the generator a type of its own",
)
def references_lead_to_the_type(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for stack in env.stacks.values():
        for resource in stack.resources.values():
            for path, source in _references(dict(resource.properties)):
                target = env.resource(source)
                taken = _taken(resource, path)
                if target is None or not taken:
                    continue
                if not taken & identifiers_returned(target.type, source.attribute):
                    given = f"{source.stack}:{source.logical_id} ({target.type}.{source.attribute})"
                    message = f"the value is {given}, but the property takes {' or '.join(sorted(taken))}"
                    yield RuleMatch(resource, f"Properties.{path}", message)


def _references(value: Json, path: str = "") -> Iterator[tuple[str, Origin]]:
    """Yield path and origin of each value that is a reference and nothing else."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _references(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _references(item, f"{path}.{index}")
    elif source := origin(value):
        yield path, source


def _taken(resource: Resource, path: str) -> frozenset[str]:
    dimension = path.removesuffix(".Value")
    if resource.type == "AWS::CloudWatch::Alarm" and path.startswith("Dimensions.") and dimension != path:
        return identifiers_of_dimension(str(resource.get(f"{dimension}.Name")))
    return identifiers_taken(resource.type, _without_indexes(path))


def _without_indexes(path: str) -> str:
    return ".".join("*" if step.isdigit() else step for step in path.split("."))
