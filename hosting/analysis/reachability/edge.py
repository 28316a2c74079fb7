"""CloudFront, its origins, and the requests that the load balancer's listeners forward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hosting.analysis.reachability.network_model import BUCKET, LISTENER_RULE, TARGET_GROUP, Endpoint, NetworkModel
from hosting.analysis.reachability.traffic import Evidence
from hosting.analysis.resolve import Resource
from hosting.analysis.rules.values import Statement, flag, listed, number, statements
from hosting.model.tokens import Json

_CONFIG = "DistributionConfig"
_HTTPS_ONLY = ("redirect-to-https", "https-only")
_BLOCKS = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")


@dataclass(frozen=True)
class CloudFrontOrigin:
    """One origin of a distribution."""

    distribution: Resource
    index: int
    body: Mapping[str, Json]

    @property
    def path(self) -> str:
        return f"Properties.{_CONFIG}.Origins.{self.index}"

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports of the load balancer on which CloudFront calls this origin."""
        custom = self.body.get("CustomOriginConfig", {})
        plain, secure = number(custom.get("HTTPPort", 80)), number(custom.get("HTTPSPort", 443))
        used = {"http-only": [plain], "https-only": [secure]}.get(custom.get("OriginProtocolPolicy"), [plain, secure])
        return tuple(int(port) for port in used if port is not None)

    @property
    def headers(self) -> list[tuple[str, Json]]:
        """The headers that CloudFront adds to each request; names in lower case, as HTTP compares them."""
        return [
            (str(item.get("HeaderName")).lower(), item.get("HeaderValue"))
            for item in listed(self.body.get("OriginCustomHeaders"))
        ]


def list_origins(distribution: Resource) -> list[CloudFrontOrigin]:
    return [
        CloudFrontOrigin(distribution, index, body)
        for index, body in enumerate(listed(distribution.get(f"{_CONFIG}.Origins")))
    ]


def list_behaviors(distribution: Resource) -> list[tuple[str, Mapping[str, Json]]]:
    """Return the default behavior and the others, each with its path."""
    found = [(f"Properties.{_CONFIG}.DefaultCacheBehavior", distribution.get(f"{_CONFIG}.DefaultCacheBehavior", {}))]
    others = listed(distribution.get(f"{_CONFIG}.CacheBehaviors"))
    return found + [(f"Properties.{_CONFIG}.CacheBehaviors.{index}", item) for index, item in enumerate(others)]


def check_viewers(distribution: Resource) -> tuple[list[Evidence], list[Evidence]]:
    """Check the path from browsers to CloudFront. Return evidence and problems."""
    seen, wrong = [], []
    if not flag(distribution.get(f"{_CONFIG}.Enabled")):
        wrong.append(Evidence(distribution, f"Properties.{_CONFIG}.Enabled", "the distribution is disabled"))
    known = {origin.body.get("Id") for origin in list_origins(distribution)}
    for path, item in list_behaviors(distribution):
        name = item.get("PathPattern", "every other path")
        policy, target = item.get("ViewerProtocolPolicy"), item.get("TargetOriginId")
        if policy not in _HTTPS_ONLY:
            text = f"{name} accepts plain HTTP ({policy})"
            wrong.append(Evidence(distribution, f"{path}.ViewerProtocolPolicy", text))
        elif target not in known:
            wrong.append(Evidence(distribution, f"{path}.TargetOriginId", f"{name} has no origin ({target})"))
        else:
            seen.append(Evidence(distribution, path, f"{name} is answered over HTTPS, from origin {target}"))
    firewall = distribution.get(f"{_CONFIG}.WebACLId")
    if firewall:
        seen.append(Evidence(distribution, f"Properties.{_CONFIG}.WebACLId", "the web ACL inspects every request"))
    else:
        wrong.append(Evidence(distribution, f"Properties.{_CONFIG}", "no web ACL (WebACLId) is attached"))
    return seen, wrong


