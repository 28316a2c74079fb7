"""Our own rules: what deploys badly on AWS although cfn-lint is content.

A rule is one function. It sees either a resolved environment or the committed templates, and yields what is broken.
It goes by resource types and by what values refer to, never by logical ids, so it holds for a layer not written yet.
"""

from __future__ import annotations

from hosting.analysis.rules import (
    alarms,
    application,
    buckets,
    cloudformation,
    database,
    distribution,
    functions,
    hardening,
    logs,
    nesting,
    network,
    operations,
    references,
    requirements,
    roles,
    security,
    services,
    tasks,
)
from hosting.analysis.rules.registry import RULES, Rule, ShapeError, check_rules

__all__ = [
    "RULES",
    "Rule",
    "ShapeError",
    "alarms",
    "application",
    "buckets",
    "check_rules",
    "cloudformation",
    "database",
    "distribution",
    "functions",
    "hardening",
    "logs",
    "nesting",
    "network",
    "operations",
    "references",
    "requirements",
    "roles",
    "security",
    "services",
    "tasks",
]
