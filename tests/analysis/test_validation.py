"""Lint, rules and resolution together."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hosting.analysis import validation
from hosting.analysis.rules import RULES, Rule

Bodies = dict[str, dict[str, Any]]


def test_a_guard_that_stumbles_over_a_sound_template_is_a_bug(
    small: Bodies, folder: Callable[[Bodies], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(_templates: object) -> Any:
        nothing: dict[str, list[Any]] = {}
        yield from nothing["ours"]

    monkeypatch.setitem(RULES, "CF-99", Rule("CF-99", "", "", "", on_templates=stumble))
    parameters = tmp_path / "dev.json"
    parameters.write_text(json.dumps({"Parameters": {"Project": "shop", "Environment": "dev", "SiteName": "unused"}}))
    # The small templates' only error, a made-up key.
    small["service.json"]["Resources"]["Group"]["Properties"].pop("KmsKeyId")
    for name in ("edge.json", "bootstrap.json"):
        small[name]["Parameters"]["Environment"] = {"Type": "String", "Default": "dev"}
    with pytest.raises(KeyError, match="ours"):
        validation.validate(folder(small), [parameters])
