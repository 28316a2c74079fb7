"""Documents compared down to the values that differ."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosting.analysis.diff.compare import compare_documents

JSON = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


def found(before: Any, after: Any) -> list[tuple[str, Any, Any]]:
    return [(item.name, item.before, item.after) for item in compare_documents(before, after)]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"A": {"B": 1}}, {"A": {"B": 2}}, [("A.B", 1, 2)]),
        ({"A": 1}, {"B": 1}, [("A", 1, None), ("B", None, 1)]),
        ({"A": 1}, {"A": "1"}, [("A", 1, "1")]),
        ({"A": True}, {"A": 1}, [("A", True, 1)]),
        # A member in front does not make the later ones look changed.
        ({"L": ["b", "c"]}, {"L": ["a", "b", "c"]}, [("L[0]", None, "a")]),
        ({"L": [{"X": 1}, {"X": 2}]}, {"L": [{"X": 1}, {"X": 3}]}, [("L[1].X", 2, 3)]),
        # Members with a name are found by it.
        (
            {"L": [{"Name": "a", "V": 1}, {"Name": "b", "V": 2}]},
            {"L": [{"Name": "new", "V": 0}, {"Name": "b", "V": 3}, {"Name": "a", "V": 1}]},
            [
                ("L[b].V", 2, 3),
                ("L[new]", None, {"Name": "new", "V": 0}),
                ("L[order]", ["a", "b"], ["new", "b", "a"]),
            ],
        ),
        ({"L": ["a", "b"]}, {"L": ["b", "a"]}, [("L[order]", ["a", "b"], ["b", "a"])]),
        # JSON inside of a text.
        ({"D": '{"w": [{"t": 1}]}'}, {"D": '{"w": [{"t": 2}]}'}, [("D.w[0].t", 1, 2)]),
        ({"D": '{"a": 1}'}, {"D": '{"a":1}'}, [("D", '{"a": 1}', '{"a":1}')]),
        ({"D": "{not json"}, {"D": "{nor this"}, [("D", "{not json", "{nor this")]),
    ],
)
def test_what_differs(before: Any, after: Any, expected: list[Any]) -> None:
    assert found(before, after) == expected


@given(JSON)
def test_nothing_differs_from_itself(document: Any) -> None:
    assert list(compare_documents(document, document)) == []


@given(JSON, JSON)
def test_every_difference_is_found(before: Any, after: Any) -> None:
    """True equals 1 in Python, and is another value in a template; JSON distinguishes them."""
    same = json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True)
    assert bool(list(compare_documents(before, after))) != same
