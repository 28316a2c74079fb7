"""Conditions on the input of an environment that no constraint of a single parameter states.

CloudFormation and the services refuse these values only during a deployment, some of them after an hour. `Rules` of a
template cannot compare numbers and cannot read the region, so these conditions are checked here: `params check`,
`plan` and `deploy` report the line of the file, and `validate` reports rule CF-32.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from hosting.model.parameter_file import suggest

# AWS CloudFormation API Reference, Tag; the characters are those of every service that CloudFormation hands tags on to.
TAG_KEY_LENGTH, TAG_VALUE_LENGTH, TAGS_PER_STACK = 128, 256, 50
_TAG_SYMBOLS = "_.:/=+-@"
# The deployer sets these tags on every stack.
OWN_TAGS = ("Project", "Environment")

_ZONE = re.compile(r"(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)[a-z]")
_CERTIFICATE = re.compile(r"arn:[a-z-]+:acm:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):certificate/.+")
# A minimum has no effect unless this parameter has this value.
_ONLY_WITH: Mapping[str, tuple[str, str]] = {"DbMinCapacity": ("DbInstanceClass", "db.serverless")}


@dataclass(frozen=True)
class Relation:
    """A condition that the input does not meet. `keys` are parameters, "Region" or "Tags.<key>", the cause first."""

    keys: tuple[str, ...]
    what: str
    hint: str


@dataclass(frozen=True)
class Input:
    """The input of one environment. `values` includes the defaults of the templates; a missing value is absent."""

    values: Mapping[str, str]
    tags: Mapping[str, str]
    region: str | None = None
    account: str | None = None


def find_conflicts(given: Input) -> Iterator[Relation]:
    """Yield every condition that the input does not meet."""
    for check in _CHECKS:
        yield from check(given)


def _check_ranges(given: Input) -> Iterator[Relation]:
    for low, least in given.values.items():
        high = low.replace("Min", "Max")
        most = given.values.get(high)
        needs, value = _ONLY_WITH.get(low, ("", ""))
        if high == low or most is None or (needs and given.values.get(needs) != value):
            continue
        if (first := _number(least)) is not None and (last := _number(most)) is not None and first > last:
            yield Relation((low, high), f"{low} {least} is more than {high} {most}", f"lower {low} or raise {high}")


def _check_order_of_days(given: Input) -> Iterator[Relation]:
    glacier, expire = (_number(given.values.get(f"Archive{name}Days")) for name in ("Glacier", "Expire"))
    if glacier is not None and expire is not None and glacier >= expire:
        what = f"ArchiveGlacierDays {glacier:g} is not less than ArchiveExpireDays {expire:g}"
        yield Relation(("ArchiveGlacierDays", "ArchiveExpireDays"), what, "S3 requires expiration after the transition")


def _check_region(given: Input) -> Iterator[Relation]:
    if given.region is not None and given.region not in (known := known_regions()):
        near = suggest(given.region, known)
        hint = f'did you mean "{near}"?' if near else "write the code of a region, such as ap-northeast-1"
        yield Relation(("Region",), f'"{given.region}" is not a region of AWS', hint)


def _check_zones(given: Input) -> Iterator[Relation]:
    for name in ("FirstZone", "SecondZone"):
        match = _ZONE.fullmatch(given.values.get(name, ""))
        if match and given.region and match["region"] != given.region:
            what = f"{name}: {match[0]} is not a zone of {given.region}"
            yield Relation((name, "Region"), what, f"write two zones of {given.region}, such as {given.region}a")


def _check_certificates(given: Input) -> Iterator[Relation]:
    for name, region in (("OriginCertificateArn", given.region), ("ViewerCertificateArn", "us-east-1")):
        match = _CERTIFICATE.fullmatch(given.values.get(name, ""))
        if match and region and match["region"] != region:
            hint = f"write the ARN of a certificate in {region}"
            yield Relation((name,), f"{name}: the certificate is in {match['region']}, not in {region}", hint)
        if match and given.account and match["account"] != given.account:
            what = f"{name}: the certificate belongs to account {match['account']}, not to {given.account}"
            yield Relation((name,), what, "create or import a certificate in this account")


def _check_tags(given: Input) -> Iterator[Relation]:
    for key, value in given.tags.items():
        place = (f"Tags.{key}",)
        shown = key if len(key) <= 40 else f"{key[:40]}..."
        if key.lower().startswith("aws:"):
            yield Relation(place, f'tag "{shown}": AWS reserves the prefix aws:', "choose another key")
        for what, text, longest in (("key", key, TAG_KEY_LENGTH), ("value", value, TAG_VALUE_LENGTH)):
            if not 1 <= len(text) <= longest:
                sentence = f'tag "{shown}": the {what} has {len(text)} characters'
                yield Relation(place, sentence, f"AWS accepts 1 to {longest} characters")
            if wrong := sorted({character for character in text if not _is_tag_character(character)}):
                sentence = f'tag "{shown}": the {what} contains {" ".join(map(json.dumps, wrong))}'
                yield Relation(place, sentence, f"AWS accepts letters, digits, spaces and {_TAG_SYMBOLS}")
    keys = [*OWN_TAGS, *(key for key in given.tags if key not in OWN_TAGS)]
    if len(keys) > TAGS_PER_STACK:
        what = f"{len(keys)} tags, including {' and '.join(OWN_TAGS)}, which deploy.py sets"
        yield Relation((f"Tags.{keys[-1]}",), what, f"CloudFormation accepts {TAGS_PER_STACK} tags")
    seen: dict[str, str] = {}
    for key in keys:
        if (other := seen.setdefault(key.lower(), key)) != key:
            what = f'tags "{other}" and "{key}" differ only in upper and lower case'
            yield Relation((f"Tags.{key}",), what, "IAM does not distinguish the case of keys: remove one of them")


def _is_tag_character(character: str) -> bool:
    return character.isalpha() or character.isnumeric() or character == " " or character in _TAG_SYMBOLS


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None  # the constraint of the parameter refuses it


@cache
def known_regions() -> frozenset[str]:
    """Return the regions of every partition that the installed botocore knows. Does not import botocore."""
    found = find_spec("botocore")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("botocore is not installed", name="botocore")
    document = json.loads((Path(found.origin).parent / "data" / "partitions.json").read_text(encoding="utf-8"))
    return frozenset(
        name for part in document["partitions"] for name in part["regions"] if not name.endswith("-global")
    )


_CHECKS: tuple[Callable[[Input], Iterator[Relation]], ...] = (
    _check_ranges,
    _check_order_of_days,
    _check_region,
    _check_zones,
    _check_certificates,
    _check_tags,
)
