"""Application: the resources that services share: ECS cluster, load balancer with listeners, log group of bastions.

The layer ``service`` adds every target group and forwarding rule. The default actions of the listeners are a 403
response and a redirect. They answer a request that matches no service, or that does not come from CloudFront.
"""

from typing import Annotated

from awacs import kms as kms_actions
from awacs import logs as logs_actions
from troposphere import And, Condition, Equals, If, Not, NoValue, Sub, Tags, Template
from troposphere.certificatemanager import Certificate, DomainValidationOption
from troposphere.ecs import (
    CapacityProviderStrategy,
    Cluster,
    ClusterCapacityProviderAssociations,
    ClusterConfiguration,
    ClusterSetting,
    ExecuteCommandConfiguration,
    ExecuteCommandLogConfiguration,
)
from troposphere.elasticloadbalancingv2 import (
    Action,
    FixedResponseConfig,
    HostHeaderConfig,
    Listener,
    ListenerRule,
    ListenerRuleAction,
    LoadBalancer,
    LoadBalancerAttributes,
    RedirectConfig,
)
from troposphere.elasticloadbalancingv2 import Certificate as ListenerCertificate
from troposphere.elasticloadbalancingv2 import Condition as RuleCondition
from troposphere.iam import ManagedPolicy
from troposphere.logs import LogGroup
from troposphere.route53 import RecordSetType

from generator import value_types as v
from generator.edge_settings import Edge
from generator.interfaces import EcsCluster, LogSettings, PublicSubnets, SiteDomain
from generator.resources import iam
from generator.resources.dns import alias_target, below_domain
from generator.resources.logs import log_group
from generator.resources.suppressions import suppress
from generator.wiring import FrozenConfig, Layer, StackInterface

# Before the rules of all workloads, which match on every host. Rule APP-22 reports a workload with this priority.
REDIRECT_PRIORITY = 1


class Config(FrozenConfig):
    """Configuration of the load balancer."""

    edge: Edge
    # The labels of host names below the domain.
    hosts: tuple[str, ...] = ()
    alb_log_prefix: str = "alb"
    # TLS 1.2 and 1.3 with forward secrecy and post-quantum key exchange. CloudFormation's default accepts TLS 1.0.
    tls_policy: str = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"


class Inputs(StackInterface):
    """Parameters of the nested stack."""

    prefix: v.NamePrefix
    domain: SiteDomain
    logs: LogSettings
    origin_certificate_arn: v.SuppliedCertificateArn
    container_insights: v.ContainerInsightsMode
    deletion_protection: Annotated[v.Flag, "true if the load balancer is protected against deletion."]
    public_subnets: PublicSubnets
    alb_security_group_id: v.AlbSecurityGroupId
    redirect_security_group_id: v.RedirectSecurityGroupId
    alb_log_bucket_name: v.AlbLogBucketName


class Outputs(StackInterface):
    """Outputs of the nested stack."""

    cluster: EcsCluster
    exec_log_group_name: v.ExecLogGroupName
    bastion_log_group_name: v.BastionLogGroupName
    session_policy_arn: v.SessionPolicyArn
    alb_full_name: v.AlbFullName
    origin_listener_arn: v.OriginListenerArn
    origin_host_name: v.OriginHostName
    listener_certificate_arn: v.ListenerCertificateArn


def build(t: Template, config: Config, inputs: Inputs) -> Outputs:
    """Add the cluster, the load balancer with its listeners, and the log groups of sessions and bastions."""
    add_conditions(t, inputs)
    exec_logs = t.add_resource(log_group("ExecLogGroup", Sub("/${Prefix}/exec"), inputs.logs))
    bastion_logs = t.add_resource(log_group("BastionLogGroup", Sub("/${Prefix}/bastion"), inputs.logs))
    sessions = t.add_resource(session_policy(inputs, exec_logs))
    cluster = add_cluster(t, inputs, exec_logs)
    balancer = t.add_resource(load_balancer(config, inputs))
    certificate = t.add_resource(origin_certificate(config, inputs))
    https = t.add_resource(https_listener(config, inputs, balancer, certificate))
    http = t.add_resource(http_listener(balancer))
    t.add_resource(redirect_rule(inputs, https))
    t.add_resource(origin_record(inputs, balancer))
    return Outputs(
        cluster=EcsCluster(cluster_name=v.ClusterName(cluster.ref()), cluster_arn=v.ClusterArn(cluster.get_att("Arn"))),
        exec_log_group_name=v.ExecLogGroupName(exec_logs.ref()),
        bastion_log_group_name=v.BastionLogGroupName(bastion_logs.ref()),
        session_policy_arn=v.SessionPolicyArn(sessions.ref()),
        alb_full_name=v.AlbFullName(balancer.get_att("LoadBalancerFullName")),
        # Without a domain the load balancer has no publicly trusted certificate, so CloudFront calls port 80. Other
        # clients get the redirect of that listener: only requests with the secret header match the services' rules.
        origin_listener_arn=v.OriginListenerArn(If("HasDomain", https.ref(), http.ref())),
        origin_host_name=v.OriginHostName(If("HasDomain", Sub("origin.${DomainName}"), balancer.get_att("DNSName"))),
        listener_certificate_arn=v.ListenerCertificateArn(
            If("MakesCertificate", certificate.ref(), inputs.origin_certificate_arn)
        ),
    )


