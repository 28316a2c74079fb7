"""Custom::SiteContent as a resource of a stack on the emulator, when the resource or its stack is deleted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from generator.resources.lambda_functions import RUNTIME
from hosting.deployer.packaging.lambda_packages import Archive

Client = Callable[..., Any]
ROLE = "arn:aws:iam::123456789012:role/any"
STACK = "shop-dev-Distribution"
UPLOADED = "static/uploaded.txt"


class Site:
    """A stack of a bucket and, under any logical id, its content."""

    def __init__(self, aws: Client, account: str, package: bytes) -> None:
        self._cloudformation, self._s3 = aws("cloudformation"), aws("s3")
        self._bucket = f"site-{account}"
        self._function = aws("lambda").create_function(
            FunctionName="site-content",
            Runtime=RUNTIME,
            Role=ROLE,
            Handler="index.handler",
            Code={"ZipFile": package},
            Timeout=60,
        )["FunctionArn"]

    def _template(self, content: str | None) -> str:
        bucket = {
            "Type": "AWS::S3::Bucket",
            "Properties": {"BucketName": self._bucket, "VersioningConfiguration": {"Status": "Enabled"}},
        }
        properties = {
            "ServiceToken": self._function,
            "ServiceTimeout": 60,
            "BucketName": {"Ref": "Bucket"},
            "ContentHash": "1",
            "EmptyOnDelete": "true",
            "IndexPage": "static/index.html",
        }
        added = {content: {"Type": "Custom::SiteContent", "Properties": properties}} if content else {}
        return json.dumps({"Resources": {"Bucket": bucket, **added}})

    def create(self) -> None:
        self._cloudformation.create_stack(StackName=STACK, TemplateBody=self._template("SiteContent"))
        self._until("stack_create_complete")
        self._s3.put_object(Bucket=self._bucket, Key=UPLOADED, Body=b"of a user")

    def update(self, content: str | None) -> None:
        self._cloudformation.update_stack(StackName=STACK, TemplateBody=self._template(content))
        self._until("stack_update_complete")

    def delete(self) -> None:
        self._cloudformation.delete_stack(StackName=STACK)
        self._until("stack_delete_complete")

    def _until(self, waiter: str) -> None:
        self._cloudformation.get_waiter(waiter).wait(StackName=STACK, WaiterConfig={"Delay": 1, "MaxAttempts": 60})

    @property
    def keys(self) -> set[str]:
        return {item["Key"] for item in self._s3.list_objects_v2(Bucket=self._bucket).get("Contents", [])}

    @property
    def buckets(self) -> list[str]:
        return [bucket["Name"] for bucket in self._s3.list_buckets()["Buckets"]]


PAGES = {"sorry/index.html", "static/index.html"}


@pytest.fixture
def site(aws: Client, account: str, packaged: Mapping[str, Archive]) -> Site:
    created = Site(aws, account, packaged["custom_resource"].data)
    created.create()
    assert created.keys == PAGES | {UPLOADED}
    return created


def test_the_bucket_is_emptied_when_its_stack_is_deleted(site: Site) -> None:
    site.delete()
    assert site.buckets == []


def test_the_site_keeps_its_content_when_the_resource_is_removed_from_the_stack(site: Site) -> None:
    site.update(None)
    assert site.keys == PAGES | {UPLOADED}


def test_the_site_keeps_its_content_when_the_resource_is_renamed(site: Site) -> None:
    """CloudFormation first creates the new resource, then deletes the old one. Both have the same bucket."""
    site.update("Pages")
    assert site.keys == PAGES | {UPLOADED}
    site.delete()
    assert site.buckets == []
