"""Starts a patched MiniStack in a process of its own, and stops it in every case.

The emulator has its own environment, `.venv-emulator`, because it pins botocore to one version and runs Lambda
functions with its own interpreter. The parent binds the port and passes the socket to the child, so two emulators
never compete for a port. A pipe connects the processes: if the parent is killed, the pipe closes and the child ends
itself together with its Lambda workers.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final

from hosting.rehearsal.errors import EmulatorError

if TYPE_CHECKING:
    from hosting.deployer.aws.session import Clients

ROOT = Path(__file__).resolve().parents[2]
INTERPRETER = ROOT / ".venv-emulator" / "bin" / "python"
HEALTH = "/_ministack/health"
START_TIMEOUT = 60.0
DEFAULT_ACCOUNT = "123456789012"
DEFAULT_REGION: Final = "ap-northeast-1"

# Variables of the caller's environment that could direct an SDK past the emulator, to a real account.
LEADS_ELSEWHERE = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_CA_BUNDLE",
)

# The same for a session of this process: what botocore would otherwise read from the environment and from ~/.aws.
_SEALED = {
    "profile": None,
    "config_file": os.devnull,
    "credentials_file": os.devnull,
    "use_fips_endpoint": False,
    "use_dualstack_endpoint": False,
}


class Emulator:
    """One emulator process, used as a context manager.

    With `delay` each resource takes that many seconds, so that states in progress are visible. `directory` holds the
    log and the emulator's files; without it both are temporary and are deleted by a clean stop. `objects` keeps the
    buckets of S3 for the next emulator; without it they are in memory.
    """

    def __init__(
        self,
        *,
        delay: float = 0.0,
        directory: Path | None = None,
        objects: Path | None = None,
        interpreter: Path = INTERPRETER,
        start_timeout: float = START_TIMEOUT,
    ) -> None:
        self.delay = delay
        self._interpreter = interpreter
        self._start_timeout = start_timeout
        self._keep_directory = directory is not None
        self._directory = directory
        self._objects = objects
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def __enter__(self) -> Emulator:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def endpoint(self) -> str:
        """The URL for AWS_ENDPOINT_URL. It is the address, not localhost, because SDKs then use path-style S3."""
        if not self._port:
            raise EmulatorError("the emulator is not running; use it as `with Emulator() as emulator:`")
        return f"http://127.0.0.1:{self._port}"

    @property
    def log(self) -> Path:
        """The emulator's log, which may explain a resource failure without a visible reason."""
        if self._directory is None:
            raise EmulatorError("the emulator is not running, so it has no log")
        return self._directory / "emulator.log"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise EmulatorError("the emulator is not running")
        return self._process.pid

    def environment(self, account: str = DEFAULT_ACCOUNT, region: str = DEFAULT_REGION) -> dict[str, str]:
        """Return environment variables that direct boto3 and the AWS CLI to this emulator only.

        The twelve digits of the access key are the account, and accounts do not see each other.
        """
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": account,
            "AWS_SECRET_ACCESS_KEY": "not-a-secret",
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def subprocess_environment(self, account: str = DEFAULT_ACCOUNT, region: str = DEFAULT_REGION) -> dict[str, str]:
        """Return the caller's environment with all AWS variables replaced by this emulator's."""
        inherited = {name: value for name, value in os.environ.items() if not leads_elsewhere(name)}
        return inherited | self.environment(account, region)

    def clients(
        self, account: str = DEFAULT_ACCOUNT, region: str = DEFAULT_REGION, *, endpoint_url: str | None = None
    ) -> Clients:
        """Return the deployer's clients for one account of this emulator.

        Neither environment variables nor ~/.aws can lead them to AWS. `endpoint_url` is that of a proxy in front.
        """
        import boto3
        import botocore.session

        from hosting.deployer.aws.session import Clients

        # A tuple per setting: its key in the file, its environment variables, its value, a conversion.
        fixed = {name: (None, None, value, None) for name, value in _SEALED.items()}
        core = botocore.session.Session(session_vars=fixed)
        core.set_credentials(account, "not-a-secret")
        session = boto3.Session(botocore_session=core, region_name=region)
        return Clients(session=session, endpoint_url=endpoint_url or self.endpoint)

    def start(self) -> None:
        """Start the process and wait until it answers."""
        if self._process is not None:
            raise EmulatorError("the emulator is already running")
        if not self._interpreter.is_file():
            raise EmulatorError(
                f"the emulator's environment is missing ({self._interpreter}). Run `make install`, then try again."
            )
        if self._directory is None:
            self._directory = Path(tempfile.mkdtemp(prefix="rehearsal-"))
        self._directory.mkdir(parents=True, exist_ok=True)
        scratch = self._directory / "tmp"
        scratch.mkdir(exist_ok=True)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(128)
            self._port = listener.getsockname()[1]
            self._process = self._spawn(listener.fileno(), scratch)
        try:
            self._wait_until_healthy()
        except BaseException:
            self.stop(keep_log=True)
            raise

    def _spawn(self, listener: int, scratch: Path) -> subprocess.Popen[bytes]:
        environment = {name: value for name, value in os.environ.items() if not leads_elsewhere(name)}
        environment |= {
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "REHEARSAL_LISTENER": str(listener),
            "REHEARSAL_DELAY": str(self.delay),
            "REHEARSAL_DIRECTORY": "" if self._keep_directory else str(self.log.parent),
            "GATEWAY_PORT": str(self._port),
            "MINISTACK_HOST": "127.0.0.1",
            "MINISTACK_REGION": DEFAULT_REGION,
            "MINISTACK_ACCOUNT_ID": DEFAULT_ACCOUNT,
            "LOG_LEVEL": "INFO",
            # No image is pulled and no container runs, with or without a Docker daemon on this machine:
            # a rehearsal must mean the same thing on every machine, and leave nothing behind.
            "DOCKER_HOST": "unix:///nonexistent/docker.sock",
            "LAMBDA_EXECUTOR": "local",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "TMPDIR": str(scratch),
        }
        if self._objects is not None:
            environment |= {"S3_PERSIST": "1", "S3_DATA_DIR": str(self._objects)}
        with self.log.open("wb") as log:
            return subprocess.Popen(
                [str(self._interpreter), "-m", "hosting.rehearsal.ministack_patch"],
                cwd=scratch,
                env=environment,
                stdin=subprocess.PIPE,  # its end of file signals the child that the parent has ended
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(listener,),
                start_new_session=True,  # Ctrl-C reaches only the parent, which then stops the child
            )

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + self._start_timeout
        while time.monotonic() < deadline:
            self.raise_if_dead()
            try:
                with urllib.request.urlopen(self.endpoint + HEALTH, timeout=5) as reply:  # noqa: S310 - our own loopback
                    json.load(reply)
                    return
            except (urllib.error.URLError, OSError, ValueError):
                time.sleep(0.05)
        raise EmulatorError(
            f"the emulator did not answer within {self._start_timeout:.0f} s; its log is {self.log}\n{self.tail()}"
        )

    def raise_if_dead(self) -> None:
        """Raise EmulatorError with the end of the log if the emulator has ended."""
        if self._process is not None and (code := self._process.poll()) is not None:
            raise EmulatorError(f"the emulator ended with code {code}; its log is {self.log}\n{self.tail()}")

    def tail(self, lines: int = 15) -> str:
        """Return the last lines of the emulator's log."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    def stop(self, *, keep_log: bool = False) -> None:
        """Kill the emulator and its Lambda workers. All state is in memory, so no shutdown is necessary."""
        process, self._process = self._process, None
        if process is None:
            return
        # Before its standard input closes, because a child without a parent removes its log.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdin is not None:
            process.stdin.close()
        self._port = 0
        if self._directory is None:
            return
        shutil.rmtree(self._directory / "tmp", ignore_errors=True)
        if not self._keep_directory and not keep_log:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None


def leads_elsewhere(name: str) -> bool:
    """Return whether an environment variable could direct an SDK past the emulator."""
    return name in LEADS_ELSEWHERE or name.startswith("AWS_ENDPOINT_URL")
