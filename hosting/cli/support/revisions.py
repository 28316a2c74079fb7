"""The project as it is and as it was: two folders of templates, parameter files and functions to compare."""

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
    from hosting.analysis.templates import Template

_FOLDERS = ("templates", "params", "lambda")


@dataclass(frozen=True)
class ProjectRevision:
    """One state of the project. Folders that are absent there are taken from the working tree."""

    label: str
    templates: Path
    params: Path
    functions: Path

    def environments(self) -> tuple[str, ...]:
        from hosting.deployer import parameters

        return parameters.environments(self.params)

    def load(self) -> Mapping[str, Template]:
        from hosting.analysis.templates import load_templates

        return load_templates(self.templates)

    def code_keys(self, cache: Path) -> dict[str, str]:
        """`<Pascal>CodeKey` -> where the function's archive would lie; unchanged sources give the same key."""
        from hosting.deployer.packaging.lambda_packages import archives

        if not self.functions.is_dir():
            return {}
        return {
            f"{''.join(part.capitalize() for part in item.name.split('_'))}CodeKey": item.key
            for item in archives(self.functions, cache=cache)
        }


def current_revision(root: Path) -> ProjectRevision:
    return ProjectRevision("the working tree", root / "templates", root / "params", root / "lambda")


@contextmanager
def open_revision(root: Path, against: str) -> Iterator[ProjectRevision]:
    """What is named by a folder or, else, by git: a branch, a tag, a commit."""
    folder = Path(against)
    if (folder / "root.json").is_file():
        yield ProjectRevision(against, folder, root / "params", root / "lambda")
    elif (folder / "templates" / "root.json").is_file():
        yield _side(against, folder, root)
    else:
        with tempfile.TemporaryDirectory(prefix="diff-") as name:
            commit = _extract(root, against, Path(name))
            yield _side(f"{against} ({commit})" if commit != against else against, Path(name), root)


def resolve_environment(
    side: ProjectRevision,
    environment: str,
    *,
    services: Iterable[str],
    cache: Path,
    overrides: Iterable[str] = (),
) -> ResolvedEnvironment:
    """An environment with its own side's values; `services` are those that run already.

    What the deployer fills in from AWS is the same on both sides, so that it never shows as a change.
    """
    from hosting.analysis import resolve
    from hosting.analysis.templates import EXAMPLE_ACCOUNT, HOME_REGION, Environment
    from hosting.deployer import checks, parameters

    templates = side.load()
    path = parameters.locate(side.params, environment)
    file = checks.complete(parameters.read(path, f"params/{path.name}").override(overrides), environment)
    declared = {name for one in templates.values() for name in one.section("Parameters")}
    running = set(services)
    filled = {
        **side.code_keys(cache),
        "ServiceIsNew": ",".join(str(name not in running).lower() for name in resolve.services(templates["root.json"])),
    }
    values = {**file.values, **{name: value for name, value in filled.items() if name in declared}}
    given = Environment(
        environment,
        values,
        file.account or EXAMPLE_ACCOUNT,
        file.region or HOME_REGION,
        dict(file.tags),
        f"{side.label}: params/{path.name}",
    )
    return resolve.resolve(templates, given)


def _side(label: str, folder: Path, root: Path) -> ProjectRevision:
    side = replace(current_revision(folder), label=label)
    # A state without parameter files or functions is only about templates.
    here = current_revision(root)
    if not side.params.is_dir():
        side = replace(side, params=here.params)
    return side if side.functions.is_dir() else replace(side, functions=here.functions)


def _extract(root: Path, reference: str, target: Path) -> str:
    """The project's folders as they are in a commit, written to `target`; its short id."""
    if reference.startswith("-"):
        raise click.BadParameter(f'"{reference}" is neither a folder nor a git reference', param_hint="--against")
    commit = _git(root, "rev-parse", "--verify", "--quiet", "--short", f"{reference}^{{commit}}")
    if commit is None:
        what = f'"{reference}" is neither a folder with templates nor a commit that git knows here'
        raise click.BadParameter(f"{what}; a shallow clone has to fetch it first", param_hint="--against")
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
        raise click.UsageError("git is needed to compare with a commit; name a folder instead") from None
    return done.stdout if done.returncode == 0 else None