# --- To the load balancer ----------------------------------------------------------------------------------------


def find_origin(
    network: NetworkModel, distribution: Resource, endpoint: Endpoint
) -> tuple[CloudFrontOrigin, list[Evidence]] | None:
    """Return the origin that points to a load balancer, by its own name or by a DNS record, or None."""
    for origin in list_origins(distribution):
        name = origin.body.get("DomainName")
        seen = [Evidence(distribution, origin.path, f"calls the load balancer on port {_join_ports(origin.ports)}")]
        if network.follow(name) is endpoint.resource:
            return origin, seen
        for record in network.env.of_type("AWS::Route53::RecordSet"):
            written = str(record.get("Name", "")).rstrip(".")
            points_at = network.follow(record.get("AliasTarget.DNSName")) or network.follow(
                record.get("ResourceRecords.0")
            )
            named = str(name).rstrip(".") == written or network.follow(name) is record
            if named and points_at is endpoint.resource:
                return origin, [*seen, Evidence(record, "", f"names the load balancer {written}")]
    return None


def _join_ports(ports: tuple[int, ...]) -> str:
    return " or ".join(str(port) for port in ports)


@dataclass(frozen=True)
class Forward:
    """A listener's rule, or its default action, that sends requests to target groups."""

    listener: Resource
    resource: Resource
    path: str
    conditions: tuple[Mapping[str, Json], ...]
    targets: tuple[Resource, ...]

    @property
    def paths(self) -> list[str]:
        return [
            str(value)
            for item in self.conditions
            if item.get("Field") == "path-pattern"
            for value in listed(item.get("PathPatternConfig", {}).get("Values", item.get("Values")))
        ]

    @property
    def headers(self) -> list[tuple[str, tuple[Json, ...]]]:
        """The required header names, each with the accepted values."""
        return [
            (str(config.get("HttpHeaderName")).lower(), tuple(listed(config.get("Values"))))
            for item in self.conditions
            if item.get("Field") == "http-header" and (config := item.get("HttpHeaderConfig", {}))
        ]


def list_forwards(network: NetworkModel, listener: Resource) -> list[Forward]:
    """Return the rules of a listener that forward requests. Redirects and fixed responses reach no target."""
    found = []
    if arns := _target_arns(listed(listener.get("DefaultActions"))):
        path = "Properties.DefaultActions"
        found.append(Forward(listener, listener, path, (), tuple(network.follow_all(arns, TARGET_GROUP))))
    rules = network.find(LISTENER_RULE, lambda item: network.refers_to(item.get("ListenerArn"), listener))
    found += [
        Forward(
            listener, rule, "", tuple(listed(rule.get("Conditions"))), tuple(network.follow_all(arns, TARGET_GROUP))
        )
        for rule in rules
        if (arns := _target_arns(listed(rule.get("Actions"))))
    ]
    return found


def _target_arns(actions: list[Mapping[str, Json]]) -> list[Json]:
    """Return the target groups of forward actions, one or several with weights."""
    forwarding = [action for action in actions if action.get("Type") == "forward"]
    several = [item for action in forwarding for item in listed(action.get("ForwardConfig", {}).get("TargetGroups"))]
    return [arn for item in [*forwarding, *several] if (arn := item.get("TargetGroupArn"))]


def requires_secret(forward: Forward, origin: CloudFrontOrigin) -> bool:
    """Return whether a rule forwards only requests with the secret header that CloudFront adds for this origin.

    The rule may accept other values of the header, if they are secrets too: CloudFront sends one after a rotation.
    """
    return any(
        any((name, value) in origin.headers for value in values)
        and all("{{resolve:secretsmanager:" in str(value) for value in values)
        for name, values in forward.headers
    )


def forwards_to(forward: Forward, service: Endpoint, network: NetworkModel) -> bool:
    wanted = [
        network.follow(entry.get("TargetGroupArn"), TARGET_GROUP)
        for entry in listed(service.resource.get("LoadBalancers"))
    ]
    return any(target is item for target in forward.targets for item in wanted)


