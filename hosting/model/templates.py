"""The committed templates, read as data: parameters, rules, outputs, nested templates and address."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hosting.model.errors import InputError, Problem
from hosting.model.stack_order import COMPANIONS, ROOT
from hosting.model.tokens import Json

# CloudFormation accepts a longer template only from S3 (CloudFormation User Guide, "CloudFormation quotas").
BODY_LIMIT = 51_200
NESTED_STACK = "AWS::CloudFormation::Stack"
REGENERATE = "templates are generated: run `deploy.py generate`"

# The root parameter with the digests of the templates of the workloads.
WORKLOAD_TEMPLATES = "WorkloadTemplates"

_SECTIONS = ("Parameters", "Mappings", "Conditions", "Resources", "Outputs", "Rules", "Metadata")


@dataclass(frozen=True)
class Parameter:
    """A declared parameter with the constraints that CloudFormation puts on its value."""

    name: str
    type: str = "String"
    default: str | None = None
    allowed_values: tuple[str, ...] = ()
    allowed_pattern: str | None = None
    min_length: int | None = None
    max_length: int | None = None
    min_value: float | None = None
    max_value: float | None = None
    constraint: str = ""
    no_echo: bool = False

    @property
    def is_list(self) -> bool:
        """Return whether the value is a comma-separated list."""
        return self.type == "CommaDelimitedList" or self.type.startswith("List<") or "<List<" in self.type

    @property
    def is_number(self) -> bool:
        """Return whether the value, or each item of it, is a number."""
        return self.type in {"Number", "List<Number>"}


@dataclass(frozen=True)
class DeclaredEgress:
    """A port that a workload reaches on the internet, at the addresses of a range."""

    port: int
    cidr: str
    description: str


@dataclass(frozen=True)
class DeclaredUse:
    """The use of a store by a workload: Read, ReadWrite, Send, Receive or Mount."""

    use: str
    store: str


@dataclass(frozen=True)
class Template:
    """One file of `templates/`, byte for byte as it is shipped."""

    name: str
    text: str

    @classmethod
    def from_body(cls, name: str, body: Mapping[str, Json]) -> Template:
        """Return the template that a parsed body describes; equal bodies have equal texts."""
        template = cls(name, json.dumps(body, sort_keys=True))
        # Spares the caller, who has the body already, a second parse.
        template.__dict__["body"] = body
        return template

    @cached_property
    def body(self) -> dict[str, Any]:
        """Return the parsed JSON."""
        body: dict[str, Any] = json.loads(self.text)
        return body

    @cached_property
    def data(self) -> bytes:
        """Return the bytes that are uploaded."""
        return self.text.encode()

    @cached_property
    def digest(self) -> str:
        """Return the SHA-256 of the bytes."""
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def inline(self) -> str | None:
        """Return the text for TemplateBody, without whitespace if necessary; None if it only fits in S3."""
        if len(self.data) <= BODY_LIMIT:
            return self.text
        compact = json.dumps(self.body, separators=(",", ":"))
        return compact if len(compact.encode()) <= BODY_LIMIT else None

    @property
    def key(self) -> str:
        """Return the key in the artifact bucket. It depends on the content, so a rollback finds the old template."""
        return f"templates/{self.name.removesuffix('.json')}/{self.key_digest}.json"

    @property
    def key_digest(self) -> str:
        """Return the part of the key that depends on the content.

        128 bits identify it. A parameter value of 4,096 bytes holds 124 of them, one for each workload.
        """
        return self.digest[:32]

    def section(self, name: str) -> dict[str, Json]:
        """Return a top-level section such as "Conditions"; empty if the template has none."""
        section: dict[str, Json] = self.body.get(name, {})
        return section

    @cached_property
    def parameters(self) -> Mapping[str, Parameter]:
        """Return the declared parameters by name."""
        return {name: _parameter(name, spec) for name, spec in self.section("Parameters").items()}

    @property
    def rules(self) -> Mapping[str, Json]:
        """Return the section Rules."""
        return self.section("Rules")

    @property
    def resources(self) -> dict[str, Json]:
        """Return the section Resources."""
        return self.section("Resources")

    @property
    def outputs(self) -> frozenset[str]:
        """Return the names of the outputs."""
        return frozenset(self.section("Outputs"))

    @property
    def services(self) -> tuple[str, ...]:
        """Return the workloads that the root nests, in the order in which `ServiceIsNew` lists them."""
        return tuple(self.section("Metadata").get("Services", ()))

    @property
    def static_path(self) -> str:
        """Return the folder of the URL that the static bucket of the root serves; empty if there is none."""
        return str(self.section("Metadata").get("StaticPath", "/static/"))

    @property
    def without(self) -> frozenset[str]:
        """Return the parts of the platform that the project leaves out: "database", "archive"."""
        return frozenset(self.section("Metadata").get("Without", ()))

    @property
    def edge(self) -> Mapping[str, Json]:
        """Return the settings of the edge that a viewer can see in responses of apps."""
        settings: Mapping[str, Json] = self.section("Metadata").get("Edge", {})
        return settings

    @property
    def routes(self) -> dict[str, tuple[int, tuple[str, ...]]]:
        """Return priority and path patterns of each workload behind the load balancer."""
        workloads: Mapping[str, Mapping[str, Json]] = self.section("Metadata").get("Workloads", {})
        return {
            name: (int(described["Priority"]), tuple(described["Paths"]))
            for name, described in workloads.items()
            if "Paths" in described
        }

    @property
    def function_folders(self) -> dict[str, str]:
        """Return the folder of each function of the project by its name, relative to the project."""
        folders: dict[str, str] = self.section("Metadata").get("Functions", {})
        return folders

    @property
    def hosts(self) -> dict[str, str]:
        """Return the label of each workload that has a host name of its own below the domain."""
        workloads: Mapping[str, Mapping[str, Json]] = self.section("Metadata").get("Workloads", {})
        return {name: str(described["Host"]) for name, described in workloads.items() if "Host" in described}

    def host_names(self, parameters: Mapping[str, str]) -> tuple[str, ...]:
        """Return all host names of the site: its domain, the redirected name, and those of workloads."""
        domain = parameters.get("DomainName", "")
        if not domain:
            return ()
        own = sorted({f"{label}.{domain}" for label in self.hosts.values()})
        return tuple(name for name in (domain, parameters.get("RedirectDomainName", ""), *own) if name)

    def kind_of(self, workload: str) -> str:
        """Return the kind of a workload, such as "web service"."""
        return str(self._workload(workload).get("Kind", "web service"))

    def has_one_task(self, workload: str) -> bool:
        """Return whether exactly one task of a workload runs, so that it is not highly available."""
        return self._workload(workload).get("OneTask") is True

    def callers_of(self, workload: str) -> tuple[str, ...]:
        """Return the workloads that may call an internal service; empty for other kinds."""
        return tuple(self._workload(workload).get("CalledBy", ()))

    def egress_of(self, workload: str) -> tuple[DeclaredEgress, ...]:
        """Return what a workload reaches on the internet beside HTTPS."""
        rules = self._workload(workload).get("Egress", ())
        return tuple(DeclaredEgress(int(rule["Port"]), str(rule["Cidr"]), str(rule["Description"])) for rule in rules)

    def uses_of(self, workload: str) -> tuple[DeclaredUse, ...]:
        """Return the stores that a workload uses."""
        return tuple(
            DeclaredUse(str(one["Use"]), str(one["Store"])) for one in self._workload(workload).get("Uses", ())
        )

    def is_on_spot(self, workload: str) -> bool:
        """Return whether the tasks of a workload run on capacity that AWS may take back."""
        return self._workload(workload).get("Spot") is True

    def image_parameter(self, workload: str) -> str:
        """Return the parameter of the root with the image of a workload. Several workloads may have one image."""
        return str(self._workload(workload).get("Image", f"{workload}Image"))

    def _workload(self, name: str) -> Mapping[str, Json]:
        described: Mapping[str, Mapping[str, Json]] = self.section("Metadata").get("Workloads", {})
        return described.get(name, {})

    @property
    def workload_files(self) -> tuple[str, ...]:
        """Return the template of each workload, in the order in which `WorkloadTemplates` lists their digests."""
        return tuple(self.children[f"{name}ServiceStack"] for name in self.services)

    @cached_property
    def children(self) -> Mapping[str, str]:
        """Return the file name of each nested stack's template, by logical id."""
        files = {logical_id: nested_template(resource) for logical_id, resource in self.resources.items()}
        return {logical_id: file for logical_id, file in files.items() if file is not None}


