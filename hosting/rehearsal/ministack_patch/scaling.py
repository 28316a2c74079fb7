"""Application Auto Scaling, which MiniStack does not have: targets and policies are recorded here."""
# Handlers take the arguments that MiniStack passes, needed or not.
# ruff: noqa: ARG001

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from ministack.core.responses import AccountRegionScopedDict, get_account_id, get_region
from ministack.services import ecs

from hosting.rehearsal.ministack_patch import shapes
from hosting.rehearsal.ministack_patch.api import Proceed, RefusedError, operation
from hosting.rehearsal.ministack_patch.registry import Properties, Provisioned, register

SERVICE = "application-autoscaling"

_targets = AccountRegionScopedDict()
_policies = AccountRegionScopedDict()


def install() -> None:
    """Register scalable targets and scaling policies."""
    register(
        "AWS::ApplicationAutoScaling::ScalableTarget",
        create=create_target,
        update=update_target,
        delete=delete_target,
        replaces=("ResourceId", "ScalableDimension", "ServiceNamespace"),
    )
    register(
        "AWS::ApplicationAutoScaling::ScalingPolicy",
        create=create_policy,
        update=update_policy,
        delete=delete_policy,
        replaces=("PolicyName", "ResourceId", "ScalableDimension", "ScalingTargetId", "ServiceNamespace"),
    )


def create_target(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    """Register a scalable target for an existing service."""
    request = shapes.request(SERVICE, "RegisterScalableTarget", properties)
    refuse_missing_service(request)
    identifier = "|".join(request[name] for name in ("ResourceId", "ScalableDimension", "ServiceNamespace"))
    suffix = uuid.uuid5(uuid.NAMESPACE_URL, identifier).hex[:20]
    _targets[identifier] = {
        "RoleARN": f"arn:aws:iam::{get_account_id()}:role/aws-service-role/ecs.application-autoscaling.amazonaws.com/"
        "AWSServiceRoleForApplicationAutoScaling_ECSService",
        **request,
        "CreationTime": time.time(),
        "ScalableTargetARN": f"arn:aws:application-autoscaling:{get_region()}:{get_account_id()}:"
        f"scalable-target/{suffix}",
    }
    return identifier, {"Id": identifier}


def refuse_missing_service(request: dict[str, Any]) -> None:
    """Raise ValueError if the ECS service of a target is not active, as AWS does."""
    if request["MinCapacity"] > request["MaxCapacity"]:
        raise ValueError("Maximum capacity cannot be less than minimum capacity")
    if request["ServiceNamespace"] != "ecs":
        return
    _, cluster, name = [*request["ResourceId"].split("/"), "", ""][:3]
    service = ecs._services.get(f"{cluster}/{name}")
    if service is None or service["status"] != "ACTIVE":
        raise ValueError(f"ECS service doesn't exist: {request['ResourceId']}")


def update_target(physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str) -> Provisioned:
    return create_target(logical_id, new, stack_name)


def delete_target(physical_id: str, properties: Properties) -> None:
    _targets.pop(physical_id, None)
    for arn, policy in _policies.items():
        if target_id(policy) == physical_id:
            _policies.pop(arn, None)


def target_id(record: dict[str, Any]) -> str:
    return "|".join(record[name] for name in ("ResourceId", "ScalableDimension", "ServiceNamespace"))


def create_policy(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    return put_policy(properties, str(uuid.uuid4()))


def put_policy(properties: Properties, identifier: str) -> Provisioned:
    """Record a scaling policy. Raise ValueError if its target is not registered."""
    wanted = dict(properties)
    if target := wanted.get("ScalingTargetId"):
        names = ("ResourceId", "ScalableDimension", "ServiceNamespace")
        wanted |= dict(zip(names, target.split("|"), strict=True))
    request = shapes.request(SERVICE, "PutScalingPolicy", wanted)
    if target_id(request) not in _targets:
        raise ValueError(f"No scalable target registered for {request['ResourceId']}")
    arn = (
        f"arn:aws:autoscaling:{get_region()}:{get_account_id()}:scalingPolicy:{identifier}:"
        f"resource/{request['ServiceNamespace']}/{request['ResourceId']}:policyName/{request['PolicyName']}"
    )
    _policies[arn] = {**request, "PolicyARN": arn, "Alarms": [], "CreationTime": time.time()}
    return arn, {"Arn": arn}


def update_policy(physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str) -> Provisioned:
    return put_policy(new, physical_id.split(":")[6])


def delete_policy(physical_id: str, properties: Properties) -> None:
    _policies.pop(physical_id, None)


def matching(store: Any, parameters: dict[str, Any], ids: str) -> list[dict[str, Any]]:
    """Return copies of the records that a describe request selects."""
    namespace = parameters.get("ServiceNamespace")
    if not namespace:
        raise RefusedError("ValidationException", "ServiceNamespace is required")
    wanted = parameters.get(ids) or []
    wanted = [wanted] if isinstance(wanted, str) else wanted
    return [
        json.loads(json.dumps(record))
        for record in store.values()
        if record["ServiceNamespace"] == namespace
        and (not wanted or record["ResourceId"] in wanted)
        and parameters.get("ScalableDimension", record["ScalableDimension"]) == record["ScalableDimension"]
    ]


@operation("AnyScaleFrontendService.DescribeScalableTargets")
def describe_targets(parameters: dict[str, Any], proceed: Proceed) -> dict[str, Any]:
    return {"ScalableTargets": matching(_targets, parameters, "ResourceIds")}


@operation("AnyScaleFrontendService.DescribeScalingPolicies")
def describe_policies(parameters: dict[str, Any], proceed: Proceed) -> dict[str, Any]:
    found = matching(_policies, parameters, "ResourceId")
    names = parameters.get("PolicyNames")
    return {"ScalingPolicies": [policy for policy in found if not names or policy["PolicyName"] in names]}


@operation("AnyScaleFrontendService.DescribeScalingActivities")
def describe_activities(parameters: dict[str, Any], proceed: Proceed) -> dict[str, Any]:
    return {"ScalingActivities": []}
