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
    stumbled: list[tuple[str, Exception]] = []
    for environment in environments:
        try:
            resolved.append(resolve(templates, environment))
        except ResolveError as error:
            found.append(_unresolved(error, environment))
        except ShapeError as error:
            stumbled.append((f"resolving {environment.name}", error))
    progress(f"checking {len(RULES)} rules of this project")
    found += check_rules(templates, resolved, lambda what, error: stumbled.append((what, error)))
    progress("linting")
    linted = lint(templates, resolved)
    found += _explained(stumbled, linted.findings)
    checked = Checked(len(templates), names, linted.files, linted.rules, len(RULES))
    refused = {value for environment in resolved for value in environment.refused_values}
    return Validation(tuple(merge_findings(mask_values([*linted.findings, *found], refused))), checked)


def _unresolved(error: ResolveError, environment: Environment) -> Finding:
    return Finding(
        "CF-00",
        "error",
        error.template,
        error.what,
        hint="mend it; until then nothing else of this environment is checked but each template by itself",
        why="CloudFormation would refuse it too (CloudFormation Template Reference, Intrinsic functions).",
        stack=error.stack,
        environment=environment.name,
    )


def _explained(stumbled: Sequence[tuple[str, Exception]], linted: Sequence[Finding]) -> list[Finding]:
    """A template of the wrong shape explains why we stumbled over it. Without one it is a bug of ours: a traceback."""
    broken = sorted({finding.template for finding in linted if finding.level == "error"})
    if stumbled and not broken:
        raise stumbled[0][1]
    return [
        Finding(
            "CF-00",
            "error",
            broken[0],
            f"{what} cannot go on: {type(error).__name__}: {error}",
            hint=f"mend what cfn-lint finds in {', '.join(broken)} first",
        )
        for what, error in stumbled
    ]
