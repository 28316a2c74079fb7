"""Validates templates and parameters before an operation starts, with the texts that AWS answers.

MiniStack evaluates conditions over a subset of the functions, resolves an unknown Ref to its own name, ignores
parameters that a template does not declare, and fetches templates by path-style addresses only.
"""

from __future__ import annotations

import copy
import re
from typing import Any
from urllib.parse import urlsplit

from ministack.services.cloudformation import engine, handlers, helpers

from hosting.rehearsal.ministack_patch.patching import CLOUDFORMATION, replace

NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")

_resolve_parameters = engine._resolve_parameters
_evaluate_conditions = engine._evaluate_conditions
_validate_template_support = engine.validate_template_support
_resolve_document = helpers._resolve_document


def install() -> None:
    replace(_resolve_parameters, resolve_parameters, CLOUDFORMATION)
    replace(_evaluate_conditions, evaluate_conditions, CLOUDFORMATION)
    replace(_validate_template_support, validate_template_support, CLOUDFORMATION)
    replace(_resolve_document, resolve_document, CLOUDFORMATION)
    # AWS always requires CAPABILITY_*, not only where IAM is enforced.
    replace(handlers._capabilities_enforced, lambda: True, CLOUDFORMATION)


def resolve_parameters(
    template: dict[str, Any], provided: list[dict[str, Any]], previous: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Raise ValueError for parameters that AWS refuses, then resolve the others with MiniStack."""
    declared = template.get("Parameters") or {}
    given = {entry["Key"]: entry for entry in provided if "Key" in entry}
    if unknown := [name for name in given if name not in declared]:
        raise ValueError(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    missing = [name for name, definition in declared.items() if name not in given and "Default" not in definition]
    if missing:
        raise ValueError(f"Parameters: [{', '.join(missing)}] must have values")
    for name, definition in declared.items():
        value = effective_value(name, definition, given.get(name), previous or {})
        if value is not None:
            check_constraints(name, definition, value)
    resolved: dict[str, Any] = _resolve_parameters(template, provided, previous)
    return resolved


def effective_value(
    name: str, definition: dict[str, Any], entry: dict[str, Any] | None, previous: dict[str, Any]
) -> str | None:
    """Return the value of a parameter, or None if MiniStack has to report why there is none."""
    if str(definition.get("Type", "")).startswith("AWS::SSM::Parameter::Value<"):
        return None
    if entry is None:
        return str(definition["Default"])
    if entry.get("UsePreviousValue"):
        return str(previous[name]["Value"]) if name in previous else None
    return str(entry.get("Value", ""))


def check_constraints(name: str, definition: dict[str, Any], value: str) -> None:
    """Raise ValueError for a violated constraint whose text differs between MiniStack and AWS."""
    described = definition.get("ConstraintDescription")

    def refuse(reason: str) -> None:
        if described:
            raise ValueError(f"Parameter {name} failed to satisfy constraint: {described}")
        raise ValueError(f"Parameter '{name}' {reason}")

    kind = str(definition.get("Type", "String"))
    members = [member.strip() for member in value.split(",")] if is_list(kind) else [value]
    allowed = [str(option) for option in definition.get("AllowedValues") or []]
    if allowed and not all(member in allowed for member in members):
        refuse("must be one of AllowedValues")
    if kind in ("Number", "List<Number>") and not all(NUMBER.fullmatch(member) for member in members):
        refuse("must be a number")
    pattern = definition.get("AllowedPattern")
    if pattern and not all(re.fullmatch(str(pattern), member) for member in members):
        refuse(f"must match pattern {pattern}")
    if kind == "String":
        if len(value) < int(definition.get("MinLength", 0)):
            refuse(f"must contain at least {definition['MinLength']} characters")
        if "MaxLength" in definition and len(value) > int(definition["MaxLength"]):
            refuse(f"must contain at most {definition['MaxLength']} characters")
    if kind in ("Number", "List<Number>"):
        if "MinValue" in definition and any(float(member) < float(definition["MinValue"]) for member in members):
            refuse(f"must be a number not less than {definition['MinValue']}")
        if "MaxValue" in definition and any(float(member) > float(definition["MaxValue"]) for member in members):
            refuse(f"must be a number not greater than {definition['MaxValue']}")


def is_list(kind: str) -> bool:
    return kind == "CommaDelimitedList" or kind.startswith("List<")


def evaluate_conditions(template: dict[str, Any], parameters: dict[str, Any]) -> dict[str, bool]:
    """Return all conditions of a template, with every function that a condition may contain."""
    definitions = template.get("Conditions") or {}
    mappings = template.get("Mappings") or {}
    known: dict[str, bool] = {}

    def value(node: Any) -> Any:
        return engine._resolve_refs(copy.deepcopy(node), {}, parameters, known, mappings, "", "")

    def truth(node: Any) -> bool:
        """Return the value of one condition function."""
        if not isinstance(node, dict) or len(node) != 1:
            raise ValueError("Template format error: every Condition member must be a condition function")
        function, argument = next(iter(node.items()))
        if function == "Condition":
            return named(argument)
        if function == "Fn::Equals":
            left, right = value(argument[0]), value(argument[1])
            return bool(left == right or str(left) == str(right))
        if function == "Fn::And":
            return all(truth(part) for part in argument)
        if function == "Fn::Or":
            return any(truth(part) for part in argument)
        if function == "Fn::Not":
            return not truth(argument[0])
        raise ValueError(f"Template error: {function} is not a condition function")

    def named(name: str) -> bool:
        if name not in definitions:
            raise ValueError(f"Template format error: Unresolved condition dependency {name} in the Conditions block")
        if name not in known:
            known[name] = truth(definitions[name])
        return known[name]

    for name in definitions:
        named(name)
    return known


def validate_template_support(
    template: dict[str, Any], conditions: dict[str, bool], params: dict[str, Any] | None = None
) -> None:
    """Run MiniStack's own checks, then refuse unresolved references."""
    _validate_template_support(template, conditions, params=params)
    if template.get("Transform"):
        return
    refuse_unresolved_references(template, conditions)


def refuse_unresolved_references(template: dict[str, Any], conditions: dict[str, bool]) -> None:
    """Raise ValueError for a reference to a missing resource or to one whose condition is false."""
    resources = template.get("Resources") or {}
    active = {name: body for name, body in resources.items() if is_active(body, conditions)}
    named = set(active) | set(template.get("Parameters") or {})
    for block, members in (("Resources", active), ("Outputs", template.get("Outputs") or {})):
        missing: set[str] = set()
        for body in members.values():
            if not isinstance(body, dict) or not is_active(body, conditions):
                continue
            chosen = prune(body, conditions)
            missing |= {
                name
                for name, _ in engine._intrinsic_references(chosen)
                if name not in named and not name.startswith("AWS::")
            }
            depends_on = body.get("DependsOn", [])
            depends_on = [depends_on] if isinstance(depends_on, str) else depends_on
            # DependsOn a resource whose condition is false is allowed; DependsOn a missing resource is not.
            missing |= {name for name in depends_on if name not in resources}
        if missing:
            raise ValueError(
                f"Template format error: Unresolved resource dependencies [{', '.join(sorted(missing))}] "
                f"in the {block} block of the template"
            )


def is_active(body: Any, conditions: dict[str, bool]) -> bool:
    condition = body.get("Condition") if isinstance(body, dict) else None
    return not (isinstance(condition, str) and not conditions.get(condition, True))


def prune(node: Any, conditions: dict[str, bool]) -> Any:
    """Return the node with each Fn::If replaced by its chosen branch."""
    if isinstance(node, list):
        return [prune(member, conditions) for member in node]
    if isinstance(node, dict):
        if set(node) == {"Fn::If"} and isinstance(node["Fn::If"], list) and len(node["Fn::If"]) == 3:
            name, then, otherwise = node["Fn::If"]
            if isinstance(name, str) and name in conditions:
                return prune(then if conditions[name] else otherwise, conditions)
        return {key: prune(value, conditions) for key, value in node.items()}
    return node


def resolve_document(params: dict[str, Any], body_key: str, url_key: str, label: str) -> Any:
    """Fetch a template. Accept virtual-hosted S3 addresses too, the form that templates and deployers write."""
    url = helpers._p(params, url_key)
    if url:
        params = {**params, url_key: [path_style(url)]}
    found, error = _resolve_document(params, body_key, url_key, label)
    if error is not None and url and b"not found at" in error[2]:
        error = helpers._error("ValidationError", "S3 error: The specified key does not exist.")
    return found, error


def path_style(url: str) -> str:
    """Convert https://bucket.s3.region.amazonaws.com/key to https://s3.region.amazonaws.com/bucket/key."""
    parts = urlsplit(url)
    match = re.fullmatch(r"(?P<bucket>.+?)\.(?P<service>s3[.-].*)", parts.hostname or "")
    if match is None:
        return url
    return f"{parts.scheme}://{match['service']}/{match['bucket']}{parts.path}"
