"""Each rule of CloudFront, its origins and DNS is shown to fail."""

# ruff: noqa: E501 -- one case on each line reads as a table

from __future__ import annotations

from typing import Any

import pytest

from hosting.analysis.rules import distribution

DISTRIBUTION, RECORD = "CloudFront::Distribution", "Route53::RecordSet"


def config(b: Any) -> dict[str, Any]:
    found: dict[str, Any] = b.one(DISTRIBUTION)["Properties"]["DistributionConfig"]
    return found


def origin(b: Any, key: str) -> dict[str, Any]:
    found: dict[str, Any] = next(item for item in config(b)["Origins"] if key in item)
    return found


def error_entry(b: Any, code: int) -> dict[str, Any]:
    found: dict[str, Any] = next(item for item in config(b)["CustomErrorResponses"] if item["ErrorCode"] == code)
    return found


def rules_on_https(b: Any) -> None:
    b.bodies["application.json"]["Outputs"]["OriginListenerArn"]["Value"] = {"Ref": "HttpsListener"}


def other_secret(b: Any) -> None:
    header = origin(b, "CustomOriginConfig")["OriginCustomHeaders"][0]
    header["HeaderValue"] = {"Fn::Sub": "{{resolve:secretsmanager:${Prefix}:SecretString}}"}


def rule_values(b: Any) -> list[Any]:
    conditions = b.one("ElasticLoadBalancingV2::ListenerRule", "X-Origin-Verify")["Properties"]["Conditions"]
    (values,) = (one["HttpHeaderConfig"]["Values"] for one in conditions if one["Field"] == "http-header")
    found: list[Any] = values
    return found


def literal_value(b: Any) -> None:
    rule_values(b)[1] = "a-value-that-anyone-can-read"


def one_value(b: Any) -> None:
    rule_values(b).pop()


