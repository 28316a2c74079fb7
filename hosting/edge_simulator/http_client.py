"""HTTP/1.1 client on h11: sends a request to an app, and streams the response."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import h11

from hosting.edge_simulator.errors import UpstreamError
from hosting.edge_simulator.messages import Headers, Request, Response, Tunnel

_CHUNK = 64 * 1024
# Elastic Load Balancing, quotas of an Application Load Balancer: the header of a response has at most 32 KB.
_MAX_HEADERS = 32 * 1024


async def send_request(
    request: Request, host: str, port: int, *, connect_timeout: float, idle_timeout: float
) -> Response:
    """Send a request to a server and return its response, whose body is still to be read.

    Raises UpstreamError if the server is not reachable, closes the connection, or does not answer in time.
    """
    try:
        async with asyncio.timeout(connect_timeout):
            reader, writer = await asyncio.open_connection(host, port)
    except TimeoutError as error:
        raise UpstreamError(504, f"no connection to {host}:{port} within {connect_timeout:g} s") from error
    except OSError as error:
        raise UpstreamError(502, f"no connection to {host}:{port}: {error.strerror}") from error
    exchange = _Exchange(reader, writer, idle_timeout)
    try:
        return await exchange.run(request)
    except BaseException:
        exchange.close()
        raise


class _Exchange:
    """One request and its response on a connection of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, idle_timeout: float) -> None:
        self._reader, self._writer, self._idle_timeout = reader, writer, idle_timeout
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEADERS)
        self._upload: asyncio.Task[None] | None = None

    async def run(self, request: Request) -> Response:
        fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers]
        head = h11.Request(method=request.method, target=request.target.encode("latin-1"), headers=fields)
        self._writer.write(self._http.send(head) or b"")
        # An app may refuse an upload before its end, so the response is read meanwhile.
        self._upload = asyncio.ensure_future(self._send_body(request))
        return await self._response(request)

    async def _send_body(self, request: Request) -> None:
        with contextlib.suppress(ConnectionError):
            if request.body is not None:
                async for chunk in request.body:
                    self._writer.write(self._http.send(h11.Data(data=chunk)) or b"")
                    await self._writer.drain()
            self._writer.write(self._http.send(h11.EndOfMessage()) or b"")
            request.sent.set()
            await self._writer.drain()

    async def _response(self, request: Request) -> Response:
        while True:
            event = await self._next_event(request)
            if isinstance(event, h11.InformationalResponse) and event.status_code == 101:
                rest, _ = self._http.trailing_data
                tunnel = Tunnel(self._reader, self._writer, rest, self._idle_timeout)
                return Response(101, _headers(event), tunnel=tunnel, close=self.close)
            if isinstance(event, h11.Response):
                break
            if not isinstance(event, h11.InformationalResponse):
                raise UpstreamError(502, "the server closed the connection without a response")
        reason = event.reason.decode("latin-1")
        return Response(event.status_code, _headers(event), self._body(request), reason, close=self.close)

    async def _body(self, request: Request) -> AsyncIterator[bytes]:
        while isinstance(event := await self._next_event(request), h11.Data):
            yield bytes(event.data)
        if not isinstance(event, h11.EndOfMessage):
            raise UpstreamError(502, "the server closed the connection within the response")

    async def _next_event(self, request: Request) -> object:
        """Return the next event of the response. The timeout counts while nothing is sent or received."""
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                if not request.sent.is_set() and self._upload and not self._upload.done():
                    data = await self._read_during_upload()
                else:
                    async with asyncio.timeout(self._idle_timeout):
                        data = await self._reader.read(_CHUNK)
                self._http.receive_data(data)
        except TimeoutError as error:
            raise UpstreamError(504, f"no data from the server for {self._idle_timeout:g} s") from error
        except (h11.RemoteProtocolError, ConnectionError) as error:
            raise UpstreamError(502, f"the response of the server is malformed or broken off: {error}") from error
        return event

    async def _read_during_upload(self) -> bytes:
        """Return data from the server, or raise TimeoutError once the upload has ended and nothing comes."""
        read = asyncio.ensure_future(self._reader.read(_CHUNK))
        try:
            await asyncio.wait({read, self._upload} if self._upload else {read}, return_when=asyncio.FIRST_COMPLETED)
            async with asyncio.timeout(self._idle_timeout):
                return await read
        finally:
            read.cancel()

    def close(self) -> None:
        if self._upload and not self._upload.done():
            self._upload.cancel()
        self._writer.close()


def _headers(event: h11.Response | h11.InformationalResponse) -> Headers:
    return Headers((name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers.raw_items())
