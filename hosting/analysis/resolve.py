"""The whole environment as CloudFormation would see it: parameters put in all the way down, before anything exists.

Lint and most tools judge one template with its parameters unknown. Here the parameter file's values reach every nested
stack, conditions are decided, and what a sibling makes stays a token that names the resource behind it (tokens.py), so
that a question such as "which security group is that?" has an answer across stacks.
"""

from __future__ import annotations

import graphlib
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from hosting.analysis.errors import ParameterFileError, ResolveError
from hosting.analysis.expressions import NO_VALUE, Evaluator
from hosting.analysis.templates import (
    COMPANIONS,
    EDGE_REGION,
    ROOT,
    Environment,
    Template,
    kebab,
    nested_template,
    template_file,
)
from hosting.analysis.tokens import Json, Origin, origin, origins

NESTED_STACK = "AWS::CloudFormation::Stack"
# The longest wrong value that a finding repeats.
_SHOWN = 16


@dataclass(frozen=True)
class Resource:
    """A resource whose condition holds, with its values put in."""

    stack: str
    logical_id: str
    type: str
    properties: Mapping[str, Json]
    depends_on: tuple[str, ...] = ()
    attributes: Mapping[str, Json] = field(default_factory=dict)  # DeletionPolicy, Metadata and the like

    @property
    def ref(self) -> str:
        return Origin(self.stack, self.logical_id, "Ref").token()

    def att(self, attribute: str) -> str:
        return Origin(self.stack, self.logical_id, attribute).token()

    def get(self, path: str, default: Json = None) -> Json:
        """A property by its dotted path; `default` where any step is missing."""
        value: Json = self.properties
        for step in path.split("."):
            if isinstance(value, list) and step.isdigit() and int(step) < len(value):
                value = value[int(step)]
            elif isinstance(value, Mapping) and step in value:
                value = value[step]
            else:
                return default
        return value


@dataclass(frozen=True)
class Violation:
    """A value that its own template forbids: CloudFormation would refuse it, cfn-lint cannot see it."""

    rule: str
    path: str
    message: str


@dataclass(frozen=True)
class Stack:
    """One stack of the environment, nested or not."""

    path: str  # "root/NetworkStack"
    template: Template
    region: str
    account: str
    parameters: Mapping[str, Json]
    # Parameters fed by another stack of the root: while a nested change set is computed they are only placeholders.
    wired: frozenset[str]
    conditions: Mapping[str, bool]
    resources: Mapping[str, Resource]
    outputs: Mapping[str, Json]
    children: tuple[Stack, ...] = ()
    violations: tuple[Violation, ...] = ()

    def walk(self) -> Iterator[Stack]:
        yield self
        for child in self.children:
            yield from child.walk()

    def of_type(self, *types: str) -> list[Resource]:
        return [resource for resource in self.resources.values() if resource.type in types]


@dataclass(frozen=True)
class ResolvedEnvironment:
    """The chain of stacks of one environment, in the order of deployment."""

    environment: Environment
    chain: tuple[Stack, ...]

    @property
    def name(self) -> str:
        return self.environment.name

    @cached_property
    def stacks(self) -> dict[str, Stack]:
        return {stack.path: stack for top in self.chain for stack in top.walk()}

    @property
    def refused_values(self) -> set[str]:
        """Values that break their parameter's constraint and are long enough to be a token pasted into the wrong place.

        Findings are kept in build logs, so none may repeat them.
        """
        texts = (
            str(stack.parameters.get(violation.path.removeprefix("Parameters."), ""))
            for stack in self.stacks.values()
            for violation in stack.violations
        )
        return {text for text in texts if len(text) > _SHOWN}

    def of_type(self, *types: str) -> list[Resource]:
        return [resource for stack in self.stacks.values() for resource in stack.of_type(*types)]

    def resource(self, source: Origin | str | None) -> Resource | None:
        """The resource that a token comes from; None when the value is no token, or its resource is absent."""
        found = origin(source) if isinstance(source, str) else source
        stack = self.stacks.get(found.stack) if found else None
        return stack.resources.get(found.logical_id) if stack and found else None

    def resources_in(self, value: Json) -> list[Resource]:
        """The resources behind every token inside a value."""
        return [found for item in origins(value) if (found := self.resource(item))]

    def template_of(self, resource: Resource) -> str:
        return self.stacks[resource.stack].template.name


