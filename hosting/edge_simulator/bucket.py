"""An S3 bucket as an origin: the objects are the files of a folder."""

from __future__ import annotations

import email.utils
import hashlib
import mimetypes
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import unquote

from hosting.edge_simulator.messages import Request, Response, respond, stream
from hosting.edge_simulator.resources import Resource, Resources, texts
from hosting.model.tokens import Json

_ERROR = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
# Content-Type and Cache-Control of the object for a file.
Metadata = Callable[[Path], tuple[str, str]]


def guess_metadata(path: Path) -> tuple[str, str]:
    """Return the media type of a file by its name, and no Cache-Control."""
    return mimetypes.guess_type(path.name)[0] or "binary/octet-stream", ""


class Bucket:
    """Answers as S3 answers CloudFront. A key is the path of a file below the folder."""

    def __init__(self, folder: Path | None, allowed: Iterable[str], metadata: Metadata = guess_metadata) -> None:
        self._folder, self._allowed, self._metadata = folder, frozenset(allowed), metadata

    async def handle(self, request: Request) -> Response:
        """Return the object, or the error with the code and document of S3."""
        if request.method not in {"GET", "HEAD"}:
            # CloudFront may write to S3 if its policy allows it. That is not modelled, so it is denied.
            return _error(403, "AccessDenied", "Access Denied")
        path = self._path(request)
        if "s3:GetObject" not in self._allowed or (path is None and "s3:ListBucket" not in self._allowed):
            return _error(403, "AccessDenied", "Access Denied")
        if path is None:
            return _error(404, "NoSuchKey", "The specified key does not exist.")
        return self._object(request, path)

    def _path(self, request: Request) -> Path | None:
        if self._folder is None:
            return None
        root = self._folder.resolve()
        path = (root / unquote(request.path).lstrip("/")).resolve()
        return path if path.is_relative_to(root) and path.is_file() else None

    def _object(self, request: Request, path: Path) -> Response:
        data = path.read_bytes()
        content_type, cache_control = self._metadata(path)
        response = respond(200, b"" if request.method == "HEAD" else data, content_type, Accept_Ranges="bytes")
        response.headers.set("Content-Length", str(len(data)))
        response.headers.set("ETag", f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"')
        response.headers.set("Last-Modified", email.utils.formatdate(path.stat().st_mtime, usegmt=True))
        response.headers.set("Server", "AmazonS3")
        if cache_control:
            response.headers.set("Cache-Control", cache_control)
        return response if request.method == "HEAD" else _partial(request, response, data)


def _partial(request: Request, response: Response, data: bytes) -> Response:
    """Return the part of an object that a Range header with one range asks for."""
    unit, _, asked = (request.headers.get("Range") or "").partition("=")
    first, dash, last = asked.partition("-")
    if unit != "bytes" or not dash or not (first + last).isdigit():
        return response
    start = int(first) if first else max(0, len(data) - int(last))
    end = min(int(last), len(data) - 1) if first and last else len(data) - 1
    if start > end:
        return _error(416, "InvalidRange", "The requested range is not satisfiable")
    response.status = 206
    response.headers.set("Content-Range", f"bytes {start}-{end}/{len(data)}")
    response.headers.set("Content-Length", str(end + 1 - start))
    response.body = stream(data[start : end + 1])
    return response


def _error(status: int, code: str, message: str) -> Response:
    return respond(status, _ERROR.format(code=code, message=message), "application/xml", Server="AmazonS3")


def allowed_actions(resources: Resources, domain: str) -> set[str]:
    """Return the actions that the policy of a bucket allows the CloudFront service. `domain` names the bucket."""
    attributes = ("RegionalDomainName", "DomainName", "Arn")
    bucket = next(resources.mentioned("AWS::S3::Bucket", domain, *attributes), None)
    if bucket is None:
        return {"s3:GetObject"}  # a bucket of another stack, whose policy is not known
    allowed: set[str] = set()
    for policy in resources.of_type("AWS::S3::BucketPolicy"):
        if policy.properties.get("Bucket") == bucket.ref:
            for statement in _list(policy.properties["PolicyDocument"]["Statement"]):
                if statement["Effect"] == "Allow" and _admits_cloudfront(statement, bucket):
                    allowed.update(_list(statement["Action"]))
    return allowed


def _admits_cloudfront(statement: Json, bucket: Resource) -> bool:
    principals = texts(statement.get("Principal"))
    named = any(bucket.att("Arn") in text or bucket.ref in text for text in texts(statement.get("Resource")))
    return named and ("cloudfront.amazonaws.com" in principals or "*" in principals)


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [value]
