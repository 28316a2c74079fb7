"""Custom::SiteContent with CloudFormation's requests, a bucket on the emulator and a server for the responses."""

from __future__ import annotations

import io
import json
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from hosting.deployer.packaging.lambda_packages import Archive
from hosting.rehearsal.emulator import Emulator
from tests.lambdas.proxy import Proxy, Reply, Request
from tests.lambdas.proxy import stack as described
from tests.lambdas.runtime import Function, FunctionError, Interpreter
from tests.lambdas.sink import SECRET, Sink

Start = Callable[..., Function]
Client = Callable[..., Any]

PAGES = ("sorry/index.html", "static/index.html")


def request(sink: Sink, kind: str, bucket: str | None, **other: Any) -> dict[str, Any]:
    """Return a request (CloudFormation User Guide, Custom resource request objects). All properties are strings."""
    properties = {
        "ServiceToken": "arn:aws:lambda:ap-northeast-1:123456789012:function:tested",
        "ServiceTimeout": "300",
        "ContentHash": "lambda/custom_resource/0123.zip",
        "EmptyOnDelete": "true",
        "IndexPage": "static/index.html",
    }
    if bucket is not None:
        properties["BucketName"] = bucket
    event = {
        "RequestType": kind,
        "RequestId": "5f5c7d8e-0000-4000-8000-000000000000",
        "ResponseURL": sink.url,
        "ResourceType": "Custom::SiteContent",
        "LogicalResourceId": "SiteContent",
        "StackId": "arn:aws:cloudformation:ap-northeast-1:123456789012:stack/shop-dev-Distribution/0a1b",
        "ResourceProperties": properties | other.pop("properties", {}),
    }
    if kind != "Create":
        event["PhysicalResourceId"] = f"site-content:{bucket}"
    return event | other


@pytest.fixture
def stack(emulator: Emulator) -> Iterator[Proxy]:
    """CloudFormation. The resource's stack is being deleted unless a test sets another status."""
    with Proxy(emulator.endpoint) as proxy:
        proxy.always(described("DELETE_IN_PROGRESS"))
        yield proxy


@pytest.fixture
def endpoint(endpoint: Mapping[str, str], stack: Proxy) -> Mapping[str, str]:
    return {**endpoint, "AWS_ENDPOINT_URL_CLOUDFORMATION": stack.endpoint}


@pytest.fixture
def s3(aws: Client) -> Any:
    return aws("s3")


@pytest.fixture
def bucket(s3: Any, account: str) -> str:
    """A versioned bucket, as in the template."""
    name = f"site-content-{account}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


@pytest.fixture
def content(function: Start, endpoint: Mapping[str, str]) -> Function:
    return function("custom_resource", endpoint, pace=0.05)


def versions(s3: Any, bucket: str) -> list[str]:
    found = s3.list_object_versions(Bucket=bucket)
    return [item["Key"] for item in found.get("Versions", []) + found.get("DeleteMarkers", [])]


def the_answer(sink: Sink) -> dict[str, Any]:
    assert len(sink.received) == 1, "exactly one response"
    return sink.answers[0]


def test_create_writes_both_pages(content: Function, s3: Any, bucket: str, sink: Sink) -> None:
    event = request(sink, "Create", bucket)
    content.invoke(event)
    answer = the_answer(sink)
    assert answer == {
        "Status": "SUCCESS",
        "PhysicalResourceId": f"site-content:{bucket}",
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": "SiteContent",
        "NoEcho": False,
        "Data": {"Written": "2"},
    }
    for key in PAGES:
        page = s3.get_object(Bucket=bucket, Key=key)
        assert page["ContentType"] == "text/html; charset=utf-8"
        assert page["CacheControl"] == "max-age=0, s-maxage=60, must-revalidate"
        assert page["Body"].read().startswith(b"<!DOCTYPE html>")


def test_the_index_page_is_at_the_static_path_of_the_project(
    content: Function, s3: Any, bucket: str, sink: Sink
) -> None:
    content.invoke(request(sink, "Create", bucket, properties={"IndexPage": ""}))
    content.invoke(request(sink, "Update", bucket, properties={"IndexPage": "assets/index.html"}))
    assert [answer["Data"]["Written"] for answer in sink.answers] == ["1", "1"]
    assert sorted(versions(s3, bucket)) == ["assets/index.html", "sorry/index.html"]


