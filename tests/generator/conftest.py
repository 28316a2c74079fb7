"""The rendered templates as dictionaries, once for all tests of the generator."""

from __future__ import annotations

import json
from typing import Any

import pytest
from troposphere import Template

from generator.config import Config, load_config
from generator.render import as_texts, build_all
from tests.support.project import FIXTURE

TemplateDict = dict[str, Any]


@pytest.fixture(scope="session")
def config() -> Config:
    return load_config(FIXTURE)


@pytest.fixture(scope="session")
def built(config: Config) -> dict[str, Template]:
    return build_all(config)


@pytest.fixture(scope="session")
def rendered(built: dict[str, Template]) -> dict[str, str]:
    return as_texts(built)


@pytest.fixture(scope="session")
def templates(rendered: dict[str, str]) -> dict[str, TemplateDict]:
    return {name: json.loads(text) for name, text in rendered.items()}
