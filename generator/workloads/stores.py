"""Stores: what workloads keep outside their tasks, and the uses in which a workload declares its access to one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

from generator.declared_fields import check_types
from generator.errors import ConfigError
from generator.workloads.checks import check_name, check_range, find_twice
from generator.workloads.values import BucketName, QueueUrl, StoreValue


@dataclass(frozen=True, kw_only=True)
class Store:
    """Base of all kinds of store. ``name`` in CamelCase is part of logical ids: ``UploadsBucket``."""

    name: str = field(kw_only=False)

    kind: ClassVar[str]
    # What workloads may learn of a store. The layer ``stores`` has an output for each.
    values: ClassVar[tuple[str, ...]]

    def __post_init__(self) -> None:
        check_types(self, self.where)
        check_name(self.name, "store")
        self.check()

    @property
    def where(self) -> str:
        """Return the words with which a message names the store."""
        return f"{self.kind} {self.name}"

    @property
    def logical_id(self) -> str:
        """Return the logical id in the layer ``stores``."""
        return logical_id(type(self), self.name)

    @property
    def slug(self) -> str:
        """Return the name in lower case, as alarms and folders use it."""
        return self.name.lower()

    def check(self) -> None:
        """Raise ConfigError if AWS does not accept a setting."""


@dataclass(frozen=True, kw_only=True)
class Bucket(Store):
    """A private S3 bucket, such as ``Bucket("Uploads")``.

    Objects that are overwritten or deleted can be restored for 30 days. With ``expire_days`` objects are deleted at
    that age. With ``browser_uploads`` pages of the site may send files to the bucket with presigned requests.
    """

    expire_days: int = 0
    browser_uploads: bool = False

    kind = "bucket"
    values = ("Arn", "Name")

    def check(self) -> None:
        """Raise ConfigError if S3 does not accept a setting."""
        check_range(self.where, "expire_days", self.expire_days, 0, 36_500)


@dataclass(frozen=True, kw_only=True)
class Queue(Store):
    """An SQS queue, such as ``Queue("Orders")``, with a second queue for messages that fail.

    SQS hides a received message for ``visibility_seconds``. A consumer deletes it within that time. After ``attempts``
    receipts without a deletion SQS moves the message to the queue of failed messages, which has an alarm. SQS keeps a
    message for ``retention_days``. An alarm notifies when the oldest message is ``late_minutes`` old (0 for no such
    alarm).
    """

    visibility_seconds: int = 60
    attempts: int = 5
    retention_days: int = 4
    late_minutes: int = 15

    kind = "queue"
    values = ("Arn", "Url")

    @property
    def failed_id(self) -> str:
        """Return the logical id of the queue of failed messages."""
        return logical_id(Queue, f"{self.name}Failed")

    def check(self) -> None:
        """Raise ConfigError if SQS does not accept a setting."""
        # Amazon SQS Developer Guide, "Amazon SQS message quotas".
        check_range(self.where, "visibility_seconds", self.visibility_seconds, 1, 43_200)
        check_range(self.where, "attempts", self.attempts, 1, 1_000)
        check_range(self.where, "retention_days", self.retention_days, 1, 14)
        check_range(self.where, "late_minutes", self.late_minutes, 0, self.retention_days * 24 * 60)


@dataclass(frozen=True, kw_only=True)
class Volume(Store):
    """An EFS file system for files, such as ``Volume("Files")``. It is encrypted, and AWS Backup copies it every day.

    It is in both zones, and several tasks may mount it at the same time. It is too slow for code and for databases.

    ``owner``, "uid:gid", is the user of its files. EFS acts as this user, also for a process of another user. Without
    it the owner is the user of the workloads that mount it, which must be the same and not root.
    """

    owner: str = ""

    kind = "volume"
    values = ("Arn", "Id", "SecurityGroupId")

    def check(self) -> None:
        """Raise ConfigError if the owner is no user of a volume."""
        if self.owner and not re.fullmatch(r"[1-9][0-9]{0,8}:(0|[1-9][0-9]{0,8})", self.owner):
            raise ConfigError(f'{self.where}: owner "{self.owner}", give a user other than root, such as 33:33')


@dataclass(frozen=True)
class Use:
    """Base of the uses of a store by a workload. ``store`` is its name."""

    store: str

    of: ClassVar[type[Store]]

    def __post_init__(self) -> None:
        check_types(self, f"{type(self).__name__}(...)")

    @property
    def logical_id(self) -> str:
        """Return the logical id of the store in the layer ``stores``."""
        return logical_id(self.of, self.store)


@dataclass(frozen=True)
class Read(Use):
    """The workload reads the objects of a bucket."""

    of = Bucket


@dataclass(frozen=True)
class ReadWrite(Use):
    """The workload reads, writes and deletes the objects of a bucket."""

    of = Bucket


@dataclass(frozen=True)
class Send(Use):
    """The workload sends messages to a queue."""

    of = Queue


@dataclass(frozen=True)
class Receive(Use):
    """The workload receives and deletes the messages of a queue."""

    of = Queue


@dataclass(frozen=True)
class Mount(Use):
    """The app has the files of a volume in the folder ``path``, such as ``Mount("Files", "/data")``.

    The files belong to the user of the workload. With ``read_only`` the app cannot change them.
    """

    path: str
    read_only: bool = False

    of = Volume

    def __post_init__(self) -> None:
        super().__post_init__()
        if not re.fullmatch(r"(/[A-Za-z0-9._-]+)+", self.path):
            raise ConfigError(f'Mount(...): path "{self.path}", give a folder of the app, such as /data')


def logical_id(kind: type[Store], name: str) -> str:
    """Return the logical id of a store in the layer ``stores``: ``UploadsBucket``."""
    return f"{name}{kind.kind.capitalize()}"


def access_point_output(workload: str, volume: str) -> str:
    """Return the name of the output with the access point of a volume for a workload."""
    return f"{workload}{volume}AccessPointId"


def check_uses(uses: Iterable[Use], where: str) -> None:
    """Raise ConfigError if a workload declares a use twice."""
    if twice := find_twice(f"{type(use).__name__}({use.store})" for use in uses):
        raise ConfigError(f"{where}: uses contains {twice} twice")


def check_stores(stores: tuple[Store, ...]) -> None:
    """Raise ConfigError if two stores have the same name."""
    if same := find_twice(store.slug for store in stores):
        name = [store.name for store in stores if store.slug == same][-1]
        raise ConfigError(f"two stores with name {name}: give each its own", workload=name)
    for queue in (store for store in stores if isinstance(store, Queue)):
        for other in stores:
            if other.logical_id == queue.failed_id:
                raise ConfigError(
                    f"{other.where}: the queue of failed messages of {queue.name} has this name, give another one",
                    workload=other.name,
                )


def needed_kind(value: StoreValue) -> type[Store]:
    """Return the kind of store that has a value."""
    return {BucketName: Bucket, QueueUrl: Queue}[type(value)]
