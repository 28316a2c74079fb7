"""CloudFront with its web ACL, the bucket that only CloudFront reads, the first pages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hosting.rehearsal.checks.base import Area, Deployed, Proof
from hosting.rehearsal.checks.services import SECRET_HEADER, origin_secret

proof = Area("distribution")

SORRY_PAGE = "/sorry/index.html"
# Status codes that CloudFront caches although the origin does not ask for it.
CACHED_ERRORS = {404, 414, 500, 501, 502, 503, 504}


def read_distribution_config(deployed: Deployed) -> dict[str, Any]:
    identifier = deployed.outputs["root"]["DistributionId"]
    reply = deployed.client("cloudfront").get_distribution_config(Id=identifier)
    config: dict[str, Any] = reply["DistributionConfig"]
    return config


def distribution(deployed: Deployed) -> Iterator[Proof]:
    """Check status, origin secret, protocols, error pages and aliases of the distribution."""
    identifier = deployed.outputs["root"]["DistributionId"]
    found = deployed.client("cloudfront").get_distribution(Id=identifier)["Distribution"]
    yield proof("the distribution is deployed", found["Status"] == "Deployed", found["DomainName"])
    config = read_distribution_config(deployed)
    origins = {origin["Id"]: origin for origin in config["Origins"]["Items"]}
    headers = {one["HeaderName"]: one["HeaderValue"] for one in origins["app"]["CustomHeaders"]["Items"]}
    matches = headers.get(SECRET_HEADER) == origin_secret(deployed)
    yield proof("CloudFront sends the secret the load balancer asks for", matches, f"{SECRET_HEADER} matches")
    behaviours = [config["DefaultCacheBehavior"], *config.get("CacheBehaviors", {}).get("Items", [])]
    policies = {behaviour["ViewerProtocolPolicy"] for behaviour in behaviours}
    yield proof("viewers are sent to HTTPS", policies <= {"redirect-to-https", "https-only"}, policies)
    errors = {int(one["ErrorCode"]): one for one in config.get("CustomErrorResponses", {}).get("Items", [])}
    shown = {code: one["ResponsePagePath"] for code, one in errors.items() if one.get("ResponsePagePath")}
    only = set(shown) <= {502, 503, 504} and set(shown.values()) <= {SORRY_PAGE}
    yield proof("only a failed origin shows the sorry page", only, shown)
    cached = {code: one.get("ErrorCachingMinTTL") for code, one in errors.items() if one.get("ErrorCachingMinTTL") != 0}
    yield proof("an error is not returned to other viewers", set(errors) >= CACHED_ERRORS and not cached, cached)
    domains = list(deployed.host_names)
    aliases = config.get("Aliases", {}).get("Items", [])
    yield proof("it answers to the domain", aliases == domains, aliases or "its own name only")
    if zone := deployed.parameter("HostedZoneId"):
        records = deployed.pages("route53", "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=zone)
        for domain in domains:
            targets = {
                record["Type"]: record["AliasTarget"]["DNSName"]
                for record in records
                if record["Name"] == f"{domain}." and "AliasTarget" in record
            }
            right = all(target.startswith(found["DomainName"]) for target in targets.values())
            yield proof(f"{domain} leads to it", {"A", "AAAA"} <= set(targets) and right, targets)


def web_acl(deployed: Deployed) -> Iterator[Proof]:
    """Check the web ACL's association, rules and logs."""
    waf = deployed.client("wafv2", deployed.edge)
    arn = deployed.outputs["edge"]["WebAclArn"]
    attached = read_distribution_config(deployed)["WebACLId"]
    yield proof("the web ACL of the edge stack is attached", attached == arn, attached)
    name, identifier = arn.split("/")[-2:]
    acl = waf.get_web_acl(Name=name, Scope="CLOUDFRONT", Id=identifier)["WebACL"]
    rules = [rule["Name"] for rule in acl["Rules"]]
    wanted = ("IpReputation", "Common", "KnownBadInputs", "SQLi", "Rate")
    missing = [part for part in wanted if not any(part in rule for rule in rules)]
    yield proof("it has every rule it should", not missing, missing or rules)
    logging = waf.get_logging_configuration(ResourceArn=arn)["LoggingConfiguration"]["LogDestinationConfigs"]
    yield proof("its decisions are logged", len(logging) == 1, logging)


def static_bucket(deployed: Deployed) -> Iterator[Proof]:
    """Check that only CloudFront can read the bucket, and that it is encrypted and versioned."""
    s3 = deployed.client("s3")
    bucket = deployed.outputs["root"]["StaticBucketName"]
    policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    allowed = [one for one in policy["Statement"] if one["Effect"] == "Allow"]
    arn = deployed.outputs["root"]["DistributionArn"]
    only = [
        one
        for one in allowed
        if one["Principal"] == {"Service": "cloudfront.amazonaws.com"}
        and one.get("Condition") == {"StringEquals": {"AWS:SourceArn": arn}}
    ]
    yield proof("only this distribution may read the bucket", allowed and only == allowed, f"AWS:SourceArn {arn}")
    origins = {origin["Id"]: origin for origin in read_distribution_config(deployed)["Origins"]["Items"]}
    control = origins["static"].get("OriginAccessControlId", "")
    yield proof("CloudFront signs its requests to it", control, control)
    block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    yield proof("nothing in it can become public", all(block.values()) and len(block) == 4, block)
    rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    algorithm = rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"]
    yield proof("it is encrypted and versioned", algorithm and versioned(deployed, bucket), algorithm)


def versioned(deployed: Deployed, bucket: str) -> bool:
    return bool(deployed.client("s3").get_bucket_versioning(Bucket=bucket).get("Status") == "Enabled")


def first_pages(deployed: Deployed) -> Iterator[Proof]:
    """Check the pages that the custom resource wrote."""
    s3 = deployed.client("s3")
    bucket = deployed.outputs["root"]["StaticBucketName"]
    behaviours = read_distribution_config(deployed).get("CacheBehaviors", {}).get("Items", [])
    for folder in (one["PathPattern"] for one in behaviours if one["TargetOriginId"] == "static"):
        key = folder.strip("/*") + "/index.html"
        found = s3.get_object(Bucket=bucket, Key=key)
        page = found["Body"].read().decode()
        title = page.partition("<title>")[2].partition("</title>")[0]
        html = found["ContentType"].startswith("text/html")
        seen = f'"{title}", {len(page)} bytes, {found["ContentType"]}'
        yield proof(f"the custom resource wrote {key}", html and title, seen)


CHECKS = (distribution, web_acl, static_bucket, first_pages)