def add_conditions(t: Template, inputs: Inputs) -> None:
    t.add_condition("HasDomain", Not(Equals(inputs.domain.domain_name, "")))
    t.add_condition("HasRedirect", And(Condition("HasDomain"), Not(Equals(inputs.domain.redirect_domain_name, ""))))
    t.add_condition("HasHostedZone", And(Condition("HasDomain"), Not(Equals(inputs.domain.hosted_zone_id, ""))))
    t.add_condition("HasCertificate", Not(Equals(inputs.origin_certificate_arn, "")))
    t.add_condition("MakesCertificate", And(Condition("HasHostedZone"), Not(Condition("HasCertificate"))))


def add_cluster(t: Template, inputs: Inputs, exec_logs: LogGroup) -> Cluster:
    """Add the ECS cluster with Fargate capacity, Container Insights and transcripts of ECS Exec sessions."""
    # Container Insights writes to a log group of this name. It creates a missing group without an expiry.
    insights = t.add_resource(
        log_group("ContainerInsightsLogGroup", Sub("/aws/ecs/containerinsights/${Prefix}/performance"), inputs.logs)
    )
    cluster = t.add_resource(
        Cluster(
            "Cluster",
            **suppress(
                CKV_AWS_65="Always on: the parameter accepts only enabled and enhanced. checkov sees the value only in "
                "the resolved templates."
            ),
            ClusterName=Sub("${Prefix}"),
            ClusterSettings=[ClusterSetting(Name="containerInsights", Value=inputs.container_insights)],
            Configuration=ClusterConfiguration(
                ExecuteCommandConfiguration=ExecuteCommandConfiguration(
                    KmsKeyId=inputs.logs.telemetry_key_arn,
                    Logging="OVERRIDE",
                    LogConfiguration=ExecuteCommandLogConfiguration(
                        CloudWatchLogGroupName=exec_logs.ref(), CloudWatchEncryptionEnabled=True
                    ),
                )
            ),
            Tags=Tags(Name=Sub("${Prefix}")),
            DependsOn=[insights],
        )
    )
    t.add_resource(
        ClusterCapacityProviderAssociations(
            "ClusterCapacity",
            Cluster=cluster.ref(),
            CapacityProviders=["FARGATE", "FARGATE_SPOT"],
            DefaultCapacityProviderStrategy=[CapacityProviderStrategy(CapacityProvider="FARGATE", Weight=1)],
        )
    )
    return cluster


def session_policy(inputs: Inputs, group: LogGroup) -> ManagedPolicy:
    """Return the policy to write transcripts of ECS Exec sessions (Amazon ECS Developer Guide, "Logging ECS Exec").

    AmazonSSMManagedInstanceCore does not contain these permissions. They are the same for every service, so one policy
    is enough.
    """
    return iam.managed_policy(
        "SessionPolicy",
        iam.allow(
            "WriteSessionTranscripts",
            [logs_actions.CreateLogStream, logs_actions.DescribeLogStreams, logs_actions.PutLogEvents],
            [group.get_att("Arn")],
        ),
        # The action takes no resource (Service Authorization Reference, Amazon CloudWatch Logs).
        iam.allow("FindSessionLogGroup", [logs_actions.DescribeLogGroups], ["*"]),
        iam.allow("DecryptSessions", [kms_actions.Decrypt], [inputs.logs.telemetry_key_arn]),
        description="Write the transcripts of sessions in the containers.",
    )


