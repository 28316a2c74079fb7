"""Edge: the resources that CloudFront requires in us-east-1: web ACL with its log, viewer certificate and alarm topic.

Root takes the outputs as parameters, so this stack is deployed first. The stack ``edge_monitoring`` contains the
resources that need the distribution.
"""

from collections.abc import Iterable
from typing import Annotated, Any

from troposphere import And, Condition, Equals, If, Not, NoValue, Or, Sub, Tags, Template
from troposphere.certificatemanager import Certificate, DomainValidationOption
from troposphere.wafv2 import (
    AllowAction,
    AndStatement,
    BlockAction,
    CountAction,
    DefaultAction,
    FieldToMatch,
    IPSet,
    IPSetReferenceStatement,
    LoggingConfiguration,
    LoggingConfigurationFieldToMatch,
    ManagedRuleGroupStatement,
    NotStatement,
    OrStatement,
    OverrideAction,
    RateBasedStatement,
    RegexMatchStatement,
    RuleAction,
    RuleActionOverride,
    SingleHeader,
    Statement,
    TextTransformation,
    VisibilityConfig,
    WebACL,
    WebACLRule,
)

from generator import parameter_specs as shared
from generator import value_types as v
from generator.edge_settings import Edge
from generator.interfaces import LogSettings
from generator.resources.dns import below_domain
from generator.resources.kms import add_telemetry_key
from generator.resources.logs import log_group
from generator.resources.managed_rules import MANAGED_RULES
from generator.resources.rules import is_given, parameter_rule, rule_assertion
from generator.resources.sns import add_topic, allow_alarm_publishing, allow_event_publishing
from generator.stacks.edge_events import add_event_rules
from generator.waf_settings import path_regex
from generator.wiring import FrozenConfig, ParameterSpec, StackInterface, add_outputs, add_parameters


class Config(FrozenConfig):
    """``edge`` has the rules of the web ACL. The default groups use 1,125 of its 1,500 capacity units."""

    edge: Edge
    # The labels of host names below the domain.
    hosts: tuple[str, ...] = ()
    # Legitimate requests do not match these rules, so they block even if the mode is count.
    blocking_groups: tuple[str, ...] = ("AWSManagedRulesKnownBadInputsRuleSet",)
    redacted_headers: tuple[str, ...] = ("authorization", "cookie", "x-api-key")


