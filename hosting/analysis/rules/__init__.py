"""The project's own rules: errors that deploy badly on AWS although cfn-lint reports nothing.

A rule is one function. It gets a resolved environment or the committed templates, and yields matches. Rules select
resources by type and reference, never by logical id, so they also apply to a new layer.
"""

from __future__ import annotations

from hosting.analysis.rules import (
    alarms,
    app_contract,
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
    stores,
    tasks,
)
from hosting.analysis.rules.registry import RULES, Rule, ShapeError, check_rules

__all__ = [
    "RULES",
    "Rule",
    "ShapeError",
    "alarms",
    "app_contract",
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
    "stores",
    "tasks",
]