# Rule, environment, what breaks it, and the rules that cannot be kept apart from it.
CASES: list[tuple[str, str, Any, set[str]]] = [
    ("DST-01", "lab", lambda b: config(b)["CacheBehaviors"][0].update(TargetOriginId="images"), set()),
    ("DST-02", "lab", lambda b: origin(b, "S3OriginConfig").pop("OriginAccessControlId"), set()),
    ("DST-02", "lab", lambda b: b.replace(DISTRIBUTION, "RegionalDomainName", "DomainName"), {"CF-31"}),
    ("DST-02", "lab", lambda b: b.put("CloudFront::OriginAccessControl", "OriginAccessControlConfig.SigningBehavior", "never"), set()),
    ("DST-03", "lab", lambda b: b.statement("S3::BucketPolicy", "ReadObjects").pop("Condition"), {"SEC-36"}),
    ("DST-03", "lab", lambda b: b.replace("S3::Bucket", "AES256", "aws:kms", has="static/"), set()),
    ("DST-04", "live", lambda b: b.replace("CertificateManager::Certificate", "origin.", "orders."), set()),
    ("DST-04", "live", lambda b: b.drop("CertificateManager::Certificate", "SubjectAlternativeNames", has="origin."), set()),
    ("DST-04", "lab", lambda b: origin(b, "CustomOriginConfig")["CustomOriginConfig"].update(OriginProtocolPolicy="match-viewer"), set()),
    ("DST-05", "lab", rules_on_https, set()),
    ("DST-06", "lab", lambda b: config(b).update(Aliases=["shop.example.org"]), set()),
    ("DST-06", "live", lambda b: config(b).update(ViewerCertificate={"AcmCertificateArn": {"Ref": "ViewerCertificateArn"}, "MinimumProtocolVersion": "TLSv1", "SslSupportMethod": "sni-only"}), set()),
    ("DST-07", "lab", lambda b: config(b)["DefaultCacheBehavior"].update(AllowedMethods=["GET", "POST"]), set()),
    ("DST-07", "lab", lambda b: config(b)["DefaultCacheBehavior"].update(ViewerProtocolPolicy="allow-all"), set()),
    ("DST-08", "lab", lambda b: error_entry(b, 504).update(ResponseCode=200), set()),
    ("DST-08", "lab", lambda b: error_entry(b, 502).update(ResponsePagePath="/error.html"), set()),
    ("DST-08", "lab", lambda b: error_entry(b, 500).update(ResponsePagePath="/sorry/index.html", ResponseCode=503), set()),
    ("DST-09", "lab", lambda b: b.put("CloudFront::Function", "AutoPublish", False), set()),
    ("DST-10", "lab", lambda b: config(b).update(Logging={"Bucket": "logs.s3.amazonaws.com"}), set()),
    ("DST-10", "lab", lambda b: b.put("Logs::DeliverySource", "ResourceArn", "arn:aws:cloudfront::1:distribution/E1"), set()),
    ("DST-11", "lab", lambda b: config(b).update(PriceClass="PriceClass_100"), set()),
    ("DST-12", "lab", lambda b: config(b)["DefaultCacheBehavior"].update(MinTTL=0), set()),
    ("DST-12", "lab", lambda b: config(b)["DefaultCacheBehavior"].update(CachePolicyId="658327ea-0000-4fab-a63d-7e88639e58f6"), set()),
    ("DST-13", "lab", lambda b: origin(b, "CustomOriginConfig")["CustomOriginConfig"].update(OriginReadTimeout=120), set()),
    ("DST-13", "lab", lambda b: config(b).update(DefaultRootObject="index.html"), set()),
    ("DST-15", "live", lambda b: b.replace(RECORD, "Z2FDTNDATAQYW2", "Z2FDTNDATAQYW3", has="\"Ref\": \"DomainName\""), set()),
    ("DST-15", "live", lambda b: b.replace(RECORD, "CanonicalHostedZoneID", "DNSName"), {"CF-31"}),
    ("DST-17", "lab", other_secret, set()),
    ("DST-17", "lab", lambda b: b.replace("ElasticLoadBalancingV2::ListenerRule", "X-Origin-Verify", "X-Verify"), set()),
    ("DST-17", "lab", literal_value, {"DST-27"}),
    ("DST-27", "lab", one_value, set()),
    ("DST-18", "lab", lambda b: config(b).update(Enabled=False), set()),
    ("DST-18", "lab", lambda b: config(b)["CacheBehaviors"][0].update(Compress=False), set()),
    ("DST-19", "lab", lambda b: b.replace("S3::BucketPolicy", "delivery.logs.", "delivery."), set()),
    ("DST-19", "lab", lambda b: b.drop("Logs::DeliveryDestination", "/DependsOn"), set()),
    ("DST-10", "lab", lambda b: b.remove("Logs::Delivery"), set()),
    ("DST-10", "lab", lambda b: b.replace("Logs::DeliveryDestination", "/cloudfront", "", has="AccessLogBucket"), set()),
    ("DST-20", "lab", lambda b: config(b)["DefaultCacheBehavior"].update(CachePolicyId="658327ea-f89d-4fab-a63d-7e88639e58f6"), set()),
    ("DST-21", "lab", lambda b: config(b)["DefaultCacheBehavior"].pop("ResponseHeadersPolicyId"), set()),
    ("DST-21", "lab", lambda b: b.drop("CloudFront::ResponseHeadersPolicy", "ResponseHeadersPolicyConfig.SecurityHeadersConfig.ContentSecurityPolicy", has="own content"), set()),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "environment", "damage", "also"), CASES, ids=[case[0] for case in CASES])
def test_rule_fails(check: Any, rule: str, environment: str, damage: Any, also: set[str]) -> None:
    check(rule, environment, damage, also)


def test_every_guard_is_shown_to_fail(guards_of: Any) -> None:
    assert {case[0] for case in CASES} == guards_of(distribution)
