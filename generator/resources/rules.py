"""Rules: conditions on several parameters, which CloudFormation checks before it creates a resource.

``deploy.py`` evaluates the same rules locally, before any call of AWS (CloudFormation User Guide, "Rules").
"""

from __future__ import annotations

from typing import Any

from troposphere import And, Equals, Not, Or, Ref

from generator.platform_parts import Parts

Assertion = dict[str, Any]


def is_given(parameter: str) -> Not:
    return Not(Equals(Ref(parameter), ""))


def is_empty(parameter: str) -> Equals:
    return Equals(Ref(parameter), "")


def is_one_of(parameter: str, *values: str) -> dict[str, Any]:
    return {"Fn::Contains": [list(values), Ref(parameter)]}


def rule_assertion(holds: Any, description: str) -> Assertion:
    return {"Assert": holds, "AssertDescription": description}


def parameter_rule(*assertions: Assertion, when: Any = None) -> dict[str, Any]:
    condition = {"RuleCondition": when} if when is not None else {}
    return {**condition, "Assertions": list(assertions)}


# Amazon ECS Developer Guide, "Task CPU and memory", in MiB for each number of CPU units.
FARGATE_MEMORY: dict[str, tuple[int, ...]] = {
    "256": (512, 1024, 2048),
    "512": tuple(range(1024, 4096 + 1, 1024)),
    "1024": tuple(range(2048, 8192 + 1, 1024)),
    "2048": tuple(range(4096, 16384 + 1, 1024)),
    "4096": tuple(range(8192, 30720 + 1, 1024)),
}


def fargate_size(cpu: str, memory: str) -> dict[str, Any]:
    """Return the rule that a pair of parameters is a size of Fargate."""
    return parameter_rule(
        *(
            rule_assertion(
                Or(Not(Equals(Ref(cpu), units)), is_one_of(memory, *(str(size) for size in sizes))),
                f"With {cpu} {units}, {memory} must be a Fargate size from {sizes[0]} to {sizes[-1]} MiB.",
            )
            for units, sizes in FARGATE_MEMORY.items()
        )
    )


def root_rules(parts: Parts) -> dict[str, dict[str, Any]]:
    """Return the rules of root that do not depend on the services."""
    is_prod = Equals(Ref("Environment"), "prod")
    archives = [rule_assertion(is_one_of("ArchiveLogs", "true"), "prod requires ArchiveLogs true.")]
    return {
        **(database_rules() if parts.database else {}),
        "SlackIdsTogether": parameter_rule(
            rule_assertion(
                Or(
                    And(is_empty("SlackWorkspaceId"), is_empty("SlackChannelId")),
                    And(is_given("SlackWorkspaceId"), is_given("SlackChannelId")),
                ),
                "SlackWorkspaceId and SlackChannelId must both have a value, or both be empty.",
            )
        ),
        # Elastic Load Balancing and Aurora require subnets in two zones.
        "ZonesDiffer": parameter_rule(
            rule_assertion(
                Not(Equals(Ref("FirstZone"), Ref("SecondZone"))), "FirstZone and SecondZone must be different zones."
            )
        ),
        "ProdHasDomain": parameter_rule(
            rule_assertion(
                is_given("DomainName"),
                "prod requires DomainName. Without a domain CloudFront calls the load balancer without TLS.",
            ),
            when=is_prod,
        ),
        "DomainHasCertificates": parameter_rule(
            rule_assertion(
                Or(is_given("HostedZoneId"), is_given("OriginCertificateArn")),
                "DomainName requires HostedZoneId, or OriginCertificateArn and ViewerCertificateArn.",
            ),
            when=is_given("DomainName"),
        ),
        "HostedZoneHasDomain": parameter_rule(
            rule_assertion(is_given("DomainName"), "HostedZoneId requires DomainName."),
            when=is_given("HostedZoneId"),
        ),
        "RedirectHasDomain": parameter_rule(
            rule_assertion(is_given("DomainName"), "RedirectDomainName requires DomainName."),
            rule_assertion(
                Not(Equals(Ref("RedirectDomainName"), Ref("DomainName"))),
                "RedirectDomainName and DomainName must be different names.",
            ),
            when=is_given("RedirectDomainName"),
        ),
        "ProdKeepsLogs": parameter_rule(
            rule_assertion(is_one_of("LogRetentionDays", "30"), "prod requires LogRetentionDays 30."),
            *(archives if parts.archive else []),
            rule_assertion(is_one_of("DeletionProtection", "true"), "prod requires DeletionProtection true."),
            when=is_prod,
        ),
        "DevForgetsLogs": parameter_rule(
            rule_assertion(is_one_of("LogRetentionDays", "1", "3"), "dev requires LogRetentionDays 1 or 3."),
            when=Equals(Ref("Environment"), "dev"),
        ),
    }


def database_rules() -> dict[str, dict[str, Any]]:
    """Return the rules of root about the database."""
    return {
        # Amazon Aurora User Guide, "Backtracking an Aurora DB cluster", lists no serverless class.
        "BacktrackIsProvisioned": parameter_rule(
            rule_assertion(
                Or(Equals(Ref("DbBacktrackSeconds"), "0"), Not(Equals(Ref("DbInstanceClass"), "db.serverless"))),
                "DbBacktrackSeconds requires a DbInstanceClass other than db.serverless.",
            )
        ),
        # Amazon Aurora User Guide, "Performance and scaling for Aurora Serverless v2".
        "InsightsHasCapacity": parameter_rule(
            rule_assertion(
                Not(is_one_of("DbMinCapacity", "0", "0.5", "1", "1.5")),
                "DbInsights requires a DbMinCapacity of 2 or more.",
            ),
            when=And(Equals(Ref("DbInsights"), "true"), Equals(Ref("DbInstanceClass"), "db.serverless")),
        ),
    }
