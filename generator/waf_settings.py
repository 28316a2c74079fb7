"""Settings of the web ACL: the type in which workloads.py declares what WAF blocks and counts."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from generator.declared_fields import check_types
from generator.errors import ConfigError
from generator.resources.managed_rules import MANAGED_RULES

# Characters of a regular expression (AWS WAF API Reference, "RegexMatchStatement").
REGEX_CHARACTERS = 512


@dataclass(frozen=True, kw_only=True)
class Waf:
    """Rules of the web ACL, the same in every environment. ``WafMode`` and ``WafRateLimit`` are parameters.

    ``rule_groups`` are managed rule groups of AWS in their order. Their rules have the actions that AWS gives them,
    except ``blocked_rules`` and ``counted_rules``. By default two rules only count, because uploads and rich text match
    them: SizeRestrictions_BODY would block every request body above 8 KB.

    WAF does not apply a group to its ``excluded_paths``, such as
    ``{"AWSManagedRulesSQLiRuleSet": ("/admin/queries/*",)}``. A path is exact, and ``*`` matches any characters.
    """

    rule_groups: tuple[str, ...] = (
        "AWSManagedRulesAmazonIpReputationList",
        "AWSManagedRulesCommonRuleSet",
        "AWSManagedRulesKnownBadInputsRuleSet",
        "AWSManagedRulesSQLiRuleSet",
    )
    blocked_rules: tuple[str, ...] = ()
    counted_rules: tuple[str, ...] = ("SizeRestrictions_BODY", "CrossSiteScripting_BODY")
    excluded_paths: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_types(self, "waf")
        _check_names("rule group", self.rule_groups, MANAGED_RULES)
        rules = [rule for group in self.rule_groups for rule in MANAGED_RULES[group]]
        _check_names("rule", (*self.blocked_rules, *self.counted_rules), rules)
        _check_names("rule group", self.excluded_paths, self.rule_groups)
        for group, paths in self.excluded_paths.items():
            check_paths(group, paths)


def _check_names(kind: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise ConfigError for a name that WAF would ignore or refuse."""
    names = list(given)
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, list(known), 1)
            hint = f"did you mean {close[0]}?" if close else "generator/resources/managed_rules.py lists the names"
            raise ConfigError(f'waf: no {kind} "{name}" in the rule groups: {hint}')
        if names.count(name) > 1:
            raise ConfigError(f'waf: {kind} "{name}" is given twice, remove one of them')


def check_paths(group: str, paths: tuple[str, ...]) -> None:
    """Raise ConfigError for paths that cannot be one regular expression of WAF."""
    for path in paths:
        if not re.fullmatch(r"/[A-Za-z0-9_.$/~'@:+&*-]*", path):
            raise ConfigError(f'waf: excluded path "{path}", give one such as "/upload/*"')
    if not paths or len(path_regex(paths)) > REGEX_CHARACTERS:
        raise ConfigError(
            f"waf: excluded paths of {group}: give at least one, and {REGEX_CHARACTERS} characters at most in total"
        )


def path_regex(paths: Iterable[str]) -> str:
    """Return the regular expression that matches exactly these paths, in which ``*`` matches any characters."""
    return f"^({'|'.join(re.sub('[.$+]', _escape, path).replace('*', '.*') for path in paths)})$"


def _escape(found: re.Match[str]) -> str:
    return f"\\{found[0]}"