def test_the_response_is_a_put_to_the_unchanged_presigned_url(content: Function, bucket: str, sink: Sink) -> None:
    content.invoke(request(sink, "Create", bucket))
    (received,) = sink.received
    assert received.method == "PUT"
    assert sink.url.endswith(received.path), "the signature covers path and query, percent signs included"
    assert received.headers["Content-Type"] == ""
    assert len(received.body) == int(received.headers["Content-Length"])


def test_the_presigned_url_is_never_logged(content: Function, bucket: str, sink: Sink) -> None:
    sink.plan = ["drop", 503, 200]
    logs = content.invoke(request(sink, "Create", bucket)).logs
    sink.plan = [403]
    with pytest.raises(FunctionError) as failed:
        content.invoke(request(sink, "Update", bucket))
    texts = [logs, str(failed.value)]
    for bad in (
        f"http://127.0.0.1:1 /?{SECRET}",
        f"http://[/{SECRET}",
        f"http://127.0.0.1:1/日/{SECRET}",
        f"ftp://127.0.0.1/{SECRET}",
        f"/{SECRET}",
    ):
        with pytest.raises(FunctionError) as broken:
            content.invoke(request(sink, "Update", bucket, ResponseURL=bad))
        texts.append(str(broken.value))
    for text in texts:
        assert "attempt" in text
        assert SECRET not in text


def test_an_update_with_the_same_content_writes_nothing(content: Function, s3: Any, bucket: str, sink: Sink) -> None:
    content.invoke(request(sink, "Create", bucket))
    content.invoke(request(sink, "Update", bucket, properties={"EmptyOnDelete": "false"}))
    assert sink.answers[1]["Data"]["Written"] == "0"
    assert sorted(versions(s3, bucket)) == list(PAGES), "one version each"


def test_an_update_replaces_pages_of_an_older_version(content: Function, s3: Any, bucket: str, sink: Sink) -> None:
    s3.put_object(Bucket=bucket, Key=PAGES[0], Body=b"old", Metadata={"site-content-sha256": "0" * 64})
    content.invoke(request(sink, "Update", bucket))
    assert the_answer(sink)["Data"]["Written"] == "2"
    assert b"old" not in s3.get_object(Bucket=bucket, Key=PAGES[0])["Body"].read()


def test_a_page_that_a_user_uploaded_is_not_replaced(content: Function, s3: Any, bucket: str, sink: Sink) -> None:
    s3.put_object(Bucket=bucket, Key="static/index.html", Body=b"the real site")
    content.invoke(request(sink, "Update", bucket))
    assert the_answer(sink)["Data"]["Written"] == "1"
    assert s3.get_object(Bucket=bucket, Key="static/index.html")["Body"].read() == b"the real site"


def test_a_deleted_sorry_page_is_restored_and_a_deleted_index_page_is_not(
    content: Function, s3: Any, bucket: str, sink: Sink
) -> None:
    content.invoke(request(sink, "Create", bucket))
    for key in PAGES:
        s3.delete_object(Bucket=bucket, Key=key)
    content.invoke(request(sink, "Update", bucket))
    assert sink.answers[1]["Data"]["Written"] == "1"
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["sorry/index.html"]


