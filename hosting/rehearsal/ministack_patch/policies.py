"""Applies stack policies; MiniStack stores them and ignores them.

An update fails at the resource that the policy protects, as on AWS, and is rolled back. The supported policies are
those of this project: Allow and Deny, actions by name, resources by logical id. Deny overrides Allow.
"""

from __future__ import annotations

import fnmatch
import json
from typing import Any

Stack = dict[str, Any]


def refusal(stack: Stack, action: str, logical_id: str) -> str:
    """Return the reason why a policy denies `Replace` or `Delete` of a resource, or an empty string."""
    text = stack.get("_stack_policy")
    if not text:
        return ""
    wanted, resource = f"Update:{action}", f"LogicalResourceId/{logical_id}"
    allowed = False
    for number, statement in enumerate(listed(json.loads(text).get("Statement")), 1):
        concerns = matches(statement.get("Action"), wanted) and matches(statement.get("Resource"), resource)
        if concerns and statement.get("Effect") == "Deny":
            return f"Action denied by stack policy: Statement [#{number}] denies [{wanted}] for resource [{resource}]"
        allowed = allowed or (concerns and statement.get("Effect") == "Allow")
    return "" if allowed else f"Action not allowed by stack policy: no statement allows [{wanted}] for [{resource}]"


def matches(patterns: Any, value: str) -> bool:
    return any(fnmatch.fnmatchcase(value, str(pattern)) for pattern in listed(patterns))


def listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
