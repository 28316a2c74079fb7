"""Parameter files: one reader for all commands.

Two forms are read: `{"Account", "Region", "Parameters", "Tags"}`, which is CodePipeline's template configuration with
two keys more, and the AWS CLI's list of `{"ParameterKey", "ParameterValue"}`. `params/base.json` holds what the
environments share; the file of an environment overrides it, parameter by parameter and tag by tag.

Reading does not stop at the first mistake, so that one run shows all of them. Whether the values suit the templates is
decided by the checks of the deployer.
"""

from __future__ import annotations

import codecs
import difflib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from hosting.model.errors import InputError, Problem
from hosting.model.stack_order import DEFAULT_REGION
from hosting.model.templates import scalar

# The file of values that all environments share; no environment has this name.
BASE = "base"
# `-e all` means every environment that has a file.
ALL = "all"
# The account of AWS's documentation. It is used where no file names an account, in commands that call nothing.
EXAMPLE_ACCOUNT = "123456789012"
FORMS = 'write {"Parameters": {"Key": "Value"}}, or the AWS CLI\'s [{"ParameterKey": "Key", "ParameterValue": "Value"}]'

_TOP = ("Account", "Region", "Parameters", "Tags")


@dataclass(frozen=True)
class ParameterFile:
    """The values of one environment. `path` names the environment's own file, as messages show it."""

    path: str
    values: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    account: str | None = None
    region: str | None = None
    # Where each key was read: file and line, or "--set". A tag has the key "Tags.<name>".
    origins: Mapping[str, str] = field(default_factory=dict)

    def where(self, key: str) -> str:
        """Return the place of a key for messages: file and line, `--set`, or the file if the key is nowhere."""
        return self.origins.get(key, self.path)

    def override(self, pairs: Iterable[str]) -> ParameterFile:
        """Return the file with `Key=Value` pairs of the command line put over its values."""
        problems: list[Problem] = []
        given = _pairs(list(pairs), problems)
        if problems:
            raise InputError(problems)
        origins = {**self.origins, **dict.fromkeys(given, "--set")}
        return replace(self, values={**self.values, **given}, origins=origins)

    def over(self, base: ParameterFile) -> ParameterFile:
        """Return the file with what it leaves out taken from `base`."""
        return ParameterFile(
            self.path,
            {**base.values, **self.values},
            {**base.tags, **self.tags},
            self.account or base.account,
            self.region or base.region,
            {**base.origins, **self.origins},
        )

    def named(self, environment: str) -> ParameterFile:
        """Return the file with the parameter Environment, which the name of the file implies."""
        if "Environment" in self.values:
            return self
        return replace(self, values={**self.values, "Environment": environment})


@dataclass(frozen=True)
class Environment:
    """The values of one environment for commands that call nothing, with examples for what only AWS knows."""

    name: str
    parameters: Mapping[str, str]
    account: str = EXAMPLE_ACCOUNT
    region: str = DEFAULT_REGION
    tags: Mapping[str, str] = field(default_factory=dict)
    file: str = ""
    origins: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_file(cls, name: str, file: ParameterFile) -> Environment:
        """Return the values of a parameter file."""
        account, region = file.account or EXAMPLE_ACCOUNT, file.region or DEFAULT_REGION
        return cls(name, file.named(name).values, account, region, dict(file.tags), file.path, file.origins)


def environments(directory: Path) -> tuple[str, ...]:
    """Return the names of the environments that have a file."""
    return tuple(sorted(path.stem for path in directory.glob("*.json") if path.stem != BASE))


def locate(directory: Path, environment: str) -> Path:
    """Return the file of an environment. Raises InputError, which names the known ones, if there is none."""
    known = environments(directory)
    if environment in known:
        return directory / f"{environment}.json"
    hint = f"known environments: {', '.join(known)}" if known else f"no *.json in {directory}/"
    if near := suggest(environment, known):
        hint = f'did you mean "{near}"? ({hint})'
    what = f'unknown environment "{environment}"'
    if environment == BASE:
        what = f"{BASE}.json contains the values that environments share; it is not an environment"
    raise InputError([Problem(f"{directory}/", what, hint)])


def select_files(directory: Path, environment: str) -> list[Path]:
    """Return the file of an environment, or the files of all environments for "all". Raises InputError for none."""
    if environment != ALL:
        return [locate(directory, environment)]
    if not (names := environments(directory)):
        raise InputError([Problem(f"{directory}/", "no parameter files", "write <environment>.json there")])
    return [directory / f"{name}.json" for name in names]


def read(path: Path, name: str | None = None) -> ParameterFile:
    """Return the file of an environment, put over `base.json` beside it where there is one.

    `name` is shown in messages instead of the path. Raises InputError with every problem of both files.
    """
    shown = name or str(path)
    base = path.with_name(f"{BASE}.json")
    problems: list[Problem] = []
    found = []
    for one, label in ((base, str(Path(shown).with_name(base.name))), (path, shown)):
        if one == base and not base.is_file():
            continue
        try:
            found.append(parse(one.read_bytes(), label))
        except InputError as error:
            problems += error.problems
        except OSError as error:
            problems.append(Problem(label, error.strerror or str(error)))
    if problems:
        raise InputError(problems)
    return found[-1].over(found[0]) if len(found) > 1 else found[0]


def load_environment(path: Path) -> Environment:
    """Return the values of an environment's file for a command that calls nothing."""
    return Environment.from_file(path.stem, read(path))