def test_another_bucket_is_another_resource(content: Function, s3: Any, bucket: str, sink: Sink) -> None:
    """CloudFormation then deletes the old resource with its old properties."""
    successor = f"{bucket}-2"
    s3.create_bucket(Bucket=successor, CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
    event = request(sink, "Update", successor) | {"PhysicalResourceId": f"site-content:{bucket}"}
    content.invoke(event)
    assert the_answer(sink)["PhysicalResourceId"] == f"site-content:{successor}"


def test_delete_deletes_all_versions_and_delete_markers(content: Function, s3: Any, bucket: str, sink: Sink) -> None:
    content.invoke(request(sink, "Create", bucket))
    for number in range(1005):
        s3.put_object(Bucket=bucket, Key=f"static/{number % 40}.txt", Body=str(number).encode())
    for number in range(5):
        s3.delete_object(Bucket=bucket, Key=f"static/{number}.txt")
    content.invoke(request(sink, "Delete", bucket))
    answer = sink.answers[1]
    assert (answer["Status"], answer["Data"]) == ("SUCCESS", {"Deleted": "1012"})
    assert versions(s3, bucket) == []
    s3.delete_bucket(Bucket=bucket)


@pytest.mark.parametrize("allowed", ["false", "", "True", "yes", None])
def test_delete_keeps_all_objects_unless_empty_on_delete_is_true(
    content: Function, s3: Any, bucket: str, sink: Sink, allowed: str | None
) -> None:
    content.invoke(request(sink, "Create", bucket))
    event = request(sink, "Delete", bucket, properties={"EmptyOnDelete": allowed})
    if allowed is None:
        del event["ResourceProperties"]["EmptyOnDelete"]
    content.invoke(event)
    assert sink.answers[1]["Status"] == "SUCCESS"
    assert sorted(versions(s3, bucket)) == list(PAGES)


@pytest.mark.parametrize(
    "status",
    [
        "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        "UPDATE_ROLLBACK_IN_PROGRESS",
    ],
)
def test_delete_keeps_all_objects_unless_the_stack_is_deleted(
    content: Function, s3: Any, bucket: str, sink: Sink, stack: Proxy, status: str
) -> None:
    content.invoke(request(sink, "Create", bucket))
    stack.always(described(status))
    logs = content.invoke(request(sink, "Delete", bucket)).logs
    assert (sink.answers[1]["Status"], sink.answers[1]["Data"]) == ("SUCCESS", {"Deleted": "0"})
    assert f"the bucket is not emptied: the stack is in {status}" in logs
    assert sorted(versions(s3, bucket)) == list(PAGES)


def test_delete_after_a_failed_creation_of_the_stack_empties_the_bucket(
    content: Function, s3: Any, bucket: str, sink: Sink, stack: Proxy
) -> None:
    content.invoke(request(sink, "Create", bucket))
    stack.always(described("ROLLBACK_IN_PROGRESS"))
    content.invoke(request(sink, "Delete", bucket))
    assert versions(s3, bucket) == []


def cloudformation_error(code: str) -> Reply:
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>because</Message></Error>"
    return Reply(403, f"<ErrorResponse>{error}<RequestId>1</RequestId></ErrorResponse>".encode(), "text/xml")


@pytest.mark.parametrize("code", ["AccessDenied", "ValidationError"])
def test_delete_keeps_all_objects_when_describe_stacks_fails(
    content: Function, s3: Any, bucket: str, sink: Sink, stack: Proxy, code: str
) -> None:
    content.invoke(request(sink, "Create", bucket))
    stack.always(cloudformation_error(code))
    content.invoke(request(sink, "Delete", bucket))
    assert sink.answers[1]["Status"] == "FAILED"
    assert code in sink.answers[1]["Reason"]
    assert sorted(versions(s3, bucket)) == list(PAGES)


@pytest.mark.parametrize(
    ("status", "left"), [("ROLLBACK_IN_PROGRESS", 0), ("UPDATE_ROLLBACK_IN_PROGRESS", 1), (None, 1)]
)
def test_pages_of_a_failed_creation_are_deleted_only_with_their_stack(
    function: Start,
    endpoint: Mapping[str, str],
    s3: Any,
    bucket: str,
    sink: Sink,
    stack: Proxy,
    proxied: Proxy,
    status: str | None,
    left: int,
) -> None:
    """A rollback must not fail because the bucket has one page, and must not empty a bucket that the stack keeps."""

    def answer(request: Request, forward: Callable[[], Reply]) -> Reply:
        return DENIED if request.method == "PUT" and request.path.endswith(PAGES[1]) else forward()

    proxied.answer = answer
    content = function("custom_resource", {**endpoint, "AWS_ENDPOINT_URL": proxied.endpoint})
    content.invoke(request(sink, "Create", bucket))
    assert sink.answers[0]["Status"] == "FAILED"
    assert versions(s3, bucket) == [PAGES[0]]
    stack.always(described(status) if status else cloudformation_error("AccessDenied"))
    content.invoke(request(sink, "Delete", bucket, PhysicalResourceId=sink.answers[0]["PhysicalResourceId"]))
    assert sink.answers[1]["Status"] == "SUCCESS"
    assert len(versions(s3, bucket)) == left


def test_delete_after_a_failed_creation_succeeds_also_when_all_calls_are_denied(
    function: Start, endpoint: Mapping[str, str], bucket: str, sink: Sink, proxied: Proxy
) -> None:
    proxied.always(DENIED)
    content = function("custom_resource", {**endpoint, "AWS_ENDPOINT_URL": proxied.endpoint})
    content.invoke(request(sink, "Create", bucket))
    assert sink.answers[0]["Status"] == "FAILED"
    content.invoke(request(sink, "Delete", bucket, PhysicalResourceId=sink.answers[0]["PhysicalResourceId"]))
    assert sink.answers[1]["Status"] == "SUCCESS"


def test_delete_succeeds_without_the_bucket_and_after_a_failed_create(
    content: Function, s3: Any, bucket: str, sink: Sink
) -> None:
    content.invoke(request(sink, "Delete", "gone-already"))
    assert sink.answers[0]["Status"] == "SUCCESS"
    # A Create that responded FAILED, and one whose response CloudFormation never received.
    content.invoke(request(sink, "Create", None))
    failed = sink.answers[1]
    assert failed["Status"] == "FAILED"
    assert "BucketName is missing" in failed["Reason"]
    content.invoke(request(sink, "Delete", None, PhysicalResourceId=failed["PhysicalResourceId"]))
    assert sink.answers[2]["Status"] == "SUCCESS"
    s3.put_object(Bucket=bucket, Key="static/x", Body=b"")
    content.invoke(request(sink, "Delete", bucket, PhysicalResourceId="shop-dev-SiteContent-1ABC2DEF3GHI"))
    answer = sink.answers[3]
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "shop-dev-SiteContent-1ABC2DEF3GHI")
    assert versions(s3, bucket) == []


