"""Revisions of the project to compare: the working tree, a folder, or a git commit."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from hosting.analysis.resolve import ResolvedEnvironment
    from hosting.model.templates import Template

# Packaging copies these modules into the functions, so a change of them changes packages.
_SHARED = "hosting/model/lambda_shared"
_FOLDERS = ("templates", "params", "lambda", "functions", _SHARED)


@dataclass(frozen=True)
class ProjectRevision:
    """The templates, parameter files and functions of one revision.

    Folders that the revision does not have are those of the working tree.
    """

    label: str
    templates: Path
    params: Path
    functions: Path

    def environments(self) -> tuple[str, ...]:
        from hosting.model import parameter_file

        return parameter_file.environments(self.params)

    def load(self) -> Mapping[str, Template]:
        from hosting.model.templates import load_complete

        return load_complete(self.templates)

    def compute_package_keys(self, cache: Path) -> dict[str, str]:
        """Return parameter `<Name>CodeKey` -> S3 key of the Lambda package. Unchanged sources keep their key."""
        from hosting.deployer.packaging.lambda_packages import (
            SHARED,
            package_function,
            package_functions,
            read_platform,
        )
        from hosting.model.stack_order import ROOT

        if not self.functions.is_dir():
            return {}
        shared = self.functions.parent / _SHARED
        shared = shared if shared.is_dir() else SHARED
        templates = self.load()
        platform = read_platform(templates)
        keys = {
            f"{''.join(part.capitalize() for part in item.name.split('_'))}CodeKey": item.key
            for item in package_functions(self.functions, platform, shared=shared, cache=cache)
        }
        for name, folder in templates[ROOT].function_folders.items():
            if (own := self.functions.parent / folder).is_dir():
                keys[f"{name}CodeKey"] = package_function(own, platform, shared=shared, cache=cache).key
        return keys


def describe_commit(root: Path) -> str:
    """Return the commit of a project, with "+changes" if files differ from it. Empty outside of a git clone."""
    try:
        commit = _git(root, "rev-parse", "--verify", "--quiet", "--short", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except click.UsageError:  # git is not installed
        return ""
    return f"{commit.decode().strip()}{'+changes' if changed else ''}" if commit else ""


def current_revision(root: Path) -> ProjectRevision:
    """Return the revision of the working tree."""
    return ProjectRevision("the working tree", root / "templates", root / "params", root / "lambda")


@contextmanager
def open_revision(root: Path, against: str) -> Iterator[ProjectRevision]:
    """Open the revision that a folder, branch, tag or commit names. Files of a commit are extracted temporarily."""
    folder = Path(against)
    if (folder / "root.json").is_file():
        yield ProjectRevision(against, folder, root / "params", root / "lambda")
    elif (folder / "templates" / "root.json").is_file():
        yield _read_folder(against, folder, root)
    else:
        with tempfile.TemporaryDirectory(prefix="diff-") as name:
            commit = _extract(root, against, Path(name))
            yield _read_folder(f"{against} ({commit})" if commit != against else against, Path(name), root)


def resolve_environment(
    revision: ProjectRevision,
    environment: str,
    *,
    services: Iterable[str],
    cache: Path,
    overrides: Iterable[str] = (),
) -> ResolvedEnvironment:
    """Resolve an environment with the values of its revision. `services` are the services that already run.

    Values that the deployer looks up in AWS are equal in all revisions, so that they never appear as a change.
    """
    from hosting.analysis import resolve
    from hosting.model import parameter_file
    from hosting.model.parameter_file import Environment

    templates = revision.load()
    path = parameter_file.locate(revision.params, environment)
    file = parameter_file.read(path, f"params/{path.name}").override(overrides).named(environment)
    declared = {name for one in templates.values() for name in one.section("Parameters")}
    running = set(services)
    filled = {
        **revision.compute_package_keys(cache),
        "ServiceIsNew": ",".join(str(name not in running).lower() for name in templates["root.json"].services),
    }
    values = {**file.values, **{name: value for name, value in filled.items() if name in declared}}
    given = replace(file, values=values, path=f"{revision.label}: params/{path.name}")
    return resolve.resolve(templates, Environment.from_file(environment, given))


def _read_folder(label: str, folder: Path, root: Path) -> ProjectRevision:
    revision = replace(current_revision(folder), label=label)
    # A revision without parameter files or functions compares templates only.
    here = current_revision(root)
    if not revision.params.is_dir():
        revision = replace(revision, params=here.params)
    return revision if revision.functions.is_dir() else replace(revision, functions=here.functions)


def _extract(root: Path, reference: str, target: Path) -> str:
    """Write the project folders of a commit to `target` and return the short commit id."""
    if reference.startswith("-"):
        raise click.BadParameter(f'"{reference}" is neither a folder nor a git reference', param_hint="--against")
    commit = _git(root, "rev-parse", "--verify", "--quiet", "--short", f"{reference}^{{commit}}")
    if commit is None:
        what = f'"{reference}" is neither a folder with templates nor a commit in this clone'
        raise click.BadParameter(f"{what}. In a shallow clone, fetch the commit first.", param_hint="--against")
    listed = _git(root, "ls-tree", "--name-only", commit.decode().strip(), "--", *_FOLDERS) or b""
    present = [name for name in listed.decode().split() if name in _FOLDERS]
    if "templates" not in present:
        raise click.BadParameter(f'"{reference}" has no templates/', param_hint="--against")
    archive = _git(root, "archive", "--format=tar", commit.decode().strip(), "--", *present) or b""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(target, filter="data")
    return commit.decode().strip()


def _git(root: Path, *arguments: str) -> bytes | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False)
    except FileNotFoundError:
        raise click.UsageError(
            "git is not installed, so a commit cannot be read. Install git, or name a folder."
        ) from None
    return done.stdout if done.returncode == 0 else None
