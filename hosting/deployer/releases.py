"""Releases: a numbered record of each successful deployment, in the artifact bucket.

The key of a record is `releases/<project>-<environment>/<number>.json`. It refers to templates and packages by their
keys in the same bucket, and contains the parameter values except NoEcho values. So any checkout can deploy a release
again. A record is never overwritten.
"""

from __future__ import annotations

import itertools
import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError

from hosting.deployer import environment as environments
from hosting.deployer import stack_parameters
from hosting.deployer.context import Context, States
from hosting.deployer.environment import Environment
from hosting.deployer.errors import DeployerError
from hosting.deployer.packaging import artifacts
from hosting.deployer.packaging.artifacts import Artifact
from hosting.model.stack_order import TEMPLATES, StackRole

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SCHEMA = "release/1"
_ATTEMPTS = 20
_TRANSFERS = 4
_MIGRATION = "Custom::Migration"


@dataclass(frozen=True)
class Release:
    """One successful deployment of all stacks of an environment."""

    number: int
    time: str
    caller: str
    # The commit of the project, with "+changes" if files differed from it. Empty outside of a git clone.
    commit: str
    # The number of the release that this deployment restored, or 0.
    rollback_of: int
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    # File name -> key, and parameter -> key.
    templates: Mapping[str, str]
    packages: Mapping[str, str]
    # Workload -> its image, for workloads that run a migration with each new task definition.
    migrations: Mapping[str, str]
    id: str
    schema: str = SCHEMA

    @property
    def content(self) -> tuple[Mapping[str, str], ...]:
        """Return what the release deploys. Equal releases have equal contents."""
        return self.parameters, self.tags, self.templates, self.packages


@dataclass(frozen=True)
class Store:
    """The records of an environment in the artifact bucket of its home region."""

    client: S3Client
    bucket: str
    environment: Environment

    def list_numbers(self) -> list[int]:
        """Return the numbers of all releases, the oldest first."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self._prefix)
        keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
        return sorted(int(match[1]) for key in keys if (match := re.fullmatch(r".*/(\d+)\.json", key)))

    def read(self, number: int) -> Release:
        """Return a release. Raises DeployerError if it does not exist or was written by another version."""
        try:
            body = json.loads(self._get(self._key(number)))
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("NoSuchKey", "404"):
                raise
            hint = f"list the releases with `deploy.py releases -e {self.environment.name}`"
            raise DeployerError(f"there is no release {number}", where=self.environment.family, hint=hint) from None
        if body.get("schema") != SCHEMA:
            hint = "use the version of deploy.py that recorded it"
            what = f"release {number} has the format {body.get('schema')}"
            raise DeployerError(what, where=self.environment.family, hint=hint)
        return Release(**body)

    def read_latest(self, count: int) -> list[Release]:
        """Return the latest releases, the oldest first."""
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(self.read, self.list_numbers()[-count:]))

    def add(self, release: Release) -> Release:
        """Write a release under the next free number. Concurrent deployments get different numbers."""
        number = max(self.list_numbers(), default=0)
        for _ in range(_ATTEMPTS):
            number += 1
            numbered = replace(release, number=number)
            data = json.dumps(asdict(numbered), indent=1).encode()
            if artifacts.put_new_object(self.client, self.bucket, self._key(number), data):
                return numbered
            # Another deployment used the number, or an attempt of this one whose reply was lost.
            if self.read(number).id == release.id:
                return numbered
        where = f"releases of {self.environment.family}"
        raise DeployerError(f"no free number after {_ATTEMPTS} attempts", where=where)

    def download(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Return the objects with these keys."""
        with ThreadPoolExecutor(8) as pool:
            return dict(zip(keys, pool.map(self._get, keys), strict=True))

    def _get(self, key: str) -> bytes:
        # The SDK repeats requests, and not the transfer of a body.
        for _ in range(_TRANSFERS - 1):
            with suppress(IncompleteReadError, HTTPClientError):
                return self._transfer(key)
        return self._transfer(key)

    def _transfer(self, key: str) -> bytes:
        return self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    @property
    def _prefix(self) -> str:
        return f"releases/{self.environment.family}/"

    def _key(self, number: int) -> str:
        return f"{self._prefix}{number:06}.json"