def test_a_failed_update_keeps_the_physical_id(content: Function, sink: Sink) -> None:
    content.invoke(request(sink, "Update", "no-such-bucket-here"))
    answer = the_answer(sink)
    assert answer["Status"] == "FAILED"
    assert answer["PhysicalResourceId"] == "site-content:no-such-bucket-here"
    assert "NoSuchBucket" in answer["Reason"]
    assert "/aws/lambda/tested" in answer["Reason"], "the reason has the place of the log"


@pytest.mark.parametrize(
    "change",
    [
        {"RequestType": "Recreate"},
        {"ResourceProperties": None},
        {"ResourceProperties": ["not", "an", "object"]},
        {"ResourceProperties": {"BucketName": {"not": "a string"}}},
        {"ResourceProperties": {"BucketName": "in/valid name " * 200}},
        {"ResourceProperties": {"BucketName": "不正" * 2000}},
    ],
    ids=["type", "none", "list", "object", "long", "japanese"],
)
def test_the_response_to_any_request_has_at_most_4096_bytes(
    content: Function, sink: Sink, change: dict[str, Any]
) -> None:
    content.invoke(request(sink, "Create", "x") | change)
    assert the_answer(sink)["Status"] == "FAILED"
    assert len(sink.received[0].body) <= 4096
    assert the_answer(sink)["Reason"]


DENIED = Reply(403, b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
SOME_DENIED = Reply(
    200,
    b'<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Error><Key>static/x</Key>'
    b"<Code>AccessDenied</Code><Message>Access Denied</Message></Error></DeleteResult>",
)


@pytest.mark.parametrize("refused", ["GET", "POST"], ids=["the listing", "single deletions"])
def test_a_refused_call_is_reported_to_cloudformation(
    function: Start, endpoint: Mapping[str, str], s3: Any, bucket: str, sink: Sink, proxied: Proxy, refused: str
) -> None:
    def answer(request: Request, forward: Callable[[], Reply]) -> Reply:
        if request.method != refused:
            return forward()
        # DeleteObjects itself succeeds. Its reply contains the refusals.
        return SOME_DENIED if refused == "POST" else DENIED

    proxied.answer = answer
    s3.put_object(Bucket=bucket, Key="static/x", Body=b"")
    content = function("custom_resource", {**endpoint, "AWS_ENDPOINT_URL": proxied.endpoint})
    content.invoke(request(sink, "Delete", bucket))
    assert the_answer(sink)["Status"] == "FAILED"
    assert "AccessDenied" in the_answer(sink)["Reason"]
    assert versions(s3, bucket) == ["static/x"]


def test_a_bug_is_reported_to_cloudformation(packaged: Mapping[str, Archive], python: Interpreter, sink: Sink) -> None:
    """In the worst case the module that handles the request cannot be imported."""
    target = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(packaged["custom_resource"].data)) as source,
        zipfile.ZipFile(target, "w") as broken,
    ):
        for name in source.namelist():
            broken.writestr(name, "1 / 0" if name == "content.py" else source.read(name))
    with Function(target.getvalue(), {}, python=python) as content:
        content.invoke(request(sink, "Delete", "any"))
    assert the_answer(sink)["Status"] == "FAILED"
    assert the_answer(sink)["Reason"].startswith("ZeroDivisionError: division by zero (log: /aws/lambda/tested ")


