"""Descriptions of parameters, outputs, alarms and rules: full sentences, and one wording for one name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from generator import wiring
from generator.config import Config
from generator.render import LAYERS, render_all
from generator.wiring import interface_fields

KEYS = {"Description", "ConstraintDescription", "AlarmDescription", "AssertDescription"}
MOST_WORDS = 24
# One name for two things: the protection of the cluster and of the load balancer, and subnets before and after egress.
TWO_WORDINGS = {"DeletionProtection", "AppSubnet1Id", "AppSubnet2Id"}


def descriptions(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield path and text of each description, without those of resources other than alarms."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key in KEYS and isinstance(item, str) and not (key == "Description" and path.startswith("/Resources")):
                yield f"{path}/{key}", item
            yield from descriptions(item, f"{path}/{key}")
    elif isinstance(value, list):
        for item in value:
            yield from descriptions(item, path)


def problem(text: str) -> str:
    """Return the rule that a description breaks, or an empty text."""
    if not text.endswith("."):
        return "it does not end with a period"
    if not re.match(r"[A-Z0-9]|true |block |prod |dev |enabled |db\.", text):
        return "it does not begin with a capital letter, a number or a value"
    longest = max(len(sentence.split()) for sentence in re.split(r"[.;:] ", text))
    return f"a sentence has {longest} words" if longest > MOST_WORDS else ""


def test_descriptions_are_sentences(templates: dict[str, Any]) -> None:
    found = [
        f"{name}{path}: {broken}: {text}"
        for name, template in templates.items()
        for path, text in descriptions(template)
        if (broken := problem(text))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("text", ["The VPC", "when it is empty.", " ".join(["word"] * 30).capitalize() + "."])
def test_a_description_that_is_no_sentence_is_found(text: str) -> None:
    assert problem(text)


def test_a_name_has_one_wording_in_all_layers() -> None:
    wordings: dict[str, set[str]] = {}
    for layer in LAYERS:
        for interface in (layer.inputs, layer.outputs):
            for field in interface_fields(interface):
                wordings.setdefault(field.title, set()).add(field.spec.description)
    several = {title: sorted(texts) for title, texts in wordings.items() if len(texts) > 1}
    assert several.keys() == TWO_WORDINGS, several


def without_descriptions(value: Any) -> Any:
    """Return a template without the texts that only people read."""
    if isinstance(value, dict):
        return {key: without_descriptions(item) for key, item in value.items() if key not in KEYS}
    return [without_descriptions(item) for item in value] if isinstance(value, list) else value


def test_a_change_of_descriptions_changes_nothing_else(
    monkeypatch: pytest.MonkeyPatch, config: Config, templates: dict[str, Any]
) -> None:
    monkeypatch.setattr(wiring, "_MEMBERS", {})
    monkeypatch.setattr(wiring, "_description", lambda value_type: f"Other words for {value_type.__name__}.")
    changed = {name: json.loads(text) for name, text in render_all(config).items()}
    assert changed["network.json"] != templates["network.json"]
    assert without_descriptions(changed) == without_descriptions(templates)
