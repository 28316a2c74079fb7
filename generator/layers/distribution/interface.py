"""Configuration, inputs and outputs of the layer ``distribution``."""

from typing import Annotated

from generator import value_types as v
from generator.edge_settings import Edge
from generator.interfaces import SiteDomain
from generator.resources.lambda_functions import FunctionInputs, Size
from generator.wiring import FrozenConfig, StackInterface


class Config(FrozenConfig):
    """Configuration of the distribution."""

    edge: Edge
    # The labels of host names below the domain.
    hosts: tuple[str, ...] = ()
    sorry_page: str = "/sorry/index.html"
    # PriceClass_100 does not contain Japan.
    price_class: str = "PriceClass_200"
    static_content_security_policy: str = (
        "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; "
        "base-uri 'self'; form-action 'self'; frame-ancestors 'none'; upgrade-insecure-requests"
    )
    site_content: Size = Size(memory=256, timeout=240)
    # A little longer than the timeout of the function. CloudFormation's default is one hour.
    site_content_service_timeout: int = 300


class Inputs(FunctionInputs):
    """Parameters of the nested stack."""

    domain: SiteDomain
    viewer_certificate_arn: v.ViewerCertificateArn
    web_acl_arn: v.WebAclArn
    empty_bucket_on_delete: Annotated[v.Flag, "true if deleting the stack also deletes the static files."]
    custom_resource_code_key: v.CustomResourceCodeKey
    access_log_bucket_name: v.AccessLogBucketName
    origin_host_name: v.OriginHostName
    origin_secret_arn: v.OriginSecretArn


class Outputs(StackInterface):
    """Outputs of the nested stack."""

    distribution_id: v.DistributionId
    distribution_arn: v.DistributionArn
    site_url: v.SiteUrl
    static_bucket_name: v.StaticBucketName
    site_content_function_name: v.FunctionName
