"""A proxy in front of the emulator that injects faults of networks and busy services.

The proxy is a server between processes. It therefore works for a deployer in this process and for one in another
process, and it sees every retry. Rules select a call and its fault; all other calls pass unchanged.
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from hosting.rehearsal.request_names import Call, identify


class Fault(StrEnum):
    """A fault of one call."""

    THROTTLE = "throttle"  # refused with the service's own throttling error
    ERROR_500 = "500"  # refused: internal failure
    ERROR_503 = "503"  # refused: unavailable
    RESET = "reset"  # the connection breaks before the request arrives
    HANG = "hang"  # the request never arrives and has no reply
    TRUNCATE = "truncate"  # done, and half of the reply arrives
    LOSE = "lose"  # done, and the connection breaks instead of a reply
    WITHHOLD = "withhold"  # done, and the reply never comes
    LAG = "lag"  # from then on a repeated query gets its previous answer


# Faults after which the request has had its effect.
EFFECTIVE = frozenset({Fault.TRUNCATE, Fault.LOSE, Fault.WITHHOLD})


@dataclass(frozen=True)
class _Reply:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass
class FaultRule:
    """A rule that injects a fault into the nth matching call; with `lasting`, into all later calls too."""

    fault: Fault
    account: str
    # "service:Operation"; empty for any.
    name: str = ""
    nth: int = 1
    lasting: bool = False
    # Set when the call has arrived, and with an effective fault after it has been done.
    reached: threading.Event = field(default_factory=threading.Event)
    seen: int = 0
    # With LAG: region, path and body of a query -> the latest answer, which is not yet sent.
    answers: dict[tuple[str, str, bytes], _Reply] = field(default_factory=dict)

    def matches(self, call: Call) -> bool:
        """Count a call, and return whether the rule applies to it. Call it once per call."""
        if call.account != self.account:
            return False
        if self.lasting and self.seen >= self.nth:
            return True
        if self.name in {"", call.name}:
            self.seen += 1
            return self.seen == self.nth or (self.fault is Fault.LAG and self.seen > self.nth)
        return False


class FaultProxy(http.server.ThreadingHTTPServer):
    """`with FaultProxy(emulator.endpoint) as proxy:` and AWS_ENDPOINT_URL = `proxy.endpoint`."""

    daemon_threads = True
    # A deployer opens many connections at once; the default of five would cause additional faults.
    request_queue_size = 128

    def __init__(self, behind: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = urlsplit(behind).netloc
        self.calls: list[Call] = []
        self.rules: list[FaultRule] = []
        self.lock = threading.Lock()
        # Ends replies that never arrive, so that no thread outlives the proxy.
        self.released = threading.Event()

    def __enter__(self) -> FaultProxy:
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

    @contextlib.contextmanager
    def injecting(self, rule: FaultRule) -> Iterator[FaultRule]:
        """Apply a rule within the block."""
        with self.lock:
            self.rules.append(rule)
        try:
            yield rule
        finally:
            with self.lock:
                self.rules.remove(rule)

    def calls_by(self, account: str) -> list[Call]:
        """Return the calls of an account in the order of arrival."""
        with self.lock:
            return [call for call in self.calls if call.account == account]

    def find_rule(self, call: Call) -> FaultRule | None:
        """Record a call, and return the rule that applies to it or None."""
        with self.lock:
            self.calls.append(call)
            # Each rule counts every call, including those to which another rule applies.
            hit = [rule for rule in self.rules if rule.matches(call)]
        return hit[0] if hit else None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a client that was killed or gave up, and report other errors."""
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: FaultProxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing; the tests check results instead."""

    def _serve(self) -> None:
        body = self._read()
        call = identify(self.command, self.path, dict(self.headers.items()), body)
        rule = self.server.find_rule(call)
        if rule is None:
            self._send(self._forward(body))
            return
        if rule.fault is Fault.LAG:
            self._send(self._lagging(rule, (call.region, self.path, body), self._forward(body)))
            return
        reply = self._forward(body) if rule.fault in EFFECTIVE else None
        rule.reached.set()
        match rule.fault:
            case Fault.THROTTLE | Fault.ERROR_500 | Fault.ERROR_503:
                self._send(refusal(call, rule.fault))
            case Fault.RESET | Fault.LOSE:
                self._reset()
            case Fault.HANG | Fault.WITHHOLD:
                self._until_gone()
                self._reset()
            case Fault.TRUNCATE:
                assert reply is not None  # noqa: S101 - it is one of EFFECTIVE
                self._truncate(reply)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do_PATCH = _serve  # noqa: N815 - names http.server looks for

    def _read(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def _forward(self, body: bytes) -> _Reply:
        headers = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in {"connection", "content-length", "expect", "transfer-encoding"}
        }
        connection = http.client.HTTPConnection(self.server.behind, timeout=120)
        try:
            connection.request(self.command, self.path, body or None, headers)
            reply = connection.getresponse()
            kept = [item for item in reply.getheaders() if item[0].lower() not in {"connection", "transfer-encoding"}]
            return _Reply(reply.status, tuple(kept), reply.read())
        finally:
            connection.close()

    def _lagging(self, rule: FaultRule, question: tuple[str, str, bytes], now: _Reply) -> _Reply:
        with self.server.lock:
            before = rule.answers.get(question)
            rule.answers[question] = now
        if before is None:
            return now
        rule.reached.set()
        return before

    def _send(self, reply: _Reply) -> None:
        self._start(reply)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def _start(self, reply: _Reply) -> None:
        self.send_response_only(reply.status)
        named = {name.lower() for name, _ in reply.headers}
        for name, value in reply.headers:
            self.send_header(name, value)
        if "content-length" not in named:
            self.send_header("Content-Length", str(len(reply.body)))

    def _truncate(self, reply: _Reply) -> None:
        """Send half of the body, or of the status line if there is no body, and close the connection."""
        self.close_connection = True
        if not reply.body:
            self.wfile.write(b"HTTP/1.1 2")
            return
        self._start(reply)
        self.end_headers()
        self.wfile.write(reply.body[: len(reply.body) // 2])

    def _reset(self) -> None:
        """Close so that the other side sees a reset and not an orderly end."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # http.server would shut the connection down in order first, so the socket is detached from it.
        socket.close(self.connection.detach())

    def _until_gone(self) -> None:
        """Wait until the client has closed the connection, or the proxy ends."""
        while not self.server.released.is_set():
            readable, _, _ = select.select([self.connection], [], [], 0.02)
            if readable:
                try:
                    if not self.connection.recv(1, socket.MSG_PEEK):
                        return
                except OSError:
                    return
                time.sleep(0.02)


