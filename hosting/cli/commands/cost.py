"""`deploy.py cost`: estimate the monthly cost of an environment from its templates and a price table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import (
    complete_environment,
    environments_option,
    output_option,
    root_option,
)
from hosting.model.parameter_file import ALL

if TYPE_CHECKING:
    from hosting.analysis.cost.difference import CostChange
    from hosting.analysis.cost.estimate import Estimate
    from hosting.cli.support.revisions import ProjectRevision

Range = tuple[Decimal, Decimal]


@click.command()
@environments_option
@click.option("--against", metavar="GIT_REF|DIR", help="Show the difference from a commit or a folder.")
@click.option(
    "--compare",
    metavar="ENV",
    shell_complete=complete_environment,
    help="Show the difference from another environment.",
)  # fmt: skip
@output_option("text", "json")
@root_option
def cost(environment: str, against: str | None, compare: str | None, output: str, root: Path) -> int:
    """Estimate the monthly cost of an environment as a range, from idle to scaled out.

    Works offline with the templates, the parameter files and a dated price table. Costs that depend on traffic, and
    resources without a price in the table, are listed but not included in the total.
    """
    from hosting.cli.support import revisions

    if against and compare:
        raise click.UsageError("--against and --compare cannot be combined.")
    here = revisions.current_revision(root)
    names = here.environments() if environment == ALL else (environment,)
    if compare and environment == ALL:
        raise click.UsageError("--compare requires one environment: add -e ENV.")
    after = [_estimate_cost(here, name) for name in names]
    before: dict[str, Estimate] = {}
    label = ""
    if compare:
        before[names[0]], label = _estimate_cost(here, compare), compare
    if against:
        with revisions.open_revision(root, against) as other:
            before = {name: _estimate_cost(other, name) for name in names if name in other.environments()}
            label = other.label
    if output == "json":
        click.echo(json.dumps([_build_document(one, before.get(one.environment), label) for one in after], indent=2))
        return Exit.DONE
    for number, one in enumerate(after):
        lines = _format_estimate(one) if not label else _format_difference(one, before.get(one.environment), label)
        click.echo(("\n" if number else "") + "\n".join(lines))
    return Exit.DONE


def _estimate_cost(side: ProjectRevision, environment: str) -> Estimate:
    from hosting.analysis.cost.estimate import estimate_costs
    from hosting.analysis.resolve import resolve
    from hosting.model.parameter_file import load_environment, locate

    file = locate(side.params, environment)
    return estimate_costs(resolve(side.load(), load_environment(file)))


def _format_estimate(one: Estimate) -> Iterator[str]:
    from hosting.analysis.cost.estimate import EXCLUDED

    yield f"{one.environment}: US dollars for a month of 730 hours, from idle to scaled out\n"
    for layer, (least, most) in one.layers.items():
        yield f"{layer:<64}{least:>11,.2f}{most:>12,.2f}"
        for line in one.lines:
            if line.layer == layer:
                yield f"  {line.item:<34}{line.quantity:<28}{line.least:>11,.2f}{line.most:>12,.2f}"
    least, most = one.total
    yield f"{'total, without the items below':<64}{least:>11,.2f}{most:>12,.2f}\n"
    if one.unknown:
        yield "Price unknown, not in the total:"
        yield from (f"  {each.layer}: {each.item}, {each.quantity}" for each in one.unknown)
        yield ""
    yield "Depends on traffic, not in the total:"
    yield from (f"  {kind.removeprefix('AWS::')}: {what}" for kind, what in one.by_use)
    yield "\nNot included:"
    yield from (f"  {each}" for each in EXCLUDED)
    yield f"\nPrices of {_format_price_dates(one)}. `deploy.py cost --output json` lists the source of each price."


def _format_price_dates(one: Estimate) -> str:
    dates = sorted({line.price.date for line in one.lines})
    return f"{dates[0]} to {dates[-1]}" if dates else "no date"


def _format_difference(after: Estimate, before: Estimate | None, label: str) -> Iterator[str]:
    from hosting.analysis.cost.difference import compare_estimates

    if before is None:
        yield f"{after.environment}: does not exist in {label}; everything is new"
        yield from _format_estimate(after)
        return
    yield f"{after.environment}, compared with {label}: US dollars for a month, from idle to scaled out\n"
    found = list(compare_estimates(before, after))
    for change in found:
        was, now = change.quantity_before or "none", change.quantity_after or "none"
        quantities = now if was == now else f"{was} -> {now}"
        least, most = change.difference
        yield f"{change.layer + ': ' + change.item:<52}{least:>+12,.2f}{most:>+12,.2f}   {quantities}"
    old, new = before.total, after.total
    span = f"{_format_range(old)} -> {_format_range(new)}"
    yield f"{'total':<52}{new[0] - old[0]:>+12,.2f}{new[1] - old[1]:>+12,.2f}   {span}"
    mine, theirs = set(after.unknown), set(before.unknown)
    yield from (
        f"price unknown, only in this revision: {one.layer}: {one.item}, {one.quantity}" for one in mine - theirs
    )
    yield from (
        f"price unknown, only in the other revision: {one.layer}: {one.item}, {one.quantity}" for one in theirs - mine
    )


def _format_range(amounts: Range) -> str:
    return f"{amounts[0]:,.2f} to {amounts[1]:,.2f}"


def _build_document(one: Estimate, before: Estimate | None, label: str) -> dict[str, Any]:
    from hosting.analysis.cost.difference import compare_estimates
    from hosting.analysis.cost.estimate import EXCLUDED

    document: dict[str, Any] = {
        "schema": "hosting-platform/cost/1",
        "environment": one.environment,
        "currency": "USD",
        "hoursPerMonth": 730,
        "total": _build_range(one.total),
        "layers": {layer: _build_range(amounts) for layer, amounts in one.layers.items()},
        "lines": [
            {
                "layer": line.layer,
                "item": line.item,
                "quantity": line.quantity,
                **_build_range((line.least, line.most)),
                "price": {
                    "usd": str(line.price.usd),
                    "per": line.price.unit,
                    "source": line.price.source,
                    "date": line.price.date,
                },
            }
            for line in one.lines
        ],
        "priceUnknown": [vars(each) for each in one.unknown],
        "byUse": [{"type": kind, "what": what} for kind, what in one.by_use],
        "excluded": list(EXCLUDED),
    }
    if label:
        found = list(compare_estimates(before, one)) if before else []
        document["comparedWith"] = {
            "label": label,
            "total": _build_range(before.total) if before else None,
            "changes": [_build_change(change) for change in found],
        }
    return document


def _build_change(change: CostChange) -> dict[str, Any]:
    return {
        "layer": change.layer,
        "item": change.item,
        "quantityBefore": change.quantity_before,
        "quantityAfter": change.quantity_after,
        "before": _build_range(change.before),
        "after": _build_range(change.after),
    }


def _build_range(amounts: Range) -> dict[str, str]:
    return {"least": f"{amounts[0]:.2f}", "most": f"{amounts[1]:.2f}"}
