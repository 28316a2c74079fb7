"""Cost of the functions beside a plain implementation of each, and time of packaging beside `sam build`.

`measure()` returns rows for `make bench`. `python -m tests.bench.lambdas` prints them. The functions run as in their
tests and call the emulator, so a warm invocation includes the emulator's own time.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import boto3

from hosting.deployer.packaging.lambda_packages import Archive, package_functions
from hosting.rehearsal.emulator import Emulator
from tests.lambdas.runtime import PLATFORM, ROOT, Function, interpreter
from tests.lambdas.sink import Sink
from tests.lambdas.test_slack_notifier import alarm

COLD_RUNS = 5
WARM_RUNS = 20
PLAIN = Path(__file__).parent / "plain"
# Lambda Developer Guide, Configure memory: a function of this size has one whole processor.
MB_OF_ONE_PROCESSOR = 1769


class Row(NamedTuple):
    """One figure. `plain` is that of the plain implementation, and None for a figure without one."""

    subject: str
    what: str
    value: float
    unit: str
    plain: float | None = None


def measure() -> list[Row]:
    return [*_functions(), *_packaging()]


# --- functions


def _functions() -> Iterator[Row]:
    packaged = {archive.name: archive for archive in package_functions(ROOT / "lambda", PLATFORM)}
    yield Row("functions", f"interpreter: python{interpreter().version}", 0, "")
    with Emulator() as emulator, Sink() as sink:
        account = "210987654321"
        environment = emulator.environment(account)
        clients = _clients(emulator.endpoint, account)
        _bucket(clients)
        log, unpacked = _log_request()
        yield Row("log_processor", "request", len(json.dumps(log)) / 1e6, "MB")
        yield Row("log_processor", "log in the request", unpacked / 1e6, "MB")
        chat = environment | _chat(clients)
        cases: dict[str, tuple[dict[str, str], Callable[[], Any]]] = {
            "log_processor": ({}, lambda: log),
            "slack_notifier": (chat, lambda: _ALARM),
            "alarm_fallback": (chat, lambda: {"requestPayload": _ALARM}),
            "custom_resource": (environment, lambda: _content_request(sink)),
            "credentials_watch": (environment | _watched(clients), dict),
            "migration": (environment, lambda: _migration_request(sink)),
        }
        for name, archive in packaged.items():
            yield from _compared(archive, *cases[name], megabytes=unpacked / 1e6 if name == "log_processor" else 0)


def _compared(
    archive: Archive, environment: dict[str, str], event: Callable[[], Any], *, megabytes: float
) -> Iterator[Row]:
    """Yield the figures of a function and of its plain implementation."""
    runs = 3 if megabytes else WARM_RUNS
    ours = _one(archive.data, environment, event, runs)
    plain = _one(_plain(archive.name), environment, event, runs)
    units = {"package": "KB", "peak memory": "MB"}
    for what, value in ours.items():
        yield Row(archive.name, what, value, units.get(what, "ms"), plain[what])
    cpu = "warm invocation, processor"
    if size := _memory_sizes().get(archive.name):
        share = MB_OF_ONE_PROCESSOR / size
        yield Row(archive.name, f"the same at {size} MB", ours[cpu] * share, "ms", plain[cpu] * share)
    if megabytes:
        speed, plain_speed = (1000 * megabytes / figures["warm invocation"] for figures in (ours, plain))
        yield Row(archive.name, "throughput", speed, "MB/s", plain_speed)


def _one(archive: bytes, environment: dict[str, str], event: Callable[[], Any], runs: int) -> dict[str, float]:
    starts = []
    for _ in range(COLD_RUNS):
        with Function(archive, environment, memory_mb=MB_OF_ONE_PROCESSOR) as function:
            function.start()
            starts.append(function.init_seconds)
    with Function(archive, environment, memory_mb=MB_OF_ONE_PROCESSOR) as function:
        first = function.invoke(event()).seconds
        began = function.cpu_seconds
        warm = [function.invoke(event()).seconds for _ in range(runs)]
        return {
            "package": len(archive) / 1024,
            "init": statistics.median(starts) * 1000,
            "first invocation": first * 1000,
            "warm invocation": statistics.median(warm) * 1000,
            "warm invocation, processor": (function.cpu_seconds - began) / runs * 1000,
            "peak memory": function.peak_mb,
        }


def _plain(name: str) -> bytes:
    """Return the package of a plain implementation."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        target.write(PLAIN / f"{name}.py", "index.py")
    return buffer.getvalue()


def _log_request() -> tuple[dict[str, Any], int]:
    """Return a request of about 1 MB with about 15 MB of log, and this size. A tenth of the lines has a secret."""
    records, unpacked = [], 0
    for number in range(12):
        events = [
            {
                "id": f"{number:028d}{line:028d}",
                "timestamp": 1_795_347_075_123 + line * 37,
                "message": f"2026-11-22T11:31:15Z INFO request {number * 7919 + line} GET /api/orders/{line % 97} 200 "
                + ("by taro@example.com " if line % 10 == 0 else "by an unnamed visitor ")
                + "Mozilla/5.0 (X11; Linux x86_64) " * 5,
            }
            for line in range(3600)
        ]
        batch = {"messageType": "DATA_MESSAGE", "logGroup": "/ecs/bench", "logStream": "app", "logEvents": events}
        data = json.dumps(batch).encode()
        unpacked += len(data)
        records.append({"recordId": f"{number:056d}", "data": base64.b64encode(gzip.compress(data)).decode()})
    return {"records": records}, unpacked


