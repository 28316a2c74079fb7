"""Rules of root's parameters: each rule refuses wrong values, and no rule refuses the committed files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hosting.model.intrinsics import broken_assertions
from hosting.model.templates import Template
from tests.support.project import PARAMS, TEMPLATES

PROJECT = Path(__file__).parents[2]
ROOT: dict[str, Any] = json.loads((TEMPLATES / "root.json").read_text(encoding="utf-8"))


def refused(environment: str, **changed: str) -> set[str]:
    """Return the names of the rules that refuse an environment's parameters after some changes."""
    text = (PARAMS / f"{environment}.json").read_text(encoding="utf-8")
    given = {name: str(value) for name, value in json.loads(text)["Parameters"].items()}
    defaults = {name: str(one.get("Default", "")) for name, one in ROOT["Parameters"].items()}
    values = {**defaults, **given, **changed}
    return {broken.rule for broken in broken_assertions(Template.from_body("root.json", ROOT), values)}


CASES = {
    "SlackIdsTogether": ("lab", {"SlackWorkspaceId": "T0123456789", "SlackChannelId": ""}),
    "ZonesDiffer": ("lab", {"FirstZone": "ap-northeast-1d"}),
    "ProdHasDomain": ("live", {"Environment": "prod", "DomainName": "", "HostedZoneId": ""}),
    "DomainHasCertificates": ("live", {"HostedZoneId": "", "OriginCertificateArn": ""}),
    "RedirectHasDomain": ("live", {"RedirectDomainName": "shop.example.org"}),
    "HostedZoneHasDomain": ("lab", {"DomainName": "", "HostedZoneId": "Z9876543210ZYXWVUTSRQ"}),
    "ProdKeepsLogs": ("live", {"Environment": "prod", "ArchiveLogs": "false"}),
    "BacktrackIsProvisioned": ("lab", {"DbBacktrackSeconds": "3600"}),
    "InsightsHasCapacity": ("lab", {"DbInsights": "true", "DbMinCapacity": "0.5"}),
    "DevForgetsLogs": ("lab", {"Environment": "dev", "LogRetentionDays": "30"}),
    "PortalSize": ("lab", {"PortalCpu": "256", "PortalMemory": "8192"}),
    "SearchSize": ("lab", {"SearchCpu": "512", "SearchMemory": "512"}),
    "OrdersSize": ("lab", {"OrdersCpu": "4096", "OrdersMemory": "512"}),
}


@pytest.mark.parametrize("environment", ["lab", "live"])
def test_the_committed_parameters_keep_every_rule(environment: str) -> None:
    assert refused(environment) == set()


@pytest.mark.parametrize("name", sorted(CASES))
def test_each_rule_refuses(name: str) -> None:
    environment, changed = CASES[name]
    assert refused(environment, **changed) == {name}


def test_no_rule_is_left_out() -> None:
    assert set(CASES) == set(ROOT["Rules"])
