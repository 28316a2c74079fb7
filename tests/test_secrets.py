"""Search for secrets in all output and files of a full rehearsal, which runs with recognisable secrets.

There are three kinds of secrets: those in a user's environment, those that the deployment generates (the test reads
them from the emulator while it runs), and those that users paste into a wrong place of a parameter file.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.support.processes import command_line, family
from tests.support.project import PARAMS, PROJECT, REPOSITORY, TEMPLATES
from tests.support.sampling import diagonal
from tests.support.waiting import PATIENCE

REGIONS = ("ap-northeast-1", "us-east-1")
NOT_COPIED = (".git", ".venv*", "__pycache__", ".*_cache", "build", "runs", "tests", ".hypothesis", "node_modules")

# Variables in the environment of a developer or a build machine, which no program may write.
PLANTED_ENVIRONMENT = {
    "AWS_SECRET_ACCESS_KEY": "PlantedSecretAccessKey/w4JalrXUtnFEMIK7MDENG",
    "AWS_SESSION_TOKEN": "PlantedSessionToken//////FwoGZXIvYXdzEJr",
    "GITHUB_TOKEN": "ghp_PlantedGithubToken0123456789abcdefgh",
    "SLACK_BOT_TOKEN": "xoxb-PlantedSlackToken-0123456789",
    "DB_PASSWORD": "Planted-Database-Password-1!",
    "MYSQL_PWD": "Planted-Mysql-Password-2!",
}
PRIVATE_KEY = "PRIVATE KEY-----"
LIVE = pytest.mark.slow(reason="ten seconds for another environment of the same templates")


# --- Search ------------------------------------------------------------------------------------------------------


def forms(secret: str) -> set[bytes]:
    """Return the forms of a secret in a file: unchanged, quoted for JSON or a URL, or in base64 at each offset."""
    raw = secret.encode()
    found = {raw, json.dumps(secret)[1:-1].encode(), quote(secret, safe="").encode()}
    for offset in range(3):
        encoded = base64.b64encode(b"." * offset + raw)
        # The first and last characters also depend on the bytes beside the secret.
        found.add(encoded[4 if offset else 0 : len(encoded) - 4])
    return found


def contents(data: bytes, depth: int = 0) -> Iterator[bytes]:
    """Yield the bytes, and the content of gzip and zip files in them."""
    yield data
    if depth > 2:
        return
    if data[:2] == b"\x1f\x8b":
        with suppress(OSError, EOFError):
            yield from contents(gzip.decompress(data), depth + 1)
    elif data[:4] == b"PK\x03\x04":
        with suppress(zipfile.BadZipFile), zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield from contents(archive.read(name), depth + 1)


def leaks(written: dict[str, bytes], secrets: dict[str, str]) -> list[str]:
    """Return each found secret by its name and place. The values are left out, because the result is logged."""
    return [
        f"{name} in {place}"
        for place, data in written.items()
        for part in contents(data)
        for name, secret in secrets.items()
        if any(form in part for form in forms(secret))
    ]


def files_below(folder: Path) -> dict[str, bytes]:
    found = {}
    for path in folder.rglob("*"):
        # The emulator's own folder is AWS's part of the rehearsal, and must contain its secrets.
        if path.is_file() and not path.is_symlink() and not any(part.startswith("rehearsal-") for part in path.parts):
            with suppress(OSError):
                found[str(path)] = path.read_bytes()
    return found


# --- A rehearsal that is observed -----------------------------------------------------------------------------------


@dataclass
class Watched:
    """A process, and its output and files while it ran and afterwards."""

    process: subprocess.Popen[bytes]
    folders: tuple[Path, ...]
    out: bytearray = field(default_factory=bytearray)
    err: bytearray = field(default_factory=bytearray)
    secrets: dict[str, str] = field(default_factory=dict)
    written: dict[str, bytes] = field(default_factory=dict)

    def watch(self) -> int:
        readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self.out)),
            threading.Thread(target=self._read, args=(self.process.stderr, self.err)),
        ]
        for reader in readers:
            reader.start()
        while self.process.poll() is None:
            self._look()
            time.sleep(0.05)
        for reader in readers:
            reader.join()
        self.written |= {"stdout": bytes(self.out), "stderr": bytes(self.err)}
        for folder in self.folders:
            self.written |= files_below(folder)
        return self.process.returncode

    def _read(self, stream: Any, into: bytearray) -> None:
        while chunk := stream.read1(65536):
            into += chunk

    def _look(self) -> None:
        """Record the command lines of the process and its children, temporary files, and the stacks' descriptions."""
        for pid in family(self.process.pid):
            line = command_line(pid)
            self.written[f"argv {line[:200]!r}"] = line
        for folder in self.folders:
            self.written |= {f"{place} (while it ran)": data for place, data in files_below(folder / "tmp").items()}
        endpoint = re.search(rb"runs at (http://\S+) as account (\d{12})", bytes(self.err))
        if endpoint:
            for region in REGIONS:
                # The emulator may end, and stacks may be deleted, between any two calls.
                with suppress(BotoCoreError, ClientError):
                    self._ask(endpoint[1].decode(), endpoint[2].decode(), region)

    def _ask(self, url: str, account: str, region: str) -> None:
        session: Any = boto3.session.Session()  # Any: the service's name is a variable here

        def client(service: str) -> Any:
            return session.client(
                service,
                region_name=region,
                endpoint_url=url,
                aws_access_key_id=account,
                aws_secret_access_key="not-a-secret",
                config=Config(retries={"total_max_attempts": 1}, connect_timeout=PATIENCE, read_timeout=PATIENCE),
            )

        manager = client("secretsmanager")
        for secret in manager.list_secrets()["SecretList"]:
            value = manager.get_secret_value(SecretId=secret["ARN"])["SecretString"]
            with suppress(ValueError):
                value = json.loads(value).get("password", value)
            self.secrets[f"value of {secret['Name']}"] = value
        for stack in client("cloudformation").describe_stacks()["Stacks"]:
            shown = {
                key: stack.get(key) for key in ("Parameters", "Outputs", "Tags", "Description", "StackStatusReason")
            }
            self.written[f"stack {stack['StackName']} {stack['StackStatus']}"] = json.dumps(shown).encode()


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the platform with the frozen project, so that a run is the author of every changed file in it."""
    project = tmp_path_factory.mktemp("secrets") / "project"
    shutil.copytree(REPOSITORY, project, ignore=shutil.ignore_patterns(*NOT_COPIED))
    for folder in (PARAMS, TEMPLATES):
        shutil.rmtree(project / folder.name)
        shutil.copytree(folder, project / folder.name)
    shutil.copy(PROJECT / "workloads.py", project)
    (project / ".venv-emulator").symlink_to(REPOSITORY / ".venv-emulator")
    return project


def start(project: Path, *arguments: str) -> Watched:
    home = project.parent / "home"
    for folder in (home, home / "tmp"):
        folder.mkdir(exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= PLANTED_ENVIRONMENT | {
        "AWS_ACCESS_KEY_ID": "AKIAPLANTED000000000",
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "deploy.py", *arguments],
        cwd=project,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    return Watched(process, (project, home))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads command lines from /proc")
@pytest.mark.parametrize("environment", ["lab", pytest.param("live", marks=LIVE)])
def test_a_rehearsal_writes_no_secret(copy: Path, environment: str) -> None:
    watched = start(copy, "rehearse", "-e", environment)
    code = watched.watch()
    assert code == 0, watched.err.decode()[-2000:]
    # The emulator had at least the value of the header and the password of the database.
    assert len(watched.secrets) >= 2, watched.secrets.keys()
    assert any(place.startswith("stack ") for place in watched.written)
    assert any(
        b"hosting.rehearsal.ministack_patch" in data
        for place, data in watched.written.items()
        if place.startswith("argv")
    )
    secrets = PLANTED_ENVIRONMENT | watched.secrets | {"a private key": PRIVATE_KEY}
    source = {str(path): path.read_bytes() for path in copy.rglob("*.py")}
    changed = {place: data for place, data in watched.written.items() if source.get(place) != data}
    assert leaks(changed, secrets) == []


# --- Secrets in a wrong place of a parameter file ------------------------------------------------------------------

TOKEN = "xoxb-PlantedPastedToken-9876543210"


PASTED = {
    "a parameter that no stack has": {"Parameters": {"DbPassword": TOKEN}},
    "a token where an id is asked for": {"Parameters": {"SlackWorkspaceId": TOKEN}},
    "a section that the file does not have": {"Secrets": {"Password": TOKEN}},
}


@pytest.mark.parametrize(
    ("command", "place"), diagonal(["params check", "plan", "validate", "reach", "rehearse"], [*PASTED])
)
def test_a_refused_value_is_not_repeated(copy: Path, command: str, place: str) -> None:
    pasted: Mapping[str, Mapping[str, str]] = PASTED[place]
    file = copy / "params" / "pasted.json"
    body = json.loads((PARAMS / "lab.json").read_text())
    for section, values in pasted.items():
        body.setdefault(section, {}).update(values)
    file.write_text(json.dumps(body))
    try:
        watched = start(copy, *command.split(), "-e", "pasted")
        code = watched.watch()
    finally:
        file.unlink()
    # Working copies of the file's values are in a folder that only the user may read. The command deletes them.
    deleted = [place for place in watched.written if place.endswith("(while it ran)")]
    kept = {place: data for place, data in watched.written.items() if place not in {str(file), *deleted}}
    assert leaks(kept, {"the pasted token": TOKEN}) == []
    assert b"Traceback" not in watched.err
    if "Parameters" in pasted and command != "reach":  # `reach` checks paths only, the other commands check the values
        assert code != 0


# --- The search itself ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hidden",
    [
        b'{"password": "Planted-Database-Password-1!"}',
        base64.b64encode(b"x Planted-Database-Password-1! y"),
        base64.b64encode(b"xy Planted-Database-Password-1!"),
        gzip.compress(b"DB_PASSWORD=Planted-Database-Password-1!", mtime=0),
        quote("Planted-Database-Password-1!").encode(),
    ],
)
def test_the_search_finds_encoded_and_packed_secrets(hidden: bytes) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("inner.txt", hidden)
    for data in (hidden, packed.getvalue()):
        assert set(leaks({"file": data}, PLANTED_ENVIRONMENT)) == {"DB_PASSWORD in file"}
    assert leaks({"file": b"no secret"}, PLANTED_ENVIRONMENT) == []
