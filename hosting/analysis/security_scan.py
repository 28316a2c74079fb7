"""Runs a security scan: third-party scanners over templates and policies, and the rules of this project.

checkov checks every template as committed and every stack with an environment's values. parliament checks every policy
document, with plausible ARNs. Both have an environment of their own, see scanners.py.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from hosting.analysis.example_values import fill_example_values
from hosting.analysis.findings import Finding, mask_values, merge_findings
from hosting.analysis.resolve import ResolvedEnvironment, Resource, resolve
from hosting.analysis.resolved_templates import write_resolved_template
from hosting.analysis.rules import RULES, check_rules
from hosting.analysis.rules.values import policy_documents
from hosting.analysis.suppressions import SCANNERS, Suppression, Suppressions
from hosting.model.errors import PlatformError
from hosting.model.parameter_file import load_environment
from hosting.model.templates import Template, load_complete
from hosting.model.tokens import Json

_PROGRAM = Path(__file__).with_name("scanners.py")
_SECONDS = 300


class ScannerError(PlatformError):
    """The scanners are not installed, or one of them failed, so nothing is known about the templates."""


@dataclass(frozen=True)
class Checked:
    """The inputs of a scan, so that "no findings" is meaningful."""

    templates: int
    environments: tuple[str, ...]
    scanned: int
    policies: int
    own_rules: int

    def sentence(self) -> str:
        environments = " and ".join(self.environments)
        return (
            f"{self.templates} templates, resolved for {environments}: {self.scanned} files by checkov, "
            f"{self.policies} policies by parliament, {self.own_rules} rules of this project"
        )


@dataclass(frozen=True)
class Scan:
    findings: tuple[Finding, ...]
    suppressions: tuple[Suppression, ...]
    checked: Checked


class Subject(NamedTuple):
    """The template, stack and property of a result."""

    template: str
    stack: str = ""
    environment: str = ""
    logical_id: str = ""
    path: str = ""


def scan(
    templates_folder: Path,
    parameter_files: Sequence[Path],
    python: Path,
    *,
    complete: bool,
    progress: Callable[[str], None] = lambda _line: None,
) -> Scan:
    """Scan everything. ``python`` is the interpreter of the scanners' environment.

    ``complete`` means that these are all environments, so an unused suppression is obsolete. Raises AnalysisError on
    bad input, and ScannerError when a scanner cannot work.
    """
    templates = load_complete(templates_folder)
    environments = [load_environment(file) for file in parameter_files]
    names = tuple(environment.name for environment in environments)
    progress(f"resolving {len(templates)} templates for {', '.join(names)}")
    resolved = [resolve(templates, environment) for environment in environments]
    files = dict(_files(templates, resolved))
    policies = list(_policies(resolved))
    progress(f"scanning {len(files)} files and {len(policies)} policies")
    suppressions = Suppressions(templates)
    scanned = [finding for finding in _run_scanners(python, files, policies) if not suppressions.cover(finding)]
    progress(f"checking {len(RULES)} rules of this project")
    found = [*scanned, *suppressions.findings(complete=complete), *check_rules(templates, resolved)]
    checked = Checked(len(templates), names, len(files), len(policies), len(RULES))
    refused = {value for environment in resolved for value in environment.refused_values}
    return Scan(tuple(merge_findings(mask_values(found, refused))), tuple(suppressions.declared), checked)


class _File(NamedTuple):
    subject: Subject
    body: Mapping[str, Json]


class _Policy(NamedTuple):
    subject: Subject
    kind: str
    document: Json


def _files(
    templates: Mapping[str, Template], environments: Sequence[ResolvedEnvironment]
) -> Iterator[tuple[str, _File]]:
    for name, template in templates.items():
        yield name, _File(Subject(name), _unsuppressed(template.body))
    for env in environments:
        for path, stack in env.stacks.items():
            subject = Subject(stack.template.name, path, env.name)
            yield (
                f"{env.name}-{path.replace('/', '-')}.json",
                _File(subject, _unsuppressed(write_resolved_template(stack))),
            )


def _unsuppressed(body: Mapping[str, Json]) -> dict[str, Json]:
    """Return the body without suppressions. They are applied here, so that an obsolete one is detected."""
    resources = {}
    for logical_id, resource in body["Resources"].items():
        metadata = {key: item for key, item in resource.get("Metadata", {}).items() if key not in SCANNERS}
        rest = {key: item for key, item in resource.items() if key != "Metadata"}
        resources[logical_id] = {**rest, "Metadata": metadata} if metadata else rest
    return {**body, "Resources": resources}


def _policies(environments: Sequence[ResolvedEnvironment]) -> Iterator[_Policy]:
    for env in environments:
        for resource, path, document in policy_documents(env):
            subject = Subject(env.template_name(resource), resource.stack, env.name, resource.logical_id, path)
            yield _Policy(subject, _kind(resource, path), fill_example_values(env, document))


def _kind(resource: Resource, path: str) -> str:
    if path.endswith("AssumeRolePolicyDocument"):
        return "trust"
    return "key" if resource.type == "AWS::KMS::Key" else "permissions"


def _run_scanners(python: Path, files: Mapping[str, _File], policies: Sequence[_Policy]) -> Iterator[Finding]:
    with TemporaryDirectory(prefix="security-") as name:
        folder = Path(name)
        (folder / "templates").mkdir()
        for file, (_, body) in files.items():
            (folder / "templates" / file).write_text(json.dumps(body, indent=1), encoding="utf-8")
        numbered = [
            {"number": number, "kind": policy.kind, "document": policy.document}
            for number, policy in enumerate(policies)
        ]
        (folder / "policies.json").write_text(json.dumps(numbered), encoding="utf-8")
        _run(python, folder)
        results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    for result in results:
        if "policy" in result:
            subject = policies[result["policy"]].subject
        else:
            subject = files[result["file"]].subject._replace(logical_id=result["resource"])
        yield Finding(
            rule=result["rule"],
            level="error",
            template=subject.template,
            message=result["message"],
            logical_id=subject.logical_id,
            path=subject.path,
            hint=f"see {result['see']}" if result["see"] else "",
            stack=subject.stack,
            environment=subject.environment,
        )


def _run(python: Path, folder: Path) -> None:
    if not python.is_file():
        raise ScannerError("no environment for checkov and parliament", where=str(python), hint="run `make security`")
    try:
        # -I: the caller's path and environment cannot change the scanners' locked versions.
        done = subprocess.run(
            [str(python), "-I", str(_PROGRAM), str(folder)],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ScannerError(f"no result after {_SECONDS} s", where=_PROGRAM.name, hint="run it alone") from None
    if done.returncode or not (folder / "results.json").is_file():
        last = (done.stderr.strip() or "no output").splitlines()[-1]
        raise ScannerError(f"a scanner failed: {last}", where=_PROGRAM.name, hint="run `make clean security`")
