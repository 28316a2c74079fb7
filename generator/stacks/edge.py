"""Edge: the resources that CloudFront requires in us-east-1: web ACL with its log, viewer certificate and alarm topic.

Root takes the outputs as parameters, so this stack is deployed first. The stack ``edge_monitoring`` contains the
resources that need the distribution.
"""

from typing import Annotated, Any

from troposphere import And, Condition, Equals, If, Not, Or, Sub, Tags, Template
from troposphere.certificatemanager import Certificate, DomainValidationOption
from troposphere.wafv2 import (
    AllowAction,
    BlockAction,
    CountAction,
    DefaultAction,
    LoggingConfiguration,
    LoggingConfigurationFieldToMatch,
    ManagedRuleGroupStatement,
    OverrideAction,
    RateBasedStatement,
    RuleAction,
    RuleActionOverride,
    SingleHeader,
    Statement,
    VisibilityConfig,
    WebACL,
    WebACLRule,
)

from generator import parameter_specs as shared
from generator import value_types as v
from generator.interfaces import LogSettings
from generator.resources.kms import add_telemetry_key
from generator.resources.logs import log_group
from generator.resources.rules import is_given, parameter_rule, rule_assertion
from generator.resources.sns import add_topic, allow_alarm_publishing
from generator.wiring import FrozenConfig, ParameterSpec, StackInterface, add_outputs, add_parameters


class Config(FrozenConfig):
    """Managed rule groups in their order. They use 1,125 of the 1,500 capacity units of a web ACL.

    ``counted_rules`` only count, because uploads and rich text match them. They would block request bodies above 8 KB.
    """

    rule_groups: tuple[str, ...] = (
        "AWSManagedRulesAmazonIpReputationList",
        "AWSManagedRulesCommonRuleSet",
        "AWSManagedRulesKnownBadInputsRuleSet",
        "AWSManagedRulesSQLiRuleSet",
    )
    counted_rules: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("AWSManagedRulesCommonRuleSet", ("SizeRestrictions_BODY", "CrossSiteScripting_BODY")),
    )
    # Legitimate requests do not match these rules, so they block even if the mode is count.
    blocking_groups: tuple[str, ...] = ("AWSManagedRulesKnownBadInputsRuleSet",)
    redacted_headers: tuple[str, ...] = ("authorization", "cookie", "x-api-key")


class Parameters(StackInterface):
    """Parameters of the stack."""

    project: Annotated[v.ProjectName, shared.PROJECT]
    environment: Annotated[v.EnvironmentName, shared.ENVIRONMENT]
    domain_name: Annotated[v.DomainName, shared.DOMAIN_NAME]
    hosted_zone_id: Annotated[v.HostedZoneId, shared.HOSTED_ZONE_ID]
    viewer_certificate_arn: Annotated[v.SuppliedCertificateArn, shared.VIEWER_CERTIFICATE_ARN]
    log_retention_days: Annotated[v.LogRetentionDays, shared.LOG_RETENTION_DAYS]
    waf_mode: Annotated[
        v.WafMode,
        ParameterSpec(
            "block if the managed rules of the web ACL block requests, count if they only count them. Known attacks "
            "are always blocked.",
            default="block",
            allowed=("block", "count"),
            constraint="block or count.",
        ),
    ]
    waf_rate_limit: Annotated[
        v.RequestLimit,
        ParameterSpec(
            "Requests from one IP address in five minutes. WAF blocks the address above this limit.",
            default=2000,
            minimum=10,
            maximum=2000000000,
            constraint="10 to 2000000000 requests.",
        ),
    ]


class Outputs(StackInterface):
    """Outputs of the stack."""

    web_acl_arn: v.WebAclArn
    web_acl_name: v.WebAclName
    viewer_certificate_arn: v.ViewerCertificateArn
    edge_topic_arn: v.EdgeTopicArn


def build(config: Config) -> Template:
    """Return the template of the edge stack."""
    t = Template(Description="Hosting platform: web ACL, certificate and alarm topic of an environment, in us-east-1.")
    t.set_version()
    p = add_parameters(t, Parameters)
    add_conditions(t, p)
    key = add_telemetry_key(t, "Logs and notifications at the edge", prefix=shared.NAME_PREFIX)
    logs = LogSettings(telemetry_key_arn=v.TelemetryKeyArn(key.get_att("Arn")), log_retention_days=p.log_retention_days)
    # AWS Chatbot always writes its errors to this group in us-east-1. It creates a missing group without an expiry.
    t.add_resource(log_group("ChatbotLogGroup", Sub(f"/aws/chatbot/{shared.NAME_PREFIX}"), logs))
    acl = t.add_resource(web_acl(config, p))
    add_waf_log(t, config, acl, logs)
    certificate = t.add_resource(viewer_certificate(p))
    topic = add_topic(
        t, "EdgeTopic", "edge alarms", v.TelemetryKeyId(key.ref()), allow_alarm_publishing, prefix=shared.NAME_PREFIX
    )
    given_or_none = If("HasCertificate", p.viewer_certificate_arn, "none")
    add_outputs(
        t,
        Outputs(
            web_acl_arn=v.WebAclArn(acl.get_att("Arn")),
            web_acl_name=v.WebAclName(Sub(shared.NAME_PREFIX)),
            viewer_certificate_arn=v.ViewerCertificateArn(If("MakesCertificate", certificate.ref(), given_or_none)),
            edge_topic_arn=v.EdgeTopicArn(topic.ref()),
        ),
    )
    t.add_rule("DomainHasCertificate", domain_has_certificate())
    return t


