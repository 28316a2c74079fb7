"""The committed templates, to be broken in one place at a time.

Each test module of this folder holds a table: rule, and what breaks exactly that rule. Resources are found by their
type, so that the tables outlive a renamed logical id.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hosting.analysis.resolve import resolve
from hosting.analysis.rules import RULES, check_rules
from hosting.model.parameter_file import Environment, load_environment
from hosting.model.templates import Template
from tests.support.project import PARAMS, TEMPLATES

PROJECT = Path(__file__).resolve().parents[3]
COMMITTED = {path.name: path.read_text() for path in sorted(TEMPLATES.glob("*.json"))}
ENVIRONMENTS = {path.stem: load_environment(path) for path in sorted(PARAMS.glob("*.json"))}

Json = Any


class Bench:
    """A copy of the templates and of one environment's parameters."""

    def __init__(self, environment: str) -> None:
        self.bodies: dict[str, dict[str, Json]] = {name: json.loads(text) for name, text in COMMITTED.items()}
        self.environment = ENVIRONMENTS[environment]
        self.parameters = dict(self.environment.parameters)

    def every(self, kind: str, has: str = "") -> list[dict[str, Json]]:
        """The resources of a type, "EC2::VPC" say; `has` is text that occurs in each."""
        name = kind if "::" in kind and kind.startswith(("AWS::", "Custom::")) else f"AWS::{kind}"
        return [
            resource
            for body in self.bodies.values()
            for resource in body["Resources"].values()
            if resource["Type"] == name and has in json.dumps(resource)
        ]

    def one(self, kind: str, has: str = "") -> dict[str, Json]:
        found = self.every(kind, has)
        assert found, f"no {kind} with {has!r} in the templates"
        return found[0]

    def name_of(self, kind: str, has: str = "") -> str:
        """The logical id of what `one` gives."""
        wanted = self.one(kind, has)
        names: list[str] = [
            key for body in self.bodies.values() for key, item in body["Resources"].items() if item is wanted
        ]
        return names[0]

    def file(self, kind: str, has: str = "") -> dict[str, Json]:
        """The template of what `one` gives."""
        wanted = self.one(kind, has)
        return next(body for body in self.bodies.values() if wanted in body["Resources"].values())

    def put(self, kind: str, path: str, value: Json, has: str = "") -> None:
        """Set a property, or an attribute when the path begins with "/"."""
        target: Json = self.one(kind, has)
        if not path.startswith("/"):
            target = target.setdefault("Properties", {})
        *steps, last = path.lstrip("/").split(".")
        for step in steps:
            target = target[int(step)] if isinstance(target, list) else target.setdefault(step, {})
        if isinstance(target, list):
            target[int(last)] = value
        else:
            target[last] = value

    def drop(self, kind: str, path: str, has: str = "") -> None:
        target: Json = self.one(kind, has)
        if not path.startswith("/"):
            target = target["Properties"]
        *steps, last = path.lstrip("/").split(".")
        for step in steps:
            target = target[int(step)] if isinstance(target, list) else target[step]
        del target[int(last) if isinstance(target, list) else last]

    def remove(self, kind: str, has: str = "") -> None:
        """Take a resource away."""
        body, name = self.file(kind, has), self.name_of(kind, has)
        del body["Resources"][name]

    def add(self, beside: str, name: str, resource: dict[str, Json], has: str = "") -> None:
        """Put a resource beside another, into its template."""
        self.file(beside, has)["Resources"][name] = resource

    def replace(self, kind: str, old: str, new: str, has: str = "") -> None:
        """Replace text anywhere in a resource."""
        wanted = self.one(kind, has or old)
        text = json.dumps(wanted)
        assert old in text
        changed = json.loads(text.replace(old, new))
        wanted.clear()
        wanted.update(changed)

    def rule(self, direction: str, has: str) -> dict[str, Json]:
        """A security group's rule, inside a group or a resource of its own; `direction` is "Ingress" or "Egress"."""
        return self._rule(direction, has)[0]

    def drop_rule(self, direction: str, has: str) -> None:
        rule, holder, key = self._rule(direction, has)
        assert holder[key] is rule or holder[key]["Properties"] is rule
        del holder[key]

    def _rule(self, direction: str, has: str) -> tuple[dict[str, Json], Json, Json]:
        """The rule, what holds it, and under which key or index."""
        name = f"SecurityGroup{direction}"
        for body in self.bodies.values():
            for key, resource in body["Resources"].items():
                if resource["Type"] == f"AWS::EC2::{name}" and has in json.dumps(resource):
                    return resource["Properties"], body["Resources"], key
                if resource["Type"] == "AWS::EC2::SecurityGroup":
                    within = resource["Properties"].get(name, [])
                    for index, rule in enumerate(within):
                        if has in json.dumps(rule):
                            return rule, within, index
        raise AssertionError(f"no rule of a group with {has!r} in the templates")

    def statement(self, kind: str, sid: str) -> dict[str, Json]:
        """Return the statement with a Sid, of any policy in a resource of the type."""

        def search(value: Json) -> dict[str, Json] | None:
            if isinstance(value, dict):
                if value.get("Sid") == sid:
                    return value
                value = list(value.values())
            for item in value if isinstance(value, list) else []:
                if found := search(item):
                    return found
            return None

        found = search(self.one(kind, f'"Sid": "{sid}"'))
        assert found is not None
        return found

    def found(self, *, requirements: bool = False) -> set[str]:
        """Return the ids of the rules that find something: those of `requirements` (REQ-...), or all others.

        A requirement covers much, so that many a damage to the templates breaks one of them as well.
        """
        templates = {name: Template.from_body(name, body) for name, body in self.bodies.items()}
        environment = self.environment
        resolved = resolve(templates, Environment(environment.name, self.parameters, environment.account))
        ids = {finding.rule for finding in check_rules(templates, [resolved])}
        return {id for id in ids if id.startswith("REQ-") == requirements}


Break = Callable[[Bench], object]


@pytest.fixture
def check() -> Callable[[str, str, Break, set[str]], None]:
    """Break the templates, and expect exactly the intended rule and those that are inseparable from it."""

    def run(rule: str, environment: str, damage: Break, also: set[str]) -> None:
        bench = Bench(environment)
        damage(bench)
        assert bench.found(requirements=rule.startswith("REQ-")) == {rule, *also}

    return run


@pytest.fixture
def guards_of() -> Callable[..., set[str]]:
    """The ids of the rules that modules define."""

    def ids(*modules: types.ModuleType) -> set[str]:
        names = {module.__name__ for module in modules}
        checks = {id: rule.on_environment or rule.on_templates for id, rule in RULES.items()}
        return {id for id, check in checks.items() if getattr(check, "__module__", "") in names}

    return ids


@pytest.fixture(params=sorted(ENVIRONMENTS))
def untouched(request: pytest.FixtureRequest) -> Bench:
    return Bench(request.param)
