"""Identifies a request to AWS: its account, region, service and operation.

JSON services name the operation in a header, Query services in a form field. REST services name it only by method, path
and query, so for them botocore's own models are used, as in the client.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

_SCOPE = re.compile(r"Credential=(?P<account>[^/]+)/[^/]+/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
_READS = ("BatchGet", "Describe", "Get", "Head", "List", "Lookup", "Search", "Validate")


@dataclass(frozen=True)
class Call:
    """One request as AWS sees it."""

    account: str
    region: str
    service: str
    operation: str
    protocol: str

    @property
    def name(self) -> str:
        return f"{self.service}:{self.operation}"

    @property
    def writes(self) -> bool:
        """True if the operation may change resources. The verb decides, as for most of IAM's access levels."""
        return not self.operation.startswith(_READS)


def identify(method: str, target: str, headers: Mapping[str, str], body: bytes) -> Call:
    """Return the call of a request. `target` is its path with the query."""
    given = {name.lower(): value for name, value in headers.items()}
    scope = _SCOPE.search(given.get("authorization", ""))
    account, region, service = (scope["account"], scope["region"], scope["service"]) if scope else ("", "", "")
    if name := given.get("x-amz-target", ""):
        return Call(account, region, service, name.rpartition(".")[2], "json")
    if given.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        action = parse_qs(body.decode("utf-8", "replace")).get("Action", [""])[0]
        return Call(account, region, service, action, "ec2" if service == "ec2" else "query")
    model = _model(service)
    protocol = str(model.metadata["protocol"]) if model is not None else ""
    split = urlsplit(target)
    query = dict(parse_qsl(split.query, keep_blank_values=True))
    operation = _rest(service, method, unquote(split.path), query, given) if protocol.startswith("rest") else ""
    return Call(account, region, service, operation or f"{method} {split.path}", protocol)


@dataclass(frozen=True)
class _Route:
    """Method, path and required members of an operation of a REST service."""

    operation: str
    method: str
    path: re.Pattern[str]
    literals: int
    query: Mapping[str, str]
    # Members without which the operation is another one: UploadPart is PutObject with a part number.
    needs_query: tuple[str, ...]
    needs_headers: tuple[str, ...]

    def fits(self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> bool:
        return (
            method == self.method
            and self.path.fullmatch(path) is not None
            and all(name in query and value in {"", query[name]} for name, value in self.query.items())
            and all(name in query for name in self.needs_query)
            and all(name in headers for name in self.needs_headers)
        )

    @property
    def weight(self) -> tuple[int, int]:
        """The number of requirements; among matching routes the most specific one is the operation."""
        return self.literals, len(self.query) + len(self.needs_query) + len(self.needs_headers)


def _rest(service: str, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    fitting = [route for route in _routes(service) if route.fits(method, path, query, headers)]
    return max(fitting, key=lambda route: route.weight).operation if fitting else ""


@functools.cache
def _routes(service: str) -> tuple[_Route, ...]:
    return tuple(_read_routes(service))


def _read_routes(service: str) -> Iterator[_Route]:
    model = _model(service)
    for name in model.operation_names:
        operation = model.operation_model(name)
        path, _, query = operation.http["requestUri"].partition("?")
        shape = operation.input_shape
        needs: dict[str, list[str]] = {"querystring": [], "header": []}
        for member in shape.required_members if shape is not None else ():
            where = shape.members[member].serialization
            if where.get("location") in needs:
                needs[where["location"]].append(where["name"])
        yield _Route(
            operation=name,
            method=operation.http["method"],
            path=_pattern(path),
            literals=sum(1 for part in path.split("/") if part and not part.startswith("{")),
            query=dict(parse_qsl(query, keep_blank_values=True)),
            needs_query=tuple(needs["querystring"]),
            needs_headers=tuple(header.lower() for header in needs["header"]),
        )


def _pattern(path: str) -> re.Pattern[str]:
    """`/{Bucket}/{Key+}` as a pattern: a name with a plus takes the rest of the path."""
    parts = re.split(r"(\{[^}]+\})", path.rstrip("/"))
    wild = [
        "" if not part else re.escape(part) if part[0] != "{" else ".+" if part[-2] == "+" else "[^/]+"
        for part in parts
    ]
    return re.compile("".join(wild) + "/?")


@functools.cache
def _model(service: str) -> Any:
    """botocore's model of a service by the name in its signature, which for REST services is its own name."""
    import botocore.session
    from botocore.exceptions import UnknownServiceError

    try:
        return botocore.session.get_session().get_service_model(service)
    except (UnknownServiceError, ValueError):
        return None
