"""The bundled price table: each price with its source and date."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path

TABLE = Path(__file__).with_name("prices.json")
HOURS = 730


@dataclass(frozen=True)
class Price:
    """One price of the table, with its source and date."""

    id: str
    region: str
    usd: Decimal
    unit: str  # "hour" or "month"
    source: str
    date: str

    @property
    def monthly(self) -> Decimal:
        return self.usd * HOURS if self.unit == "hour" else self.usd


Prices = Mapping[tuple[str, str], Price]


@cache
def load_prices(path: Path = TABLE) -> Prices:
    """Return the prices by (id, region)."""
    rows = json.loads(path.read_text(encoding="utf-8"))["prices"]
    prices = [Price(**{**row, "usd": Decimal(row["usd"])}) for row in rows]
    return {(price.id, price.region): price for price in prices}
