"""Each rule of the contract with apps is shown to fail."""

# ruff: noqa: E501 -- one case on each line reads as a table

from __future__ import annotations

from typing import Any

import pytest

from hosting.analysis.rules import app_contract

DISTRIBUTION, FUNCTION = "CloudFront::Distribution", "CloudFront::Function"
REQUESTS, HEADERS = "CloudFront::OriginRequestPolicy", "CloudFront::ResponseHeadersPolicy"
EXCEPT_HOST = "b689b0a8-53d0-40ab-baf2-68738e2966ac"
ALL_VIEWER = "216adef6-5c7f-47e4-b989-5492eafa07d3"
APP = "what the app does not set"


def config(b: Any) -> dict[str, Any]:
    found: dict[str, Any] = b.one(DISTRIBUTION)["Properties"]["DistributionConfig"]
    return found


def app(b: Any) -> dict[str, Any]:
    found: dict[str, Any] = config(b)["DefaultCacheBehavior"]
    return found


# Rule, environment, what breaks it, and the rules that cannot be kept apart from it.
CASES: list[tuple[str, str, Any, set[str]]] = [
    ("DST-22", "lab", lambda b: app(b).update(OriginRequestPolicyId=EXCEPT_HOST), {"DST-23"}),
    ("DST-22", "lab", lambda b: b.put(REQUESTS, "OriginRequestPolicyConfig.HeadersConfig.HeaderBehavior", "whitelist"), set()),
    ("DST-22", "lab", lambda b: app(b).pop("FunctionAssociations"), set()),
    ("DST-22", "lab", lambda b: b.replace(FUNCTION, "x-forwarded-host", "x-viewer-host"), set()),
    ("DST-23", "lab", lambda b: app(b).update(OriginRequestPolicyId=ALL_VIEWER), set()),
    ("DST-23", "lab", lambda b: b.put(REQUESTS, "OriginRequestPolicyConfig.HeadersConfig.Headers", ["CloudFront-Viewer-TLS"]), set()),
    ("DST-24", "lab", lambda b: b.put(HEADERS, "ResponseHeadersPolicyConfig.SecurityHeadersConfig.ContentTypeOptions.Override", True, has=APP), set()),
    ("DST-24", "lab", lambda b: b.put(HEADERS, "ResponseHeadersPolicyConfig.CustomHeadersConfig", {"Items": [{"Header": "Permissions-Policy", "Value": "x", "Override": True}]}, has=APP), set()),
    ("DST-25", "lab", lambda b: b.replace(FUNCTION, "delete headers['x-forwarded-host']", "headers['x-forwarded-proto'] = { value: 'https' }"), set()),
    ("DST-25", "lab", lambda b: b.replace(FUNCTION, "delete headers['x-forwarded-host']", "headers.host = { value: 'example.com' }"), set()),
    ("DST-26", "lab", lambda b: config(b)["CustomErrorResponses"].pop(), set()),
    ("DST-26", "lab", lambda b: config(b)["CustomErrorResponses"][0].pop("ErrorCachingMinTTL"), set()),
    ("DST-26", "lab", lambda b: config(b)["CustomErrorResponses"][0].update(ErrorCachingMinTTL=10), set()),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "environment", "damage", "also"), CASES, ids=[case[0] for case in CASES])
def test_rule_fails(check: Any, rule: str, environment: str, damage: Any, also: set[str]) -> None:
    check(rule, environment, damage, also)


def test_every_rule_is_shown_to_fail(guards_of: Any) -> None:
    assert {case[0] for case in CASES} == guards_of(app_contract)
