"""Typed interfaces between stacks: the parameters of a nested stack, its outputs, and how root joins them.

A layer declares ``Inputs`` and ``Outputs`` as interfaces. Each field has a value type (``vpc_id: v.VpcId``) and becomes
one parameter or output of the nested template. The value type's docstring is the description. No layer writes a
Parameter, an Output or a ``GetAtt(stack, "Outputs.X")`` by hand. Root passes to a layer only values that an earlier
layer returned: a missing input, a wrong type or a misspelt output is a Python error, and mypy reports it first.

Wired parameters have no constraints on purpose. During a nested change set the output of a sibling stack is only a
placeholder, and a pattern would reject it (CloudFormation User Guide, "Change sets for nested stacks"). Constraints
belong to the parameters of root and of the companion stacks, which receive real values.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Iterator
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
    """A text that may cross a stack boundary. Each subclass (see ``value_types``) has one meaning.

    troposphere accepts it like any intrinsic function. A list crosses as its members, one by one, because stack
    parameters are a map of strings (AWS::CloudFormation::Stack, "Parameters").
    """

    parameter_type: ClassVar[str] = "String"

    def __init__(self, source: str | AWSHelperFn) -> None:
        self.data = source


class StaticValue(StackValue):
    """A value that root knows before any stack exists: a literal or a root parameter, never another stack's output.

    Conditions of a nested stack may use only these. During a change set an output of another stack is a placeholder,
    and a condition on a placeholder previews the wrong branch. ``Layer`` checks both halves of this rule.
    """


class Absent(AWSHelperFn):
    """The value of an input or output that belongs to a part of the platform that the project leaves out.

    It becomes neither a parameter nor an output. A template cannot contain it.
    """

    def to_dict(self) -> Any:
        raise WiringError("A template uses a value of a part that the project leaves out.")


ABSENT = Absent()


def is_absent(value: StackValue) -> bool:
    """Return whether a value belongs to a part that the project leaves out."""
    return value.data is ABSENT


@dataclass_transform(kw_only_default=True, frozen_default=True)
class FrozenConfig:
    """Base of configuration that is the same in every environment: annotated fields, with or without a default.

    Type checkers treat a subclass as a frozen dataclass with keyword arguments. One constructor serves all subclasses
    at run time, because creating fifty real dataclasses takes longer than rendering with them.
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
    """Base of Inputs, Outputs and Parameters. Every field is required.

    A field is a value type, ``Annotated[<value type>, "description" or ParameterSpec]``, or another interface. The
    fields of that other interface become parameters or outputs too, under their own names.
    """

    def __init__(self, **values: StackValue | StackInterface) -> None:
        names = set(_members(type(self)))
        if names != set(values):
            wrong = ", ".join(sorted(names ^ set(values)))
            raise TypeError(f"{type(self).__module__}.{type(self).__name__}: missing or unexpected: {wrong}")
        self.__dict__.update(values)


