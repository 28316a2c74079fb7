"""Limits of CloudFormation and of a load balancer, checked before a deployment.

CloudFormation rejects a template that is too large when it receives it, and an operation that is too large only halfway
through. Here both are an error of the generator that names number, template and solution. Sources: CloudFormation User
Guide, "Understand CloudFormation quotas"; Elastic Load Balancing User Guide for Application Load Balancers, "Quotas for
your Application Load Balancers"; Amazon VPC User Guide, "Amazon VPC quotas".
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

RESOURCES = 500
PARAMETERS = 200
OUTPUTS = 200
MAPPINGS = 200
ATTRIBUTES = 200
DYNAMIC_REFERENCES = 60
NAME_CHARACTERS = 255
DESCRIPTION_BYTES = 1_024
PARAMETER_BYTES = 4_096
# AWS documents 1 MB. This is the smaller interpretation.
TEMPLATE_BYTES = 1_000_000
# A longer body must be in S3. The bootstrap stack creates that bucket, so its own template cannot be there.
INLINE_BYTES = 51_200
# Resources that an operation on a stack creates, updates or deletes, including those of its nested stacks. Updates
# without an effect count too (aws-amplify/amplify-category-api, issue 2432), so steps do not help a large platform. AWS
# does not document whether nested stacks themselves count: here they do. A resource whose condition is false in one
# environment counts as well, because all environments use the same templates.
OPERATION = 2_500

TARGET_GROUPS = 100
LISTENER_RULES = 100
GROUP_RULES = 60

ROOT = "root.json"
_ACCESS = "access.json"
BOOTSTRAP = "bootstrap.json"
# The part of the key of a template that depends on its content.
_DIGEST = 32 * "0"
_STACK = "AWS::CloudFormation::Stack"
_TEMPLATE_KEY = re.compile(r"\$\{(\w+)TemplateKey\}")
_WORKLOAD = re.compile(r"/templates/(workload-[a-z0-9]+)/")

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Excess:
    """One limit that a template exceeds. AWS raises an ``adjustable`` limit on request. All others are fixed."""

    template: str
    what: str
    count: int
    limit: int
    remedy: str
    adjustable: bool = False

    def __str__(self) -> str:
        return f"{self.template} has {self.count:,} {self.what}, but the limit is {self.limit:,}. {self.remedy}."


def check(texts: Mapping[str, str]) -> list[Excess]:
    """Return every limit that these templates, by file name, exceed."""
    bodies = {name: json.loads(text) for name, text in texts.items()}
    found = [excess for name, text in texts.items() for excess in _template(name, text, bodies[name])]
    if ROOT in bodies:
        found += _operation(bodies)
        found += _load_balancer(bodies)
        found += _security_groups(bodies)
    return found


def compact(body: Body) -> str:
    """Return the template without spaces. The deployer sends this form of a template that is otherwise too long."""
    return json.dumps(body, separators=(",", ":"), sort_keys=True)


# --- One template ------------------------------------------------------------------------------------------------


def _template(name: str, text: str, body: Body) -> Iterator[Excess]:
    sections = (
        ("Resources", RESOURCES, "Move a group of resources into a layer of its own"),
        ("Parameters", PARAMETERS, _fewer_parameters(name, body)),
        ("Outputs", OUTPUTS, "Remove outputs that no layer and no operator uses"),
        ("Mappings", MAPPINGS, "Split the template"),
    )
    for section, limit, remedy in sections:
        if (count := len(body.get(section, {}))) > limit:
            yield Excess(name, section.lower(), count, limit, remedy)
        for title in body.get(section, {}):
            if len(title) > NAME_CHARACTERS:
                yield Excess(name, f"characters in a name ({title[:40]}...)", len(title), NAME_CHARACTERS, "Shorten it")
    for title, mapping in body.get("Mappings", {}).items():
        if len(mapping) > ATTRIBUTES:
            yield Excess(name, f"attributes of mapping {title}", len(mapping), ATTRIBUTES, "Split the mapping")
    if (size := len(text.encode())) > TEMPLATE_BYTES:
        yield Excess(name, "bytes", size, TEMPLATE_BYTES, "Split the template")
    if (size := len(body.get("Description", "").encode())) > DESCRIPTION_BYTES:
        yield Excess(name, "bytes of description", size, DESCRIPTION_BYTES, "Shorten it")
    if (count := text.count("{{resolve:")) > DYNAMIC_REFERENCES:
        remedy = "Resolve the secret once per template, or split the template"
        yield Excess(name, "dynamic references", count, DYNAMIC_REFERENCES, remedy)
    yield from _values(name, body)
    if name == BOOTSTRAP and (size := len(compact(body).encode())) > INLINE_BYTES:
        remedy = "Remove services. The stack creates the bucket of templates, so its own template cannot be there"
        yield Excess(name, "bytes without spaces", size, INLINE_BYTES, remedy)


def _fewer_parameters(name: str, body: Body) -> str:
    sizes = sum(1 for title in body.get("Parameters", {}) if title.endswith("MinTasks"))
    if name == ROOT and sizes > 1:
        return (
            f"Set own_size=False for some of the {sizes} services with their own size. Each one removes four parameters"
        )
    return "Combine values that always change together"


def _values(name: str, body: Body) -> Iterator[Excess]:
    """Check parameter values that are already known. One list has a digest per workload."""
    remedy = "Shorten it, or split it into several parameters"
    longest = len(",".join(_DIGEST for _ in body.get("Metadata", {}).get("Services", ())))
    if "WorkloadTemplates" in body.get("Parameters", {}) and longest > PARAMETER_BYTES:
        yield Excess(name, "bytes in WorkloadTemplates", longest, PARAMETER_BYTES, "Remove workloads")
    for title, parameter in body.get("Parameters", {}).items():
        if (size := len(str(parameter.get("Default", "")).encode())) > PARAMETER_BYTES:
            yield Excess(name, f"bytes in the default of {title}", size, PARAMETER_BYTES, remedy)
    for title, resource in body.get("Resources", {}).items():
        given = resource.get("Properties", {}).get("Parameters", {}) if resource["Type"] == _STACK else {}
        for key, value in given.items():
            if isinstance(value, str) and (size := len(value.encode())) > PARAMETER_BYTES:
                yield Excess(name, f"bytes in {title}.{key}", size, PARAMETER_BYTES, remedy)


# --- The stacks of root together ---------------------------------------------------------------------------------


def nested(bodies: Mapping[str, Body]) -> Iterator[tuple[str, str, Body]]:
    """Yield logical id, file and body of every stack that root nests."""
    for title, resource in bodies[ROOT]["Resources"].items():
        if resource["Type"] != _STACK:
            continue
        address = json.dumps(resource["Properties"]["TemplateURL"])
        if key := _TEMPLATE_KEY.search(address):
            file = re.sub(r"(?<!^)(?=[A-Z])", "-", key[1]).lower() + ".json"
        elif own := _WORKLOAD.search(address):
            file = f"{own[1]}.json"
        else:
            continue
        yield title, file, bodies.get(file, {"Resources": {}})


def _is_own(file: str) -> bool:
    return file.startswith("workload-")


def _services(bodies: Mapping[str, Body]) -> int:
    return len(bodies[ROOT].get("Metadata", {}).get("Services", ()))


def _operation(bodies: Mapping[str, Body]) -> Iterator[Excess]:
    stacks = list(nested(bodies))
    total = len(bodies[ROOT]["Resources"]) + sum(len(body["Resources"]) for _, _, body in stacks)
    if total <= OPERATION:
        return
    services = _services(bodies)
    of_services = sum(1 + len(body["Resources"]) for _, file, body in stacks if file == _ACCESS or _is_own(file))
    remedy = "Move layers into a stack of their own"
    if services:
        each = of_services // services
        fitting = (OPERATION - (total - of_services)) // each
        remedy = f"A workload has {each} resources, so {fitting} workloads fit. Move the others to another project"
    yield Excess(ROOT, "resources in one operation, including nested stacks", total, OPERATION, remedy)


def _load_balancer(bodies: Mapping[str, Body]) -> Iterator[Excess]:
    """Check the limits of the load balancer: target groups (fixed) and rules (adjustable)."""
    kinds = Counter(resource["Type"] for _, _, body in nested(bodies) for resource in body["Resources"].values())
    if (groups := kinds["AWS::ElasticLoadBalancingV2::TargetGroup"]) > TARGET_GROUPS:
        remedy = "Remove services. AWS does not raise this limit"
        yield Excess(ROOT, "target groups of one load balancer", groups, TARGET_GROUPS, remedy)
    if (rules := kinds["AWS::ElasticLoadBalancingV2::ListenerRule"]) > LISTENER_RULES:
        remedy = 'Raise "Rules per Application Load Balancer" in Service Quotas first'
        yield Excess(ROOT, "rules of one load balancer", rules, LISTENER_RULES, remedy, adjustable=True)


def _security_groups(bodies: Mapping[str, Body]) -> Iterator[Excess]:
    """Check the groups to which every service adds a rule. Groups of a single stack have few rules."""
    rules: Counter[tuple[str, str]] = Counter()
    for _, _, body in nested(bodies):
        for resource in body["Resources"].values():
            kind = resource["Type"].removeprefix("AWS::EC2::SecurityGroup")
            if resource["Type"] in {"AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress"}:
                group = resource["Properties"].get("GroupId", {})
                if isinstance(group, dict) and "Ref" in group:
                    rules[group["Ref"], kind.lower()] += 1
    for (group, direction), count in sorted(rules.items()):
        if count > GROUP_RULES:
            remedy = 'Raise "Inbound or outbound rules per security group" in Service Quotas first'
            what = f"{direction} rules of {group}"
            yield Excess(ROOT, what, count, GROUP_RULES, remedy, adjustable=True)
