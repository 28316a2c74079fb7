"""Separates real changes in a nested change set from entries that CloudFormation lists only as a precaution.

While a nested change set is computed, every output of a sibling that changes in any way is a placeholder. So is every
attribute of a changed resource in the same stack. CloudFormation then lists all resources that depend on it as changed,
often as replaced. Most of these entries have no effect: the id of a security group does not change because a rule was
added elsewhere in its stack. This module follows each placeholder to its source resource. The placeholder counts as a
change only if that resource is replaced, or if the attribute is not an identifier. The other entries are marked as
derived.

The algorithm is a fixed-point iteration: assume that no output changes, then propagate each direct change until the
result is stable.
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

# Identifiers keep their values when a resource is updated in place. So does the port, which the templates leave to
# Aurora.
_IDENTIFIER = re.compile(r"(Arn|ARN|Name|Id|ID|URL|Url|Suffix|Endpoint\.(Address|Port)|ReadEndpoint\.Address)$")

_REFERENCES = frozenset({"ResourceReference", "ResourceAttribute"})
_MOVES = frozenset({"replace", "may replace", "add", "delete", "import", "unknown"})


@dataclass(frozen=True)
class ValueSource:
    """Source of a value: an attribute of a resource in a stack of the tree. The root's stack is an empty string."""

    stack: str
    resource: str
    attribute: str = ""


@dataclass
class ChangeSetFilter:
    """Filter for one change set: the templates of the tree, and the deployed outputs of its nested stacks."""

    template: Template
    children: Mapping[str, Template]
    # Nested stack -> deployed outputs whose definition is unchanged.
    outputs: Mapping[str, Mapping[str, str]]
    # Parameters of the root that keep their values.
    unchanged: frozenset[str] = frozenset()
    # Nested stack -> deployed parameters.
    parameters: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    # (stack, resource) -> effect of each direct change that is known so far.
    effects: dict[tuple[str, str], str] = field(default_factory=dict)
    # Resources of the root in the change set. CloudFormation reads the outputs of all others from the deployed
    # stacks.
    listed: frozenset[str] = frozenset()

    def classify(self, change_set: ChangeSet) -> ChangeSet:
        """Return the change set with its derived details marked."""
        self.listed = frozenset(change.logical_id for change in change_set.changes)
        while True:
            classified = self._mark_all(change_set, "")
            found = dict(self._effects(classified, ""))
            if found == self.effects:
                return self._fill(classified)
            self.effects = found

    def _fill(self, change_set: ChangeSet) -> ChangeSet:
        """Return the change set with placeholders replaced by values that are known to stay."""

        def fill(change: Change) -> Change:
            after = _OUTPUT.sub(self._resolve_placeholder, change.after)
            return replace(change, after=after, nested=self._fill(change.nested) if change.nested else None)

        return replace(change_set, changes=tuple(fill(change) for change in change_set.changes))

    def _resolve_placeholder(self, placeholder: re.Match[str]) -> str:
        value = self._output(placeholder["nested"], placeholder["output"])
        # The placeholder is part of a JSON string.
        return placeholder[0] if value is None else json.dumps(value)[1:-1]

    def _mark_all(self, change_set: ChangeSet, stack: str) -> ChangeSet:
        return replace(change_set, changes=tuple(self._mark(change, stack) for change in change_set.changes))

    def _mark(self, change: Change, stack: str) -> Change:
        if change.nested is not None:
            # Only the root contains nested stacks, so one logical id is the complete path.
            return replace(change, nested=self._mark_all(change.nested, change.logical_id))
        if change.action != "Modify":
            return change
        given = [self._weaken(detail, stack) for detail in change.details]
        known = [
            replace(detail, derived=self._is_derived(detail, stack) or is_desired_count_removed(change, detail))
            for detail in given
        ]
        # A property with a reference is listed twice: for the reference, and as a possible direct
        # modification. If the values are not reported, only the other entries can decide.
        by_reference = [one for one in known if not _has_no_values(one)]
        moved = {one.name for one in by_reference if not one.derived}
        explained = {one.name for one in by_reference} - moved
        details = (replace(one, derived=one.name in explained) if _has_no_values(one) else one for one in known)
        marked = replace(change, details=tuple(details))
        if given != list(change.details) and not any(one.recreation == "Always" for one in marked.effective_details):
            # CloudFormation computed Replacement as if the references certainly change.
            marked = replace(marked, replacement={"True": "Conditional"}.get(change.replacement, change.replacement))
        return marked

    def _weaken(self, detail: Detail, stack: str) -> Detail:
        """Return the detail as conditional if it depends on a resource that is only possibly replaced."""
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
            return self._is_parameter_stable(stack, detail.cause)
        return self._is_unchanged(detail.before, detail.after)

    def _is_parameter_stable(self, stack: str, parameter: str) -> bool:
        """Return whether a parameter keeps its value. A child's parameter comes from the root or from another child."""
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

    def _is_unchanged(self, before: str | None, after: str | None) -> bool:
        """Return whether a value with the deployed outputs in place of its placeholders equals the deployed value.

        A value can refer to one item of a list of which another item changes. Equal asterisks may hide a change.
        """
        if before is None or after is None or set(after) == {"*"}:
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
        # Ref returns an identifier. GetAtt may return any value.
        return effect is None or not source.attribute or _IDENTIFIER.search(source.attribute) is not None

    def _output(self, nested: str, name: str) -> str | None:
        """Return the deployed value of an output if the output keeps it, else None."""
        template = self.children.get(nested)
        if template is None:
            return None
        value = template.body.get("Outputs", {}).get(name, {}).get("Value")
        if isinstance(value, str):
            return value
        references = list(_references(self._select_branches(nested, value)))
        if not references or not all(self._is_reference_stable(nested, *reference) for reference in references):
            return None
        return self.outputs.get(nested, {}).get(name)

    def _select_branches(self, nested: str, node: Any) -> Any:
        """Return an expression with each Fn::If replaced by its deployed branch and the references of its condition."""
        if isinstance(node, list):
            return [self._select_branches(nested, item) for item in node]
        if not isinstance(node, dict):
            return node
        match node.get("Fn::If"):
            case [str(name), yes, no]:
                condition = _expand(self.children[nested].body.get("Conditions", {}), {"Condition": name})
                is_true = Evaluator(self.children[nested], nested, self._deployed_parameters(nested), {}).condition(
                    name
                )
                branches = [yes, no] if is_true is None else [yes if is_true else no]
                return [condition, *(self._select_branches(nested, branch) for branch in branches)]
            case _:
                return {key: self._select_branches(nested, value) for key, value in node.items()}

    def _deployed_parameters(self, nested: str) -> dict[str, Any]:
        """Return the deployed parameters of a child; UNKNOWN for a value that CloudFormation masks or does not show."""
        template, shown = self.children[nested], self.parameters.get(nested, {})
        masked = {name for name, value in shown.items() if set(value) == {"*"}}
        unknown = dict.fromkeys({*template.parameters, *masked} - (shown.keys() - masked), UNKNOWN)
        return parameter_values(template, {**shown, **unknown})

    def _is_reference_stable(self, nested: str, name: str, attribute: str) -> bool:
        """Return whether a reference in a child keeps its value: to a resource, or to a parameter that is passed on."""
        if name in self.children[nested].resources:
            return self._is_stable(ValueSource(nested, name, attribute))
        return self._is_parameter_stable(nested, name)


