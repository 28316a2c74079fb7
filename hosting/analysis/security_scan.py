"""The whole of a security scan: outside judges over templates and policies, and our rules.

checkov judges every template as committed and every stack with an environment's values; parliament every policy
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

from hosting.analysis.example_values import concrete
from hosting.analysis.findings import Finding, mask_values, merge_findings
from hosting.analysis.resolve import ResolvedEnvironment, Resource, resolve
from hosting.analysis.resolved_templates import lintable
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
    """What a scan looked at, so that "no findings" means something."""

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
    """What a verdict is about."""

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
    """Judge everything. ``python`` is the interpreter of the judges' environment.

    ``complete`` says that these are all environments, so that a suppression which none of them needs is stale.
    Raises AnalysisError on bad input, and ScannerError when a scanner cannot work.
    """
    templates = load_complete(templates_folder)
    environments = [load_environment(file) for file in parameter_files]
    names = tuple(environment.name for environment in environments)
    progress(f"resolving {len(templates)} templates for {', '.join(names)}")
    resolved = [resolve(templates, environment) for environment in environments]
    files = dict(_files(templates, resolved))
    policies = list(_policies(resolved))
    progress(f"judging {len(files)} files and {len(policies)} policies")
    suppressions = Suppressions(templates)
    judged = [finding for finding in _judge(python, files, policies) if not suppressions.cover(finding)]
    progress(f"checking {len(RULES)} rules of this project")
    found = [*judged, *suppressions.findings(complete=complete), *check_rules(templates, resolved)]
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
            yield f"{env.name}-{path.replace('/', '-')}.json", _File(subject, _unsuppressed(lintable(stack)))


def _unsuppressed(body: Mapping[str, Json]) -> dict[str, Json]:
    """Suppressions are applied here, not by checkov: only so can one be noticed that is needed no more."""
    resources = {}
    for logical_id, resource in body["Resources"].items():
        metadata = {key: item for key, item in resource.get("Metadata", {}).items() if key not in SCANNERS}
        rest = {key: item for key, item in resource.items() if key != "Metadata"}
        resources[logical_id] = {**rest, "Metadata": metadata} if metadata else rest
    return {**body, "Resources": resources}


def _policies(environments: Sequence[ResolvedEnvironment]) -> Iterator[_Policy]:
    for env in environments:
        for resource, path, document in policy_documents(env):
            subject = Subject(env.template_of(resource), resource.stack, env.name, resource.logical_id, path)
            yield _Policy(subject, _kind(resource, path), concrete(env, document))


def _kind(resource: Resource, path: str) -> str:
    if path.endswith("AssumeRolePolicyDocument"):
        return "trust"
    return "key" if resource.type == "AWS::KMS::Key" else "permissions"


def _judge(python: Path, files: Mapping[str, _File], policies: Sequence[_Policy]) -> Iterator[Finding]:
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
        verdicts = json.loads((folder / "verdicts.json").read_text(encoding="utf-8"))
    for verdict in verdicts:
        if "policy" in verdict:
            subject = policies[verdict["policy"]].subject
        else:
            subject = files[verdict["file"]].subject._replace(logical_id=verdict["resource"])
        yield Finding(
            rule=verdict["rule"],
            level="error",
            template=subject.template,
            message=verdict["message"],
            logical_id=subject.logical_id,
            path=subject.path,
            hint=f"see {verdict['see']}" if verdict["see"] else "",
            stack=subject.stack,
            environment=subject.environment,
        )


def _run(python: Path, folder: Path) -> None:
    if not python.is_file():
        raise ScannerError("no environment for checkov and parliament", where=str(python), hint="run `make security`")
    try:
        # -I: nothing of the caller's path or environment gets between the judges and what they were locked with.
        done = subprocess.run(
            [str(python), "-I", str(_PROGRAM), str(folder)],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ScannerError(f"no verdict after {_SECONDS} s", where=_PROGRAM.name, hint="run it alone") from None
    if done.returncode or not (folder / "verdicts.json").is_file():
        last = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        raise ScannerError(f"a judge broke down: {last}", where=_PROGRAM.name, hint="run `make clean security`")
