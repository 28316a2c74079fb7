"""Runs a packaged function as Lambda does: its zip, AWS's runtime client, and a Runtime API with Lambda's limits.

The process has exactly Lambda's environment, a read-only task root, a deadline per invocation and a memory limit. The
next event uses the same process unless it ended. All measurements are made outside the process.
"""

from __future__ import annotations

import contextlib
import http.server
import io
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

from generator.resources.lambda_functions import ARCHITECTURE, RUNTIME
from hosting.deployer.packaging.interpreters import find_python, read_version
from hosting.deployer.packaging.lambda_packages import Platform
from tests.support.waiting import PATIENCE

ROOT = Path(__file__).resolve().parent.parent.parent
PLATFORM = Platform(RUNTIME.removeprefix("python"), ARCHITECTURE)
# Lambda Developer Guide, Lambda quotas: invocation payload, request and answer, of a synchronous invocation.
PAYLOAD_LIMIT = 6 * 1024 * 1024
INIT_SECONDS = 10.0
_START = Path(__file__).with_name("start_function.py")
# Packages of Lambda's image beside awslambdaric. All are pure Python, so the copies of this environment work.
_BUNDLED = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six.py", "urllib3")
_CLIENT = ("awslambdaric", "simplejson", "snapshot-restore-py")


class FunctionError(Exception):
    """The error that Lambda reports for a failed invocation."""

    def __init__(self, kind: str, message: str, logs: str) -> None:
        super().__init__(f"{kind}: {message}\n{logs}")
        self.kind = kind
        self.message = message
        self.logs = logs


@dataclass(frozen=True)
class Answer:
    payload: Any
    size: int
    seconds: float
    logs: str = field(repr=False)


# --- the interpreter


@dataclass(frozen=True)
class Interpreter:
    path: Path
    version: str

    @property
    def minor(self) -> str:
        return ".".join(self.version.split(".")[:2])


@cache
def interpreter(wanted: str = PLATFORM.python) -> Interpreter:
    """Return the functions' interpreter from PATH, pyenv or uv, or the interpreter of the tests if none is found."""
    path = find_python(wanted) or Path(sys.executable)
    return Interpreter(path, read_version(path) or "")


