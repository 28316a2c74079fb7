"""The committed templates pass every rule, in every environment; each rule has a reason and a hint."""

from __future__ import annotations

import re
from typing import Any

import pytest

from hosting.analysis.rules import RULES


def test_the_committed_templates_pass(untouched: Any) -> None:
    assert untouched.found() == set()
    assert untouched.found(requirements=True) == set()


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_a_guard_explains_itself(rule: Any) -> None:
    assert re.fullmatch(r"(CF|NET|SEC|DB|APP|DST|OPS|STO)-\d\d|REQ-[A-Z]\d", rule.id)
    assert rule.title
    assert not rule.title.endswith(".")
    assert re.search(r"\([^()]+\)\.$|\([^()]+\);|\([^()]*\)", rule.why), "names the AWS document"
    assert rule.hint