def resolve(templates: Mapping[str, Template], environment: Environment) -> ResolvedEnvironment:
    """Every stack of the environment. `templates` is what load_templates returns."""
    _refuse_unknown(templates, environment)
    chain: list[Stack] = []
    made: dict[str, Json] = {}  # outputs so far: each feeds the parameter of its name in a later stack of the chain
    for path, name, region in _chain(templates, environment.region):
        stack = _Resolver(templates, environment, region).top(path, templates[name], made)
        chain.append(stack)
        if path != _SECOND_BOOTSTRAP:
            made |= stack.outputs
    return ResolvedEnvironment(environment, tuple(chain))


_SECOND_BOOTSTRAP = f"bootstrap-{EDGE_REGION}"


def _chain(templates: Mapping[str, Template], home: str) -> list[tuple[str, str, str]]:
    chain = [
        ("bootstrap", "bootstrap.json", home),
        (_SECOND_BOOTSTRAP, "bootstrap.json", EDGE_REGION),
        ("edge", "edge.json", EDGE_REGION),
        ("root", ROOT, home),
        ("edge-monitoring", "edge-monitoring.json", EDGE_REGION),
    ]
    return [item for item in chain if item[1] in templates]


def _refuse_unknown(templates: Mapping[str, Template], environment: Environment) -> None:
    known = {key for name in (ROOT, *COMPANIONS) for key in templates[name].section("Parameters")}
    if unknown := sorted(set(environment.parameters) - known):
        raise ParameterFileError(
            f"no stack has a parameter {', '.join(unknown)}",
            where=environment.file or environment.name,
            remedy="run `deploy.py params check` for suggestions",
        )


def filler(parameter: str, templates: Mapping[str, Template], environment: Environment, region: str) -> str | None:
    """What the deployer will fill in, as far as it can be known without AWS; the rest is plausible.

    Keys are addresses by content, so a template's own key is exact; a Lambda's archive is not built here. The prefix
    list is the one that `com.amazonaws.global.cloudfront.origin-facing` has in Tokyo.
    """
    if parameter.endswith("TemplateKey"):
        file = template_file(parameter)
        digest = templates[file].digest if file in templates else _digest(file)
        return f"templates/{file.removesuffix('.json')}/{digest}.json"
    if parameter.endswith("CodeKey"):
        name = kebab(parameter.removesuffix("CodeKey")).replace("-", "_")
        return f"lambda/{name}/{_digest(name)}.zip"
    if parameter == "ServiceIsNew":
        return ",".join("true" for _ in services(templates[ROOT]))
    if parameter == "CloudFrontPrefixListId":
        return "pl-58a04531"
    if parameter == "OriginCertificateArn" and not environment.parameters.get("DomainName"):
        return f"arn:aws:acm:{region}:{environment.account}:certificate/{_uuid('origin')}"
    if parameter == "ArtifactBucket":
        return f"{environment.parameters.get('Project', 'project')}-artifacts-{environment.account}-{region}"
    return None


def services(root: Template) -> list[str]:
    """The names of the services, in the order in which the root nests them."""
    listed = root.section("Metadata").get("Services", [])
    return [item if isinstance(item, str) else item["Name"] for item in listed]


def stack_name(environment: Environment, path: str) -> str:
    """The name under which a stack of the chain is deployed."""
    project = environment.parameters.get("Project", "project")
    if path.startswith("bootstrap"):
        return f"{project}-bootstrap"
    name = f"{project}-{environment.parameters.get('Environment', environment.name)}"
    return name if path == "root" else f"{name}-{path}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _uuid(text: str) -> str:
    digest = _digest(text)
    return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32]))


