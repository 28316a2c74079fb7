"""Cost of the functions: init, warm invocations, memory, throughput of log lines, and time of packaging.

`measure()` returns rows for `make bench`. `python -m tests.bench.lambdas` prints them. The functions run as in their
tests and call the emulator, so a warm invocation includes the emulator's own time.
"""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
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
# Lambda Developer Guide, Configure memory: a function of this size has one whole processor.
MB_OF_ONE_PROCESSOR = 1769


class Row(NamedTuple):
    subject: str
    what: str
    value: float
    unit: str


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
        yield from _log_processor(packaged["log_processor"])
        yield from _one(packaged["slack_notifier"], environment | _chat(clients), lambda: _ALARM)
        _bucket(clients)
        yield from _one(packaged["custom_resource"], environment, lambda: _content_request(sink))
        yield from _one(packaged["credentials_watch"], environment | _watched(clients), dict)


def _one(
    archive: Archive, environment: dict[str, str], event: Callable[[], Any], *, runs: int = WARM_RUNS
) -> Iterator[Row]:
    starts = []
    for _ in range(COLD_RUNS):
        with Function(archive.data, environment) as function:
            function.start()
            starts.append(function.init_seconds)
    with Function(archive.data, environment) as function:
        first = function.invoke(event()).seconds
        began = function.cpu_seconds
        warm = [function.invoke(event()).seconds for _ in range(runs)]
        cpu = (function.cpu_seconds - began) / runs
        peak = function.peak_mb
    yield Row(archive.name, "package", len(archive.data) / 1024, "KB")
    yield Row(archive.name, "init", statistics.median(starts) * 1000, "ms")
    yield Row(archive.name, "first invocation", first * 1000, "ms")
    yield Row(archive.name, "warm invocation", statistics.median(warm) * 1000, "ms")
    yield Row(archive.name, "warm invocation, processor", cpu * 1000, "ms")
    if size := _memory_sizes().get(archive.name):
        yield Row(archive.name, f"the same at {size} MB", cpu * 1000 * MB_OF_ONE_PROCESSOR / size, "ms")
    yield Row(archive.name, "peak memory", peak, "MB")


def _log_processor(archive: Archive) -> Iterator[Row]:
    event, unpacked = _log_request()
    rows = list(_one(archive, {}, lambda: event, runs=3))
    yield from rows
    (seconds,) = (row.value / 1000 for row in rows if row.what == "warm invocation")
    yield Row(archive.name, "request", len(json.dumps(event)) / 1e6, "MB")
    yield Row(archive.name, "log in the request", unpacked / 1e6, "MB")
    yield Row(archive.name, "throughput", unpacked / 1e6 / seconds, "MB/s")


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
    return {"OUTPUT_TOPIC_ARN": topic, "NAME_PREFIX": "shop-bench", "ENVIRONMENT_NAME": "bench"}


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
    imports = "from pathlib import Path; from hosting.deployer.packaging.lambda_packages import archives"
    command = [sys.executable, "-c", f"{imports}; archives(Path({str(ROOT / 'lambda')!r}))"]
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
        sys.stdout.write(f"{row.subject:20}{row.what:45}{row.value:10.2f} {row.unit}\n")
