"""The load balancer at work: chooses a rule, forwards to a healthy target, and checks the health of targets."""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from hosting.edge_simulator.balancer import Action, Balancer, HealthCheck, Listener, TargetGroup
from hosting.edge_simulator.errors import ConfigurationError, UpstreamError
from hosting.edge_simulator.http_client import send_request
from hosting.edge_simulator.http_server import end_to_end
from hosting.edge_simulator.messages import Headers, Request, Response, respond

# Elastic Load Balancing User Guide, "Quotas" and "Troubleshoot" of Application Load Balancers.
_LINE_LIMIT = 16 * 1024
_HEADER_LIMIT = 16 * 1024
_HEADERS_LIMIT = 64 * 1024
_FORWARDED_FOR_LIMIT = 30
_CONNECT_TIMEOUT = 10.0
_VALID_NAME = re.compile(r"[-A-Za-z0-9]+")
# While a target has not passed its first check, it is checked this often, so that a start is not delayed.
_INITIAL_INTERVAL = 0.2
_REASONS = {
    400: "Bad Request",
    403: "Forbidden",
    405: "Method Not Allowed",
    414: "Request-URI Too Large",
    463: "",
    502: "Bad Gateway",
    503: "Service Temporarily Unavailable",
    504: "Gateway Time-out",
}


@dataclass
class Target:
    """A process that answers for a target group. A target receives requests after its first successful check."""

    host: str
    port: int
    state: str = "initial"
    # Consecutive results of health checks that contradict the state.
    contradictions: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def id(self) -> str:
        return f"{self.host}:{self.port}"

    def record(self, passed: bool, check: HealthCheck) -> None:
        """Change the state as the thresholds of the check say. The first success makes a target healthy at once."""
        if passed == (self.state == "healthy"):
            self.contradictions = 0
            return
        self.contradictions += 1
        needed = check.healthy_threshold if passed else check.unhealthy_threshold
        if self.contradictions >= (1 if passed and self.state == "initial" else needed):
            self.state = "healthy" if passed else "unhealthy"
            self.contradictions = 0
            self.changed.set()


