"""Runs cfn-lint over the committed templates and over their resolved copies, with all levels.

cfn-lint is the slow part of a validation. Its rules are therefore loaded once and inherited by forked workers, files
with equal content are linted once, the largest files start first, and the matches of a file are remembered by content.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import distribution, version
from itertools import islice
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from hosting.analysis.findings import Finding, Level
from hosting.analysis.resolve import ResolvedEnvironment
from hosting.analysis.resolved_templates import write_resolved_template
from hosting.model.stack_order import ROOT, regions
from hosting.model.templates import WORKLOAD_TEMPLATES, Template, nested_template
from hosting.model.tokens import Json


class Subject(NamedTuple):
    """The template, stack and environment of a linted file."""

    template: str
    stack: str = ""
    environment: str = ""


@dataclass
class Job:
    """One file to lint, and the subjects of its findings."""

    text: str
    regions: tuple[str, ...]
    file: str
    subjects: list[Subject] = field(default_factory=list)


@dataclass(frozen=True)
class Match:
    """A match of cfn-lint, as plain data that can be sent between processes."""

    rule: str
    level: Level
    message: str
    path: tuple[str, ...]
    url: str


@dataclass(frozen=True)
class LintResult:
    """Findings, and the numbers of files and rules."""

    findings: tuple[Finding, ...]
    files: int
    rules: int


def jobs(templates: Mapping[str, Template], environments: Iterable[ResolvedEnvironment]) -> list[Job]:
    """Return the files to lint: each template as committed, each stack as resolved. Equal contents are one job."""
    found: dict[tuple[str, tuple[str, ...]], Job] = {}

    def add(body: Mapping[str, Json], where: tuple[str, ...], file: str, subject: Subject) -> None:
        text = json.dumps(_without_exceptions(body), indent=1)
        found.setdefault((text, where), Job(text, where, file)).subjects.append(subject)

    for name, template in templates.items():
        body = _with_local_urls(template) if name == ROOT else template.body
        add(body, regions(name), name, Subject(name))
    for environment in environments:
        for path, stack in environment.stacks.items():
            file = f"{environment.name}-{path.replace('/', '-')}.json"
            add(
                write_resolved_template(stack),
                (stack.region,),
                file,
                Subject(stack.template.name, path, environment.name),
            )
    return list(found.values())


def _with_local_urls(root: Template) -> dict[str, Json]:
    """Return the root with relative URLs, so that cfn-lint opens nested templates and checks parameters and outputs."""
    resources = dict(root.resources)
    for logical_id, resource in resources.items():
        properties = resource.get("Properties")
        if isinstance(properties, dict) and (file := nested_template(resource)):
            resources[logical_id] = {**resource, "Properties": {**properties, "TemplateURL": file}}
    body = {**root.body, "Resources": resources}
    # Parameters that only the URLs used are unused now and would be reported.
    used = json.dumps({key: item for key, item in body.items() if key not in ("Parameters", "Metadata")})
    body["Parameters"] = {
        key: item
        for key, item in root.section("Parameters").items()
        if not (key.endswith("TemplateKey") or key in (WORKLOAD_TEMPLATES, "ArtifactBucket"))
        or re.search(rf"\b{key}\b", used)
    }
    return body


def _without_exceptions(body: Mapping[str, Json]) -> dict[str, Json]:
    """Return the body without exceptions. They are applied here, so that an obsolete one is detected."""
    resources = {
        key: {name: item for name, item in resource.items() if name != "Metadata" or not _exceptions_in(resource)}
        for key, resource in body.get("Resources", {}).items()
    }
    metadata = {key: item for key, item in body.get("Metadata", {}).items() if key != "cfn-lint"}
    rest = {key: item for key, item in body.items() if key != "Metadata"}
    return {**rest, "Resources": resources} | ({"Metadata": metadata} if metadata else {})


def lint(
    templates: Mapping[str, Template], environments: Iterable[ResolvedEnvironment], remember_in: Path | None = None
) -> LintResult:
    """Return all findings of cfn-lint, without the exceptions that a resource declares with a reason.

    `remember_in` is a file with the matches of earlier runs, which is read and written.
    """
    environments = list(environments)
    work = jobs(templates, environments)
    remembered = RememberedMatches.read(remember_in)
    results = _lint_jobs(work, remembered)
    if remember_in is not None:
        remembered.write(remember_in, {value for one in environments for value in one.refused_values})
    exceptions = Exceptions(templates)
    findings = [
        finding
        for job, matches in results
        for match in matches
        for subject in job.subjects
        if not _made_here(subject, match) and not exceptions.cover(finding := _finding(subject, match))
    ]
    return LintResult((*findings, *exceptions.findings()), len(work), remembered.rules)


def _made_here(subject: Subject, match: Match) -> bool:
    """Return whether W3002 reports the relative TemplateURL that this module writes."""
    return match.rule == "W3002" and subject == Subject(ROOT)


# More files than a hundred workloads have in three environments.
_REMEMBERED = 1_000


class RememberedMatches:
    """The matches of files that were linted before, by a digest of the file, of its regions and of cfn-lint."""

    def __init__(self, known: Mapping[str, list[Match]] = MappingProxyType({}), rules: int = 0) -> None:
        self._known = known
        self._used: dict[str, list[Match]] = {}
        self._rules = rules

    @classmethod
    def read(cls, file: Path | None) -> RememberedMatches:
        """Return the matches in a file. A file that is missing or damaged has none."""
        try:
            document = json.loads(file.read_bytes()) if file is not None else {}
            if document.get("cfn-lint") != _engine_digest():
                return cls()
            known = {
                key: [Match(**{**one, "path": tuple(one["path"])}) for one in found]
                for key, found in document["matches"].items()
            }
            return cls(known, document["rules"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def write(self, file: Path, refused: set[str]) -> None:
        """Write the matches of this run, and of as many earlier files as the limit permits.

        A match can repeat a refused value, which may be a token in the wrong place. Its file is linted again.
        """
        safe = (
            (key, found)
            for key, found in {**self._used, **self._known}.items()
            if not any(value in match.message for match in found for value in refused)
        )
        newest = islice(safe, _REMEMBERED)
        document = {
            "cfn-lint": _engine_digest(),
            "rules": self.rules,
            "matches": {key: [asdict(one) for one in found] for key, found in newest},
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as temporary:
            json.dump(document, temporary)
        Path(temporary.name).replace(file)

    @property
    def rules(self) -> int:
        """Return the number of enabled rules."""
        self._rules = self._rules or rule_count()
        return self._rules

    def find(self, key: str) -> list[Match] | None:
        """Return the matches of a file, or None if it was not linted before."""
        if key in self._known:
            self._used[key] = self._known[key]
        return self._used.get(key)

    def add(self, key: str, matches: list[Match]) -> None:
        """Remember the matches of a file that was linted now."""
        self._used[key] = matches


@cache
def _engine_digest() -> str:
    """Return a digest of the installed cfn-lint with its schemas, and of this module, which selects its rules."""
    record = distribution("cfn-lint").read_text("RECORD") or version("cfn-lint")
    return hashlib.sha256(record.encode() + Path(__file__).read_bytes()).hexdigest()


def _digest(job: Job, work: Sequence[Job]) -> str:
    """Return the digest of everything that the matches of a file depend on. The root opens the nested templates."""
    opened = [other.text for other in work if not other.subjects[0].stack] if job.subjects[0] == Subject(ROOT) else []
    return hashlib.sha256(json.dumps([job.text, job.regions, job.file, opened]).encode()).hexdigest()


def _lint_jobs(work: list[Job], remembered: RememberedMatches) -> list[tuple[Job, list[Match]]]:
    """Return the matches of each job. Only files that were not linted before are given to cfn-lint."""
    keys = {job.file: _digest(job, work) for job in work}
    fresh = [job for job in work if remembered.find(keys[job.file]) is None]
    if fresh:
        with TemporaryDirectory(prefix="validate-") as folder:
            for job in work:
                Path(folder, job.file).write_text(job.text, encoding="utf-8")
            for job, matches in _run(folder, fresh):
                remembered.add(keys[job.file], matches)
    return [(job, remembered.find(keys[job.file]) or []) for job in work]


def _run(folder: str, work: list[Job]) -> list[tuple[Job, list[Match]]]:
    _engine()  # load once, before the workers are forked
    work = sorted(work, key=lambda job: -len(job.text))
    paths = [(str(Path(folder, job.file)), job.regions) for job in work]
    processes = min(os.cpu_count() or 1, len(work))
    # Only on Linux forked workers inherit the loaded rules; elsewhere each worker would load them again.
    if processes < 2 or not sys.platform.startswith("linux"):
        return [(job, lint_file(path, where)) for job, (path, where) in zip(work, paths, strict=True)]
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("fork")) as pool:
        futures: list[Future[list[Match]]] = [pool.submit(lint_file, path, where) for path, where in paths]
        return [(job, future.result()) for job, future in zip(work, futures, strict=True)]


class _Engine(NamedTuple):
    run: Any
    config: Any
    rules: Any


_loaded: list[_Engine] = []


def _engine() -> _Engine:
    if not _loaded:
        from cfnlint.config import ConfigMixIn, ManualArgs
        from cfnlint.runner import Runner, run_template_by_file_path

        config = ConfigMixIn(**ManualArgs(include_checks=["I"]))
        _loaded.append(_Engine(run_template_by_file_path, (ConfigMixIn, ManualArgs), Runner(config).rules))
    return _loaded[0]


def rule_count() -> int:
    """Return the number of enabled rules of cfn-lint, without experimental ones."""
    engine = _engine()
    config_class, arguments = engine.config
    config = config_class(**arguments(include_checks=["I"]))
    return sum(1 for rule in engine.rules.values() if engine.rules.is_rule_enabled(rule, config))


def lint_file(path: str, where: tuple[str, ...]) -> list[Match]:
    """Lint one file for its regions."""
    engine = _engine()
    config_class, arguments = engine.config
    config = config_class(**arguments(include_checks=["I"], regions=list(where)))
    return [
        Match(
            match.rule.id,
            _LEVELS[match.rule.severity],
            str(match.message),
            tuple(
                str(step) for step in getattr(match, "path", None) or ()
            ),  # plain strings instead of the decoder's own type
            match.rule.source_url,
        )
        for match in engine.run(path, config, engine.rules, False)
    ]


_LEVELS: dict[str, Literal["error", "warning", "informational"]] = {
    "error": "error",
    "warning": "warning",
    "informational": "informational",
}


def _finding(subject: Subject, match: Match) -> Finding:
    path = match.path
    logical_id = path[1] if len(path) > 1 and path[0] == "Resources" else ""
    return Finding(
        rule=match.rule,
        level=match.level,
        template=subject.template,
        message=match.message,
        logical_id=logical_id,
        path=".".join(path[2:] if logical_id else path),
        hint=f"see {match.url}" if match.url else "",
        stack=subject.stack,
        environment=subject.environment,
    )


class Exceptions:
    """The exceptions in the templates' Metadata; each needs a reason and a matching finding."""

    def __init__(self, templates: Mapping[str, Template]) -> None:
        self._declared: dict[tuple[str, str, str], str] = {}
        self._used: set[tuple[str, str, str]] = set()
        self._global = [name for name, template in templates.items() if "cfn-lint" in template.section("Metadata")]
        for name, template in templates.items():
            for logical_id, resource in template.resources.items():
                for rule, reason in _declared_exceptions(resource):
                    self._declared[name, logical_id, rule] = reason

    def cover(self, finding: Finding) -> bool:
        key = (finding.template, finding.logical_id, finding.rule)
        if key not in self._declared:
            return False
        self._used.add(key)
        return True

    def findings(self) -> Iterator[Finding]:
        """Yield findings about the exceptions themselves."""
        for name in self._global:
            yield Finding(
                "LINT-01", "error", name, "a rule of cfn-lint is disabled for the whole template", "",
                "Metadata.cfn-lint", "declare the exception at the resource that needs it, with its Reason",
            )  # fmt: skip
        for (name, logical_id, rule), reason in self._declared.items():
            place = "Metadata.cfn-lint.config.ignore_checks"
            if not reason:
                yield Finding(
                    "LINT-02", "error", name, f"the exception for {rule} has no reason", logical_id, place,
                    'add a reason: Metadata {"cfn-lint": ..., "Reason": "..."}',
                )  # fmt: skip
            if (name, logical_id, rule) not in self._used:
                yield Finding(
                    "LINT-03", "error", name, f"{rule} no longer occurs here", logical_id, place,
                    "remove the exception",
                )  # fmt: skip


def _exceptions_in(resource: Mapping[str, Json]) -> Mapping[str, Json]:
    metadata = resource.get("Metadata")
    found = metadata.get("cfn-lint") if isinstance(metadata, dict) else None
    return found if isinstance(found, dict) else {}


def _declared_exceptions(resource: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    for rule in _exceptions_in(resource).get("config", {}).get("ignore_checks", []):
        yield rule, str(resource["Metadata"].get("Reason", "")).strip()
