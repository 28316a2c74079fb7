"""Estimates: every price dated, every type of resource accounted for, and sums that can be followed by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from hosting.analysis.cost import difference, prices
from hosting.analysis.cost.estimate import BY_USE, FREE, Estimate, estimate_costs
from hosting.analysis.resolve import resolve
from hosting.model.parameter_file import Environment, load_environment
from hosting.model.templates import load_complete
from tests.support import project
from tests.support.project import PARAMS

ROOT = Path(__file__).parents[3]
TEMPLATES = load_complete(project.TEMPLATES)


def environment(name: str, **values: str) -> Environment:
    given = load_environment(PARAMS / f"{name}.json")
    return replace(given, parameters={**given.parameters, **values})


def of(name: str, table: prices.Prices | None = None, **values: str) -> Estimate:
    return estimate_costs(resolve(TEMPLATES, environment(name, **values)), table)


def item(found: Estimate, layer: str, name: str) -> tuple[Decimal, Decimal]:
    (line,) = [line for line in found.lines if (line.layer, line.item) == (layer, name)]
    return line.least, line.most


def test_every_price_has_a_source_and_a_date() -> None:
    rows = json.loads(prices.TABLE.read_text())["prices"]
    for row in rows:
        assert set(row) == {"id", "region", "usd", "unit", "source", "date"}, row
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", row["date"])
        assert row["unit"] in {"hour", "month"}
        assert Decimal(row["usd"]) > 0
        assert len(row["source"]) > 20
    assert len({(row["id"], row["region"]) for row in rows}) == len(rows)


@pytest.mark.parametrize("name", ["lab", "live"])
def test_every_type_of_resource_is_accounted_for(name: str) -> None:
    """A new type without a rule would cost nothing by silence; it shows as unknown instead."""
    assert [one for one in of(name).unknown if one.item.startswith(("AWS::", "Custom::"))] == []
    assert not FREE & BY_USE.keys()


def test_the_sum_can_be_followed_by_hand() -> None:
    found = of("live")
    hours = Decimal(730)
    assert item(found, "Egress", "NAT gateway") == (2 * Decimal("0.062") * hours,) * 2
    assert item(found, "Egress", "interface endpoint, in each zone") == (12 * Decimal("0.014") * hours,) * 2
    assert item(found, "PortalService", "Fargate CPU") == (
        2 * Decimal("0.05056") * hours,
        10 * Decimal("0.05056") * hours,
    )
    assert item(found, "PortalService", "Fargate memory") == (
        2 * 2 * Decimal("0.00553") * hours,
        10 * 2 * Decimal("0.00553") * hours,
    )
    # Writer and reader, 2 to 16 ACU each.
    for layer in ("Database", "Reader"):
        assert item(found, layer, "Aurora serverless instance") == (
            2 * Decimal("0.20") * hours,
            16 * Decimal("0.20") * hours,
        )
    assert found.total == (sum(line.least for line in found.lines), sum(line.most for line in found.lines))
    assert [sum(layer[side] for layer in found.layers.values()) for side in (0, 1)] == list(found.total)


def test_a_database_that_pauses_costs_nothing_at_the_least() -> None:
    assert item(of("lab"), "Database", "Aurora serverless instance")[0] == 0


def test_arm_has_prices_of_its_own() -> None:
    x86, arm = of("live"), of("live", CpuArchitecture="ARM64")
    assert item(arm, "PortalService", "Fargate CPU") < item(x86, "PortalService", "Fargate CPU")


def test_what_has_no_price_is_listed_and_not_guessed() -> None:
    found = of("live", DbInstanceClass="db.r8g.large")
    assert [one for one in found.unknown if one.layer == "Database"] != []
    assert not [line for line in found.lines if "Aurora" in line.item]
    nothing: Mapping[tuple[str, str], prices.Price] = {}
    assert list(of("live", nothing).total) == [0, 0]


def test_a_region_without_prices_is_unknown_and_not_tokyo() -> None:
    elsewhere = replace(environment("lab"), region="eu-west-1")
    found = estimate_costs(resolve(TEMPLATES, elsewhere))
    assert {line.price.region for line in found.lines} == {"us-east-1"}
    assert any("eu-west-1" in one.quantity for one in found.unknown)


def test_differences_name_what_changed_and_nothing_else() -> None:
    before, after = of("live"), of("live", DbReader="false", PortalMaxTasks="12")
    found = {(one.layer, one.item): one for one in difference.compare_estimates(before, after)}
    assert set(found) == {
        ("Reader", "Aurora serverless instance"),
        ("PortalService", "Fargate CPU"),
        ("PortalService", "Fargate memory"),
        ("Operations", "alarm, by its metrics"),
    }
    reader = found["Reader", "Aurora serverless instance"]
    assert reader.difference == (-2 * Decimal("0.20") * 730, -16 * Decimal("0.20") * 730)
    total = [after.total[side] - before.total[side] for side in (0, 1)]
    assert [sum(one.difference[side] for one in found.values()) for side in (0, 1)] == total
    assert list(difference.compare_estimates(before, before)) == []
