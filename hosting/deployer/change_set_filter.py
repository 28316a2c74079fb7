"""Tells what a change set of nested stacks changes from what it only lists.

While a nested change set is computed, an output of a sibling that changes in any way is a placeholder, and so
is an attribute of a resource in the same stack. CloudFormation then lists everything that hangs on it as
changing, often as being replaced. Most of it stays as it is: the id of a security group does not change
because a rule was added elsewhere in its stack. Here each placeholder is followed to the resource that it
comes from, and counts as a change only when that resource is replaced, or is changed in an attribute that is
no identifier.

Starts from the belief that nothing moves, and lets every change that stands by itself spread until nothing
more follows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hosting.deployer.change_sets import Change, ChangeSet, Detail
from hosting.model.intrinsics import UNKNOWN, Evaluator, parameter_values
from hosting.model.templates import Template

_OUTPUT = re.compile(r"\{\{IntrinsicFunction:[^/{}]+/(?P<nested>\w+)\.Outputs\.(?P<output>\w+)/Fn::GetAtt\}\}")
_SUBSTITUTED = re.compile(r"\$\{(?!!)([^}]+)\}")

# What names a resource stays when the resource is changed in place; the port too, which our templates leave to Aurora.
_IDENTIFIER = re.compile(r"(Arn|ARN|Name|Id|ID|URL|Url|Suffix|Endpoint\.(Address|Port)|ReadEndpoint\.Address)$")

_REFERENCES = frozenset({"ResourceReference", "ResourceAttribute"})
_MOVES = frozenset({"replace", "may replace", "add", "delete", "import", "unknown"})


@dataclass(frozen=True)
class ValueSource:
    """Where a value comes from: a resource of a stack of the tree ("" is the root), and which attribute of it."""

    stack: str
    resource: str
    attribute: str = ""


@dataclass
class ChangeSetFilter:
    """The root's template and its children's, and what the nested stacks put out now."""

    template: Template
    children: Mapping[str, Template]
    # By nested stack: outputs that are deployed and still mean the same.
    outputs: Mapping[str, Mapping[str, str]]
    # The root's parameters that keep their values.
    unchanged: frozenset[str] = frozenset()
    # By nested stack: its parameters as they are deployed.
    parameters: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    # (stack, resource) -> effect, of what changes by itself as far as is known.
    effects: dict[tuple[str, str], str] = field(default_factory=dict)
    # The root's resources that the change set lists; CloudFormation reads the outputs of all others as they are.
    listed: frozenset[str] = frozenset()

    def settle(self, change_set: ChangeSet) -> ChangeSet:
        """The same tree with its derived details marked."""
        self.listed = frozenset(change.logical_id for change in change_set.changes)
        while True:
            settled = self._marked(change_set, "")
            found = dict(self._effects(settled, ""))
            if found == self.effects:
                return self._filled(settled)
            self.effects = found

    def _filled(self, change_set: ChangeSet) -> ChangeSet:
        """The same tree with the values that are known to stay in place of their placeholders."""

        def fill(change: Change) -> Change:
            after = _OUTPUT.sub(self._known, change.after)
            return replace(change, after=after, nested=self._filled(change.nested) if change.nested else None)

        return replace(change_set, changes=tuple(fill(change) for change in change_set.changes))

    def _known(self, placeholder: re.Match[str]) -> str:
        value = self._output(placeholder["nested"], placeholder["output"])
        # It stands inside of a JSON text.
        return placeholder[0] if value is None else json.dumps(value)[1:-1]

    def _marked(self, change_set: ChangeSet, stack: str) -> ChangeSet:
        return replace(change_set, changes=tuple(self._mark(change, stack) for change in change_set.changes))

    def _mark(self, change: Change, stack: str) -> Change:
        if change.nested is not None:
            # Only the root nests, so one logical id is the whole way.
            return replace(change, nested=self._marked(change.nested, change.logical_id))
        if change.action != "Modify":
            return change
        given = [self._doubted(detail, stack) for detail in change.details]
        known = [
            replace(detail, derived=self._is_derived(detail, stack) or is_desired_count_removed(change, detail))
            for detail in given
        ]
        # A property with a reference in it is listed twice: for the reference, and as perhaps modified directly.
        # Without values only the other entries can tell.
        by_reference = [one for one in known if not _is_vague(one)]
        moved = {one.name for one in by_reference if not one.derived}
        explained = {one.name for one in by_reference} - moved
        details = (replace(one, derived=one.name in explained) if _is_vague(one) else one for one in known)
        settled = replace(change, details=tuple(details))
        if given != list(change.details) and not any(one.recreation == "Always" for one in settled.effective_details):
            # CloudFormation's own verdict took the references for certain.
            settled = replace(settled, replacement={"True": "Conditional"}.get(change.replacement, change.replacement))
        return settled

    def _doubted(self, detail: Detail, stack: str) -> Detail:
        """What hangs on a resource that may only perhaps be replaced, is perhaps replaced itself."""
        if detail.source not in _REFERENCES or detail.recreation != "Always":
            return detail
        effect = self.effects.get((stack, detail.cause.partition(".")[0]))
        return replace(detail, recreation="Conditionally") if effect == "may replace" else detail

    def _effects(self, change_set: ChangeSet, stack: str) -> Iterator[tuple[tuple[str, str], str]]:
        for change in change_set.changes:
            if change.nested is not None:
                yield from self._effects(change.nested, change.logical_id)
            elif change.effect != "nothing":
                yield (stack, change.logical_id), change.effect

    def _is_derived(self, detail: Detail, stack: str) -> bool:
        if detail.source in _REFERENCES:
            resource, _, attribute = detail.cause.partition(".")
            return self._is_stable(ValueSource(stack, resource, attribute))
        if detail.source == "ParameterReference" and detail.before is None and detail.after is None:
            return self._is_fed_stably(stack, detail.cause)
        return self._stays(detail.before, detail.after)

    def _is_fed_stably(self, stack: str, parameter: str) -> bool:
        """Whether a parameter keeps its value; a child's takes it from the root or from another child."""
        if not stack:
            return parameter in self.unchanged
        fed = self.template.resources.get(stack, {}).get("Properties", {}).get("Parameters", {}).get(parameter)
        match fed:
            case {"Fn::GetAtt": [str(nested), str(attribute)]} if attribute.startswith("Outputs."):
                output = attribute.removeprefix("Outputs.")
                return nested not in self.listed or self._output(nested, output) is not None
            case {"Ref": str(name)}:
                return name in self.unchanged
            case _:
                return False

    def _stays(self, before: str | None, after: str | None) -> bool:
        """Whether a value with placeholders is what is deployed, once they are filled with today's outputs."""
        if before is None or after is None or not _OUTPUT.search(after):
            return False
        for match in _OUTPUT.finditer(after):
            value = self._output(match["nested"], match["output"])
            if value is None:
                return False
            after = after.replace(match[0], value)
        return after == before

    def _is_stable(self, source: ValueSource) -> bool:
        effect = self.effects.get((source.stack, source.resource))
        if effect in _MOVES:
            return False
        # Ref gives an identifier; GetAtt may give anything.
        return effect is None or not source.attribute or _IDENTIFIER.search(source.attribute) is not None

    def _output(self, nested: str, name: str) -> str | None:
        """The value that an output will have, when that is what it has now."""
        template = self.children.get(nested)
        if template is None:
            return None
        value = template.body.get("Outputs", {}).get(name, {}).get("Value")
        if isinstance(value, str):
            return value
        references = list(_references(self._decided(nested, value)))
        if not references or not all(self._keeps(nested, *reference) for reference in references):
            return None
        return self.outputs.get(nested, {}).get(name)

    def _decided(self, nested: str, node: Any) -> Any:
        """An expression with each Fn::If as the branch that is deployed, and what its condition hangs on."""
        if isinstance(node, list):
            return [self._decided(nested, item) for item in node]
        if not isinstance(node, dict):
            return node
        match node.get("Fn::If"):
            case [str(name), yes, no]:
                condition = _expanded(self.children[nested].body.get("Conditions", {}), {"Condition": name})
                verdict = Evaluator(self.children[nested], nested, self._deployed_parameters(nested), {}).condition(
                    name
                )
                branches = [yes, no] if verdict is None else [yes if verdict else no]
                return [condition, *(self._decided(nested, branch) for branch in branches)]
            case _:
                return {key: self._decided(nested, value) for key, value in node.items()}

    def _deployed_parameters(self, nested: str) -> dict[str, Any]:
        """Return the deployed parameters of a child; UNKNOWN for a value that CloudFormation masks or does not show."""
        template, shown = self.children[nested], self.parameters.get(nested, {})
        masked = {name for name, value in shown.items() if set(value) == {"*"}}
        unknown = dict.fromkeys({*template.parameters, *masked} - (shown.keys() - masked), UNKNOWN)
        return parameter_values(template, {**shown, **unknown})

    def _keeps(self, nested: str, name: str, attribute: str) -> bool:
        """Whether what an expression in a child refers to stays: a resource, or a parameter handed through."""
        if name in self.children[nested].resources:
            return self._is_stable(ValueSource(nested, name, attribute))
        return self._is_fed_stably(nested, name)


