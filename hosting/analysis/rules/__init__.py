"""Our own rules: what deploys badly on AWS although cfn-lint is content.

A guard is one function. It sees either a resolved environment or the committed templates, and yields what is broken.
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
    roles,
    security,
    services,
    tasks,
)
from hosting.analysis.rules.registry import GUARDS, Guard, ShapeError, guard_findings

__all__ = [
    "GUARDS",
    "Guard",
    "ShapeError",
    "alarms",
    "application",
    "buckets",
    "cloudformation",
    "database",
    "distribution",
    "functions",
    "guard_findings",
    "hardening",
    "logs",
    "nesting",
    "network",
    "operations",
    "references",
    "roles",
    "security",
    "services",
    "tasks",
]
