"""Nested stacks: what a nested change set stumbles over, and what passes between stacks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from hosting.analysis.resolve import ResolvedEnvironment, Stack
from hosting.analysis.rules.registry import RuleMatch, TemplateLocation, environment_rule, template_rule
from hosting.analysis.rules.values import listed, number
from hosting.model.parameter_file import EXAMPLE_ACCOUNT
from hosting.model.parameter_relations import Input, find_conflicts
from hosting.model.stack_order import COMPANIONS, ROOT
from hosting.model.templates import NESTED_STACK, Template, nested_template
from hosting.model.tokens import Json, origins


def expressions(value: Json, path: str = "") -> Iterator[tuple[str, str, Json]]:
    """Yield every intrinsic function in a value: path, name, argument."""
    if isinstance(value, dict):
        for key, item in value.items():
            here = f"{path}.{key}" if path else key
            if key == "Ref" or key.startswith("Fn::"):
                yield here, key, item
            yield from expressions(item, here)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from expressions(item, f"{path}.{index}")


def in_resources(template: Template) -> Iterator[tuple[str, str, str, Json]]:
    """Yield every intrinsic function of the resources: logical id, path, name, argument."""
    for logical_id, resource in template.resources.items():
        for path, name, argument in expressions({k: v for k, v in resource.items() if k != "Type"}):
            yield logical_id, path, name, argument


def reads_parameter(expression: Json) -> set[str]:
    """Return the names in Ref and Sub."""
    found = set()
    for _, name, argument in expressions(expression):
        if name == "Ref":
            found.add(str(argument))
        elif name == "Fn::Sub":
            text = argument[0] if isinstance(argument, list) else argument
            found |= set(re.findall(r"\$\{([A-Za-z0-9]+)\}", text))
    return found


PLACEHOLDER = (
    "While a nested change set is computed, a sibling's output is only a placeholder text, on which this fails or "
    "takes the wrong branch (CloudFormation User Guide, Change sets for nested stacks)."
)


@environment_rule(
    "CF-01",
    "A parameter fed by a sibling stack is plain text",
    why=PLACEHOLDER,
    hint="drop the constraint or the AWS-specific type here; check the value on a root parameter instead",
)
def wired_parameters_are_plain(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    constraints = {"AllowedPattern", "AllowedValues", "MinLength", "MaxLength", "MinValue", "MaxValue"}
    for stack in env.stacks.values():
        for name in sorted(stack.wired):
            declared = stack.template.section("Parameters").get(name, {})
            place = TemplateLocation(stack.template.name)
            if declared.get("Type") not in ("String", "CommaDelimitedList"):
                yield RuleMatch(place, f"Parameters.{name}.Type", f"wired parameter of type {declared.get('Type')}")
            for key in sorted(constraints & set(declared)):
                yield RuleMatch(place, f"Parameters.{name}.{key}", f"wired parameter with {key}")


@environment_rule(
    "CF-02",
    "Nothing picks from a list that a sibling stack gives",
    why=PLACEHOLDER,
    hint="let the sibling give each value by itself, and build the list here",
)
def no_select_on_wired(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for stack in env.stacks.values():
        for logical_id, path, name, argument in in_resources(stack.template):
            if name in ("Fn::Select", "Fn::Split") and (used := reads_parameter(argument) & stack.wired):
                yield RuleMatch(
                    TemplateLocation(stack.template.name, logical_id),
                    path,
                    f"{name} on wired {', '.join(sorted(used))}",
                )


@environment_rule(
    "CF-03",
    "No condition depends on what a sibling stack gives",
    why=PLACEHOLDER,
    hint="decide on a root parameter that is passed down as it is",
)
def no_condition_on_wired(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for stack in env.stacks.values():
        for name, condition in stack.template.section("Conditions").items():
            if used := reads_parameter(condition) & stack.wired:
                yield RuleMatch(
                    TemplateLocation(stack.template.name),
                    f"Conditions.{name}",
                    f"decides on wired {', '.join(sorted(used))}",
                )


@template_rule(
    "CF-04",
    "Nothing is exported or imported",
    why="An export cannot change while it is imported, and in nested change sets names of exports built with Join "
    "collide (CloudFormation User Guide, Fn::ImportValue).",
    hint="pass the value as a parameter",
)
def no_exports(templates: Mapping[str, Template]) -> Iterator[RuleMatch]:
    for template in templates.values():
        for name, output in template.section("Outputs").items():
            if "Export" in output:
                yield RuleMatch(TemplateLocation(template.name), f"Outputs.{name}.Export", "output is exported")
        for logical_id, path, name, _ in in_resources(template):
            if name == "Fn::ImportValue":
                yield RuleMatch(TemplateLocation(template.name, logical_id), path, "value is imported")


@template_rule(
    "CF-05",
    "A nested stack is given text, never a list",
    why="Parameters of AWS::CloudFormation::Stack are a map of strings; a list is refused when the stack is created "
    "(CloudFormation Template Reference, AWS::CloudFormation::Stack).",
    hint="join the list with commas",
)
def no_list_for_nested_stack(templates: Mapping[str, Template]) -> Iterator[RuleMatch]:
    for template in templates.values():
        kinds = {key: str(item.get("Type", "")) for key, item in template.section("Parameters").items()}
        for logical_id, resource in template.resources.items():
            if resource["Type"] != NESTED_STACK:
                continue
            for key, value in resource.get("Properties", {}).get("Parameters", {}).items():
                reference = kinds.get(str(value.get("Ref")), "") if isinstance(value, dict) else ""
                function = next(iter(value), "") if isinstance(value, dict) else ""
                if (
                    isinstance(value, list)
                    or "List" in reference
                    or function in ("Fn::Split", "Fn::GetAZs", "Fn::Cidr")
                ):
                    yield RuleMatch(
                        TemplateLocation(template.name, logical_id),
                        f"Properties.Parameters.{key}",
                        f"{key} is given a list",
                    )


@template_rule(
    "CF-06",
    "A nested stack is given the parameters that it has, and all that it needs",
    why="CloudFormation finds a parameter too many or too few only when it makes the nested stack, half-way through "
    "(CloudFormation Template Reference, AWS::CloudFormation::Stack).",
    hint="make the root's Parameters equal to those of the nested template",
)
def parameters_fit(templates: Mapping[str, Template]) -> Iterator[RuleMatch]:
    for name, template in templates.items():
        for logical_id, resource in template.resources.items():
            file = nested_template(resource) if resource.get("Type") == NESTED_STACK else None
            if file is None or file not in templates:
                continue
            declared = templates[file].section("Parameters")
            given = set(resource.get("Properties", {}).get("Parameters", {}))
            needed = {key for key, item in declared.items() if "Default" not in item}
            place = TemplateLocation(name, logical_id)
            if unknown := sorted(given - set(declared)):
                yield RuleMatch(place, "Properties.Parameters", f"{file} has no parameter {', '.join(unknown)}")
            if missing := sorted(needed - given):
                yield RuleMatch(place, "Properties.Parameters", f"{file} needs {', '.join(missing)}")


@environment_rule(
    "CF-08",
    "Nested stacks keep CloudFormation's limits",
    why="A template URL is https and at most 1,024 characters, a template at most 1 MB, a parameter's value 4,096 "
    "bytes, a nested operation 2,500 resources (CloudFormation User Guide, Understand CloudFormation quotas).",
    hint="shorten the value, or split the layer",
)
def limits(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for top in env.chain:
        total = sum(len(stack.resources) for stack in top.walk())
        if total > 2500:
            yield RuleMatch(
                TemplateLocation(top.template.name), "Resources", f"{total} resources in one nested operation"
            )
    for stack in env.stacks.values():
        if len(stack.template.text.encode()) > 1_000_000:
            yield RuleMatch(TemplateLocation(stack.template.name), "", "template above 1 MB")
        for name, value in stack.parameters.items():
            if len(",".join(listed(value)).encode()) > 4096:
                yield RuleMatch(TemplateLocation(stack.template.name), f"Parameters.{name}", "value above 4,096 bytes")
        for nested in stack.of_type(NESTED_STACK):
            url = str(nested.get("TemplateURL", ""))
            if not url.startswith("https://") or len(url) > 1024:
                yield RuleMatch(nested, "Properties.TemplateURL", f"not an https URL of S3: {url}")


_LANGUAGE_EXTENSIONS = ("Fn::Transform", "Fn::ForEach", "Fn::Length", "Fn::ToJsonString")


@template_rule(
    "CF-10",
    "No transforms",
    why="Macros need CAPABILITY_AUTO_EXPAND, which the deployer never gives, and do not resolve dynamic references "
    "(CloudFormation User Guide, Using macros).",
    hint="let the generator write the expanded form",
)
def no_transforms(templates: Mapping[str, Template]) -> Iterator[RuleMatch]:
    for template in templates.values():
        if "Transform" in template.body:
            yield RuleMatch(TemplateLocation(template.name), "Transform", "template has a transform")
        for logical_id, path, name, _ in in_resources(template):
            if name.startswith(_LANGUAGE_EXTENSIONS):
                yield RuleMatch(TemplateLocation(template.name, logical_id), path, f"{name} needs a transform")
        for logical_id, resource in template.resources.items():
            for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
                if not isinstance(resource.get(policy, ""), str):
                    yield RuleMatch(TemplateLocation(template.name, logical_id), policy, f"{policy} is not a literal")


@template_rule(
    "CF-20",
    "Outputs that another stack reads are always there",
    why="Reading an output whose condition is false fails the creation, in that environment only (CloudFormation User "
    "Guide, Outputs).",
    hint="drop the condition and give a sentinel such as none",
)
def read_outputs_are_unconditional(templates: Mapping[str, Template]) -> Iterator[RuleMatch]:
    for template in templates.values():
        nested = {key: nested_template(item) for key, item in template.resources.items()}
        for logical_id, path, name, argument in in_resources(template):
            if name != "Fn::GetAtt" or not isinstance(argument, list) or nested.get(argument[0]) not in templates:
                continue
            child, output = templates[str(nested[argument[0]])], str(argument[1]).removeprefix("Outputs.")
            if "Condition" in child.section("Outputs").get(output, {}):
                yield RuleMatch(
                    TemplateLocation(template.name, logical_id), path, f"{output} of {argument[0]} is conditional"
                )


@environment_rule(
    "CF-28",
    "Every output that is read exists in this environment",
    why="A missing output fails the creation of the stack that reads it (CloudFormation User Guide, Outputs).",
    hint="add the output, or mend its name",
)
def read_outputs_exist(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    yield from _violations(env, "CF-20")


@environment_rule(
    "CF-21",
    "Values keep the rules of their parameters, in nested stacks too",
    why="A value against its pattern, its list or a rule is refused when the change set is created, and cfn-lint does "
    "not see what is passed down (CloudFormation User Guide, Parameters).",
    hint="correct the value in the parameter file, or what the root passes",
)
def values_keep_rules(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    yield from _violations(env, "CF-21")


def _violations(env: ResolvedEnvironment, rule: str) -> Iterator[RuleMatch]:
    for stack in env.stacks.values():
        for violation in stack.violations:
            if violation.rule == rule:
                yield RuleMatch(_violated(stack, violation.path), violation.path, violation.message)


def _violated(stack: Stack, path: str) -> TemplateLocation:
    section, _, name = path.partition(".")
    return TemplateLocation(stack.template.name, name if section == "Resources" else "")


@environment_rule(
    "CF-32",
    "Parameters, region and tags fit each other",
    why="Rules of a template cannot compare numbers or read the region, so AWS refuses these values during the "
    "deployment (AWS CloudFormation User Guide, Rules; AWS CloudFormation API Reference, Tag).",
    hint="correct the value in the parameter file; `deploy.py params check` shows the line",
)
def input_fits(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    given = env.environment
    defaults = {
        name: str(value)
        for stack in env.chain
        for name, value in stack.parameters.items()
        if isinstance(value, str) and not any(origins(value))
    }
    account = given.account if given.account != EXAMPLE_ACCOUNT else None
    values = {**defaults, **given.parameters}
    for found in find_conflicts(Input(values, given.tags, given.region, account)):
        key = found.keys[0]
        path = key if key == "Region" or key.startswith("Tags.") else f"Parameters.{key}"
        yield RuleMatch(TemplateLocation(ROOT), path, found.what)


@template_rule(
    "CF-29",
    "The root only nests, and every companion stands alone",
    why="A resource in the root is in no layer, and a companion that nests needs its templates in another region's "
    "bucket (CloudFormation User Guide, Nested stacks).",
    hint="move the resource into the layer that owns it",
)
def root_only_nests(templates: Mapping[str, Template]) -> Iterator[RuleMatch]:
    for name in (ROOT, *COMPANIONS):
        for logical_id, resource in templates[name].resources.items():
            if (resource["Type"] == NESTED_STACK) != (name == ROOT):
                yield RuleMatch(TemplateLocation(name, logical_id), "Type", f"{resource['Type']} in {name}")


@template_rule(
    "CF-30",
    "A nested stack has time to finish",
    why="A database takes ten minutes and a distribution five; a shorter limit fails and rolls back what would have "
    "come (CloudFormation Template Reference, AWS::CloudFormation::Stack, TimeoutInMinutes).",
    hint="drop TimeoutInMinutes, or give at least 60",
)
def time_to_finish(templates: Mapping[str, Template]) -> Iterator[RuleMatch]:
    for template in templates.values():
        for logical_id, resource in template.resources.items():
            if resource["Type"] != NESTED_STACK:
                continue
            minutes = number(resource.get("Properties", {}).get("TimeoutInMinutes"))
            if minutes is not None and minutes < 60:
                yield RuleMatch(
                    TemplateLocation(template.name, logical_id), "Properties.TimeoutInMinutes", f"{minutes:g} minutes"
                )
