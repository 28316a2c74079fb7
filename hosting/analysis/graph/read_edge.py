"""The edge of the model: CloudFront, what it protects itself with, and where it fetches from."""

from __future__ import annotations

import re
from typing import Any

from hosting.analysis.graph import model
from hosting.analysis.graph.lookup import BUCKET, FUNCTION, Lookup, true
from hosting.analysis.resolve import Resource


def edge(look: Lookup) -> model.Edge | None:
    distribution = look.first("AWS::CloudFront::Distribution")
    if distribution is None:
        return None
    config = distribution.get("DistributionConfig", {})
    origins_ = config.get("Origins", [])
    app = next((item for item in origins_ if "CustomOriginConfig" in item), None)
    static = next((item for item in origins_ if "S3OriginConfig" in item), None)
    acl = look.one(config.get("WebACLId"), "AWS::WAFv2::WebACL")
    certificate = look.one(config.get("ViewerCertificate"), "AWS::CertificateManager::Certificate")
    sorry = sorted({str(item["ErrorCode"]) for item in config.get("CustomErrorResponses", [])})
    page = next((item.get("ResponsePagePath") for item in config.get("CustomErrorResponses", [])), "")
    versions = str(config.get("HttpVersion", "")).removeprefix("http").replace("and", " and ")
    facts = [
        f"HTTP/{versions}" + (", IPv6" if true(config.get("IPV6Enabled")) else "") if versions else "",
        f"{', '.join(sorry)}: shows {page}" if sorry else "",
    ]
    records = [
        item
        for item in look.all("AWS::Route53::RecordSet")
        if look.one(item.get("AliasTarget"), distribution.type) == distribution
    ]
    return model.Edge(
        names=tuple(config.get("Aliases", [])),
        dns=bool(records),
        facts=tuple(item for item in facts if item),
        origin=app_origin(look, app) if app else None,
        static=static_site(look, static, config) if static else None,
        web_acl=web_acl(look, acl) if acl else None,
        certificate=str(certificate.get("DomainName")) if certificate else None,
    )


def app_origin(look: Lookup, origin: dict[str, Any]) -> model.Origin:
    balancer = "AWS::ElasticLoadBalancingV2::LoadBalancer"
    name = origin.get("DomainName")
    # Its certificate needs a name of ours: then a record stands between CloudFront and the load balancer.
    record = next((item for item in look.all("AWS::Route53::RecordSet") if item.get("Name") == name), None)
    through = look.one(name, balancer) or (record and look.one(record.get("AliasTarget"), balancer))
    policy = str(origin["CustomOriginConfig"].get("OriginProtocolPolicy", ""))
    headers = origin.get("OriginCustomHeaders", [])
    return model.Origin(
        {"https-only": "HTTPS", "http-only": "HTTP"}.get(policy, "HTTP or HTTPS"),
        str(headers[0].get("HeaderName")) if headers else None,
        bool(through) or len(look.all(balancer)) == 1,
    )


def static_site(look: Lookup, origin: dict[str, Any], config: dict[str, Any]) -> model.StaticSite:
    behaviors = [item for item in config.get("CacheBehaviors", []) if item.get("TargetOriginId") == origin["Id"]]
    bucket = look.one(origin.get("DomainName"), BUCKET)
    facts = []
    if bucket and bucket.get("PublicAccessBlockConfiguration.RestrictPublicBuckets"):
        facts.append("private")
    if bucket and bucket.get("VersioningConfiguration.Status") == "Enabled":
        facts.append("versioned")
    control = look.one(origin.get("OriginAccessControlId"), "AWS::CloudFront::OriginAccessControl")
    # A custom resource of ours names the bucket and the function that it runs.
    filler = next(
        (
            look.function(function).name
            for stack in look.env.stacks.values()
            for item in stack.resources.values()
            if bucket and item.get("BucketName") == bucket.ref
            for function in look.behind(item.get("ServiceToken"), FUNCTION)
        ),
        None,
    )
    paths = tuple(item["PathPattern"] for item in behaviors)
    return model.StaticSite(paths, control is not None, tuple(facts), filler)


def web_acl(look: Lookup, acl: Resource) -> model.WebAcl:
    logged = any(
        look.one(item.get("ResourceArn"), acl.type) == acl for item in look.all("AWS::WAFv2::LoggingConfiguration")
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
