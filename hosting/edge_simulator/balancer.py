"""The configuration of a load balancer: listeners, rules and target groups, read from their resources."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass

from hosting.edge_simulator.distribution import wildcard
from hosting.edge_simulator.errors import ConfigurationError
from hosting.edge_simulator.messages import Request
from hosting.edge_simulator.resources import Resource, Resources, flag, number
from hosting.model.tokens import Json

PREFIX = "AWS::ElasticLoadBalancingV2::"
# Elastic Load Balancing, "Quotas for your Application Load Balancers".
CONDITION_VALUES = 5
_SUFFIXES = ("ServiceStack", "WorkloadStack", "Stack")


@dataclass(frozen=True)
class HealthCheck:
    path: str
    port: int | None  # None: the port of the target
    codes: frozenset[int]
    interval: float
    timeout: float
    healthy_threshold: int
    unhealthy_threshold: int


@dataclass(frozen=True)
class TargetGroup:
    """A target group. `names` are the names by which a caller may give its targets."""

    ref: str
    names: frozenset[str]
    health_check: HealthCheck
    sticky_cookie: str | None  # AWSALB, the name of a cookie of the app, or None
    sticky_seconds: int


@dataclass(frozen=True)
class Condition:
    """A condition of a rule: one of the values matches."""

    field: str
    values: tuple[str, ...]
    header: str = ""
    regular_expressions: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()

    def holds(self, request: Request) -> bool:
        """Return True if the request satisfies the condition. Raises ConfigurationError for an unknown condition."""
        match self.field:
            case "path-pattern":
                return self._any(request.path)
            case "host-header":
                return self._any(request.host, ignore_case=True)
            case "http-header":
                return any(self._any(value, ignore_case=True) for value in request.headers.get_all(self.header))
            case "http-request-method":
                return request.method in self.values
            case "query-string":
                given = [piece.partition("=")[::2] for piece in request.query.split("&") if piece]
                return any(
                    wildcard(value.lower(), v.lower()) and (not key or wildcard(key.lower(), k.lower()))
                    for key, value in self.pairs
                    for k, v in given
                )
        raise ConfigurationError("listener rule", f"the simulator does not model the condition {self.field}")

    def _any(self, text: str, *, ignore_case: bool = False) -> bool:
        shown = text.lower() if ignore_case else text
        plain = (value.lower() if ignore_case else value for value in self.values)
        return any(wildcard(value, shown) for value in plain) or any(
            re.fullmatch(expression, text, re.IGNORECASE if ignore_case else 0)
            for expression in self.regular_expressions
        )


@dataclass(frozen=True)
class Action:
    """The action of a rule: forward to target groups with weights, redirect or respond."""

    kind: str
    targets: tuple[tuple[str, int], ...] = ()
    redirect: Mapping[str, Json] | None = None
    response: Mapping[str, Json] | None = None


@dataclass(frozen=True)
class Rule:
    name: str
    priority: int
    conditions: tuple[Condition, ...]
    action: Action

    def matches(self, request: Request) -> bool:
        return all(condition.holds(request) for condition in self.conditions)


@dataclass(frozen=True)
class Listener:
    """A listener. Its rules are in the order of their priority, the default action is last."""

    port: int
    protocol: str
    rules: tuple[Rule, ...]
    # Names on its certificates, or None if a certificate is not in the templates.
    certificate_names: tuple[str, ...] | None


@dataclass(frozen=True)
class Balancer:
    """A load balancer with its listeners by port, target groups by ARN and attributes."""

    ref: str
    listeners: Mapping[int, Listener]
    target_groups: Mapping[str, TargetGroup]
    attributes: Mapping[str, str]

    @property
    def idle_timeout(self) -> float:
        return number(self.attributes.get("idle_timeout.timeout_seconds"), 60)

    def enabled(self, attribute: str) -> bool:
        return flag(self.attributes.get(attribute))


def read_balancer(resources: Resources, balancer: Resource) -> Balancer:
    """Return a load balancer with everything that belongs to it. Raises ConfigurationError for what AWS refuses."""
    attributes = _pairs(balancer.properties.get("LoadBalancerAttributes"))
    listeners = {
        listener.port: listener
        for resource in resources.of_type(f"{PREFIX}Listener")
        if resource.properties["LoadBalancerArn"] == balancer.ref
        for listener in [_listener(resources, resource)]
    }
    groups = {resource.ref: _target_group(resource) for resource in resources.of_type(f"{PREFIX}TargetGroup")}
    for listener in listeners.values():
        for rule in listener.rules:
            for reference, _ in rule.action.targets:
                if reference not in groups:
                    raise ConfigurationError(rule.name, f"target group {reference} is not in the templates")
    return Balancer(balancer.ref, listeners, groups, attributes)


def _listener(resources: Resources, resource: Resource) -> Listener:
    port = int(resource.properties["Port"])
    rules = sorted(
        (
            _rule(rule)
            for rule in resources.of_type(f"{PREFIX}ListenerRule")
            if rule.properties["ListenerArn"] == resource.ref
        ),
        key=lambda rule: rule.priority,
    )
    for first, second in itertools.pairwise(rules):
        if first.priority == second.priority:
            raise ConfigurationError(second.name, f"priority {second.priority} is also that of {first.name}")
    default = Rule(f"default of port {port}", 50_001, (), _action(resource, resource.properties["DefaultActions"]))
    return Listener(port, resource.properties["Protocol"], (*rules, default), _certificate_names(resources, resource))


def _certificate_names(resources: Resources, listener: Resource) -> tuple[str, ...] | None:
    references = [one["CertificateArn"] for one in listener.properties.get("Certificates") or ()]
    for more in resources.of_type(f"{PREFIX}ListenerCertificate"):
        if more.properties["ListenerArn"] == listener.ref:
            references += [one["CertificateArn"] for one in more.properties["Certificates"]]
    names: list[str] = []
    for reference in references:
        certificate = resources.find("AWS::CertificateManager::Certificate", reference)
        if certificate is None:
            return None
        names.append(certificate.properties["DomainName"])
        names += certificate.properties.get("SubjectAlternativeNames") or ()
    return tuple(names)


def _rule(resource: Resource) -> Rule:
    name = f"{resource.stack}/{resource.logical_id}"
    if resource.properties.get("Transforms"):
        raise ConfigurationError(name, "the simulator does not model transforms")
    conditions = tuple(_condition(name, item) for item in resource.properties["Conditions"])
    count = sum(len(one.values) + len(one.regular_expressions) + len(one.pairs) for one in conditions)
    if count > CONDITION_VALUES:
        raise ConfigurationError(name, f"the rule has {count} condition values, and the quota is {CONDITION_VALUES}")
    return Rule(
        name, int(resource.properties["Priority"]), conditions, _action(resource, resource.properties["Actions"])
    )


def _condition(rule: str, item: Mapping[str, Json]) -> Condition:
    field = item["Field"]
    settings = {
        "path-pattern": "PathPatternConfig",
        "host-header": "HostHeaderConfig",
        "http-header": "HttpHeaderConfig",
        "http-request-method": "HttpRequestMethodConfig",
        "query-string": "QueryStringConfig",
    }
    if field not in settings:
        raise ConfigurationError(rule, f"the simulator does not model the condition {field}")
    config = item.get(settings[field]) or {"Values": item.get("Values", ())}
    if field == "query-string":
        return Condition(field, (), pairs=tuple((one.get("Key", ""), one["Value"]) for one in config["Values"]))
    values = config.get("Values") or ()
    values = tuple(values.split(",") if isinstance(values, str) else values)
    return Condition(field, values, config.get("HttpHeaderName", ""), tuple(config.get("RegexValues") or ()))


def _action(resource: Resource, actions: list[Mapping[str, Json]]) -> Action:
    name = f"{resource.stack}/{resource.logical_id}"
    if len(actions) != 1:
        raise ConfigurationError(name, "the simulator models rules with one action")
    (action,) = actions
    kind = action["Type"]
    if kind == "forward":
        groups = (action.get("ForwardConfig") or {}).get("TargetGroups")
        targets = groups or [{"TargetGroupArn": action["TargetGroupArn"], "Weight": 1}]
        return Action(kind, tuple((one["TargetGroupArn"], int(one.get("Weight", 1))) for one in targets))
    if kind == "redirect":
        return Action(kind, redirect=action["RedirectConfig"])
    if kind == "fixed-response":
        return Action(kind, response=action["FixedResponseConfig"])
    raise ConfigurationError(name, f"the simulator does not model the action {kind}")


def _target_group(resource: Resource) -> TargetGroup:
    properties = resource.properties
    name = f"{resource.stack}/{resource.logical_id}"
    if properties.get("Protocol", "HTTP") != "HTTP" or properties.get("ProtocolVersion", "HTTP1") != "HTTP1":
        raise ConfigurationError(name, "the simulator models targets with HTTP/1.1 and without TLS")
    attributes = _pairs(properties.get("TargetGroupAttributes"))
    interval = number(properties.get("HealthCheckIntervalSeconds"), 30)
    port = str(properties.get("HealthCheckPort", "traffic-port"))
    cookie = None
    seconds = "0"
    if flag(attributes.get("stickiness.enabled")):
        kind = attributes.get("stickiness.type", "lb_cookie")
        cookie = "AWSALB" if kind == "lb_cookie" else attributes["stickiness.app_cookie.cookie_name"]
        seconds = attributes.get(f"stickiness.{kind}.duration_seconds", "86400")
    return TargetGroup(
        resource.ref,
        frozenset(_names(resource)),
        HealthCheck(
            properties.get("HealthCheckPath", "/"),
            None if port == "traffic-port" else int(port),
            _codes((properties.get("Matcher") or {}).get("HttpCode", "200")),
            interval,
            number(properties.get("HealthCheckTimeoutSeconds"), 5),
            int(properties.get("HealthyThresholdCount", 5)),
            int(properties.get("UnhealthyThresholdCount", 2)),
        ),
        cookie,
        int(seconds),
    )


def _names(resource: Resource) -> set[str]:
    """Return the reference, the logical id, and the logical id of the nested stack with and without its suffix."""
    stack = resource.stack.rpartition("/")[2]
    short = next((stack.removesuffix(suffix) for suffix in _SUFFIXES if stack.endswith(suffix)), stack)
    return {resource.ref, resource.logical_id, stack, short}


def _codes(text: str) -> frozenset[int]:
    """Return the status codes of a matcher such as `200,202-204`."""
    codes: set[int] = set()
    for part in str(text).split(","):
        first, _, last = part.partition("-")
        codes.update(range(int(first), int(last or first) + 1))
    return frozenset(codes)


def _pairs(attributes: Json) -> dict[str, str]:
    return {one["Key"]: str(one["Value"]) for one in attributes or ()}
