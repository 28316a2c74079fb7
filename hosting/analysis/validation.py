"""Validates the templates: resolve, lint, check rules, merge findings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hosting.analysis.findings import Finding, mask_values, merge_findings
from hosting.analysis.lint import lint
from hosting.analysis.report import Checked
from hosting.analysis.resolve import ResolvedEnvironment, resolve
from hosting.analysis.rules import RULES, ShapeError, check_rules
from hosting.model.errors import ResolveError
from hosting.model.parameter_file import Environment, load_environment
from hosting.model.templates import load_complete


@dataclass(frozen=True)
class Validation:
    """The findings of a validation, and its inputs."""

    findings: tuple[Finding, ...]
    checked: Checked


def validate(
    templates_folder: Path, parameter_files: Sequence[Path], progress: Callable[[str], None] = lambda _line: None
) -> Validation:
    """Check the templates as committed and with the values of each environment. Raises AnalysisError on bad input."""
    templates = load_complete(templates_folder)
    environments = [load_environment(file) for file in parameter_files]
    names = tuple(environment.name for environment in environments)
    progress(f"resolving {len(templates)} templates for {', '.join(names)}")
    resolved: list[ResolvedEnvironment] = []
    found: list[Finding] = []
    failures: list[tuple[str, Exception]] = []
    for environment in environments:
        try:
            resolved.append(resolve(templates, environment))
        except ResolveError as error:
            found.append(_unresolved(error, environment))
        except ShapeError as error:
            failures.append((f"resolving {environment.name}", error))
    progress(f"checking {len(RULES)} rules of this project")
    found += check_rules(templates, resolved, lambda what, error: failures.append((what, error)))
    progress("linting")
    linted = lint(templates, resolved, templates_folder.parent / "build" / "cfn-lint.json")
    found += _explained(failures, linted.findings)
    checked = Checked(len(templates), names, linted.files, linted.rules, len(RULES))
    refused = {value for environment in resolved for value in environment.refused_values}
    return Validation(tuple(merge_findings(mask_values([*linted.findings, *found], refused))), checked)


def _unresolved(error: ResolveError, environment: Environment) -> Finding:
    return Finding(
        "CF-00",
        "error",
        error.template,
        error.what,
        hint="correct it; until then only the single templates of this environment are checked",
        why="CloudFormation rejects it too (CloudFormation Template Reference, Intrinsic functions).",
        stack=error.stack,
        environment=environment.name,
    )


def _explained(failures: Sequence[tuple[str, Exception]], linted: Sequence[Finding]) -> list[Finding]:
    """Return findings for errors that a template of the wrong form explains. Raise the error if none explains it."""
    broken = sorted({finding.template for finding in linted if finding.level == "error"})
    if failures and not broken:
        raise failures[0][1]
    return [
        Finding(
            "CF-00",
            "error",
            broken[0],
            f"{what} failed: {type(error).__name__}: {error}",
            hint=f"correct the findings of cfn-lint in {', '.join(broken)} first",
        )
        for what, error in failures
    ]
