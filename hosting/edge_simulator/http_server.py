"""HTTP/1.1 server on h11: reads requests of viewers, and streams responses without buffering."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import h11

from hosting.edge_simulator.messages import HOP_BY_HOP, Handler, Headers, Request, Response, Tunnel

_log = logging.getLogger(__name__)
# Larger than every limit that CloudFront and the load balancer have, so that they answer in their own way.
_MAX_HEADERS = 128 * 1024
_CHUNK = 64 * 1024


class _DisconnectedError(Exception):
    """The client closed its connection."""


class Connection:
    """One connection of a client, with one request at a time."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler, scheme: str
    ) -> None:
        self._reader, self._writer, self._handler, self._scheme = reader, writer, handler, scheme
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEADERS)

    async def run(self) -> None:
        """Answer requests until the client or the protocol ends the connection."""
        try:
            while await self._one_exchange():
                self._http.start_next_cycle()
        except (_DisconnectedError, ConnectionError, asyncio.IncompleteReadError):
            _log.debug("the client closed the connection")
        except h11.RemoteProtocolError as error:
            await self._refuse(error)
        finally:
            self._writer.close()

    async def _one_exchange(self) -> bool:
        """Answer one request. Return whether the connection may carry another."""
        event = await self._next_event()
        if not isinstance(event, h11.Request):
            return False
        request = self._request(event)
        if request.body is None:
            await self._next_event()  # the end of the message, which is known with its head
        response = await self._handler(request)
        try:
            if response.tunnel:
                await self._switch(response, response.tunnel)
                return False
            await self._send_response(response)
        finally:
            response.close()
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    def _request(self, event: h11.Request) -> Request:
        headers = Headers(
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers.raw_items()
        )
        has_body = "Transfer-Encoding" in headers or (headers.get("Content-Length") or "0") != "0"
        request = Request(
            method=event.method.decode("latin-1"),
            target=event.target.decode("latin-1"),
            headers=headers,
            client=self._writer.get_extra_info("peername")[0],
            scheme=self._scheme,
        )
        if has_body:
            request.body = self._body(request.sent)
        else:
            request.sent.set()
        return request

    async def _body(self, sent: asyncio.Event) -> AsyncIterator[bytes]:
        while True:
            if self._http.they_are_waiting_for_100_continue:
                await self._write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
            event = await self._next_event()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                sent.set()
                return
            else:
                raise _DisconnectedError

    async def _next_event(self) -> h11.Event | type[h11.PAUSED]:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event  # type: ignore[return-value]  # h11's sentinels are classes of their own
            self._http.receive_data(await self._reader.read(_CHUNK))

    async def _send_response(self, response: Response) -> None:
        head = h11.Response(
            status_code=response.status,
            headers=[(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers],
            reason=response.reason.encode("latin-1"),
        )
        await self._write(self._http.send(head))
        watch = asyncio.ensure_future(self._watch_client()) if self._http.their_state is h11.DONE else None
        copy = asyncio.ensure_future(self._copy_body(response.body))
        try:
            await asyncio.wait({copy, watch} if watch else {copy}, return_when=asyncio.FIRST_COMPLETED)
            if not copy.done() and watch and watch.result():
                await copy  # the client sent its next request before it read the whole response
        finally:
            # Awaiting a cancelled task would hide a cancellation of this connection, which ends the simulator.
            if unfinished := [task for task in (copy, watch) if task and not task.done()]:
                for task in unfinished:
                    task.cancel()
                await asyncio.wait(unfinished)
        if copy.cancelled():
            raise _DisconnectedError
        copy.result()

    async def _copy_body(self, body: AsyncIterator[bytes]) -> None:
        """Send the body. A body that breaks off ends the connection, so that the client notices."""
        async for chunk in body:
            await self._write(self._http.send(h11.Data(data=chunk)))
        await self._write(self._http.send(h11.EndOfMessage()))

    async def _watch_client(self) -> bool:
        """Wait for input during a response. Return False if the client closed the connection."""
        data = await self._reader.read(_CHUNK)
        self._http.receive_data(data)
        return bool(data)

    async def _switch(self, response: Response, tunnel: Tunnel) -> None:
        """Accept the upgrade, and copy bytes in both directions."""
        fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
        await self._write(self._http.send(h11.InformationalResponse(status_code=101, headers=fields)))
        early, _ = self._http.trailing_data
        tunnel.writer.write(early)
        self._writer.write(tunnel.received)
        await relay(self._reader, self._writer, tunnel)

    async def _refuse(self, error: h11.RemoteProtocolError) -> None:
        if self._http.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            return
        text = f"{error}\n".encode()
        fields = [("Content-Type", "text/plain"), ("Content-Length", str(len(text))), ("Connection", "close")]
        await self._write(self._http.send(h11.Response(status_code=error.error_status_hint, headers=fields)))
        await self._write(self._http.send(h11.Data(data=text)))

    async def _write(self, data: bytes | None) -> None:
        if data:
            self._writer.write(data)
            await self._writer.drain()


async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tunnel: Tunnel) -> None:
    """Copy bytes between client and app until one of them ends, or neither sends anything for the idle timeout."""
    loop = asyncio.get_running_loop()
    last = loop.time()

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        nonlocal last
        while data := await source.read(_CHUNK):
            last = loop.time()
            target.write(data)
            await target.drain()

    async def wait_for_silence() -> None:
        while (rest := last + tunnel.idle_timeout - loop.time()) > 0:
            await asyncio.sleep(rest)

    tasks = {asyncio.ensure_future(one) for one in (copy(reader, tunnel.writer), copy(tunnel.reader, writer))}
    tasks.add(asyncio.ensure_future(wait_for_silence()))
    _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    tunnel.writer.close()


def end_to_end(headers: Headers) -> Headers:
    """Return the fields that may be forwarded. The length of a body is kept, the framing of a connection is not."""
    named = {name.strip().lower() for name in (headers.get("Connection") or "").split(",")}
    kept = headers.copy()
    kept.keep(lambda name: name not in HOP_BY_HOP | named)
    return kept