# --- To buckets --------------------------------------------------------------------------------------------------


def list_bucket_origins(network: NetworkModel, distribution: Resource) -> list[tuple[CloudFrontOrigin, Resource]]:
    return [
        (origin, bucket)
        for origin in list_origins(distribution)
        if (bucket := network.follow(origin.body.get("DomainName"), BUCKET))
    ]


def check_signed_reads(
    network: NetworkModel, origin: CloudFrontOrigin, bucket: Resource
) -> tuple[list[Evidence], list[Evidence]]:
    """Check that CloudFront signs its requests to a bucket, and that the bucket allows this distribution to read."""
    seen, wrong = [], []
    control = network.follow(origin.body.get("OriginAccessControlId"), "AWS::CloudFront::OriginAccessControl")
    config = control.get("OriginAccessControlConfig", {}) if control else {}
    if control and (config.get("SigningBehavior"), config.get("SigningProtocol")) == ("always", "sigv4"):
        seen.append(Evidence(control, "", "signs every request to the bucket (origin access control)"))
    else:
        shown = Evidence(control, "", "does not sign every request") if control else None
        wrong.append(shown or Evidence(origin.distribution, origin.path, "has no origin access control"))
    policy, found = _policy(network, bucket)
    ours = [item for item in found if _is_distribution(network, item, origin.distribution)]
    reading = [item for item in ours if item.allows("s3:GetObject")]
    if policy and reading:
        path = f"Properties.PolicyDocument.Statement.{reading[0].index}"
        seen.append(
            Evidence(policy, path, f"allows only {origin.distribution.logical_id} to read, no other distribution")
        )
    else:
        wrong.append(Evidence(policy or bucket, "", f"does not allow {origin.distribution.logical_id} to read"))
    return seen, wrong


def check_bucket_is_private(network: NetworkModel, bucket: Resource) -> tuple[list[Evidence], list[Evidence]]:
    """Check that only AWS services on behalf of this account can read a bucket."""
    wrong = []
    path = "Properties.PublicAccessBlockConfiguration"
    missing = [name for name in _BLOCKS if not flag(bucket.get(f"PublicAccessBlockConfiguration.{name}"))]
    if missing:
        wrong.append(Evidence(bucket, path, f"does not block public access ({', '.join(missing)})"))
    policy, found = _policy(network, bucket)
    for item in found:
        if item.effect == "Allow" and not _is_restricted(item) and policy:
            where = f"Properties.PolicyDocument.Statement.{item.index}"
            wrong.append(Evidence(policy, where, "allows a principal without a condition on account or resource"))
    seen = [] if missing else [Evidence(bucket, path, "blocks every kind of public access")]
    if policy:
        seen.append(Evidence(policy, "", "allows only AWS services, restricted to this account or resource"))
    return seen, wrong


def _policy(network: NetworkModel, bucket: Resource) -> tuple[Resource | None, list[Statement]]:
    for policy in network.find("AWS::S3::BucketPolicy", lambda item: network.refers_to(item.get("Bucket"), bucket)):
        return policy, statements(policy.get("PolicyDocument"))
    return None, []


def _is_restricted(statement: Statement) -> bool:
    """Return whether all principals are services, restricted to this account, a resource or an organization."""
    keys = ("aws:SourceArn", "aws:SourceAccount", "aws:SourceOrgID")
    return set(statement.principals) == {"Service"} and any(statement.condition(key) for key in keys)


def _is_distribution(network: NetworkModel, statement: Statement, distribution: Resource) -> bool:
    return (
        statement.effect == "Allow"
        and statement.principals.get("Service") == ["cloudfront.amazonaws.com"]
        and bool(sources := statement.condition("aws:SourceArn"))
        and all(network.env.resources_in(source) == [distribution] for source in sources)
    )
