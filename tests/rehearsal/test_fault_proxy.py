"""Fault proxy: the names of requests, and the effects of each fault on the SDK and the emulator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore import exceptions as botocore
from botocore.config import Config

from hosting.rehearsal.emulator import Emulator
from hosting.rehearsal.fault_proxy import EFFECTIVE, Fault, FaultProxy, FaultRule
from hosting.rehearsal.request_names import identify


@pytest.fixture
def proxy(emulator: Emulator) -> Iterator[FaultProxy]:
    with FaultProxy(emulator.endpoint) as running:
        yield running


@pytest.fixture
def client(proxy: FaultProxy, account: str, sdk: Any) -> Callable[..., Any]:
    def make(service: str, attempts: int = 1, patience: float = 20) -> Any:
        return sdk.client(
            service,
            region_name="us-east-1",
            endpoint_url=proxy.endpoint,
            aws_access_key_id=account,
            aws_secret_access_key="not-a-secret",
            config=Config(retries={"total_max_attempts": attempts, "mode": "standard"}, read_timeout=patience),
        )

    return make


SIGNED = "AWS4-HMAC-SHA256 Credential=123456789012/20260101/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=x"


@pytest.mark.parametrize(
    ("service", "method", "target", "headers", "body", "name"),
    [
        ("acm", "POST", "/", {"X-Amz-Target": "CertificateManager.ListCertificates"}, b"{}", "ListCertificates"),
        ("sts", "POST", "/", {"Content-Type": "application/x-www-form-urlencoded"}, b"Action=Get&Version=1", "Get"),
        ("s3", "PUT", "/bucket/a/b.json", {}, b"x", "PutObject"),
        ("s3", "PUT", "/bucket/a/b.json", {"x-amz-copy-source": "c/d"}, b"", "CopyObject"),
        ("s3", "PUT", "/bucket/a?partNumber=1&uploadId=2", {}, b"x", "UploadPart"),
        ("s3", "HEAD", "/bucket/a%20b", {}, b"", "HeadObject"),
        ("s3", "HEAD", "/bucket", {}, b"", "HeadBucket"),
        ("s3", "GET", "/bucket?list-type=2&prefix=a", {}, b"", "ListObjectsV2"),
        ("s3", "GET", "/bucket?versions", {}, b"", "ListObjectVersions"),
        ("s3", "DELETE", "/bucket/key", {}, b"", "DeleteObject"),
        ("cloudfront", "GET", "/2020-05-31/distribution/E1", {}, b"", "GetDistribution"),
        ("cloudfront", "POST", "/2020-05-31/distribution/E1/invalidation", {}, b"", "CreateInvalidation"),
        ("nothing", "GET", "/somewhere", {}, b"", "GET /somewhere"),
    ],
)
def test_each_request_has_the_name_of_its_operation(
    service: str, method: str, target: str, headers: dict[str, str], body: bytes, name: str
) -> None:
    call = identify(method, target, {**headers, "Authorization": SIGNED.format(service)}, body)
    assert (call.account, call.region, call.name) == ("123456789012", "us-east-1", f"{service}:{name}")


def test_reads_and_writes_are_distinguished() -> None:
    def writes(method: str, target: str) -> bool:
        return identify(method, target, {"Authorization": SIGNED.format("s3")}, b"").writes

    assert writes("PUT", "/bucket/key")
    assert not writes("HEAD", "/bucket/key")


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.LAG])
def test_each_fault_reaches_the_sdk_and_only_some_the_emulator(
    fault: Fault, proxy: FaultProxy, client: Callable[..., Any], account: str, aws: Callable[..., Any]
) -> None:
    expected: dict[Fault, tuple[type[Exception], str]] = {
        Fault.THROTTLE: (botocore.ClientError, "Throttling"),
        Fault.ERROR_500: (botocore.ClientError, "InternalFailure"),
        Fault.ERROR_503: (botocore.ClientError, "ServiceUnavailable"),
        Fault.RESET: (botocore.ConnectionClosedError, "closed"),
        Fault.LOSE: (botocore.ConnectionClosedError, "closed"),
        Fault.HANG: (botocore.ReadTimeoutError, "timeout"),
        Fault.WITHHOLD: (botocore.ReadTimeoutError, "timeout"),
        Fault.TRUNCATE: (Exception, "Unable to parse response"),
    }
    kind, words = expected[fault]
    with proxy.injecting(FaultRule(fault, account, "sns:CreateTopic")) as rule, pytest.raises(Exception) as caught:  # noqa: PT011 - the test checks the type below
        client("sns", patience=0.5 if "timeout" in words else 20).create_topic(Name="topic")
    assert rule.reached.is_set()
    assert isinstance(caught.value, kind)
    assert words in str(caught.value)
    made = aws("sns", "us-east-1").list_topics()["Topics"]
    assert len(made) == (1 if fault in EFFECTIVE else 0)


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "code"),
    [
        ("cloudformation", "list_stacks", {}, "Throttling"),
        ("ec2", "describe_vpcs", {}, "RequestLimitExceeded"),
        ("ecs", "list_clusters", {}, "ThrottlingException"),
        ("s3", "list_buckets", {}, "SlowDown"),
        ("cloudfront", "list_distributions", {}, "Throttling"),
        ("chatbot", "describe_slack_workspaces", {}, "ThrottlingException"),
    ],
)
def test_a_throttled_call_has_the_error_code_of_its_service(
    service: str,
    operation: str,
    arguments: dict[str, str],
    code: str,
    proxy: FaultProxy,
    client: Callable[..., Any],
    account: str,
) -> None:
    with proxy.injecting(FaultRule(Fault.THROTTLE, account)), pytest.raises(botocore.ClientError) as caught:
        getattr(client(service), operation)(**arguments)
    assert caught.value.response["Error"]["Code"] == code


def test_the_sdk_retries_a_throttled_call(proxy: FaultProxy, client: Callable[..., Any], account: str) -> None:
    with proxy.injecting(FaultRule(Fault.THROTTLE, account)):
        client("ecs", attempts=2).list_clusters()
    assert [call.name for call in proxy.calls_by(account)] == ["ecs:ListClusters"] * 2


def test_a_fault_affects_only_the_nth_call_of_one_account(
    proxy: FaultProxy, client: Callable[..., Any], account: str
) -> None:
    sts = client("sts")
    with proxy.injecting(FaultRule(Fault.RESET, account, "sts:GetCallerIdentity", nth=2)):
        sts.get_caller_identity()
        with pytest.raises(botocore.ConnectionClosedError):
            sts.get_caller_identity()
        sts.get_caller_identity()
    with proxy.injecting(FaultRule(Fault.RESET, "another account")):
        sts.get_caller_identity()


def test_an_outage_affects_all_calls_until_it_ends(proxy: FaultProxy, client: Callable[..., Any], account: str) -> None:
    with proxy.injecting(FaultRule(Fault.RESET, account, "sts:GetCallerIdentity", lasting=True)):
        client("s3").list_buckets()
        for call in (client("sts").get_caller_identity, client("s3").list_buckets):
            with pytest.raises(botocore.ConnectionClosedError):
                call()
    client("s3").list_buckets()


def test_a_lagging_read_returns_the_previous_reply(proxy: FaultProxy, client: Callable[..., Any], account: str) -> None:
    sns = client("sns")

    def names() -> list[str]:
        return [topic["TopicArn"].rpartition(":")[2] for topic in sns.list_topics()["Topics"]]

    with proxy.injecting(FaultRule(Fault.LAG, account, "sns:ListTopics")) as rule:
        assert names() == []
        sns.create_topic(Name="a")
        assert not rule.reached.is_set()
        assert (names(), names()) == ([], ["a"])
        assert rule.reached.is_set()
    assert names() == ["a"]


def test_requests_without_a_fault_pass_unchanged(
    proxy: FaultProxy, client: Callable[..., Any], account: str, aws: Callable[..., Any]
) -> None:
    direct, s3 = aws("s3", "us-east-1"), client("s3")
    s3.create_bucket(Bucket=f"bucket-{account}")
    s3.put_object(
        Bucket=f"bucket-{account}", Key="a b/c.bin", Body=bytes(range(256)) * 5000, ChecksumAlgorithm="SHA256"
    )
    stored = direct.get_object(Bucket=f"bucket-{account}", Key="a b/c.bin")["Body"].read()
    assert (
        s3.get_object(Bucket=f"bucket-{account}", Key="a b/c.bin")["Body"].read() == stored == bytes(range(256)) * 5000
    )
    with pytest.raises(botocore.ClientError, match="404"):
        s3.head_object(Bucket=f"bucket-{account}", Key="missing")
