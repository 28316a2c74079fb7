"""Load balancers, CloudFront and WAF: associations between them, and WAF's logging configurations and IP sets."""
# Handlers take the arguments that MiniStack passes, needed or not.
# ruff: noqa: ARG001

from __future__ import annotations

import html
import re
from typing import Any

from ministack.core.responses import AccountRegionScopedDict
from ministack.services import alb, cloudfront, cloudwatch_logs, firehose, s3, waf

from hosting.rehearsal.ministack_patch import shapes
from hosting.rehearsal.ministack_patch.api import Proceed, RefusedError, operation
from hosting.rehearsal.ministack_patch.registry import (
    Properties,
    Provisioned,
    check_deletion,
    checked,
    physical_name,
    register,
    wrap,
)

BALANCER = "AWS::ElasticLoadBalancingV2::LoadBalancer"

_logging = AccountRegionScopedDict()


def install() -> None:
    """Register the types of WAF, CloudFront and load balancers."""
    register(
        "AWS::WAFv2::LoggingConfiguration",
        create=create_logging,
        update=update_logging,
        delete=delete_logging,
        replaces=("ResourceArn",),
    )
    register(
        "AWS::WAFv2::IPSet",
        create=create_ip_set,
        update=update_ip_set,
        delete=delete_ip_set,
        replaces=("Name", "Scope"),
    )
    wrap("AWS::WAFv2::WebACL", before=web_acl_properties, after=complete_web_acl)
    wrap("AWS::CloudFront::Distribution", before=distribution_properties)
    wrap("AWS::ElasticLoadBalancingV2::ListenerRule", after=associate_target_groups)
    check_deletion(BALANCER, refuse_protected_balancer)


# --- WAF ----------------------------------------------------------------------------------------------------


def web_acl_properties(properties: Properties) -> Properties:
    typed: Properties = shapes.request("wafv2", "CreateWebACL", properties)
    return {**properties, **{name: value for name, value in typed.items() if name != "Tags"}}


def complete_web_acl(physical_id: str, attributes: dict[str, Any], properties: Properties) -> Provisioned:
    name, identifier, scope = physical_id.split("|")
    acl = waf.web_acl_record(identifier, scope)
    labels = f"awswaf:{acl['ARN'].split(':')[4]}:webacl:{name}:"
    acl.setdefault("LabelNamespace", labels)
    for key in ("CustomResponseBodies", "TokenDomains", "AssociationConfig", "CaptchaConfig", "ChallengeConfig"):
        if key in properties:
            acl[key] = properties[key]
    return physical_id, {**attributes, "Capacity": acl.get("Capacity", 0), "LabelNamespace": labels}


