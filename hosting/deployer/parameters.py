"""Parameter files: every form that the AWS CLI, CodePipeline and Git sync accept, read into one value.

Reading never stops at the first mistake: a file with three mistakes costs its author one run. Whether the
values suit the templates is decided in `checks.py`.
"""

from __future__ import annotations

import codecs
import difflib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from hosting.deployer.errors import InputError, Problem
from hosting.deployer.templates import scalar

_TOP = ("Account", "Region", "Parameters", "Tags")
_GIT_SYNC = ("template-file-path", "parameters", "tags")


@dataclass(frozen=True)
class ParameterFile:
    """What a parameter file says, whichever way it says it."""

    path: str
    values: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    account: str | None = None
    region: str | None = None
    # Where each key stands, for messages: a line of the file, or the command line.
    lines: Mapping[str, int] = field(default_factory=dict)
    overridden: frozenset[str] = frozenset()

    def where(self, key: str) -> str:
        if key in self.overridden:
            return "--set"
        line = self.lines.get(key)
        return f"{self.path}:{line}" if line else self.path

    def override(self, pairs: Iterable[str]) -> ParameterFile:
        """The same file with `Key=Value` pairs of the command line put over it."""
        problems: list[Problem] = []
        given = _pairs("--set", list(pairs), problems)
        if problems:
            raise InputError(problems)
        lines = {key: line for key, line in self.lines.items() if key not in given}
        overridden = self.overridden | given.keys()
        return replace(self, values={**self.values, **given}, lines=lines, overridden=overridden)


def environments(directory: Path) -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in directory.glob("*.json")))


def locate(directory: Path, environment: str) -> Path:
    """The file of an environment. An unknown one is an error that names the known ones."""
    known = environments(directory)
    if environment in known:
        return directory / f"{environment}.json"
    hint = f"known environments: {', '.join(known)}" if known else f"no *.json in {directory}/"
    if near := suggest(environment, known):
        hint = f'did you mean "{near}"? ({hint})'
    raise InputError([Problem(f"{directory}/", f'unknown environment "{environment}"', hint)])


def read(path: Path, name: str | None = None) -> ParameterFile:
    """Read `path`; every problem in it is raised at once."""
    return parse(path.read_bytes(), name or str(path))


def parse(data: bytes, name: str) -> ParameterFile:
    text = _decode(data, name)
    problems: list[Problem] = []
    lines = _key_lines(text)

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        # JSON lets a key appear twice and the last one win: in a parameter file that is a mistake.
        seen: dict[str, object] = {}
        for key, value in pairs:
            if key in seen:
                problems.append(Problem(name, f'"{key}" is given more than once', "keep one of them"))
            seen[key] = value
        return seen

    try:
        # Numbers stay as they are written: 1.10 as a version must not become 1.1.
        document = json.loads(text, object_pairs_hook=unique, parse_float=str, parse_int=str)
    except json.JSONDecodeError as error:
        where = f"{name}:{error.lineno}:{error.colno}"
        raise InputError([Problem(where, f"not valid JSON: {error.msg}", _syntax_hint(text, error))]) from None
    except RecursionError:
        raise InputError([Problem(name, "nested too deeply", "values are text, numbers, true and false")]) from None
    file = _Reader(name, lines, problems).document(document)
    if problems:
        raise InputError(problems)
    return file


def suggest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant; case is the commonest slip and costs nothing."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.7)
    return by_lower[near[0]] if near else None