def parse(data: bytes, name: str) -> ParameterFile:
    """Return the content of one file. Raises InputError with every problem in it."""
    text = _decode(data, name)
    problems: list[Problem] = []
    lines = _key_lines(text)

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        # JSON accepts a key twice and keeps the last: in a parameter file that is a mistake.
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
    """Return the known word that was probably meant, or None. Letter case is ignored: it is the commonest mistake."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.7)
    return by_lower[near[0]] if near else None


@dataclass
class _Reader:
    name: str
    lines: Mapping[str, int]
    problems: list[Problem]

    def document(self, document: object) -> ParameterFile:
        """Return the content of a parsed document in one of the two forms."""
        if isinstance(document, list):
            if any(isinstance(item, str) for item in document):
                self._problem("", 'is a list of "Key=Value" texts', FORMS)
                return self._file({})
            return self._file(self._list(document))
        if not isinstance(document, dict):
            self._problem("", "holds neither an object nor a list", FORMS)
            return self._file({})
        if "parameters" in document and "Parameters" not in document:
            self._problem("", 'is a file of CloudFormation Git sync ("parameters", "tags")', FORMS)
            return self._file({})
        self._known(document)
        if "Parameters" not in document:
            self._problem("", 'has no "Parameters"', FORMS)
        return self._file(
            self._mapping("Parameters", document.get("Parameters", {})),
            self._tags(document.get("Tags", {})),
            self._account(document.get("Account")),
            self._text("Region", document.get("Region")),
        )

    def _file(
        self,
        values: Mapping[str, str],
        tags: Mapping[str, str] | None = None,
        account: str | None = None,
        region: str | None = None,
    ) -> ParameterFile:
        found = (*values, *(key for key, value in (("Account", account), ("Region", region)) if value))
        origins = {key: self._where(key) for key in (*found, *(f"Tags.{key}" for key in tags or {}))}
        return ParameterFile(self.name, values, tags or {}, account, region, origins)

    def _list(self, items: list[object]) -> dict[str, str]:
        """Return the values of the AWS CLI's list."""
        values: dict[str, str] = {}
        for number, item in enumerate(items, 1):
            if not isinstance(item, dict) or "ParameterKey" not in item:
                self._problem("", f"item {number} is not a parameter", FORMS)
                continue
            key = str(item["ParameterKey"])
            if item.get("UsePreviousValue"):
                hint = "give the value: a deployment must not depend on the one before it"
                self._problem(key, f'"{key}" has UsePreviousValue', hint)
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
        prefix = "" if where == "Parameters" else f"{where}."
        values = {key: self._value(prefix + key, value) for key, value in mapping.items()}
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

    def _tags(self, tags: object) -> dict[str, str]:
        if isinstance(tags, list):
            pairs = [item for item in tags if isinstance(item, dict) and {"Key", "Value"} == item.keys()]
            if len(pairs) == len(tags):
                return {str(item["Key"]): scalar(item["Value"]) for item in pairs}
        return self._mapping("Tags", tags)

    def _account(self, value: object) -> str | None:
        account = self._text("Account", value)
        if account is not None and not re.fullmatch(r"\d{12}", account):
            self._problem("Account", f'"{account}" is not an account id', "an account id has twelve digits")
        return account

    def _text(self, key: str, value: object) -> str | None:
        return None if value is None else self._value(key, value)

    def _known(self, document: Mapping[str, object]) -> None:
        for key in document:
            if key == "StackPolicy":
                self._problem(key, '"StackPolicy" has no effect here', "remove it: deploy.py sets the stack policies")
            elif key not in _TOP:
                near = suggest(key, _TOP)
                hint = f'did you mean "{near}"?' if near else f"known keys: {', '.join(_TOP)}"
                self._problem(key, f'unknown key "{key}"', hint)

    def _problem(self, key: str, what: str, hint: str = "") -> None:
        self.problems.append(Problem(self._where(key), what, hint))

    def _where(self, key: str) -> str:
        line = self.lines.get(key)
        return f"{self.name}:{line}" if line else self.name


def _pairs(items: Iterable[str], problems: list[Problem]) -> dict[str, str]:
    values: dict[str, str] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not equals or not key.strip():
            problems.append(Problem("--set", f'"{item}" is not a parameter', "write Key=Value"))
            continue
        if key.strip() in values:
            problems.append(Problem("--set", f'"{key.strip()}" is given more than once', "keep one of them"))
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
    """Return the line of every key of a JSON text. A key below another one than Parameters has its path: "Tags.Team".

    Items of the AWS CLI's list have the key of their ParameterKey, and items of a list of tags "Tags.<Key>".
    """
    lines: dict[str, int] = {}
    path: list[str] = []
    key, word, number = "", "", 1

    def place(name: str) -> str:
        return "".join(f"{step}." for step in path if step not in {"", "Parameters"}) + name

    for match in re.finditer(r'"((?:[^"\\]|\\.)*)"|[\[\]{}:,\n]', text):
        symbol = match[0]
        if symbol == "\n":
            number += 1
        elif symbol in "{[":
            path.append(key)
            key = ""
        elif symbol in "}]":
            del path[-1:]
        elif symbol == ":":
            key = word
            lines.setdefault(place(key), number)
        elif symbol == ",":
            key = ""
        else:
            word = match[1]
            if key in {"ParameterKey", "Key"}:
                lines.setdefault(place(word), number)
    return lines


def _syntax_hint(text: str, error: json.JSONDecodeError) -> str:
    """Return a hint for mistakes that the parser's message does not name; empty for others."""
    before = text[: error.pos].rstrip()
    if before.endswith(",") and text[error.pos : error.pos + 1] in {"}", "]"}:
        return "remove the comma before it"
    if text.lstrip()[:1] not in {"{", "["}:
        return "only JSON is read here; the file starts with neither { nor ["
    if error.msg.startswith("Expecting ',' delimiter"):
        return "a comma or a quote is missing before this place"
    return ""
