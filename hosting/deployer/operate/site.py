"""Static site: uploads a directory to the bucket of CloudFront, and invalidates changed paths.

A file is uploaded if its content, media type or cache header differs from the object. Assets are uploaded before pages,
and obsolete objects are deleted last, so that no page refers to a missing asset. Only paths of changed objects are
invalidated: a new path cannot be cached.
"""

from __future__ import annotations

import hashlib
import mimetypes
import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError

from hosting.deployer.aws.session import explain
from hosting.model.errors import InputError, Problem

if TYPE_CHECKING:
    from mypy_boto3_cloudfront import CloudFrontClient
    from mypy_boto3_s3 import S3Client

# A fingerprinted name changes with its content, so browsers may cache it without limit.
FINGERPRINTED = "public, max-age=31536000, immutable"
# Browsers revalidate each time, CloudFront once a minute.
PAGE = "max-age=0, s-maxage=60, must-revalidate"
OTHER = "public, max-age=300, s-maxage=86400"

# Names that build tools derive from the content: hexadecimal of any length, or eight letters and digits.
_BUILT = re.compile(
    r"[.-](?P<mark>\w+)\.(?:js|mjs|css|json|wasm|svg|png|jpe?g|gif|webp|avif|ico|woff2?|ttf|otf|eot|mp4|webm|mp3)"
    r"(?:\.map)?$",
    re.IGNORECASE,
)
# A date has no letters, a word has no digits, and a word with a year has digits only at its end.
_MARK = re.compile(r"(?=\w*[a-f])(?=\w*\d)[0-9a-f]{8,64}|(?=\w*[A-Z])(?=\w*\d\w*[A-Za-z])[0-9A-Za-z]{8}")
_PAGES = {".html", ".htm"}
# Revalidated each time too: their names are fixed, and a stale one blocks a whole application.
_LIKE_PAGES = {"service-worker.js", "sw.js", "manifest.json", "robots.txt", "sitemap.xml", "version.json"}
_TYPES = {
    ".avif": "image/avif",
    ".css": "text/css",
    ".csv": "text/csv",
    ".htm": "text/html",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xml": "application/xml",
}
_TEXT = re.compile(r"text/|image/svg|application/(?:json|xml|manifest)")
# Python's built-in table without files of the machine, so that every machine returns the same types.
_BUILT_IN = mimetypes.MimeTypes(filenames=())
# CloudFront counts a wildcard as one path, and bills by path.
_MANY = 30
# CloudFront may need these characters encoded or not. A wildcard matches both.
_UNSURE = re.compile(r"[!$&'()*+,;:=@~]")
_THREADS = 16
_LIMIT = 5 * 1024**3


class Action(StrEnum):
    NEW = "new"
    CHANGED = "changed"
    HEADERS = "headers"
    SAME = "same"
    DELETED = "deleted"
    # In the bucket but not in the directory, and --delete is not set.
    LEFT = "left"


@dataclass(frozen=True)
class File:
    """File of the directory as an object of the bucket."""

    path: Path
    key: str
    digest: str
    type: str
    cache: str

    @property
    def is_page(self) -> bool:
        return self.path.suffix.lower() in _PAGES


@dataclass(frozen=True)
class Step:
    """One step of a synchronization."""

    action: Action
    key: str
    file: File | None = None


def scan_directory(directory: Path, prefix: str) -> list[File]:
    """Return every file of the directory. Hidden files are left out, except .well-known."""
    root = directory.resolve()
    if not root.is_dir():
        raise InputError([Problem(str(directory), "is not a directory")])
    found: list[File] = []
    problems: list[Problem] = []
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if any(part.startswith(".") and part != ".well-known" for part in relative.parts) or not path.is_file():
            continue
        if not path.resolve().is_relative_to(root):
            problems.append(
                Problem(str(directory / relative), "is a link to a file outside the directory", "copy the file")
            )
        elif path.stat().st_size > _LIMIT:
            problems.append(Problem(str(directory / relative), "is larger than 5 GiB"))
        else:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
            found.append(
                File(
                    path,
                    f"{prefix}/{relative.as_posix()}",
                    digest,
                    guess_content_type(path.name),
                    choose_cache_control(path.name),
                )
            )
    if problems:
        raise InputError(problems)
    if not found:
        raise InputError([Problem(str(directory), "has no files", "build the site first")])
    return found


