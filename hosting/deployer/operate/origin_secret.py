"""Rotation of the origin secret, the header value by which the load balancer recognizes CloudFront.

Every listener rule accepts two values: that of `OriginSecret`, which CloudFront sends, and that of `NextOriginSecret`.
A rotation has these steps:

1. CloudFront sends the next value, and has deployed it to all edge locations.
2. `OriginSecret` gets the next value.
3. `NextOriginSecret` gets a new value.
4. The rules accept the values of both secrets. So they refuse the old value.

No step refuses a request, and none depends on a record of the steps before it. So a rotation that ended in the middle
continues where the values show it. The value that CloudFront sends is always in one of the secrets, so a deployment
that resolves them in between is harmless too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError, WaiterError

from hosting.deployer.aws import stacks
from hosting.deployer.aws.session import explain
from hosting.deployer.errors import DeployerError, StateError

if TYPE_CHECKING:
    from hosting.deployer.operate.platform import Platform

HEADER = "X-Origin-Verify"
CURRENT, NEXT = "OriginSecret", "NextOriginSecret"
# CloudFront deploys a change to all edge locations in a few minutes.
_DEPLOYED = {"Delay": 15, "MaxAttempts": 120}


@dataclass(frozen=True)
class Values:
    """The values of the secrets, the value that CloudFront sends, and the values that each rule accepts."""

    current: str
    next: str
    sent: str
    accepted: Mapping[str, frozenset[str]]

    @property
    def is_complete(self) -> bool:
        """True if no rotation is unfinished."""
        both = {self.current, self.next}
        return self.sent == self.current != self.next and all(accepted == both for accepted in self.accepted.values())


@dataclass(frozen=True)
class Origin:
    """The origin secret of a deployed environment, and the resources that use it."""

    platform: Platform

    @cached_property
    def _secrets(self) -> Mapping[str, str]:
        """The ARNs of the two secrets by logical id."""
        found = {item.logical_id: item.physical_id or "" for item in self._resources("SecurityStack")}
        missing = [name for name in (CURRENT, NEXT) if name not in found]
        if missing:
            hint = f"deploy the current templates: deploy.py deploy -e {self.platform.name}"
            raise DeployerError(f"has no {missing[0]}", where=self.platform.root.name, hint=hint)
        return found

    @cached_property
    def _listeners(self) -> list[str]:
        resources = self._resources("ApplicationStack")
        (balancer,) = (item.physical_id for item in resources if item.logical_id == "LoadBalancer")
        pages = self._elbv2.get_paginator("describe_listeners").paginate(LoadBalancerArn=balancer or "")
        return [listener["ListenerArn"] for page in pages for listener in page["Listeners"]]

    def _resources(self, stack: str) -> list[stacks.Resource]:
        client = self.platform.context.clients.cloudformation(self.platform.home)
        return list(stacks.list_resources(client, self.platform.nested[stack]))

    @property
    def _elbv2(self) -> Any:
        return self.platform.context.clients.elbv2(self.platform.home)

    @property
    def _cloudfront(self) -> Any:
        return self.platform.context.clients.cloudfront(self.platform.home)

    @property
    def _secretsmanager(self) -> Any:
        return self.platform.context.clients.secretsmanager(self.platform.home)

    def read(self) -> Values:
        """Return the present values. Raises DeployerError if CloudFront sends a value of neither secret."""
        values = Values(
            self._value(CURRENT),
            self._value(NEXT),
            _sent_header(self._distribution()["DistributionConfig"])["HeaderValue"],
            {rule["RuleArn"]: _accepted(rule) for rule in self._rules()},
        )
        if values.sent not in (values.current, values.next):
            raise DeployerError(
                f"CloudFront sends a value of {HEADER} that is in neither secret",
                where=self.platform.root.name,
                hint=f"detect the change and deploy the templates: deploy.py drift -e {self.platform.name}",
            )
        return values

    def _value(self, secret: str) -> str:
        return str(self._secretsmanager.get_secret_value(SecretId=self._secrets[secret])["SecretString"])

    def _distribution(self) -> dict[str, Any]:
        reply: dict[str, Any] = self._cloudfront.get_distribution_config(Id=self.platform.output("DistributionId"))
        return reply

    def _rules(self) -> Iterator[dict[str, Any]]:
        """Yield the rules of the load balancer that require the header."""
        for listener in self._listeners:
            for page in self._elbv2.get_paginator("describe_rules").paginate(ListenerArn=listener):
                yield from (rule for rule in page["Rules"] if _accepted(rule))

    # --- Steps ---------------------------------------------------------------------------------------------------

    def send(self, value: str) -> None:
        """Make CloudFront send a value."""
        reply = self._distribution()
        _sent_header(reply["DistributionConfig"])["HeaderValue"] = value
        self._cloudfront.update_distribution(
            Id=self.platform.output("DistributionId"),
            IfMatch=reply["ETag"],
            DistributionConfig=reply["DistributionConfig"],
        )

    def wait_until_sent(self) -> None:
        """Wait until every edge location sends the value."""
        waiter = self._cloudfront.get_waiter("distribution_deployed")
        waiter.wait(Id=self.platform.output("DistributionId"), WaiterConfig=_DEPLOYED)

    def store(self, secret: str, value: str) -> None:
        """Write the value of a secret."""
        self._secretsmanager.put_secret_value(SecretId=self._secrets[secret], SecretString=value)

    def create_value(self, length: int) -> str:
        """Return a random value without characters that a listener rule treats as wildcards."""
        reply = self._secretsmanager.get_random_password(PasswordLength=length, ExcludePunctuation=True)
        return str(reply["RandomPassword"])

    def accept(self, *values: str) -> None:
        """Make every rule accept these values and no others."""
        for rule in self._rules():
            if _accepted(rule) != frozenset(values):
                conditions = [_modified(condition, list(values)) for condition in rule["Conditions"]]
                self._elbv2.modify_rule(RuleArn=rule["RuleArn"], Conditions=conditions)


def rotate(platform: Platform, report: Callable[[str], None]) -> None:
    """Replace the value that CloudFront sends, or finish a rotation that ended in the middle.

    Raises StateError if an operation on the root stack is running, and DeployerError if AWS refuses a step.
    """
    if platform.root.status.endswith("_IN_PROGRESS"):
        hint = f"wait for its end: deploy.py watch -e {platform.name}"
        raise StateError(f"an operation is running ({platform.root.status})", where=platform.root.name, hint=hint)
    try:
        _rotate(Origin(platform), report)
    except WaiterError as error:
        hint = "run the command again, which continues here"
        raise DeployerError(f"CloudFront is still deploying: {error}", hint=hint) from error
    except (BotoCoreError, ClientError) as error:
        raise explain(error) from error


def _rotate(origin: Origin, report: Callable[[str], None]) -> None:
    values = origin.read()
    if values.is_complete:
        report("1 of 4: CloudFront sends the next value, at all edge locations in a few minutes")
        sent = values.next
        origin.send(sent)
    else:
        report("the last rotation is unfinished: continue it")
        sent = values.sent
    origin.wait_until_sent()
    if values.current != sent:
        report(f"2 of 4: {CURRENT} gets this value")
        origin.store(CURRENT, sent)
    following = values.next
    if following == sent:
        report(f"3 of 4: {NEXT} gets a new value")
        following = origin.create_value(len(sent))
        origin.store(NEXT, following)
    report(f"4 of 4: {len(values.accepted)} rules accept both values, and refuse the old one")
    origin.accept(sent, following)


# --- Shapes of the replies -------------------------------------------------------------------------------------------


def _sent_header(config: dict[str, Any]) -> dict[str, Any]:
    """Return the secret header of a distribution's configuration. A change of it changes the configuration."""
    for origin in config["Origins"]["Items"]:
        for header in origin.get("CustomHeaders", {}).get("Items", []):
            if header["HeaderName"] == HEADER:
                found: dict[str, Any] = header
                return found
    raise DeployerError(f"the distribution does not send {HEADER}", hint="deploy the templates")


def _accepted(rule: dict[str, Any]) -> frozenset[str]:
    """Return the values of the header that a rule accepts; none if it does not require the header."""
    return frozenset(
        value
        for condition in rule["Conditions"]
        if _requires_header(condition)
        for value in condition["HttpHeaderConfig"]["Values"]
    )


def _requires_header(condition: dict[str, Any]) -> bool:
    name: str = condition.get("HttpHeaderConfig", {}).get("HttpHeaderName", "")
    return name.lower() == HEADER.lower()


def _modified(condition: dict[str, Any], values: list[str]) -> dict[str, Any]:
    """Return a condition of a reply as a request, with these values if it is the one on the header.

    A reply contains the values of hosts and paths twice, and a request must contain them once.
    """
    if _requires_header(condition):
        config = condition["HttpHeaderConfig"]
        return {"Field": "http-header", "HttpHeaderConfig": {**config, "Values": values}}
    if any(name.endswith("Config") for name in condition):
        return {name: value for name, value in condition.items() if name != "Values"}
    return condition
