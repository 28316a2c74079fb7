"""Findings of outside judges that the requirements contradict: each stands at its resource, with its reason.

checkov reads them where they stand (checkov documentation, "Suppressing and Skipping Policies"); ``deploy.py
security`` lists them, and fails on one whose finding is gone. What can be mended is mended instead.
"""

from __future__ import annotations

from typing import Any


def skip(**reasons: str) -> dict[str, Any]:
    """The resource attribute for checks of checkov, such as ``CKV_AWS_18``, and why each does not apply."""
    return {"Metadata": {"checkov": {"skip": [{"id": check, "comment": why} for check, why in reasons.items()]}}}
