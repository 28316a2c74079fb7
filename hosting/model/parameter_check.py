"""Check the values of an environment against its templates, and list them with their origins.

All top-level stacks are checked together: a key is known if any of them declares it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from hosting.model.constraints import find_violation
from hosting.model.errors import InputError, Problem
from hosting.model.intrinsics import UNKNOWN, broken_assertions
from hosting.model.parameter_file import ParameterFile, suggest
from hosting.model.parameter_relations import Input, find_conflicts
from hosting.model.stack_order import ROOT, TEMPLATES, StackRole, templates_through
from hosting.model.templates import Parameter, Template

_DIGEST = re.compile(r".+@sha256:[0-9a-f]{64}")

# Only the deployer supplies these: it would overwrite a value of the file without a message.
_SUPPLIED = re.compile(
    r"ArtifactBucket|HomeRegion|PlatformOnly|ServiceIsIncluded|ServiceIsNew|WorkloadTemplates|CloudFrontPrefixListId"
    r"|\w+TemplateKey|\w+CodeKey"
)

# How the parameters of a part begin that a project can leave out.
_PREFIXES = {"database": "Db", "archive": "Archive"}

# The deployer supplies these when the file does not contain them.
_FALLBACK = frozenset({"OriginCertificateArn"})


def is_supplied_by_deployer(name: str) -> bool:
    """Return whether the deployer alone supplies this parameter."""
    return _SUPPLIED.fullmatch(name) is not None


def require_valid(
    file: ParameterFile, environment: str, templates: Mapping[str, Template], through: StackRole | None = None
) -> None:
    """Raise every problem of the input at once. `through` limits the check as in `find_problems`."""
    if found := list(find_problems(file, environment, templates, through)):
        raise InputError(found)


@dataclass(frozen=True)
class Setting:
    """A value of an environment and its origin: file and line, `--set`, a default, or who supplies it later."""

    name: str
    value: str | None
    origin: str


def list_settings(file: ParameterFile, templates: Mapping[str, Template]) -> Iterator[Setting]:
    """Yield account, region, every parameter of the top-level stacks, and the tags. Values of NoEcho are hidden."""
    for key, value in (("Account", file.account), ("Region", file.region)):
        yield Setting(key, value, file.where(key) if value else "not set")
    upstream: set[str] = set()
    seen: set[str] = set()
    for template in (templates[name] for name in TEMPLATES.values() if name in templates):
        for name, parameter in template.parameters.items():
            if name not in seen:
                seen.add(name)
                yield _setting(file, parameter, template, wired=name in upstream)
        upstream |= template.outputs
    for key, value in file.tags.items():
        yield Setting(f"Tags.{key}", value, file.where(f"Tags.{key}"))


def _setting(file: ParameterFile, parameter: Parameter, template: Template, *, wired: bool) -> Setting:
    name = parameter.name
    if name in file.values:
        return Setting(name, "(hidden)" if parameter.no_echo else file.values[name], file.where(name))
    if is_supplied_by_deployer(name) or name in _FALLBACK:
        return Setting(name, None, "supplied by deploy.py")
    if wired:
        return Setting(name, None, "output of an earlier stack")
    if parameter.default is not None:
        return Setting(name, parameter.default, f"default of templates/{template.name}")
    return Setting(name, None, "missing")


def find_problems(
    file: ParameterFile, environment: str, templates: Mapping[str, Template], through: StackRole | None = None
) -> Iterator[Problem]:
    """Yield every problem of the values of an environment.

    With `through` only the stacks up to this role are deployed, so only their parameters need right values. The keys
    are checked against all templates.
    """
    yield from _templates(templates)
    yield from _environment(file, environment)
    yield from _supplied(file)
    yield from find_unknown(file, templates)
    deployed = {name: templates[name] for name in templates_through(through) if name in templates}
    declared = collect_declarations(deployed)
    yield from find_missing(file, deployed)
    yield from _values(file, declared)
    yield from _images(file, declared)
    yield from _rules(file, deployed)
    yield from _relations(file, declared)
    if ROOT in deployed:
        yield from _host_names(file, deployed[ROOT])


def collect_declarations(templates: Mapping[str, Template]) -> dict[str, dict[str, Parameter]]:
    """Return the declarations of each parameter by template. Only templates of top-level stacks count."""
    declared: dict[str, dict[str, Parameter]] = {}
    for name in TEMPLATES.values():
        if name in templates:
            for parameter in templates[name].parameters.values():
                declared.setdefault(parameter.name, {})[name] = parameter
    return declared


def _environment(file: ParameterFile, environment: str) -> Iterator[Problem]:
    value = file.values.get("Environment", environment)
    if value != environment:
        what = f'"Environment" is "{value}", but this is the parameter file of "{environment}"'
        yield Problem(file.where("Environment"), what, "remove it: the name of the file implies it")


def _templates(templates: Mapping[str, Template]) -> Iterator[Problem]:
    for name in TEMPLATES.values():
        if name not in templates:
            yield Problem("templates/", f"{name} is missing", "run `deploy.py generate`")


def _supplied(file: ParameterFile) -> Iterator[Problem]:
    for key in file.values:
        if is_supplied_by_deployer(key):
            yield Problem(file.where(key), f'"{key}" is supplied by deploy.py', "remove it")


def find_unknown(file: ParameterFile, templates: Mapping[str, Template]) -> Iterator[Problem]:
    """Yield a problem for every key that no top-level stack declares."""
    declared = collect_declarations(templates)
    for key in file.values:
        if key not in declared and not is_supplied_by_deployer(key):
            near = suggest(key, (name for name in declared if not is_supplied_by_deployer(name)))
            hint = f'did you mean "{near}"?' if near else "no stack declares it: remove it"
            for part in templates[ROOT].without if ROOT in templates else ():
                if key.startswith(_PREFIXES[part]):
                    hint = f"the project has no {part}: remove it"
            yield Problem(file.where(key), f'unknown key "{key}"', hint)


def find_missing(file: ParameterFile, templates: Mapping[str, Template]) -> Iterator[Problem]:
    """Yield a problem for every parameter without a value: no file, default, earlier stack or deploy.py has one."""
    earlier: set[str] = set()
    reported: set[str] = set()
    for template in (templates[name] for name in TEMPLATES.values() if name in templates):
        for name, parameter in template.parameters.items():
            filled = is_supplied_by_deployer(name) or name in _FALLBACK or name in earlier or name in file.values
            if parameter.default is None and not filled and name not in reported:
                reported.add(name)
                near = suggest(name, set(file.values) - set(collect_declarations(templates)))
                hint = f'"{near}" may be a misspelling of it' if near else f"templates/{template.name} requires it"
                yield Problem(file.path, f'missing "{name}"', hint)
        earlier |= template.outputs


def _values(file: ParameterFile, declared: Mapping[str, Mapping[str, Parameter]]) -> Iterator[Problem]:
    for key, value in file.values.items():
        for parameter in declared.get(key, {}).values():
            if what := find_violation(parameter, value):
                yield Problem(file.where(key), f"{key}: {what}", parameter.constraint)
                break


def _images(file: ParameterFile, declared: Mapping[str, Mapping[str, Parameter]]) -> Iterator[Problem]:
    for key, by_template in declared.items():
        default = next((one.default for one in by_template.values() if one.default), "")
        image = file.values.get(key, default)
        if not key.endswith("Image") or not image or _DIGEST.fullmatch(image):
            continue
        if any(find_violation(parameter, image) for parameter in by_template.values()):
            continue  # _values reports it with the description of the template
        hint = "a tag can move: write repository@sha256:<64 hexadecimal digits>"
        yield Problem(file.where(key), f'{key}: "{image}" is not pinned by digest', hint)


def _rules(file: ParameterFile, templates: Mapping[str, Template]) -> Iterator[Problem]:
    reported: set[tuple[str, str]] = set()
    for template in (templates[name] for name in TEMPLATES.values() if name in templates):
        values = {
            # A fallback of the deployer is not used here: a rule that requires a value requires it in the file.
            name: file.values.get(name, UNKNOWN if parameter.default is None else parameter.default)
            for name, parameter in template.parameters.items()
            if not is_supplied_by_deployer(name)
        }
        values.update({name: "" for name in _FALLBACK if values.get(name) is UNKNOWN})
        for found in broken_assertions(template, values):
            key = (found.rule, found.description)
            if key not in reported:
                reported.add(key)
                place = next((name for name in found.parameters if name in file.values), "")
                where = file.where(place) if place else file.path
                yield Problem(where, found.description.rstrip("."), f"see {', '.join(found.parameters)}")


def require_fitting_region(file: ParameterFile, templates: Mapping[str, Template], region: str) -> None:
    """Raise InputError if zones or certificates do not belong to the region, for a file that names no region."""
    if file.region is None:
        found = list(_relations(replace(file, region=region), collect_declarations(templates)))
        if found:
            raise InputError(found)


def find_shared_channel(file: ParameterFile, others: Iterable[ParameterFile]) -> Iterator[Problem]:
    """Yield a problem if another environment of the same account has the same Slack channel.

    AWS accepts one configuration of a channel per account: "has already been configured for AWS account".
    """
    keys = ("SlackWorkspaceId", "SlackChannelId")
    own = [file.values.get(key) for key in keys]
    for other in others:
        if all(own) and own == [other.values.get(key) for key in keys] and other.account == file.account:
            what = f"SlackChannelId: {other.path} has the same channel"
            yield Problem(file.where("SlackChannelId"), what, "create a channel for each environment of an account")


def _host_names(file: ParameterFile, root: Template) -> Iterator[Problem]:
    """Yield a problem if the redirected name is also that of a workload. CloudFront refuses a name twice."""
    redirected, domain = file.values.get("RedirectDomainName"), file.values.get("DomainName")
    owners = [name for name, label in root.hosts.items() if redirected == f"{label}.{domain}"]
    if owners:
        what = f"RedirectDomainName: {redirected} is the host name of {owners[0]}"
        yield Problem(
            file.where("RedirectDomainName"), what, "give the workload another host, or redirect another name"
        )


def _relations(file: ParameterFile, declared: Mapping[str, Mapping[str, Parameter]]) -> Iterator[Problem]:
    defaults = {
        name: parameter.default
        for name, by_template in declared.items()
        for parameter in by_template.values()
        if parameter.default is not None
    }
    given = {name: value for name, value in file.values.items() if name in declared}
    for found in find_conflicts(Input({**defaults, **given}, file.tags, file.region, file.account)):
        place = next((key for key in found.keys if key in file.origins), "")
        yield Problem(file.where(place) if place else file.path, found.what, found.hint)
