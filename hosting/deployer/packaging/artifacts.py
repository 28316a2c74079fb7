"""Templates and Lambda archives in the artifact bucket, each under the hash of its content.

An object is put when it is not there and never overwritten: what a rollback needs stays as it was, and an
unchanged object is an unchanged parameter.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from botocore.exceptions import ClientError

from hosting.deployer.packaging.lambda_packages import package_function
from hosting.model.errors import InputError, Problem
from hosting.model.templates import Template, kebab, snake

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PARALLEL = 8
_ATTEMPTS = 5
_KEY_PARAMETER = re.compile(r"(\w+?)(TemplateKey|CodeKey)")


class ArtifactSource(Protocol):
    """What a template and an archive have in common."""

    @property
    def key(self) -> str: ...

    @property
    def data(self) -> bytes: ...


@dataclass(frozen=True)
class Artifact:
    """One object to upload and the parameter that its key fills."""

    parameter: str
    key: str
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class UploadResult:
    """What became of an artifact."""

    key: str
    size: int
    uploaded: bool


def collect_artifacts(
    templates: Mapping[str, Template], names: Iterable[str], functions: Path
) -> dict[str, tuple[Artifact, ...]]:
    """What each of the named templates needs in the bucket, read from its `*TemplateKey` and `*CodeKey`."""
    problems: list[Problem] = []
    made: dict[str, Artifact | None] = {}

    def make(parameter: str) -> Artifact | None:
        if parameter not in made:
            try:
                made[parameter] = _artifact(parameter, templates, functions)
            except InputError as error:
                problems.extend(error.problems)
                made[parameter] = None
        return made[parameter]

    needed = {
        name: tuple(artifact for parameter in templates[name].parameters if (artifact := make(parameter)))
        for name in names
    }
    if problems:
        raise InputError(problems)
    return needed


def upload_artifacts(client: S3Client, bucket: str, items: Iterable[Artifact]) -> Iterator[UploadResult]:
    """Put what is not there yet, in parallel, and say of each what was done."""
    unique = {item.key: item for item in items}
    with ThreadPoolExecutor(_PARALLEL) as pool:
        yield from pool.map(lambda item: _put(client, bucket, item), unique.values())


def create_url(bucket: str, region: str, suffix: str, key: str) -> str:
    return f"https://{bucket}.s3.{region}.{suffix}/{key}"


def _artifact(parameter: str, templates: Mapping[str, Template], functions: Path) -> Artifact | None:
    match = _KEY_PARAMETER.fullmatch(parameter)
    if not match:
        return None
    subject, kind = match.groups()
    if kind == "CodeKey":
        function = package_function(functions / snake(subject))
        return Artifact(parameter, function.key, function.data)
    name = f"{kebab(subject)}.json"
    if name not in templates:
        what = f"{parameter} stands for {name}, which is not there"
        raise InputError([Problem("templates/", what, "run `deploy.py generate`")])
    return Artifact(parameter, templates[name].key, templates[name].data)


def _put(client: S3Client, bucket: str, item: Artifact) -> UploadResult:
    if _present(client, bucket, item.key):
        return UploadResult(item.key, len(item.data), uploaded=False)
    checksum = base64.b64encode(hashlib.sha256(item.data).digest()).decode()
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            client.put_object(Bucket=bucket, Key=item.key, Body=item.data, IfNoneMatch="*", ChecksumSHA256=checksum)
            return UploadResult(item.key, len(item.data), uploaded=True)
        except ClientError as error:
            # Somebody else, or our own attempt whose reply was lost, put it first: same key, same content.
            if _status(error) == 412:
                break
            # They are just about to, and S3 says to ask again how that ended.
            if _status(error) != 409 or attempt == _ATTEMPTS:
                raise
    return UploadResult(item.key, len(item.data), uploaded=False)


def _present(client: S3Client, bucket: str, key: str) -> bool:
    try:
        client.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        # Without ListBucket, S3 answers 403 for an absent key; the conditional put then decides.
        if _status(error) in {403, 404}:
            return False
        raise
    return True


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
