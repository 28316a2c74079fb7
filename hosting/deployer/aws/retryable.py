"""Errors that are worth a retry: throttling, a failure inside AWS, a broken connection.

The SDK already repeats each call several times. An error that remains after that still does not mean that the
deployment has failed, so it must not end the monitoring.
"""

from __future__ import annotations

from botocore import exceptions as botocore
from botocore.parsers import ResponseParserError

_THROTTLED = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "SlowDown",
        "PriorRequestNotComplete",
    }
)
_UNREACHED = (botocore.HTTPClientError, botocore.ConnectionError, ResponseParserError)


def is_throttled(error: Exception) -> bool:
    return isinstance(error, botocore.ClientError) and error.response.get("Error", {}).get("Code", "") in _THROTTLED


def is_transient(error: Exception) -> bool:
    """Return whether the same request may succeed a little later."""
    if isinstance(error, botocore.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return is_throttled(error) or status >= 500
    return isinstance(error, _UNREACHED)
