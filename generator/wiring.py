"""Typed contracts between the layers: what a nested stack takes, what it gives, and how root joins them.

A layer declares ``Inputs`` and ``Outputs`` as contracts whose fields are ``Annotated[Kind, "description"]``.
The fields become the parameters and outputs of the nested template, names and descriptions included, so that nobody
writes a Parameter, an Output or a ``GetAtt(stack, "Outputs.X")`` by hand. Root passes to a layer only what an earlier
layer returned: a missing input, a wrong kind or a misspelt output is an error of Python, and mypy says so first.

Wired parameters carry no constraints on purpose: while a nested change set is computed, a sibling's output is only a
placeholder, and a pattern would refuse it (CloudFormation User Guide, "Change sets for nested stacks"). Constraints
stand at the parameters of root and of the companion stacks, which receive real values.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import (
    Annotated,
    Any,
    ClassVar,
    Generic,
    TypeVar,
    dataclass_transform,
    get_args,
    get_origin,
)

from troposphere import AWSHelperFn, GetAtt, Output, Parameter, Ref, Sub, Template
from troposphere.cloudformation import Stack

from generator.errors import WiringError
from generator.resources.deletion_policies import deletion_policy


class StackValue(AWSHelperFn):
    """Text that may cross a stack boundary. Each subclass (see ``kinds``) is one meaning.

    It can stand wherever troposphere takes an intrinsic function. A list crosses as its members, one by one: stack
    parameters are a map of strings (AWS::CloudFormation::Stack, "Parameters").
    """

    parameter_type: ClassVar[str] = "String"

    def __init__(self, source: str | AWSHelperFn) -> None:
        self.data = source


class StaticValue(StackValue):
    """What root knows before any stack exists: literals and root parameters, never a sibling's output.

    A child's Conditions may look only at these, because beside a placeholder a condition previews the wrong branch.
    ``Layer`` holds both halves of that rule.
    """


@dataclass_transform(kw_only_default=True, frozen_default=True)
class FrozenConfig:
    """Base of what a layer is told once for all environments: annotated fields, with or without a default.

    Type checkers treat a subclass as a frozen dataclass whose fields are given by keyword. At run time one constructor
    serves them all, because making fifty real dataclasses takes longer than rendering with them.
    """

    def __init__(self, **values: Any) -> None:
        known = type(self).__annotations__
        missing = (name for name in known if name not in values and not hasattr(type(self), name))
        if wrong := sorted({*missing, *(values.keys() - known.keys())}):
            raise TypeError(f"{type(self).__module__}.{type(self).__name__}: missing or unexpected: {', '.join(wrong)}")
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} is read-only")


class StackInterface(FrozenConfig):
    """Base of Inputs, Outputs and Parameters: every field is an annotated ``Value``, and all must be given."""

    def __init__(self, **values: StackValue) -> None:
        names = {f.name for f in interface_fields(type(self))}
        if names != set(values):
            wrong = ", ".join(sorted(names ^ set(values)))
            raise TypeError(f"{type(self).__module__}.{type(self).__name__}: missing or unexpected: {wrong}")
        self.__dict__.update(values)


@dataclass(frozen=True)
class ParameterSpec:
    """What a root or companion parameter says about itself.

    ``allowed``, ``pattern``, ``minimum`` and ``maximum`` are CloudFormation's constraints; ``constraint`` is the
    sentence shown to whoever breaks one, and is required with any of them. Without ``default`` a value must be given.
    """

    description: str
    default: str | int | None = None
    allowed: tuple[str | int, ...] = ()
    pattern: str | None = None
    minimum: int | None = None
    maximum: int | None = None
    constraint: str | None = None
    type: str | None = None

    def __post_init__(self) -> None:
        constrained = self.allowed or self.pattern or self.minimum is not None or self.maximum is not None
        if constrained and not self.constraint:
            raise WiringError(f"parameter {self.description!r} has a constraint, but no sentence that explains it")


@dataclass(frozen=True)
class Field:
    """One field of a contract, as CloudFormation sees it."""

    name: str
    title: str
    kind: type[StackValue]
    spec: ParameterSpec


def parameter_name(name: str) -> str:
    """``vpc_id`` -> ``VpcId``; digits stay: ``public_subnet_1_id`` -> ``PublicSubnet1Id``."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def template_file(name: str) -> str:
    """``EdgeMonitoring`` -> ``edge-monitoring.json``: how templates/ and the deployer name a layer."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower() + ".json"


_FIELDS: dict[
    type[StackInterface], tuple[Field, ...]
] = {}  # reading annotations is slow, and a service is nested often


def interface_fields(contract: type[StackInterface]) -> tuple[Field, ...]:
    """The fields of a contract in their order.

    Raises WiringError when one is not ``Annotated[<a Value>, "description" or Spec]``.
    """
    if contract not in _FIELDS:
        _FIELDS[contract] = tuple(_fields(contract))
    return _FIELDS[contract]


def _fields(contract: type[StackInterface]) -> Iterator[Field]:
    hints: dict[str, Any] = {}
    for base in reversed(contract.__mro__):
        # Evaluates only what a module left as text; layers do not, because that is most of the time it takes.
        hints |= inspect.get_annotations(base, eval_str=True)
    for name, hint in hints.items():
        kind, *notes = get_args(hint) if get_origin(hint) is Annotated else (hint,)
        if not (isinstance(kind, type) and issubclass(kind, StackValue)) or len(notes) != 1:
            raise WiringError(f"{contract.__module__}.{contract.__name__}.{name}: not Annotated[a kind, text]")
        spec = notes[0] if isinstance(notes[0], ParameterSpec) else ParameterSpec(str(notes[0]))
        yield Field(name, parameter_name(name), kind, spec)


K = TypeVar("K", bound=StackValue)
C = TypeVar("C", bound=StackInterface)


def add_parameter(t: Template, title: str, kind: type[K], spec: ParameterSpec) -> K:
    """Add one parameter to the template and return it as a value of its kind."""
    numeric = spec.minimum is not None or spec.maximum is not None
    optional: dict[str, Any] = {
        "Default": spec.default,
        "AllowedValues": list(spec.allowed) or None,
        "AllowedPattern": spec.pattern,
        "MinValue": spec.minimum,
        "MaxValue": spec.maximum,
        "ConstraintDescription": spec.constraint,
    }
    parameter = Parameter(
        title,
        Type=spec.type or ("Number" if numeric else kind.parameter_type),
        Description=spec.description,
        **{name: value for name, value in optional.items() if value is not None},
    )
    t.add_parameter(parameter)
    return kind(Ref(parameter))


def add_parameters(t: Template, contract: type[C]) -> C:
    """Add a parameter per field and return the contract filled with references to them."""
    return contract(**{f.name: add_parameter(t, f.title, f.kind, f.spec) for f in interface_fields(contract)})


def add_outputs(t: Template, outputs: StackInterface) -> None:
    """Add an output per field of a filled contract."""
    for f in interface_fields(type(outputs)):
        t.add_output(Output(f.title, Description=f.spec.description, Value=getattr(outputs, f.name)))


Config = TypeVar("Config")
Inputs = TypeVar("Inputs", bound=StackInterface)
Outputs = TypeVar("Outputs", bound=StackInterface)


@dataclass(frozen=True)
class Layer(Generic[Config, Inputs, Outputs]):
    """One nested template: its name, its contract, and the function that fills it.

    ``name`` in CamelCase gives the stack's logical id (``NetworkStack``), the file (``network.json``) and the root
    parameter that holds the template's address (``NetworkTemplateKey``).
    """

    name: str
    description: str
    inputs: type[Inputs]
    outputs: type[Outputs]
    build: Callable[[Template, Config, Inputs], Outputs] = field(repr=False)

    @property
    def file(self) -> str:
        return template_file(self.name)

    @property
    def key_parameter(self) -> str:
        return f"{self.name}TemplateKey"

    def render(self, config: Config) -> Template:
        """The nested template."""
        t = Template(Description=self.description)
        t.set_version()
        add_outputs(t, self.build(t, config, add_parameters(t, self.inputs)))
        settings = {f.title for f in interface_fields(self.inputs) if issubclass(f.kind, StaticValue)}
        for name, condition in t.conditions.items():
            for parameter in sorted(_references(condition) & set(t.parameters) - settings):
                raise WiringError(
                    f"{self.file}: condition {name} uses parameter {parameter}, which is wired from another "
                    "stack. Conditions may use StaticValue parameters only."
                )
        return t

    def nest(self, root: Template, inputs: Inputs, *, instance: str = "", condition: str = "") -> Outputs:
        """Add the nested stack to root and return its outputs, to be wired to later layers.

        ``instance`` tells several stacks of one template apart: ``Frontend`` gives ``FrontendServiceStack``.
        ``condition`` names a condition of root without which there is no such stack; no layer may take from it then.
        """
        for f in interface_fields(self.inputs):
            if issubclass(f.kind, StaticValue) and _takes_outputs(getattr(inputs, f.name)):
                raise WiringError(f"{self.name}.{f.name} is a StaticValue, but is wired to another stack's output")
        if self.key_parameter not in root.parameters:
            add_parameter(
                root, self.key_parameter, StackValue, ParameterSpec(f"S3 key of the template of layer {self.name}.")
            )
        stack = Stack(
            f"{instance}{self.name}Stack",
            TemplateURL=Sub(
                f"https://${{ArtifactBucket}}.s3.${{AWS::Region}}.${{AWS::URLSuffix}}/${{{self.key_parameter}}}"
            ),
            Parameters={f.title: getattr(inputs, f.name) for f in interface_fields(self.inputs)},
            **deletion_policy("nested stack"),
        )
        if condition:
            stack.Condition = condition
        root.add_resource(stack)
        return self.outputs(
            **{f.name: f.kind(GetAtt(stack, f"Outputs.{f.title}")) for f in interface_fields(self.outputs)}
        )


def _references(value: object) -> set[str]:
    """The names that a value Refs."""
    return {str(argument) for name, argument in _functions(value) if name == "Ref"}


def _takes_outputs(value: object) -> bool:
    return any(name == "Fn::GetAtt" for name, _ in _functions(value))


def _functions(value: object) -> Iterator[tuple[str, object]]:
    """Every (key, argument) below a value, intrinsic functions among them."""
    if isinstance(value, AWSHelperFn):
        value = value.to_dict()
    if isinstance(value, dict):
        for name, argument in value.items():
            yield name, argument
            yield from _functions(argument)
    elif isinstance(value, list):
        for item in value:
            yield from _functions(item)
