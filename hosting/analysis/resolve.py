"""Resolves a whole environment as CloudFormation would: parameters are filled in at every level, without calls to AWS.

Lint and most tools check one template with unknown parameters. Here the values of the parameter file reach every nested
stack, and conditions are evaluated. A value of another resource becomes a token that names the resource (tokens.py), so
that a question such as "which security group is that?" has an answer across stacks.
"""

from __future__ import annotations

import graphlib
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from hosting.model.constraints import find_violation
from hosting.model.errors import InputError, ResolveError
from hosting.model.intrinsics import NO_VALUE, Evaluator, broken_assertions, parameter_values
from hosting.model.parameter_check import find_missing, find_unknown
from hosting.model.parameter_file import Environment, ParameterFile
from hosting.model.stack_order import ROOT, StackRole, stack_order
from hosting.model.stack_order import Stack as DeployedStack
from hosting.model.templates import (
    NESTED_STACK,
    WORKLOAD_TEMPLATES,
    Template,
    nested_template,
    scalar,
    snake,
    template_file,
)
from hosting.model.tokens import Json, Origin, origin, origins

# The longest wrong value that a finding repeats.
_SHOWN = 16


@dataclass(frozen=True)
class Resource:
    """A resource whose condition is true, with its values filled in."""

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
        """Return a property by its dotted path, or `default` if a step is missing."""
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
    """A value that its own template forbids. CloudFormation rejects it; cfn-lint cannot see it."""

    rule: str
    path: str
    message: str


@dataclass(frozen=True)
class Stack:
    """One stack of the environment, nested or top-level."""

    path: str  # "root/NetworkStack"
    template: Template
    region: str
    account: str
    parameters: Mapping[str, Json]
    # Parameters that read another stack's outputs: they are placeholders while a nested change set is computed.
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
        """Values that violate their parameter's constraint and are long enough to be a token in the wrong place.

        Findings are kept in build logs, so findings must not repeat them.
        """
        texts = (
            str(stack.parameters.get(violation.path.removeprefix("Parameters."), ""))
            for stack in self.stacks.values()
            for violation in stack.violations
        )
        return {text for text in texts if len(text) > _SHOWN}

    @property
    def resources(self) -> list[Resource]:
        return [resource for stack in self.stacks.values() for resource in stack.resources.values()]

    def of_type(self, *types: str) -> list[Resource]:
        return [resource for resource in self.resources if resource.type in types]

    def resource(self, source: Origin | str | None) -> Resource | None:
        """Return the resource of a token, or None if the value is not a token or the resource is absent."""
        found = origin(source) if isinstance(source, str) else source
        stack = self.stacks.get(found.stack) if found else None
        return stack.resources.get(found.logical_id) if stack and found else None

    def resources_in(self, value: Json) -> list[Resource]:
        """Return the resources of all tokens inside a value."""
        return [found for item in origins(value) if (found := self.resource(item))]

    def template_name(self, resource: Resource) -> str:
        return self.stacks[resource.stack].template.name


def resolve(templates: Mapping[str, Template], environment: Environment) -> ResolvedEnvironment:
    """Return every stack of the environment. `templates` is what `templates.load_complete` returns."""
    _require_known_and_complete(templates, environment)
    chain: list[Stack] = []
    # Outputs so far: each is the value of the parameter with its name in later stacks of the chain.
    made: dict[str, Json] = {}
    for path, stack in top_level_stacks(environment).items():
        if stack.template not in templates:
            continue
        resolved = _Resolver(templates, environment, stack.region).top(
            path, stack.name, templates[stack.template], made
        )
        chain.append(resolved)
        # Another region's bootstrap feeds only stacks of that region, with the bucket that `predict_deployer_value`
        # returns.
        if stack.role is not StackRole.BOOTSTRAP or stack.region == environment.region:
            made |= resolved.outputs
    return ResolvedEnvironment(environment, tuple(chain))


def top_level_stacks(environment: Environment) -> dict[str, DeployedStack]:
    """Return the top-level stacks in the order of deployment, by the first part of a path: "root", "edge", ..."""
    project = environment.parameters.get("Project", "project")
    stacks = stack_order(project, environment.parameters.get("Environment", environment.name), environment.region)
    named: dict[str, DeployedStack] = {}
    for stack in stacks:
        path = str(stack.role) if str(stack.role) not in named else f"{stack.role}-{stack.region}"
        named[path] = stack
    return named


def _require_known_and_complete(templates: Mapping[str, Template], environment: Environment) -> None:
    """Raise InputError for keys that no stack declares, and for parameters without a value."""
    file = ParameterFile(environment.file or environment.name, environment.parameters, origins=environment.origins)
    if found := [*find_unknown(file, templates), *find_missing(file, templates)]:
        raise InputError(found)


