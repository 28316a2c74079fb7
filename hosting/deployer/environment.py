"""An environment as its files describe it: read, validated, packaged. This module does not call AWS."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from hosting.deployer.packaging import artifacts
from hosting.deployer.packaging.artifacts import Artifact
from hosting.model import parameter_check, parameter_file, templates
from hosting.model.errors import InputError
from hosting.model.parameter_file import ParameterFile
from hosting.model.stack_order import TEMPLATES, StackRole, templates_through
from hosting.model.templates import Template


@dataclass(frozen=True)
class Environment:
    """Environment as its files describe it."""

    name: str
    project: str
    file: ParameterFile
    templates: Mapping[str, Template]
    # Template name -> the artifacts that it needs in the bucket of its region.
    artifacts: Mapping[str, tuple[Artifact, ...]] = field(default_factory=dict)
    # The last stack to deploy; None for all. Later stacks are not checked and need no artifacts.
    through: StackRole | None = None
    # The commit of the files, with "+changes" if they differ from it. Empty outside of a git clone.
    commit: str = ""
    # The number of the release that these files are, or 0.
    rollback_of: int = 0

    @property
    def family(self) -> str:
        return f"{self.project}-{self.name}"

    @property
    def is_production(self) -> bool:
        return self.name == "prod"


def prepare(
    project_root: Path,
    environment: str,
    *,
    overrides: Iterable[str] = (),
    placeholder: str = "",
    through: StackRole | None = None,
    packages: Mapping[str, Artifact] = MappingProxyType({}),
) -> Environment:
    """Read and validate all files of an environment, and package the Lambda functions. Does not call AWS.

    `placeholder` is the image of services for which the parameter file names no image. With `through` only the stacks
    up to this role are validated and packaged. `packages` are packages that exist already, by their parameter. Raises
    InputError with all problems.
    """
    found = load_without_validation(project_root, environment, overrides=overrides)
    root = found.templates.get(TEMPLATES[StackRole.ROOT])
    if placeholder and root is not None:
        unnamed = [name for name in list_image_parameters(root) if not found.file.values.get(name)]
        found = replace(found, file=found.file.override(f"{name}={placeholder}" for name in unnamed))
    problems = list(parameter_check.find_problems(found.file, environment, found.templates, through))
    if TEMPLATES[StackRole.ROOT] in templates_through(through):
        problems += parameter_check.find_shared_channel(found.file, _other_files(project_root, environment))
    if problems:
        raise InputError(problems)
    names = [name for name in templates_through(through) if name in found.templates]
    collected = artifacts.collect_artifacts(found.templates, names, project_root / "lambda", packages)
    return replace(found, artifacts=collected, through=through)


def _other_files(project_root: Path, environment: str) -> Iterator[ParameterFile]:
    """Yield the parameter files of the other environments. A file that cannot be read is skipped."""
    folder = project_root / "params"
    for name in parameter_file.environments(folder):
        if name != environment:
            try:
                yield parameter_file.read(folder / f"{name}.json", f"params/{name}.json")
            except InputError:
                continue  # a command for that environment reports it


def load_without_validation(project_root: Path, environment: str, *, overrides: Iterable[str] = ()) -> Environment:
    """Read only what is needed to find a deployed environment.

    Commands such as `status` and `destroy` must work with a parameter file that has errors.
    """
    path = parameter_file.locate(project_root / "params", environment)
    file = parameter_file.read(path, f"params/{path.name}")
    file = file.override(overrides).named(environment)
    loaded = templates.load(project_root / "templates")
    declared = parameter_check.collect_declarations(loaded).get("Project", {})
    default = next((one.default for one in declared.values() if one.default), "")
    return Environment(environment, file.values.get("Project", default), file, loaded)


def list_image_parameters(root: Template) -> tuple[str, ...]:
    """Return the image parameters of the services. The image of the bastion is not an application's."""
    return tuple(name for service in root.services if (name := f"{service}Image") in root.parameters)


def no_echo_parameters(templates: Mapping[str, Template]) -> frozenset[str]:
    """Return the parameters whose values must not be shown or stored."""
    return frozenset(
        name for template in templates.values() for name, parameter in template.parameters.items() if parameter.no_echo
    )


def with_parameters(environment: Environment, overrides: Iterable[str]) -> Environment:
    """Return the environment with some values replaced. Raises InputError if they are not valid."""
    file = environment.file.override(overrides)
    parameter_check.require_valid(file, environment.name, environment.templates, environment.through)
    return replace(environment, file=file)
