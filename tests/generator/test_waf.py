"""What the settings of the web ACL in workloads.py change in the edge stack."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest

from generator.edge_settings import Edge
from generator.errors import ConfigError
from generator.stacks import edge
from generator.waf_settings import Waf

SQLI = "AWSManagedRulesSQLiRuleSet"
COMMON = "AWSManagedRulesCommonRuleSet"
TRANSFORMATIONS: dict[str, Callable[[str], str]] = {
    "NONE": lambda path: path,
    "URL_DECODE": unquote,
    "NORMALIZE_PATH": posixpath.normpath,
}


def edge_stack(settings: Edge) -> dict[str, Any]:
    rendered: dict[str, Any] = json.loads(edge.build(edge.Config(edge=settings)).to_json())
    return rendered


def rules_of(settings: Edge) -> dict[str, dict[str, Any]]:
    rules = edge_stack(settings)["Resources"]["WebAcl"]["Properties"]["Rules"]
    assert [rule["Priority"] for rule in rules] == list(range(len(rules)))
    return {rule["Name"]: rule for rule in rules}


def overrides_of(waf: Waf, group: str) -> dict[str, list[str]]:
    statement = rules_of(Edge(waf=waf))[group]["Statement"]["ManagedRuleGroupStatement"]
    return {item["Name"]: list(item["ActionToUse"]) for item in statement.get("RuleActionOverrides", [])}


def matches(statement: dict[str, Any], path: str) -> bool:
    """Return whether a request for a path matches a statement, with the text transformations of WAF."""
    ((kind, body),) = statement.items()
    match kind:
        case "NotStatement":
            return not matches(body["Statement"], path)
        case "AndStatement":
            return all(matches(inner, path) for inner in body["Statements"])
        case "RegexMatchStatement":
            assert body["FieldToMatch"] == {"UriPath": {}}
            for step in sorted(body["TextTransformations"], key=lambda one: int(one["Priority"])):
                path = TRANSFORMATIONS[step["Type"]](path)
            return re.search(body["RegexString"], path) is not None
    raise AssertionError(kind)


def test_two_body_rules_only_count_by_default_and_each_rule_blocks_or_counts_by_choice() -> None:
    assert overrides_of(Waf(), COMMON) == {"SizeRestrictions_BODY": ["Count"], "CrossSiteScripting_BODY": ["Count"]}
    chosen = Waf(counted_rules=("SQLi_BODY",), blocked_rules=("SizeRestrictions_BODY",))
    assert overrides_of(chosen, COMMON) == {"SizeRestrictions_BODY": ["Block"]}
    assert overrides_of(chosen, SQLI) == {"SQLi_BODY": ["Count"]}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"counted_rules": ("SizeRestriction_BODY",)}, "did you mean SizeRestrictions_BODY"),
        ({"blocked_rules": ("LFI_HEADER",)}, 'no rule "LFI_HEADER"'),
        ({"rule_groups": ("AWSManagedRulesSQLRuleSet",)}, "did you mean AWSManagedRulesSQLiRuleSet"),
        ({"blocked_rules": ("SizeRestrictions_BODY",)}, 'SizeRestrictions_BODY" is given twice'),
        ({"excluded_paths": {"AWSManagedRulesPHPRuleSet": ("/x",)}}, "AWSManagedRulesPHPRuleSet"),
        ({"excluded_paths": {SQLI: ("upload/*",)}}, 'excluded path "upload/*"'),
        ({"excluded_paths": {SQLI: tuple(f"/{number:0100}/*" for number in range(6))}}, "512 characters"),
    ],
)
def test_a_name_or_path_that_waf_would_ignore_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        Waf(**settings)


def test_a_group_does_not_inspect_its_excluded_paths_and_no_spelling_evades_it() -> None:
    waf = Waf(excluded_paths={SQLI: ("/admin/query", "/upload/*", "/posts/*/edit")})
    rules = rules_of(Edge(waf=waf))
    inspected = rules[SQLI]["Statement"]["ManagedRuleGroupStatement"]["ScopeDownStatement"]
    for path in ("/admin/query", "/upload/a.png", "/posts/7/edit"):
        assert not matches(inspected, path), path
    for path in (
        "/admin/query/7", "/admin/querys", "/x/upload/a", "/posts/7/edit/x",
        "/upload/../login", "/upload/%2e%2e/login", "/login/%2e%2e/upload/a", "/upload//../../login",
    ):  # fmt: skip
        assert matches(inspected, path), path
    assert "ScopeDownStatement" not in rules[COMMON]["Statement"]["ManagedRuleGroupStatement"]


def test_the_rate_limit_ignores_static_files_and_only_counts_if_the_mode_is_count() -> None:
    for settings, static in ((Edge(), "/static/"), (Edge(static_path="/assets/"), "/assets/")):
        rule = rules_of(settings)["RateLimit"]
        counted = rule["Statement"]["RateBasedStatement"]["ScopeDownStatement"]
        assert rule["Action"] == {"Fn::If": ["OnlyCounts", {"Count": {}}, {"Block": {}}]}
        assert not matches(counted, f"{static}app.js")
        for path in ("/", "/login", f"{static}../login", f"{static}%2e%2e/login", "/other/app.js"):
            assert matches(counted, path), path


def test_addresses_that_operators_set_are_in_no_template_and_come_before_every_other_rule() -> None:
    rendered = edge_stack(Edge())
    sets = {name: item for name, item in rendered["Resources"].items() if item["Type"] == "AWS::WAFv2::IPSet"}
    assert set(sets) == {"BlockedIpv4Set", "BlockedIpv6Set", "AllowedIpv4Set", "AllowedIpv6Set"}
    for item in sets.values():
        # Apart from the name, which never changes, a set depends on no parameter. So no deployment updates it, except
        # for a change of the stack's tags.
        assert list(item["Properties"].pop("Name")) == ["Fn::Sub"]
        assert item["Properties"].pop("Addresses") == []
        assert all(isinstance(value, str) for value in item["Properties"].values())
    rules = rules_of(Edge())
    assert list(rules)[:2] == ["BlockedAddresses", "AllowedAddresses"]
    assert (rules["BlockedAddresses"]["Action"], rules["AllowedAddresses"]["Action"]) == ({"Block": {}}, {"Allow": {}})
