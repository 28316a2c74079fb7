"""Service-linked roles with the names that AWS gives them, which follow no rule."""

from __future__ import annotations

from typing import Any

from ministack.services import iam

from hosting.rehearsal.ministack_patch.api import Proceed, Reply, operation

NAMES = {
    "ecs.amazonaws.com": "AWSServiceRoleForECS",
    "ecs.application-autoscaling.amazonaws.com": "AWSServiceRoleForApplicationAutoScaling_ECSService",
    "elasticloadbalancing.amazonaws.com": "AWSServiceRoleForElasticLoadBalancing",
    "management.chatbot.amazonaws.com": "AWSServiceRoleForAWSChatbot",
    "rds.amazonaws.com": "AWSServiceRoleForRDS",
    "wafv2.amazonaws.com": "AWSServiceRoleForWAFV2Logging",
}


@operation("iam:CreateServiceLinkedRole")
async def create_service_linked_role(parameters: dict[str, Any], proceed: Proceed) -> Reply:
    """Give the role its name at AWS. MiniStack derives a name from the service's first word."""
    service = (parameters.get("AWSServiceName") or [""])[0]
    made = f"AWSServiceRoleFor{service.split('.')[0].capitalize()}"
    hidden = iam._roles.pop(made, None)
    reply = await proceed()
    if reply[0] < 400 and service in NAMES:
        role = iam._roles.pop(made)
        name = NAMES[service]
        iam._roles[name] = {**role, "RoleName": name, "Arn": role["Arn"].replace(made, name)}
    if hidden is not None:
        iam._roles[made] = hidden
    return reply
