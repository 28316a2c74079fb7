"""Findings of outside judges that the requirements contradict: each stands at its resource, with its reason.

checkov reads its own where they stand (checkov documentation, "Suppressing and Skipping Policies"). ``deploy.py
security`` reads those of parliament too, lists them all, and fails on one whose finding is gone. What can be mended is
mended instead.
"""

from __future__ import annotations

from typing import Any


def suppress(**reasons: str) -> dict[str, Any]:
    """The resource attribute for checks of checkov (``CKV_AWS_18``) and of parliament (``CREDENTIALS_EXPOSURE``), and
    why each does not apply."""
    judges: dict[str, dict[str, list[dict[str, str]]]] = {}
    for check, why in reasons.items():
        judge = "checkov" if check.startswith("CKV") else "parliament"
        judges.setdefault(judge, {"skip": []})["skip"].append({"id": check, "comment": why})
    return {"Metadata": judges}
