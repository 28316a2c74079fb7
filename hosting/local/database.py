"""Starts a MariaDB server in place of Aurora MySQL: TLS only, an empty database, one user with a password."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType

from hosting.local.errors import LocalError

_START_TIMEOUT = 60.0
_STOP_TIMEOUT = 20.0
# Debian does not have the server's folder on the PATH of users.
_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"))
# The server gets a new certificate at each start.
_VALID = timedelta(days=30)


@dataclass(frozen=True)
class Login:
    """The database, and the user that may do everything in it."""

    database: str
    user: str
    password: str


class DatabaseServer:
    """A MariaDB server with its data in a folder, used as a context manager. Existing data is kept.

    It listens at a free port of 127.0.0.1. As in the cluster's parameter group, every connection needs TLS. ``name`` is
    the host name in the server's certificate.
    """

    def __init__(self, folder: Path, login: Login, name: str = "localhost") -> None:
        self.folder = folder
        self.login = login
        # Further schemas, each with its user.
        self.others: tuple[Login, ...] = ()
        self.name = name
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: tempfile.TemporaryDirectory[str] | None = None

    @property
    def address(self) -> tuple[str, int]:
        """The address of the server on this machine."""
        return "127.0.0.1", self.port

    @property
    def certificate(self) -> Path:
        """The certificate of the server, which also is the CA with which a client verifies it."""
        return self.folder / "cert.pem"

    def __enter__(self) -> DatabaseServer:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def is_running(self) -> bool:
        """True after the server has been started."""
        return self._process is not None

    def start(self) -> None:
        """Create the data if there is none, start the server, and wait until it accepts connections."""
        server, install = find_server(), _find("mariadb-install-db", "mysql_install_db")
        data = self.folder / "data"
        self.folder.mkdir(parents=True, exist_ok=True)
        user = pwd.getpwuid(os.getuid()).pw_name
        if not data.exists():
            self._run([install, "--no-defaults", f"--datadir={data}", f"--user={user}", "--skip-test-db"])
        write_certificate(self.folder, self.name)
        (self.folder / "init.sql").touch(mode=0o600)
        (self.folder / "init.sql").write_text("".join(map(_statements, (self.login, *self.others))), encoding="utf-8")
        # The path of a Unix socket has at most 107 characters.
        self._socket = tempfile.TemporaryDirectory(prefix="database-")
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(server, "--no-defaults", f"--datadir={data}", f"--user={user}"),
                    *("--bind-address=127.0.0.1", f"--port={self.port}", f"--socket={self._socket.name}/s"),
                    *(f"--pid-file={self.folder / 'pid'}", f"--init-file={self.folder / 'init.sql'}"),
                    *(f"--ssl-cert={self.folder / 'cert.pem'}", f"--ssl-key={self.folder / 'key.pem'}"),
                    *("--require-secure-transport=ON", "--skip-name-resolve", "--character-set-server=utf8mb4"),
                    *("--collation-server=utf8mb4_unicode_ci", "--innodb-buffer-pool-size=64M"),
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait()

    def stop(self) -> None:
        """Stop the server, and kill it if it does not end."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._socket is not None:
            self._socket.cleanup()

    def tail(self, lines: int = 15) -> str:
        """Return the last lines of the server's log."""
        with contextlib.suppress(OSError):
            return "\n".join((self.folder / "server.log").read_text(errors="replace").splitlines()[-lines:])
        return ""

    def _wait(self) -> None:
        assert self._process is not None  # noqa: S101 -- it has just been started
        deadline = time.monotonic() + _START_TIMEOUT
        while time.monotonic() < deadline:
            if (code := self._process.poll()) is not None:
                raise LocalError(f"the database server ended with code {code}:\n{self.tail()}")
            with contextlib.suppress(OSError), socket.create_connection(self.address, 1) as connection:
                connection.settimeout(5)
                # The server sends its greeting after it has read the file with the user.
                if connection.recv(1):
                    return
            time.sleep(0.05)
        raise LocalError(f"the database server did not start within {_START_TIMEOUT:.0f} s:\n{self.tail()}")

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LocalError(f"{Path(command[0]).name} failed with code {done.returncode}:\n{done.stderr[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def find_server() -> str:
    """Return the path of the database server. Raises LocalError if it is not installed."""
    return _find("mariadbd", "mysqld")


def _find(*names: str) -> str:
    for name in names:
        if found := shutil.which(name, path=_PATH):
            return found
    raise LocalError(f"{names[0]} is not installed. Install MariaDB: apt-get install mariadb-server")


def _statements(login: Login) -> str:
    """Return the statements that the server executes at each start, one per line."""
    password = login.password.replace("\\", "\\\\").replace("'", "\\'")
    return (
        f"CREATE DATABASE IF NOT EXISTS `{login.database}`;\n"
        f"CREATE USER IF NOT EXISTS '{login.user}'@'%';\n"
        f"ALTER USER '{login.user}'@'%' IDENTIFIED BY '{password}' REQUIRE SSL;\n"
        f"GRANT ALL ON `{login.database}`.* TO '{login.user}'@'%';\n"
    )


def write_certificate(folder: Path, name: str) -> None:
    """Write a self-signed certificate for a host name to cert.pem, and its key to key.pem."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "database")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").touch(mode=0o600)
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
