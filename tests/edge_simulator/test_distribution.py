"""The edge of the project: what apps receive and viewers get, with and without a domain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from hosting.edge_simulator import EdgeSimulator
from tests.edge_simulator.conftest import resolved
from tests.support.echo_app import EchoApp

HOSTS = {"lab": "d111111abcdef8.cloudfront.net", "live": "atlas.example.com"}


@pytest.mark.parametrize("environment", HOSTS)
def test_an_app_learns_host_scheme_and_address_of_the_viewer(
    environment: str, app: EchoApp, start: Callable[..., EdgeSimulator], bucket: Path
) -> None:
    edge = start(resolved(environment).resources, targets={"Portal": app.url}, static=bucket)
    host = edge.distribution.names[0]
    spoofed = {"X-Forwarded-Host": "evil.example", "CloudFront-Forwarded-Proto": "http", "X-Forwarded-Proto": "gopher"}
    reply = requests.post(f"{edge.url}/form?a=1&b=2", data="x=1", headers={"Host": host, **spoofed}, timeout=10)
    assert reply.status_code == 200
    received = app.last
    assert (received.method, received.path, received.body) == ("POST", "/form?a=1&b=2", b"x=1")
    assert received.headers["host"] == received.headers["x-forwarded-host"] == host
    assert received.headers["cloudfront-forwarded-proto"] == "https"
    assert received.headers["x-forwarded-proto"] == ("https" if environment == "live" else "http")
    assert received.headers["x-forwarded-for"].startswith("127.0.0.1, ")
