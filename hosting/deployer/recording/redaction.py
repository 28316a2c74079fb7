"""Takes out of a text what looks like a secret. Log lines of an application may hold anything."""

from __future__ import annotations

import re

MASK = "[redacted]"

_PATTERNS = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"),
    re.compile(r"\b(?:xox[abprs]-|gh[pousr]_|github_pat_|sk-|glpat-)[\w-]{10,}"),
    re.compile(r"hooks\.slack\.com/(?:services|workflows)/\S+"),
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),
    re.compile(r"(?i)(?<=\bbearer )[\w.~+/=-]{8,}"),
    re.compile(r"(?i)(?<=\bbasic )[\w+/=-]{12,}"),
)
# A name that promises a secret, and its value. Not inside an ARN: secret:name and token:name are no values there.
_NAMED = re.compile(
    r"""(?ix) (?<![:/\w-]) (?! \w*RequestToken)
        (?P<name> [\w.-]* (?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key
        |private[_-]?key|credential|session[_-]?id|cookie|authorization) [\w.-]* ["']? \s* [=:] \s* )
        (?P<value> "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' | [^\s,;&"'}\]]+ )"""
)
_ARN = re.compile(r"arn:aws[\w-]*:")


def redact(text: str) -> str:
    for pattern in _PATTERNS:
        text = pattern.sub(MASK, text)
    return _NAMED.sub(_named, text)


def _named(found: re.Match[str]) -> str:
    # The address of a secret is no secret, and says which one a task could not read.
    value = found["value"].strip("\"'")
    return found[0] if _ARN.match(value) or MASK.startswith(value) else found["name"] + MASK
