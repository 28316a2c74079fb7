"""The committed templates, read as data: their parameters, rules, outputs and address."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hosting.deployer.errors import InputError, Problem

# CloudFormation takes a longer template only from S3 (CloudFormation User Guide, Quotas).
BODY_LIMIT = 51_200


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
        return self.type == "CommaDelimitedList" or self.type.startswith("List<")

    @property
    def is_number(self) -> bool:
        return self.type in {"Number", "List<Number>"}


@dataclass(frozen=True)
class Template:
    """One file of `templates/`, byte for byte as it is shipped."""

    name: str
    text: str

    @cached_property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.text)
        return body

    @cached_property
    def data(self) -> bytes:
        return self.text.encode()

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def inline(self) -> str | None:
        """What a request may carry, without its spaces when that is what it takes; None when only S3 takes it."""
        if len(self.data) <= BODY_LIMIT:
            return self.text
        compact = json.dumps(self.body, separators=(",", ":"))
        return compact if len(compact.encode()) <= BODY_LIMIT else None

    @property
    def key(self) -> str:
        """Where it lies in the artifact bucket. Content-addressed: a rollback still finds its old templates."""
        return f"templates/{self.name.removesuffix('.json')}/{self.digest}.json"

    @cached_property
    def parameters(self) -> Mapping[str, Parameter]:
        return {name: _parameter(name, spec) for name, spec in self.body.get("Parameters", {}).items()}

    @property
    def rules(self) -> Mapping[str, Any]:
        rules: Mapping[str, Any] = self.body.get("Rules", {})
        return rules

    @property
    def resources(self) -> Mapping[str, Any]:
        resources: Mapping[str, Any] = self.body.get("Resources", {})
        return resources

    @property
    def outputs(self) -> frozenset[str]:
        return frozenset(self.body.get("Outputs", {}))

    @property
    def services(self) -> tuple[str, ...]:
        """The services that the root nests, in the order in which `ServiceIsNew` lists them."""
        return tuple(self.body.get("Metadata", {}).get("Services", ()))

    @cached_property
    def children(self) -> Mapping[str, str]:
        """Logical id of a nested stack -> file name of its template, read from the parameter in its URL."""
        found = {}
        for logical_id, resource in self.resources.items():
            if resource.get("Type") == "AWS::CloudFormation::Stack":
                url = json.dumps(resource["Properties"]["TemplateURL"])
                if match := re.search(r"\$\{(\w+)TemplateKey\}", url):
                    found[logical_id] = kebab(match.group(1)) + ".json"
        return found


def load(directory: Path) -> Mapping[str, Template]:
    """Read every template; a missing directory or unreadable file is a problem to show, not a traceback."""
    paths = sorted(directory.glob("*.json"))
    if not paths:
        raise InputError([Problem(str(directory), "no templates here", "run `deploy.py generate` first")])
    templates = {}
    problems = []
    for path in paths:
        try:
            template = Template(path.name, path.read_text(encoding="utf-8"))
            fault = _fault(template.body)
            where = str(path)
            templates[path.name] = template
        except json.JSONDecodeError as error:
            where, fault = f"{path}:{error.lineno}:{error.colno}", error.msg
        except UnicodeDecodeError:
            where, fault = str(path), "not UTF-8 text"
        except RecursionError:
            where, fault = str(path), "nested too deeply"
        if fault:
            problems.append(Problem(where, fault, "templates are generated: run `deploy.py generate`"))
    if problems:
        raise InputError(problems)
    return templates


def _fault(body: object) -> str:
    """Why this is no template that the rest may rely on; empty when it is one."""
    if not isinstance(body, dict):
        return "not a CloudFormation template: no JSON object"
    for section in ("Parameters", "Resources", "Outputs", "Rules", "Metadata"):
        if not isinstance(body.get(section, {}), dict):
            return f"not a CloudFormation template: {section} is no JSON object"
    if not all(isinstance(resource, dict) for resource in body.get("Resources", {}).values()):
        return "not a CloudFormation template: a resource is no JSON object"
    return ""


def kebab(pascal: str) -> str:
    """The file name that a parameter's name stands for: EdgeMonitoring -> edge-monitoring."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", pascal).lower()


def snake(pascal: str) -> str:
    """The Lambda directory that a parameter's name stands for: LogProcessor -> log_processor."""
    return kebab(pascal).replace("-", "_")


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


def scalar(value: object) -> str:
    """A JSON scalar as CloudFormation writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