def open_store(context: Context, states: States) -> Store:
    """Return the store of an environment. Raises DeployerError if bootstrap is not deployed."""
    bootstrap = next(one for one in context.chain if one.role is StackRole.BOOTSTRAP and one.region == context.home)
    state = states[bootstrap]
    if state is None or stack_parameters.BUCKET not in state.outputs:
        raise DeployerError("is not deployed, so there is no release", where=bootstrap.label)
    return Store(context.clients.s3(context.home), state.outputs[stack_parameters.BUCKET], context.environment)


def record_release(context: Context, states: States) -> Release | None:
    """Record what is deployed now. Return the release, or None if the latest release is equal to it."""
    store = open_store(context, states)
    release = describe_release(context)
    latest = store.read_latest(1)
    if latest and latest[0].content == release.content:
        return None
    templates = [Artifact("", one.key, one.data) for one in context.environment.templates.values()]
    # Templates of other regions and those that are sent inline are not in this bucket yet.
    for _ in artifacts.upload_artifacts(store.client, store.bucket, [*templates, *_packages(context.environment)]):
        pass
    return store.add(release)


def describe_release(context: Context) -> Release:
    """Return the environment of a context as a release without a number."""
    environment = context.environment
    hidden = environments.no_echo_parameters(environment.templates)
    return Release(
        number=0,
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        caller=context.identity.arn,
        commit=environment.commit,
        rollback_of=environment.rollback_of,
        parameters={name: value for name, value in environment.file.values.items() if name not in hidden},
        tags=dict(environment.file.tags),
        templates={name: template.key for name, template in environment.templates.items()},
        packages={package.parameter: package.key for package in _packages(environment)},
        migrations=dict(_migrations(environment)),
        id=uuid.uuid4().hex,
    )


def find_migrations(releases: Sequence[Release]) -> dict[str, list[int]]:
    """Return the workloads that migrated the database after the first release, each with the releases that did it."""
    found: dict[str, list[int]] = {}
    for before, after in itertools.pairwise(releases):
        for workload, image in after.migrations.items():
            if before.migrations.get(workload) != image:
                found.setdefault(workload, []).append(after.number)
    return found


def restore_environment(store: Store, release: Release, current: Environment, folder: Path) -> Environment:
    """Write the files of a release to a project folder, and return its environment, ready to deploy.

    NoEcho values are those of the current parameter file, because a release does not contain them. Raises InputError
    if the release is not valid any more.
    """
    content = store.download([*release.templates.values(), *release.packages.values()])
    (folder / "templates").mkdir(parents=True)
    (folder / "params").mkdir()
    for name, key in release.templates.items():
        (folder / "templates" / name).write_bytes(content[key])
    hidden = {
        name: value
        for name, value in current.file.values.items()
        if name in environments.no_echo_parameters(current.templates)
    }
    body = {
        "Account": current.file.account,
        "Region": current.file.region,
        "Parameters": {**release.parameters, **hidden},
        "Tags": release.tags,
    }
    text = json.dumps({key: value for key, value in body.items() if value}, indent=2)
    (folder / "params" / f"{current.name}.json").write_text(text, encoding="utf-8")
    packages = {name: Artifact(name, key, content[key]) for name, key in release.packages.items()}
    prepared = environments.prepare(folder, current.name, packages=packages)
    return replace(prepared, commit=release.commit, rollback_of=release.number)


def _packages(environment: Environment) -> Iterator[Artifact]:
    unique = {item.parameter: item for items in environment.artifacts.values() for item in items}
    return (item for item in unique.values() if artifacts.is_package(item))


def _migrations(environment: Environment) -> Iterator[tuple[str, str]]:
    root = environment.templates[TEMPLATES[StackRole.ROOT]]
    for workload, file in zip(root.services, root.workload_files, strict=True):
        if any(one["Type"] == _MIGRATION for one in environment.templates[file].resources.values()):
            image = root.image_parameter(workload)
            yield workload, environment.file.values.get(image, "")