def domain_has_certificate() -> dict[str, Any]:
    """Return the rule that a domain has a hosted zone or a certificate."""
    return parameter_rule(
        rule_assertion(
            Or(is_given("HostedZoneId"), is_given("ViewerCertificateArn")),
            "DomainName requires HostedZoneId, or OriginCertificateArn and ViewerCertificateArn.",
        ),
        when=is_given("DomainName"),
    )


def add_conditions(t: Template, p: Parameters) -> None:
    """Add the conditions on the certificate and on the mode of the web ACL."""
    t.add_condition("HasCertificate", Not(Equals(p.viewer_certificate_arn, "")))
    t.add_condition(
        "MakesCertificate",
        And(
            Not(Equals(p.domain_name, "")),
            Not(Equals(p.hosted_zone_id, "")),
            Not(Condition("HasCertificate")),
        ),
    )
    t.add_condition("OnlyCounts", Equals(p.waf_mode, "count"))


# --- Web ACL -----------------------------------------------------------------------------------------------------


def web_acl(config: Config, p: Parameters) -> WebACL:
    """Return the web ACL. Its name is also the name of its metric, so that one output is enough."""
    return WebACL(
        "WebAcl",
        Name=Sub(shared.NAME_PREFIX),
        Scope="CLOUDFRONT",
        DefaultAction=DefaultAction(Allow=AllowAction()),
        Rules=[
            rate_rule(p),
            *(managed_rules(config, group, priority) for priority, group in enumerate(config.rule_groups, start=1)),
        ],
        VisibilityConfig=visibility(shared.NAME_PREFIX),
        Tags=Tags(Name=Sub(shared.NAME_PREFIX)),
    )


def visibility(metric: str) -> VisibilityConfig:
    return VisibilityConfig(CloudWatchMetricsEnabled=True, SampledRequestsEnabled=True, MetricName=Sub(metric))


def rate_rule(p: Parameters) -> WebACLRule:
    return WebACLRule(
        Name="RateLimit",
        Priority=0,
        Statement=Statement(RateBasedStatement=RateBasedStatement(AggregateKeyType="IP", Limit=p.waf_rate_limit)),
        Action=RuleAction(Block=BlockAction()),
        VisibilityConfig=visibility(f"{shared.NAME_PREFIX}-RateLimit"),
    )


def managed_rules(config: Config, group: str, priority: int) -> WebACLRule:
    """Return the rule for a managed rule group.

    A rule group has OverrideAction instead of Action: its own rules contain the actions.
    """
    counted = dict(config.counted_rules).get(group, ())
    optional: dict[str, Any] = {
        "RuleActionOverrides": [
            RuleActionOverride(Name=name, ActionToUse=RuleAction(Count=CountAction())) for name in counted
        ]
    }
    return WebACLRule(
        Name=group,
        Priority=priority,
        Statement=Statement(
            ManagedRuleGroupStatement=ManagedRuleGroupStatement(
                VendorName="AWS", Name=group, **(optional if counted else {})
            )
        ),
        OverrideAction=(
            override_nothing()
            if group in config.blocking_groups
            else If("OnlyCounts", OverrideAction(Count={}), override_nothing())
        ),
        VisibilityConfig=visibility(f"{shared.NAME_PREFIX}-{group}"),
    )


def override_nothing() -> OverrideAction:
    action = OverrideAction()
    setattr(action, "None", {})  # None is a keyword of Python, so it cannot be a keyword argument
    return action


def add_waf_log(t: Template, config: Config, acl: WebACL, logs: LogSettings) -> None:
    """Add the log of the web ACL.

    WAF requires the prefix of the log group's name. It rejects the value of GetAtt Arn, which ends in ":*".
    """
    group = t.add_resource(log_group("WafLogGroup", Sub(f"aws-waf-logs-{shared.NAME_PREFIX}"), logs))
    t.add_resource(
        LoggingConfiguration(
            "WafLogging",
            ResourceArn=acl.get_att("Arn"),
            LogDestinationConfigs=[
                Sub(f"arn:${{AWS::Partition}}:logs:${{AWS::Region}}:${{AWS::AccountId}}:log-group:${{{group.title}}}")
            ],
            RedactedFields=[
                *(
                    LoggingConfigurationFieldToMatch(SingleHeader=SingleHeader(Name=header))
                    for header in config.redacted_headers
                ),
                # Query strings contain reset tokens and search terms. CloudFront's access log omits them too.
                LoggingConfigurationFieldToMatch(QueryString={}),
            ],
        )
    )


# --- Certificate -------------------------------------------------------------------------------------------------


def viewer_certificate(p: Parameters) -> Certificate:
    """Return the certificate, if there is a hosted zone.

    Without a hosted zone the stack would wait up to three days for a manual DNS record.
    """
    return Certificate(
        "ViewerCertificate",
        Condition="MakesCertificate",
        DomainName=p.domain_name,
        ValidationMethod="DNS",
        DomainValidationOptions=[DomainValidationOption(DomainName=p.domain_name, HostedZoneId=p.hosted_zone_id)],
        Tags=Tags(Name=Sub(f"{shared.NAME_PREFIX}-viewer")),
    )
