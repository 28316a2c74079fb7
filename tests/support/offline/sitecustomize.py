"""Forbid every connection beyond this machine: in the tests' process, and in each Python process that they start.

Python imports a module of this name at its start where the folder is on PYTHONPATH, which tests/conftest.py exports.
Programs that are not Python get a proxy that refuses every connection, see `environment`. Unix sockets and loopback
addresses stay allowed. Standard library only: the interpreters of other virtual environments import it too.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Nothing listens there, and no test uses it for anything else.
_PROXY = ("127.0.0.1", 2)
_LOOPBACK = "127.0.0.1,localhost,::1"
# Audit events of a connection, whose arguments are the socket and the address, and of a name that DNS would resolve.
_CONNECTIONS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_LOOKUPS = frozenset({"socket.getaddrinfo", "socket.gethostbyname"})

attempts: list[str] = []


class NetworkForbiddenError(BaseException):
    """A connection beyond this machine was attempted.

    Not an Exception: code under test that catches errors of the network, and repeats the call, must not hide it.
    """


def forbid() -> None:
    """Make every attempt of this process raise NetworkForbiddenError, and note it in `attempts`."""
    sys.addaudithook(_refuse)


def environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a test run: without the caller's AWS, and without a way out of this machine."""
    proxy = f"http://{_PROXY[0]}:{_PROXY[1]}"
    kept = {name: value for name, value in inherited.items() if not name.startswith("AWS_")}
    folder = str(Path(__file__).parent)
    return {
        **kept,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        **{name: proxy for upper in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY") for name in (upper, upper.lower())},
        "NO_PROXY": _LOOPBACK,
        "no_proxy": _LOOPBACK,
        "PYTHONPATH": os.pathsep.join([folder, *filter(None, [inherited.get("PYTHONPATH")])]),
    }


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _CONNECTIONS:
        connection, address = arguments[:2]
        # Addresses of other families, unix sockets above all, are of this machine.
        local = connection.family not in (socket.AF_INET, socket.AF_INET6) or not address or _is_local(*address[:2])
    else:
        # An address as text needs no DNS.
        local, address = event not in _LOOKUPS or _is_local(arguments[0], literal=True), arguments[:1]
    if not local:
        attempts.append(f"{event} {address!r}")
        raise NetworkForbiddenError(f"tests must not leave this machine: {event} {address!r}")


def _is_local(host: str | bytes | None, port: int = 0, *, literal: bool = False) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if (name, port) == _PROXY:
        return False
    if not name or name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.partition("%")[0]).is_loopback or literal
    except ValueError:
        return False


if __name__ == "sitecustomize":
    forbid()
