"""CloudFront, its origins, and what the load balancer's listeners forward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hosting.analysis.reachability.network_model import BUCKET, LISTENER_RULE, TARGET_GROUP, Place, World
from hosting.analysis.reachability.traffic import Evidence
from hosting.analysis.resolve import Resource
from hosting.analysis.rules.values import Statement, flag, listed, number, statements
from hosting.model.tokens import Json

_CONFIG = "DistributionConfig"
_HTTPS_ONLY = ("redirect-to-https", "https-only")
_BLOCKS = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")


@dataclass(frozen=True)
class Origin:
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
        """What CloudFront adds to each request; the name as HTTP compares it."""
        return [
            (str(item.get("HeaderName")).lower(), item.get("HeaderValue"))
            for item in listed(self.body.get("OriginCustomHeaders"))
        ]


def origins_of(distribution: Resource) -> list[Origin]:
    return [
        Origin(distribution, index, body) for index, body in enumerate(listed(distribution.get(f"{_CONFIG}.Origins")))
    ]


def behaviours(distribution: Resource) -> list[tuple[str, Mapping[str, Json]]]:
    """The default behaviour and the others, each with its path."""
    found = [(f"Properties.{_CONFIG}.DefaultCacheBehavior", distribution.get(f"{_CONFIG}.DefaultCacheBehavior", {}))]
    others = listed(distribution.get(f"{_CONFIG}.CacheBehaviors"))
    return found + [(f"Properties.{_CONFIG}.CacheBehaviors.{index}", item) for index, item in enumerate(others)]


def viewers(distribution: Resource) -> tuple[list[Evidence], list[Evidence]]:
    """From browsers to CloudFront: what carries it, and what is wrong with it."""
    seen, wrong = [], []
    if not flag(distribution.get(f"{_CONFIG}.Enabled")):
        wrong.append(Evidence(distribution, f"Properties.{_CONFIG}.Enabled", "the distribution is switched off"))
    known = {origin.body.get("Id") for origin in origins_of(distribution)}
    for path, item in behaviours(distribution):
        name = item.get("PathPattern", "everything else")
        policy, target = item.get("ViewerProtocolPolicy"), item.get("TargetOriginId")
        if policy not in _HTTPS_ONLY:
            says = f"{name} may be asked for in plain HTTP ({policy})"
            wrong.append(Evidence(distribution, f"{path}.ViewerProtocolPolicy", says))
        elif target not in known:
            wrong.append(Evidence(distribution, f"{path}.TargetOriginId", f"{name} goes to no origin ({target})"))
        else:
            seen.append(Evidence(distribution, path, f"{name} is answered over HTTPS, from origin {target}"))
    firewall = distribution.get(f"{_CONFIG}.WebACLId")
    if firewall:
        seen.append(Evidence(distribution, f"Properties.{_CONFIG}.WebACLId", "every request passes the firewall first"))
    else:
        wrong.append(Evidence(distribution, f"Properties.{_CONFIG}", "no firewall (WebACLId) is attached"))
    return seen, wrong


# --- To the load balancer ----------------------------------------------------------------------------------------


def origin_of(world: World, distribution: Resource, place: Place) -> tuple[Origin, list[Evidence]] | None:
    """The origin that leads to a load balancer, by its own name or by a DNS record that points to it."""
    for origin in origins_of(distribution):
        name = origin.body.get("DomainName")
        seen = [Evidence(distribution, origin.path, f"calls the load balancer on port {_either(origin.ports)}")]
        if world.behind(name) is place.resource:
            return origin, seen
        for record in world.env.of_type("AWS::Route53::RecordSet"):
            written = str(record.get("Name", "")).rstrip(".")
            points_at = world.behind(record.get("AliasTarget.DNSName")) or world.behind(record.get("ResourceRecords.0"))
            named = str(name).rstrip(".") == written or world.behind(name) is record
            if named and points_at is place.resource:
                return origin, [*seen, Evidence(record, "", f"names the load balancer {written}")]
    return None


def _either(ports: tuple[int, ...]) -> str:
    return " or ".join(str(port) for port in ports)


@dataclass(frozen=True)
class Forward:
    """A listener's rule, or its default, that sends requests to target groups."""

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
        """Header names that have to be there, each with the values of which one has to match."""
        return [
            (str(config.get("HttpHeaderName")).lower(), tuple(listed(config.get("Values"))))
            for item in self.conditions
            if item.get("Field") == "http-header" and (config := item.get("HttpHeaderConfig", {}))
        ]


def forwards(world: World, listener: Resource) -> list[Forward]:
    """Everything that a listener passes on. What it answers itself (a redirect, a refusal) reaches nobody."""
    found = []
    if arns := _target_arns(listed(listener.get("DefaultActions"))):
        path = "Properties.DefaultActions"
        found.append(Forward(listener, listener, path, (), tuple(world.all_behind(arns, TARGET_GROUP))))
    rules = world.find(LISTENER_RULE, lambda item: world.same(item.get("ListenerArn"), listener))
    found += [
        Forward(listener, rule, "", tuple(listed(rule.get("Conditions"))), tuple(world.all_behind(arns, TARGET_GROUP)))
        for rule in rules
        if (arns := _target_arns(listed(rule.get("Actions"))))
    ]
    return found


