"""`deploy.py reach`: prove which network paths are open and which are closed."""

from __future__ import annotations

from pathlib import Path

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import environments_option, output_option, root_option


@click.command()
@environments_option
@output_option("text", "json")
@click.option(
    "--call", "calls", metavar="CALLER:CALLEE", multiple=True,
    help="Direct path between two services that is expected to be open. Repeatable.",
)  # fmt: skip
@root_option
def reach(environment: str, output: str, calls: tuple[str, ...], root: Path) -> int:
    """Prove from the templates which network paths are open and which are closed. Works offline.

    Each claim is printed with the rules that prove it. Exits 1 if a claim fails.
    """
    from hosting.analysis.reachability import report
    from hosting.analysis.reachability.proof import prove
    from hosting.analysis.resolve import resolve
    from hosting.cli.support.sources import load_resource_sources
    from hosting.model.parameter_file import load_environment, select_files
    from hosting.model.templates import load_complete

    pairs = [_parse_call(call) for call in calls]
    templates = load_complete(root / "templates")
    sources = load_resource_sources(root)
    files = select_files(root / "params", environment)
    proofs = [prove(resolve(templates, load_environment(file)), sources, pairs) for file in files]
    click.echo(report.as_json(proofs) if output == "json" else report.as_text(proofs), nl=output == "json")
    return Exit.DONE if all(proof.holds for proof in proofs) else Exit.ERROR


def _parse_call(text: str) -> tuple[str, str]:
    caller, _, callee = text.partition(":")
    if not caller or not callee or ":" in callee:
        raise click.BadParameter(f'"{text}" is not CALLER:CALLEE, such as Frontend:Backend', param_hint="--call")
    return caller, callee
