"""CloudFront, its origins, the static bucket, DNS: what answers visitors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from hosting.analysis.resolve import ResolvedEnvironment, Resource
from hosting.analysis.rules.buckets import BUCKET, algorithm, bucket_statements
from hosting.analysis.rules.registry import RuleMatch, environment_rule
from hosting.analysis.rules.services import (
    BALANCER,
    LISTENER,
    RULE,
    attributes,
    forwards,
    header_conditions,
)
from hosting.analysis.rules.values import (
    depends_on_resource,
    flag,
    follow,
    follow_all,
    is_attribute,
    listed,
    number,
)
from hosting.model.stack_order import EDGE_REGION
from hosting.model.tokens import Json

DISTRIBUTION = "AWS::CloudFront::Distribution"
CERTIFICATE = "AWS::CertificateManager::Certificate"


def configs(env: ResolvedEnvironment) -> Iterator[tuple[Resource, Mapping[str, Json]]]:
    for distribution in env.of_type(DISTRIBUTION):
        yield distribution, distribution.get("DistributionConfig", {})


def behaviors(config: Mapping[str, Json]) -> list[tuple[str, Mapping[str, Json]]]:
    """Return the default behavior and the others, each with its path."""
    base = "Properties.DistributionConfig"
    others = [(f"{base}.CacheBehaviors.{i}", item) for i, item in enumerate(listed(config.get("CacheBehaviors")))]
    return [(f"{base}.DefaultCacheBehavior", config.get("DefaultCacheBehavior", {})), *others]


def read_origins(config: Mapping[str, Json]) -> dict[str, tuple[str, Mapping[str, Json]]]:
    base = "Properties.DistributionConfig.Origins"
    return {str(item.get("Id")): (f"{base}.{i}", item) for i, item in enumerate(listed(config.get("Origins")))}


def is_s3(origin: Mapping[str, Json]) -> bool:
    return "S3OriginConfig" in origin


@environment_rule(
    "DST-01",
    "Every behaviour sends to an origin that exists",
    why="CloudFront refuses an unknown TargetOriginId when the distribution is created (Amazon CloudFront API "
    "Reference, CacheBehavior).",
    hint="use the Id of one of the Origins",
)
def target_origins(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for distribution, config in configs(env):
        groups = {item.get("Id") for item in listed(config.get("OriginGroups", {}).get("Items"))}
        for path, behavior in behaviors(config):
            if behavior.get("TargetOriginId") not in {*read_origins(config), *groups}:
                yield RuleMatch(distribution, f"{path}.TargetOriginId", f"no origin {behavior.get('TargetOriginId')}")


@environment_rule(
    "DST-02",
    "S3 origins are reached through an origin access control",
    why="The global name of a new bucket answers with redirects for hours; the access control needs an S3OriginConfig "
    "with an empty identity beside it (Amazon CloudFront Developer Guide, Restrict access to an Amazon S3 origin).",
    hint="DomainName from GetAtt RegionalDomainName, OriginAccessControlId, OriginAccessIdentity empty; sign always",
)
def origin_access(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for distribution, config in configs(env):
        for path, origin in read_origins(config).values():
            bucket = follow(env, origin.get("DomainName"), BUCKET)
            if bucket is None and not is_s3(origin):
                continue
            if bucket and not is_attribute(origin.get("DomainName"), "RegionalDomainName"):
                yield RuleMatch(distribution, f"{path}.DomainName", "not the bucket's regional name")
            control = follow(env, origin.get("OriginAccessControlId"), "AWS::CloudFront::OriginAccessControl")
            if control is None or origin.get("S3OriginConfig", {}).get("OriginAccessIdentity") != "":
                yield RuleMatch(distribution, path, "no origin access control, or an identity beside it")
            elif [
                control.get(f"OriginAccessControlConfig.{key}")
                for key in ("OriginAccessControlOriginType", "SigningBehavior", "SigningProtocol")
            ] != ["s3", "always", "sigv4"]:
                yield RuleMatch(control, "Properties.OriginAccessControlConfig", "does not sign every request")


@environment_rule(
    "DST-03",
    "Only our distribution may read the static bucket",
    why="The service principal includes the distributions of all accounts (Amazon CloudFront Developer Guide, "
    "Restrict access to an Amazon S3 origin).",
    hint="allow cloudfront.amazonaws.com s3:GetObject on <arn>/* with AWS:SourceArn equal to the distribution's ARN",
)
def bucket_for_distribution(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for distribution, config in configs(env):
        for path, origin in read_origins(config).values():
            bucket = follow(env, origin.get("DomainName"), BUCKET)
            if bucket is None:
                continue
            reading = [item for item in bucket_statements(env, bucket) if item.service("cloudfront")]
            bound = [
                item
                for item in reading
                if any(distribution in follow_all(env, source) for source in item.condition("aws:SourceArn"))
            ]
            if not any(
                item.allows("s3:GetObject") and any(text.endswith("/*") for text in item.resources) for item in bound
            ):
                yield RuleMatch(distribution, path, f"may not read {bucket.logical_id}")
            if len(bound) != len(reading):
                yield RuleMatch(bucket, "", "any distribution may read it")
            if algorithm(bucket) != "AES256":
                yield RuleMatch(bucket, "Properties.BucketEncryption", "CloudFront may not use the bucket's key")


def custom_origins(env: ResolvedEnvironment) -> Iterator[tuple[Resource, str, Mapping[str, Json]]]:
    for distribution, config in configs(env):
        for path, origin in read_origins(config).values():
            if "CustomOriginConfig" in origin:
                yield distribution, path, origin


@environment_rule(
    "DST-04",
    "The certificate of an HTTPS origin covers the origin and the site",
    why="CloudFront compares the certificate with the origin's name or with the Host header, which is the name of the "
    "site, and answers 502 if it does not match. No authority issues one for *.elb.amazonaws.com (Amazon CloudFront "
    "Developer Guide, HTTP 502 status code (Bad Gateway)).",
    hint="give the load balancer a name of the domain; name it and every alias in the load balancer's certificate",
)
def origin_names(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for distribution, path, origin in custom_origins(env):
        config = origin["CustomOriginConfig"]
        name = origin.get("DomainName")
        balancer = follow(env, name, BALANCER)
        if config.get("OriginProtocolPolicy") != "http-only" and (balancer or str(name).endswith(".elb.amazonaws.com")):
            yield RuleMatch(distribution, f"{path}.DomainName", "HTTPS to the load balancer's own name")
        if config.get("OriginProtocolPolicy") == "https-only":
            protocols = set(listed(config.get("OriginSSLProtocols")))
            if protocols != {"TLSv1.2"}:
                yield RuleMatch(distribution, f"{path}.CustomOriginConfig.OriginSSLProtocols", f"{sorted(protocols)}")
            aliases = listed(distribution.get("DistributionConfig.Aliases"))
            for host in (name, *aliases) if balancer is None else ():
                if not _named(env, str(host)):
                    yield RuleMatch(
                        distribution, f"{path}.DomainName", f"no certificate of the load balancer is for {host}"
                    )


def _named(env: ResolvedEnvironment, name: str) -> bool:
    """Return whether a load balancer's certificate covers a name, or is outside these templates (an ARN)."""
    for listener in env.of_type(LISTENER):
        for item in listed(listener.get("Certificates")):
            certificate = follow(env, item.get("CertificateArn"), CERTIFICATE)
            if certificate is None:
                return True
            names = [certificate.get("DomainName"), *listed(certificate.get("SubjectAlternativeNames"))]
            if name in names or f"*.{name.partition('.')[2]}" in names:
                return True
    return False


