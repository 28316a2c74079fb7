"""Templates and Lambda packages in the artifact bucket, under the SHA-256 of their content.

An object is uploaded if it does not exist, and never overwritten. So a rollback finds the old object, and an unchanged
artifact keeps its key and its parameter value.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from hosting.deployer.packaging.lambda_packages import package_function
from hosting.model.errors import InputError, Problem
from hosting.model.templates import Template, kebab, snake

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PARALLEL = 8
_ATTEMPTS = 5
_KEY_PARAMETER = re.compile(r"(\w+?)(TemplateKey|CodeKey)")


@dataclass(frozen=True)
class Artifact:
    """One object to upload, and the parameter whose value is its key."""

    parameter: str
    key: str
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class UploadResult:
    """Result of the upload of one artifact."""

    key: str
    size: int
    uploaded: bool


def collect_artifacts(
    templates: Mapping[str, Template], names: Iterable[str], functions: Path
) -> dict[str, tuple[Artifact, ...]]:
    """Return the artifacts of each named template, from its parameters `*TemplateKey` and `*CodeKey`."""
    problems: list[Problem] = []
    created: dict[str, Artifact | None] = {}

    def create(parameter: str) -> Artifact | None:
        if parameter not in created:
            try:
                created[parameter] = _artifact(parameter, templates, functions)
            except InputError as error:
                problems.extend(error.problems)
                created[parameter] = None
        return created[parameter]

    needed = {
        name: tuple(artifact for parameter in templates[name].parameters if (artifact := create(parameter)))
        for name in names
    }
    if problems:
        raise InputError(problems)
    return needed


def upload_artifacts(client: S3Client, bucket: str, items: Iterable[Artifact]) -> Iterator[UploadResult]:
    """Upload the artifacts that do not exist, in parallel. Yield the result of each."""
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
        what = f"{parameter} refers to {name}, which does not exist"
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
            # Another client, or an earlier attempt whose reply was lost, has created the object: same
            # key, same content.
            if _status(error) == 412:
                break
            # S3 answers 409 while another client uploads the same key. The result is known after a retry.
            if _status(error) != 409 or attempt == _ATTEMPTS:
                raise
    return UploadResult(item.key, len(item.data), uploaded=False)


def _present(client: S3Client, bucket: str, key: str) -> bool:
    try:
        client.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        # Without the permission s3:ListBucket, S3 answers 403 for a missing key. The conditional upload then
        # decides.
        if _status(error) in {403, 404}:
            return False
        raise
    return True


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
