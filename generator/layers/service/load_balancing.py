"""Target group and listener rule of a service."""

from troposphere import Sub, Tags
from troposphere.elasticloadbalancingv2 import (
    Condition as RuleCondition,
)
from troposphere.elasticloadbalancingv2 import (
    HttpHeaderConfig,
    ListenerRule,
    ListenerRuleAction,
    Matcher,
    PathPatternConfig,
    TargetGroup,
    TargetGroupAttribute,
)

from generator.layers.service.interface import Config, Inputs
from generator.resources.origin_secret import HEADER, accepted_values


def target_group(config: Config, inputs: Inputs) -> TargetGroup:
    """Return the target group of the app container, with its health check."""
    return TargetGroup(
        "TargetGroup",
        TargetType="ip",
        VpcId=inputs.vpc_id,
        Protocol="HTTP",
        Port=inputs.container_port,
        HealthCheckProtocol="HTTP",
        HealthCheckPath=inputs.health_check_path,
        HealthCheckIntervalSeconds=config.health_interval_seconds,
        HealthCheckTimeoutSeconds=config.health_timeout_seconds,
        HealthyThresholdCount=2,
        UnhealthyThresholdCount=3,
        Matcher=Matcher(HttpCode="200-399"),
        TargetGroupAttributes=[
            TargetGroupAttribute(Key="deregistration_delay.timeout_seconds", Value=str(config.deregistration_seconds))
        ],
        Tags=Tags(Name=Sub("${Prefix}-${ServiceSlug}")),
    )


def listener_rule(inputs: Inputs, target: TargetGroup) -> ListenerRule:
    """Return the rule that forwards the service's paths, if the request contains the secret header."""
    return ListenerRule(
        "ListenerRule",
        ListenerArn=inputs.origin_listener_arn,
        Priority=inputs.priority,
        Conditions=[
            RuleCondition(Field="path-pattern", PathPatternConfig=PathPatternConfig(Values=inputs.path_patterns)),
            RuleCondition(
                Field="http-header",
                HttpHeaderConfig=HttpHeaderConfig(HttpHeaderName=HEADER, Values=accepted_values(inputs.origin_secrets)),
            ),
        ],
        Actions=[ListenerRuleAction(Type="forward", TargetGroupArn=target.ref())],
    )
