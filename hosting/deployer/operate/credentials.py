"""Credentials of the database for a client, in a file that only its owner can read and that exists only while needed.

They are not on a command line, which every user of the machine can read, and not on a screen, which may be shared.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from botocore.exceptions import ClientError

from hosting.deployer.aws.session import explain
from hosting.deployer.errors import DeployerError
from hosting.deployer.operate.platform import Platform

_FILE = "client.cnf"
# The shell reads until this process ends in any way. The last line is the id of the process that runs the tunnel, if
# any.
_CLEANUP = """process=
while read -r line; do process=$line; done
[ -z "$process" ] || kill -TERM "-$process"
rm -rf -- "$1"
"""


@dataclass(frozen=True)
class Login:
    """User and password of a client. Without a password the client prompts for it."""

    user: str
    password: str | None = None

    def __repr__(self) -> str:
        return f"Login({self.user!r})"


@dataclass(frozen=True)
class OptionsFile:
    """Options file of the MySQL clients. Call `write` again if an option changes."""

    path: Path
    _cleaner: subprocess.Popen[bytes] | None = None

    def set_tunnel_process(self, process: int | None) -> None:
        """Set the process that runs the tunnel. It is the leader of its process group and ends with this program."""
        if self._cleaner is not None and self._cleaner.stdin is not None:
            # If the shell has ended, the cleanup is missing, as on Windows.
            with contextlib.suppress(OSError):
                os.write(self._cleaner.stdin.fileno(), f"{process or ''}\n".encode())

    def write(self, login: Login, host: str, port: int) -> None:
        """Write the options atomically with mode 0600."""
        # The file is created under another name: with O_EXCL and this mode no other process can have opened
        # it before.
        fresh = self.path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(format_options(login, host, port))
        fresh.replace(self.path)


def format_options(login: Login, host: str, port: int) -> str:
    """Return the content of an options file for the clients of MySQL and MariaDB.

    The database accepts only TLS. MySQL's client uses TLS by default. MariaDB's client needs the option `ssl`, and
    newer ones must not verify the host name, because the certificate cannot contain 127.0.0.1. The session itself
    authenticates the server: IAM permits a connection to one container, which relays only to the database.
    """
    lines = ["[client]", f"host={host}", f"port={port}", "protocol=tcp", f"user={_quote(login.user)}"]
    if login.password is not None:
        lines.append(f"password={_quote(login.password)}")
    lines += ["[client-mariadb]", "ssl", "disable-ssl-verify-server-cert"]
    return "\n".join(lines) + "\n"


@contextmanager
def create_options_file() -> Iterator[OptionsFile]:
    """Create a directory for an options file, and delete it at the end of the context.

    If this process is killed, a waiting shell deletes the directory. Windows has no such shell.
    """
    directory = Path(tempfile.mkdtemp(prefix="platform-db-"))
    cleaner = None
    try:
        if os.name == "posix":
            cleaner = subprocess.Popen(
                ["/bin/sh", "-c", _CLEANUP, "sh", str(directory)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        yield OptionsFile(directory / _FILE, cleaner)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        if cleaner is not None and cleaner.stdin is not None:
            cleaner.stdin.close()
            cleaner.wait()


def read_master_login(platform: Platform) -> Login:
    """Return the current credentials of the master user. RDS rotates them."""
    secret = platform.output("DatabaseSecretArn")
    client = platform.context.clients.secretsmanager(platform.home)
    try:
        answer = client.get_secret_value(SecretId=secret)
    except ClientError as error:
        explained = explain(error)
        hint = "you need secretsmanager:GetSecretValue on the secret and kms:Decrypt on its key; or use --user NAME"
        raise DeployerError(explained.what, where="the database's secret", hint=hint) from error
    try:
        value = json.loads(answer["SecretString"])
        return Login(value["username"], value["password"])
    except (KeyError, ValueError, TypeError):
        # The message of the parser might quote the secret.
        raise DeployerError("the secret does not have the JSON format of RDS", where="the database's secret") from None


def _quote(text: str) -> str:
    """Return a quoted value for an options file (MySQL Reference Manual, "Using Option Files")."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
