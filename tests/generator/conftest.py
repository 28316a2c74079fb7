"""The rendered templates as dictionaries, once for all tests of the generator."""

from __future__ import annotations

import json
from typing import Any

import pytest

from generator.render import render_all

TemplateDict = dict[str, Any]


@pytest.fixture(scope="session")
def rendered() -> dict[str, str]:
    return render_all()


@pytest.fixture(scope="session")
def templates(rendered: dict[str, str]) -> dict[str, TemplateDict]:
    return {name: json.loads(text) for name, text in rendered.items()}
