"""Redact secrets: in log lines and notifications (the functions), in run records and plans (deploy.py).

`RULES` are the rules for log lines. Each category can be selected by name. `RECORD_RULES` are additional rules for
texts that people show to others. `is_secret_path` decides by the names of a property alone.

Every pattern for log lines has a cheap guard (a substring that must be present) and a bounded length. One alternation
of all patterns ran several times slower, and an unbounded pattern before an `@` takes quadratic time on a long line.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """One pattern of secrets. The pattern's group `keep`, if it has one, stays readable."""

    category: str
    # The pattern is searched only in texts that contain one of these. The empty guard is in every text.
    guards: tuple[str, ...]
    pattern: re.Pattern[str]
    # Called with the match without its `keep`. If it returns False, the match stays readable.
    confirm: Callable[[str], bool] = lambda _: True


def _is_card(text: str) -> bool:
    """Return whether the check digit is right. One in ten grouped numbers of another kind passes too."""
    digits = [int(character) for character in text if character.isdigit()]
    if len(digits) == 15 and digits[:2] not in ([3, 4], [3, 7]):
        return False
    if len(digits) == 14 and digits[:2] not in ([3, 0], [3, 6], [3, 8], [3, 9]):
        return False
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[::-2]) + sum(doubled)) % 10 == 0


# The rest of a JSON escape. Its letters and digits look like the beginning of a name.
_ESCAPE = re.compile(r"[bfnrt]|u[0-9A-Fa-f]{4}").match


def _starts(before: str, behind: str = "") -> str:
    """Return a lookbehind that refuses the characters `before`, unless they end a JSON escape.

    Most services log JSON, many with Japanese text as \\u3042. In `\\u3042taro@example.com` the escape is not part of
    the name. `behind` is the pattern of the characters between the lookbehind and its position.
    """
    return rf"(?:(?<![{before}]{behind})|(?<=\\[bfnrt]{behind})|(?<=\\u[0-9A-Fa-f]{{4}}{behind}))"


# The separator of a name and its value in a header, a variable, a query, or JSON inside JSON. A backslash is
# accepted only before its quote: alone it begins an escape.
_IS = r"(?:\\{0,3}[\"'])?\s{0,4}[:=]\s{0,4}(?:\\{0,3}[\"'\[]){0,2}"
_SPACE = r"(?:\s{1,4}|%20|\+)"
_WORD = r"[Tt](?:oken|OKEN)"  # of a name such as sessionToken
# Some libraries escape the slash in JSON.
_BASE64 = r"(?:[A-Za-z0-9/+]|\\/)"

RULES = (
    # The password of a URL, up to the last @ before the path, because a password may contain an @. This rule is the
    # first one: otherwise the end of such a URL matches as an e-mail address.
    Rule(
        "password",
        ("://", ":\\/\\/"),
        re.compile(r"(?P<keep>:\\?/\\?/[^\s/:@?#\"'<>\\]{0,64}:)[^\s/?#\"'<>\\]{1,256}(?=@)"),
    ),
    # %40 is the @ of a query string. ASCII only: \w would include Japanese text before an address. The user of a URL
    # and the picture logo@2x.png are no addresses.
    Rule(
        "email",
        ("@", "%40"),
        re.compile(
            r"(?<![A-Za-z0-9._%+-])(?<!://)[A-Za-z0-9._%+-]{1,64}(?:@|%40)(?![1-9]x\.)"
            r"(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}"
        ),
    ),
    # A digit is required, so that "bearer authentication failed" stays readable.
    Rule(
        "bearer",
        ("earer", "EARER"),
        re.compile(rf"(?P<keep>[Bb](?:earer|EARER){_SPACE})(?=[A-Za-z._~+/=-]{{0,200}}\d)[A-Za-z0-9._~+/=-]{{8,8192}}"),
    ),
    # In the header, a token needs no digit but a minimum length, because words are shorter.
    Rule(
        "bearer",
        ("uthorization", "UTHORIZATION"),
        re.compile(
            rf"(?P<keep>(?i:authorization){_IS}(?:(?i:basic){_SPACE}(?=[A-Za-z0-9+/=]{{4}})"
            rf"|(?i:bearer|token|apikey|negotiate){_SPACE}(?=[A-Za-z0-9._~+/=-]{{16}})))[A-Za-z0-9._~+/=-]{{4,8192}}"
        ),
    ),
    # A token in a parameter or in the response of a login (RFC 6750, 2.3 and 4). The lookbehinds check the text before
    # the word after the word has matched: a search that ignores case is slow.
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
    # A card number only in groups, as people write it. A run of digits is an account, a trace id or a column of a
    # flow log. More groups, or letters before the number, are an order number. The pattern begins with a character
    # class because re searches for one quickly; lookbehinds check the text before it afterwards.
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
    # The signature of a presigned URL and of a signed header.
    Rule("aws_key", ("Signature=",), re.compile(r"(?P<keep>Signature=)[0-9a-f]{64}(?![0-9a-f])")),
)

