"""The database's credentials on their way to a client: a file that only its owner can read, for as long as needed.

Not on a command line, which every user of the machine can read, and not on a screen, which somebody may share.
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
# Reads until we are gone, however we went. What was said last is the process that carries the tunnel, if any.
_AFTERWARDS = """carrier=
while read -r said; do carrier=$said; done
[ -z "$carrier" ] || kill -TERM "-$carrier"
rm -rf -- "$1"
"""


@dataclass(frozen=True)
class Login:
    """Whom a client logs in as; without a password it asks for one."""

    user: str
    password: str | None = None

    def __repr__(self) -> str:
        return f"Login({self.user!r})"


@dataclass(frozen=True)
class OptionsFile:
    """An options file of the MySQL clients. `write` again when something in it has changed."""

    path: Path
    _tidier: subprocess.Popen[bytes] | None = None

    def set_tunnel_process(self, process: int | None) -> None:
        """Which process, the leader of its group, is of no use without us."""
        if self._tidier is not None and self._tidier.stdin is not None:
            # Without it we are no worse off than where there is none.
            with contextlib.suppress(OSError):
                os.write(self._tidier.stdin.fileno(), f"{process or ''}\n".encode())

    def write(self, login: Login, host: str, port: int) -> None:
        # Made anew under another name: with O_EXCL and the mode at birth nobody can have opened it before.
        fresh = self.path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(format_options(login, host, port))
        fresh.replace(self.path)


def format_options(login: Login, host: str, port: int) -> str:
    """What MySQL's and MariaDB's clients read.

    The database takes TLS only. MySQL's client offers it unasked; MariaDB's has to be told, and newer ones also
    that the certificate cannot name 127.0.0.1. Who is at the other end is assured by the session itself: IAM lets
    it reach one container, and that one relays to the database alone.
    """
    lines = ["[client]", f"host={host}", f"port={port}", "protocol=tcp", f"user={_quote(login.user)}"]
    if login.password is not None:
        lines.append(f"password={_quote(login.password)}")
    lines += ["[client-mariadb]", "ssl", "disable-ssl-verify-server-cert"]
    return "\n".join(lines) + "\n"


@contextmanager
def create_options_file() -> Iterator[OptionsFile]:
    """A place for an options file, which is gone afterwards whatever happens.

    We remove it ourselves; when we are killed, a small shell that waits for nothing else does. Windows has none.
    """
    directory = Path(tempfile.mkdtemp(prefix="platform-db-"))
    tidier = None
    try:
        if os.name == "posix":
            tidier = subprocess.Popen(
                ["/bin/sh", "-c", _AFTERWARDS, "sh", str(directory)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        yield OptionsFile(directory / _FILE, tidier)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        if tidier is not None and tidier.stdin is not None:
            tidier.stdin.close()
            tidier.wait()


def read_master_login(platform: Platform) -> Login:
    """The master user's credentials as they are now: RDS rotates them."""
    secret = platform.output("DatabaseSecretArn")
    client = platform.context.clients.secretsmanager(platform.home)
    try:
        answer = client.get_secret_value(SecretId=secret)
    except ClientError as error:
        explained = explain(error)
        hint = (
            "needs secretsmanager:GetSecretValue on the secret and kms:Decrypt on its key; --user NAME asks you instead"
        )
        raise DeployerError(explained.what, where="the database's secret", hint=hint) from error
    try:
        value = json.loads(answer["SecretString"])
        return Login(value["username"], value["password"])
    except (KeyError, ValueError, TypeError):
        # Not even the parser's message: it might quote the secret.
        raise DeployerError("is not the JSON that RDS writes", where="the database's secret") from None


def _quote(text: str) -> str:
    r"""A value for an options file, where a backslash escapes (MySQL Reference Manual, "Using Option Files")."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
