"""Warning half a year before the functions' runtime is deprecated. Later, Lambda refuses to update functions."""

from __future__ import annotations

import importlib.resources
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from generator.resources.lambda_functions import RUNTIME

TEMPLATES = Path(__file__).resolve().parent.parent.parent / "templates"
NOTICE = timedelta(days=180)


def lifecycle() -> dict[str, Any]:
    """Return the dates of Lambda's runtimes from cfn-lint. A newer cfn-lint has newer dates."""
    file = importlib.resources.files("cfnlint.data.AdditionalSpecs") / "LmbdRuntimeLifecycle.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def runtimes() -> dict[str, list[str]]:
    """Return the functions of the committed templates by their runtime."""
    found: dict[str, list[str]] = {}
    for path in sorted(TEMPLATES.glob("*.json")):
        for logical_id, resource in json.loads(path.read_text(encoding="utf-8"))["Resources"].items():
            if resource["Type"] == "AWS::Lambda::Function":
                found.setdefault(resource["Properties"]["Runtime"], []).append(f"{path.name} {logical_id}")
    return found


def ending(used: dict[str, list[str]], today: date) -> list[str]:
    messages = []
    for runtime, functions in used.items():
        known = lifecycle().get(runtime)
        end = date.fromisoformat(known["deprecated"]) if known else None
        if end is None or today > end - NOTICE:
            problem = f"is deprecated on {end}" if end else "is unknown to cfn-lint"
            messages.append(
                f"{runtime} {problem}: {', '.join(functions)} use it. "
                "Set the next runtime in generator/resources/lambda_functions.py."
            )
    return messages


def test_the_functions_runtime_is_supported_for_another_half_year() -> None:
    used = runtimes()
    assert used
    assert ending(used, datetime.now(UTC).date()) == []


@pytest.mark.parametrize(
    ("runtime", "days_before", "warned"),
    [(RUNTIME, 181, False), (RUNTIME, 179, True), (RUNTIME, -1, True), ("python2.0", 0, True)],
)
def test_the_warning_begins_180_days_before_the_end(runtime: str, days_before: int, warned: bool) -> None:
    end = date.fromisoformat(lifecycle()[RUNTIME]["deprecated"])
    assert bool(ending({runtime: ["x.json X"]}, end - timedelta(days=days_before))) is warned
