"""`deploy.py drift`: detect changes that were made outside CloudFormation, in all nested stacks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import (
    Options,
    account_options,
    connect_to_deployed,
    environment_options,
    output_option,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.text import Text
    from rich.tree import Tree

    from hosting.deployer.drift import DriftedResource, StackDrift

SCHEMA = "hosting-platform/drift/1"


@click.command()
@environment_options
@account_options
@output_option("text", "json")
def drift(**given: Any) -> int:
    """Detect drift of all resources in all nested stacks, including bootstrap. Exits 2 if a resource differs.

    A deployment corrects drift only if its template changes the same property.
    """
    from hosting.cli.rendering import progress
    from hosting.deployer import deployment
    from hosting.deployer import drift as drifting

    options = Options(**given)
    context = connect_to_deployed(options)
    states = deployment.describe_stacks(context)
    drifting.require_deployed(context, states)
    with progress.create_console().status("detecting drift"):
        reports = drifting.detect(context, states)
    if options.output == "json":
        click.echo(json.dumps(_build_document(options.environment, reports), indent=2))
    else:
        console = progress.create_console(stderr=False)
        for part in _render_reports(reports):
            console.print(part)
    if any(report.drifted for report in reports):
        return Exit.CHANGES
    return Exit.ERROR if any(report.problem for report in reports) else Exit.DONE


def _render_reports(reports: Sequence[StackDrift]) -> Iterator[Tree | Text]:
    from rich.text import Text
    from rich.tree import Tree

    for report in reports:
        if not report.drifted and not report.problem:
            continue
        place = "/".join((report.stack.name, *report.path))
        tree = Tree(Text.assemble((place, "bold"), (f" ({report.stack.region})", "dim")))
        if report.problem:
            tree.add(Text(f"drift detection incomplete: {report.problem}", style="bold red"))
        for one in report.drifted:
            branch = tree.add(_render_resource(one))
            for line in _render_differences(one):
                branch.add(line)
        yield tree
    found = sum(len(report.drifted) for report in reports)
    checked, resources = (sum(getattr(report, name) for report in reports) for name in ("checked", "resources"))
    result = f"{found} of them differ{'s' * (found == 1)}" if found else "no drift"
    style = "bold red" if found else "green"
    yield Text.assemble(f"{checked} of {resources} resources in {len(reports)} stacks checked: ", (result, style))
    if checked < resources:
        yield Text("The other resource types do not support drift detection.", style="dim")


def _render_resource(one: DriftedResource) -> Text:
    from rich.text import Text

    mark, style = ("-", "red") if one.status == "DELETED" else ("~", "yellow")
    gone = "  was deleted" if one.status == "DELETED" else ""
    return Text.assemble((f"{mark} {one.name}", style), f"{gone}  ", (f"{one.type} {one.physical_id}", "dim"))


def _render_differences(one: DriftedResource) -> Iterator[Text]:
    from rich.text import Text

    from hosting.cli.rendering import change_symbols
    from hosting.cli.support.plan_properties import mask_value

    for item in one.differences:
        path = tuple(item.path.strip("/").split("/"))
        expected, actual = mask_value(item.expected or None, path), mask_value(item.actual or None, path)
        before, after = change_symbols.shorten_pair(expected, actual)
        yield Text.assemble(f"{'.'.join(path)}: template ", (before, "green"), ", actual ", (after, "red"))


def _build_document(environment: str, reports: Sequence[StackDrift]) -> dict[str, Any]:
    from hosting.cli.support.plan_properties import mask_value

    return {
        "schema": SCHEMA,
        "environment": environment,
        "drifted": any(report.drifted for report in reports),
        "stacks": [
            {
                "stack": report.stack.name,
                "region": report.stack.region,
                "path": list(report.path),
                "checked": report.checked,
                "resources": report.resources,
                "problem": report.problem,
                "drifted": [
                    {
                        "name": one.name,
                        "type": one.type,
                        "physicalId": one.physical_id,
                        "status": one.status,
                        "differences": [
                            {
                                "path": item.path,
                                "kind": item.kind,
                                "expected": mask_value(item.expected, tuple(item.path.strip("/").split("/"))),
                                "actual": mask_value(item.actual, tuple(item.path.strip("/").split("/"))),
                            }
                            for item in one.differences
                        ],
                    }
                    for one in report.drifted
                ],
            }
            for report in reports
        ],
    }