@dataclass(frozen=True)
class _Resolver:
    templates: Mapping[str, Template]
    environment: Environment
    region: str

    def top(self, path: str, template: Template, made: Mapping[str, Json]) -> Stack:
        """A stack of the chain: its parameters come from earlier outputs, the deployer, the file, or their defaults."""
        given: dict[str, Json] = {}
        missing = []
        for name, declared in template.section("Parameters").items():
            filled = filler(name, self.templates, self.environment, self.region)
            if name == "ArtifactBucket":
                given[name] = filled  # each stack reads the bucket of its own region
            elif name in made and made[name] != "":
                given[name] = made[name]
            elif name in self.environment.parameters:
                given[name] = self.environment.parameters[name]
            elif filled is not None:
                given[name] = filled
            elif "Default" not in declared:
                missing.append(name)
        if missing:
            raise ParameterFileError(
                f"{template.name} needs {', '.join(missing)}",
                where=self.environment.file or self.environment.name,
                remedy="add it under Parameters",
            )
        return self.stack(path, stack_name(self.environment, path), template, given, frozenset())

    def stack(
        self, path: str, name: str, template: Template, given: Mapping[str, Json], wired: frozenset[str]
    ) -> Stack:
        parameters = {}
        for key, declared in template.section("Parameters").items():
            value = given.get(key, declared.get("Default", ""))
            value = _text(value)
            parameters[key] = _split_list(value) if _is_list(declared) else value
        evaluator = Evaluator(template, path, parameters, self._pseudo(name))
        conditions = {key: evaluator.condition(key) for key in template.section("Conditions")}
        present = {
            logical_id: resource
            for logical_id, resource in template.resources.items()
            if conditions.get(resource.get("Condition", ""), True)
        }
        violations = [*_constraints(template, parameters), *_rules(template, evaluator)]
        children, gaps = self._children(path, name, template, present, evaluator)
        resources = {
            logical_id: _resource(path, logical_id, resource, evaluator) for logical_id, resource in present.items()
        }
        # From here on an output of a child stands for the resource that gives it.
        evaluator.nested_output = lambda child, output: (
            children[child].outputs.get(output) if child in children else None
        )
        outputs = {
            key: evaluator.value(declared.get("Value"))
            for key, declared in template.section("Outputs").items()
            if conditions.get(declared.get("Condition", ""), True)
        }
        return Stack(
            path,
            template,
            self.region,
            self.environment.account,
            parameters,
            wired,
            conditions,
            resources,
            outputs,
            tuple(children.values()),
            (*violations, *gaps),
        )

    def _pseudo(self, stack_name: str) -> dict[str, Json]:
        account = self.environment.account
        return {
            "AWS::AccountId": account,
            "AWS::Region": self.region,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackName": stack_name,
            "AWS::StackId": f"arn:aws:cloudformation:{self.region}:{account}:stack/{stack_name}/{_uuid(stack_name)}",
            "AWS::NotificationARNs": [],
        }

    def _children(
        self, path: str, name: str, template: Template, present: Mapping[str, Json], evaluator: Evaluator
    ) -> tuple[dict[str, Stack], list[Violation]]:
        """The nested stacks, each after those whose outputs it takes."""
        nested = {key: item for key, item in present.items() if item["Type"] == NESTED_STACK}
        order = graphlib.TopologicalSorter(
            {key: set(_outputs_used(item)) & set(nested) for key, item in nested.items()}
        )
        done: dict[str, Stack] = {}
        gaps: list[Violation] = []

        def output(child: str, wanted: str) -> Json:
            if wanted in done[child].outputs:
                return done[child].outputs[wanted]
            gaps.append(
                Violation("CF-20", f"Resources.{user}", f"{child} gives no output {wanted} in this environment")
            )
            return Origin(path, child, f"Outputs.{wanted}").token()

        follower = replace(evaluator, nested_output=output)
        try:
            sequence = list(order.static_order())
        except graphlib.CycleError as cycle:
            raise ResolveError(
                f"nested stacks need each other: {' -> '.join(cycle.args[1])}", template=template.name
            ) from None
        for user in sequence:
            file = nested_template(nested[user])
            if file is None or file not in self.templates:
                raise ResolveError(f"{user} nests {file}, which is not there", template=template.name)
            expressions = nested[user].get("Properties", {}).get("Parameters", {})
            values = {key: follower.value(item) for key, item in expressions.items()}
            given = {key: _text(value) for key, value in values.items() if value is not NO_VALUE}
            wired = frozenset(key for key, item in expressions.items() if _outputs_used(item))
            suffix = _digest(user)[:12].upper()
            done[user] = self.stack(f"{path}/{user}", f"{name}-{user}-{suffix}", self.templates[file], given, wired)
        return {key: done[key] for key in nested}, gaps


