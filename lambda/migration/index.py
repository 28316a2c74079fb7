"""Custom::Migration: runs a workload's migration with its new task definition, before its service changes."""

import logging
from collections.abc import Callable
from typing import Any

from answer import Outcome, respond

logging.getLogger().setLevel(logging.INFO)

# Physical id of a resource that never had a run. CloudFormation deletes it after a failed creation.
NEVER_RUN = "migration:none"


def handler(event: dict[str, Any], context: Any) -> None:
    """Apply a request of CloudFormation and send exactly one response. Raises NotDeliveredError."""

    def apply(seconds_left: Callable[[], float]) -> Outcome | None:
        # Imported here, so that a failed import is reported, too.
        import migration

        return migration.apply(event, seconds_left, context.invoked_function_arn)

    respond(event, context, NEVER_RUN, apply)