CATEGORIES = tuple(dict.fromkeys(rule.category for rule in RULES))

_SENSITIVE_WORDS = r"passw(?:or)?d|secret|token|credential"
_MASKED_OR_ARN = re.compile(r"\[redacted:|arn:aws[\w-]*:")


def _is_value(text: str) -> bool:
    """Return False for the ARN of a secret, which names the secret that a task could not read, and for a mask."""
    return not _MASKED_OR_ARN.match(text.strip("\"'"))


# These hide more than RULES, and sometimes too much: run records and build logs have many readers.
RECORD_RULES = (
    Rule(
        "private_key",
        ("PRIVATE KEY-----",),
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    ),
    # E-mail addresses stay: they tell which subscription or contact an error is about.
    *(rule for rule in RULES if rule.category in {"password", "bearer", "aws_key"}),
    Rule("password", ("://",), re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)")),
    Rule("aws_key", ("AKIA", "ASIA"), re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")),
    Rule("token", ("",), re.compile(r"\b(?:xox[abprs]-|gh[pousr]_|github_pat_|sk-|glpat-)[\w-]{10,}")),
    Rule("webhook", ("hooks.slack.com/",), re.compile(r"hooks\.slack\.com/(?:services|workflows)/\S+")),
    Rule("bearer", ("",), re.compile(r"(?i)(?<=\bbearer )[\w.~+/=-]{8,}")),
    Rule("bearer", ("",), re.compile(r"(?i)(?<=\bbasic )[\w+/=-]{12,}")),
    # The value after a name of a secret. Not inside an ARN: in secret:name and token:name there is no value.
    Rule(
        "secret",
        ("=", ":"),
        re.compile(
            rf"""(?ix) (?<![:/\w-]) (?! \w*RequestToken)
            (?P<keep> [\w.-]* (?:{_SENSITIVE_WORDS}|pwd|(?:api|access|private)[_-]?key
            |session[_-]?id|cookie|authorization) [\w.-]* ["']? \s* [=:] \s* )
            (?: "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' | [^\s,;&"'}}\]]+ )"""
        ),
        _is_value,
    ),
)

_SECRET_NAME = re.compile(
    rf"{_SENSITIVE_WORDS}|(?:private|api|access|signing|encryption).?key|headervalue", re.IGNORECASE
)
# Metadata of a secret that is not secret, such as its ARN, its length or its name.
_METADATA_NAME = re.compile(
    r"(Arn|Arns|Id|Ids|Name|Names|Length|Days|Policy|Characters|Type|Description|Priority|Path|Schedule\w*)$"
)


class Redactor:
    """Replace secrets in texts by `[redacted:<category>]`."""

    def __init__(self, rules: Iterable[Rule] = RULES) -> None:
        self._rules = tuple(rules)

    @classmethod
    def named(cls, names: str) -> "Redactor":
        """Return the redactor of a comma-separated list of categories, of `all` (the default) or of `none`."""
        wanted = {name.strip() for name in names.split(",") if name.strip()} or {"all"}
        if wanted == {"none"}:
            return cls(())
        if wanted == {"all"}:
            return cls()
        if unknown := sorted(wanted - set(CATEGORIES)):
            allowed = ", ".join(CATEGORIES)
            raise ValueError(f"REDACT: unknown {', '.join(unknown)}; use all, none or a list of {allowed}")
        return cls(rule for rule in RULES if rule.category in wanted)

    def __call__(self, message: str) -> tuple[str, int]:
        """Return the message without secrets, and the number of hidden values."""
        hidden = 0
        for rule in self._rules:
            for guard in rule.guards:
                if guard in message:
                    message, found = _apply(rule, message)
                    hidden += found
                    break
        return message, hidden


_record_redactor = Redactor(RECORD_RULES)


def redact(text: str) -> str:
    """Return a text for a record or for other people, without anything that looks like a secret."""
    return _record_redactor(text)[0]


def is_secret_name(name: str) -> bool:
    """Return whether a name marks a secret value."""
    return bool(_SECRET_NAME.search(name))


def is_secret_path(path: Sequence[str]) -> bool:
    """Return whether a name in the path of a property marks a secret. The last name can mark metadata instead."""
    if not path or (_METADATA_NAME.search(path[-1]) and not path[-1].startswith("[")):
        return False
    return any(is_secret_name(step) for step in path)


def _apply(rule: Rule, message: str) -> tuple[str, int]:
    found = 0

    def hide(match: re.Match[str]) -> str:
        nonlocal found
        kept = match.groupdict().get("keep") or ""
        if not rule.confirm(match.group()[len(kept) :]):
            return match.group()
        found += 1
        if match.string[match.start() - 1 : match.start()] == "\\" and (escape := _ESCAPE(match.group())):
            kept = kept or escape.group()
        return f"{kept}[redacted:{rule.category}]"

    return rule.pattern.sub(hide, message), found