def _outputs_used(expression: Json) -> set[str]:
    """The nested stacks whose outputs an expression reads."""
    used: set[str] = set()
    if isinstance(expression, dict):
        for key, item in expression.items():
            if key == "Fn::GetAtt":
                logical_id, attribute = item.split(".", 1) if isinstance(item, str) else item
                if str(attribute).startswith("Outputs."):
                    used.add(logical_id)
            elif key == "Fn::Sub":
                text = item[0] if isinstance(item, list) else item
                used |= set(re.findall(r"\$\{([A-Za-z0-9]+)\.Outputs\.", text))
                used |= _outputs_used(item[1:]) if isinstance(item, list) else set()
            else:
                used |= _outputs_used(item)
    elif isinstance(expression, list):
        for item in expression:
            used |= _outputs_used(item)
    return used


def _resource(stack: str, logical_id: str, declared: Mapping[str, Json], evaluator: Evaluator) -> Resource:
    depends_on = declared.get("DependsOn", [])
    kept = {"DeletionPolicy", "UpdateReplacePolicy", "Metadata", "UpdatePolicy", "CreationPolicy"}
    properties = evaluator.value(declared.get("Properties", {}))
    return Resource(
        stack,
        logical_id,
        declared["Type"],
        properties if isinstance(properties, dict) else {},
        (depends_on,) if isinstance(depends_on, str) else tuple(depends_on),
        {key: item for key, item in declared.items() if key in kept},
    )


def _text(value: Json) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(_text(item) for item in value) if isinstance(value, list) else str(value)


def _is_list(declared: Mapping[str, Json]) -> bool:
    kind = str(declared.get("Type", "String"))
    return kind == "CommaDelimitedList" or kind.startswith("List<") or "<List<" in kind


def _split_list(value: str) -> list[str]:
    return [item.strip() for item in value.split(",")] if value else []


def _constraints(template: Template, parameters: Mapping[str, Json]) -> Iterator[Violation]:
    for name, declared in template.section("Parameters").items():
        values = parameters[name] if isinstance(parameters[name], list) else [parameters[name]]
        for value in values:
            if not any(origins(value)) and (broken := _broken_constraint(declared, value)):
                text = repr(value) if len(value) <= _SHOWN and not declared.get("NoEcho") else "its value"
                hint = declared.get("ConstraintDescription", "")
                message = f"{text} breaks {broken}" + (f" ({hint})" if hint else "")
                yield Violation("CF-21", f"Parameters.{name}", message)


def _broken_constraint(declared: Mapping[str, Json], value: str) -> str | None:
    if "AllowedValues" in declared and value not in [_text(item) for item in declared["AllowedValues"]]:
        return f"AllowedValues {declared['AllowedValues']}"
    if "AllowedPattern" in declared and not re.fullmatch(declared["AllowedPattern"], value):
        return f"AllowedPattern {declared['AllowedPattern']}"
    if not int(declared.get("MinLength", 0)) <= len(value) <= int(declared.get("MaxLength", 4096)):
        return "MinLength or MaxLength"
    if declared.get("Type") in ("Number", "List<Number>"):
        if not re.fullmatch(r"-?\d+(\.\d+)?", value):
            return "Type Number"
        if not float(declared.get("MinValue", "-inf")) <= float(value) <= float(declared.get("MaxValue", "inf")):
            return "MinValue or MaxValue"
    return None


def _rules(template: Template, evaluator: Evaluator) -> Iterator[Violation]:
    for name, rule in template.section("Rules").items():
        if "RuleCondition" in rule and not evaluator.decide(rule["RuleCondition"]):
            continue
        for number, assertion in enumerate(rule.get("Assertions", [])):
            if not evaluator.decide(assertion["Assert"]):
                message = assertion.get("AssertDescription", "the assertion does not hold")
                yield Violation("CF-21", f"Rules.{name}.Assertions.{number}", message)
