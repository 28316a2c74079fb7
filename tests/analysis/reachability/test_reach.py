"""The proof holds on the committed templates, and the right claim fails when one rule is changed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import pytest

from hosting.analysis.errors import AnalysisError
from hosting.analysis.reachability.proof import Proof, prove
from hosting.analysis.resolve import resolve
from hosting.model.parameter_file import Environment
from hosting.model.templates import Template
from tests.analysis.rules.conftest import Bench
from tests.support import project

SERVICES = tuple(sorted(name.lower() for name in project.SERVICES))
ANYWHERE = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": "0.0.0.0/0"}


def proof_of(bench: Bench, calls: Iterable[tuple[str, str]] = ()) -> Proof:
    templates = {name: Template.from_body(name, body) for name, body in bench.bodies.items()}
    given = bench.environment
    return prove(resolve(templates, Environment(given.name, bench.parameters, given.account)), {}, calls)


def failing(bench: Bench) -> set[str]:
    return {claim.id for claim in proof_of(bench).claims if not claim.holds}


def each(*patterns: str) -> set[str]:
    """The access template is nested once per service, so what is changed there shows in all."""
    return {pattern.format(service) for pattern in patterns for service in SERVICES}


AWS = ("ecr.api", "ecr.dkr", "logs", "ssm", "ssmmessages", "ec2messages")
BY_ENDPOINT = each(*("{} -> aws:" + name for name in AWS))
BY_NAT = each("{} -> aws:secretsmanager", "{} -> internet")
ALL_OUT = BY_ENDPOINT | BY_NAT | each("{} -> aws:s3")
BETWEEN = {f"{one} -> {other}" for one, other in itertools.permutations(SERVICES, 2)}
FROM_OUTSIDE = each("internet -> {}", "cloudfront -> {}")
STATIC, ARCHIVE = "s3:DistributionStack/StaticBucket", "s3:SecurityStack/ArchiveBucket"

FORWARD = [{"Type": "forward", "TargetGroupArn": "arn:aws:elasticloadbalancing:::targetgroup/other/1"}]

# What is changed, in which environment, how, and exactly the claims that then fail.
CASES: list[tuple[str, str, Callable[[Bench], object], set[str]]] = [
    (
        "the load balancer opened to the internet",
        "lab",
        lambda b: b.put("EC2::SecurityGroup", "SecurityGroupIngress.0", ANYWHERE, has="HTTPS from CloudFront"),
        {"internet -> alb", "aurora -> alb"} | each("{} -> alb"),
    ),
    (
        "another prefix list",
        "live",
        lambda b: b.put(
            "EC2::SecurityGroup",
            "SecurityGroupIngress.0.SourcePrefixListId",
            "pl-11111111",
            has="HTTPS from CloudFront",
        ),
        {"internet -> alb", "cloudfront -> alb", "aurora -> alb"} | each("{} -> alb"),
    ),
    (
        "a further port of the load balancer",
        "lab",
        lambda b: b.put("EC2::SecurityGroup", "SecurityGroupIngress.0.ToPort", 8443, has="HTTPS from CloudFront"),
        {"cloudfront -> alb"},
    ),
    (
        "HTTP closed, which CloudFront uses",
        "lab",
        lambda b: b.put("EC2::SecurityGroup", "SecurityGroupIngress.0.FromPort", 81, has="HTTP from CloudFront"),
        {"cloudfront -> alb"},
    ),
    (
        "an internal load balancer",
        "lab",
        lambda b: b.put("ElasticLoadBalancingV2::LoadBalancer", "Scheme", "internal"),
        {"cloudfront -> alb"},
    ),
    (
        "no secret header asked for",
        "live",
        lambda b: b.drop("ElasticLoadBalancingV2::ListenerRule", "Conditions.1", has="X-Origin-Verify"),
        {"secret -> alb"},
    ),
    (
        "another header than CloudFront's",
        "live",
        lambda b: b.replace("ElasticLoadBalancingV2::ListenerRule", "X-Origin-Verify", "X-Other"),
        {"secret -> alb"},
    ),
    (
        "a default that forwards",
        "live",
        lambda b: b.put("ElasticLoadBalancingV2::Listener", "DefaultActions", FORWARD, has="fixed-response"),
        {"secret -> alb"},
    ),
    (
        "no rule for the service",
        "live",
        lambda b: b.remove("ElasticLoadBalancingV2::ListenerRule", has="X-Origin-Verify"),
        {"alb -> orders"},
    ),
    (
        "a public route without its gateway",
        "lab",
        lambda b: b.remove("EC2::VPCGatewayAttachment"),
        {"cloudfront -> alb"} | BY_NAT,
    ),
    (
        "tasks with public addresses",
        "lab",
        lambda b: b.put("ECS::Service", "NetworkConfiguration.AwsvpcConfiguration.AssignPublicIp", "ENABLED"),
        {"internet -> orders", "cloudfront -> orders"},
    ),
    (
        "tasks opened to the internet",
        "lab",
        lambda b: b.put("EC2::SecurityGroup", "SecurityGroupIngress", [ANYWHERE], has="HTTPS to AWS"),
        FROM_OUTSIDE | BETWEEN | each("alb -> {}", "aurora -> {}"),
    ),
    (
        "tasks in public subnets",
        "lab",
        lambda b: b.replace("EC2::SubnetRouteTableAssociation", "AppRouteTable1", "PublicRouteTable", has="AppSubnet1"),
        FROM_OUTSIDE | BY_NAT | {"internet -> endpoints", "cloudfront -> endpoints"} | each("{} -> aws:s3"),
    ),
    (
        "the load balancer may not leave to tasks",
        "lab",
        lambda b: b.drop_rule("Egress", has="AlbSecurityGroupId"),
        each("alb -> {}"),
    ),
    (
        "tasks do not let the load balancer in",
        "lab",
        lambda b: b.drop_rule("Ingress", has="AlbSecurityGroupId"),
        each("alb -> {}"),
    ),
    (
        "tasks let the load balancer in on every port",
        "lab",
        lambda b: b.rule("Ingress", has="AlbSecurityGroupId").update(FromPort=0),
        each("alb -> {}"),
    ),
    (
        "tasks let the whole VPC in",
        "lab",
        lambda b: b.put(
            "EC2::SecurityGroup", "SecurityGroupIngress", [{**ANYWHERE, "CidrIp": "10.44.0.0/16"}], has="HTTPS to AWS"
        ),
        BETWEEN | each("alb -> {}", "aurora -> {}"),
    ),
    (
        "tasks let everything out",
        "lab",
        lambda b: b.drop("EC2::SecurityGroup", "SecurityGroupEgress", has="HTTPS to AWS"),
        ALL_OUT | BETWEEN | each("{} -> alb"),
    ),
    (
        "tasks may leave on port 80",
        "lab",
        lambda b: b.put("EC2::SecurityGroup", "SecurityGroupEgress.0.FromPort", 80, has="HTTPS to AWS"),
        each("{} -> alb", "{} -> internet"),
    ),
    (
        "tasks may not leave",
        "lab",
        lambda b: b.put("EC2::SecurityGroup", "SecurityGroupEgress.0.CidrIp", "127.0.0.1/32", has="HTTPS to AWS"),
        ALL_OUT,
    ),
    (
        "a public instance",
        "lab",
        lambda b: b.put("RDS::DBInstance", "PubliclyAccessible", True, has='"PromotionTier": 0'),
        {"internet -> aurora", "cloudfront -> aurora"},
    ),
    (
        "Aurora opened to the VPC",
        "lab",
        lambda b: b.put(
            "EC2::SecurityGroup",
            "SecurityGroupIngress",
            [{**ANYWHERE, "FromPort": 3306, "ToPort": 3306, "CidrIp": "10.44.0.0/16"}],
            has="Database:",
        ),
        {"alb -> aurora"},
    ),
    (
        "Aurora opened to the load balancer",
        "lab",
        lambda b: b.put(
            "EC2::SecurityGroup",
            "SecurityGroupIngress",
            [
                {
                    "IpProtocol": "tcp",
                    "FromPort": 3306,
                    "ToPort": 3306,
                    "SourceSecurityGroupId": {"Fn::GetAtt": ["AlbSecurityGroup", "GroupId"]},
                }
            ],
            has="Database:",
        ),
        {"alb -> aurora"},
    ),
    (
        "Aurora does not let the services in",
        "lab",
        lambda b: b.drop_rule("Ingress", has="DatabaseSecurityGroupId"),
        each("{} -> aurora"),
    ),
    (
        "services may not leave to Aurora",
        "lab",
        lambda b: b.drop_rule("Egress", has="DatabaseSecurityGroupId"),
        each("{} -> aurora"),
    ),
    (
        "Aurora allows all egress",
        "lab",
        lambda b: b.drop("EC2::SecurityGroup", "SecurityGroupEgress", has="Database:"),
        {"aurora -> alb", "aurora -> endpoints", "aurora -> internet"} | each("aurora -> {}"),
    ),
    (
        "a way out for Aurora's subnets",
        "lab",
        lambda b: b.replace("EC2::SubnetRouteTableAssociation", "DbRouteTable", "AppRouteTable1", has="DbSubnet1"),
        {"aurora -> internet"},
    ),
    (
        "Aurora's subnets made public",
        "live",
        lambda b: b.replace("EC2::SubnetRouteTableAssociation", "DbRouteTable", "PublicRouteTable", has="DbSubnet1"),
        {"aurora -> internet", "internet -> aurora", "cloudfront -> aurora"},
    ),
    (
        "the load balancer allows all egress",
        "lab",
        lambda b: b.drop("EC2::SecurityGroup", "SecurityGroupEgress", has="Load balancer: HTTPS"),
        {"alb -> aurora", "alb -> endpoints", "alb -> internet"},
    ),
    (
        "endpoints do not let one zone in",
        "lab",
        lambda b: b.drop("EC2::SecurityGroup", "SecurityGroupIngress.1", has="endpoints"),
        BY_ENDPOINT,
    ),
    (
        "endpoints open to the internet",
        "lab",
        lambda b: b.put("EC2::SecurityGroup", "SecurityGroupIngress.0.CidrIp", "0.0.0.0/0", has="endpoints"),
        {f"{source} -> endpoints" for source in ("internet", "cloudfront", "alb", "aurora")},
    ),
    (
        "an endpoint in one zone",
        "lab",
        lambda b: b.drop("EC2::VPCEndpoint", "SubnetIds.1", has=".logs"),
        each("{} -> aws:logs"),
    ),
    ("no DNS for endpoints", "lab", lambda b: b.put("EC2::VPC", "EnableDnsHostnames", False), BY_ENDPOINT),
    (
        "an endpoint's policy",
        "lab",
        lambda b: b.put(
            "EC2::VPCEndpoint",
            "PolicyDocument",
            {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "logs:*", "Resource": "*"}]},
            has=".logs",
        ),
        each("{} -> aws:logs"),
    ),
    (
        "S3's endpoint in one route table",
        "lab",
        lambda b: b.drop("EC2::VPCEndpoint", "RouteTableIds.1", has="Gateway"),
        each("{} -> aws:s3"),
    ),
    (
        "a zone that leaves by the other's NAT gateway",
        "lab",
        lambda b: b.replace("EC2::Route", "NatGateway2", "NatGateway1"),
        BY_NAT,
    ),
    (
        "a NAT gateway in a private subnet",
        "lab",
        lambda b: b.replace("EC2::NatGateway", "PublicSubnet2", "AppSubnet2"),
        BY_NAT,
    ),
    ("a zone without a default route", "lab", lambda b: b.remove("EC2::Route", has="NatGateway2"), BY_NAT),
    (
        "plain HTTP for browsers",
        "lab",
        lambda b: b.put(
            "CloudFront::Distribution", "DistributionConfig.DefaultCacheBehavior.ViewerProtocolPolicy", "allow-all"
        ),
        {"internet -> cloudfront"},
    ),
    (
        "no firewall",
        "lab",
        lambda b: b.drop("CloudFront::Distribution", "DistributionConfig.WebACLId"),
        {"internet -> cloudfront"},
    ),
    (
        "CloudFront calls a port without a listener",
        "lab",
        lambda b: b.put("CloudFront::Distribution", "DistributionConfig.Origins.0.CustomOriginConfig.HTTPPort", 8080),
        {"cloudfront -> alb"},
    ),
    (
        "a bucket read without signing",
        "lab",
        lambda b: b.put("CloudFront::OriginAccessControl", "OriginAccessControlConfig.SigningBehavior", "never"),
        {"cloudfront -> s3:StaticBucket"},
    ),
    (
        "a bucket that allows every distribution",
        "lab",
        lambda b: b.statement("S3::BucketPolicy", "ReadObjects").pop("Condition"),
        {"cloudfront -> s3:StaticBucket", f"internet -> {STATIC}"},
    ),
    (
        "a bucket that anyone may list",
        "lab",
        lambda b: b.statement("S3::BucketPolicy", "TellMissing").update(Principal="*"),
        {f"internet -> {STATIC}"},
    ),
    (
        "a public bucket",
        "live",
        lambda b: b.put("S3::Bucket", "PublicAccessBlockConfiguration.RestrictPublicBuckets", False, has="GLACIER"),
        {f"internet -> {ARCHIVE}"},
    ),
    (
        "a peered VPC",
        "lab",
        lambda b: b.add("EC2::VPC", "Peering", {"Type": "AWS::EC2::VPCPeeringConnection", "Properties": {}}),
        {"network -> known"},
    ),
    (
        "a rule for a group that is not ours",
        "lab",
        lambda b: b.rule("Egress", has="AlbSecurityGroupId").update(GroupId="sg-11111111"),
        {"network -> known"} | each("alb -> {}"),
    ),
    (
        "a route to somewhere else",
        "lab",
        lambda b: b.add(
            "EC2::VPC",
            "Elsewhere",
            {
                "Type": "AWS::EC2::Route",
                "Properties": {
                    "RouteTableId": {"Ref": "DbRouteTable"},
                    "DestinationCidrBlock": "10.9.0.0/16",
                    "TransitGatewayId": "tgw-1",
                },
            },
        ),
        {"network -> known", "aurora -> internet"},
    ),
]


@pytest.mark.parametrize("environment", ["lab", "live"])
def test_the_committed_templates_hold(environment: str) -> None:
    proof = proof_of(Bench(environment))
    assert proof.holds
    assert all(claim.because for claim in proof.claims), "a claim without anything that carries it proves nothing"


@pytest.mark.parametrize(("name", "environment", "damage", "expected"), CASES, ids=[case[0] for case in CASES])
def test_one_changed_rule_fails_the_right_claims(
    name: str, environment: str, damage: Callable[[Bench], object], expected: set[str]
) -> None:
    bench = Bench(environment)
    damage(bench)
    assert failing(bench) == expected


def test_every_kind_of_claim_is_shown_to_fail() -> None:
    shown = {name for case in CASES for name in case[3]}
    ids = {claim.id for claim in proof_of(Bench("lab")).claims}
    # Buckets are alike, so two of them are enough. All other claims have to occur in the table.
    assert {name for name in ids - shown if "-> s3:" not in name} == set()


def let_services_talk(bench: Bench) -> None:
    """Portal to Orders, as it would be written: a rule on each side."""
    port = {"IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8080}
    resources = bench.bodies["root.json"]["Resources"]
    groups = {
        name: {"Fn::GetAtt": [f"{name}AccessStack", "Outputs.ServiceSecurityGroupId"]} for name in ("Portal", "Orders")
    }
    rule = {**port, "GroupId": groups["Portal"], "DestinationSecurityGroupId": groups["Orders"]}
    resources["CallOut"] = {"Type": "AWS::EC2::SecurityGroupEgress", "Properties": rule}
    rule = {**port, "GroupId": groups["Orders"], "SourceSecurityGroupId": groups["Portal"]}
    resources["CallIn"] = {"Type": "AWS::EC2::SecurityGroupIngress", "Properties": rule}


def test_services_talk_only_when_declared() -> None:
    bench = Bench("lab")
    let_services_talk(bench)
    assert failing(bench) == {"portal -> orders"}
    assert proof_of(bench, [("Portal", "Orders")]).holds
    undone = {claim.id for claim in proof_of(Bench("lab"), [("Portal", "Orders")]).claims if not claim.holds}
    assert undone == {"portal -> orders"}


def test_an_unknown_service_is_refused() -> None:
    with pytest.raises(AnalysisError, match="no service worker\n  the services are orders, portal, search"):
        proof_of(Bench("lab"), [("Portal", "Worker")])
