"""An app for tests behind the edge: it answers with the request that it received, or as a test states."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Received:
    """A request as the app received it. The names of headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None


@dataclass
class EchoApp:
    """The address of a running app, the requests so far, and the function that chooses its answers."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    answer: Callable[[Received], Answer] = lambda _request: Answer()
    # Set when the client of a stream closed its connection.
    left: threading.Event = field(default_factory=threading.Event)

    @property
    def requests(self) -> list[Received]:
        """Return the requests of viewers, without health checks."""
        return [one for one in self.received if "elb-healthchecker" not in one.headers.get("user-agent", "").lower()]

    @property
    def last(self) -> Received:
        return self.requests[-1]


@contextlib.contextmanager
def echo_app() -> Iterator[EchoApp]:
    """Run an app. `/events` sends server-sent events until the client leaves, and an upgrade becomes an echo."""
    app = EchoApp()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def respond(self) -> None:
            length = self.headers.get("Content-Length")
            body = self.rfile.read(int(length)) if length else self.chunks()
            headers: dict[str, str] = {}
            for name, value in self.headers.items():
                headers[name.lower()] = f"{headers[name.lower()]}, {value}" if name.lower() in headers else value
            request = Received(self.command, self.path, headers, body)
            app.received.append(request)
            if headers.get("upgrade") == "websocket":
                return self.echo_bytes()
            if self.path == "/events":
                return self.events()
            answer = app.answer(request)
            default = json.dumps({"method": request.method, "path": request.path, "headers": headers}).encode()
            content = default if answer.body is None else answer.body
            self.send_response(answer.status)
            for name, value in answer.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)
            return None

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = respond  # noqa: N815 -- names of http.server

        def chunks(self) -> bytes:
            """Return a body with chunked encoding, or no body."""
            data = b""
            while "Transfer-Encoding" in self.headers and (size := int(self.rfile.readline(), 16)):
                data += self.rfile.read(size)
                self.rfile.readline()
            return data

        def events(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            self.wfile.write(b"data: first\n\n")
            self.wfile.flush()
            self.connection.recv(1)
            app.left.set()

        def echo_bytes(self) -> None:
            """Accept an upgrade, and send back every byte in upper case."""
            key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            digest = hashlib.sha1(key.encode(), usedforsecurity=False).digest()
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.send_header("Sec-WebSocket-Accept", base64.b64encode(digest).decode())
            self.end_headers()
            self.close_connection = True
            while data := self.connection.recv(1024):
                self.connection.sendall(data.upper())
            app.left.set()

        def log_message(self, *arguments: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    app.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield app
    finally:
        server.shutdown()
        server.server_close()
