"""Redact secrets: in log lines and notifications (the functions), in run records and plans (deploy.py).

`RULES` are the rules for log lines. Each category can be selected by name. `RECORD_RULES`, for run records, keep e-mail
addresses. `is_secret_path` decides by the names of a property alone.

Every pattern has cheap guards (substrings of which one must be present) and a bounded length. One alternation of all
patterns ran several times slower, and an unbounded pattern before an `@` takes quadratic time on a long line.

Libraries were measured with the samples in `tests/fixtures/redaction/` that are older than these patterns. The plug-ins
of detect-secrets 1.5.0 find 26 of their 129 secrets, the rules of gitleaks 46, these patterns 112. They process 0.5 and
1.4 MB of log in a second, these patterns 30 MB. scrubadub 2.0.1 requires scikit-learn. Those libraries search source
code for tokens of known services, not log lines for fields.
"""

import re
import string
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True)
class Rule:
    """One pattern of secrets. The pattern's group `keep`, if it has one, stays readable."""

    category: str
    # The pattern is searched only in texts with one of these. Letters are in lower case, 0 is any digit, - any blank.
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

# --- values after a name

# `=`, `:` or `=>`. After a name in quotes also the key `value` of an object {name, value}.
_SEPARATOR = r"\s{0,4}(?:=>|:=|[:=])\s{0,4}"
_VALUE_KEY = r",\s{0,4}\\{0,7}\"value\\{0,7}\"\s{0,4}:\s{0,4}"
# A quote after the separator can also end a string of JSON in which the name is the last word. Then a separator of
# JSON follows the quote.
_TO_VALUE = (
    rf"(?:\\{{0,7}}[\"'](?:{_SEPARATOR}|{_VALUE_KEY})\[?\\{{0,7}}[\"']"
    rf"|{_SEPARATOR}(?:\[(?![\"'\\]|redacted:)|\\{{0,7}}[\"'](?![\s,:}}\])\\]))?)"
)
# A value in quotes ends before its quote, so that JSON stays valid. In JSON inside JSON the quote is `\"`, and a
# backslash is doubled once more.
_QUOTED = (
    r"(?:(?<=[^\\]\")(?:[^\"\\\r\n]|\\.){1,4096}(?=\")"
    r"|(?<=[^\\]\\\")(?:[^\"\\\r\n]|\\[^\"\\]|\\\\(?:[^\"\\]|\\[\"\\])){1,4096}(?=\\\")"
    r"|(?<=\\\\\\\")[^\"\\\r\n]{1,4096}(?=\\)"
    r"|(?<=')(?:[^\"'\\\r\n]|\\[^\"]){1,4096}(?='))"
)
_BARE = r"[^\s\"'\\,;&<>(){}\[\]|`「」（）、。]"  # noqa: RUF001 - brackets of Japanese text
# After a colon and a blank, prose is more frequent than a value: "password: must not be empty".
_NO_PROSE = r"(?:(?<!: )|(?=[^\s\"'\\,;][^\s\"'\\,;]{0,64}[^a-z\s\"'\\,;.)]))"
_HAS_DIGIT = r"(?=[^\s\"',;&]{0,200}\d)"


def _named(name: str, shortest: int, condition: str = "") -> re.Pattern[str]:
    """Return the pattern of a value after its name. A value without quotes has at least `shortest` characters."""
    return re.compile(rf"(?P<keep>{name}{_TO_VALUE}){condition}(?:{_QUOTED}|{_NO_PROSE}{_BARE}{{{shortest},4096}})")


_NO_SECRET = re.compile(
    r"(?i)(?:redacted|filtered|hidden|masked|none|null|nil|undefined|true|false|yes|no|required|missing|invalid"
    r"|disabled|enabled|empty|unset|string|text|password|credentials?)\W?$"
    r"|[*x•.]+$|\$|%[a-z_]*%?$|!\w+$|[<{]|\[redacted:|arn:aws[\w-]*:"
    r"|(?:file:)?[.~]{0,2}/(?:app|data|dev|etc|home|mnt|opt|proc|root|run|secrets|srv|tmp|usr|v\d|var)/"
)


