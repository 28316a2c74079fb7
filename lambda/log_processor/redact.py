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
    if len(digits) == 14 and digits[:2] not in ([3, 0], [3, 6], [3, 8], [3, 9]):
        return False
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[::-2]) + sum(doubled)) % 10 == 0


# The rest of an escape of JSON, whose letters and digits may pass for the beginning of a name.
_ESCAPE = re.compile(r"[bfnrt]|u[0-9A-Fa-f]{4}").match


def _starts(before: str, behind: str = "") -> str:
    """Not after one of the characters `before`, unless they end an escape of JSON: most services log JSON, many
    with their Japanese as \\u3042, and in `\\u3042taro@example.com` neither digit nor letter is part of the name.

    `behind` is what the pattern has consumed by then.
    """
    return rf"(?:(?<![{before}]{behind})|(?<=\\[bfnrt]{behind})|(?<=\\u[0-9A-Fa-f]{{4}}{behind}))"


# What stands between a name and its value in a header, a variable, a query, or JSON inside JSON. A backslash is
# taken with its quote only: alone it begins an escape.
_IS = r"(?:\\{0,3}[\"'])?\s{0,4}[:=]\s{0,4}(?:\\{0,3}[\"'\[]){0,2}"
_SPACE = r"(?:\s{1,4}|%20|\+)"
_WORD = r"[Tt](?:oken|OKEN)"  # of a name such as sessionToken
# A slash may be escaped in JSON, and some libraries do.
_BASE64 = r"(?:[A-Za-z0-9/+]|\\/)"

RULES = (
    # The password of a URL, up to the last @ before its path; it may have one itself. First, because the rest of
    # such an address would pass for an e-mail's.
    Rule(
        "password",
        ("://", ":\\/\\/"),
        re.compile(r"(?P<keep>:\\?/\\?/[^\s/:@?#\"'<>\\]{0,64}:)[^\s/?#\"'<>\\]{1,256}(?=@)"),
    ),
    # %40 is the @ of a query string. ASCII only: \w would swallow Japanese text in front of an address. Neither
    # the user of a URL nor the picture logo@2x.png has one.
    Rule(
        "email",
        ("@", "%40"),
        re.compile(
            r"(?<![A-Za-z0-9._%+-])(?<!://)[A-Za-z0-9._%+-]{1,64}(?:@|%40)(?![1-9]x\.)"
            r"(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}"
        ),
    ),
    # A digit is asked for, so that "bearer authentication failed" stays what it is.
    Rule(
        "bearer",
        ("earer", "EARER"),
        re.compile(rf"(?P<keep>[Bb](?:earer|EARER){_SPACE})(?=[A-Za-z._~+/=-]{{0,200}}\d)[A-Za-z0-9._~+/=-]{{8,8192}}"),
    ),
    # In the header also a token without digits is one; a word is shorter.
    Rule(
        "bearer",
        ("uthorization", "UTHORIZATION"),
        re.compile(
            rf"(?P<keep>(?i:authorization){_IS}(?:(?i:basic){_SPACE}(?=[A-Za-z0-9+/=]{{4}})"
            rf"|(?i:bearer|token|apikey|negotiate){_SPACE}(?=[A-Za-z0-9._~+/=-]{{16}})))[A-Za-z0-9._~+/=-]{{4,8192}}"
        ),
    ),
    # As a parameter or in the answer of a login (RFC 6750, 2.3 and 4). What stands before the word is looked at
    # after it: to search without regard to case is slow.
    Rule(
        "bearer",
        ("oken", "OKEN"),
        re.compile(
            rf"(?P<keep>{_WORD}(?:(?<=(?i:access).{{5}})|(?<=(?i:access_).{{5}})|(?<=(?i:refresh).{{5}})"
            rf"|(?<=(?i:refresh_).{{5}})|(?<=(?i:id).{{5}})|(?<=(?i:id_).{{5}})){_IS})"
            r"(?=[A-Za-z._~+/=%-]{0,200}\d)[A-Za-z0-9._~+/=%-]{8,8192}"
        ),
    ),
    Rule(
        "bearer",
        ("eyJ",),
        re.compile(
            _starts("A-Za-z0-9_") + r"eyJ[A-Za-z0-9_-]{8,8192}\.[A-Za-z0-9_-]{8,8192}\.[A-Za-z0-9_-]{0,8192}",
        ),
    ),
    # Only as people write it, in groups and by itself: a run of digits is an account, a trace or a column of a
    # flow log; more groups, or letters before it, make it the number of an order. It begins with a character
    # class, which re can search for quickly; what stands before is looked at after that.
    Rule(
        "card",
        ("-", " "),
        re.compile(
            r"[2-6][0-9]{3}(?P<gap>[ -])"
            + _starts("A-Za-z0-9", "[0-9]{4}[ -]")
            + r"(?<![A-Za-z0-9]-[0-9]{4}[ -])"
            + r"(?:[0-9]{4}(?P=gap)[0-9]{4}(?P=gap)[0-9]{4}|[0-9]{6}(?P=gap)[0-9]{4,5})(?![0-9]|-[0-9])"
        ),
        _is_card,
    ),
    Rule(
        "aws_key",
        ("AKIA", "ASIA"),
        re.compile(_starts("A-Z0-9") + r"A[KS]IA[A-Z2-7]{16}(?![A-Z0-9])"),
    ),
    Rule(
        "aws_key",
        ("ecret", "ECRET"),
        re.compile(rf"(?P<keep>(?i:secret[_-]?(?:access[_-]?)?key){_IS}){_BASE64}{{40}}(?!{_BASE64})"),
    ),
    Rule(
        "aws_key",
        ("oken", "OKEN"),
        re.compile(
            rf"(?P<keep>{_WORD}(?:(?<=(?i:session).{{5}})|(?<=(?i:session_).{{5}})|(?<=(?i:security-).{{5}})){_IS})"
            r"(?:[A-Za-z0-9/+=%]|\\/){64,8192}"
        ),
    ),
    # Of a presigned address, and of a signed header.
    Rule("aws_key", ("Signature=",), re.compile(r"(?P<keep>Signature=)[0-9a-f]{64}(?![0-9a-f])")),
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
        kept = match.groupdict().get("keep") or ""
        if match.string[match.start() - 1 : match.start()] == "\\" and (escape := _ESCAPE(match.group())):
            kept = kept or escape.group()
        return f"{kept}[redacted:{rule.category}]"

    return rule.pattern.sub(hide, message), found
