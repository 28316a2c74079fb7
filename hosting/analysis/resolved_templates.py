"""Writes resolved stacks as templates, so that cfn-lint can check them with real values.

Values that lint checks only as literals (a retention, CPU and memory, a CIDR) become literals. References to resources
become Ref and GetAtt within the stack, and parameters for values of another stack.
"""

from __future__ import annotations

import re
from typing import Any

from hosting.analysis.resolve import Resource, Stack
from hosting.model.templates import NESTED_STACK
from hosting.model.tokens import REF, Json, Origin, origin, pieces


def write_resolved_template(stack: Stack) -> dict[str, Any]:
    """Return a template with the stack's values in place of parameters, mappings and conditions."""
    writer = _Writer(stack)
    resources = {key: writer.resource(resource) for key, resource in stack.resources.items()}
    outputs = {key: {"Value": writer.value(value)} for key, value in stack.outputs.items()}
    body: dict[str, Any] = {"AWSTemplateFormatVersion": "2010-09-09"}
    if "Description" in stack.template.body:
        body["Description"] = stack.template.body["Description"]
    if writer.parameters:
        body["Parameters"] = {name: {"Type": "String"} for name in sorted(writer.parameters)}
    body["Resources"] = resources
    if outputs:
        body["Outputs"] = outputs
    return body


class _Writer:
    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.parameters: set[str] = set()

    def resource(self, resource: Resource) -> dict[str, Any]:
        """Return the body of a resource."""
        body: dict[str, Any] = {"Type": resource.type, **resource.attributes}
        if depends_on := [item for item in resource.depends_on if item in self.stack.resources]:
            body["DependsOn"] = depends_on
        if resource.properties:
            body["Properties"] = self.value(dict(resource.properties))
        if resource.type == NESTED_STACK:
            # The copy of the nested template is linted by itself.
            body["Properties"]["TemplateURL"] = f"https://example.com/{resource.logical_id}.json"
        return body

    def value(self, value: Json) -> Json:
        if isinstance(value, dict):
            return {key: self.value(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.value(item) for item in value]
        return self._text(value) if isinstance(value, str) else value

    def _text(self, text: str) -> Json:
        whole = origin(text)
        if whole:
            return self._reference(whole)
        for known, name in ((self.stack.region, "AWS::Region"), (self.stack.account, "AWS::AccountId")):
            if text == known:
                return {REF: name}
        if text == "amazonaws.com":
            return {REF: "AWS::URLSuffix"}
        variables: dict[str, Json] = {}
        result = ""
        for part in pieces(text):
            result += self._literal(part) if isinstance(part, str) else self._variable(part, variables)
        if not re.search(r"\$\{[^!]", result):
            return text
        return {"Fn::Sub": [result, variables] if variables else result}

    def _literal(self, text: str) -> str:
        """Return literal text for Fn::Sub, with pseudo parameters in place of region, account and partition.

        A hard-coded value is reported for the committed template; here every stack would be reported.
        """
        text = text.replace("${", "${!")
        text = text.replace("arn:aws:", "arn:${AWS::Partition}:")
        text = re.sub(rf"{self.stack.region}(?=[a-d]?\b)", "${AWS::Region}", text)
        return re.sub(rf"\b{self.stack.account}\b", "${AWS::AccountId}", text)

    def _variable(self, source: Origin, variables: dict[str, Json]) -> str:
        expression = self._reference(source)
        if REF in expression:
            return f"${{{expression[REF]}}}"
        if "Fn::GetAtt" in expression:
            return f"${{{'.'.join(expression['Fn::GetAtt'])}}}"
        name = f"Piece{len(variables)}"
        variables[name] = expression
        return f"${{{name}}}"

    def _reference(self, source: Origin) -> dict[str, Any]:
        if source.index is not None:
            whole = self._reference(Origin(source.stack, source.logical_id, source.attribute))
            return {"Fn::Select": [source.index, {"Fn::Split": [source.separator, whole]}]}
        if source.stack == self.stack.path:
            if source.attribute == REF:
                return {REF: source.logical_id}
            return {"Fn::GetAtt": [source.logical_id, source.attribute]}
        name = re.sub(r"[^A-Za-z0-9]", "", f"{source.stack.rsplit('/')[-1]}{source.logical_id}{source.attribute}")
        name = name[:1].upper() + name[1:]
        self.parameters.add(name)
        return {REF: name}