def runtime_directory(python: Interpreter, *, offline: bool = True) -> Path:
    """Return the copy of /var/runtime for an interpreter, under build/: the runtime client built for it, and boto3.

    Tests have no network. `make test` creates the directory before they begin. Otherwise uv's cache must contain it.
    """
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    final = ROOT / "build" / "runtime" / python.minor
    wanted = "".join(_locked(lock, name) for name in _CLIENT)

    def is_current() -> bool:
        stamp = final / "locked"
        return stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted and (final / "boto3").exists()

    if is_current():
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=final.parent))
    requirements = made / "locked"
    requirements.write_text(wanted, encoding="utf-8")
    command: list[str | Path] = [
        *(Path(sys.executable).with_name("uv"), "pip", "install", "--quiet", "--python", sys.executable),
        *("--python-version", python.minor, "--target", made, "--only-binary", ":all:", "--no-deps"),
        *("--require-hashes", "--requirement", requirements),
        *(("--offline",) if offline else ()),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        hint = "To download it, run `python -m tests.lambdas.runtime`. Then try again."
        raise RuntimeError(f"awslambdaric for Python {python.minor} is not installed: {done.stderr}\n{hint}")
    import boto3

    packages = Path(boto3.__file__).parent.parent
    for name in _BUNDLED:
        if not (made / name).exists():
            (made / name).symlink_to(packages / name)
    # Lambda's image contains compiled modules. A function here cannot write any, and would compile at each start.
    folders = [made, *(made / name for name in _BUNDLED)]  # compileall does not follow symbolic links itself
    subprocess.run([python.path, "-m", "compileall", "-q", *folders], check=True)
    if not is_current():  # otherwise another worker was first, and its functions may already use the directory
        shutil.rmtree(final, ignore_errors=True)
        with contextlib.suppress(OSError):
            made.rename(final)
    shutil.rmtree(made, ignore_errors=True)
    return final


def _locked(lock: str, name: str) -> str:
    """Return the lines of one package in the lock file, hashes included."""
    found = re.search(rf"^{re.escape(name)}==.*?(?=^\S)", lock, re.MULTILINE | re.DOTALL)
    if not found:
        raise RuntimeError(f"{name} is not in requirements.txt: the harness needs it. Run `make lock`.")
    return "".join(line for line in found.group().splitlines(keepends=True) if "#" not in line)


# --- the Runtime API


@dataclass(frozen=True)
class _Invocation:
    id: str
    body: bytes
    deadline_ms: int


class _Api(http.server.ThreadingHTTPServer):
    """Lambda Developer Guide, Using the Lambda runtime API: one function, one invocation at a time."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.waiting: queue.Queue[_Invocation | None] = queue.Queue()
        self.reports: queue.Queue[tuple[str, str, bytes]] = queue.Queue()
        self.asked = threading.Event()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore lost connections: a killed process leaves its connection open."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def stop(self) -> None:
        self.waiting.put(None)
        self.shutdown()
        self.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Api
    protocol_version = "HTTP/1.1"
    # Head and body in one segment, sent at once: otherwise every call waits 40 ms for an acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing: the tests read the function's own log."""

    def do_GET(self) -> None:
        self.server.asked.set()
        invocation = self.server.waiting.get()
        if invocation is None:
            self.close_connection = True
            return
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.id,
            "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:ap-northeast-1:123456789012:function:tested",
            "Lambda-Runtime-Trace-Id": "Root=1-00000000-000000000000000000000000;Parent=0000000000000000;Sampled=0",
            "Content-Type": "application/json",
        }
        self._send(200, invocation.body, headers)

    def do_POST(self) -> None:
        body = self._body()
        kind = self.path.rsplit("/", 1)[-1]
        invocation_id = "init" if "/init/" in self.path else self.path.split("/")[-2]
        if kind == "response" and len(body) > PAYLOAD_LIMIT:
            self._send(413, b"{}", {})
            error = {"errorType": "Function.ResponseSizeTooLarge", "errorMessage": f"{len(body)} bytes"}
            self.server.reports.put((invocation_id, "error", json.dumps(error).encode()))
            return
        self._send(202, b"{}", {})
        self.server.reports.put((invocation_id, kind, body))

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().strip(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


# --- the function


class Function:
    """A deployed function, as a context manager."""

    # Added to the function's own variables (Lambda Developer Guide, Defined runtime environment variables).
    ENVIRONMENT: ClassVar[Mapping[str, str]] = {
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{RUNTIME}",
        "AWS_LAMBDA_FUNCTION_NAME": "tested",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/tested",
        "AWS_LAMBDA_LOG_LEVEL": "INFO",
        "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/02/[$LATEST]0123456789abcdef",
        "AWS_REGION": "ap-northeast-1",
        "AWS_DEFAULT_REGION": "ap-northeast-1",
        "AWS_ACCESS_KEY_ID": "123456789012",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "LANG": "en_US.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "TZ": ":UTC",
        "_HANDLER": "index.handler",
    }

    def __init__(
        self,
        archive: bytes,
        environment: Mapping[str, str],
        *,
        timeout: float = 30.0,
        memory_mb: int = 256,
        python: Interpreter | None = None,
        pace: float = 1.0,
    ) -> None:
        self._python = python or interpreter()
        self._directory = tempfile.TemporaryDirectory(prefix="function-")
        self._task = Path(self._directory.name) / "task"
        self._scratch = Path(self._directory.name) / "tmp"
        self._log = Path(self._directory.name) / "log"
        self._scratch.mkdir()
        with zipfile.ZipFile(io.BytesIO(archive)) as source:
            source.extractall(self._task)
        self._given = dict(environment)
        self.timeout = timeout  # of the next invocation
        self._memory_mb = memory_mb
        self._pace = pace  # factor of the function's own pauses
        self._runtime = runtime_directory(self._python)
        self._process: subprocess.Popen[bytes] | None = None
        self._api: _Api | None = None
        self.starts = 0
        self.init_seconds = 0.0
        self.peak_mb = 0.0

    def __enter__(self) -> Function:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kill()
        self._directory.cleanup()

    @property
    def scratch(self) -> Path:
        """The function's /tmp."""
        return self._scratch

    @property
    def log(self) -> str:
        """The whole log so far, also while an invocation runs in another thread."""
        return self._logs(0)

    @property
    def cpu_seconds(self) -> float:
        """Processor time of the running process so far. In Lambda the memory size sets the share of a processor."""
        assert self._process is not None
        fields = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def start(self) -> None:
        """Start the process, and wait until it requests its first event. Otherwise the first invocation does this."""
        self._api = _Api()
        environment = {
            **self.ENVIRONMENT,
            **self._given,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self._memory_mb),
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._api.server_address[1]}",
            "LAMBDA_RUNTIME_DIR": str(self._runtime),
            "LAMBDA_TASK_ROOT": str(self._task),
            "TMPDIR": str(self._scratch),
        }
        arguments = [str(self._task), str(self._runtime), "index.handler", str(self._pace)]
        command: list[str | Path] = [self._python.path, "-S", _START, *arguments]
        began = time.monotonic()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.starts += 1
        while not self._api.asked.wait(0.005):
            failed = self._init_error()
            # Lambda limits the time of init. Here the processor time is limited, because other processes run, too.
            if failed or self.cpu_seconds > INIT_SECONDS or time.monotonic() - began > PATIENCE:
                logs = self._logs(0)
                self._kill()
                kind, message = failed or ("Sandbox.Timedout", f"init took more than {INIT_SECONDS} s")
                raise FunctionError(kind, message, logs)
        self.init_seconds = time.monotonic() - began
        self._watch_memory()

    def invoke(self, event: Any) -> Answer:
        """Invoke the function and wait for its answer. Raises FunctionError."""
        body = json.dumps(event).encode()
        if len(body) > PAYLOAD_LIMIT:
            raise FunctionError("RequestTooLarge", f"{len(body)} bytes", "")
        if self._process is None or self._process.poll() is not None:
            self.start()
        assert self._api is not None
        offset = self._log.stat().st_size
        invocation = _Invocation(str(uuid.uuid4()), body, int((time.time() + self.timeout) * 1000))
        began = time.monotonic()
        self._api.waiting.put(invocation)
        kind, answer = self._wait(invocation, began, offset)
        seconds = time.monotonic() - began
        self._watch_memory()
        logs = self._logs(offset)
        if kind == "error":
            error = json.loads(answer)
            raise FunctionError(error["errorType"], error["errorMessage"], logs)
        return Answer(json.loads(answer or b"null"), len(answer), seconds, logs)

    def _wait(self, invocation: _Invocation, began: float, offset: int) -> tuple[str, bytes]:
        assert self._api is not None
        assert self._process is not None
        while True:
            try:
                invocation_id, kind, body = self._api.reports.get(timeout=0.01)
            except queue.Empty:
                pass
            else:
                # A peak between two measurements ends the invocation, too.
                if invocation_id == invocation.id and self._watch_memory() <= self._memory_mb:
                    return kind, body
            ended: tuple[str, str] | None = None
            if self._process.poll() is not None:
                ended = ("Runtime.ExitError", f"exit code {self._process.returncode}")
            elif time.monotonic() - began > self.timeout:
                ended = ("Sandbox.Timedout", f"timed out after {self.timeout} s")
            elif self._watch_memory() > self._memory_mb:
                ended = ("Runtime.OutOfMemory", f"used {self.peak_mb:.0f} MB of {self._memory_mb} MB")
            if ended:
                self._kill()
                raise FunctionError(*ended, self._logs(offset))

    def _init_error(self) -> tuple[str, str] | None:
        assert self._api is not None
        assert self._process is not None
        try:
            _, _, body = self._api.reports.get_nowait()
        except queue.Empty:
            code = self._process.poll()
            return None if code is None else ("Runtime.ExitError", f"exit code {code} during init")
        error = json.loads(body)
        return error["errorType"], error["errorMessage"]

    def _watch_memory(self) -> float:
        """Return the process's peak memory in MB. The kernel records it, so no peak between two calls is missed."""
        assert self._process is not None
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        except OSError:
            return self.peak_mb
        if found := re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE):
            self.peak_mb = max(self.peak_mb, int(found.group(1)) / 1024)
        return self.peak_mb

    def _logs(self, offset: int) -> str:
        with self._log.open("rb") as log:
            log.seek(offset)
            return log.read().decode()

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._api is not None:
            self._api.stop()
            self._api = None


if __name__ == "__main__":
    runtime_directory(interpreter(), offline=False)