def create_logging(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    configuration = shapes.structure("wafv2", "LoggingConfiguration", properties)
    for destination in configuration["LogDestinationConfigs"]:
        refuse_destination(destination)
    _logging[configuration["ResourceArn"]] = configuration
    return configuration["ResourceArn"], {"ManagedByFirewallManager": False}


def refuse_destination(arn: str) -> None:
    """Raise ValueError if a WAF log destination does not exist or has a name without the prefix."""
    name = re.sub(r":\*$", "", arn).rpartition(":")[2].rpartition("/")[2]
    if not name.startswith("aws-waf-logs-"):
        raise ValueError(f"The ARN isn't valid: the name of a WAF log destination starts with aws-waf-logs-: {arn}")
    stores = (cloudwatch_logs._log_groups, s3._buckets, firehose._streams)
    if not any(name in store for store in stores):
        raise ValueError(f"AWS WAF couldn't perform the operation because the log destination does not exist: {arn}")


def update_logging(physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str) -> Provisioned:
    return create_logging(logical_id, new, stack_name)


def delete_logging(physical_id: str, properties: Properties) -> None:
    _logging.pop(physical_id, None)


@operation("AWSWAF_20190729.GetLoggingConfiguration")
def get_logging(parameters: dict[str, Any], proceed: Proceed) -> dict[str, Any]:
    arn = parameters.get("ResourceArn", "")
    if arn not in _logging:
        raise RefusedError(
            "WAFNonexistentItemException", "AWS WAF couldn't perform the operation because your resource doesn't exist."
        )
    return {"LoggingConfiguration": _logging[arn]}


@operation("AWSWAF_20190729.ListLoggingConfigurations")
def list_logging(parameters: dict[str, Any], proceed: Proceed) -> dict[str, Any]:
    return {"LoggingConfigurations": _logging.values()}


def create_ip_set(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    request = shapes.request("wafv2", "CreateIPSet", properties)
    request.setdefault("Name", physical_name(stack_name, logical_id))
    summary = checked(waf._create_ip_set(request), "CreateIPSet")["Summary"]
    identifier = f"{summary['Name']}|{summary['Id']}|{request['Scope']}"
    return identifier, {"Arn": summary["ARN"], "Id": summary["Id"]}


def update_ip_set(physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str) -> Provisioned:
    name, identifier, scope = physical_id.split("|")
    found = checked(waf._get_ip_set({"Name": name, "Id": identifier, "Scope": scope}), "GetIPSet")
    request = shapes.request("wafv2", "UpdateIPSet", new)
    request |= {"Name": name, "Id": identifier, "Scope": scope, "LockToken": found["LockToken"]}
    checked(waf._update_ip_set(request), "UpdateIPSet")
    return physical_id, {"Arn": found["IPSet"]["ARN"], "Id": identifier}


def delete_ip_set(physical_id: str, properties: Properties) -> None:
    name, identifier, scope = physical_id.split("|")
    reply = waf._get_ip_set({"Name": name, "Id": identifier, "Scope": scope})
    if reply[0] == 200:
        token = checked(reply, "GetIPSet")["LockToken"]
        waf._delete_ip_set({"Name": name, "Id": identifier, "Scope": scope, "LockToken": token})


# --- Load balancers ------------------------------------------------------------------------------------------


def associate_target_groups(physical_id: str, attributes: dict[str, Any], properties: Properties) -> Provisioned:
    """Associate a rule's target groups with its load balancer. MiniStack does that for default actions only."""
    rule = alb._rules[physical_id]
    balancer = alb._listeners[rule["ListenerArn"]]["LoadBalancerArn"]
    for action in rule["Actions"]:
        group = alb._tgs.get(action.get("TargetGroupArn", ""))
        if group is not None and balancer not in group["LoadBalancerArns"]:
            group["LoadBalancerArns"].append(balancer)
    return physical_id, {**attributes, "IsDefault": False}


def refuse_protected_balancer(arn: str) -> None:
    for attribute in alb._lb_attrs.get(arn) or []:
        if attribute["Key"] == "deletion_protection.enabled" and attribute["Value"] == "true":
            raise ValueError(f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled")


# --- CloudFront ---------------------------------------------------------------------------------------------


def distribution_properties(properties: Properties) -> Properties:
    """Raise ValueError if the web ACL does not exist. No other check covers this reference between two stacks."""
    arn = (properties.get("DistributionConfig") or {}).get("WebACLId", "")
    if arn.startswith("arn:"):
        known = {acl["ARN"] for acl in waf._values_for_scope(waf._web_acls, "CLOUDFRONT")}
        if arn not in known:
            raise ValueError(f"Web ACL is not accessible by the requester: {arn}")
    return properties


@operation("AWSWAF_20190729.ListResourcesForWebACL")
async def list_resources(parameters: dict[str, Any], proceed: Proceed) -> Any:
    """Add the distributions that name the ACL themselves; MiniStack lists only associations."""
    arn = html.escape(parameters.get("WebACLArn", ""))
    if "/global/" not in arn and ":global/" not in arn:
        return await proceed()
    found = [
        distribution["ARN"]
        for distribution in cloudfront._distributions.values()
        if re.search(rf"<WebACLId>{re.escape(arn)}</WebACLId>", distribution["config_xml"].replace("ns0:", ""))
    ]
    return {"ResourceArns": found}
