"""Stands between a function and the emulator's S3 and fails as S3 can but the emulator does not."""

from __future__ import annotations

import http.client
import http.server
import threading
from types import TracebackType
from urllib.parse import urlsplit

_DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
_SOME_DENIED = (
    b'<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    b"<Error><Key>static/x</Key><Code>AccessDenied</Code><Message>Access Denied</Message></Error></DeleteResult>"
)


class S3Proxy(http.server.ThreadingHTTPServer):
    """`failure`: `denied` (every call), `some deletions denied` (inside a DeleteObjects that succeeds), `hang`."""

    daemon_threads = True

    def __init__(self, behind: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = urlsplit(behind).netloc
        self.failure = ""
        self.released = threading.Event()

    def __enter__(self) -> S3Proxy:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.released.set()
        self.shutdown()
        self.server_close()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: S3Proxy

    def log_message(self, format: str, *arguments: object) -> None:
        """The tests look at the outcome instead."""

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        failure = self.server.failure
        if failure == "hang":
            self.server.released.wait(60)
        elif failure == "denied":
            self._reply(403, _DENIED)
        elif failure == "some deletions denied" and self.command == "POST":
            self._reply(200, _SOME_DENIED)
        else:
            connection = http.client.HTTPConnection(self.server.behind, timeout=30)
            connection.request(self.command, self.path, body, dict(self.headers.items()))
            reply = connection.getresponse()
            self._reply(reply.status, reply.read())
            connection.close()

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _forward  # noqa: N815 - names that http.server looks for

    def _reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