def _is_value(text: str) -> bool:
    """Return False for the ARN or path of a secret, a reference, a mask, or a word that is no value."""
    return not _NO_SECRET.match(text)


# Each name begins with a class of characters, because re searches for one quickly. Lookbehinds check the text before
# the name afterwards.
_CODE_NAME = (
    r"[Pp](?:ass(?:[Ww]or?d|wd|[Pp]hrase|[Cc]ode)|ASS(?:WOR?D|WD|_?PHRASE|_?CODE)"
    r"|ass(?:(?<![a-z].{4})|(?<=\\[nrt].{4})|(?<=[a-z]Pass))|ASS(?<![A-Z].{4})|(?:wd|WD)(?:(?<![A-Za-z].{3})|(?<=\\[nrt].{3})))"
    r"(?:_?(?i:confirmation))?"
)
# The token of a page or a request is no secret.
_TICKET_NAME = (
    _WORD + r"(?<!(?i:next|page|sync).{5})(?<!(?i:next|page|sync)_.{5})"
    r"(?<!(?i:quest|lient|ation).{5})(?<!(?i:quest|lient|ation)_.{5})"
)
_OWNERS = (
    "api|app",
    "auth|hmac",
    "access|master|secret|shared",
    "account|encrypt|license|private|service|session|signing",
    "encryption",
    "subscription",
)
_OWNED = "|".join(rf"(?<=(?i:{owners}).{{3}})|(?<=(?i:{owners})[_-].{{3}})" for owners in _OWNERS)
_KEY = rf"[Kk](?:ey|EY)(?<=[A-Za-z_-].{{3}})(?:{_OWNED})(?i:_?base)?"
_CONFIDENTIAL_NAME = r"[Ss](?:ecret|ECRET)(?<![:/].{6})"
_JAPANESE = (
    "(?:パスワード|パスフレーズ|暗証番号|認証コード|確認コード|合言葉|秘密鍵|トークン|シークレット(?:キー)?"
    "|(?:API|アクセス|シークレット)キー)"
)

# --- tokens of known services, by the end of their prefix (the prefix stays readable and names the service)

_AFTER_UNDERSCORE = (
    r"_(?=[A-Za-z0-9_-]{16})(?:(?<=gh[opusr]_)|(?<=github_pat_)|(?<=[sr]k_live_)|(?<=[sr]k_test_)|(?<=whsec_)|(?<=npm_)"
    r"|(?<=shp(?:at|ca|pa|ss)_)|(?<=dckr_pat_)|(?<=do[opr]_v1_))(?=[A-Za-z]{0,64}\d)[A-Za-z0-9_-]{16,512}"
)
_AFTER_DASH = (
    r"-(?=[A-Za-z0-9_-]{16})(?:(?<=xox[abeoprs]-)|(?<=xapp-)|(?<=glpat-)|(?<=GOCSPX-)|(?<=pypi-)|(?<=(?<![a-z])sk-)"
    r"|(?<=\\[nrt]sk-))(?=[A-Za-z_-]{0,200}\d)[A-Za-z0-9_-]{16,512}"
)
_AFTER_DOT = (
    r"\.(?=[A-Za-z0-9_-]{20})(?:(?<=ya29\.)|(?<=hv[sb]\.)|(?<=SG\.)(?=[A-Za-z0-9_-]{22}\.))"
    r"[A-Za-z0-9_-]{20,2048}(?:\.[A-Za-z0-9_-]{43})?"
)

