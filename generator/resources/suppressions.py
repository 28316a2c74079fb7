"""Suppressed findings of third-party scanners. Each is at its resource, with the reason.

checkov reads its own suppressions there (checkov documentation, "Suppressing and Skipping Policies"). ``deploy.py
security`` also reads those for parliament, lists all of them, and fails for one without a finding. A finding is
suppressed only if the requirements contradict it.
"""

from __future__ import annotations

from typing import Any

PASSES_ROLES = (
    "ECS starts a task with the roles of its definition, so the caller of RunTask has to pass these two roles. The "
    "statement names them, and the condition admits ECS only."
)


def suppress(**reasons: str) -> dict[str, Any]:
    """Return the resource attribute that suppresses checks, with a reason for each.

    Names with ``CKV`` are checks of checkov, such as ``CKV_AWS_18``. All others are checks of parliament.
    """
    scanners: dict[str, dict[str, list[dict[str, str]]]] = {}
    for check, why in reasons.items():
        scanner = "checkov" if check.startswith("CKV") else "parliament"
        scanners.setdefault(scanner, {"skip": []})["skip"].append({"id": check, "comment": why})
    return {"Metadata": scanners}