class LoadBalancer:
    """Answers requests at the listeners of a load balancer."""

    def __init__(self, balancer: Balancer, health_check_interval: float | None = None) -> None:
        self._balancer = balancer
        self._interval = health_check_interval
        self._targets: dict[str, list[Target]] = {}
        self._checks: dict[str, list[asyncio.Task[None]]] = {}
        self._turns: dict[str, Iterator[int]] = {}

    # --- Targets ---

    def group(self, name: str) -> TargetGroup:
        """Return the target group with a name. Raises ConfigurationError if there is none or more than one."""
        found = [group for group in self._balancer.target_groups.values() if name in group.names]
        if len(found) != 1:
            names = sorted({min(group.names, key=len) for group in self._balancer.target_groups.values()})
            raise ConfigurationError(f"target {name}", f"{len(found)} target groups have this name", f"name {names}")
        return found[0]

    def set_targets(self, name: str, urls: Sequence[str]) -> None:
        """Replace the registered targets of a group, and check their health from now on."""
        group = self.group(name)
        for task in self._checks.pop(group.ref, []):
            task.cancel()
        targets = [_target(url) for url in urls]
        self._targets[group.ref] = targets
        self._checks[group.ref] = [asyncio.ensure_future(self._check_forever(group, target)) for target in targets]

    async def wait_until_healthy(self, name: str) -> None:
        """Wait until every registered target of a group is healthy."""
        for target in self._targets.get(self.group(name).ref, []):
            while target.state != "healthy":
                target.changed.clear()
                await target.changed.wait()

    def states(self, name: str) -> list[str]:
        """Return the health of each registered target."""
        return [target.state for target in self._targets.get(self.group(name).ref, [])]

    async def close(self) -> None:
        """End the health checks."""
        checks = [*itertools.chain.from_iterable(self._checks.values())]
        for task in checks:
            task.cancel()
        await asyncio.gather(*checks, return_exceptions=True)

    async def _check_forever(self, group: TargetGroup, target: Target) -> None:
        check = group.health_check
        while True:
            target.record(await check_health(check, target), check)
            interval = check.interval if self._interval is None else self._interval
            await asyncio.sleep(min(_INITIAL_INTERVAL, interval) if target.state == "initial" else interval)

    # --- Requests ---

    async def handle(self, request: Request, port: int) -> Response:
        """Answer a request that arrives at a port."""
        listener = self._balancer.listeners.get(port)
        if listener is None:
            raise UpstreamError(504, f"the load balancer has no listener on port {port}")
        if error := self._refusal(request):
            return error
        request = self._filtered(request)
        rule = next(rule for rule in listener.rules if rule.matches(request))
        match rule.action.kind:
            case "redirect":
                return _redirect(rule.action, request, listener)
            case "fixed-response":
                return _fixed(rule.action)
        return await self._forward(rule.action, request, listener)

    def _refusal(self, request: Request) -> Response | None:
        """Return the response to a request beyond the limits of a load balancer."""
        if request.method == "TRACE":
            return _error(405)
        if len(request.method) + len(request.target) + 11 > _LINE_LIMIT:
            return _error(414)
        too_long = any(len(name) + len(value) + 4 > _HEADER_LIMIT for name, value in request.headers)
        hosts = request.headers.get_all("Host")
        if too_long or request.headers.size > _HEADERS_LIMIT or len(hosts) != 1:
            return _error(400)
        if len((request.headers.get("X-Forwarded-For") or "").split(",")) > _FORWARDED_FOR_LIMIT:
            return _error(463)
        return None

    def _filtered(self, request: Request) -> Request:
        headers = request.headers.copy()
        if self._balancer.enabled("routing.http.drop_invalid_header_fields.enabled"):
            headers.keep(lambda name: _VALID_NAME.fullmatch(name) is not None)
        return request.with_headers(headers)

    async def _forward(self, action: Action, request: Request, listener: Listener) -> Response:
        group = self._choose_group(action)
        target = self._choose_target(group, request)
        if target is None:
            return _error(503)
        forwarded = request.with_headers(self._forwarded_headers(request, listener))
        try:
            response = await send_request(
                forwarded,
                target.host,
                target.port,
                connect_timeout=_CONNECT_TIMEOUT,
                idle_timeout=self._balancer.idle_timeout,
            )
        except UpstreamError as error:
            return _error(error.status)
        if response.tunnel is None:
            response.headers = end_to_end(response.headers)
        _add_sticky_cookie(group, target, response)
        return response

    def _forwarded_headers(self, request: Request, listener: Listener) -> Headers:
        """Return the headers for a target. Proto and port of the listener replace those of the client."""
        headers = request.headers.copy() if request.is_websocket else end_to_end(request.headers)
        if "Transfer-Encoding" in request.headers:
            headers.set("Transfer-Encoding", "chunked")
        match self._balancer.attributes.get("routing.http.xff_header_processing.mode", "append"):
            case "append":
                client = request.client
                if self._balancer.enabled("routing.http.xff_client_port.enabled"):
                    client += ":443"
                before = request.headers.get("X-Forwarded-For")
                headers.set("X-Forwarded-For", f"{before}, {client}" if before else client)
            case "remove":
                headers.remove("X-Forwarded-For")
        headers.set("X-Forwarded-Proto", listener.protocol.lower())
        headers.set("X-Forwarded-Port", str(listener.port))
        if "X-Amzn-Trace-Id" not in headers:
            headers.add("X-Amzn-Trace-Id", f"Root=1-{secrets.token_hex(4)}-{secrets.token_hex(12)}")
        return headers

    def _choose_group(self, action: Action) -> TargetGroup:
        """Return a target group of a forward action, by its weight and in turn."""
        turns = [reference for reference, weight in action.targets for _ in range(weight)]
        references = turns or [reference for reference, _ in action.targets]
        return self._balancer.target_groups[references[self._turn(f"groups {references}") % len(references)]]

    def _choose_target(self, group: TargetGroup, request: Request) -> Target | None:
        """Return a healthy target, or an unhealthy one if no target of the group is healthy.

        A load balancer that has only unhealthy targets sends requests to all of them (Elastic Load Balancing, "Health
        checks for Application Load Balancer target groups"). A target without its first result receives none.
        """
        checked = [target for target in self._targets.get(group.ref, []) if target.state != "initial"]
        usable = [target for target in checked if target.state == "healthy"] or checked
        if not usable:
            return None
        if group.sticky_cookie:
            cookie = "AWSALB" if group.sticky_cookie == "AWSALB" else "AWSALBAPP-0"
            wanted = _cookie(request, cookie)
            for target in usable:
                if wanted == _sticky_value(target):
                    return target
        return usable[self._turn(group.ref) % len(usable)]

    def _turn(self, key: str) -> int:
        return next(self._turns.setdefault(key, itertools.count()))