def test_a_call_without_a_reply_is_reported_before_the_deadline(
    function: Start, endpoint: Mapping[str, str], bucket: str, sink: Sink, proxied: Proxy
) -> None:
    def answer(request: Request, forward: Callable[[], Reply]) -> Reply:
        proxied.released.wait(60)
        return DENIED

    proxied.answer = answer
    content = function("custom_resource", {**endpoint, "AWS_ENDPOINT_URL": proxied.endpoint}, timeout=7)
    with pytest.raises(FunctionError) as failed:
        content.invoke(request(sink, "Create", bucket))
    assert failed.value.kind == "Sandbox.Timedout"
    assert the_answer(sink)["Status"] == "FAILED"
    assert "ran out of time" in the_answer(sink)["Reason"]


def test_a_bucket_too_large_for_one_invocation_is_reported_and_the_next_one_continues(
    function: Start, endpoint: Mapping[str, str], s3: Any, bucket: str, sink: Sink
) -> None:
    for number in range(3):
        s3.put_object(Bucket=bucket, Key=f"static/{number}", Body=b"")
    content = function("custom_resource", endpoint)
    content.invoke(request(sink, "Create", bucket))
    # The function is warm. Six seconds are less than the margin for the response and the next step.
    content.timeout = 6
    content.invoke(request(sink, "Delete", bucket))
    assert sink.answers[1]["Status"] == "FAILED"
    assert "delete the stack again" in sink.answers[1]["Reason"]
    content.timeout = 30
    content.invoke(request(sink, "Delete", bucket))
    assert sink.answers[2]["Status"] == "SUCCESS"
    assert versions(s3, bucket) == []


@pytest.mark.parametrize("plan", [["drop"], [500, 503], ["drop", 500, "drop", 502]], ids=str)
def test_a_bad_connection_only_delays_the_response(
    content: Function, bucket: str, sink: Sink, plan: list[str | int]
) -> None:
    sink.plan = list(plan)
    content.invoke(request(sink, "Create", bucket))
    assert the_answer(sink)["Status"] == "SUCCESS"
    assert sink.connections == len(plan) + 1


def test_a_refused_connection_is_retried(content: Function, bucket: str, sink: Sink) -> None:
    content.start()
    sink.refuse()

    def open_after_the_first_refusal() -> None:
        while "ConnectionRefusedError" not in content.log:
            time.sleep(0.01)
        sink.open()

    threading.Thread(target=open_after_the_first_refusal, daemon=True).start()
    content.invoke(request(sink, "Create", bucket))
    assert the_answer(sink)["Status"] == "SUCCESS"


def test_a_response_that_is_not_delivered_fails_the_invocation_so_that_lambda_retries(
    content: Function, s3: Any, bucket: str, sink: Sink
) -> None:
    sink.plan = ["drop"] * 5
    with pytest.raises(FunctionError) as failed:
        content.invoke(request(sink, "Create", bucket))
    assert failed.value.kind == "NotDeliveredError"
    assert failed.value.logs.count("attempt ") == 5
    content.invoke(request(sink, "Create", bucket))
    assert the_answer(sink)["Status"] == "SUCCESS"
    assert sorted(versions(s3, bucket)) == list(PAGES), "the second invocation writes no page again"


def test_an_expired_url_is_not_retried(content: Function, bucket: str, sink: Sink) -> None:
    sink.plan = [403]
    with pytest.raises(FunctionError) as failed:
        content.invoke(request(sink, "Create", bucket))
    assert failed.value.kind == "NotDeliveredError"
    assert sink.connections == 1


def test_a_server_that_never_replies_does_not_delay_the_function_beyond_its_timeout(
    function: Start, endpoint: Mapping[str, str], bucket: str, sink: Sink
) -> None:
    content = function("custom_resource", endpoint)
    content.invoke(request(sink, "Create", bucket))
    sink.plan = ["stall"] * 9
    content.timeout = 9
    with pytest.raises(FunctionError) as failed:
        content.invoke(request(sink, "Update", bucket))
    assert failed.value.kind == "NotDeliveredError"


def test_properties_do_not_reach_the_log(content: Function, bucket: str, sink: Sink) -> None:
    logs = content.invoke(request(sink, "Create", bucket, properties={"Extra": "a-value"})).logs
    assert "a-value" not in logs
    assert "Create of SiteContent" in logs
    for line in filter(None, logs.splitlines()):
        json.loads(line)