@dataclass
class _Reader:
    name: str
    lines: Mapping[str, int]
    problems: list[Problem]

    def document(self, document: object) -> ParameterFile:
        if isinstance(document, list):
            return self._file(values=self._list(document))
        if not isinstance(document, dict):
            self._problem("", "holds neither an object nor a list")
            return self._file()
        if "Parameters" in document or not any(key in document for key in _GIT_SYNC):
            self._known(document, _TOP)
            if "Parameters" not in document:
                self._problem("", 'has no "Parameters"', 'write {"Parameters": {"Key": "Value"}}')
            return self._file(
                values=self._mapping("Parameters", document.get("Parameters", {})),
                tags=self._tags("Tags", document.get("Tags", {})),
                account=self._account(document.get("Account")),
                region=self._text("Region", document.get("Region")),
            )
        self._known(document, _GIT_SYNC)
        return self._file(
            values=self._mapping("parameters", document.get("parameters", {})),
            tags=self._tags("tags", document.get("tags", {})),
        )

    def _file(
        self,
        values: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        account: str | None = None,
        region: str | None = None,
    ) -> ParameterFile:
        return ParameterFile(self.name, values or {}, tags or {}, account, region, self.lines)

    def _list(self, items: list[object]) -> dict[str, str]:
        """`["Key=Value"]` or `[{"ParameterKey": .., "ParameterValue": ..}]`, the AWS CLI's two list forms."""
        if all(isinstance(item, str) for item in items):
            return _pairs(self.name, [str(item) for item in items], self.problems)
        values: dict[str, str] = {}
        for number, item in enumerate(items, 1):
            if not isinstance(item, dict) or "ParameterKey" not in item:
                shown = 'write {"ParameterKey": "K", "ParameterValue": "V"}'
                self._problem("", f"item {number} is not a parameter", shown)
                continue
            key = str(item["ParameterKey"])
            if item.get("UsePreviousValue"):
                hint = "give the value: a deployment must not depend on what was deployed before"
                self._problem(key, f'"{key}" asks for UsePreviousValue', hint)
                continue
            for extra in item.keys() - {"ParameterKey", "ParameterValue", "UsePreviousValue"}:
                self._problem(key, f'item {number} has an unknown key "{extra}"')
            if key in values:
                self._problem("", f'"{key}" is given more than once', "keep one of them")
            if (value := self._value(key, item.get("ParameterValue"))) is not None:
                values[key] = value
        return values

    def _mapping(self, where: str, mapping: object) -> dict[str, str]:
        if not isinstance(mapping, dict):
            self._problem(where, f'"{where}" is not an object of keys and values')
            return {}
        values = {key: self._value(key, value) for key, value in mapping.items()}
        return {key: value for key, value in values.items() if value is not None}

    def _value(self, key: str, value: object) -> str | None:
        if isinstance(value, list) and not any(isinstance(item, (dict, list, type(None))) for item in value):
            return ",".join(scalar(item) for item in value)
        if value is None or isinstance(value, (dict, list)):
            kinds: dict[type, str] = {dict: "an object", list: "a list of more than plain values"}
            kind = kinds.get(type(value), "null")
            hint = "a value is a string, a number, true, false or a list of them"
            self._problem(key, f'the value of "{key}" is {kind}', hint)
            return None
        return scalar(value)

    def _tags(self, where: str, tags: object) -> dict[str, str]:
        if isinstance(tags, list):
            pairs = [item for item in tags if isinstance(item, dict) and {"Key", "Value"} == item.keys()]
            if len(pairs) == len(tags):
                return {str(item["Key"]): scalar(item["Value"]) for item in pairs}
        return self._mapping(where, tags)

    def _account(self, value: object) -> str | None:
        account = self._text("Account", value)
        if account is not None and not re.fullmatch(r"\d{12}", account):
            self._problem("Account", f'"{account}" is not an account id', "an account id has twelve digits")
        return account

    def _text(self, key: str, value: object) -> str | None:
        return None if value is None else self._value(key, value)

    def _known(self, document: Mapping[str, object], known: tuple[str, ...]) -> None:
        for key in document:
            if key == "StackPolicy":
                self._problem(key, 'a "StackPolicy" is not taken from this file', "remove it")
            elif key not in known:
                near = suggest(key, known)
                hint = f'did you mean "{near}"?' if near else f"known keys: {', '.join(known)}"
                self._problem(key, f'unknown key "{key}"', hint)

    def _problem(self, key: str, what: str, hint: str = "") -> None:
        line = self.lines.get(key)
        self.problems.append(Problem(f"{self.name}:{line}" if line else self.name, what, hint))


def _pairs(where: str, items: Iterable[str], problems: list[Problem]) -> dict[str, str]:
    values: dict[str, str] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not equals or not key.strip():
            problems.append(Problem(where, f'"{item}" is not a parameter', "write Key=Value"))
            continue
        if key.strip() in values:
            problems.append(Problem(where, f'"{key.strip()}" is given more than once', "keep one of them"))
        values[key.strip()] = value
    return values


def _decode(data: bytes, name: str) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError([Problem(name, "is encoded as UTF-16", "save it as UTF-8 (PowerShell: -Encoding utf8)")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"is not UTF-8 (byte 0x{data[error.start]:02x})"
        raise InputError([Problem(f"{name}:{line}", found, "save it as UTF-8")]) from None


def _key_lines(text: str) -> dict[str, int]:
    """Line of every key. A scan is enough for messages: values never decide what is read."""
    lines: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        for match in re.finditer(r'"ParameterKey"\s*:\s*"([^"]*)"|"([^"]+)"\s*:|"([^"=]+)=', line):
            lines.setdefault(match.group(1) or match.group(2) or match.group(3), number)
    return lines


def _syntax_hint(text: str, error: json.JSONDecodeError) -> str:
    """The two slips that JSON's own message does not name."""
    before = text[: error.pos].rstrip()
    if before.endswith(",") and text[error.pos : error.pos + 1] in {"}", "]"}:
        return "remove the comma before it"
    if text.lstrip()[:1] not in {"{", "["}:
        return "only JSON is read here; the file starts with neither { nor ["
    if error.msg.startswith("Expecting ',' delimiter"):
        return "a comma or a quote is missing before this place"
    return ""
