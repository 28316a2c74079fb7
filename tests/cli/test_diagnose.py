"""The line of the generator that `diagnose` names for a failed resource."""

from __future__ import annotations

import pytest

from hosting.cli.commands.diagnose import _belongs_to


@pytest.mark.parametrize(
    ("file", "path", "belongs"),
    [
        ("workload-web.json", ["WebServiceStack"], True),
        ("workload-web.json", ["WorkerServiceStack"], False),
        ("access.json", ["WebAccessStack"], True),
        ("edge-monitoring.json", [], True),
        ("network.json", ["NetworkStack"], True),
    ],
)
def test_the_template_of_a_nested_stack_is_found(file: str, path: list[str], belongs: bool) -> None:
    assert _belongs_to(file, path) is belongs