@dataclass(frozen=True)
class ParameterSpec:
    """Description, default and constraints of a parameter of root or of a companion stack.

    ``allowed``, ``pattern``, ``minimum`` and ``maximum`` are CloudFormation's constraints. ``constraint`` is the
    sentence that CloudFormation shows for a value that violates one, and is required with any of them. A parameter
    without ``default`` is required.
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
            raise WiringError(
                f"parameter {self.description!r} has a constraint without a description. Add the argument constraint."
            )


@dataclass(frozen=True)
class Field:
    """One field of an interface, as a parameter or an output of CloudFormation."""

    name: str
    title: str
    value_type: type[StackValue]
    spec: ParameterSpec


def parameter_name(name: str) -> str:
    """Convert ``vpc_id`` to ``VpcId``. Digits stay: ``public_subnet_1_id`` becomes ``PublicSubnet1Id``."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def template_file(name: str) -> str:
    """Convert the name of a layer to its file in templates/: ``EdgeMonitoring`` becomes ``edge-monitoring.json``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower() + ".json"


Interface = TypeVar("Interface", bound=StackInterface)
_Members = dict[str, "Field | type[StackInterface]"]
_MEMBERS: dict[type[StackInterface], _Members] = {}  # reading annotations is slow, and a service is nested often


def interface_fields(interface: type[StackInterface]) -> tuple[Field, ...]:
    """Return the fields of an interface in their order, with those of nested interfaces.

    Raises WiringError for a field of another type, a field without description, and a name that occurs twice.
    """
    found: list[Field] = []
    for member in _members(interface).values():
        found.extend([member] if isinstance(member, Field) else interface_fields(member))
    titles = [f.title for f in found]
    if twice := sorted({title for title in titles if titles.count(title) > 1}):
        raise WiringError(f"{interface.__module__}.{interface.__name__} has {', '.join(twice)} twice")
    return tuple(found)


def interface_values(values: StackInterface) -> Iterator[tuple[Field, StackValue]]:
    """Yield each field of a filled interface with its value, nested interfaces included."""
    for name, member in _members(type(values)).items():
        value = getattr(values, name)
        if isinstance(member, Field):
            yield member, value
        else:
            yield from interface_values(value)


def fill_interface(interface: type[Interface], value_for: Callable[[Field], StackValue]) -> Interface:
    """Return the interface with a value for each field, nested interfaces included."""
    return interface(
        **{
            name: value_for(member) if isinstance(member, Field) else fill_interface(member, value_for)
            for name, member in _members(interface).items()
        }
    )


def _members(interface: type[StackInterface]) -> _Members:
    if interface not in _MEMBERS:
        hints: dict[str, Any] = {}
        for base in reversed(interface.__mro__):
            # Evaluates only annotations that a module left as text. Layers do not, because evaluation is slow.
            hints |= inspect.get_annotations(base, eval_str=True)
        _MEMBERS[interface] = {name: _member(interface, name, hint) for name, hint in hints.items()}
    return _MEMBERS[interface]


def _member(interface: type[StackInterface], name: str, hint: Any) -> Field | type[StackInterface]:
    value_type, *notes = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    if isinstance(value_type, type) and issubclass(value_type, StackInterface) and not notes:
        return value_type
    if not (isinstance(value_type, type) and issubclass(value_type, StackValue)) or len(notes) > 1:
        raise WiringError(
            f"{interface.__module__}.{interface.__name__}.{name} is neither a value type, an interface, nor "
            "Annotated[<value type>, description]"
        )
    note = notes[0] if notes else _description(value_type)
    spec = note if isinstance(note, ParameterSpec) else ParameterSpec(str(note))
    return Field(name, parameter_name(name), value_type, spec)


def _description(value_type: type[StackValue]) -> str:
    """Return the first paragraph of the docstring. Further paragraphs are for the readers of Python."""
    if not value_type.__doc__:
        raise WiringError(f"value type {value_type.__name__} has no docstring, which is the description of its fields")
    return " ".join(value_type.__doc__.strip().partition("\n\n")[0].split())


Value = TypeVar("Value", bound=StackValue)
Given = TypeVar("Given", bound=StackValue | StackInterface)


def add_parameter(t: Template, title: str, value_type: type[Value], spec: ParameterSpec) -> Value:
    """Add one parameter to the template and return a reference to it."""
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
        Type=spec.type or ("Number" if numeric else value_type.parameter_type),
        Description=spec.description,
        **{name: value for name, value in optional.items() if value is not None},
    )
    t.add_parameter(parameter)
    return value_type(Ref(parameter))


def add_parameters(
    t: Template, interface: type[Interface], without: Collection[type[StackInterface]] = ()
) -> Interface:
    """Add a parameter per field and return the interface filled with references to them.

    ``without`` are interfaces in it whose parameters are left out. Their values are absent.
    """
    interface_fields(interface)  # raises for a name that occurs twice
    left_out = {f.title for one in without for f in interface_fields(one)}
    return fill_interface(
        interface,
        lambda f: f.value_type(ABSENT) if f.title in left_out else add_parameter(t, f.title, f.value_type, f.spec),
    )


def value_if(included: bool, value: Given) -> Given:
    """Return a value or a filled interface, or an absent one if the project leaves out the part that reads it."""
    absent: Any = type(value)
    if issubclass(absent, StackInterface):
        return value if included else fill_interface(absent, lambda f: f.value_type(ABSENT))
    return value if included else absent(ABSENT)


def add_outputs(t: Template, outputs: StackInterface) -> None:
    """Add an output per field of a filled interface, except for absent values."""
    for f, value in interface_values(outputs):
        if not is_absent(value):
            t.add_output(Output(f.title, Description=f.spec.description, Value=value))


Config = TypeVar("Config")
Inputs = TypeVar("Inputs", bound=StackInterface)
Outputs = TypeVar("Outputs", bound=StackInterface)


@dataclass(frozen=True)
class OwnTemplate:
    """The template of one workload: the part of its S3 key that differs, and the names of its parameters."""

    digest: AWSHelperFn
    parameters: Collection[str]


@dataclass(frozen=True)
class Layer(Generic[Config, Inputs, Outputs]):
    """One nested template: its name, its interfaces, and the function that builds it.

    ``name`` in CamelCase gives the logical id of the stack (``NetworkStack``), the file (``network.json``) and the root
    parameter with the S3 key of the template (``NetworkTemplateKey``).

    With ``template`` the layer has a file of another name, and root gives the address of the template.

    A template has a parameter only for each value that it uses.
    """

    name: str
    description: str
    inputs: type[Inputs]
    outputs: type[Outputs]
    build: Callable[[Template, Config, Inputs], Outputs] = field(repr=False)
    template: str = ""

    @property
    def file(self) -> str:
        return self.template or template_file(self.name)

    @property
    def key_parameter(self) -> str:
        return f"{self.name}TemplateKey"

    def render(self, config: Config) -> Template:
        """Return the nested template. Raises WiringError if a condition uses a value that is wired from a stack."""
        t = Template(Description=self.description)
        t.set_version()
        add_outputs(t, self.build(t, config, add_parameters(t, self.inputs)))
        used = _used_parameters(t)
        t.parameters = {name: parameter for name, parameter in t.parameters.items() if name in used}
        static = {f.title for f in interface_fields(self.inputs) if issubclass(f.value_type, StaticValue)}
        for name, condition in t.conditions.items():
            for parameter in sorted(_references(condition) & set(t.parameters) - static):
                raise WiringError(
                    f"{self.file}: condition {name} uses parameter {parameter}, which is wired from another "
                    "stack. Conditions may use StaticValue parameters only."
                )
        return t

    def nest(
        self,
        root: Template,
        inputs: Inputs,
        *,
        instance: str = "",
        condition: str = "",
        own: OwnTemplate | None = None,
        after: str = "",
        included: bool = True,
        used: Collection[str] | None = None,
    ) -> Outputs:
        """Add the nested stack to root and return its outputs, which root passes to later layers.

        ``instance`` distinguishes several stacks of one template: ``Frontend`` gives ``FrontendServiceStack``.
        ``condition`` names a condition of root. Root creates the stack only if it is true, so that no other layer may
        use the outputs. ``own`` is the template of a layer with a file of another name. ``after`` is a stack for
        which this one waits, although it uses none of its outputs. A layer that is not ``included`` adds no stack, and
        its outputs are absent. ``used`` are the parameters of a template that differs between projects; None for all
        inputs.
        """
        if not included:
            return fill_interface(self.outputs, lambda f: f.value_type(ABSENT))
        given = {f: value for f, value in interface_values(inputs) if not is_absent(value)}
        for f, value in given.items():
            if issubclass(f.value_type, StaticValue) and _uses_outputs(value):
                raise WiringError(f"{self.name}.{f.name} is a StaticValue, but is wired to another stack's output")
        used = own.parameters if own else used
        bucket = "https://${ArtifactBucket}.s3.${AWS::Region}.${AWS::URLSuffix}"
        if own:
            address = Sub(f"{bucket}/templates/{self.file.removesuffix('.json')}/${{Digest}}.json", Digest=own.digest)
        else:
            address = Sub(f"{bucket}/${{{self.key_parameter}}}")
            if self.key_parameter not in root.parameters:
                spec = ParameterSpec(f"S3 key of the template of layer {self.name}.")
                add_parameter(root, self.key_parameter, StackValue, spec)
        stack = Stack(
            f"{instance}{self.name}Stack",
            TemplateURL=address,
            Parameters={f.title: value for f, value in given.items() if used is None or f.title in used},
            **deletion_policy("nested stack"),
        )
        if condition:
            stack.Condition = condition
        if after:
            stack.DependsOn = [after]
        root.add_resource(stack)
        return fill_interface(self.outputs, lambda f: f.value_type(GetAtt(stack, f"Outputs.{f.title}")))


def _used_parameters(t: Template) -> set[str]:
    """Return the names to which the template refers with Ref or Fn::Sub."""
    body = {section: content for section, content in t.to_dict().items() if section != "Parameters"}
    used: set[str] = set()
    for name, argument in _functions(body):
        if name == "Ref":
            used.add(str(argument))
        elif name == "Fn::Sub":
            used |= set(re.findall(r"\$\{(\w+)", argument[0] if isinstance(argument, list) else str(argument)))
    return used


def _references(value: object) -> set[str]:
    """Return the names in the Ref functions of a value."""
    return {str(argument) for name, argument in _functions(value) if name == "Ref"}


def _uses_outputs(value: object) -> bool:
    return any(name == "Fn::GetAtt" for name, _ in _functions(value))


def _functions(value: object) -> Iterator[tuple[str, object]]:
    """Yield every (key, argument) below a value, intrinsic functions among them."""
    if isinstance(value, AWSHelperFn):
        value = value.to_dict()
    if isinstance(value, dict):
        for name, argument in value.items():
            yield name, argument
            yield from _functions(argument)
    elif isinstance(value, list):
        for item in value:
            yield from _functions(item)
