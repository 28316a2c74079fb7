"""Sends the requests of --check through the simulated edge, and compares the responses."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterable
from dataclasses import dataclass

from hosting.local.settings import ExpectedRequest

_TIMEOUT = 60


@dataclass(frozen=True)
class RequestResult:
    """A request with its status, or 0 without a response, and what is wrong with the response."""

    request: ExpectedRequest
    status: int
    wrong: str = ""


def check_requests(host: str, port: int, requests: Iterable[ExpectedRequest]) -> list[RequestResult]:
    """Send the requests to https://host:port, whose certificate is not verified, and return the results."""
    return [_check(host, port, request) for request in requests]


def _check(host: str, port: int, request: ExpectedRequest) -> RequestResult:
    tls = ssl.create_default_context()
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=_TIMEOUT, context=tls)
    try:
        connection.request(request.method, request.path, headers={"Host": f"{host}:{port}"})
        response = connection.getresponse()
        body = response.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return RequestResult(request, 0, f"no response: {error}")
    finally:
        connection.close()
    if request.status is not None and response.status != request.status:
        return RequestResult(request, response.status, f"expected status {request.status}")
    if request.status is None and response.status >= 500:
        return RequestResult(request, response.status, "expected a status below 500")
    if request.contains not in body:
        return RequestResult(request, response.status, f'the body does not contain "{request.contains}"')
    return RequestResult(request, response.status)
