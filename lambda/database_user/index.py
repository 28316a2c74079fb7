"""Custom::DatabaseUser, and the rotation of the secret of a database user by Secrets Manager."""

import logging
from collections.abc import Callable
from typing import Any

from answer import Outcome, respond

logging.getLogger().setLevel(logging.INFO)

# Physical id of a resource that was never created. CloudFormation deletes it after a failed creation.
NEVER_CREATED = "database-user:none"


def handler(event: dict[str, Any], context: Any) -> None:
    """Do one step of a rotation, or apply a request of CloudFormation and send exactly one response.

    Raises RotationError, ClientError or NotDeliveredError. Secrets Manager repeats a failed step of a rotation.
    """
    # Imported here, so that a failed import is reported to CloudFormation, too.
    if "Step" in event:
        import rotation

        rotation.run_step(event)
        return

    def apply(seconds_left: Callable[[], float]) -> Outcome | None:
        import users

        return users.apply(event, seconds_left)

    respond(event, context, NEVER_CREATED, apply)
