"""HTTP server that receives the responses of custom resources, and can simulate an unreliable network."""

from __future__ import annotations

import http.server
import json
import socket
import socketserver
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Any

# Part of the presigned URL: if a log contains it, the function logged the URL.
SECRET = "X-Amz-Signature-of-this-test"


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def answer(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.body)
        return answer


class Sink:
    """The server. `plan` has a step for each of the first connections: `drop`, `stall`, or a status.

    All later connections receive 200. After `refuse`, connections are refused until `open` is called.
    """

    def __init__(self) -> None:
        self.plan: list[str | int] = []
        self.received: list[Received] = []
        self.connections = 0
        # The socket is bound and does not listen: connections are refused, and no other process can use the port.
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._server: _Server | None = None

    def __enter__(self) -> Sink:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        return (
            f"http://127.0.0.1:{self.port}/arn%3Aaws%3Acloudformation/stack%7Cid?X-Amz-Date=1&X-Amz-Signature={SECRET}"
        )

    @property
    def answers(self) -> list[dict[str, Any]]:
        return [received.answer for received in self.received]

    def open(self) -> None:
        self._socket.listen()
        self._server = _Server(self, self._socket)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        if self._server is not None:
            self._server.released.set()
            self._server.shutdown()
            self._server = None
        self._socket.close()

    def refuse(self) -> None:
        """Refuse connections, and keep the port."""
        self.close()
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", self.port))


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def __init__(self, sink: Sink, listening: socket.socket) -> None:
        super().__init__(("127.0.0.1", sink.port), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.sink = sink
        self.released = threading.Event()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing: the tests check the received responses."""

    def do_PUT(self) -> None:
        sink = self.server.sink
        sink.connections += 1
        step = sink.plan.pop(0) if sink.plan else 200
        if step == "drop":
            self.close_connection = True
            return
        if step == "stall":
            self.server.released.wait(60)
            return
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert isinstance(step, int)
        if step == 200:
            sink.received.append(Received(self.command, self.path, dict(self.headers.items()), body))
        self.send_response(step)
        self.end_headers()
