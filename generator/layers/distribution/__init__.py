"""Distribution: the public side of the site: CloudFront, the bucket of static files and of the sorry page, DNS records.

CloudFront accepts a web ACL and a viewer certificate only from us-east-1, so the ``edge`` stack contains them. The
command ``deploy.py site`` uploads the real static files.
"""

from troposphere import And, Condition, Equals, If, Not, Sub, Template

from generator import value_types as v
from generator.layers.distribution.cloudfront import (
    add_records,
    app_behavior,
    cloudfront_distribution,
    index_function,
    static_behavior,
    viewer_function,
)
from generator.layers.distribution.interface import Config, Inputs, Outputs
from generator.layers.distribution.policies import app_headers, app_request_policy, static_headers
from generator.layers.distribution.static_site import (
    add_site_content,
    origin_access_control,
    origin_access_statements,
    static_bucket,
)
from generator.resources.s3 import bucket_policy
from generator.wiring import Layer

__all__ = ["LAYER", "Config", "Inputs", "Outputs", "build"]


def build(t: Template, config: Config, inputs: Inputs) -> Outputs:
    """Add CloudFront, the static bucket, the DNS records and the function that writes the first pages."""
    add_conditions(t, inputs)
    bucket = t.add_resource(static_bucket(inputs))
    access = t.add_resource(origin_access_control())
    headers = t.add_resource(static_headers(config))
    index = t.add_resource(index_function())
    app = app_behavior(
        t.add_resource(app_request_policy()),
        t.add_resource(app_headers(config.edge)),
        t.add_resource(viewer_function()),
    )
    # With the app's behavior CloudFront would request the sorry page from the failed load balancer.
    static = tuple(static_behavior(f"{path}*", headers, index) for path in config.edge.bucket_paths)
    distribution = t.add_resource(cloudfront_distribution(config, inputs, bucket, access, app, static))
    policy = t.add_resource(bucket_policy(bucket, *origin_access_statements(distribution, bucket)))
    add_records(t, config, inputs, distribution)
    function = add_site_content(t, config, inputs, bucket, policy)
    return Outputs(
        distribution_id=v.DistributionId(distribution.ref()),
        distribution_arn=v.DistributionArn(
            Sub(f"arn:${{AWS::Partition}}:cloudfront::${{AWS::AccountId}}:distribution/${{{distribution.title}}}")
        ),
        site_url=v.SiteUrl(
            If(
                "HasDomain",
                Sub("https://${DomainName}"),
                Sub(f"https://${{{distribution.title}.DomainName}}"),
            )
        ),
        static_bucket_name=v.StaticBucketName(bucket.ref()),
        site_content_function_name=v.FunctionName(function.function.ref()),
    )


def add_conditions(t: Template, inputs: Inputs) -> None:
    t.add_condition("HasDomain", Not(Equals(inputs.domain.domain_name, "")))
    t.add_condition("HasHostedZone", And(Condition("HasDomain"), Not(Equals(inputs.domain.hosted_zone_id, ""))))
    t.add_condition("HasRedirect", And(Condition("HasDomain"), Not(Equals(inputs.domain.redirect_domain_name, ""))))
    t.add_condition("HasRedirectRecord", And(Condition("HasHostedZone"), Condition("HasRedirect")))
    t.add_condition("EmptiesBucket", Equals(inputs.empty_bucket_on_delete, "true"))


LAYER = Layer("Distribution", "Distribution: CloudFront, static bucket, DNS, initial pages.", Inputs, Outputs, build)
