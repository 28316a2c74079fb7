"""Specifications of parameters that root and the companion stacks share. One parameter file serves all of them."""

from __future__ import annotations

from generator.wiring import ParameterSpec

# The prefix of names in Fn::Sub, from the first two parameters below.
NAME_PREFIX = "${Project}-${Environment}"
# CloudWatch Logs API Reference, "PutRetentionPolicy": there is no value between 14 and 30.
RETENTION_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365)

_DNS_NAME = r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}"
ACCOUNT = r"[0-9]{12}"
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"

PROJECT = ParameterSpec(
    "Project. It is the prefix of the names of all stacks, in every environment.",
    # The name of the database cluster contains the project, and RDS accepts no two hyphens in a row.
    pattern=r"^(?!.*--)[a-z][a-z0-9-]{0,10}[a-z0-9]$",
    constraint="2 to 12 characters: lower-case letters, digits and single hyphens. The first character is a letter.",
)
ENVIRONMENT = ParameterSpec(
    "Environment, such as dev or prod. prod requires a domain and keeps logs for 30 days.",
    pattern=r"^[a-z][a-z0-9]{1,7}$",
    constraint="2 to 8 characters: lower-case letters and digits. The first character is a letter.",
)
DOMAIN_NAME = ParameterSpec(
    "Domain of the site, such as www.example.com. Empty for the domain name of CloudFront.",
    default="",
    pattern=rf"^({_DNS_NAME})?$",
    constraint="A host name in lower case, such as www.example.com, or empty.",
)
REDIRECT_DOMAIN_NAME = ParameterSpec(
    "Second host name of the site, such as example.com for www.example.com. Its requests are redirected to DomainName. "
    "Empty for none.",
    default="",
    pattern=rf"^({_DNS_NAME})?$",
    constraint="A host name in lower case, such as example.com, or empty.",
)
HOSTED_ZONE_ID = ParameterSpec(
    "Route 53 public hosted zone of the domain. Empty if another provider hosts the DNS.",
    default="",
    pattern=r"^(Z[0-9A-Z]{7,31})?$",
    constraint="A hosted zone id such as Z0123456789ABCDEFGHIJ, or empty.",
)
VIEWER_CERTIFICATE_ARN = ParameterSpec(
    "Certificate of the domain in us-east-1. If it is empty and HostedZoneId is set, the stack creates one.",
    default="",
    pattern=rf"^(arn:aws[a-z-]*:acm:us-east-1:{ACCOUNT}:certificate/{UUID})?$",
    constraint="The ARN of an ACM certificate in us-east-1, or empty. CloudFront accepts no other region.",
)
LOG_RETENTION_DAYS = ParameterSpec(
    "Days for which CloudWatch Logs keeps log events: 1 or 3 in dev, 30 in prod.",
    allowed=RETENTION_DAYS,
    constraint="A retention period of CloudWatch Logs. There is none between 14 and 30 days.",
)
EDGE_TOPIC_ARN = ParameterSpec(
    "SNS topic of the alarms in us-east-1. An output of the edge stack.",
    pattern=rf"^arn:aws[a-z-]*:sns:us-east-1:{ACCOUNT}:[A-Za-z0-9_-]+$",
    constraint="The ARN of an SNS topic in us-east-1.",
)


def flag(description: str, default: str | None = None) -> ParameterSpec:
    """Return the specification of a parameter that is true or false."""
    return ParameterSpec(description, default=default, allowed=("true", "false"), constraint="true or false.")
