"""HTTP messages between the parts of the simulator: requests, responses and their header fields."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

# Fields that describe one connection, not the message (RFC 9110, section 7.6.1).
HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)


class Headers:
    """Header fields in the order of the message. Names are compared without regard to case."""

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields = list(fields)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._fields)

    def __contains__(self, name: str) -> bool:
        return any(key.lower() == name.lower() for key, _ in self._fields)

    def __repr__(self) -> str:
        return f"Headers({self._fields!r})"

    def get(self, name: str) -> str | None:
        """Return the value of a field, or None. Several fields of one name are joined, as a recipient reads them."""
        values = self.get_all(name)
        return ("; " if name.lower() == "cookie" else ", ").join(values) if values else None

    def get_all(self, name: str) -> list[str]:
        return [value for key, value in self._fields if key.lower() == name.lower()]

    def add(self, name: str, value: str) -> None:
        self._fields.append((name, value))

    def set(self, name: str, value: str) -> None:
        """Replace every field of this name by one at the end."""
        self.remove(name)
        self.add(name, value)

    def remove(self, *names: str) -> None:
        lower = {name.lower() for name in names}
        self.keep(lambda name: name not in lower)

    def keep(self, wanted: Callable[[str], bool]) -> None:
        """Remove every field whose lower-case name is not wanted."""
        self._fields = [(key, value) for key, value in self._fields if wanted(key.lower())]

    def copy(self) -> Headers:
        return Headers(self._fields)

    @property
    def size(self) -> int:
        """Return the bytes that the fields have in a message."""
        return sum(len(key) + len(value) + 4 for key, value in self._fields)


@dataclass
class Request:
    """A request, as one part of the simulator hands it to the next."""

    method: str
    # Path and query as received: no part decodes or encodes them.
    target: str
    headers: Headers
    # The address from which the request comes, and the scheme of its connection.
    client: str
    scheme: str = "https"
    body: AsyncIterator[bytes] | None = None
    # Set when the whole body is forwarded: timeouts for the response start then.
    sent: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    @property
    def host(self) -> str:
        """Return the host name that the request names, in lower case and without its port."""
        host = (self.headers.get("Host") or "").lower()
        return host if host.endswith("]") else host.rpartition(":")[0] if ":" in host else host

    @property
    def is_websocket(self) -> bool:
        return (self.headers.get("Upgrade") or "").lower() == "websocket"

    def with_headers(self, headers: Headers) -> Request:
        return replace(self, headers=headers)


@dataclass(frozen=True)
class Tunnel:
    """The connection to an app that accepted an upgrade: bytes pass in both directions from here."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    # What the app sent together with its acceptance.
    received: bytes = b""
    idle_timeout: float = 60.0


async def _no_bytes() -> AsyncIterator[bytes]:
    return
    yield b""


@dataclass
class Response:
    """A response. `close` ends the connection from which the body comes."""

    status: int
    headers: Headers
    body: AsyncIterator[bytes] = field(default_factory=_no_bytes)
    reason: str = ""
    tunnel: Tunnel | None = None
    close: Callable[[], None] = lambda: None


Handler = Callable[[Request], Awaitable[Response]]


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    """Yield the chunks of a body that is in memory."""
    for chunk in chunks:
        if chunk:
            yield chunk


def respond(status: int, text: str | bytes, content_type: str = "text/html", **headers: str) -> Response:
    """Return a response with a body in memory. An underscore in the name of a field means a hyphen."""
    data = text.encode() if isinstance(text, str) else text
    fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
    framing = [("Content-Type", content_type), ("Content-Length", str(len(data)))]
    return Response(status, Headers([*framing, *fields]), stream(data))
