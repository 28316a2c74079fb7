"""Streams through the simulator: server-sent events, WebSockets, slow responses and clients that leave."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from collections.abc import Callable
from contextlib import closing
from urllib.parse import urlsplit

import pytest
import requests

from hosting.edge_simulator import EdgeSimulator, running
from tests.edge_simulator.conftest import resolved
from tests.support.echo_app import EchoApp
from tests.support.waiting import PATIENCE

Start = Callable[..., EdgeSimulator]


def connect(edge: EdgeSimulator) -> socket.socket:
    url = urlsplit(edge.url)
    return socket.create_connection((url.hostname or "", url.port or 0), timeout=PATIENCE)


def read_head(connection: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        assert byte, f"the connection ends after {head!r}"
        head += byte
    return head


def test_an_event_reaches_the_viewer_while_the_app_still_sends(app: EchoApp, start: Start) -> None:
    edge = start(resolved("lab").resources, targets={"Portal": app.url})
    with requests.get(f"{edge.url}/events", stream=True, timeout=PATIENCE) as reply:
        assert reply.headers["Content-Type"] == "text/event-stream"
        chunks = reply.iter_content(chunk_size=None)  # closes the connection when it is collected
        assert next(chunks) == b"data: first\n\n"
        assert not app.left.is_set()
    assert app.left.wait(PATIENCE), "the app learns that the viewer left"


def test_a_websocket_passes_in_both_directions(app: EchoApp, start: Start) -> None:
    edge = start(resolved("lab").resources, targets={"Portal": app.url})
    request = (
        f"GET /socket HTTP/1.1\r\nHost: {edge.distribution.names[0]}\r\nConnection: keep-alive, Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Protocol: chat\r\nOrigin: https://www.example.org\r\n\r\n"
    )
    with closing(connect(edge)) as viewer:
        viewer.sendall(request.encode())
        head = read_head(viewer).lower()
        assert head.startswith(b"http/1.1 101")
        assert b"sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=" in head
        for text in (b"hello", b"x" * 100_000):
            threading.Thread(target=viewer.sendall, args=(text,)).start()
            received = b""
            while len(received) < len(text) and (data := viewer.recv(65_536)):
                received += data
            assert received == text.upper()
    assert app.last.headers["sec-websocket-protocol"] == "chat"
    assert app.last.headers["connection"].lower() == "upgrade"
    assert app.last.headers["x-forwarded-host"] == edge.distribution.names[0]
    assert app.left.wait(PATIENCE), "the app learns that the viewer left"


def test_requests_share_a_connection_and_a_waiting_upload_gets_its_continue(app: EchoApp, start: Start) -> None:
    edge = start(resolved("lab").resources, targets={"Portal": app.url})
    host = edge.distribution.names[0]
    with closing(connect(edge)) as viewer:
        two = f"GET /1 HTTP/1.1\r\nHost: {host}\r\n\r\nGET /2 HTTP/1.1\r\nHost: {host}\r\n\r\n"
        viewer.sendall(two.encode())
        for _ in range(2):
            head = read_head(viewer).decode().lower()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            assert len(viewer.recv(length, socket.MSG_WAITALL)) == length
        upload = f"POST /3 HTTP/1.1\r\nHost: {host}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
        viewer.sendall(upload.encode())
        assert read_head(viewer).startswith(b"HTTP/1.1 100")
        viewer.sendall(b"data")
        assert read_head(viewer).startswith(b"HTTP/1.1 200")
    assert [one.path for one in app.requests] == ["/1", "/2", "/3"]
    assert app.last.body == b"data"
    assert "expect" not in app.last.headers


def test_a_malformed_request_gets_400(app: EchoApp, start: Start) -> None:
    edge = start(resolved("lab").resources, targets={"Portal": app.url})
    with closing(connect(edge)) as viewer:
        viewer.sendall(b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\nHost: x\r\n\r\n")
        assert read_head(viewer).startswith(b"HTTP/1.1 400")
    assert app.requests == []


@pytest.mark.parametrize("turns", range(6))
def test_a_simulator_stops_silently_while_a_connection_is_accepted(
    turns: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        async with EdgeSimulator(resolved("lab").resources) as edge:
            viewers.append(connect(edge))
            for _ in range(turns):
                await asyncio.sleep(0)

    viewers: list[socket.socket] = []
    asyncio.run(run())
    gc.collect()  # asyncio reports lost exceptions of tasks when they are collected
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
    for viewer in viewers:
        viewer.close()


def test_a_simulator_that_stops_closes_streams_and_uploads(app: EchoApp, caplog: pytest.LogCaptureFixture) -> None:
    with running(EdgeSimulator(resolved("lab").resources, targets={"Portal": app.url})) as edge:
        stream, upload = connect(edge), connect(edge)
        host = edge.distribution.names[0]
        stream.sendall(f"GET /events HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        upload.sendall(f"POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 9\r\n\r\nhalf".encode())
        assert read_head(stream).startswith(b"HTTP/1.1 200")
    assert app.left.wait(PATIENCE)
    assert upload.recv(1) == b""
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
    stream.close()
    upload.close()
