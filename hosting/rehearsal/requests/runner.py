"""Sends the requests of the table through the simulated edge, and compares what apps and viewers see."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from hosting.edge_simulator import EdgeSimulator
from hosting.edge_simulator.errors import UpstreamError
from hosting.edge_simulator.http_client import send_request
from hosting.edge_simulator.http_server import Connection
from hosting.edge_simulator.messages import Headers, Request, Response, respond, stream
from hosting.edge_simulator.resources import Resource, StackResource
from hosting.rehearsal.requests.table import VIEWER, Answer, Fields, Row, Site, StaticObject, rows

TARGET_GROUP = "AWS::ElasticLoadBalancingV2::TargetGroup"
_TIMEOUT = 60.0
# Seconds by which the clock of the cache moves, so that no row gets what another one has stored.
_YEAR = 366 * 86_400.0


@dataclass(frozen=True)
class Outcome:
    """The result of a row: what differs from its expectations."""

    row: Row
    differences: tuple[str, ...]


@dataclass(frozen=True)
class _Received:
    method: str
    target: str
    headers: Headers
    body: bytes


@dataclass
class _App:
    """An app in the place of one workload. It passes its health check, and gives the answer of the current row."""

    healthy_status: int
    url: str = ""
    answer: Answer = field(default_factory=Answer)
    received: list[_Received] = field(default_factory=list)

    async def handle(self, request: Request) -> Response:
        """Answer a health check or a request of the table."""
        body = b"".join([chunk async for chunk in request.body]) if request.body else b""
        if (request.headers.get("User-Agent") or "").startswith("ELB-HealthChecker"):
            return respond(self.healthy_status, b"")
        self.received.append(_Received(request.method, request.target, request.headers, body))
        if not self.answer.status:
            raise ConnectionAbortedError
        response = respond(self.answer.status, self.answer.body, "text/plain")
        for name, value in self.answer.headers.items():
            response.headers.set(name, value)
        return response


def run_rows(resources: Iterable[Resource], site: Site, objects: Mapping[str, StaticObject]) -> list[Outcome]:
    """Send every request of the table to an environment. The resources are resolved or those of deployed stacks."""
    with tempfile.TemporaryDirectory() as folder:
        for key, found in objects.items():
            path = Path(folder, key)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(found.content)
        return asyncio.run(_run([*_with_traffic_ports(resources)], site, objects, Path(folder)))


def _with_traffic_ports(resources: Iterable[Resource]) -> Iterator[Resource]:
    """Yield the resources with health checks at the port of the app: an app of this module has one port."""
    for one in resources:
        if one.type == TARGET_GROUP and "HealthCheckPort" in one.properties:
            properties = {key: value for key, value in one.properties.items() if key != "HealthCheckPort"}
            attributes = {name: one.att(name) for name in ("TargetGroupArn", "TargetGroupFullName")}
            yield StackResource(one.stack, one.logical_id, one.type, properties, one.ref, attributes)
        else:
            yield one


async def _run(
    resources: Sequence[Resource], site: Site, objects: Mapping[str, StaticObject], folder: Path
) -> list[Outcome]:
    now = [0.0]

    def metadata(path: Path) -> tuple[str, str]:
        found = objects[path.relative_to(folder.resolve()).as_posix()]
        return found.content_type, found.cache_control

    edge = EdgeSimulator(resources, static=folder, metadata=metadata, clock=lambda: now[0])
    async with AsyncExitStack() as stack:
        apps: dict[str, _App] = {}
        for name in site.routes:
            codes = edge.balancer.group(name).health_check.codes if edge.balancer else {200}
            apps[name] = await stack.enter_async_context(_serve(_App(min(codes))))
        await stack.enter_async_context(edge)
        for name, app in apps.items():
            edge.set_targets(name, app.url)
        outcomes = []
        async with asyncio.timeout(_TIMEOUT):
            await edge.wait_until_healthy(*apps)
            for row in rows(site, objects):
                now[0] += _YEAR
                outcomes.append(Outcome(row, tuple(await _run_row(edge, site, apps, row))))
        return outcomes


@asynccontextmanager
async def _serve(app: _App) -> AsyncIterator[_App]:
    connections: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await Connection(reader, writer, app.handle, "http").run()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(answer(reader, writer))
        connections.add(task)
        task.add_done_callback(connections.discard)

    server = await asyncio.start_server(connected, VIEWER, 0)
    app.url = f"http://{VIEWER}:{server.sockets[0].getsockname()[1]}"
    try:
        yield app
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


async def _run_row(edge: EdgeSimulator, site: Site, apps: Mapping[str, _App], row: Row) -> list[str]:
    """Send the requests of a row, and return what differs."""
    for app in apps.values():
        app.answer = row.answer
        app.received.clear()
    owner = site.owner(row.path, row.headers.get("Host", ""))
    if row.without_tasks:
        edge.set_targets(owner, [])
    differences: list[str] = []
    response, content = respond(0, b""), b""
    for _ in range(row.times):
        try:
            response = await _send(edge, site, row)
            content = b"".join([chunk async for chunk in response.body])
        except UpstreamError as error:
            return [f"no response: {error}"]
        finally:
            response.close()
        differences += _compare_response(row, response, content)
    differences += _fields("the viewer gets", row.response, response.headers)
    if row.without_tasks:
        edge.set_targets(owner, apps[owner].url)
        await edge.wait_until_healthy(owner)
    differences += _compare_received(row, apps)
    return list(dict.fromkeys(differences))


async def _send(edge: EdgeSimulator, site: Site, row: Row) -> Response:
    headers = Headers({"Host": site.host, **row.headers}.items())
    request = Request(row.method, row.path, headers, VIEWER, row.scheme)
    if row.body:
        headers.add("Content-Length", str(len(row.body)))
        request.body = stream(row.body)
    else:
        request.sent.set()
    if row.direct:
        return await edge.direct(request, 443 if site.has_domain else 80)
    address = urlsplit(edge.url if row.scheme == "https" else edge.http_url)
    return await send_request(
        request, address.hostname or "", address.port or 0, connect_timeout=_TIMEOUT, idle_timeout=_TIMEOUT
    )


def _compare_response(row: Row, response: Response, content: bytes) -> Iterator[str]:
    if response.status != row.status:
        yield f"the viewer gets {response.status}, not {row.status}"
    expected = row.answer.body if row.app and row.content is None and row.answer.status else row.content
    if expected is not None and content != expected:
        yield f"the viewer gets the body {content[:60]!r}, not {expected[:60]!r}"


def _compare_received(row: Row, apps: Mapping[str, _App]) -> Iterator[str]:
    for name, app in apps.items():
        expected = row.times if name == row.app else 0
        if len(app.received) != expected:
            yield f"{name} receives {len(app.received)} requests, not {expected}"
        if name != row.app:
            continue
        for one in app.received:
            seen, sent = (one.method, one.target, one.body), (row.method, row.path, row.body)
            if seen != sent:
                yield f"{name} receives {seen}, not {sent}"
            yield from _fields(f"{name} receives", row.received, one.headers)


def _fields(subject: str, expected: Fields, headers: Headers) -> Iterator[str]:
    for name, value in expected.items():
        found = headers.get(name)
        # The load balancer adds cookies of its own for sticky sessions.
        if found != value and not (name == "Set-Cookie" and value in headers.get_all(name)):
            yield f"{subject} {name}: {found or 'none'}, not {value or 'none'}"