def _expanded(conditions: Mapping[str, Any], node: Any) -> Any:
    """A condition with those that it names in their places."""
    if isinstance(node, list):
        return [_expanded(conditions, item) for item in node]
    if not isinstance(node, dict):
        return node
    name = node.get("Condition")
    if isinstance(name, str) and name in conditions:
        return _expanded(conditions, conditions[name])
    return {key: _expanded(conditions, value) for key, value in node.items()}


def is_desired_count_removed(change: Change, detail: Detail) -> bool:
    """Whether the number of tasks is only not given any more, because the service is not new.

    An update without it leaves the number as it is (Amazon ECS API Reference, UpdateService): what scaling chose stays.
    """
    name = detail.name.removeprefix("/Properties/")
    if change.resource_type != "AWS::ECS::Service" or name != "DesiredCount" or detail.before is None:
        return False
    after = change.properties_after
    return detail.after is None and after is not None and name not in after


def _is_vague(detail: Detail) -> bool:
    """Listed as perhaps modified directly, without a value to judge by."""
    direct = detail.source == "DirectModification" and detail.evaluation == "Dynamic"
    return direct and detail.before is None and detail.after is None


def find_unchanged_outputs(deployed: Mapping[str, Any], template: Template) -> frozenset[str]:
    """The outputs that the template defines as the deployed one does."""
    before, after = deployed.get("Outputs", {}), template.body.get("Outputs", {})
    return frozenset(name for name, output in after.items() if before.get(name, {}).get("Value") == output["Value"])


def select_child_templates(template: Template, templates: Mapping[str, Template]) -> dict[str, Template]:
    """Logical id of each nested stack -> its template."""
    return {name: templates[file] for name, file in template.children.items() if file in templates}


def _references(node: Any) -> Iterator[tuple[str, str]]:
    """(name, attribute) of everything that an expression refers to; pseudo parameters do not move."""
    if isinstance(node, list):
        for item in node:
            yield from _references(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "Ref":
                if not value.startswith("AWS::"):
                    yield value, ""
            elif key == "Fn::GetAtt":
                resource, attribute = value.split(".", 1) if isinstance(value, str) else value
                yield resource, attribute
            elif key == "Fn::Sub":
                text, given = (value, {}) if isinstance(value, str) else value
                yield from _references(given)
                for name in _SUBSTITUTED.findall(text):
                    if name not in given and not name.startswith("AWS::"):
                        resource, _, attribute = name.partition(".")
                        yield resource, attribute
            else:
                yield from _references(value)
