"""Hides what no archive should hold. Each category can be switched on by name.

Every pattern has a cheap guard (a substring that must be there) and a bounded length: one alternation over
everything ran several times slower, and an unbounded run before an `@` is quadratic on a long line.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    category: str
    guards: tuple[str, ...]
    pattern: re.Pattern[str]
    # The part before the secret that stays readable is the pattern's first group, where it has one called `keep`.
    confirm: Callable[[str], bool] = lambda _: True


def _is_card(text: str) -> bool:
    """By its check digit, which a grouped number of another kind has one time in ten."""
    digits = [int(character) for character in text if character.isdigit()]
    if len(digits) == 15 and digits[:2] not in ([3, 4], [3, 7]):
        return False
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[::-2]) + sum(doubled)) % 10 == 0


RULES = (
    # %40 is the @ of a query string. ASCII only: \w would swallow Japanese text in front of an address.
    Rule(
        "email",
        ("@", "%40"),
        re.compile(r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}(?:@|%40)(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}"),
    ),
    # A digit is asked for, so that "bearer authentication failed" stays what it is.
    Rule(
        "bearer",
        ("earer", "EARER"),
        re.compile(r"(?P<keep>\b[Bb](?:earer|EARER)\s{1,4})(?=[A-Za-z._~+/=-]{0,200}\d)[A-Za-z0-9._~+/=-]{8,8192}"),
    ),
    Rule(
        "bearer",
        ("uthorization", "UTHORIZATION"),
        re.compile(
            r"(?P<keep>(?i:authorization)[\\\"']{0,4}\s{0,4}[:=]\s{0,4}[\\\"']{0,4}(?i:basic)\s)[A-Za-z0-9+/=]{4,4096}"
        ),
    ),
    Rule("bearer", ("eyJ",), re.compile(r"\beyJ[A-Za-z0-9_-]{8,8192}\.[A-Za-z0-9_-]{8,8192}\.[A-Za-z0-9_-]{0,8192}")),
    # Only as people write it, in groups: a run of digits is an account, a trace or a column of a flow log. It
    # begins with a character class, which re can search for quickly; what stands before is looked at after that.
    Rule(
        "card",
        ("-", " "),
        re.compile(
            r"[2-6][0-9]{3}(?<![0-9]{5})(?P<gap>[ -])"
            r"(?:[0-9]{4}(?P=gap)[0-9]{4}(?P=gap)[0-9]{4}|[0-9]{6}(?P=gap)[0-9]{5})(?![0-9])"
        ),
        _is_card,
    ),
    Rule("aws_key", ("AKIA", "ASIA"), re.compile(r"(?<![A-Z0-9])A[KS]IA[A-Z2-7]{16}(?![A-Z0-9])")),
    Rule(
        "aws_key",
        ("ecret", "ECRET"),
        re.compile(
            r"(?P<keep>(?i:secret_?access_?key)[\\\"']{0,4}\s{0,4}[:=]\s{0,4}[\\\"']{0,4})[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])"
        ),
    ),
    Rule(
        "aws_key",
        ("oken", "OKEN"),
        re.compile(
            r"(?P<keep>(?i:session_?token|security-token)[\\\"']{0,4}\s{0,4}[:=]\s{0,4}[\\\"']{0,4})[A-Za-z0-9/+=%]{64,8192}"
        ),
    ),
    Rule("aws_key", ("X-Amz-Signature",), re.compile(r"(?P<keep>X-Amz-Signature=)[0-9a-f]{64}")),
)

CATEGORIES = tuple(dict.fromkeys(rule.category for rule in RULES))


class Redactor:
    """Call it with a message; it answers with the message to keep and how many values it hid."""

    def __init__(self, categories: Iterable[str] = CATEGORIES) -> None:
        self._rules = tuple(rule for rule in RULES if rule.category in set(categories))

    @classmethod
    def named(cls, names: str) -> "Redactor":
        """From a comma-separated list; `all`, also when empty, and `none` stand for themselves."""
        wanted = {name.strip() for name in names.split(",") if name.strip()} or {"all"}
        if wanted == {"none"}:
            return cls(())
        if wanted == {"all"}:
            return cls()
        if unknown := sorted(wanted - set(CATEGORIES)):
            allowed = ", ".join(CATEGORIES)
            raise ValueError(f"REDACT: unknown {', '.join(unknown)}; use all, none or a list of {allowed}")
        return cls(wanted)

    def __call__(self, message: str) -> tuple[str, int]:
        hidden = 0
        for rule in self._rules:
            for guard in rule.guards:
                if guard in message:
                    message, found = _apply(rule, message)
                    hidden += found
                    break
        return message, hidden


def _apply(rule: Rule, message: str) -> tuple[str, int]:
    found = 0

    def hide(match: re.Match[str]) -> str:
        nonlocal found
        if not rule.confirm(match.group()):
            return match.group()
        found += 1
        return f"{match.groupdict().get('keep') or ''}[redacted:{rule.category}]"

    return rule.pattern.sub(hide, message), found
