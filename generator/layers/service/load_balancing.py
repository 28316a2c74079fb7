"""Target group and listener rules of a web service."""

from troposphere import If, Sub, Tags, Template
from troposphere.elasticloadbalancingv2 import (
    Condition as RuleCondition,
)
from troposphere.elasticloadbalancingv2 import (
    HostHeaderConfig,
    HttpHeaderConfig,
    ListenerRule,
    ListenerRuleAction,
    Matcher,
    PathPatternConfig,
    TargetGroup,
    TargetGroupAttribute,
)

from generator.layers.service.interface import Config, Inputs
from generator.resources.dns import below_domain
from generator.resources.origin_secret import HEADER, accepted_values
from generator.workloads import WebService


def target_group(config: Config, entry: WebService, inputs: Inputs) -> TargetGroup:
    """Return the target group of the app container, with its health check."""
    check = entry.health_check
    return TargetGroup(
        "TargetGroup",
        TargetType="ip",
        VpcId=inputs.vpc_id,
        Protocol="HTTP",
        Port=entry.port,
        HealthCheckProtocol="HTTP",
        HealthCheckPath=check.path,
        HealthCheckPort=str(check.port) if check.port else "traffic-port",
        HealthCheckIntervalSeconds=check.interval_seconds,
        HealthCheckTimeoutSeconds=check.timeout_seconds,
        HealthyThresholdCount=config.healthy_checks,
        UnhealthyThresholdCount=config.unhealthy_checks,
        Matcher=Matcher(HttpCode=check.codes),
        TargetGroupAttributes=[
            TargetGroupAttribute(Key="deregistration_delay.timeout_seconds", Value=str(config.deregistration_seconds)),
            *stickiness(entry),
        ],
        Tags=Tags(Name=Sub(f"${{Prefix}}-{entry.slug}")),
    )


def stickiness(entry: WebService) -> list[TargetGroupAttribute]:
    """Return the attributes with which the load balancer sends a viewer to the same task."""
    if not entry.sticky_seconds:
        return []
    return [
        TargetGroupAttribute(Key="stickiness.enabled", Value="true"),
        TargetGroupAttribute(Key="stickiness.type", Value="lb_cookie"),
        TargetGroupAttribute(Key="stickiness.lb_cookie.duration_seconds", Value=str(entry.sticky_seconds)),
    ]


def own_host(entry: WebService) -> list[RuleCondition]:
    """Return the condition on the host name of a service. Without a domain no request has that name."""
    if not entry.host:
        return []
    name = If("HasDomain", below_domain(entry.host), f"{entry.host}.invalid")
    return [RuleCondition(Field="host-header", HostHeaderConfig=HostHeaderConfig(Values=[name]))]


def add_listener_rules(t: Template, entry: WebService, inputs: Inputs, target: TargetGroup) -> list[ListenerRule]:
    """Add the rules that forward the paths of the service, if the request contains the secret header."""
    rules = []
    for number, (priority, paths) in enumerate(entry.rules.items(), start=1):
        rule = ListenerRule(
            # The first rule is as old as the service: another name would replace it.
            "ListenerRule" if number == 1 else f"ListenerRule{number}",
            ListenerArn=inputs.origin_listener_arn,
            Priority=priority,
            Conditions=[
                RuleCondition(Field="path-pattern", PathPatternConfig=PathPatternConfig(Values=list(paths))),
                *own_host(entry),
                RuleCondition(
                    Field="http-header",
                    HttpHeaderConfig=HttpHeaderConfig(
                        HttpHeaderName=HEADER, Values=accepted_values(inputs.origin_secrets)
                    ),
                ),
            ],
            Actions=[ListenerRuleAction(Type="forward", TargetGroupArn=target.ref())],
        )
        rules.append(t.add_resource(rule))
    return rules
