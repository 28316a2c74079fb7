"""The stacks: complete, with every resource that their templates declare."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

from hosting.rehearsal.checks.base import Area, Deployed, Proof

proof = Area("stacks")

DONE = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE"})


def stacks_are_complete(deployed: Deployed) -> Iterator[Proof]:
    for role, identifier in deployed.stacks.items():
        region = identifier.split(":")[3]
        (stack,) = deployed.client("cloudformation", region).describe_stacks(StackName=identifier)["Stacks"]
        status = stack["StackStatus"]
        yield proof(f"{stack['StackName']} in {region} is complete", status in DONE, f"{role}: {status}")


def nothing_was_skipped(deployed: Deployed) -> Iterator[Proof]:
    """Check that every resource without a condition exists, and that every resource is complete."""
    missing, left_out, unfinished, types = [], 0, [], Counter[str]()
    for role, identifier in deployed.stacks.items():
        region = identifier.split(":")[3]
        created = deployed.resources_of_stack(role)
        present = {resource.path for resource in created}
        unfinished += [f"{resource.path} {resource.status}" for resource in created if resource.status not in DONE]
        types.update(resource.type for resource in created if resource.type != "AWS::CloudFormation::Stack")
        nested = [resource for resource in created if resource.type == "AWS::CloudFormation::Stack"]
        for stack, prefix in [(identifier, ""), *((one.physical_id, f"{one.path}/") for one in nested)]:
            body = deployed.client("cloudformation", region).get_template(StackName=stack)["TemplateBody"]
            for logical_id, declared in body["Resources"].items():
                if prefix + logical_id in present:
                    continue
                if "Condition" in declared:
                    left_out += 1
                else:
                    missing.append(f"{role}: {prefix}{logical_id}")
    total = sum(types.values())
    yield proof(
        "every declared resource was created",
        not missing,
        missing or f"{total} resources of {len(types)} types; {left_out} left out by their conditions",
    )
    yield proof("every resource is complete", not unfinished, unfinished or f"{total} of {total}")


def production_is_protected(deployed: Deployed) -> Iterator[Proof]:
    """Check termination protection and the stack policy, which only production has."""
    client = deployed.client("cloudformation")
    (root,) = client.describe_stacks(StackName=deployed.stacks["root"])["Stacks"]
    production = deployed.parameter("Environment") == "prod"
    protected = bool(root.get("EnableTerminationProtection"))
    seen = "protected" if protected else "not protected"
    yield proof("termination protection is on in production only", protected == production, seen)
    if not deployed.has_database:
        return
    body = client.get_stack_policy(StackName=deployed.id("DatabaseStack")).get("StackPolicyBody", "")
    denied = [item for item in json.loads(body)["Statement"] if item["Effect"] == "Deny"] if body else []
    protected_database = any("LogicalResourceId/Cluster" in item["Resource"] for item in denied)
    what = [f"{', '.join(item['Action'])} of {', '.join(item['Resource'])}" for item in denied] or "no stack policy"
    yield proof("a stack policy protects the database in production only", protected_database == production, what)


CHECKS = (stacks_are_complete, nothing_was_skipped, production_is_protected)
