"""Rules of EventBridge: each matches the events of this environment, as their services document them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hosting.rehearsal.checks.base import Area, Deployed, Proof

proof = Area("observation")

# Their events belong to the account, not to one environment.
_OF_THE_ACCOUNT = ("HealthRule", "SecretChangedRule")


def event_patterns(deployed: Deployed) -> Iterator[Proof]:
    """Compare the patterns of the rules with events of this environment, and with those of another one."""
    client = deployed.client("events")

    def matches(pattern: str, event: dict[str, Any]) -> bool:
        envelope = {"id": "1", "account": deployed.account, "region": deployed.home, "time": "2026-11-22T11:31:15Z"}
        answer = client.test_event_pattern(EventPattern=pattern, Event=json.dumps(envelope | event))
        return bool(answer["Result"])

    own, foreign = sample_events(deployed, deployed.family), sample_events(deployed, "other-test")
    for title, event in own.items():
        rule = client.describe_rule(Name=deployed.id(f"OperationsStack/{title}").rpartition("/")[2])
        heard = matches(rule["EventPattern"], event)
        yield proof(f"{title} matches an event of this environment", heard, event["detail-type"])
        if title not in _OF_THE_ACCOUNT:
            ignored = not matches(rule["EventPattern"], foreign[title])
            yield proof(f"{title} ignores the same event of another environment", ignored, event["detail-type"])


def sample_events(deployed: Deployed, family: str) -> dict[str, dict[str, Any]]:
    """Return an event of an environment for each rule of the layer."""
    here = f"{deployed.home}:{deployed.account}"
    stack = deployed.stacks["root"].replace(f"stack/{deployed.family}/", f"stack/{family}/")
    # Secrets Manager names any secret of the account in such an event.
    secret = deployed.outputs["root"].get("DatabaseSecretArn", f"arn:aws:secretsmanager:{here}:secret:any")
    return {
        **(database_events(deployed, family) if deployed.has_database else {}),
        "DeploymentFailedRule": sample(
            "aws.ecs",
            "ECS Deployment State Change",
            f"arn:aws:ecs:{here}:service/{family}/any",
            {"eventType": "ERROR", "eventName": "SERVICE_DEPLOYMENT_FAILED"},
        ),
        "TaskStoppedRule": sample(
            "aws.ecs",
            "ECS Task State Change",
            f"arn:aws:ecs:{here}:task/{family}/1",
            {
                "clusterArn": f"arn:aws:ecs:{here}:cluster/{family}",
                "lastStatus": "STOPPED",
                "stopCode": "EssentialContainerExited",
            },
        ),
        "StackRolledBackRule": sample(
            "aws.cloudformation",
            "CloudFormation Stack Status Change",
            stack,
            {"stack-id": stack, "status-details": {"status": "UPDATE_ROLLBACK_COMPLETE", "status-reason": ""}},
        ),
        "CertificateRule": sample(
            "aws.acm",
            "ACM Certificate Approaching Expiration",
            certificate(deployed) if family == deployed.family else f"arn:aws:acm:{here}:certificate/other",
            {"DaysToExpiry": 30, "CommonName": "example.com"},
        ),
        "HealthRule": sample(
            "aws.health", "AWS Health Event", family, {"service": "ECS", "eventScopeCode": "ACCOUNT_SPECIFIC"}
        ),
        "SecretChangedRule": sample(
            "aws.secretsmanager",
            "Secret Label Updated",
            secret,
            {"name": "any", "labelUpdated": "AWSCURRENT", "versionId": "1"},
        ),
    }


def database_events(deployed: Deployed, family: str) -> dict[str, dict[str, Any]]:
    """Return an event of the database of an environment for each rule of the layer about databases."""
    here = f"{deployed.home}:{deployed.account}"
    instance = next(iter(deployed.ids("AWS::RDS::DBInstance").values()), "").lower()
    return {
        "DatabaseEventRule": sample(
            "aws.rds",
            "RDS DB Cluster Event",
            f"arn:aws:rds:{here}:cluster:{family}",
            {"SourceArn": f"arn:aws:rds:{here}:cluster:{family}", "EventCategories": ["failover"]},
        ),
        "InstanceEventRule": sample(
            "aws.rds",
            "RDS DB Instance Event",
            f"arn:aws:rds:{here}:db:{instance}",
            {
                "SourceArn": f"arn:aws:rds:{here}:db:{instance.replace(deployed.family, family, 1)}",
                "EventCategories": ["availability"],
            },
        ),
    }


def sample(source: str, kind: str, resource: str, detail: dict[str, Any]) -> dict[str, Any]:
    return {"source": source, "detail-type": kind, "resources": [resource], "detail": detail}


def certificate(deployed: Deployed) -> str:
    """Return the certificate of the load balancer: the supplied one, or the one of the application layer."""
    return deployed.parameter("OriginCertificateArn") or deployed.id("ApplicationStack/OriginCertificate")


CHECKS = (event_patterns,)