RULES = (
    # The password of a URL, up to the last @ before the path, because a password may contain an @. This rule is the
    # first one: otherwise the end of such a URL matches as an e-mail address.
    Rule(
        "password",
        ("@",),
        re.compile(
            r"(?P<keep>:\\?/\\?/[^\s/:@?#\"'<>\\]{0,64}:)"
            # Some programs do not escape a slash or # in a password. Digits before it are a port.
            r"(?:[^\s/?#\"'<>\\]{1,256}|(?!\d{1,5}[/?#])[^\s/?#\"'<>\\@]{1,128}[/?#][^\s/?#\"'<>\\@]{0,128})(?=@)"
        ),
    ),
    # %40 is the @ of a query string. ASCII only: \w would include Japanese text before an address. These are no
    # addresses: the user of a URL, of Git or of a remote copy, the picture logo@2x.png, a Message-ID, a private host.
    Rule(
        "email",
        ("@", "%"),
        re.compile(
            r"(?<![A-Za-z0-9._%+=-])(?<!://)(?<!-[Ii][Dd]: <)(?<!-[Ii][Dd]=<)(?<!n-[Rr]eply-[Tt]o: <)(?<!ences: <)"
            r"(?<!> <)(?!git(?:@|%40))[A-Za-z0-9._%+-]{1,64}(?:@|%40)(?![1-9]x\.)"
            r"(?:[A-Za-z0-9-]{1,63}\.){1,8}(?!(?:internal|local|localdomain|service|socket)(?![A-Za-z0-9.-]))"
            r"[A-Za-z]{2,24}(?![A-Za-z0-9]|[.-][A-Za-z0-9]|:[/~])"
        ),
    ),
    # In a query or a log of key=value.
    Rule(
        "email",
        ("@", "%"),
        re.compile(
            r"(?P<keep>(?<![Ii][Dd])=)[A-Za-z0-9._+-]{1,64}(?:@|%40)(?:[A-Za-z0-9-]{1,63}\.){1,8}"
            r"(?!(?:internal|local)(?![A-Za-z0-9.-]))[A-Za-z]{2,24}(?![A-Za-z0-9]|[.-][A-Za-z0-9])"
        ),
    ),
    # A digit is required, so that "bearer authentication failed" stays readable.
    Rule(
        "bearer",
        ("bearer",),
        re.compile(rf"(?P<keep>[Bb](?:earer|EARER){_SPACE})(?=[A-Za-z._~+/=-]{{0,200}}\d)[A-Za-z0-9._~+/=-]{{8,8192}}"),
    ),
    # In the header, a token needs no digit but a minimum length, because words are shorter.
    Rule(
        "bearer",
        ("authorization",),
        re.compile(
            rf"(?P<keep>[Aa](?i:uthorization){_IS}(?:(?i:basic){_SPACE}(?=[A-Za-z0-9+/=]{{4}})"
            rf"|(?i:bearer|token|apikey|key|negotiate){_SPACE}(?=[A-Za-z0-9._~+/=-]{{16}})))[A-Za-z0-9._~+/=-]{{4,8192}}"
        ),
    ),
    # A token in a parameter or in the response of a login (RFC 6750, 2.3 and 4). The lookbehinds check the text before
    # the word after the word has matched: a search that ignores case is slow.
    Rule(
        "bearer",
        ("token",),
        re.compile(
            rf"(?P<keep>{_WORD}(?:(?<=(?i:access).{{5}})|(?<=(?i:access_).{{5}})|(?<=(?i:refresh).{{5}})"
            rf"|(?<=(?i:refresh_).{{5}})|(?<=(?i:id).{{5}})|(?<=(?i:id_).{{5}})){_IS})"
            r"(?=[A-Za-z._~+/=%-]{0,200}\d)[A-Za-z0-9._~+/=%-]{8,8192}"
        ),
    ),
    Rule(
        "bearer",
        ("eyj",),
        re.compile(
            _starts("A-Za-z0-9_") + r"eyJ[A-Za-z0-9_-]{8,8192}\.[A-Za-z0-9_-]{8,8192}\.[A-Za-z0-9_-]{0,8192}",
        ),
    ),
    # A card number only in groups, as people write it. A run of digits is an account, a trace id or a column of a
    # flow log. More groups, or letters before the number, are an order number. The pattern begins with a character
    # class because re searches for one quickly; lookbehinds check the text before it afterwards.
    Rule(
        "card",
        ("0000-0000",),
        re.compile(
            r"[2-6][0-9]{3}(?P<gap>[ -])"
            + _starts("A-Za-z0-9", "[0-9]{4}[ -]")
            + r"(?<![A-Za-z0-9]-[0-9]{4}[ -])"
            + r"(?:[0-9]{4}(?P=gap)[0-9]{4}(?P=gap)[0-9]{4}|[0-9]{6}(?P=gap)[0-9]{4,5})(?![0-9]|-[0-9])"
        ),
        _is_card,
    ),
    # Without groups only after a name: most long numbers are accounts, orders and times.
    Rule(
        "card",
        ("0000000000000",),
        re.compile(
            r"(?P<keep>(?:[Cc](?:ard|ARD)(?:[_-]?(?i:number|num|no))?|(?<![A-Za-z])(?:pan|PAN)|カード(?:番号)?)"
            r"(?:\\{0,7}[\"'])?(?:\s{0,4}[:=：は]|\s)\s{0,4}(?:\\{0,7}[\"'])?)"  # noqa: RUF001 - Japanese colon
            r"[2-6][0-9]{12,15}(?![0-9])"
        ),
        _is_card,
    ),
    Rule(
        "aws_key",
        ("akia", "asia"),
        re.compile(_starts("A-Z0-9") + r"A[KS]IA[A-Z2-7]{16}(?![A-Z0-9])"),
    ),
    Rule(
        "aws_key",
        ("secret",),
        re.compile(rf"(?P<keep>(?i:secret[_-]?(?:access[_-]?)?key){_IS}){_BASE64}{{40}}(?!{_BASE64})"),
    ),
    Rule(
        "aws_key",
        ("token",),
        re.compile(
            rf"(?P<keep>{_WORD}(?:(?<=(?i:session).{{5}})|(?<=(?i:session_).{{5}})|(?<=(?i:security-).{{5}})){_IS})"
            r"(?:[A-Za-z0-9/+=%]|\\/){12,8192}"
        ),
    ),
    # The signature of a presigned URL and of a signed header.
    Rule("aws_key", ("signature=",), re.compile(r"(?P<keep>Signature=)[0-9a-f]{64}(?![0-9a-f])")),
    Rule(
        "private_key",
        ("private-key-----",),
        re.compile(
            r"(?P<keep>-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----)"
            r"(?=(?:\s|\\{1,7}[nr]){1,8}(?:Proc-Type|[A-Za-z0-9+/]{16}|(?<![ \t])[A-Za-z0-9+/]))"
            r"(?:(?!-----END)(?:[A-Za-z0-9+/=\s:,-]|\\{1,7}[nr/])){1,16384}"
        ),
    ),
    # A cookie of a response keeps its name and attributes. All cookies of a request are redacted.
    Rule(
        "cookie",
        ("cookie",),
        re.compile(rf"(?P<keep>[Ss](?i:et-cookie){_IS}[\w.!#$%&*+^~-]{{1,128}}=)[^\s\"',;\\]{{4,8192}}"),
    ),
    Rule(
        "cookie",
        ("cookie",),
        re.compile(
            rf"(?P<keep>[Cc](?i:ookie)(?<!-.{{6}}){_IS})(?:[\w.!#$%&*+^~-]{{1,128}}=[^\s\"',;\\]{{0,8192}}(?:;\s?)?){{1,64}}"
        ),
    ),
    Rule(
        "cookie",
        ("sess",),
        re.compile(
            r"(?P<keep>[Ss](?i:ess(?:ion)?[_-]?id)(?:\\{0,7}[\"'])?\s{0,4}[:=]\s{0,4}(?:\\{0,7}[\"'])?)"
            r"[A-Za-z0-9._%+/=-]{16,4096}"
        ),
    ),
    Rule("token", ("_",), re.compile(_AFTER_UNDERSCORE)),
    Rule("token", ("-",), re.compile(_AFTER_DASH)),
    Rule("token", (".",), re.compile(_AFTER_DOT)),
    Rule("token", ("aiza",), re.compile(r"AIza[A-Za-z0-9_-]{35}")),
    Rule(
        "webhook",
        ("hook",),
        re.compile(
            r"(?P<keep>hooks\.slack\.com\\?/(?:services|workflows|triggers)\\?/|discord(?:app)?\.com\\?/api\\?/webhooks\\?/"
            r"|webhook\.office\.com\\?/\w{1,16}\\?/)(?:[\w@.-]|\\?/){8,512}"
        ),
    ),
    # In the output of `env` only a blank ends a value.
    Rule(
        "password",
        ("pass", "secret", "token", "key"),
        re.compile(
            r"(?P<keep>=)(?:(?<=PASS=)|(?<=PASSWORD=)|(?<=PASSWD=)|(?<=SECRET=)|(?<=TOKEN=)|(?<=_KEY=))[^\s\"'\\]{4,4096}"
        ),
        _is_value,
    ),
    Rule("password", ("pass", "pwd"), _named(_CODE_NAME, 4), _is_value),
    # With no separator, as in `--password x` and "password 'x'".
    Rule(
        "password",
        ("pass",),
        re.compile(
            r"(?P<keep>[Pp](?:ass(?:word|phrase)|ASSWORD) {1,2}'?)(?=[A-Za-z]{0,64}\d)(?=\d{0,64}[A-Za-z])"
            r"[A-Za-z0-9!#$%*+./@^_~-]{8,256}"
        ),
        _is_value,
    ),
    # Of a client of MySQL: -pX.
    Rule(
        "password",
        ("mysql", "mariadb"),
        re.compile(
            r"(?P<keep>(?:mysql|mariadb)[a-z-]{0,16}\s[^\r\n\"\\]{0,200}?(?<=\s)-p['\"]?)"
            r"[^\s\"'\\-][^\s\"'\\]{3,4096}"
        ),
    ),
    # Of a user in SQL.
    Rule(
        "password",
        ("identified", "pass"),
        re.compile(
            r"(?P<keep>[IiPpSs](?i:dentified\s{1,4}(?:with\s{1,4}[\"'\\]{0,4}\w{1,64}[\"'\\]{0,4}\s{1,4})?(?:by|as)"
            r"(?:\s{1,4}password)?|et\s{1,4}password[^=;\r\n]{0,200}=\s{0,4}(?:password\s{0,4}\()?|assword(?=\s{1,4}'))"
            r"\s{0,4}\\{0,7}[\"'])(?:(?<=')[^\"'\\\r\n]{4,256}|(?<=\")[^\"'\\\r\n]{4,256}(?=\\{0,7}\"))"
        ),
        _is_value,
    ),
    Rule(
        "secret",
        ("secret", "credential"),
        _named(rf"(?:{_CONFIDENTIAL_NAME}|[Cc]redentials?)", 8, _HAS_DIGIT),
        _is_value,
    ),
    Rule("secret", ("token",), _named(_TICKET_NAME, 8, _HAS_DIGIT), _is_value),
    Rule("secret", ("key",), _named(_KEY, 6, _HAS_DIGIT), _is_value),
    # The code of an OAuth callback, and the signature of a shared access URL.
    Rule(
        "secret",
        ("=",),
        re.compile(r"(?P<keep>=(?:(?<=[?&;]code=)|(?<=[?&;]sig=)))(?=[^\s&]{0,64}\d)[\w.~%/+-]{16,1024}"),
    ),
    Rule(
        "secret",
        ("パス", "番号", "コード", "合言葉", "秘密鍵", "トークン", "シークレット", "キー"),
        re.compile(
            rf"(?P<keep>{_JAPANESE}(?:\\{{0,7}}[\"'])?\s{{0,4}}(?:[:=：＝]|は(?=[「『\"']))\s{{0,4}}"  # noqa: RUF001
            r"(?:[「『]|\\{0,7}[\"'])?)[!#-&(-+\--;=?-\[\]^-~]{4,512}"
        ),
    ),
)

