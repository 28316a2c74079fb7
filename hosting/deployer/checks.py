"""Everything that can be wrong with an environment's input, found before any call to AWS.

The check is of the whole chain at once: a key belongs to the file when any stack declares it, and a missing
value is reported with the template that wants it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from hosting.deployer import rules
from hosting.deployer.constraints import violation
from hosting.deployer.errors import InputError, Problem
from hosting.deployer.parameters import ParameterFile, suggest
from hosting.deployer.rules import UNKNOWN
from hosting.deployer.stack_order import TEMPLATES, Role
from hosting.deployer.templates import Parameter, Template

_DIGEST = re.compile(r".+@sha256:[0-9a-f]{64}")

# Filled by the deployer and by nobody else: a value in the file would be overwritten in silence.
_OURS = re.compile(r"ArtifactBucket|HomeRegion|ServiceIsNew|CloudFrontPrefixListId|\w+TemplateKey|\w+CodeKey")

# Filled by the deployer when the file says nothing.
_FALLBACK = frozenset({"OriginCertificateArn"})


def ours(name: str) -> bool:
    """Whether the deployer alone fills this parameter."""
    return _OURS.fullmatch(name) is not None


def complete(file: ParameterFile, environment: str) -> ParameterFile:
    """The file with what `-e` already says, so that nobody has to write it twice."""
    if "Environment" in file.values:
        return file
    return replace(file, values={**file.values, "Environment": environment})


def check(file: ParameterFile, environment: str, templates: Mapping[str, Template]) -> None:
    """Raise every problem of the input at once."""
    if found := list(problems(file, environment, templates)):
        raise InputError(found)


def problems(file: ParameterFile, environment: str, templates: Mapping[str, Template]) -> Iterator[Problem]:
    declared = declarations(templates)
    yield from _environment(file, environment)
    yield from _unknown(file, declared)
    yield from _missing(file, templates)
    yield from _values(file, declared)
    yield from _images(file, declared)
    yield from _rules(file, templates)


def declarations(templates: Mapping[str, Template]) -> dict[str, dict[str, Parameter]]:
    """Parameter -> declaration by template, over the stacks of the chain (children get theirs from root)."""
    declared: dict[str, dict[str, Parameter]] = {}
    for name in TEMPLATES.values():
        if name in templates:
            for parameter in templates[name].parameters.values():
                declared.setdefault(parameter.name, {})[name] = parameter
    return declared


def _environment(file: ParameterFile, environment: str) -> Iterator[Problem]:
    said = file.values.get("Environment", environment)
    if said != environment:
        what = f'"Environment" is "{said}", but this is the file of "{environment}"'
        yield Problem(file.where("Environment"), what, "leave it out: -e says it")


def _unknown(file: ParameterFile, declared: Mapping[str, object]) -> Iterator[Problem]:
    for key in file.values:
        if ours(key):
            yield Problem(file.where(key), f'"{key}" is filled by the deployer', "remove it")
        elif key not in declared:
            near = suggest(key, (name for name in declared if not ours(name)))
            hint = f'did you mean "{near}"?' if near else "no stack declares it: remove it"
            yield Problem(file.where(key), f'unknown key "{key}"', hint)


def _missing(file: ParameterFile, templates: Mapping[str, Template]) -> Iterator[Problem]:
    earlier: set[str] = set()
    reported: set[str] = set()
    for role in Role:
        template = templates.get(TEMPLATES[role])
        if template is None:
            yield Problem("templates/", f"{TEMPLATES[role]} is missing", "run `deploy.py generate`")
            continue
        for name, parameter in template.parameters.items():
            filled = ours(name) or name in _FALLBACK or name in earlier or name in file.values
            if parameter.default is None and not filled and name not in reported:
                reported.add(name)
                near = suggest(name, set(file.values) - set(declarations(templates)))
                hint = f'is "{near}" meant to be it?' if near else f"templates/{template.name} needs it"
                yield Problem(file.path, f'missing "{name}"', hint)
        earlier |= template.outputs


def _values(file: ParameterFile, declared: Mapping[str, Mapping[str, Parameter]]) -> Iterator[Problem]:
    for key, value in file.values.items():
        for parameter in declared.get(key, {}).values():
            if what := violation(parameter, value):
                yield Problem(file.where(key), f"{key}: {what}", parameter.constraint)
                break


def _images(file: ParameterFile, declared: Mapping[str, Mapping[str, Parameter]]) -> Iterator[Problem]:
    for key, by_template in declared.items():
        default = next((one.default for one in by_template.values() if one.default), "")
        image = file.values.get(key, default)
        if not key.endswith("Image") or not image or _DIGEST.fullmatch(image):
            continue
        if any(violation(parameter, image) for parameter in by_template.values()):
            continue  # already reported, in the template's own words
        hint = "a tag can move: write repository@sha256:<64 hexadecimal digits>"
        yield Problem(file.where(key), f'{key}: "{image}" is not pinned by digest', hint)


def _rules(file: ParameterFile, templates: Mapping[str, Template]) -> Iterator[Problem]:
    reported: set[tuple[str, str]] = set()
    for template in (templates[name] for name in TEMPLATES.values() if name in templates):
        values = {
            # A fallback counts as what the file says: that it will be filled is no answer to a rule that
            # demands a real one.
            name: file.values.get(name, UNKNOWN if parameter.default is None else parameter.default)
            for name, parameter in template.parameters.items()
            if not ours(name)
        }
        values.update({name: "" for name in _FALLBACK if values.get(name) is UNKNOWN})
        for found in rules.broken(template.rules, values):
            key = (found.rule, found.description)
            if key not in reported:
                reported.add(key)
                place = next((name for name in found.parameters if name in file.values), "")
                where = file.where(place) if place else file.path
                yield Problem(where, found.description.rstrip("."), f"see {', '.join(found.parameters)}")