def _expand(conditions: Mapping[str, Any], node: Any) -> Any:
    """Return a condition with the conditions that it names inserted in place."""
    if isinstance(node, list):
        return [_expand(conditions, item) for item in node]
    if not isinstance(node, dict):
        return node
    name = node.get("Condition")
    if isinstance(name, str) and name in conditions:
        return _expand(conditions, conditions[name])
    return {key: _expand(conditions, value) for key, value in node.items()}


def is_desired_count_removed(change: Change, detail: Detail) -> bool:
    """Return whether the desired count is only removed, because the service is not new.

    An update without it leaves the desired count unchanged (Amazon ECS API Reference, UpdateService), so the value of
    Application Auto Scaling remains.
    """
    name = detail.name.removeprefix("/Properties/")
    if change.resource_type != "AWS::ECS::Service" or name != "DesiredCount" or detail.before is None:
        return False
    after = change.properties_after
    return detail.after is None and after is not None and name not in after


def _has_no_values(detail: Detail) -> bool:
    """Return whether a detail is a possible direct modification without reported values."""
    direct = detail.source == "DirectModification" and detail.evaluation == "Dynamic"
    return direct and detail.before is None and detail.after is None


def find_unchanged_outputs(deployed: Mapping[str, Any], template: Template) -> frozenset[str]:
    """Return the outputs that the template defines as the deployed template does."""
    before, after = deployed.get("Outputs", {}), template.body.get("Outputs", {})
    return frozenset(name for name, output in after.items() if before.get(name, {}).get("Value") == output["Value"])


def select_child_templates(template: Template, templates: Mapping[str, Template]) -> dict[str, Template]:
    """Return the template of each nested stack by logical id."""
    return {name: templates[file] for name, file in template.children.items() if file in templates}


def _references(node: Any) -> Iterator[tuple[str, str]]:
    """Yield (name, attribute) of each reference in an expression. Pseudo parameters never change and are left out."""
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
