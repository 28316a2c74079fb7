"""The live stacks of an environment in the form that the simulator of the edge reads."""

from __future__ import annotations

import json
from collections.abc import Iterator

from hosting.edge_simulator.distribution import EXAMPLE_DOMAIN
from hosting.edge_simulator.resources import StackResource, resources_of_stack
from hosting.model.templates import NESTED_STACK, Template
from hosting.rehearsal.checks.base import Deployed
from hosting.rehearsal.requests.table import Site, StaticObject

# Stacks without such a resource have no part in a request of a viewer.
EDGE_TYPES = ("AWS::CloudFront::", "AWS::ElasticLoadBalancingV2::")


def read_template(deployed: Deployed, stack: str) -> Template:
    """Return the template with which a stack is deployed."""
    body = deployed.client("cloudformation").get_template(StackName=stack)["TemplateBody"]
    return Template("deployed", body if isinstance(body, str) else json.dumps(body))


def read_resources(deployed: Deployed) -> Iterator[StackResource]:
    """Yield the resources of the nested stacks of the edge, with their deployed values."""
    edge = {
        resource.path.rpartition("/")[0]
        for resource in deployed.resources_of_stack("root")
        if resource.type.startswith(EDGE_TYPES)
    }
    for path, identifier in deployed.ids(NESTED_STACK).items():
        if path not in edge:
            continue
        (stack,) = deployed.client("cloudformation").describe_stacks(StackName=identifier)["Stacks"]
        own = {
            resource.path.removeprefix(f"{path}/"): resource.physical_id
            for resource in deployed.resources_of_stack("root")
            if resource.path.rpartition("/")[0] == path
        }
        yield from resources_of_stack(
            read_template(deployed, identifier),
            {one["ParameterKey"]: one["ParameterValue"] for one in stack.get("Parameters", [])},
            stack=path,
            region=deployed.home,
            physical_ids=own,
            outputs={one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])},
        )


def read_site(deployed: Deployed) -> Site:
    """Return the environment as the deployed root declares it."""
    return Site.of(read_template(deployed, deployed.stacks["root"]), deployed.parameters, EXAMPLE_DOMAIN)


def read_objects(deployed: Deployed) -> dict[str, StaticObject]:
    """Return the objects of the static bucket by their key."""
    bucket, s3 = deployed.outputs["root"]["StaticBucketName"], deployed.client("s3")
    objects = {}
    for item in deployed.pages("s3", "list_objects_v2", "Contents", Bucket=bucket):
        found = s3.get_object(Bucket=bucket, Key=item["Key"])
        objects[item["Key"]] = StaticObject(
            found["Body"].read(), found.get("ContentType", ""), found.get("CacheControl", "")
        )
    return objects