_UPPER, _DIGITS = string.ascii_uppercase.encode(), string.digits.encode()
_SHAPE = bytes.maketrans(_UPPER + _DIGITS + b" ", _UPPER.lower() + b"0" * len(_DIGITS) + b"-")

# Guards of patterns that all require a separator after the name. Many lines have no colon but those of a time.
_BEFORE_SEPARATOR = frozenset(
    ("authorization", "token", "secret", "signature=", "cookie", "sess", "key", "pwd", "credential")
)

CATEGORIES = tuple(dict.fromkeys(rule.category for rule in RULES))

# For run records and plans. E-mail addresses stay: they tell which subscription or contact an error is about.
RECORD_RULES = tuple(rule for rule in RULES if rule.category != "email")

_SENSITIVE_WORDS = r"passw(?:or)?d|secret|token|credential"
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
        guards = dict.fromkeys(guard for rule in self._rules for guard in rule.guards)
        self._wide_guards = tuple(guard for guard in guards if not guard.isascii())
        self._named_guards = tuple(guard for guard in guards if guard in _BEFORE_SEPARATOR)
        self._guards = tuple(guard for guard in guards if guard.isascii() and guard not in _BEFORE_SEPARATOR)
        # Most lines of a service contain the same few guards.
        self._choose = lru_cache(1024)(self._choose_rules)

    def _choose_rules(self, *present: str) -> list[tuple[Callable[[str], object], Rule]]:
        return [(rule.pattern.search, rule) for rule in self._rules if not set(present).isdisjoint(rule.guards)]

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
        # The function that archives logs spends most of its time in these lines.
        ascii_only = message.isascii()
        shape = (
            (message.encode() if ascii_only else message.encode("ascii", "replace")).translate(_SHAPE).decode("ascii")
        )
        present = [guard for guard in self._guards if guard in shape]
        if "=" in shape or ":" in shape.replace("0:0", ""):
            present += [guard for guard in self._named_guards if guard in shape]
        if not ascii_only:
            present += [guard for guard in self._wide_guards if guard in message]
        hidden = 0
        for search, rule in self._choose(*present):
            if search(message):
                message, found = _apply(rule, message)
                hidden += found
        return message, hidden

    def for_stream(self) -> Callable[[str], tuple[str, int]]:
        """Return the redactor of the events of one log stream, in their order.

        Containers log each line as an event of its own, also the lines of a private key. Without its first line, such a
        line looks like any other base64.
        """
        if not any(rule.category == "private_key" for rule in self._rules):
            return self
        left = 0  # events that may still belong to the key

        def redact_event(message: str) -> tuple[str, int]:
            nonlocal left
            if left:
                left -= 1
                if _KEY_LINE.fullmatch(message):
                    return "[redacted:private_key]", 1
            if "PRIVATE KEY-----" in message:
                left = _KEY_EVENTS if message.rstrip().endswith("PRIVATE KEY-----") and "-----END" not in message else 0
            return self(message)

        return redact_event


# A key of 16,384 bits has 200 lines. Events of other threads may be between them.
_KEY_EVENTS = 300
_KEY_LINE = re.compile(r"\s{0,64}[A-Za-z0-9+/]{4,128}={0,2}\s{0,8}")

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