def _target_arns(actions: list[Mapping[str, Json]]) -> list[Json]:
    """Where actions forward to, one target group or several with weights; no action of another kind forwards."""
    forwarding = [action for action in actions if action.get("Type") == "forward"]
    several = [item for action in forwarding for item in listed(action.get("ForwardConfig", {}).get("TargetGroups"))]
    return [arn for item in [*forwarding, *several] if (arn := item.get("TargetGroupArn"))]


def demands(forward: Forward, origin: Origin) -> bool:
    """Whether a rule forwards only requests that carry the secret that CloudFront adds for this origin."""
    return any(
        (name, value) in origin.headers and "{{resolve:secretsmanager:" in str(value)
        for name, values in forward.headers
        if len(values) == 1
        for value in values
    )


def leads_to(forward: Forward, service: Place, world: World) -> bool:
    wanted = [
        world.behind(entry.get("TargetGroupArn"), TARGET_GROUP)
        for entry in listed(service.resource.get("LoadBalancers"))
    ]
    return any(target is item for target in forward.targets for item in wanted)


# --- To buckets --------------------------------------------------------------------------------------------------


def bucket_origins(world: World, distribution: Resource) -> list[tuple[Origin, Resource]]:
    return [
        (origin, bucket)
        for origin in origins_of(distribution)
        if (bucket := world.behind(origin.body.get("DomainName"), BUCKET))
    ]


def signed_reads(world: World, origin: Origin, bucket: Resource) -> tuple[list[Evidence], list[Evidence]]:
    """CloudFront reads a bucket with requests that it signs, and the bucket lets this distribution in."""
    seen, wrong = [], []
    control = world.behind(origin.body.get("OriginAccessControlId"), "AWS::CloudFront::OriginAccessControl")
    config = control.get("OriginAccessControlConfig", {}) if control else {}
    if control and (config.get("SigningBehavior"), config.get("SigningProtocol")) == ("always", "sigv4"):
        seen.append(Evidence(control, "", "signs every request to the bucket (origin access control)"))
    else:
        shown = Evidence(control, "", "does not sign every request") if control else None
        wrong.append(shown or Evidence(origin.distribution, origin.path, "has no origin access control"))
    policy, found = _policy(world, bucket)
    ours = [item for item in found if _is_distribution(world, item, origin.distribution)]
    reading = [item for item in ours if item.allows("s3:GetObject")]
    if policy and reading:
        path = f"Properties.PolicyDocument.Statement.{reading[0].index}"
        seen.append(Evidence(policy, path, f"lets {origin.distribution.logical_id} read, and no other distribution"))
    else:
        wrong.append(Evidence(policy or bucket, "", f"does not let {origin.distribution.logical_id} read"))
    return seen, wrong


def closed_bucket(world: World, bucket: Resource) -> tuple[list[Evidence], list[Evidence]]:
    """Nobody reads a bucket but services of AWS on behalf of this account."""
    wrong = []
    path = "Properties.PublicAccessBlockConfiguration"
    missing = [name for name in _BLOCKS if not flag(bucket.get(f"PublicAccessBlockConfiguration.{name}"))]
    if missing:
        wrong.append(Evidence(bucket, path, f"does not block public access ({', '.join(missing)})"))
    policy, found = _policy(world, bucket)
    for item in found:
        if item.effect == "Allow" and not _bound(item) and policy:
            where = f"Properties.PolicyDocument.Statement.{item.index}"
            wrong.append(Evidence(policy, where, "lets in somebody without saying for which account or resource"))
    seen = [] if missing else [Evidence(bucket, path, "blocks every kind of public access")]
    if policy:
        seen.append(Evidence(policy, "", "lets in only services of AWS, bound to this account or resource"))
    return seen, wrong


def _policy(world: World, bucket: Resource) -> tuple[Resource | None, list[Statement]]:
    for policy in world.find("AWS::S3::BucketPolicy", lambda item: world.same(item.get("Bucket"), bucket)):
        return policy, statements(policy.get("PolicyDocument"))
    return None, []


def _bound(statement: Statement) -> bool:
    """Only service principals, and only for this account, a resource or an organisation."""
    keys = ("aws:SourceArn", "aws:SourceAccount", "aws:SourceOrgID")
    return set(statement.principals) == {"Service"} and any(statement.condition(key) for key in keys)


def _is_distribution(world: World, statement: Statement, distribution: Resource) -> bool:
    return (
        statement.effect == "Allow"
        and statement.principals.get("Service") == ["cloudfront.amazonaws.com"]
        and bool(sources := statement.condition("aws:SourceArn"))
        and all(world.env.resources_in(source) == [distribution] for source in sources)
    )
