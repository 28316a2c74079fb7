"""The simulator: an address for viewers, the distribution and load balancer of an environment, and its targets."""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from hosting.edge_simulator.balancer import PREFIX, Balancer, read_balancer
from hosting.edge_simulator.bucket import Bucket, Metadata, allowed_actions, guess_metadata
from hosting.edge_simulator.cache import Cache
from hosting.edge_simulator.cloudfront import CloudFront
from hosting.edge_simulator.distribution import Distribution, Origin, read_distribution
from hosting.edge_simulator.errors import ConfigurationError, UpstreamError
from hosting.edge_simulator.http_client import send_request
from hosting.edge_simulator.http_server import Connection
from hosting.edge_simulator.load_balancer import LoadBalancer
from hosting.edge_simulator.messages import Handler, Request, Response
from hosting.edge_simulator.resources import Resource, Resources

Urls = str | Sequence[str]


class EdgeSimulator:
    """CloudFront and the load balancer of an environment, with real HTTP on both sides.

    `resources` are the resolved resources of its stacks. `targets` gives the addresses of apps: the keys are names of
    target groups (of their nested stack, such as "Backend"), or ids of origins that are no load balancer. `static` is
    the content of the S3 origin.

    `url` is the address of a viewer who uses HTTPS, and `http_url` of one who uses HTTP. A request whose Host header is
    one of these addresses counts as a request to the first name of the distribution, unless `names` contains it.
    """

    def __init__(
        self,
        resources: Iterable[Resource],
        *,
        targets: Mapping[str, Urls] | None = None,
        static: Path | None = None,
        metadata: Metadata = guess_metadata,
        names: Sequence[str] = (),
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        health_check_interval: float | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        known = Resources(resources)
        self.distribution = read_distribution(known)
        self._names, self._port, self._tls = tuple(name.lower() for name in names), port, tls
        self._given = dict(targets or {})
        self.cache = Cache(clock) if clock else Cache()
        balancers = [read_balancer(known, one) for one in known.of_type(f"{PREFIX}LoadBalancer")]
        self._balancers = {
            origin.id: balancer
            for origin in self.distribution.origins.values()
            if (balancer := _balancer_of(origin, balancers, known, self._given))
        }
        self.balancer = (
            LoadBalancer(next(iter(self._balancers.values())), health_check_interval) if self._balancers else None
        )
        handlers = {
            origin.id: self._handler(origin, known, static, metadata) for origin in self.distribution.origins.values()
        }
        self._cloudfront = CloudFront(_with_names(self.distribution, self._names), handlers, self.cache)
        self._servers: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()
        self.url = self.http_url = ""

    # --- Life ---

    async def __aenter__(self) -> EdgeSimulator:
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        if self.balancer:
            for name, urls in self._given.items():
                if name not in self.distribution.origins:
                    self.set_targets(name, urls)
        self.url = await self._serve("https", self._port, self._tls)
        self.http_url = await self._serve("http", 0, None)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self._servers:
            server.close()
        if self.balancer:
            await self.balancer.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def set_targets(self, name: str, urls: Urls) -> None:
        """Replace the registered targets of a target group. An empty list is a service without tasks."""
        if self.balancer is None:
            raise ConfigurationError(f"target {name}", "the distribution has no load balancer as an origin")
        addresses = [urls] if isinstance(urls, str) else urls
        if self._thread == threading.get_ident():
            self.balancer.set_targets(name, addresses)
        else:
            asyncio.run_coroutine_threadsafe(self._replace_targets(name, addresses), self._loop).result()

    async def _replace_targets(self, name: str, urls: Sequence[str]) -> None:
        assert self.balancer is not None  # noqa: S101 -- set_targets has checked it
        self.balancer.set_targets(name, urls)

    async def wait_until_healthy(self, *names: str) -> None:
        """Wait until the targets of the named groups, or of all groups that have targets, pass their health check."""
        if self.balancer:
            for name in names or [key for key in self._given if key not in self.distribution.origins]:
                await self.balancer.wait_until_healthy(name)

    async def _serve(self, scheme: str, port: int, tls: ssl.SSLContext | None) -> str:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(UpstreamError, ConnectionError):
                await Connection(reader, writer, self._handle, scheme).run()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            # asyncio reports a coroutine that it has started itself as failed if that is cancelled.
            task = asyncio.ensure_future(answer(reader, writer))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
            task.add_done_callback(lambda _: writer.close())

        server = await asyncio.start_server(connected, "127.0.0.1", port, ssl=tls)
        self._servers.append(server)
        return f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    # --- Requests ---

    async def _handle(self, request: Request) -> Response:
        own = {urlsplit(self.url).netloc, urlsplit(self.http_url).netloc}
        if request.headers.get("Host") in own:
            request.headers.set("Host", (self._names or self.distribution.names)[0])
        return await self._cloudfront.handle(request)

    async def direct(self, request: Request, port: int) -> Response:
        """Answer a request that reaches the load balancer without CloudFront."""
        if self.balancer is None:
            raise ConfigurationError("direct request", "the distribution has no load balancer as an origin")
        return await self.balancer.handle(request, port)

    def _handler(self, origin: Origin, known: Resources, static: Path | None, metadata: Metadata) -> Handler:
        if origin.is_bucket:
            return Bucket(static, allowed_actions(known, origin.domain), metadata).handle
        if balancer := self._balancers.get(origin.id):
            return _balancer_handler(origin, balancer, self.balancer)
        if url := self._given.get(origin.id):
            return _app_handler(origin, url)
        raise ConfigurationError(
            f"origin {origin.id}",
            f"{origin.domain} is no load balancer and no bucket of the templates",
            f"give its address as target {origin.id}",
        )


def _balancer_of(
    origin: Origin, balancers: Sequence[Balancer], resources: Resources, given: Mapping[str, Urls]
) -> Balancer | None:
    """Return the load balancer to which the domain of an origin leads.

    A domain whose record is not in the templates leads to the only load balancer.
    """
    if origin.is_bucket or origin.id in given or not balancers:
        return None
    names = [
        origin.domain,
        *(
            str((record.properties.get("AliasTarget") or {}).get("DNSName", ""))
            for record in resources.of_type("AWS::Route53::RecordSet")
            if str(record.properties["Name"]).rstrip(".").lower() == origin.domain.lower()
        ),
    ]
    for balancer in balancers:
        resource = resources.find(f"{PREFIX}LoadBalancer", balancer.ref)
        if resource and any(resource.att("DNSName") in name for name in names):
            return balancer
    return balancers[0] if len(balancers) == 1 else None


def _balancer_handler(origin: Origin, balancer: Balancer, running: LoadBalancer | None) -> Handler:
    async def handle(request: Request) -> Response:
        port = origin.https_port if request.scheme == "https" else origin.http_port
        listener = balancer.listeners.get(port)
        if request.scheme == "https" and listener and listener.certificate_names is not None:
            _check_certificate(origin, request, listener.certificate_names)
        assert running is not None  # noqa: S101 -- an origin that leads to a load balancer has started it
        return await running.handle(request, port)

    return handle


def _check_certificate(origin: Origin, request: Request, names: Iterable[str]) -> None:
    """Raise UpstreamError if the certificate has neither the domain of the origin nor the Host header.

    Amazon CloudFront Developer Guide, "HTTP 502 status code (Bad Gateway)".
    """
    for name in (origin.domain.lower(), request.host):
        if any(fnmatch.fnmatch(name, covered.lower()) for covered in names):
            return
    raise UpstreamError(502, f"the certificate of the origin covers neither {origin.domain} nor {request.host}")


def _app_handler(origin: Origin, url: Urls) -> Handler:
    parts = urlsplit(url if isinstance(url, str) else url[0])
    host, port = parts.hostname, parts.port
    if host is None or port is None:
        raise ConfigurationError(f"target {origin.id}", f"{url} is no address such as http://127.0.0.1:8000")

    async def handle(request: Request) -> Response:
        return await send_request(request, host, port, connect_timeout=10, idle_timeout=origin.read_timeout)

    return handle


def _with_names(distribution: Distribution, names: Sequence[str]) -> Distribution:
    """Return the distribution with more host names. The port of a name is not part of its host."""
    from dataclasses import replace

    return replace(distribution, names=(*(urlsplit(f"//{name}").hostname or "" for name in names), *distribution.names))


@contextlib.contextmanager
def running(simulator: EdgeSimulator, *, healthy: bool = True, timeout: float = 60) -> Iterator[EdgeSimulator]:
    """Run a simulator in a thread of its own, for callers without an event loop."""
    started: Future[Callable[[], object]] = Future()

    async def run() -> None:
        stopped, loop = asyncio.Event(), asyncio.get_running_loop()
        async with simulator:
            if healthy:
                async with asyncio.timeout(timeout):
                    await simulator.wait_until_healthy()
            started.set_result(lambda: loop.call_soon_threadsafe(stopped.set))
            await stopped.wait()

    with ThreadPoolExecutor(1, "edge-simulator") as pool:
        ended = pool.submit(lambda: asyncio.run(run()))
        events: list[Future[Any]] = [started, ended]
        wait(events, return_when=FIRST_COMPLETED)
        if ended.done():
            ended.result()  # raises what has prevented the start
        try:
            yield simulator
        finally:
            started.result()()
            ended.result()
