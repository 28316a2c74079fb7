"""`deploy.py diff`: what a deployment would change, predicted from the templates alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.gates import LEVELS
from hosting.cli.support.options import ALL, environments_option, find_stale_templates, output_option, root_option

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hosting.analysis.diff.prediction import Prediction
    from hosting.cli.support.revisions import ProjectRevision


@click.command()
@click.option(
    "--against", metavar="GIT_REF|DIR", default="HEAD", show_default=True,
    help="What is taken for deployed: a branch, tag or commit, or a folder with templates/ or of templates.",
)  # fmt: skip
@environments_option
@click.option(
    "--set", "overrides", metavar="KEY=VALUE", multiple=True,
    help="Use this parameter value on the new side: what would it change?",
)  # fmt: skip
@output_option("text", "json", "markdown")
@click.option(
    "--fail-on", "gates", type=click.Choice(LEVELS), multiple=True,
    help="Exit 3 when there is such a change; may be given more than once.  [default: never]",
)  # fmt: skip
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 when there is something to change.")
@click.option("-v", "--verbose", is_flag=True, help="List also what is only added and what only follows.")
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
    """Predict a deployment's changes over all nested stacks, without AWS and without credentials.

    Compares the templates and parameter files of the working tree with those of a commit or folder. Tells
    replacements from the providers' schemas, follows new ids across stacks, and shows who may do more afterwards.
    """
    from hosting.cli.support import revisions

    if stale := find_stale_templates(root):
        click.echo(
            f"diff: templates/ is not what generator/ renders ({', '.join(stale)}); comparing it as it is", err=True
        )
    new = revisions.current_revision(root)
    with revisions.open_revision(root, against) as old:
        predictions = [_predict(old, new, name, overrides) for name in _environments(new, environment)]
        gone = [name for name in old.environments() if environment == ALL and name not in new.environments()]
        label = old.label
    _print(predictions, label, gone, output, verbose=verbose)
    refused = [line for gate in gates for line in _refusals(gate, predictions)]
    for line in refused:
        click.echo(f"{click.style('refused:', fg='red', bold=True)} {line}", err=True)
    if refused:
        return Exit.REFUSED
    changes = any(not prediction.is_empty for prediction in predictions)
    return Exit.CHANGES if changes and detailed_exitcode else Exit.DONE


def _environments(side: ProjectRevision, wanted: str) -> Sequence[str]:
    from hosting.model import parameter_file

    if wanted == ALL and (known := side.environments()):
        return known
    return [parameter_file.locate(side.params, wanted).stem]


def _predict(old: ProjectRevision, new: ProjectRevision, environment: str, overrides: Iterable[str]) -> Prediction:
    from hosting.analysis.diff.prediction import predict
    from hosting.cli.support.revisions import resolve_environment
    from hosting.model.stateful import loss

    cache = new.functions.parent / "build" / "archives"
    running = old.load()["root.json"].services
    after = resolve_environment(new, environment, services=running, cache=cache, overrides=overrides)
    if environment not in old.environments():
        return predict(None, after, loss)
    return predict(resolve_environment(old, environment, services=running, cache=cache), after, loss)


def _refusals(gate: str, predictions: Iterable[Prediction]) -> Iterable[str]:
    for one in predictions:
        if gate == "any-change" and not one.is_empty:
            yield f"--fail-on any-change: {one.environment} changes"
        if gate == "destructive":
            for change in one.destructive:
                where = f"{one.environment} {'/'.join((change.stack.split('/')[0], *change.path))}"
                yield f"--fail-on destructive: {where} ({change.type}): {change.effect}"
        if gate == "broadening":
            for item in one.broader:
                reasons = "; ".join(dict.fromkeys(line.broader for line in item.lines if line.broader))
                where = f"{one.environment} {'/'.join((item.stack.split('/')[0], *item.path))}"
                yield f"--fail-on broadening: {where} ({item.aspect}): {reasons}"


def _print(predictions: Sequence[Prediction], against: str, gone: Sequence[str], output: str, *, verbose: bool) -> None:
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