def load_balancer(config: Config, inputs: Inputs) -> LoadBalancer:
    """Return the public load balancer, with access logs and strict handling of malformed requests."""
    attributes = {
        "access_logs.s3.enabled": "true",
        "access_logs.s3.bucket": inputs.alb_log_bucket_name,
        "access_logs.s3.prefix": config.alb_log_prefix,
        "deletion_protection.enabled": inputs.deletion_protection,
        "idle_timeout.timeout_seconds": str(config.edge.idle_timeout),
        "routing.http.drop_invalid_header_fields.enabled": "true",
        "routing.http.desync_mitigation_mode": config.edge.desync_mitigation,
        # The app gets the Host header as CloudFront sends it.
        "routing.http.preserve_host_header.enabled": "true",
        "routing.http2.enabled": "true",
    }
    return LoadBalancer(
        "LoadBalancer",
        Type="application",
        Scheme="internet-facing",
        Subnets=inputs.public_subnets.ids,
        SecurityGroups=[inputs.alb_security_group_id, inputs.redirect_security_group_id],
        LoadBalancerAttributes=[LoadBalancerAttributes(Key=key, Value=value) for key, value in attributes.items()],
        Tags=Tags(Name=Sub("${Prefix}")),
    )


def origin_certificate(config: Config, inputs: Inputs) -> Certificate:
    """Return the certificate of ``origin.<domain>``, at which CloudFront calls the load balancer, and of the site.

    CloudFront compares the certificate with one of them. Its documents name the domain of the origin, or the Host
    header, which is the name of the site (Amazon CloudFront Developer Guide, "HTTP 502 status code (Bad Gateway)").
    """
    names = (Sub("origin.${DomainName}"), inputs.domain.domain_name, *(below_domain(host) for host in config.hosts))
    redirected = inputs.domain.redirect_domain_name
    return Certificate(
        "OriginCertificate",
        Condition="MakesCertificate",
        DomainName=names[0],
        SubjectAlternativeNames=[*names[1:], If("HasRedirect", redirected, NoValue)],
        ValidationMethod="DNS",
        DomainValidationOptions=[
            *(DomainValidationOption(DomainName=name, HostedZoneId=inputs.domain.hosted_zone_id) for name in names),
            If(
                "HasRedirect",
                DomainValidationOption(DomainName=redirected, HostedZoneId=inputs.domain.hosted_zone_id),
                NoValue,
            ),
        ],
        Tags=Tags(Name=Sub("${Prefix}-origin")),
    )


def https_listener(config: Config, inputs: Inputs, balancer: LoadBalancer, certificate: Certificate) -> Listener:
    """Return the listener on port 443. Its default action is a 403 response."""
    return Listener(
        "HttpsListener",
        LoadBalancerArn=balancer.ref(),
        Port=443,
        Protocol="HTTPS",
        SslPolicy=config.tls_policy,
        Certificates=[
            ListenerCertificate(CertificateArn=If("MakesCertificate", certificate.ref(), inputs.origin_certificate_arn))
        ],
        DefaultActions=[
            Action(
                Type="fixed-response",
                FixedResponseConfig=FixedResponseConfig(
                    StatusCode="403", ContentType="text/plain", MessageBody="Forbidden"
                ),
            )
        ],
    )


def redirect_rule(inputs: Inputs, listener: Listener) -> ListenerRule:
    """Return the rule that redirects the second host name of the site to its domain, with path and query unchanged.

    A CloudFront function could do the same, but its query strings do not keep the order of repeated names.
    """
    return ListenerRule(
        "RedirectRule",
        Condition="HasRedirect",
        ListenerArn=listener.ref(),
        Priority=REDIRECT_PRIORITY,
        Conditions=[
            RuleCondition(
                Field="host-header", HostHeaderConfig=HostHeaderConfig(Values=[inputs.domain.redirect_domain_name])
            )
        ],
        Actions=[
            ListenerRuleAction(
                Type="redirect",
                RedirectConfig=RedirectConfig(
                    Protocol="HTTPS",
                    Port="443",
                    Host=inputs.domain.domain_name,
                    Path="/#{path}",
                    Query="#{query}",
                    StatusCode="HTTP_301",
                ),
            )
        ],
    )


def http_listener(balancer: LoadBalancer) -> Listener:
    """Return the listener on port 80. Its default action is a redirect to HTTPS."""
    return Listener(
        "HttpListener",
        LoadBalancerArn=balancer.ref(),
        Port=80,
        Protocol="HTTP",
        DefaultActions=[
            Action(
                Type="redirect",
                RedirectConfig=RedirectConfig(
                    Protocol="HTTPS",
                    Port="443",
                    Host="#{host}",
                    Path="/#{path}",
                    Query="#{query}",
                    StatusCode="HTTP_301",
                ),
            )
        ],
    )


def origin_record(inputs: Inputs, balancer: LoadBalancer) -> RecordSetType:
    return RecordSetType(
        "OriginRecord",
        Condition="HasHostedZone",
        HostedZoneId=inputs.domain.hosted_zone_id,
        Name=Sub("origin.${DomainName}"),
        Type="A",
        AliasTarget=alias_target(balancer),
    )


LAYER = Layer("Application", "Application: ECS cluster, load balancer, listeners.", Inputs, Outputs, build)