class Parameters(StackInterface):
    """Parameters of the stack."""

    project: Annotated[v.ProjectName, shared.PROJECT]
    environment: Annotated[v.EnvironmentName, shared.ENVIRONMENT]
    domain_name: Annotated[v.DomainName, shared.DOMAIN_NAME]
    redirect_domain_name: Annotated[v.RedirectDomainName, shared.REDIRECT_DOMAIN_NAME]
    hosted_zone_id: Annotated[v.HostedZoneId, shared.HOSTED_ZONE_ID]
    viewer_certificate_arn: Annotated[v.SuppliedCertificateArn, shared.VIEWER_CERTIFICATE_ARN]
    log_retention_days: Annotated[v.LogRetentionDays, shared.LOG_RETENTION_DAYS]
    waf_mode: Annotated[
        v.WafMode,
        ParameterSpec(
            "block if the managed rules and the rate limit of the web ACL block requests, count if they only count "
            "them. Known attacks and the addresses of `deploy.py addresses` are always blocked.",
            default="block",
            allowed=("block", "count"),
            constraint="block or count.",
        ),
    ]
    waf_rate_limit: Annotated[
        v.RequestLimit,
        ParameterSpec(
            "Requests from one IP address in five minutes, without static files. WAF blocks the address above this "
            "limit.",
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
    blocked, allowed = add_address_sets(t, "Blocked"), add_address_sets(t, "Allowed")
    acl = t.add_resource(web_acl(config, p, blocked, allowed))
    add_waf_log(t, config, acl, logs)
    certificate = t.add_resource(viewer_certificate(config, p))
    topic = add_topic(
        t,
        "EdgeTopic",
        "edge alarms",
        v.TelemetryKeyId(key.ref()),
        allow_alarm_publishing,
        allow_event_publishing,
        prefix=shared.NAME_PREFIX,
    )
    given_or_none = If("HasCertificate", p.viewer_certificate_arn, "none")
    certificate_arn = v.ViewerCertificateArn(If("MakesCertificate", certificate.ref(), given_or_none))
    add_event_rules(t, topic, certificate_arn, key)
    add_outputs(
        t,
        Outputs(
            web_acl_arn=v.WebAclArn(acl.get_att("Arn")),
            web_acl_name=v.WebAclName(Sub(shared.NAME_PREFIX)),
            viewer_certificate_arn=certificate_arn,
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
    t.add_condition("HasRedirect", Not(Equals(p.redirect_domain_name, "")))
    t.add_condition("OnlyCounts", Equals(p.waf_mode, "count"))


# --- Web ACL -----------------------------------------------------------------------------------------------------


def web_acl(config: Config, p: Parameters, blocked: list[IPSet], allowed: list[IPSet]) -> WebACL:
    """Return the web ACL. Its name is also the name of its metric, so that one output is enough."""
    rules = [
        address_rule("BlockedAddresses", blocked, RuleAction(Block=BlockAction())),
        address_rule("AllowedAddresses", allowed, RuleAction(Allow=AllowAction())),
        rate_rule(config, p),
        *(managed_rules(config, group) for group in config.edge.waf.rule_groups),
    ]
    for priority, rule in enumerate(rules):
        rule.Priority = priority
    return WebACL(
        "WebAcl",
        Name=Sub(shared.NAME_PREFIX),
        Scope="CLOUDFRONT",
        DefaultAction=DefaultAction(Allow=AllowAction()),
        Rules=rules,
        VisibilityConfig=visibility(shared.NAME_PREFIX),
        Tags=Tags(Name=Sub(shared.NAME_PREFIX)),
    )


def visibility(metric: str) -> VisibilityConfig:
    return VisibilityConfig(CloudWatchMetricsEnabled=True, SampledRequestsEnabled=True, MetricName=Sub(metric))


def add_address_sets(t: Template, name: str) -> list[IPSet]:
    """Add the two sets of addresses of one kind. A set contains either IPv4 or IPv6 addresses.

    The sets are empty in the template, and operators fill them with `deploy.py addresses`. CloudFormation writes the
    addresses only when it updates a set, so the other properties never change. deploy.py writes the addresses back
    after an update, such as one of the tags.
    """
    return [
        t.add_resource(
            IPSet(
                f"{name}{version.capitalize()}Set",
                Name=Sub(f"{shared.NAME_PREFIX}-{name.lower()}-{version.lower()}"),
                Description=f"{name} addresses. deploy.py addresses changes them.",
                Scope="CLOUDFRONT",
                IPAddressVersion=version,
                Addresses=[],
            )
        )
        for version in ("IPV4", "IPV6")
    ]


def address_rule(name: str, sets: list[IPSet], action: RuleAction) -> WebACLRule:
    """Return the rule for the addresses of some sets. No later rule inspects a request with one of them."""
    references = [Statement(IPSetReferenceStatement=IPSetReferenceStatement(Arn=item.get_att("Arn"))) for item in sets]
    return WebACLRule(
        Name=name,
        Statement=Statement(OrStatement=OrStatement(Statements=references)),
        Action=action,
        VisibilityConfig=visibility(f"{shared.NAME_PREFIX}-{name}"),
    )


def rate_rule(config: Config, p: Parameters) -> WebACLRule:
    """Return the rate limit. Files from the static bucket cost the apps nothing, so they do not count."""
    folders = [f"{path}*" for path in config.edge.bucket_paths]
    return WebACLRule(
        Name="RateLimit",
        Statement=Statement(
            RateBasedStatement=RateBasedStatement(
                AggregateKeyType="IP", Limit=p.waf_rate_limit, ScopeDownStatement=except_paths(folders)
            )
        ),
        Action=If("OnlyCounts", RuleAction(Count=CountAction()), RuleAction(Block=BlockAction())),
        VisibilityConfig=visibility(f"{shared.NAME_PREFIX}-RateLimit"),
    )


def managed_rules(config: Config, group: str) -> WebACLRule:
    """Return the rule for a managed rule group.

    A rule group has OverrideAction instead of Action: its own rules contain the actions.
    """
    waf = config.edge.waf
    actions = {
        **{name: RuleAction(Count=CountAction()) for name in waf.counted_rules},
        **{name: RuleAction(Block=BlockAction()) for name in waf.blocked_rules},
    }
    overrides = [
        RuleActionOverride(Name=name, ActionToUse=action)
        for name, action in actions.items()
        if name in MANAGED_RULES[group]
    ]
    optional: dict[str, Any] = {"RuleActionOverrides": overrides} if overrides else {}
    if group in waf.excluded_paths:
        optional["ScopeDownStatement"] = except_paths(waf.excluded_paths[group])
    return WebACLRule(
        Name=group,
        Statement=Statement(
            ManagedRuleGroupStatement=ManagedRuleGroupStatement(VendorName="AWS", Name=group, **optional)
        ),
        OverrideAction=(
            override_nothing()
            if group in config.blocking_groups
            else If("OnlyCounts", OverrideAction(Count={}), override_nothing())
        ),
        VisibilityConfig=visibility(f"{shared.NAME_PREFIX}-{group}"),
    )


def except_paths(paths: Iterable[str]) -> Statement:
    """Return the statement that a request is not for one of these paths.

    A request is for a path only if both the path as sent and the normalized path match. An app may handle
    /upload/../login as either of them, so one match alone would let requests evade the rules.
    """
    pattern = path_regex(paths)
    as_sent, normalized = (
        Statement(
            RegexMatchStatement=RegexMatchStatement(
                RegexString=pattern,
                FieldToMatch=FieldToMatch(UriPath={}),
                TextTransformations=[
                    TextTransformation(Priority=position, Type=kind) for position, kind in enumerate(kinds)
                ],
            )
        )
        for kinds in (["NONE"], ["URL_DECODE", "NORMALIZE_PATH"])
    )
    both = Statement(AndStatement=AndStatement(Statements=[as_sent, normalized]))
    return Statement(NotStatement=NotStatement(Statement=both))


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


def viewer_certificate(config: Config, p: Parameters) -> Certificate:
    """Return the certificate, if there is a hosted zone.

    Without a hosted zone the stack would wait up to three days for a manual DNS record.
    """
    hosts = [below_domain(host) for host in config.hosts]
    return Certificate(
        "ViewerCertificate",
        Condition="MakesCertificate",
        DomainName=p.domain_name,
        SubjectAlternativeNames=[If("HasRedirect", p.redirect_domain_name, NoValue), *hosts]
        if hosts
        else If("HasRedirect", [p.redirect_domain_name], NoValue),
        ValidationMethod="DNS",
        DomainValidationOptions=[
            DomainValidationOption(DomainName=p.domain_name, HostedZoneId=p.hosted_zone_id),
            If(
                "HasRedirect",
                DomainValidationOption(DomainName=p.redirect_domain_name, HostedZoneId=p.hosted_zone_id),
                NoValue,
            ),
            *(DomainValidationOption(DomainName=host, HostedZoneId=p.hosted_zone_id) for host in hosts),
        ],
        Tags=Tags(Name=Sub(f"{shared.NAME_PREFIX}-viewer")),
    )
