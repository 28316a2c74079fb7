"""Buckets of workloads."""

from __future__ import annotations

from typing import Any

from troposphere import Equals, If, Not, Sub, Template
from troposphere.s3 import CorsConfiguration, CorsRules

from generator import value_types as v
from generator.layers.stores.interface import Inputs
from generator.resources.s3 import bucket_policy, lifecycle_rule, private_bucket
from generator.wiring import StackValue
from generator.workloads import Bucket

# Time in seconds for which a browser remembers that it may send files.
CORS_SECONDS = 3600


def add_bucket(t: Template, store: Bucket, inputs: Inputs) -> dict[str, StackValue]:
    """Add a bucket and its policy. Returns its outputs by name.

    It uses SSE-S3: a customer managed key would also encrypt what browsers upload with presigned requests, and every
    reader would need the key.
    """
    optional: dict[str, Any] = {}
    if store.browser_uploads:
        t.add_condition("HasDomain", Not(Equals(inputs.domain_name, "")))
        optional["CorsConfiguration"] = CorsConfiguration(CorsRules=[upload_rule()])
    expiry = {"ExpirationInDays": store.expire_days} if store.expire_days else {}
    bucket = t.add_resource(
        private_bucket(
            store.logical_id,
            data="app bucket",
            rules=[lifecycle_rule("Expire" if expiry else "EndOldVersions", **expiry)],
            access_logs=(inputs.access_log_bucket_name, f"{store.slug}/"),
            **optional,
        )
    )
    t.add_resource(bucket_policy(bucket))
    return {
        f"{store.logical_id}Name": v.StoreAddress(bucket.ref()),
        f"{store.logical_id}Arn": v.StoreArn(bucket.get_att("Arn")),
    }


def upload_rule() -> CorsRules:
    """Return the rule for pages of the site. Without a domain the name of the distribution is not known yet.

    The signature of a request decides what it may write. The origin only decides whether a browser sends it.
    """
    return CorsRules(
        AllowedOrigins=[If("HasDomain", Sub("https://${DomainName}"), "https://*.cloudfront.net")],
        AllowedMethods=["GET", "PUT", "POST"],
        AllowedHeaders=["*"],
        ExposedHeaders=["ETag"],
        MaxAge=CORS_SECONDS,
    )
