"""Patterns of EventBridge events that both the home region and us-east-1 have."""

from __future__ import annotations

from typing import Any

# Events about this account, such as the retirement of a resource. Public events about other regions or customers are
# left out (AWS Health User Guide, "Creating an EventBridge rule for AWS Health").
ACCOUNT_HEALTH_EVENTS: dict[str, Any] = {
    "source": ["aws.health"],
    "detail-type": ["AWS Health Event"],
    "detail": {"eventScopeCode": ["ACCOUNT_SPECIFIC"]},
}
# ACM sends an event every day of the last 45. These days are enough to act.
_DAYS_TO_EXPIRY = [45, 30, 21, 14, 7, 5, 3, 2, 1, 0]


def certificate_events(arn: Any) -> dict[str, Any]:
    """Return the pattern of the events of a certificate that expires, has expired or cannot be renewed."""
    return {
        "source": ["aws.acm"],
        "detail-type": [
            "ACM Certificate Approaching Expiration",
            "ACM Certificate Expired",
            "ACM Certificate Renewal Action Required",
        ],
        "resources": [arn],
        # The other two types have no number of days.
        "detail": {"DaysToExpiry": [*_DAYS_TO_EXPIRY, {"exists": False}]},
    }
