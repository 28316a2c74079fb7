"""Compares two estimates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from hosting.analysis.cost.estimate import CostLine, Estimate

Range = tuple[Decimal, Decimal]
_NOTHING = (Decimal(0), Decimal(0))


@dataclass(frozen=True)
class MonthlyCost:
    """The cost of an environment before and after a deployment, idle and scaled out, in US dollars a month."""

    before: Range
    after: Range

    @property
    def sentence(self) -> str:
        """Return the cost after the deployment, and the difference if there is one."""
        least, most = self.after
        change = (self.after[0] - self.before[0], self.after[1] - self.before[1])
        difference = f" ({change[0]:+,.2f} to {change[1]:+,.2f})" if any(change) else " (no difference)"
        return f"monthly cost, idle to scaled out, without traffic: {least:,.2f} to {most:,.2f} USD{difference}"


@dataclass(frozen=True)
class CostChange:
    """One line that differs. A quantity is empty if the line does not exist."""

    layer: str
    item: str
    quantity_before: str
    quantity_after: str
    before: Range
    after: Range

    @property
    def difference(self) -> Range:
        return self.after[0] - self.before[0], self.after[1] - self.before[1]


def compare_estimates(before: Estimate, after: Estimate) -> Iterator[CostChange]:
    """Yield every line with another cost or quantity, in the order of the second estimate, then removed lines."""
    old = {_key(line): line for line in before.lines}
    new = {_key(line): line for line in after.lines}
    for key in [*new, *(key for key in old if key not in new)]:
        one, two = old.get(key), new.get(key)
        if one is None or two is None or (one.least, one.most) != (two.least, two.most):
            yield CostChange(*key, _quantity(one), _quantity(two), _range(one), _range(two))


def _key(line: CostLine) -> tuple[str, str]:
    return line.layer, line.item


def _quantity(line: CostLine | None) -> str:
    return line.quantity if line else ""


def _range(line: CostLine | None) -> Range:
    return (line.least, line.most) if line else _NOTHING
