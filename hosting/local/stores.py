"""Buckets, queues and volumes of an environment on this machine.

An emulator of S3 and SQS serves buckets and queues. A volume is a folder. Objects and files remain from one run to the
next, messages do not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hosting.analysis.resolve import ResolvedEnvironment, Resource
from hosting.local.errors import LocalError

if TYPE_CHECKING:
    from hosting.rehearsal.emulator import Emulator

BUCKET, QUEUE = "AWS::S3::Bucket", "AWS::SQS::Queue"
_STACK = "root/StoresStack"
# The name and port under which a container reaches the emulator.
HOST, PORT = "stores.internal", 4566


class LocalStores:
    """The buckets and queues of an environment. ``folder`` keeps the objects of the buckets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._emulator: Emulator | None = None
        self._made: set[str] = set()

    @property
    def address(self) -> tuple[str, int] | None:
        """The address of the emulator on this machine; None if the environment has neither bucket nor queue."""
        if self._emulator is None:
            return None
        host, port = self._emulator.endpoint.removeprefix("http://").split(":")
        return host, int(port)

    def start(self, resolved: ResolvedEnvironment) -> None:
        """Start the emulator if the environment has buckets or queues, and create those that do not exist yet."""
        from hosting.rehearsal.emulator import Emulator
        from hosting.rehearsal.errors import EmulatorError

        stores = [item for item in resolved.of_type(BUCKET, QUEUE) if item.stack == _STACK]
        if not stores:
            return
        if self._emulator is None:
            self._emulator = Emulator(objects=self.folder)
            try:
                self._emulator.start()
            except EmulatorError as error:
                self._emulator = None
                raise LocalError(f"buckets and queues need the emulator: {error}", hint="run `make install`") from None
        # A queue of failed messages has to exist before the queue that names it.
        for store in sorted(stores, key=lambda item: "RedrivePolicy" in item.properties):
            if store.logical_id not in self._made:
                self._make(store, resolved)
                self._made.add(store.logical_id)

    def stop(self) -> None:
        """Stop the emulator."""
        if self._emulator is not None:
            self._emulator.stop()
            self._emulator = None

    def variables(self, endpoint: str) -> Mapping[str, str]:
        """Return the variables that lead an AWS SDK to the emulator; none without buckets and queues.

        On AWS the SDK finds the role of the task and the endpoints of the region without them.
        """
        if self._emulator is None:
            return {}
        own = self._emulator.environment()
        given = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION")
        return {"AWS_ENDPOINT_URL": endpoint, **{name: own[name] for name in given}}

    def _make(self, store: Resource, resolved: ResolvedEnvironment) -> None:
        if self._emulator is None:
            return
        from hosting.rehearsal.emulator import DEFAULT_REGION

        clients, region = self._emulator.clients(), DEFAULT_REGION
        if store.type == BUCKET:
            s3 = clients.s3(region)
            if bucket_name(store) not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
                s3.create_bucket(
                    Bucket=bucket_name(store), CreateBucketConfiguration={"LocationConstraint": DEFAULT_REGION}
                )
            return
        attributes = {
            "VisibilityTimeout": str(store.get("VisibilityTimeout", 30)),
            "ReceiveMessageWaitTimeSeconds": str(store.get("ReceiveMessageWaitTimeSeconds", 0)),
        }
        sqs = clients.sqs(region)
        failed = resolved.resource(store.get("RedrivePolicy.deadLetterTargetArn"))
        if failed is not None:
            url = sqs.get_queue_url(QueueName=failed.logical_id)["QueueUrl"]
            arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
            attempts = str(store.get("RedrivePolicy.maxReceiveCount"))
            attributes["RedrivePolicy"] = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": attempts})
        sqs.create_queue(QueueName=store.logical_id, Attributes=attributes)


def bucket_name(store: Resource) -> str:
    """Return the name of a bucket on this machine."""
    return store.logical_id.lower()


def queue_url(store: Resource, endpoint: str) -> str:
    """Return the URL of a queue on this machine."""
    from hosting.rehearsal.emulator import DEFAULT_ACCOUNT

    return f"{endpoint}/{DEFAULT_ACCOUNT}/{store.logical_id}"