_CODES: dict[str, tuple[int, str, str]] = {
    "cloudformation": (400, "Throttling", "Rate exceeded"),
    "ec2": (503, "RequestLimitExceeded", "Request limit exceeded."),
    "s3": (503, "SlowDown", "Please reduce your request rate."),
}


def refusal(call: Call, fault: Fault) -> _Reply:
    """Return a fault's error in the format of the called service."""
    if fault is Fault.ERROR_500:
        code, message = ("InternalError" if call.service in {"s3", "ec2"} else "InternalFailure"), "We made a mistake."
        return error_reply(call, 500, code, message)
    if fault is Fault.ERROR_503:
        return error_reply(call, 503, "ServiceUnavailable", "Service is unable to handle request.")
    by_protocol = (400, "ThrottlingException" if "json" in call.protocol else "Throttling", "Rate exceeded")
    return error_reply(call, *_CODES.get(call.service, by_protocol))


def error_reply(call: Call, status: int, code: str, message: str) -> _Reply:
    """Return an error in the protocol of the call."""
    words = f"<Code>{code}</Code><Message>{message}</Message>"
    match call.protocol:
        case "query":
            text = f"<ErrorResponse><Error><Type>Receiver</Type>{words}</Error><RequestId>0</RequestId></ErrorResponse>"
        case "ec2":
            text = f"<Response><Errors><Error>{words}</Error></Errors><RequestID>0</RequestID></Response>"
        case "rest-xml" if call.service == "s3":
            text = f"<Error>{words}<RequestId>0</RequestId></Error>"
        case "rest-xml":
            text = f"<ErrorResponse><Error><Type>Receiver</Type>{words}</Error><RequestId>0</RequestId></ErrorResponse>"
        case "json" | "rest-json":
            headers = (("Content-Type", "application/x-amz-json-1.1"), ("x-amzn-ErrorType", code))
            return _Reply(status, headers, f'{{"__type": "{code}", "message": "{message}"}}'.encode())
        case other:
            raise ValueError(f"no error of protocol {other!r} can be written for {call.name}")
    return _Reply(status, (("Content-Type", "text/xml"),), text.encode())
