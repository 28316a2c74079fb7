"""Reads the edge of the model: CloudFront, its protection, and its origins."""

from __future__ import annotations

import re
from typing import Any

from hosting.analysis.graph import model
from hosting.analysis.graph.lookup import BUCKET, FUNCTION, Lookup, is_true
from hosting.analysis.resolve import Resource


def edge(lookup: Lookup) -> model.Edge | None:
    """Return the distribution with its origins, or None if there is none."""
    distribution = lookup.first("AWS::CloudFront::Distribution")
    if distribution is None:
        return None
    config = distribution.get("DistributionConfig", {})
    origins_ = config.get("Origins", [])
    app = next((item for item in origins_ if "CustomOriginConfig" in item), None)
    static = next((item for item in origins_ if "S3OriginConfig" in item), None)
    acl = lookup.follow_one(config.get("WebACLId"), "AWS::WAFv2::WebACL")
    certificate = lookup.follow_one(config.get("ViewerCertificate"), "AWS::CertificateManager::Certificate")
    pages = {str(item["ErrorCode"]): item.get("ResponsePagePath") for item in config.get("CustomErrorResponses", [])}
    sorry = sorted(code for code, page in pages.items() if page)
    versions = str(config.get("HttpVersion", "")).removeprefix("http").replace("and", " and ")
    facts = [
        f"HTTP/{versions}" + (", IPv6" if is_true(config.get("IPV6Enabled")) else "") if versions else "",
        f"{', '.join(sorry)}: shows {pages[sorry[0]]}" if sorry else "",
    ]
    records = [
        item
        for item in lookup.all("AWS::Route53::RecordSet")
        if lookup.follow_one(item.get("AliasTarget"), distribution.type) == distribution
    ]
    return model.Edge(
        names=tuple(config.get("Aliases", [])),
        dns=bool(records),
        facts=tuple(item for item in facts if item),
        origin=app_origin(lookup, app) if app else None,
        static=static_site(lookup, static, config) if static else None,
        web_acl=web_acl(lookup, acl) if acl else None,
        certificate=str(certificate.get("DomainName")) if certificate else None,
    )


def app_origin(lookup: Lookup, origin: dict[str, Any]) -> model.AppOrigin:
    """Return the origin that is a load balancer."""
    balancer = "AWS::ElasticLoadBalancingV2::LoadBalancer"
    name = origin.get("DomainName")
    # The certificate needs a name of our domain, so a record may be between CloudFront and the load balancer.
    record = next((item for item in lookup.all("AWS::Route53::RecordSet") if item.get("Name") == name), None)
    through = lookup.follow_one(name, balancer) or (record and lookup.follow_one(record.get("AliasTarget"), balancer))
    policy = str(origin["CustomOriginConfig"].get("OriginProtocolPolicy", ""))
    headers = origin.get("OriginCustomHeaders", [])
    return model.AppOrigin(
        {"https-only": "HTTPS", "http-only": "HTTP"}.get(policy, "HTTP or HTTPS"),
        str(headers[0].get("HeaderName")) if headers else None,
        bool(through) or len(lookup.all(balancer)) == 1,
    )


def static_site(lookup: Lookup, origin: dict[str, Any], config: dict[str, Any]) -> model.StaticSite:
    """Return the origin that is a bucket."""
    behaviors = [item for item in config.get("CacheBehaviors", []) if item.get("TargetOriginId") == origin["Id"]]
    bucket = lookup.follow_one(origin.get("DomainName"), BUCKET)
    facts = []
    if bucket and bucket.get("PublicAccessBlockConfiguration.RestrictPublicBuckets"):
        facts.append("private")
    if bucket and bucket.get("VersioningConfiguration.Status") == "Enabled":
        facts.append("versioned")
    control = lookup.follow_one(origin.get("OriginAccessControlId"), "AWS::CloudFront::OriginAccessControl")
    # A custom resource names the bucket and its function.
    filler = next(
        (
            lookup.function(function).name
            for stack in lookup.env.stacks.values()
            for item in stack.resources.values()
            if bucket and item.get("BucketName") == bucket.ref
            for function in lookup.follow(item.get("ServiceToken"), FUNCTION)
        ),
        None,
    )
    paths = tuple(item["PathPattern"] for item in behaviors)
    return model.StaticSite(paths, control is not None, tuple(facts), filler)


def web_acl(lookup: Lookup, acl: Resource) -> model.WebAcl:
    logged = any(
        lookup.follow_one(item.get("ResourceArn"), acl.type) == acl
        for item in lookup.all("AWS::WAFv2::LoggingConfiguration")
    )
    rules = sorted(acl.get("Rules", []), key=lambda item: int(item.get("Priority", 0)))
    return model.WebAcl(tuple(_rule(item) for item in rules), logged)


def _rule(rule: dict[str, Any]) -> str:
    statement = rule.get("Statement", {})
    if "RateBasedStatement" in statement:
        limit = statement["RateBasedStatement"]
        minutes = int(limit.get("EvaluationWindowSec", 300)) / 60
        text = f"limit {limit.get('Limit')} in {minutes:g} min"
    else:
        group = statement.get("ManagedRuleGroupStatement", {}).get("Name", rule.get("Name", ""))
        short = re.sub(r"(RuleSet|List)$", "", group.removeprefix("AWSManagedRules"))
        # AmazonIpReputation -> Amazon IP reputation; SQLi stays whole.
        first, *rest = re.split(r"(?<=[a-z])(?=[A-Z])", short)
        text = " ".join([first, *("IP" if word == "Ip" else word.lower() for word in rest)])
    counts = "Count" in rule.get("OverrideAction", {}) or "Count" in rule.get("Action", {})
    return f"{text} (counts only)" if counts else text
