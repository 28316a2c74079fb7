"""Redeploy every service of the cluster that is older than the secret."""

import os
from typing import Any

import boto3

ecs, secrets = boto3.client("ecs"), boto3.client("secretsmanager")


def handler(_event: dict[str, Any], _context: object) -> list[str]:
    """Return the names of the redeployed services."""
    cluster, done = os.environ["CLUSTER_NAME"], []
    arns = ecs.list_services(cluster=cluster)["serviceArns"]
    for service in ecs.describe_services(cluster=cluster, services=arns)["services"]:
        definition = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
        for secret in definition["containerDefinitions"][0].get("secrets", []):
            changed = secrets.describe_secret(SecretId=secret["valueFrom"]).get("LastRotatedDate")
            if changed and changed > service["deployments"][0]["createdAt"]:
                ecs.update_service(cluster=cluster, service=service["serviceName"], forceNewDeployment=True)
                done.append(service["serviceName"])
    return done