def load(folder: Path) -> dict[str, Template]:
    """Return the templates of a folder by file name.

    Raises InputError with every problem: a missing folder, unreadable files, or files that are no templates.
    """
    paths = sorted(path for path in folder.glob("*.json") if not path.name.startswith("."))
    if not paths:
        raise InputError([Problem(str(folder), "no templates here", "run `deploy.py generate` first")])
    templates = {}
    problems = []
    for path in paths:
        where, fault = str(path), ""
        try:
            template = Template(path.name, path.read_text(encoding="utf-8"))
            fault = _fault(template.body)
            templates[path.name] = template
        except OSError as error:
            fault = error.strerror or str(error)
        except json.JSONDecodeError as error:
            where, fault = f"{path}:{error.lineno}:{error.colno}", f"not JSON: {error.msg}"
        except UnicodeDecodeError:
            fault = "not UTF-8 text"
        except RecursionError:
            fault = "nested too deeply"
        if fault:
            problems.append(Problem(where, fault, REGENERATE))
    if problems:
        raise InputError(problems)
    return templates


def load_complete(folder: Path) -> dict[str, Template]:
    """Return the templates of a folder that holds exactly root, the templates it nests, and the companions.

    Raises InputError with every problem.
    """
    if not folder.is_dir():
        raise InputError([Problem(str(folder), "no such folder", "run `deploy.py generate` first")])
    others = [
        path.name
        for path in sorted(folder.iterdir())
        if not path.name.startswith(".") and not (path.is_file() and path.suffix == ".json")
    ]
    if others:
        hint = "this folder holds only generated *.json templates; move it to another folder"
        raise InputError([Problem(str(folder), f"{name} does not belong here", hint) for name in others])
    templates = load(folder)
    if missing := [name for name in (ROOT, *COMPANIONS) if name not in templates]:
        raise InputError([Problem(str(folder), f"{', '.join(missing)} not found", REGENERATE)])
    nested = set(templates[ROOT].children.values())
    problems = []
    if absent := sorted(nested - set(templates)):
        problems.append(Problem(str(folder), f"root.json nests {', '.join(absent)}, not found here", REGENERATE))
    if foreign := sorted(set(templates) - nested - {ROOT, *COMPANIONS}):
        what = f"{', '.join(foreign)} is neither nested by root.json nor a companion"
        problems.append(Problem(str(folder), what, "remove it, or add its layer to the root"))
    if problems:
        raise InputError(problems)
    return templates


