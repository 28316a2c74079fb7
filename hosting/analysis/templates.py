"""The templates folder and the parameter files, read as plain data."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hosting.analysis.errors import ParameterFileError, TemplateFolderError
from hosting.analysis.tokens import Json

ROOT = "root.json"
# Companion stacks stand beside the root; every other template is nested in it.
COMPANIONS = ("bootstrap.json", "edge.json", "edge-monitoring.json")

HOME_REGION = "ap-northeast-1"
# CloudFront, its certificates, its web ACL and the metrics of both exist in this region only.
EDGE_REGION = "us-east-1"

# The account that AWS documentation uses; stands in where a parameter file does not say which one it is for.
EXAMPLE_ACCOUNT = "123456789012"


@dataclass(frozen=True)
class Template:
    """One template as committed."""

    name: str
    body: Mapping[str, Json]
    text: str

    def section(self, name: str) -> dict[str, Json]:
        section = self.body.get(name, {})
        if not isinstance(section, dict):
            raise TemplateFolderError(f"{name} is not an object", where=self.name, remedy=REGENERATE)
        return section

    @property
    def resources(self) -> dict[str, Json]:
        return self.section("Resources")

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


REGENERATE = "run `python -m generator` to write the templates again"


def regions(template: str) -> tuple[str, ...]:
    """The regions in which a template is deployed."""
    if template == "bootstrap.json":
        return (HOME_REGION, EDGE_REGION)
    return (EDGE_REGION,) if template in COMPANIONS else (HOME_REGION,)


def template_file(parameter: str) -> str:
    """The file behind a root parameter: NetworkTemplateKey is for network.json."""
    return kebab(parameter.removesuffix("TemplateKey")) + ".json"


def kebab(pascal: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", pascal).lower()


def load_templates(folder: Path) -> dict[str, Template]:
    """Every template of the folder, complete: root, what it nests, and the companions; nothing else may be there."""
    if not folder.is_dir():
        raise TemplateFolderError("no such folder", where=str(folder), remedy=REGENERATE)
    templates = {path.name: _load_template(path) for path in sorted(folder.iterdir()) if _is_template(path)}
    missing = [name for name in (ROOT, *COMPANIONS) if name not in templates]
    if missing:
        raise TemplateFolderError(f"{', '.join(missing)} not found", where=str(folder), remedy=REGENERATE)
    nested = {nested_template(resource) for resource in templates[ROOT].resources.values()} - {None}
    if absent := sorted(str(name) for name in nested if name not in templates):
        raise TemplateFolderError(
            f"root.json nests {', '.join(absent)}, not found here", where=str(folder), remedy=REGENERATE
        )
    if foreign := sorted(set(templates) - nested - {ROOT, *COMPANIONS}):
        raise TemplateFolderError(
            f"{', '.join(foreign)} is neither nested by root.json nor a companion",
            where=str(folder),
            remedy="remove it, or add its layer to the root",
        )
    return templates


def _is_template(path: Path) -> bool:
    # An editor's or a file manager's hidden files are nobody's mistake.
    if path.name.startswith("."):
        return False
    if path.is_file() and path.suffix == ".json":
        return True
    raise TemplateFolderError(
        f"{path.name} does not belong here",
        where=str(path.parent),
        remedy="this folder holds generated *.json templates only; move it elsewhere",
    )


def _load_template(path: Path) -> Template:
    body, text = _read_json(path, TemplateFolderError)
    if not isinstance(body, dict) or not isinstance(body.get("Resources"), dict) or not body["Resources"]:
        raise TemplateFolderError("not a CloudFormation template with resources", where=str(path), remedy=REGENERATE)
    broken = [
        name
        for name, resource in body["Resources"].items()
        if not isinstance(resource, dict) or not isinstance(resource.get("Type"), str)
    ]
    if broken:
        raise TemplateFolderError(f"resource {broken[0]} has no Type", where=str(path), remedy=REGENERATE)
    return Template(path.name, body, text)


def _read_json(path: Path, error: type[TemplateFolderError] | type[ParameterFileError]) -> tuple[Json, str]:
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text), text
    except OSError as problem:
        raise error(problem.strerror or str(problem), where=str(path)) from None
    except UnicodeDecodeError:
        raise error("not UTF-8 text", where=str(path)) from None
    except json.JSONDecodeError as problem:
        raise error(f"not JSON: {problem.msg}", where=f"{path}:{problem.lineno}:{problem.colno}") from None
    except RecursionError:
        raise error("nested too deeply", where=str(path)) from None


def nested_template(resource: Mapping[str, Json]) -> str | None:
    """The file that an AWS::CloudFormation::Stack resource nests, read from the parameter in its TemplateURL."""
    if resource.get("Type") != "AWS::CloudFormation::Stack":
        return None
    properties = resource.get("Properties", {})
    url = json.dumps(properties.get("TemplateURL", "") if isinstance(properties, dict) else "")
    match = re.search(r"\b([A-Z][A-Za-z0-9]*TemplateKey)\b", url)
    if match is None:
        raise TemplateFolderError(
            f"a TemplateURL names no *TemplateKey parameter: {url}", where=ROOT, remedy=REGENERATE
        )
    return template_file(match[1])


@dataclass(frozen=True)
class Environment:
    """The values of one environment, as its parameter file gives them."""

    name: str
    parameters: Mapping[str, str]
    account: str = EXAMPLE_ACCOUNT
    region: str = HOME_REGION
    tags: Mapping[str, str] = field(default_factory=dict)
    file: str = ""


def load_environment(path: Path) -> Environment:
    """The usual form of a parameter file, and the AWS CLI's list; the deployer is the one that reads every form."""
    body, _ = _read_json(path, ParameterFileError)
    if isinstance(body, list):
        if not all(isinstance(item, dict) and isinstance(item.get("ParameterKey"), str) for item in body):
            raise ParameterFileError('expected [{"ParameterKey": ..., "ParameterValue": ...}]', where=str(path))
        body = {"Parameters": {item["ParameterKey"]: item.get("ParameterValue", "") for item in body}}
    if not isinstance(body, dict) or not isinstance(body.get("Parameters"), dict):
        raise ParameterFileError('expected {"Parameters": {...}}', where=str(path))
    tags = body.get("Tags", {})
    return Environment(
        path.stem,
        {key: parameter_text(value) for key, value in body["Parameters"].items()},
        body.get("Account", EXAMPLE_ACCOUNT),
        body.get("Region", HOME_REGION),
        tags if isinstance(tags, dict) else {},
        str(path),
    )


def parameter_text(value: Json) -> str:
    """A value as CloudFormation takes it: text, lists joined, booleans in small letters."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(parameter_text(item) for item in value)
    return str(value)