def predict_deployer_value(
    parameter: str, templates: Mapping[str, Template], environment: Environment, region: str
) -> str | None:
    """Return the value that the deployer will fill in, or a plausible one if only AWS knows it.

    Keys are hashes of content, so a template's own key is exact; Lambda packages are not built here. The prefix list is
    `com.amazonaws.global.cloudfront.origin-facing` in Tokyo.
    """
    if parameter.endswith("TemplateKey"):
        file = template_file(parameter)
        digest = templates[file].key_digest if file in templates else _digest(file)[:32]
        return f"templates/{file.removesuffix('.json')}/{digest}.json"
    if parameter == WORKLOAD_TEMPLATES:
        files = templates[ROOT].workload_files
        return ",".join(templates[file].key_digest if file in templates else _digest(file)[:32] for file in files)
    if parameter.endswith("CodeKey"):
        name = snake(parameter.removesuffix("CodeKey"))
        return f"lambda/{name}/{_digest(name)}.zip"
    if parameter == "PlatformOnly":
        return "false"
    if parameter in ("ServiceIsNew", "ServiceIsIncluded"):
        return ",".join("true" for _ in templates[ROOT].services)
    if parameter == "CloudFrontPrefixListId":
        return "pl-58a04531"
    if parameter == "OriginCertificateArn" and not environment.parameters.get("DomainName"):
        return f"arn:aws:acm:{region}:{environment.account}:certificate/{_uuid('origin')}"
    if parameter == "ArtifactBucket":
        return f"{environment.parameters.get('Project', 'project')}-artifacts-{environment.account}-{region}"
    return None


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

    def top(self, path: str, name: str, template: Template, made: Mapping[str, Json]) -> Stack:
        """Return a top-level stack, its parameters from upstream outputs, deployer, file or defaults."""
        given: dict[str, Json] = {}
        for key in template.parameters:
            filled = predict_deployer_value(key, self.templates, self.environment, self.region)
            if key == "ArtifactBucket":
                given[key] = filled  # each stack reads the bucket of its own region
            elif key in made and made[key] != "":
                given[key] = made[key]
            elif key in self.environment.parameters:
                given[key] = self.environment.parameters[key]
            elif filled is not None:
                given[key] = filled
        return self.stack(path, name, template, given, frozenset())

    def stack(
        self, path: str, name: str, template: Template, given: Mapping[str, Json], wired: frozenset[str]
    ) -> Stack:
        """Return a stack with its nested stacks, with all parameters, conditions and references resolved."""
        # A missing value of a nested stack is a finding of cfn-lint; the rest is resolved as if it were empty.
        parameters = parameter_values(template, {**dict.fromkeys(_without_default(template), ""), **given})
        evaluator = Evaluator(template, path, parameters, self._pseudo(name))
        conditions = {key: bool(evaluator.condition(key)) for key in template.section("Conditions")}
        present = {
            logical_id: resource
            for logical_id, resource in template.resources.items()
            if conditions.get(resource.get("Condition", ""), True)
        }
        violations = [*_constraints(template, parameters), *_rules(template, parameters)]
        children, gaps = self._children(path, name, template, present, evaluator)
        resources = {
            logical_id: _resource(path, logical_id, resource, evaluator) for logical_id, resource in present.items()
        }
        # From here on an output of a child resolves to the resource of its value.
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
        """Return the nested stacks, each after those whose outputs it reads, and the missing outputs."""
        nested = {key: item for key, item in present.items() if item["Type"] == NESTED_STACK}
        order = graphlib.TopologicalSorter(
            {key: set(_outputs_used(item)) & set(nested) for key, item in nested.items()}
        )
        done: dict[str, Stack] = {}
        gaps: list[Violation] = []

        def output(child: str, wanted: str) -> Json:
            if wanted in done[child].outputs:
                return done[child].outputs[wanted]
            gaps.append(Violation("CF-20", f"Resources.{user}", f"{child} has no output {wanted} in this environment"))
            return Origin(path, child, f"Outputs.{wanted}").token()

        follower = replace(evaluator, nested_output=output)
        try:
            sequence = list(order.static_order())
        except graphlib.CycleError as cycle:
            raise ResolveError(
                f"nested stacks depend on each other: {' -> '.join(cycle.args[1])}", template=template.name
            ) from None
        for user in sequence:
            file = nested_template(nested[user])
            if file is None or file not in self.templates:
                raise ResolveError(f"{user} nests {file}, which does not exist", template=template.name)
            expressions = nested[user].get("Properties", {}).get("Parameters", {})
            values = {key: follower.value(item) for key, item in expressions.items()}
            given = {key: scalar(value) for key, value in values.items() if value is not NO_VALUE}
            wired = frozenset(key for key, item in expressions.items() if _outputs_used(item))
            suffix = _digest(user)[:12].upper()
            done[user] = self.stack(f"{path}/{user}", f"{name}-{user}-{suffix}", self.templates[file], given, wired)
        return {key: done[key] for key in nested}, gaps


def _outputs_used(expression: Json) -> set[str]:
    """Return the nested stacks whose outputs an expression reads."""
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


def _without_default(template: Template) -> list[str]:
    return [name for name, parameter in template.parameters.items() if parameter.default is None]


def _constraints(template: Template, parameters: Mapping[str, Json]) -> Iterator[Violation]:
    for name, parameter in template.parameters.items():
        value = scalar(parameters[name])
        if not any(origins(value)) and (broken := find_violation(parameter, value)):
            hint = f" ({parameter.constraint})" if parameter.constraint else ""
            yield Violation("CF-21", f"Parameters.{name}", f"{broken}{hint}")


def _rules(template: Template, parameters: Mapping[str, Json]) -> Iterator[Violation]:
    for broken in broken_assertions(template, parameters):
        yield Violation("CF-21", f"Rules.{broken.rule}.Assertions.{broken.number}", broken.description)
