"""Buckets, queues and volumes of `deploy.py local`: an app uses them with the AWS SDK, and finds its files again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hosting.local.database import _free_port
from tests.support.programs import need
from tests.support.project import REPOSITORY, copy_project, leave_out, write_templates
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow(reason="starts an emulator and containers")

WORKLOADS = """
from generator.workloads import (
    Bucket, BucketName, Mount, Queue, QueueUrl, Read, ReadWrite, Receive, Send, Volume, WebService,
)

STORES = (Bucket("Uploads"), Queue("Parcels"), Volume("Files"))
VALUES = {"BUCKET": BucketName("Uploads"), "QUEUE": QueueUrl("Parcels")}
WORKLOADS = (
    WebService(
        "Portal",
        paths=("/*",),
        priority=900,
        uses=(ReadWrite("Uploads"), Send("Parcels"), Receive("Parcels"), Mount("Files", "/data")),
        variables=VALUES,
        secrets={},
    ),
    WebService(
        "Search",
        paths=("/search/*",),
        priority=100,
        uses=(Read("Uploads"), Send("Parcels"), Mount("Files", "/data", read_only=True)),
        variables=VALUES,
        secrets={},
    ),
    WebService("Orders", paths=("/orders",), priority=200, variables={}, secrets={}),
)
"""
APP = """
import http.server, os, pathlib
import boto3

s3, sqs, file = boto3.client("s3"), boto3.client("sqs"), pathlib.Path("/data/file")
bucket, queue = os.environ["BUCKET"], os.environ["QUEUE"]

def answer(path):
    if path == "/write":
        s3.put_object(Bucket=bucket, Key="object", Body=b"kept object")
        sqs.send_message(QueueUrl=queue, MessageBody="message")
        file.write_text("kept file")
        return sqs.receive_message(QueueUrl=queue)["Messages"][0]["Body"]
    if path == "/read":
        return s3.get_object(Bucket=bucket, Key="object")["Body"].read().decode() + ", " + file.read_text()
    if path == "/search/write":
        try:
            file.write_text("x")
        except OSError as error:
            return error.strerror
    return "ok"

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            code, body = 200, answer(self.path).encode()
        except Exception as error:
            code, body = 500, repr(error).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""
SETTINGS = """
[services.Portal]
folder = "app"
command = "{python} main.py"
[services.Search]
folder = "app"
command = "{python} main.py"
[services.Orders]
command = "{python} -m http.server 8080"
"""
WRITE = '[[requests]]\npath = "/write"\nstatus = 200\ncontains = "message"\n'
READ = '[[requests]]\npath = "/read"\nstatus = 200\ncontains = "kept object, kept file"\n'
REFUSED = '[[requests]]\npath = "/search/write"\nstatus = 200\ncontains = "Read-only file system"\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    need("bwrap", "ip")
    folder = copy_project(tmp_path / "project")
    (folder / "workloads.py").write_text(WORKLOADS, encoding="utf-8")
    leave_out(folder, "database")
    write_templates(folder)
    (folder / "app").mkdir()
    (folder / "app" / "main.py").write_text(APP, encoding="utf-8")
    (folder / "healthz").touch()
    return folder


def check(project: Path, requests: str) -> subprocess.CompletedProcess[str]:
    settings = SETTINGS.format(python=sys.executable)
    (project / "local.toml").write_text(settings + requests, encoding="utf-8")
    command = [sys.executable, str(REPOSITORY / "deploy.py"), "local", "-e", "lab", "--root", str(project), "--check"]
    return subprocess.run(
        [*command, "--port", str(_free_port())], capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def test_an_app_finds_its_objects_and_files_in_the_next_run(project: Path) -> None:
    done = check(project, WRITE + READ + REFUSED)
    assert done.returncode == 0, done.stdout + done.stderr
    done = check(project, READ)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (project / "build/local/lab/volumes/volume-files/file").read_text(encoding="utf-8") == "kept file"