async def check_health(check: HealthCheck, target: Target) -> bool:
    """Send one health check. Its Host header is the address of the target, and rules do not apply to it."""
    port = target.port if check.port is None else check.port
    headers = Headers([("Host", target.id), ("Connection", "close"), ("User-Agent", "ELB-HealthChecker/2.0")])
    request = Request("GET", check.path, headers, client=target.host, scheme="http")
    request.sent.set()

    try:
        async with asyncio.timeout(check.timeout):
            response = await send_request(
                request, target.host, port, connect_timeout=check.timeout, idle_timeout=check.timeout
            )
    except (UpstreamError, TimeoutError):
        return False
    response.close()
    return response.status in check.codes


def _target(url: str) -> Target:
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ConfigurationError(f"target {url}", "is no address such as http://127.0.0.1:8000")
    return Target(parts.hostname, parts.port or 80)


def _cookie(request: Request, name: str) -> str | None:
    for piece in (request.headers.get("Cookie") or "").split(";"):
        key, _, value = piece.strip().partition("=")
        if key == name:
            return value
    return None


def _sticky_value(target: Target) -> str:
    return target.id.replace(":", "-")


def _add_sticky_cookie(group: TargetGroup, target: Target, response: Response) -> None:
    if group.sticky_cookie is None:
        return
    value, age = _sticky_value(target), f"Max-Age={group.sticky_seconds}; Path=/"
    if group.sticky_cookie == "AWSALB":
        response.headers.add("Set-Cookie", f"AWSALB={value}; {age}")
        response.headers.add("Set-Cookie", f"AWSALBCORS={value}; {age}; SameSite=None; Secure")
    elif any(line.startswith(f"{group.sticky_cookie}=") for line in response.headers.get_all("Set-Cookie")):
        response.headers.add("Set-Cookie", f"AWSALBAPP-0={value}; {age}")


def _redirect(action: Action, request: Request, listener: Listener) -> Response:
    config: Mapping[str, str] = action.redirect or {}
    values = {
        "#{protocol}": listener.protocol.lower(),
        "#{host}": request.host,
        "#{port}": str(listener.port),
        "#{path}": request.path.removeprefix("/"),
        "#{query}": request.query,
    }

    def filled(name: str, default: str) -> str:
        text = config.get(name, default)
        for variable, value in values.items():
            text = text.replace(variable, value)
        return text

    protocol, query = filled("Protocol", "#{protocol}").lower(), filled("Query", "#{query}")
    location = f"{protocol}://{filled('Host', '#{host}')}:{filled('Port', '#{port}')}{filled('Path', '/#{path}')}"
    status = int(config["StatusCode"].removeprefix("HTTP_"))
    return respond(status, "", Server="awselb/2.0", Location=location + (f"?{query}" if query else ""))


def _fixed(action: Action) -> Response:
    config: Mapping[str, str] = action.response or {}
    body, kind = config.get("MessageBody", ""), config.get("ContentType", "text/plain")
    return respond(int(config["StatusCode"]), body, f"{kind}; charset=utf-8", Server="awselb/2.0")


def _error(status: int) -> Response:
    """Return an error that the load balancer itself creates."""
    title = f"{status} {_REASONS.get(status, '')}".strip()
    page = f"<html><head><title>{title}</title></head><body><center><h1>{title}</h1></center></body></html>"
    return respond(status, page, Server="awselb/2.0")
