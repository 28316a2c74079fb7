"""Load balancer, cluster, certificates and repositories, which services depend on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from hosting.analysis.resolve import ResolvedEnvironment, Resource
from hosting.analysis.rules.logs import LOG_GROUP
from hosting.analysis.rules.registry import RuleMatch, environment_rule
from hosting.analysis.rules.services import (
    BALANCER,
    LISTENER,
    TASK,
    attributes,
    containers,
    find_listener_rules,
    forwards,
    listener_ports,
)
from hosting.analysis.rules.values import follow, listed, number
from hosting.model.tokens import Json

# Elastic Load Balancing User Guide, Security policies for your Application Load Balancer: TLS 1.2 and up, with forward
# secrecy for every client.
_TLS = {
    f"ELBSecurityPolicy-TLS13-{name}"
    for name in (
        "1-2-Res-2021-06",
        "1-2-2021-06",
        "1-3-2021-06",
        "1-2-Res-FIPS-2023-04",
        "1-2-FIPS-2023-04",
        "1-3-FIPS-2023-04",
        "1-2-Res-PQ-2025-09",
        "1-2-PQ-2025-09",
        "1-3-PQ-2025-09",
        "1-2-Res-FIPS-PQ-2025-09",
        "1-2-FIPS-PQ-2025-09",
        "1-3-FIPS-PQ-2025-09",
    )
}


@environment_rule(
    "APP-21",
    "HTTPS listeners have a certificate of their region and a strict TLS policy",
    why="Without SslPolicy CloudFormation uses the policy of 2016 with TLS 1.0. A certificate of us-east-1 is rejected "
    "(Elastic Load Balancing User Guide, Security policies).",
    hint="set SslPolicy ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09 and a certificate of the region",
)
def https_listeners(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for listener in env.of_type(LISTENER):
        if listener.get("Protocol") != "HTTPS":
            continue
        if listener.get("SslPolicy") not in _TLS:
            yield RuleMatch(listener, "Properties.SslPolicy", f"TLS policy {listener.get('SslPolicy')}")
        region = env.stacks[listener.stack].region
        for item in listed(listener.get("Certificates")):
            arn = item.get("CertificateArn")
            made = follow(env, arn, "AWS::CertificateManager::Certificate")
            home = env.stacks[made.stack].region if made else (str(arn).split(":") + [""] * 4)[3]
            if home != region:
                yield RuleMatch(
                    listener, "Properties.Certificates", f"certificate of {home or 'no region'} in {region}"
                )


@environment_rule(
    "APP-22",
    "Only requests with the secret header reach a service",
    why="CloudFront's prefix list admits the distributions of all accounts; the header identifies ours (Amazon "
    "CloudFront Developer Guide, Restrict access to Application Load Balancers).",
    hint="default to a fixed 403; in each forwarding rule a header condition and a path, at most 5 values, with a "
    "priority of its own",
)
def guarded_listeners(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for listener in env.of_type(LISTENER):
        fixed = listener.get("DefaultActions.0.FixedResponseConfig.StatusCode")
        if forwards(listener) or (listener.get("Protocol") == "HTTPS" and str(fixed) != "403"):
            yield RuleMatch(listener, "Properties.DefaultActions", "answers requests without the header")
        priorities: dict[str, str] = {}
        for rule in find_listener_rules(env, listener):
            yield from _rule_conditions(rule)
            priority = str(rule.get("Priority"))
            if priority in priorities:
                yield RuleMatch(rule, "Properties.Priority", f"{priority} is also of {priorities[priority]}")
            priorities[priority] = f"{rule.stack} {rule.logical_id}"


def _rule_conditions(rule: Resource) -> Iterator[RuleMatch]:
    conditions = listed(rule.get("Conditions"))
    values = [value for item in conditions for value in _condition_values(item)]
    if len(values) > 5:
        yield RuleMatch(rule, "Properties.Conditions", f"{len(values)} values")
    fields = {item.get("Field") for item in conditions}
    if forwards(rule) and not {"http-header", "path-pattern"} <= fields:
        yield RuleMatch(rule, "Properties.Conditions", "forwards without the header or without a path")


def _condition_values(item: Mapping[str, Json]) -> list[Json]:
    found = listed(item.get("Values"))
    for value in item.values():
        if isinstance(value, dict):
            found = found + listed(value.get("Values"))
    return found


# Elastic Load Balancing User Guide, Application Load Balancer attributes: those set here, and what they should be.
_ATTRIBUTES: dict[str, set[str] | None] = {
    "access_logs.s3.enabled": {"true"},
    "access_logs.s3.bucket": None,
    "access_logs.s3.prefix": None,
    "client_keep_alive.seconds": None,
    "connection_logs.s3.enabled": None,
    "connection_logs.s3.bucket": None,
    "connection_logs.s3.prefix": None,
    "deletion_protection.enabled": {"true", "false"},
    "idle_timeout.timeout_seconds": None,
    "routing.http.desync_mitigation_mode": {"strictest", "defensive"},
    "routing.http.drop_invalid_header_fields.enabled": {"true"},
    "routing.http.preserve_host_header.enabled": None,
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": None,
    "routing.http.xff_client_port.enabled": None,
    "routing.http.xff_header_processing.mode": None,
    "routing.http2.enabled": None,
    "waf.fail_open.enabled": {"false"},
    "zonal_shift.config.enabled": None,
}


_REQUIRED = ("routing.http.drop_invalid_header_fields.enabled", "deletion_protection.enabled", "access_logs.s3.enabled")


@environment_rule(
    "APP-23",
    "The load balancer's attributes exist and are strict",
    why="An unknown key is refused at creation, and the defaults accept malformed headers (Elastic Load Balancing User "
    "Guide, Application Load Balancer attributes).",
    hint="correct the key; drop invalid headers, mitigate desync, and log",
)
def balancer_attributes(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for balancer in env.of_type(BALANCER):
        given = attributes(balancer, "LoadBalancerAttributes")
        path = "Properties.LoadBalancerAttributes"
        for key, value in given.items():
            allowed = _ATTRIBUTES.get(key, set())
            if allowed is not None and value not in allowed:
                yield RuleMatch(
                    balancer, path, f"{key} {value}" if key in _ATTRIBUTES else f"there is no attribute {key}"
                )
        for key in _REQUIRED:
            if key not in given:
                yield RuleMatch(balancer, path, f"{key} is left to its default")
        if balancer.get("Scheme") != "internet-facing":
            yield RuleMatch(balancer, "Properties.Scheme", "CloudFront cannot reach it")


@environment_rule(
    "APP-32",
    "Plain HTTP is redirected to HTTPS",
    why="A visitor who types the address without https gets an answer, and no content without TLS (Elastic Load "
    "Balancing User Guide, Redirect actions).",
    hint="default the listener of port 80 to a redirect to HTTPS, port 443",
)
def http_redirects(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for balancer in env.of_type(BALANCER):
        if not {80, 443} <= set(listener_ports(env, balancer)):
            yield RuleMatch(balancer, "", "no listeners on 80 and 443")
    for listener in env.of_type(LISTENER):
        if listener.get("Protocol") != "HTTP":
            continue
        redirect = listener.get("DefaultActions.0.RedirectConfig", {})
        if redirect.get("Protocol") != "HTTPS" or str(redirect.get("Port")) != "443":
            yield RuleMatch(listener, "Properties.DefaultActions", "does not redirect to HTTPS")


@environment_rule(
    "APP-24",
    "Container Insights is on, and its log group is ours",
    why="The group /aws/ecs/containerinsights/<cluster>/performance is otherwise created by the service, without "
    "retention (Amazon CloudWatch User Guide, Container Insights).",
    hint="set containerInsights to enabled or enhanced, name the cluster, and create the log group before it",
)
def container_insights(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    groups = {str(group.get("LogGroupName")) for group in env.of_type(LOG_GROUP)}
    for cluster in env.of_type("AWS::ECS::Cluster"):
        settings = {item.get("Name"): item.get("Value") for item in listed(cluster.get("ClusterSettings"))}
        if settings.get("containerInsights") not in ("enabled", "enhanced"):
            yield RuleMatch(cluster, "Properties.ClusterSettings", f"insights are {settings.get('containerInsights')}")
        if f"/aws/ecs/containerinsights/{cluster.get('ClusterName')}/performance" not in groups:
            yield RuleMatch(cluster, "Properties.ClusterName", "the log group of Container Insights is not ours")
    for task in env.of_type(TASK):
        size = number(task.get("EphemeralStorage.SizeInGiB"))
        if size is not None and not 21 <= size <= 200:
            yield RuleMatch(task, "Properties.EphemeralStorage", f"{size:g} GiB")
        for index, container in containers(task):
            for variable in listed(container.get("Environment")):
                if not isinstance(variable.get("Value"), str):
                    path = f"Properties.ContainerDefinitions.{index}.Environment"
                    yield RuleMatch(task, path, f"{variable.get('Name')} is not text")


@environment_rule(
    "APP-25",
    "Certificates are validated by DNS without manual steps",
    why="Without a hosted zone the stack waits up to 72 hours until the DNS record is created by hand (CloudFormation "
    "Template Reference, AWS::CertificateManager::Certificate).",
    hint="set ValidationMethod DNS and a HostedZoneId for each domain, or pass a certificate's ARN",
)
def certificates(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for certificate in env.of_type("AWS::CertificateManager::Certificate"):
        names = [certificate.get("DomainName"), *listed(certificate.get("SubjectAlternativeNames"))]
        validated = {
            item.get("DomainName")
            for item in listed(certificate.get("DomainValidationOptions"))
            if item.get("HostedZoneId")
        }
        if certificate.get("ValidationMethod") != "DNS" or not set(names) <= validated:
            yield RuleMatch(certificate, "Properties.DomainValidationOptions", "a name is not validated by DNS")


@environment_rule(
    "APP-26",
    "Image repositories keep the images of running tasks",
    why="A rule that expires tagged images too early breaks the next scale-out, weeks later; a tag that can be moved "
    "changes what a revision means (Amazon ECR User Guide, Lifecycle policies).",
    hint="IMMUTABLE tags; expire untagged images by age, tagged ones only beyond 30 by count",
)
def repositories(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for repository in env.of_type("AWS::ECR::Repository"):
        if not str(repository.get("ImageTagMutability", "")).startswith("IMMUTABLE"):
            yield RuleMatch(repository, "Properties.ImageTagMutability", "tags can be moved")
        text = repository.get("LifecyclePolicy.LifecyclePolicyText")
        if text is None:
            continue
        for rule in json.loads(str(text)).get("rules", []):
            selection = rule.get("selection", {})
            many = (
                selection.get("countType") == "imageCountMoreThan" and (number(selection.get("countNumber")) or 0) >= 30
            )
            if selection.get("tagStatus") != "untagged" and not many:
                yield RuleMatch(repository, "Properties.LifecyclePolicy", "expires images that may still run")
