"""Path of a log line into the archive, on the emulator: log group, subscription, Firehose, log_processor, bucket.

The stream has the destination of the committed template, and so the prefix, extension and compression that will be
deployed. The emulator delivers each record at once as an object of its own. Firehose collects records.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from generator.resources.lambda_functions import RUNTIME
from hosting.deployer.packaging.lambda_packages import Archive
from tests.lambdas.test_log_processor import FLOW_LINES, JAPANESE, SLOW_QUERY
from tests.support.waiting import PATIENCE

Client = Callable[..., Any]
ARCHIVE = Path(__file__).resolve().parent.parent.parent / "templates" / "archive.json"
ROLE = "arn:aws:iam::123456789012:role/any"
GROUP, STREAM = "/ecs/shop-prod/backend", "app/app/0123456789abcdef"


class Archived:
    """The archive's resources, created one by one with the properties of the template."""

    def __init__(self, aws: Client, account: str, package: bytes) -> None:
        self.s3, self.logs = aws("s3"), aws("logs")
        self.bucket = f"archive-{account}"
        self.s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
        function = aws("lambda").create_function(
            FunctionName="log-processor",
            Runtime=RUNTIME,
            Role=ROLE,
            Handler="index.handler",
            Code={"ZipFile": package},
            Timeout=60,
            MemorySize=512,
            Environment={"Variables": {"REDACT": "all"}},
        )
        stream = aws("firehose").create_delivery_stream(
            DeliveryStreamName="archive",
            DeliveryStreamType="DirectPut",
            ExtendedS3DestinationConfiguration=self._destination(function["FunctionArn"]),
        )
        self.logs.create_log_group(logGroupName=GROUP)
        self.logs.create_log_stream(logGroupName=GROUP, logStreamName=STREAM)
        self.logs.put_subscription_filter(
            logGroupName=GROUP,
            filterName="archive",
            filterPattern="",
            destinationArn=stream["DeliveryStreamARN"],
            roleArn=ROLE,
        )

    def _destination(self, function_arn: str) -> dict[str, Any]:
        resources = json.loads(ARCHIVE.read_text(encoding="utf-8"))["Resources"]
        template = resources["ArchiveStream"]["Properties"]["ExtendedS3DestinationConfiguration"]
        kept = ("Prefix", "ErrorOutputPrefix", "CompressionFormat", "FileExtension", "CustomTimeZone", "BufferingHints")
        processors = template["ProcessingConfiguration"]["Processors"]
        for parameter in processors[0]["Parameters"]:
            if parameter["ParameterName"] == "LambdaArn":
                parameter["ParameterValue"] = function_arn
            parameter["ParameterValue"] = str(parameter["ParameterValue"])
        return {
            **{name: template[name] for name in kept},
            "RoleARN": ROLE,
            "BucketARN": f"arn:aws:s3:::{self.bucket}",
            "ProcessingConfiguration": {"Enabled": True, "Processors": processors},
        }

    def put(self, messages: list[str], start: int) -> None:
        events = [{"timestamp": start + number, "message": text} for number, text in enumerate(messages)]
        self.logs.put_log_events(logGroupName=GROUP, logStreamName=STREAM, logEvents=events)

    def lines(self, expected: int) -> list[dict[str, Any]]:
        """Return the lines of the archive as soon as it has the expected number."""
        deadline = time.monotonic() + PATIENCE
        while True:
            found = []
            for item in self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", []):
                assert item["Key"].startswith("logs/"), "nothing under errors/"
                assert item["Key"].endswith(".json.gz")
                packed = self.s3.get_object(Bucket=self.bucket, Key=item["Key"])["Body"].read()
                found += [json.loads(line) for line in gzip.decompress(packed).decode().split("\n")[:-1]]
            if len(found) >= expected or time.monotonic() > deadline:
                return sorted(found, key=lambda line: str(line["time"]))
            time.sleep(0.1)


@pytest.fixture
def archived(aws: Client, account: str, packaged: Mapping[str, Archive]) -> Archived:
    return Archived(aws, account, packaged["log_processor"].data)


def test_each_log_event_is_archived_as_one_line(archived: Archived) -> None:
    now = int(time.time()) * 1000
    plain = [*FLOW_LINES, SLOW_QUERY, JAPANESE, *(f"line {number} of many" for number in range(200))]
    secret = ["mail to taro@example.com", "Authorization: Bearer abc123DEF456"]
    archived.put(plain[:100], now)
    archived.put(plain[100:] + secret, now + 100)
    lines = archived.lines(len(plain) + len(secret))
    hidden = ["mail to [redacted:email]", "Authorization: Bearer [redacted:bearer]"]
    assert [line["message"] for line in lines] == plain + hidden
    assert {(line["group"], line["stream"]) for line in lines} == {(GROUP, STREAM)}
    milliseconds = [int(line["time"][20:23]) for line in lines]
    assert milliseconds == list(range(len(lines)))
