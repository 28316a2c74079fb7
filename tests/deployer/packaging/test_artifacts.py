"""Artifacts: which ones a template needs, their keys, and that none is uploaded twice."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from hosting.deployer.packaging import artifacts
from hosting.deployer.packaging.artifacts import Artifact
from hosting.model import templates
from hosting.model.errors import InputError


def test_a_template_needs_what_its_parameters_name(project: Path) -> None:
    loaded = templates.load(project / "templates")
    found = artifacts.collect_artifacts(loaded, ["root.json", "edge.json"], project / "lambda")
    assert [item.parameter for item in found["root.json"]] == [
        "NetworkTemplateKey",
        "OperationsTemplateKey",
        "HelloCodeKey",
        "WorkloadTemplates",
    ]
    assert found["edge.json"] == ()
    keys = {item.parameter: item.key for item in found["root.json"]}
    network, frontend = (
        hashlib.sha256((project / "templates" / name).read_bytes()).hexdigest()[:32]
        for name in ("network.json", "workload-frontend.json")
    )
    assert keys["NetworkTemplateKey"] == f"templates/network/{network}.json"
    assert keys["WorkloadTemplates"] == f"templates/workload-frontend/{frontend}.json"
    assert artifacts.parameter_values(found["root.json"])["WorkloadTemplates"] == frontend
    assert keys["HelloCodeKey"].startswith("lambda/hello/")


def test_everything_that_cannot_be_packaged_is_named(project: Path) -> None:
    (project / "lambda" / "hello" / "index.py").unlink()
    (project / "lambda" / "hello").rmdir()
    (project / "templates" / "network.json").unlink()
    loaded = templates.load(project / "templates")
    with pytest.raises(InputError) as caught:
        artifacts.collect_artifacts(loaded, ["root.json"], project / "lambda")
    text = str(caught.value)
    assert "NetworkTemplateKey refers to network.json, which does not exist" in text
    assert "hello" in text


@pytest.mark.parametrize(
    ("pascal", "kebab", "snake"),
    [("Network", "network", "network"), ("EdgeMonitoring", "edge-monitoring", "edge_monitoring")],
)
def test_file_names_follow_from_parameter_names(pascal: str, kebab: str, snake: str) -> None:
    assert templates.kebab(pascal) == kebab
    assert templates.snake(pascal) == snake


def test_an_artifact_is_uploaded_once(aws: Callable[..., Any]) -> None:
    client = aws("s3")
    client.create_bucket(Bucket="artifacts", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
    items = [Artifact("A", "a/1", b"one"), Artifact("B", "b/2", b"two"), Artifact("C", "a/1", b"one")]
    first = {item.key: item.uploaded for item in artifacts.upload_artifacts(client, "artifacts", items)}
    second = {item.key: item.uploaded for item in artifacts.upload_artifacts(client, "artifacts", items)}
    assert first == {"a/1": True, "b/2": True}
    assert second == {"a/1": False, "b/2": False}
    assert client.get_object(Bucket="artifacts", Key="b/2")["Body"].read() == b"two"


@pytest.mark.parametrize("answer", [404, 403], ids=["absent", "absent, without the right to list"])
@pytest.mark.parametrize(
    ("refused", "uploaded"), [(False, True), (True, False)], ids=["ours", "another client was faster"]
)
def test_the_conditional_upload_decides_without_list_permission(answer: int, refused: bool, uploaded: bool) -> None:
    session = boto3.Session(aws_access_key_id="x", aws_secret_access_key="x", region_name="eu-west-1")
    client = session.client("s3")
    with Stubber(client) as stub:
        stub.add_client_error("head_object", str(answer), http_status_code=answer)
        if refused:
            stub.add_client_error("put_object", "PreconditionFailed", http_status_code=412)
        else:
            checksum = base64.b64encode(hashlib.sha256(b"x").digest()).decode()
            expected = {"Bucket": "b", "Key": "k", "Body": b"x", "IfNoneMatch": "*", "ChecksumSHA256": checksum}
            stub.add_response("put_object", {}, expected)
        (done,) = artifacts.upload_artifacts(client, "b", [Artifact("", "k", b"x")])
    assert done.uploaded is uploaded


def test_an_upload_that_conflicts_with_another_one_is_retried() -> None:
    session = boto3.Session(aws_access_key_id="x", aws_secret_access_key="x", region_name="eu-west-1")
    client = session.client("s3")
    with Stubber(client) as stub:
        stub.add_client_error("head_object", "404", http_status_code=404)
        stub.add_client_error("put_object", "ConditionalRequestConflict", http_status_code=409)
        stub.add_client_error("put_object", "PreconditionFailed", http_status_code=412)
        (done,) = artifacts.upload_artifacts(client, "b", [Artifact("", "k", b"x")])
        stub.assert_no_pending_responses()
    assert not done.uploaded


def test_templates_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no templates here; run `deploy"):
        templates.load(tmp_path)
    (tmp_path / "root.json").write_text("{\n  nonsense")
    with pytest.raises(InputError, match=r"root\.json:2:3"):
        templates.load(tmp_path)


def test_the_address_of_a_template() -> None:
    assert artifacts.create_url("b", "eu-west-1", "amazonaws.com", "k") == "https://b.s3.eu-west-1.amazonaws.com/k"


def test_a_long_template_is_sent_without_its_spaces_before_it_needs_a_bucket() -> None:
    def template(items: int, indent: int | None) -> templates.Template:
        body = {"Resources": {f"Topic{number:05}": {"Type": "AWS::SNS::Topic"} for number in range(items)}}
        return templates.Template("bootstrap.json", json.dumps(body, indent=indent))

    short, spaced, long = template(10, 1), template(1000, 8), template(2000, 1)
    assert short.inline == short.text
    assert spaced.inline is not None
    assert len(spaced.data) > templates.BODY_LIMIT >= len(spaced.inline)
    assert json.loads(spaced.inline) == spaced.body
    assert long.inline is None