def _memory_sizes() -> dict[str, int]:
    """Return the memory sizes of the committed templates by the function's directory."""
    sizes = {}
    for path in (ROOT / "templates").glob("*.json"):
        for resource in json.loads(path.read_text(encoding="utf-8"))["Resources"].values():
            if resource["Type"] == "AWS::Lambda::Function":
                key = str(resource["Properties"]["Code"].get("S3Key", {}).get("Ref", "")).removesuffix("CodeKey")
                name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key).lstrip("_")
                sizes[name] = resource["Properties"]["MemorySize"]
    return sizes


# --- resources that the functions call


def _clients(endpoint: str, account: str) -> Callable[[str], Any]:
    session = boto3.session.Session(account, "not-a-secret", region_name="ap-northeast-1")
    return lambda service: session.client(service, endpoint_url=endpoint)  # type: ignore[call-overload]


_ALARM = {
    "Records": [
        {
            "EventSource": "aws:sns",
            "Sns": {
                "TopicArn": "arn:aws:sns:ap-northeast-1:123456789012:notices",
                "MessageId": "95df01b4-ee98-5cb9-9903-4c221d41eb5e",
                "Message": json.dumps(alarm()),
            },
        }
    ]
}


def _chat(clients: Callable[[str], Any]) -> dict[str, str]:
    topic = clients("sns").create_topic(Name="chat")["TopicArn"]
    names = {"ENVIRONMENT_NAME": "bench", "NAME_PREFIX": "shop-bench"}
    return {"OUTPUT_TOPIC_ARN": topic, "FALLBACK_TOPIC_ARN": topic, **names}


def _bucket(clients: Callable[[str], Any]) -> None:
    clients("s3").create_bucket(Bucket="bench-site", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})


def _content_request(sink: Sink) -> dict[str, Any]:
    return {
        "RequestType": "Update",
        "RequestId": "r",
        "StackId": "s",
        "LogicalResourceId": "SiteContent",
        "PhysicalResourceId": "site-content:bench-site",
        "ResponseURL": sink.url,
        "ResourceProperties": {"BucketName": "bench-site", "EmptyOnDelete": "false"},
    }


def _migration_request(sink: Sink) -> dict[str, Any]:
    """Return a deletion. A creation lasts as long as its task."""
    return {
        "RequestType": "Delete",
        "RequestId": "r",
        "StackId": "s",
        "LogicalResourceId": "Migration",
        "PhysicalResourceId": "migration:Backend",
        "ResponseURL": sink.url,
        "ResourceProperties": {},
    }


def _watched(clients: Callable[[str], Any]) -> dict[str, str]:
    """Create two services that read a secret without a rotation. Return the function's variables."""
    ecs = clients("ecs")
    secret = clients("secretsmanager").create_secret(Name="database", SecretString="{}")["ARN"]
    ecs.create_cluster(clusterName="bench")
    for name in ("frontend", "backend"):
        containers = [{"name": "app", "image": "a", "secrets": [{"name": "P", "valueFrom": secret}]}]
        arn = ecs.register_task_definition(family=name, containerDefinitions=containers)["taskDefinition"]
        ecs.create_service(cluster="bench", serviceName=name, taskDefinition=arn["taskDefinitionArn"], desiredCount=2)
    return {"CLUSTER_NAME": "bench"}


# --- packaging


def _packaging() -> Iterator[Row]:
    ours = statistics.median(_seconds(lambda: package_functions(ROOT / "lambda", PLATFORM)) for _ in range(9))
    yield Row("packaging", "all functions, nothing changed", ours, "s")
    code = (
        "from pathlib import Path; from hosting.deployer.packaging.lambda_packages import Platform, package_functions; "
        f"package_functions(Path({str(ROOT / 'lambda')!r}), {PLATFORM!r})"
    )
    command = [sys.executable, "-c", code]
    alone = statistics.median(_seconds(lambda: subprocess.run(command, cwd=ROOT, check=True)) for _ in range(5))
    yield Row("packaging", "the same with Python's start and imports", alone, "s")
    sam = shutil.which("sam")
    if not sam:
        yield Row("packaging", "sam build: not installed", 0, "")
        return
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "template.json").write_text(json.dumps(_sam_template()), encoding="utf-8")
        build = [sam, "build", "--template", f"{folder}/template.json", "--build-dir", f"{folder}/build"]
        theirs = [
            _seconds(lambda: subprocess.run(build, cwd=folder, check=True, capture_output=True)) for _ in range(2)
        ]
    yield Row("packaging", "sam build, clean", theirs[0], "s")
    yield Row("packaging", "sam build, again", theirs[1], "s")
    yield Row("packaging", "sam build, again, in packagings of ours", theirs[1] / alone, "x")


def _sam_template() -> dict[str, Any]:
    # sam asks for an interpreter of the function's version; the build itself does not depend on it.
    runtime = f"python{interpreter().minor}"
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {
            path.name.replace("_", ""): {
                "Type": "AWS::Serverless::Function",
                "Properties": {"CodeUri": str(path), "Handler": "index.handler", "Runtime": runtime},
            }
            for path in sorted((ROOT / "lambda").iterdir())
            if (path / "index.py").is_file()
        },
    }


def _seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


if __name__ == "__main__":
    for row in measure():
        plain = "" if row.plain is None else f"plain {row.plain:10.2f}"
        sys.stdout.write(f"{row.subject:20}{row.what:45}{row.value:10.2f} {row.unit:5}{plain}\n")
