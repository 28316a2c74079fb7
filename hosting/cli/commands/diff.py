"""`deploy.py diff`: predict the changes of a deployment from the templates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.gates import LEVELS
from hosting.cli.support.options import (
    environments_option,
    find_stale_templates,
    output_option,
    root_option,
    set_option,
)
from hosting.model.parameter_file import ALL

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hosting.analysis.diff.prediction import Prediction
    from hosting.cli.support.revisions import ProjectRevision


@click.command()
@click.option(
    "--against", metavar="GIT_REF|DIR", default="HEAD", show_default=True,
    help="The revision to compare with: a branch, tag or commit, a project folder, or a folder of templates.",
)  # fmt: skip
@environments_option
@set_option
@output_option("text", "json", "markdown")
@click.option(
    "--fail-on", "gates", type=click.Choice(LEVELS), multiple=True,
    help="Exit 3 if there is a change of this kind. Repeatable.  [default: never]",
)  # fmt: skip
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 if there are changes.")
@click.option("-v", "--verbose", is_flag=True, help="List additions one by one, and changes that only follow a new id.")
@root_option
def diff(
    against: str,
    environment: str,
    overrides: tuple[str, ...],
    output: str,
    gates: tuple[str, ...],
    detailed_exitcode: bool,
    verbose: bool,
    root: Path,
) -> int:
    """Predict the changes of a deployment in all nested stacks. Works offline.

    Compares templates and parameter files of the working tree with those of a commit or folder. Resource provider
    schemas determine replacements. New ids are followed across stacks. Permissions that widen are listed first.
    """
    from hosting.cli.support import revisions

    if stale := find_stale_templates(root):
        click.echo(f"diff: templates/ is stale ({', '.join(stale)}). The files are compared as they are.", err=True)
    new = revisions.current_revision(root)
    with revisions.open_revision(root, against) as old:
        predictions = [_predict(old, new, name, overrides) for name in _select_environments(new, environment)]
        gone = [name for name in old.environments() if environment == ALL and name not in new.environments()]
        label = old.label
    _print_predictions(predictions, label, gone, output, verbose=verbose)
    refused = [line for gate in gates for line in _find_refusals(gate, predictions)]
    for line in refused:
        click.echo(f"{click.style('refused:', fg='red', bold=True)} {line}", err=True)
    if refused:
        return Exit.REFUSED
    changes = any(not prediction.is_empty for prediction in predictions)
    return Exit.CHANGES if changes and detailed_exitcode else Exit.DONE


def _select_environments(side: ProjectRevision, wanted: str) -> Sequence[str]:
    from hosting.model import parameter_file

    if wanted == ALL and (known := side.environments()):
        return known
    return [parameter_file.locate(side.params, wanted).stem]


def _predict(old: ProjectRevision, new: ProjectRevision, environment: str, overrides: Iterable[str]) -> Prediction:
    from hosting.analysis.diff.prediction import predict
    from hosting.cli.support.revisions import resolve_environment

    cache = new.functions.parent / "build" / "archives"
    running = old.load()["root.json"].services
    after = resolve_environment(new, environment, services=running, cache=cache, overrides=overrides)
    if environment not in old.environments():
        return predict(None, after)
    return predict(resolve_environment(old, environment, services=running, cache=cache), after)


def _find_refusals(gate: str, predictions: Iterable[Prediction]) -> Iterable[str]:
    for one in predictions:
        if gate == "any-change" and not one.is_empty:
            yield f"--fail-on any-change: {one.environment} changes"
        if gate == "impossible":
            for refused in one.impossible:
                where = f"{one.environment} {'/'.join((refused.stack.split('/')[0], *refused.path))}"
                yield f"--fail-on impossible: {where} ({refused.type}): {refused.reason}"
        if gate == "destructive":
            for change in one.destructive:
                where = f"{one.environment} {'/'.join((change.stack.split('/')[0], *change.path))}"
                yield f"--fail-on destructive: {where} ({change.type}): {change.effect}"
        if gate == "broadening":
            for item in one.broader:
                reasons = "; ".join(dict.fromkeys(line.broader for line in item.lines if line.broader))
                where = f"{one.environment} {'/'.join((item.stack.split('/')[0], *item.path))}"
                yield f"--fail-on broadening: {where} ({item.aspect}): {reasons}"


def _print_predictions(
    predictions: Sequence[Prediction], against: str, gone: Sequence[str], output: str, *, verbose: bool
) -> None:
    from hosting.cli.rendering import diff

    if output == "json":
        click.echo(diff.render_json(predictions, against, gone))
    elif output == "markdown":
        click.echo(diff.render_markdown(predictions, against, gone), nl=False)
    else:
        from hosting.cli.rendering import progress

        console = progress.create_console(stderr=False)
        for part in diff.render_text(predictions, against, gone, verbose=verbose):
            console.print(part)
