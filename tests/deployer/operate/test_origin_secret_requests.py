"""A rotation of the origin secret, with requests in each of its states through the simulated edge."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
import requests

from hosting.analysis.resolve import Resource
from hosting.deployer.operate import origin_secret
from hosting.deployer.operate.origin_secret import HEADER, Origin
from hosting.edge_simulator import EdgeSimulator, running
from tests.deployer.operate import parts
from tests.edge_simulator.conftest import resolved
from tests.support.echo_app import EchoApp, echo_app

RULE, DISTRIBUTION = "AWS::ElasticLoadBalancingV2::ListenerRule", "AWS::CloudFront::Distribution"


@dataclass(frozen=True)
class State:
    """The values that edge locations send at one moment, and those that the rules accept."""

    sent: frozenset[str]
    accepted: frozenset[str]


def read(deployed: parts.Deployed) -> tuple[str, frozenset[str]]:
    """Return the value that CloudFront sends, and the values that every rule accepts."""
    values = Origin(deployed.platform).read()
    return values.sent, frozenset.intersection(*values.accepted.values())


def rotate(deployed: parts.Deployed) -> list[State]:
    """Rotate the secret, and return the state after each write. Edge locations change one after the other."""
    sent, accepted = read(deployed)
    sending, states = {sent}, [State(frozenset({sent}), accepted)]

    def written(**_: Any) -> None:
        now, rules = read(deployed)
        sending.add(now)
        states.append(State(frozenset(sending), rules))

    def distributed(**_: Any) -> None:
        sending.intersection_update({read(deployed)[0]})

    hooks = [
        (deployed.client("cloudfront"), "after-call.*.UpdateDistribution", written),
        (deployed.client("secretsmanager"), "after-call.*.PutSecretValue", written),
        (deployed.client("elbv2"), "after-call.*.ModifyRule", written),
        (deployed.client("cloudfront"), "after-call.*.GetDistribution", distributed),
    ]
    for client, event, hook in hooks:
        client.meta.events.register(event, hook)
    try:
        origin_secret.rotate(deployed.platform, lambda _line: None)
    finally:
        for client, event, hook in hooks:
            client.meta.events.unregister(event, hook)
    return states


def with_values(resource: Resource, sent: str, accepted: frozenset[str]) -> Resource:
    """Return a distribution that sends a value, or a rule that accepts values; other resources as they are."""
    body: Mapping[str, Any] = copy.deepcopy(dict(resource.properties))
    if resource.type == DISTRIBUTION:
        for origin in body["DistributionConfig"]["Origins"]:
            for header in origin.get("OriginCustomHeaders", []):
                header["HeaderValue"] = sent
    elif resource.type == RULE:
        for condition in body["Conditions"]:
            if condition.get("HttpHeaderConfig", {}).get("HttpHeaderName") == HEADER:
                condition["HttpHeaderConfig"]["Values"] = sorted(accepted)
    return replace(resource, properties=body)


def refused(state: State, app: EchoApp) -> list[str]:
    """Return the values with which a request through an edge location that sends them does not reach the app."""
    found = resolved("lab").resources
    values = []
    for sent in sorted(state.sent):
        resources = [with_values(one, sent, state.accepted) for one in found]
        with running(EdgeSimulator(resources, targets={"Portal": app.url}, health_check_interval=0.05)) as edge:
            host = {"Host": edge.distribution.names[0]}
            reply = requests.get(f"{edge.url}/", headers=host, allow_redirects=False, timeout=10)
        if reply.status_code != 200:
            values.append(sent)
    return values


def test_a_rotation_refuses_no_request_at_any_edge_location(deployed: parts.Deployed) -> None:
    states = rotate(deployed)
    assert max(len(state.sent) for state in states) == 2, "the locations differ for a moment"
    (old,), (new,) = states[0].sent, states[-1].sent
    assert old != new
    with echo_app() as app:
        assert [refused(state, app) for state in states] == [[] for _ in states]
        assert refused(State(frozenset({old}), states[-1].accepted), app) == [old]


def test_rules_that_forget_the_old_value_too_early_refuse_requests(
    deployed: parts.Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait for the edge locations is left out, so the last step comes while some send the old value."""
    monkeypatch.setattr(Origin, "wait_until_sent", lambda _self: None)
    states = rotate(deployed)
    (old,) = states[0].sent
    with echo_app() as app:
        assert [old] in [refused(state, app) for state in states]
