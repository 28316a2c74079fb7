"""Which errors pass by themselves: throttling, a fault inside AWS, a connection that broke.

The SDK repeats each call some times already. What comes through in spite of that still says nothing about the
deployment that is being watched, and must not end it.
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
    """Whether the same question may well get an answer a little later."""
    if isinstance(error, botocore.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return is_throttled(error) or status >= 500
    return isinstance(error, _UNREACHED)
