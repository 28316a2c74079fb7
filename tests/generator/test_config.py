"""The structure of the platform: what a service entry may not say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from generator.config import Config, default_services
from generator.errors import ConfigError


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"user": "0:0"}, "other than 0"),
        ({"user": "10001:0"}, "other than 0"),
        ({"user": "node"}, "as numbers"),
        ({"writable_paths": ("/a", "/b", "/c", "/d")}, "at most 3"),
        ({"writable_paths": ("/managed-agents",)}, "of the app itself"),
        ({"writable_paths": ("tmp",)}, "of the app itself"),
        ({"writable_paths": ("/",)}, "of the app itself"),
    ],
)
def test_a_container_that_could_harm_is_refused(change: dict[str, object], message: str) -> None:
    frontend, *others = default_services()
    with pytest.raises(ConfigError, match=message):
        Config(services=(replace(frontend, **change), *others))  # type: ignore[arg-type] # one field, named by the case


def test_apps_are_neither_root_nor_free_to_write() -> None:
    for entry in default_services():
        assert entry.read_only
        assert not entry.user.startswith("0")