def guess_content_type(name: str) -> str:
    """Return the media type of a file by its name."""
    suffix = Path(name).suffix.lower()
    kind = _TYPES.get(suffix) or _BUILT_IN.guess_type(name)[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if _TEXT.match(kind) else kind


def choose_cache_control(name: str) -> str:
    """Return the Cache-Control header of a file by its name."""
    if Path(name).suffix.lower() in _PAGES or name in _LIKE_PAGES:
        return PAGE
    built = _BUILT.search(name)
    return FINGERPRINTED if built and _MARK.fullmatch(built["mark"]) else OTHER


def plan_sync(client: S3Client, bucket: str, prefix: str, files: Sequence[File], *, delete: bool) -> list[Step]:
    """Return the steps in their order: assets, pages, and then deletions."""
    existing = {
        item["Key"]: item["ETag"].strip('"')
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
        for item in page.get("Contents", ())
    }

    def step(file: File) -> Step:
        if file.key not in existing:
            return Step(Action.NEW, file.key, file)
        # The bucket encrypts with S3's own keys and nothing is uploaded in parts, so the ETag is the content's MD5.
        if existing[file.key] != file.digest:
            return Step(Action.CHANGED, file.key, file)
        head = client.head_object(Bucket=bucket, Key=file.key)
        same = head.get("ContentType") == file.type and head.get("CacheControl") == file.cache
        return Step(Action.SAME if same else Action.HEADERS, file.key, file)

    with ThreadPoolExecutor(_THREADS) as pool:
        steps = list(pool.map(step, files))
    steps.sort(key=lambda one: (one.file is not None and one.file.is_page, one.key))
    gone = sorted(existing.keys() - {file.key for file in files} - {f"{prefix}/index.html"})
    return steps + [Step(Action.DELETED if delete else Action.LEFT, key) for key in gone]


def upload_files(client: S3Client, bucket: str, steps: Sequence[Step]) -> Iterator[Step]:
    """Upload new and changed files, all assets before the first page. Yield each finished step."""
    wanted = [one for one in steps if one.file is not None and one.action is not Action.SAME]

    def put(one: Step) -> Step:
        if one.file is not None:
            with one.file.path.open("rb") as body:
                client.put_object(
                    Bucket=bucket, Key=one.key, Body=body, ContentType=one.file.type, CacheControl=one.file.cache
                )
        return one

    for pages in (False, True):
        with ThreadPoolExecutor(_THREADS) as pool:
            yield from pool.map(put, [one for one in wanted if one.file is not None and one.file.is_page is pages])


def delete_objects(client: S3Client, bucket: str, steps: Iterable[Step]) -> Iterator[Step]:
    """Delete the obsolete objects. The bucket keeps old versions for a while, so they can be restored."""

    def delete(one: Step) -> Step:
        client.delete_object(Bucket=bucket, Key=one.key)
        return one

    with ThreadPoolExecutor(_THREADS) as pool:
        yield from pool.map(delete, [one for one in steps if one.action is Action.DELETED])


def find_stale_paths(steps: Iterable[Step], prefix: str) -> list[str]:
    """Return the paths whose old content may be cached."""
    stale = [one.key for one in steps if one.action in {Action.CHANGED, Action.HEADERS, Action.DELETED}]
    found: list[str] = []
    for key in stale:
        sure, *unsure = _UNSURE.split(key, maxsplit=1)
        found.append("/" + quote(sure, safe="/-_.") + ("*" if unsure else ""))
        if key.endswith("/index.html"):
            # The edge function returns the index of a folder.
            found.append(found[-1].removesuffix("index.html"))
    found = list(dict.fromkeys(found))
    return found if len(found) <= _MANY else [f"/{prefix}/*"]


def invalidate(client: CloudFrontClient, distribution: str, wanted: Sequence[str]) -> str:
    """Invalidate paths in CloudFront. Return the id of the invalidation."""
    for path in wanted:
        if not path.startswith("/"):
            raise InputError([Problem(path, "the path does not begin with /", f"did you mean /{path}?")])
        if "*" in path[:-1]:
            raise InputError([Problem(path, "CloudFront allows * only at the end of a path")])
    # Spaces and non-ASCII characters must be encoded. Encoded ones remain unchanged.
    items = [quote(path, safe="/-_.~!$&'()*+,;:=@?%") for path in dict.fromkeys(wanted)]
    try:
        answer = client.create_invalidation(
            DistributionId=distribution,
            InvalidationBatch={
                "Paths": {"Quantity": len(items), "Items": items},
                "CallerReference": f"deploy.py-{uuid.uuid4()}",
            },
        )
    except (BotoCoreError, ClientError) as error:
        raise explain(error) from error
    return answer["Invalidation"]["Id"]


def wait_for_invalidation(client: CloudFrontClient, distribution: str, invalidation: str) -> None:
    """Wait until the invalidation is complete at every edge location, usually one or two minutes."""
    client.get_waiter("invalidation_completed").wait(
        DistributionId=distribution, Id=invalidation, WaiterConfig={"Delay": 5, "MaxAttempts": 180}
    )