def nested_template(resource: Mapping[str, Json]) -> str | None:
    """Return the file that a resource nests, from its TemplateURL; None if it nests none.

    Raises InputError for a nested stack whose TemplateURL contains neither a *TemplateKey parameter nor a file.
    """
    if resource.get("Type") != NESTED_STACK:
        return None
    properties = resource.get("Properties", {})
    url = json.dumps(properties.get("TemplateURL", "") if isinstance(properties, dict) else "")
    if match := re.search(r"\b([A-Z][A-Za-z0-9]*TemplateKey)\b", url):
        return template_file(match[1])
    if match := re.search(r"/templates/([a-z0-9-]+)/", url):
        return f"{match[1]}.json"
    raise InputError([Problem(ROOT, f"a TemplateURL names no *TemplateKey parameter: {url}", REGENERATE)])


def template_file(parameter: str) -> str:
    """Return the file behind a root parameter: NetworkTemplateKey is for network.json."""
    return kebab(parameter.removesuffix("TemplateKey")) + ".json"


def kebab(pascal: str) -> str:
    """Return a name in lower case with hyphens: EdgeMonitoring becomes edge-monitoring."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", pascal).lower()


def snake(pascal: str) -> str:
    """Return a name in lower case with underscores: LogProcessor becomes log_processor."""
    return kebab(pascal).replace("-", "_")


def scalar(value: object) -> str:
    """Return a JSON value as CloudFormation writes it in a String parameter: lists joined, booleans in lower case."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(scalar(item) for item in value) if isinstance(value, list) else str(value)


def _fault(body: object) -> str:
    """Return why a body is no template on which the rest may rely; empty if it is one."""
    if not isinstance(body, dict):
        return "not a CloudFormation template: no JSON object"
    for section in _SECTIONS:
        if not isinstance(body.get(section, {}), dict):
            return f"not a CloudFormation template: {section} is no JSON object"
    resources = body.get("Resources")
    if not resources:
        return "not a CloudFormation template with resources"
    for name, resource in resources.items():
        if not isinstance(resource, dict) or not isinstance(resource.get("Type"), str):
            return f"resource {name} has no Type"
    return ""


def _parameter(name: str, spec: Mapping[str, Any]) -> Parameter:
    def number(key: str) -> float | None:
        return float(spec[key]) if key in spec else None

    def length(key: str) -> int | None:
        return int(spec[key]) if key in spec else None

    return Parameter(
        name=name,
        type=spec.get("Type", "String"),
        default=scalar(spec["Default"]) if "Default" in spec else None,
        allowed_values=tuple(scalar(value) for value in spec.get("AllowedValues", ())),
        allowed_pattern=spec.get("AllowedPattern"),
        min_length=length("MinLength"),
        max_length=length("MaxLength"),
        min_value=number("MinValue"),
        max_value=number("MaxValue"),
        constraint=spec.get("ConstraintDescription", ""),
        no_echo=str(spec.get("NoEcho", "")).lower() == "true",
    )
