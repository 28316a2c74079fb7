"""Custom::SiteContent: writes the site's first pages, and empties the bucket when its stack is deleted."""

import logging
from collections.abc import Callable
from typing import Any

from answer import Outcome, respond

logging.getLogger().setLevel(logging.INFO)

# Physical id of a resource whose creation failed. Its deletion removes as much as it can and always succeeds.
NEVER_CREATED = "site-content:none"


def handler(event: dict[str, Any], context: Any) -> None:
    """Apply a request of CloudFormation and send exactly one response. Raises NotDeliveredError."""

    def apply(seconds_left: Callable[[], float]) -> Outcome:
        # Imported here, so that a failed import is reported, too.
        import content

        return content.apply(event, seconds_left, NEVER_CREATED)

    respond(event, context, NEVER_CREATED, apply)
