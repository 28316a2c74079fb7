"""Proxy between a function and the emulator. It sends replies that AWS can send and the emulator does not."""

from __future__ import annotations

import http.client
import http.server
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def operation(self) -> str:
        """The operation, such as `DescribeSecret`, from a header or a form field. Empty for S3, which has neither."""
        target = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        return target or dict(parse_qsl(self.body.decode("ascii", "replace"))).get("Action", "")


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes
    content_type: str = "application/xml"


def stack(status: str) -> Reply:
    """Return CloudFormation's reply to DescribeStacks, with the required fields of a stack."""
    member = "<StackName>any</StackName><CreationTime>2026-11-22T11:31:15Z</CreationTime>"
    member += f"<StackStatus>{status}</StackStatus>"
    return Reply(
        200,
        '<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult>'
        f"<Stacks><member>{member}</member></Stacks></DescribeStacksResult></DescribeStacksResponse>".encode(),
        "text/xml",
    )


def forwarded(request: Request, forward: Callable[[], Reply]) -> Reply:
    return forward()


class Proxy(http.server.ThreadingHTTPServer):
    """Sends the reply of `answer`, a function of the request and of a call that forwards it to the emulator."""

    daemon_threads = True

    def __init__(self, behind: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = urlsplit(behind).netloc
        self.answer: Callable[[Request, Callable[[], Reply]], Reply] = forwarded
        # A reply that a test withholds waits for this event. It is set at the end, so that the thread ends, too.
        self.released = threading.Event()

    def __enter__(self) -> Proxy:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.released.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore lost connections: some tests kill a function while it waits."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def always(self, reply: Reply) -> None:
        self.answer = lambda _request, _forward: reply

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Proxy

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing: the tests check the outcome."""

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.command, self.path, dict(self.headers.items()), body)

        def forward() -> Reply:
            connection = http.client.HTTPConnection(self.server.behind, timeout=30)
            try:
                connection.request(request.method, request.path, request.body, dict(request.headers))
                reply = connection.getresponse()
                return Reply(reply.status, reply.read(), reply.headers.get("Content-Type", "application/xml"))
            finally:
                connection.close()

        reply = self.server.answer(request, forward)
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass  # noqa: N815 - http.server calls these names
