"""Templates and Lambda packages in the artifact bucket, under the SHA-256 of their content.

An object is uploaded if it does not exist, and never overwritten. So a rollback finds the old object, and an unchanged
artifact keeps its key and its parameter value.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from hosting.deployer.packaging.lambda_packages import Platform, package_function, read_platform
from hosting.model.errors import InputError, Problem
from hosting.model.stack_order import ROOT
from hosting.model.templates import WORKLOAD_TEMPLATES, Template, kebab, snake

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PARALLEL = 8
_ATTEMPTS = 5
_CODE_KEY = "CodeKey"
_KEY_PARAMETER = re.compile(rf"(\w+?)(TemplateKey|{_CODE_KEY})")


@dataclass(frozen=True)
class Artifact:
    """One object to upload, and the parameter whose value is its key, or a list with a part of it."""

    parameter: str
    key: str
    data: bytes = field(repr=False)
    part: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class UploadResult:
    """Result of the upload of one artifact."""

    key: str
    size: int
    uploaded: bool


def collect_artifacts(
    templates: Mapping[str, Template],
    names: Iterable[str],
    functions: Path,
    packages: Mapping[str, Artifact] = MappingProxyType({}),
) -> dict[str, tuple[Artifact, ...]]:
    """Return the artifacts of each named template, from its parameters with keys of templates and of functions.

    `packages` are packages that exist already, by their parameter. They are not built from their sources.
    """
    problems: list[Problem] = []
    platform = cache(lambda: read_platform(templates))
    created: dict[str, tuple[Artifact, ...]] = {parameter: (package,) for parameter, package in packages.items()}

    def create(parameter: str) -> tuple[Artifact, ...]:
        if parameter not in created:
            try:
                created[parameter] = _artifacts(parameter, templates, functions, platform)
            except InputError as error:
                problems.extend(error.problems)
                created[parameter] = ()
        return created[parameter]

    needed = {
        name: tuple(artifact for parameter in templates[name].parameters for artifact in create(parameter))
        for name in names
    }
    if problems:
        raise InputError(problems)
    return needed


def is_package(item: Artifact) -> bool:
    """Return whether an artifact is the package of a function."""
    return item.parameter.endswith(_CODE_KEY)


def parameter_values(items: Iterable[Artifact]) -> dict[str, str]:
    """Return the values of the parameters that contain the keys of these artifacts."""
    values: dict[str, list[str]] = {}
    for item in items:
        values.setdefault(item.parameter, []).append(item.part or item.key)
    return {parameter: ",".join(parts) for parameter, parts in values.items()}


def upload_artifacts(client: S3Client, bucket: str, items: Iterable[Artifact]) -> Iterator[UploadResult]:
    """Upload the artifacts that do not exist, in parallel. Yield the result of each."""
    unique = {item.key: item for item in items}
    with ThreadPoolExecutor(_PARALLEL) as pool:
        yield from pool.map(lambda item: _put(client, bucket, item), unique.values())


def create_url(bucket: str, region: str, suffix: str, key: str) -> str:
    return f"https://{bucket}.s3.{region}.{suffix}/{key}"


def _artifacts(
    parameter: str, templates: Mapping[str, Template], functions: Path, platform: Callable[[], Platform]
) -> tuple[Artifact, ...]:
    if parameter == WORKLOAD_TEMPLATES:
        own = [_template(parameter, file, templates) for file in templates[ROOT].workload_files]
        return tuple(Artifact(parameter, one.key, one.data, one.key_digest) for one in own)
    match = _KEY_PARAMETER.fullmatch(parameter)
    if not match:
        return ()
    subject, kind = match.groups()
    if kind == _CODE_KEY:
        folders = templates[ROOT].function_folders if ROOT in templates else {}
        source = functions.parent / folders[subject] if subject in folders else functions / snake(subject)
        function = package_function(source, platform())
        return (Artifact(parameter, function.key, function.data, notes=function.notes),)
    template = _template(parameter, f"{kebab(subject)}.json", templates)
    return (Artifact(parameter, template.key, template.data),)


def _template(parameter: str, file: str, templates: Mapping[str, Template]) -> Template:
    if file not in templates:
        what = f"{parameter} refers to {file}, which does not exist"
        raise InputError([Problem("templates/", what, "run `deploy.py generate`")])
    return templates[file]


def _put(client: S3Client, bucket: str, item: Artifact) -> UploadResult:
    if _present(client, bucket, item.key):
        return UploadResult(item.key, len(item.data), uploaded=False)
    # If the object exists, another client or an earlier attempt has created it: same key, same content.
    return UploadResult(item.key, len(item.data), uploaded=put_new_object(client, bucket, item.key, item.data))


def put_new_object(client: S3Client, bucket: str, key: str, data: bytes) -> bool:
    """Create an object. Return False if it exists already; the reply to an attempt that created it may be lost."""
    checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            client.put_object(Bucket=bucket, Key=key, Body=data, IfNoneMatch="*", ChecksumSHA256=checksum)
            return True
        except ClientError as error:
            if _status(error) == 412:
                break
            # S3 answers 409 while another client uploads the same key. The result is known after a retry.
            if _status(error) != 409 or attempt == _ATTEMPTS:
                raise
    return False


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