@environment_rule(
    "DST-05",
    "An HTTP origin is forwarded, not redirected",
    why="The listener of port 80 redirects to HTTPS, so CloudFront would redirect visitors in a circle (Amazon "
    "CloudFront Developer Guide, Troubleshooting).",
    hint="add a rule on port 80 that forwards requests with the secret header",
)
def no_redirect_loop(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    # Without a web service no request is forwarded at all.
    behind = [service for service in env.of_type("AWS::ECS::Service") if listed(service.get("LoadBalancers"))]
    for distribution, path, origin in custom_origins(env) if behind else ():
        if origin["CustomOriginConfig"].get("OriginProtocolPolicy") != "http-only":
            continue
        plain = [item for item in env.of_type(LISTENER) if item.get("Protocol") == "HTTP"]
        rules = [rule for rule in env.of_type(RULE) if follow(env, rule.get("ListenerArn")) in plain]
        if not any(forwards(rule) and header_conditions(rule) for rule in rules):
            yield RuleMatch(distribution, f"{path}.CustomOriginConfig", "port 80 redirects CloudFront")


@environment_rule(
    "DST-06",
    "The viewers' certificate fits the names of the site",
    why="A certificate must be in us-east-1; without one there are no other names, and the TLS version cannot be "
    "chosen (Amazon CloudFront Developer Guide, Requirements for using SSL/TLS certificates with CloudFront).",
    hint="with Aliases: AcmCertificateArn, sni-only, TLSv1.2_2021 or newer; without: CloudFrontDefaultCertificate",
)
def viewer_certificate(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for distribution, config in configs(env):
        given = config.get("ViewerCertificate", {})
        aliases = listed(config.get("Aliases"))
        path = "Properties.DistributionConfig.ViewerCertificate"
        arn = given.get("AcmCertificateArn")
        if arn is None:
            if aliases or "MinimumProtocolVersion" in given:
                yield RuleMatch(distribution, path, "the default certificate with names or a TLS version")
            continue
        made = follow(env, arn, CERTIFICATE)
        region = env.stacks[made.stack].region if made else (str(arn).split(":") + [""] * 4)[3]
        if region != EDGE_REGION:
            yield RuleMatch(distribution, path, f"certificate of {region or 'no region'}")
        if not aliases:
            yield RuleMatch(distribution, "Properties.DistributionConfig.Aliases", "a certificate, and no names")
        version = re.fullmatch(r"TLSv1\.[23]_(\d{4})", str(given.get("MinimumProtocolVersion")))
        if version is None or int(version[1]) < 2021 or given.get("SslSupportMethod") != "sni-only":
            yield RuleMatch(
                distribution, path, f"{given.get('MinimumProtocolVersion')}, {given.get('SslSupportMethod')}"
            )
        if made:
            names = {made.get("DomainName"), *listed(made.get("SubjectAlternativeNames"))}
            for alias in aliases:
                if alias not in names and f"*.{str(alias).partition('.')[2]}" not in names:
                    yield RuleMatch(distribution, "Properties.DistributionConfig.Aliases", f"{alias} is not in it")


_METHODS = ({"GET", "HEAD"}, {"GET", "HEAD", "OPTIONS"}, {"GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"})


@environment_rule(
    "DST-07",
    "Methods are one of CloudFront's three sets, and viewers use HTTPS",
    why="Other sets are refused, and so is writing through an origin group (Amazon CloudFront API Reference, "
    "AllowedMethods).",
    hint="GET and HEAD, these with OPTIONS, or all seven; ViewerProtocolPolicy redirect-to-https or https-only",
)
def methods(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for distribution, config in configs(env):
        groups = {item.get("Id") for item in listed(config.get("OriginGroups", {}).get("Items"))}
        for path, behavior in behaviors(config):
            allowed = set(listed(behavior.get("AllowedMethods"))) or {"GET", "HEAD"}
            if allowed not in _METHODS:
                yield RuleMatch(distribution, f"{path}.AllowedMethods", f"{sorted(allowed)} is no set of CloudFront")
            if behavior.get("TargetOriginId") in groups and "POST" in allowed:
                yield RuleMatch(distribution, f"{path}.AllowedMethods", "an origin group cannot be written to")
            if behavior.get("ViewerProtocolPolicy") not in ("redirect-to-https", "https-only"):
                yield RuleMatch(distribution, f"{path}.ViewerProtocolPolicy", "plain HTTP is served")


@environment_rule(
    "DST-08",
    "The sorry page replaces only responses of a failed origin, and comes from elsewhere",
    why="An error page is fetched through a behaviour: without one of its own CloudFront asks the dead origin; "
    "answered as 200 it is taken for the site (Amazon CloudFront Developer Guide, Generate custom error responses).",
    hint="map only 502, 503 and 504 to a page below a behaviour of the bucket, with code 503",
)
def sorry_page(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for distribution, config in configs(env):
        base = "Properties.DistributionConfig.CustomErrorResponses"
        served = [
            str(behavior.get("PathPattern", "")).lstrip("/")
            for _, behavior in behaviors(config)
            if is_s3(read_origins(config).get(str(behavior.get("TargetOriginId")), ("", {}))[1])
        ]
        for index, item in enumerate(listed(config.get("CustomErrorResponses"))):
            page = str(item.get("ResponsePagePath", "")).lstrip("/")
            code, answer = number(item.get("ErrorCode")) or 0, number(item.get("ResponseCode"))
            if page and code not in (502, 503, 504):
                yield RuleMatch(distribution, f"{base}.{index}", f"{code:g} of the app is hidden")
            if page and not any(re.fullmatch(pattern.replace("*", ".*"), page) for pattern in served if pattern):
                yield RuleMatch(
                    distribution, f"{base}.{index}.ResponsePagePath", f"/{page} comes from the failed origin"
                )
            if page and answer != 503:
                yield RuleMatch(distribution, f"{base}.{index}.ResponseCode", f"is answered as {answer}")


@environment_rule(
    "DST-09",
    "Edge functions are published and small enough",
    why="Without AutoPublish the live stage keeps the old code; above 10 KB the function is refused (Amazon CloudFront "
    "Developer Guide, Quotas).",
    hint="set AutoPublish to true",
)
def edge_functions(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for function in env.of_type("AWS::CloudFront::Function"):
        if not flag(function.get("AutoPublish")):
            yield RuleMatch(function, "Properties.AutoPublish", "is not published")
        if len(str(function.get("FunctionCode", "")).encode()) > 10_240:
            yield RuleMatch(function, "Properties.FunctionCode", "code above 10 KB")


@environment_rule(
    "DST-10",
    "Access logs are delivered without access lists, always to the same path",
    why="Legacy logging needs a bucket with access lists; deliveries of version 2 exist in us-east-1 only (Amazon "
    "CloudFront Developer Guide, Configure standard logging v2). Without a prefix in the ARN of the bucket the path of "
    "the logs changes at the first update (aws-cloudformation/cloudformation-coverage-roadmap, issue 2274).",
    hint="drop Logging; make DeliverySource, DeliveryDestination and Delivery in us-east-1; end DestinationResourceArn "
    "with a prefix, such as <bucket ARN>/cloudfront",
)
def access_logs(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    delivered = [
        source
        for delivery in env.of_type("AWS::Logs::Delivery")
        for source in follow_all(env, delivery.get("DeliverySourceName"), "AWS::Logs::DeliverySource")
    ]
    for distribution, config in configs(env):
        if "Logging" in config:
            yield RuleMatch(distribution, "Properties.DistributionConfig.Logging", "legacy logging")
        if not any(distribution in follow_all(env, source.get("ResourceArn")) for source in delivered):
            yield RuleMatch(distribution, "", "is not logged")
    for destination in env.of_type("AWS::Logs::DeliveryDestination"):
        arn = str(destination.get("DestinationResourceArn"))
        if follow_all(env, arn, BUCKET) and not re.search(r"/[^/<>]+$", arn):
            yield RuleMatch(destination, "Properties.DestinationResourceArn", "no prefix in the bucket")
    for item in env.of_type("AWS::Logs::DeliverySource", "AWS::Logs::Delivery", "AWS::Logs::DeliveryDestination"):
        if env.stacks[item.stack].region != EDGE_REGION:
            yield RuleMatch(item, "Type", f"in {env.stacks[item.stack].region}")


@environment_rule(
    "DST-11",
    "Visitors in Japan are served from Japan",
    why="PriceClass_100 leaves out Asia (Amazon CloudFront Developer Guide, Choose the price class).",
    hint="use PriceClass_200 or PriceClass_All",
)
def price_class(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for distribution, config in configs(env):
        if config.get("PriceClass") not in ("PriceClass_200", "PriceClass_All"):
            yield RuleMatch(distribution, "Properties.DistributionConfig.PriceClass", f"{config.get('PriceClass')}")


# Amazon CloudFront Developer Guide, Use managed cache, origin request and response headers policies.
_MANAGED = {
    "CachePolicyId": {
        "658327ea-f89d-4fab-a63d-7e88639e58f6",  # CachingOptimized
        "4135ea2d-6df8-44a3-9df3-4b5a84be39ad",  # CachingDisabled
        "b2884449-e4de-46a7-ac36-70bc7f1ddd6d",  # CachingOptimizedForUncompressedObjects
        "83da9c7e-98b4-4e11-a168-04f0df8e2c65",  # UseOriginCacheControlHeaders
        "4cc15a8a-d715-48a4-82b8-cc0b614638fe",  # UseOriginCacheControlHeaders-QueryStrings
    },
    "OriginRequestPolicyId": {
        "216adef6-5c7f-47e4-b989-5492eafa07d3",  # AllViewer
        "b689b0a8-53d0-40ab-baf2-68738e2966ac",  # AllViewerExceptHostHeader
        "33f36d7e-f396-46d9-90e0-52428a34d9dc",  # AllViewerAndCloudFrontHeaders-2022-06
        "88a5eaf4-2fd4-4709-b370-b4c650ea3fcf",  # CORS-S3Origin
        "59781a5b-3903-41f3-afcb-af62929ccde1",  # CORS-CustomOrigin
    },
    "ResponseHeadersPolicyId": {
        "67f7725c-6f97-4210-82d7-5512b31e9d03",  # SecurityHeadersPolicy
        "60669652-455b-4ae9-85a4-c4c02393f86c",  # SimpleCORS
        "e61eb60c-9c35-4d20-a928-2b84e02af89c",  # CORS-and-SecurityHeadersPolicy
        "5cc3b908-e619-4b99-88e5-2cf7f45965bd",  # CORS-With-Preflight
        "eaab4381-ed33-4a86-88ca-d9558dc6cd63",  # CORS-with-preflight-and-SecurityHeadersPolicy
    },
}
_LEGACY = {"ForwardedValues", "MinTTL", "MaxTTL", "DefaultTTL"}


# Managed policies that cache responses without regard to the origin's headers.
_KEEPS_ANSWERS = {"658327ea-f89d-4fab-a63d-7e88639e58f6", "b2884449-e4de-46a7-ac36-70bc7f1ddd6d"}


@environment_rule(
    "DST-20",
    "Answers of the application are not kept for other visitors",
    why="With a policy made for files CloudFront gives one visitor's page to the next: cookies are no part of the key "
    "(Amazon CloudFront Developer Guide, Use managed cache policies).",
    hint="use CachingDisabled, or a cache policy of our own",
)
def caching_follows_origin(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for distribution, config in configs(env):
        sources = read_origins(config)
        for path, behavior in behaviors(config):
            _, source = sources.get(str(behavior.get("TargetOriginId")), ("", {}))
            if source and not is_s3(source) and behavior.get("CachePolicyId") in _KEEPS_ANSWERS:
                yield RuleMatch(distribution, f"{path}.CachePolicyId", "keeps what the application answers")


# Headers of apps, and of files, whose content is known.
_APP_HEADERS = ("StrictTransportSecurity", "ContentTypeOptions", "ReferrerPolicy")
_FILE_HEADERS = (*_APP_HEADERS, "ContentSecurityPolicy", "FrameOptions")


@environment_rule(
    "DST-21",
    "Every response has the security headers that break no app, files have all",
    why="Browsers defend a visitor against injected scripts, frames and plain HTTP only where a header asks for it "
    "(Amazon CloudFront Developer Guide, Understand response headers policies).",
    hint="give every behaviour a response headers policy; one of a bucket with a CSP and frame options",
)
def security_headers(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for distribution, config in configs(env):
        sources = read_origins(config)
        for path, behavior in behaviors(config):
            policy = follow(env, behavior.get("ResponseHeadersPolicyId"), "AWS::CloudFront::ResponseHeadersPolicy")
            headers = policy.get("ResponseHeadersPolicyConfig.SecurityHeadersConfig", {}) if policy else {}
            files = is_s3(sources.get(str(behavior.get("TargetOriginId")), ("", {}))[1])
            missing = [key for key in (_FILE_HEADERS if files else _APP_HEADERS) if key not in headers]
            if missing:
                yield RuleMatch(distribution, f"{path}.ResponseHeadersPolicyId", f"sends no {', '.join(missing)}")


@environment_rule(
    "DST-12",
    "Behaviours use policies that exist, and nothing beside them",
    why="A cache policy excludes the legacy TTLs and ForwardedValues, and an unknown id is refused (Amazon CloudFront "
    "Developer Guide, Control the cache key with a policy).",
    hint="set CachePolicyId, and policies of ours or AWS's managed ones",
)
def policies(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for distribution, config in configs(env):
        for path, behavior in behaviors(config):
            if "CachePolicyId" not in behavior or _LEGACY & set(behavior):
                yield RuleMatch(distribution, f"{path}.CachePolicyId", "no cache policy, or legacy settings beside it")
            for key, known in _MANAGED.items():
                given = behavior.get(key)
                if given is not None and given not in known and not follow(env, given):
                    yield RuleMatch(distribution, f"{path}.{key}", f"unknown policy {given}")


@environment_rule(
    "DST-13",
    "Each side waits at least as long as the one before it",
    why="A load balancer that closes an idle connection before CloudFront gives up answers with 502 and 504 (Amazon "
    "CloudFront Developer Guide, Response timeout).",
    hint="idle timeout of the load balancer at or above OriginReadTimeout; DefaultRootObject only for S3",
)
def timeouts(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    idle = [
        number(attributes(balancer, "LoadBalancerAttributes").get("idle_timeout.timeout_seconds", 60)) or 60
        for balancer in env.of_type(BALANCER)
    ]
    for distribution, path, origin in custom_origins(env):
        waits_for = number(origin["CustomOriginConfig"].get("OriginReadTimeout", 30)) or 30
        if idle and waits_for > min(idle):
            yield RuleMatch(
                distribution, f"{path}.CustomOriginConfig.OriginReadTimeout", f"{waits_for:g} s, of {min(idle):g}"
            )
    for distribution, config in configs(env):
        default = str(config.get("DefaultCacheBehavior", {}).get("TargetOriginId"))
        if config.get("DefaultRootObject") and not is_s3(read_origins(config).get(default, ("", {}))[1]):
            yield RuleMatch(distribution, "Properties.DistributionConfig.DefaultRootObject", "is asked of the app")


CLOUDFRONT_ZONE = "Z2FDTNDATAQYW2"


@environment_rule(
    "DST-15",
    "Alias records name the zone of their target",
    why="CloudFront's alias zone is the same everywhere, a load balancer's is its own; another is refused (Amazon "
    "Route 53 Developer Guide, Values specific for simple alias records).",
    hint=f"{CLOUDFRONT_ZONE} for a distribution, GetAtt CanonicalHostedZoneID for a load balancer",
)
def alias_zones(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for record in env.of_type("AWS::Route53::RecordSet"):
        target = record.get("AliasTarget")
        if target is None:
            continue
        source = follow(env, target.get("DNSName"))
        zone = target.get("HostedZoneId")
        if source is None:
            yield RuleMatch(record, "Properties.AliasTarget.DNSName", "is no resource of ours")
        elif source.type == DISTRIBUTION and zone != CLOUDFRONT_ZONE:
            yield RuleMatch(record, "Properties.AliasTarget.HostedZoneId", f"{zone} is not CloudFront's")
        elif source.type == BALANCER and zone != source.att("CanonicalHostedZoneID"):
            yield RuleMatch(record, "Properties.AliasTarget.HostedZoneId", "is not the load balancer's")


@environment_rule(
    "DST-17",
    "CloudFront sends the secret header that the listener rules expect",
    why="A different name or secret on one side answers every visitor with 403 (Amazon CloudFront Developer Guide, "
    "Add custom headers to origin requests).",
    hint="use one header name and one secret on both sides; not X-Amz-... or X-Edge-...",
)
def secret_header(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    sent: set[tuple[str, str]] = set()
    for distribution, path, origin in custom_origins(env):
        headers = listed(origin.get("OriginCustomHeaders"))
        if not headers:
            yield RuleMatch(distribution, f"{path}.OriginCustomHeaders", "no secret header")
        for header in headers:
            name, value = str(header.get("HeaderName")), str(header.get("HeaderValue"))
            sent.add((name.lower(), value))
            if re.match(r"(x-amz-|x-edge-|host$|via$|connection$)", name, re.IGNORECASE):
                yield RuleMatch(distribution, f"{path}.OriginCustomHeaders", f"CloudFront refuses {name}")
            if "{{resolve:secretsmanager:" not in value:
                yield RuleMatch(distribution, f"{path}.OriginCustomHeaders", f"{name} is not a secret")
    for rule in env.of_type(RULE) if sent else []:
        for condition in header_conditions(rule):
            name = str(condition.get("HttpHeaderName")).lower()
            values = [str(value) for value in listed(condition.get("Values"))]
            if not any((name, value) in sent for value in values):
                yield RuleMatch(rule, "Properties.Conditions", f"CloudFront does not send {name} with this value")
            if any("{{resolve:secretsmanager:" not in value for value in values):
                yield RuleMatch(rule, "Properties.Conditions", f"accepts a value of {name} that is not a secret")


@environment_rule(
    "DST-27",
    "Every listener rule accepts two secret values",
    why="In a rotation CloudFront sends the second value before the first one is replaced. A rule that accepts one "
    "value refuses requests while CloudFront deploys the change to its edge locations (Amazon CloudFront Developer "
    "Guide, Update a distribution).",
    hint="give the rule the values of both origin secrets",
)
def rotation_without_refusal(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    """Yield rules that would refuse requests during a rotation of the origin secret."""
    accepted = [
        (rule, {str(value) for condition in conditions for value in listed(condition.get("Values"))})
        for rule in env.of_type(RULE)
        if (conditions := header_conditions(rule))
    ]
    by_all = set.intersection(*(values for _, values in accepted)) if accepted else set()
    for rule, values in accepted:
        if len(by_all) < 2 or values != by_all:
            yield RuleMatch(rule, "Properties.Conditions", f"accepts {len(values)} values, {len(by_all)} of all rules")


@environment_rule(
    "DST-18",
    "The distribution is on, and speaks current protocols",
    why="HTTP/2 and 3, compression and IPv6 cost nothing and are off, or old, by default (Amazon CloudFront Developer "
    "Guide, Distribution settings).",
    hint="set Enabled, HttpVersion http2and3, IPV6Enabled, and Compress on behaviours with a cache",
)
def modern_distribution(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for distribution, config in configs(env):
        if not flag(config.get("Enabled")) or config.get("HttpVersion") not in ("http2", "http2and3"):
            yield RuleMatch(distribution, "Properties.DistributionConfig", "is off, or speaks HTTP/1.1 only")
        for path, behavior in behaviors(config):
            if not flag(behavior.get("Compress")) and is_s3(
                read_origins(config).get(str(behavior.get("TargetOriginId")), ("", {}))[1]
            ):
                yield RuleMatch(distribution, f"{path}.Compress", "static files are not compressed")


@environment_rule(
    "DST-19",
    "Access logs may be delivered to their bucket",
    why="The delivery service writes with its own principal, and the bucket's policy decides (Amazon CloudWatch Logs "
    "User Guide, Logs sent to Amazon S3).",
    hint="allow delivery.logs.amazonaws.com s3:PutObject on the bucket's objects for this account; the destination "
    "waits for that policy",
)
def deliveries(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for destination in env.of_type("AWS::Logs::DeliveryDestination"):
        path = "Properties.DestinationResourceArn"
        # The ARN ends with a prefix in the bucket.
        bucket = next(iter(follow_all(env, destination.get("DestinationResourceArn"), BUCKET)), None)
        if bucket is None:
            continue
        if not any(
            item.service("delivery.logs")
            and item.allows("s3:PutObject")
            and (item.condition("aws:SourceAccount") or item.condition("aws:SourceArn"))
            for item in bucket_statements(env, bucket)
        ):
            yield RuleMatch(destination, path, f"may not write to {bucket.logical_id}")
        stack = env.stacks[destination.stack]
        for policy in stack.of_type("AWS::S3::BucketPolicy"):
            own = follow(env, policy.get("Bucket")) == bucket
            if own and not depends_on_resource(stack, destination, policy.logical_id):
                yield RuleMatch(destination, "DependsOn", f"does not wait for {policy.logical_id}")
