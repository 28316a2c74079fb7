"""The policies against a rehearsal: each call is allowed, and no statement is there for nothing."""

# ruff: noqa: E501 -- tables of ARNs read better on one line each

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name
from botocore.session import get_session

from hosting.analysis.iam_policies.actions import handler_permissions, is_known, required_actions, resource_types
from hosting.analysis.iam_policies.calls import DEPLOYER_PERMISSIONS, FREE, PERMISSION_NAMES, Use
from hosting.analysis.iam_policies.documents import LIMIT, PER_ROLE, split_into_policies
from hosting.analysis.iam_policies.evaluate import ApiCall, is_allowed
from hosting.analysis.iam_policies.grants import (
    LINKED_ROLES,
    MORE,
    caller_statements,
    deploy_statements,
    execution_statements,
    plan_statements,
)
from hosting.deployer.certificate import TAG

PROJECT = Path(__file__).resolve().parents[3]
VIA = {"aws:CalledVia": ["cloudformation.amazonaws.com"]}

EC2 = {
    "AWS::EC2::VPC": "vpc", "AWS::EC2::Subnet": "subnet", "AWS::EC2::RouteTable": "route-table",
    "AWS::EC2::InternetGateway": "internet-gateway", "AWS::EC2::NatGateway": "natgateway", "AWS::EC2::EIP": "elastic-ip",
    "AWS::EC2::SecurityGroup": "security-group", "AWS::EC2::VPCEndpoint": "vpc-endpoint",
    "AWS::EC2::FlowLog": "vpc-flow-log",
}  # fmt: skip

# What the deployer's code asks on ways that a rehearsal does not take, or not in every environment, and on what.
STACK = "arn:aws:cloudformation:{region}:{account}:stack/{family}-SecurityStack-1A2B/1a2b"
MASTER = "arn:aws:secretsmanager:{region}:{account}:secret:rds!cluster-1a2b-3c4d"
ELSEWHERE = {
    "acm:DescribeCertificate": "arn:aws:acm:{region}:{account}:certificate/1a2b",
    "cloudformation:CancelUpdateStack": STACK,
    "cloudformation:ContinueUpdateRollback": STACK,
    "cloudformation:DescribeEvents": STACK,
    "cloudformation:DescribeStackDriftDetectionStatus": "*",
    "cloudformation:DescribeStackResourceDrifts": STACK,
    "cloudformation:DetectStackDrift": STACK,
    "cloudformation:GetStackPolicy": STACK,
    "cloudformation:ListChangeSets": STACK,
    "cloudformation:SetStackPolicy": STACK,
    "s3:ListBucketVersions": "arn:aws:s3:::{family}-distributionstack-1a2b-staticbucket-3c4d",
    "secretsmanager:DescribeSecret": MASTER,
    "secretsmanager:RotateSecret": MASTER,
    "wafv2:GetIPSet": "arn:aws:wafv2:us-east-1:{account}:global/ipset/{family}-blocked-ipv4/1a2b",
    "wafv2:UpdateIPSet": "arn:aws:wafv2:us-east-1:{account}:global/ipset/{family}-blocked-ipv4/1a2b",
}

# By this tag the deployer knows the certificate that it made.
OWN_CERTIFICATE = f"aws:ResourceTag/{TAG}"

# Type -> (service, kind as IAM calls it, what follows the account in the ARN); "" where the physical id is the ARN.
# Written from the Service Authorization Reference, apart from the table that is tested.
KINDS: dict[str, tuple[str, str, str]] = {
    **{type_: ("ec2", kind, f":{kind}/{{id}}") for type_, kind in EC2.items()},
    "AWS::ApplicationAutoScaling::ScalableTarget": ("application-autoscaling", "ScalableTarget", ":scalable-target/1a2b"),
    "AWS::Budgets::Budget": ("budgets", "budget", ":budget/{id}"),
    "AWS::CertificateManager::Certificate": ("acm", "certificate", ""),
    "AWS::Chatbot::SlackChannelConfiguration": ("chatbot", "ChatbotConfiguration", ""),
    "AWS::CloudFormation::Stack": ("cloudformation", "stack", ""),
    "AWS::CloudFront::Distribution": ("cloudfront", "distribution", ":distribution/{id}"),
    "AWS::CloudFront::OriginAccessControl": ("cloudfront", "origin-access-control", ":origin-access-control/{id}"),
    "AWS::CloudFront::OriginRequestPolicy": ("cloudfront", "origin-request-policy", ":origin-request-policy/{id}"),
    "AWS::CloudFront::ResponseHeadersPolicy": ("cloudfront", "response-headers-policy", ":response-headers-policy/{id}"),
    "AWS::CloudWatch::Alarm": ("cloudwatch", "alarm", ":alarm:{id}"),
    "AWS::CloudWatch::Dashboard": ("cloudwatch", "dashboard", ":dashboard/{id}"),
    "AWS::ECR::Repository": ("ecr", "repository", ":repository/{id}"),
    "AWS::ECS::Cluster": ("ecs", "cluster", ":cluster/{id}"),
    "AWS::ECS::Service": ("ecs", "service", ""),
    "AWS::ECS::TaskDefinition": ("ecs", "task-definition", ""),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": ("elasticloadbalancing", "loadbalancer/app/", ""),
    "AWS::ElasticLoadBalancingV2::Listener": ("elasticloadbalancing", "listener/app", ""),
    "AWS::ElasticLoadBalancingV2::ListenerRule": ("elasticloadbalancing", "listener-rule/app", ""),
    "AWS::ElasticLoadBalancingV2::TargetGroup": ("elasticloadbalancing", "targetgroup", ""),
    "AWS::Events::Rule": ("events", "rule-on-default-event-bus", ":rule/{id}"),
    "AWS::IAM::ManagedPolicy": ("iam", "policy", ""),
    "AWS::IAM::Role": ("iam", "role", ":role/{id}"),
    "AWS::KMS::Alias": ("kms", "alias", ":{id}"),
    "AWS::KMS::Key": ("kms", "key", ":key/{id}"),
    "AWS::KinesisFirehose::DeliveryStream": ("firehose", "deliverystream", ":deliverystream/{id}"),
    "AWS::Lambda::Function": ("lambda", "function", ":function:{id}"),
    "AWS::Logs::Delivery": ("logs", "delivery", ":delivery:{id}"),
    "AWS::Logs::DeliveryDestination": ("logs", "delivery-destination", ":delivery-destination:{id}"),
    "AWS::Logs::DeliverySource": ("logs", "delivery-source", ":delivery-source:{id}"),
    "AWS::Logs::LogGroup": ("logs", "log-group", ":log-group:{id}:*"),
    "AWS::RDS::DBCluster": ("rds", "cluster", ":cluster:{id}"),
    "AWS::RDS::DBClusterParameterGroup": ("rds", "cluster-pg", ":cluster-pg:{id}"),
    "AWS::RDS::DBInstance": ("rds", "db", ":db:{id}"),
    "AWS::RDS::DBSubnetGroup": ("rds", "subgrp", ":subgrp:{id}"),
    "AWS::S3::Bucket": ("s3", "bucket", "{id}"),
    "AWS::SNS::Topic": ("sns", "topic", ""),
    "AWS::SecretsManager::Secret": ("secretsmanager", "Secret", ""),
}  # fmt: skip
GLOBAL = {"budgets", "cloudfront", "iam"}


class Checked:
    """A rehearsal, its policies, and the calls that they have to allow."""

    def __init__(self, rehearsal: Any) -> None:
        self.rehearsal = rehearsal
        self.env = rehearsal.resolved
        self.account = self.env.environment.account
        self.family = f"{self.env.environment.parameters['Project']}-{self.env.environment.parameters['Environment']}"
        self.plan = [item.body for item in split_into_policies("plan", plan_statements(self.env))]
        self.deploy = [item.body for item in split_into_policies("deploy", deploy_statements(self.env))]
        self.arns: dict[tuple[str, str], set[tuple[str, str]]] = {}
        for made in rehearsal.made.values():
            if found := self.arn(made):
                service, kind, arn = found
                self.arns.setdefault((service, kind), set()).add((made.region, arn))
        names = {"account": self.account, "family": self.family, "region": self.env.environment.region}
        self.elsewhere = [ApiCall(action, arn.format(**names)) for action, arn in ELSEWHERE.items()]
        # An environment that had no domain when it was deployed first; with one, its own certificate is left to delete.
        certificate = ELSEWHERE["acm:DescribeCertificate"].format(**names)
        self.elsewhere.append(ApiCall("acm:DeleteCertificate", certificate, {OWN_CERTIFICATE: self.family}))
        # CloudFormation asks for it in the course of detecting drift of a stack.
        self.elsewhere.append(ApiCall("cloudformation:DetectStackResourceDrift", STACK.format(**names)))
        self.own = list(self._own())
        self.handlers = list(self._handlers())

    def arn(self, made: Any) -> tuple[str, str, str] | None:
        if made.type in {"AWS::WAFv2::IPSet", "AWS::WAFv2::WebACL"}:
            kind = made.type.rpartition(":")[2].lower()
            name, identifier, _ = made.physical_id.split("|")
            return "wafv2", kind, f"arn:aws:wafv2:{made.region}:{self.account}:global/{kind}/{name}/{identifier}"
        if made.type == "AWS::SQS::Queue":
            name = made.physical_id.rsplit("/")[-1]
            return "sqs", "queue", f"arn:aws:sqs:{made.region}:{self.account}:{name}"
        if made.type not in KINDS:
            return None
        service, kind, tail = KINDS[made.type]
        if not tail or made.physical_id.startswith("arn:"):
            return service, kind, made.physical_id
        if service == "s3":
            return service, kind, f"arn:aws:s3:::{made.physical_id}"
        region = "" if service in GLOBAL or kind == "dashboard" else made.region
        return service, kind, f"arn:aws:{service}:{region}:{self.account}{tail.format(id=made.physical_id)}"

    # --- deploy.py's own calls ---

    def _own(self) -> Iterator[ApiCall]:
        stacks: dict[str, str] = {}
        for asked in self.rehearsal.asked:
            answer = asked.answer
            change_set = answer.get("ChangeSetId") or answer.get("Id")
            if change_set and answer.get("StackId"):
                stacks[change_set] = answer["StackId"]
        for asked in self.rehearsal.asked:
            action = f"{asked.service}:{asked.operation}"
            if action in FREE:
                continue
            context = {"s3:if-none-match": "*"} if "IfNoneMatch" in asked.parameters else {}
            if "Prefix" in asked.parameters:
                context = {"s3:prefix": asked.parameters["Prefix"]}
            if asked.operation == "DeleteCertificate":
                context = {OWN_CERTIFICATE: self.family}
            for resource in self._asked_for(asked, stacks):
                yield ApiCall(PERMISSION_NAMES.get(action, action), resource, context)
                if asked.operation == "CreateChangeSet" and asked.parameters.get("Tags"):
                    yield ApiCall("cloudformation:TagResource", resource)
                if asked.operation == "ImportCertificate" and asked.parameters.get("Tags"):
                    yield ApiCall("acm:AddTagsToCertificate", resource)

    def _asked_for(self, asked: Any, stacks: Mapping[str, str]) -> Iterator[str]:
        given, here = asked.parameters, f"{asked.region}:{self.account}"
        if asked.operation == "DescribeStackDriftDetectionStatus":
            yield "*"
        elif asked.service == "cloudformation":
            name = given.get("StackName") or stacks[given["ChangeSetName"]]
            yield name if name.startswith("arn:") else f"arn:aws:cloudformation:{here}:stack/{name}/1a2b"
        elif asked.service == "s3":
            yield f"arn:aws:s3:::{given['Bucket']}" + (f"/{given['Key']}" if "Key" in given else "")
        elif asked.service == "ec2" and "GroupId" in given:
            yield f"arn:aws:ec2:{here}:security-group/{given['GroupId']}"
        elif asked.service == "ecr":
            yield f"arn:aws:ecr:{here}:repository/{given['repositoryName']}"
        elif asked.service == "ecs":
            for service in given["services"]:
                name = service if service.startswith("arn:") else f"{given['cluster']}/{service}"
                yield name if name.startswith("arn:") else f"arn:aws:ecs:{here}:service/{name}"
        elif asked.service == "acm" and asked.operation != "ListCertificates":
            yield given.get("CertificateArn", f"arn:aws:acm:{here}:certificate/1a2b")
        elif asked.service == "rds":
            yield f"arn:aws:rds:{here}:cluster:{given['DBClusterIdentifier']}"
        elif asked.operation == "GetHostedZone":
            yield f"arn:aws:route53:::hostedzone/{given['Id']}"
        elif asked.service == "secretsmanager":
            yield given["SecretId"]
        elif asked.operation == "ModifyLoadBalancerAttributes":
            yield given["LoadBalancerArn"]
        else:
            assert not resource_types(f"{asked.service}:{asked.operation}"), asked
            yield "*"

    # --- what CloudFormation does as the caller ---

    def _handlers(self) -> Iterator[ApiCall]:
        for made in self.rehearsal.made.values():
            resource = self.env.stacks[made.stack].resources[made.logical_id]
            for action in required_actions(resource, made.region) | set(MORE.get(made.type, ())):
                if action in ("iam:PassRole", "iam:CreateServiceLinkedRole"):
                    continue
                yield from self._on_everything(action, made.region)
            if made.type == "AWS::IAM::Role":
                for statement in resource.get("AssumeRolePolicyDocument.Statement"):
                    context = {**VIA, "iam:PassedToService": statement["Principal"]["Service"]}
                    yield ApiCall("iam:PassRole", f"arn:aws:iam::{self.account}:role/{made.physical_id}", context)
            if service := LINKED_ROLES.get(made.type):
                arn = f"arn:aws:iam::{self.account}:role/aws-service-role/{service}/AWSServiceRoleForIt"
                yield ApiCall("iam:CreateServiceLinkedRole", arn, {**VIA, "iam:AWSServiceName": service})

    def _on_everything(self, action: str, region: str) -> Iterator[ApiCall]:
        """A permission of a handler, on every resource of the environment that it could be about."""
        service = action.partition(":")[0]
        if action in ("s3:GetObject", "s3:PutObject"):
            return  # the archives of functions; deploy.py's own permission on them is enough
        if not resource_types(action):
            yield ApiCall(action, "*", VIA)
        for kind in resource_types(action):
            for where, arn in self.arns.get((service, kind), set()):
                if where == region or service in GLOBAL:
                    yield ApiCall(action, arn, VIA)
        yield from self._made_by_aws(action, region)

    def _made_by_aws(self, action: str, region: str) -> Iterator[ApiCall]:
        """Resources that no template names and a handler needs all the same."""
        here = f"{region}:{self.account}"
        known = {
            ("rds", "og"): f"arn:aws:rds:{here}:og:default:aurora-mysql-8-0",
            ("rds", "pg"): f"arn:aws:rds:{here}:pg:default.aurora-mysql8.0",
            ("rds", "cluster-snapshot"): f"arn:aws:rds:{here}:cluster-snapshot:{self.family}-databasestack-1-snapshot",
            ("rds", "snapshot"): f"arn:aws:rds:{here}:snapshot:{self.family}-databasestack-1-snapshot",
            ("ec2", "security-group-rule"): f"arn:aws:ec2:{here}:security-group-rule/sgr-1a2b",
            ("ec2", "network-interface"): f"arn:aws:ec2:{here}:network-interface/eni-1a2b",
            ("ecs", "capacity-provider"): f"arn:aws:ecs:{here}:capacity-provider/FARGATE",
            ("ecs", "service-deployment"): f"arn:aws:ecs:{here}:service-deployment/{self.family}/service/1a2b",
            ("wafv2", "managedruleset"): f"arn:aws:wafv2:{here}:global/managedruleset/AWS/AWSManagedRulesCommonRuleSet",
            ("billing", "billingview"): f"arn:aws:billing::{self.account}:billingview/primary",
            ("cloudfront", "function"): f"arn:aws:cloudfront::{self.account}:function/{self.family}-index",
            ("logs", "log-stream"): f"arn:aws:logs:{here}:log-group:/aws/kinesisfirehose/{self.family}-archive"
            ":log-stream:delivery",
            ("route53", "change"): "arn:aws:route53:::change/1A2B",
            ("route53", "hostedzone"): "arn:aws:route53:::hostedzone/"
            + self.env.environment.parameters.get("HostedZoneId", ""),
        }
        service = action.partition(":")[0]
        for kind in resource_types(action):
            if (service, kind) in known:
                yield ApiCall(action, known[service, kind], VIA)
        if action in ("secretsmanager:CreateSecret", "secretsmanager:TagResource"):
            yield ApiCall(action, f"arn:aws:secretsmanager:{here}:secret:rds!cluster-1a2b-3c4d", VIA)


@pytest.fixture(scope="module")
def checked(rehearsal: Any) -> Checked:
    return Checked(rehearsal)


def denied(policies: list[dict[str, Any]], calls: list[ApiCall]) -> set[tuple[str, str]]:
    return {(call.action, call.resource) for call in calls if not is_allowed(policies, call)}


def test_the_rehearsal_was_recorded(checked: Checked) -> None:
    assert len(checked.own) > 100
    assert {call.action for call in checked.own} >= {"cloudformation:ExecuteChangeSet", "s3:PutObject"}
    types = {made.type for made in checked.rehearsal.made.values()}
    in_templates = {item.type for stack in checked.env.stacks.values() for item in stack.resources.values()}
    assert types == in_templates, "the rehearsal made everything that the templates have"


def test_what_deploy_py_asks_is_allowed(checked: Checked) -> None:
    assert denied(checked.deploy, checked.own) == set()


def test_what_deploy_py_asks_on_other_ways_is_allowed(checked: Checked) -> None:
    assert denied(checked.deploy, checked.elsewhere) == set()


def test_what_cloudformation_does_is_allowed(checked: Checked) -> None:
    assert denied(checked.deploy, checked.handlers) == set()


def test_every_permission_of_the_schemas_is_given_or_explained(checked: Checked) -> None:
    """A handler's permission that the policies lack is unknown to IAM, or is for an unused feature."""
    given = {action for body in checked.deploy for item in body["Statement"] for action in item["Action"]}
    for made in checked.rehearsal.made.values():
        resource = checked.env.stacks[made.stack].resources[made.logical_id]
        used = required_actions(resource, made.region)
        assert used <= given, made
        for action in handler_permissions(made.type, made.region) - used:
            assert not is_known(action) or action not in used


def test_two_roles_may_together_what_one_may(checked: Checked) -> None:
    role = f"arn:aws:iam::{checked.account}:role/stacks"
    caller = [item.body for item in split_into_policies("caller", caller_statements(checked.env, role))]
    assert denied(caller, [*checked.own, *checked.elsewhere]) == set()
    assert is_allowed(caller, ApiCall("iam:PassRole", role, {"iam:PassedToService": "cloudformation.amazonaws.com"}))
    # CloudFormation in the role calls the services itself, so there is no aws:CalledVia.
    execution = [item.body for item in split_into_policies("execution", execution_statements(checked.env))]
    direct = [
        ApiCall(call.action, call.resource, {key: value for key, value in call.context.items() if key not in VIA})
        for call in checked.handlers
    ]
    assert denied(execution, direct) == set()


def test_no_statement_is_there_for_nothing(checked: Checked) -> None:
    calls = [*checked.own, *checked.handlers, *checked.elsewhere]
    for number, body in enumerate(checked.deploy):
        for statement in body["Statement"]:
            left = [
                {**one, "Statement": [item for item in one["Statement"] if item is not statement]}
                for one in checked.deploy
            ]
            lost = [call for call in calls if call.action in statement["Action"]]
            assert any(not is_allowed(left, call) for call in lost), (number, statement)


def test_no_action_is_there_for_nothing(checked: Checked) -> None:
    called = {call.action for call in (*checked.own, *checked.handlers, *checked.elsewhere)}
    given = {action for body in checked.deploy for item in body["Statement"] for action in item["Action"]}
    assert given - called == set()


def test_planning_is_allowed_to_a_role_that_only_plans(checked: Checked) -> None:
    changing = {action for own in DEPLOYER_PERMISSIONS if own.use is Use.DEPLOY for action in own.actions}
    planning = [call for call in checked.own if call.action not in changing]
    assert denied(checked.plan, planning) == set()


def test_a_role_that_only_plans_changes_nothing(checked: Checked) -> None:
    given = {action for body in checked.plan for item in body["Statement"] for action in item["Action"]}
    reading = ("Describe", "Get", "List")
    writing = {action for action in given if not action.partition(":")[2].startswith(reading)}
    assert writing == {
        "cloudformation:CreateChangeSet", "cloudformation:DeleteChangeSet", "cloudformation:TagResource", "s3:PutObject",
    }  # fmt: skip


def test_nothing_works_without_cloudformation(checked: Checked) -> None:
    """The credentials allow direct calls of services only as deploy.py itself makes them."""
    own = {action for own in DEPLOYER_PERMISSIONS for action in own.actions}
    for call in checked.handlers:
        if call.action not in own:
            assert not is_allowed(checked.deploy, ApiCall(call.action, call.resource)), call


def test_other_environments_are_out_of_reach(checked: Checked) -> None:
    other = f"{checked.family}x"
    named = [call for call in checked.handlers if f"{checked.family}" in call.resource and call.action[:3] != "ela"]
    reached = {
        (call.action, moved.resource)
        for call in named
        if "platform-bootstrap" not in call.resource
        and "role/aws-service-role" not in call.resource
        and is_allowed(
            checked.deploy,
            moved := ApiCall(call.action, call.resource.replace(checked.family, other), call.context),
        )
    }
    # The services' own log groups and WAF's end with the name or go on after it, with a slash or a hyphen.
    assert {item for item in reached if ":log-group:" not in item[1]} == set()


@pytest.mark.parametrize(
    "call",
    [
        ApiCall("iam:PassRole", "arn:aws:iam::{account}:role/{family}-x-TaskRole-1", {**VIA, "iam:PassedToService": "ec2.amazonaws.com"}),
        ApiCall("iam:PassRole", "arn:aws:iam::{account}:role/{family}-x-TaskRole-1", {"iam:PassedToService": "ecs-tasks.amazonaws.com"}),
        ApiCall("iam:PassRole", "arn:aws:iam::{account}:role/Administrator", {**VIA, "iam:PassedToService": "ecs-tasks.amazonaws.com"}),
        ApiCall("iam:CreateServiceLinkedRole", "arn:aws:iam::{account}:role/aws-service-role/x/y", {**VIA, "iam:AWSServiceName": "eks.amazonaws.com"}),
        ApiCall("iam:AttachUserPolicy", "arn:aws:iam::{account}:user/administrator", VIA),
        ApiCall("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:{region}:{account}:secret:rds!cluster-1", VIA),
        ApiCall("s3:PutObject", "arn:aws:s3:::platform-bootstrap-artifactbucket-1/templates/network/1.json"),
        ApiCall("s3:DeleteObject", "arn:aws:s3:::{family}-securitystack-1-archivebucket-1/logs", VIA),
        ApiCall("acm:DeleteCertificate", "arn:aws:acm:{region}:{account}:certificate/1a2b"),
        ApiCall("acm:DeleteCertificate", "arn:aws:acm:{region}:{account}:certificate/1a2b", {OWN_CERTIFICATE: "another-project"}),
        ApiCall("rds:DeleteDBCluster", "arn:aws:rds:{region}:{account}:cluster:{family}"),
        ApiCall("cloudformation:DeleteStack", "arn:aws:cloudformation:{region}:{account}:stack/another-project/1"),
        ApiCall("cloudformation:DeleteStack", "arn:aws:cloudformation:eu-west-1:{account}:stack/{family}/1"),
    ],
    ids=lambda call: call.action,
)  # fmt: skip
def test_an_unnecessary_call_is_denied(checked: Checked, call: ApiCall) -> None:
    names = {"account": checked.account, "family": checked.family, "region": checked.env.environment.region}
    assert not is_allowed(checked.deploy, ApiCall(call.action, call.resource.format(**names), call.context))


def test_limits_and_wildcards(checked: Checked) -> None:
    for role in (checked.plan, checked.deploy):
        assert len(role) <= PER_ROLE
        statements = [item for body in role for item in body["Statement"]]
        assert len({item["Sid"] for item in statements}) == len(statements)
        for statement in statements:
            assert all("*" not in action for action in statement["Action"])
            if statement["Resource"] == "*":
                assert all(not resource_types(action) for action in statement["Action"])
    for item in split_into_policies("deploy", deploy_statements(checked.env)):
        assert item.size <= LIMIT


def operations() -> dict[str, list[str]]:
    """Method of a client -> permissions, over the services that the deployer has clients of."""
    session = get_session()
    found: dict[str, list[str]] = {}
    for service in (
        "cloudformation",
        "s3",
        "sts",
        "ec2",
        "ecr",
        "ecs",
        "acm",
        "rds",
        "elbv2",
        "secretsmanager",
        "wafv2",
    ):
        model = session.get_service_model(service)
        for name in model.operation_names:
            found.setdefault(xform_name(name), []).append(f"{model.signing_name}:{name}")
    return found


# Folders of hosting/deployer whose calls are made while deploying; those of operate, failures and recording are not.
DEPLOYING = (".", "aws", "packaging", "safeguards")


def in_code() -> Iterator[tuple[str, set[str]]]:
    """Every call of a client in the deployer's code, with the permissions that its name may mean.

    What is for operating alone (`hosting/deployer/operate`) is not deploying, and not in these policies.
    """
    known = operations()
    deployer = PROJECT / "hosting" / "deployer"
    for path in sorted(path for folder in DEPLOYING for path in (deployer / folder).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for name in called(node) & set(known):
                actions = {PERMISSION_NAMES.get(action, action) for action in known[name]}
                yield f"{path.name}:{getattr(node, 'lineno', 0)} {name}", actions


def test_every_call_in_the_deployers_code_has_its_permission() -> None:
    """A rehearsal takes one way of many; the code shows them all."""
    given = {action for own in DEPLOYER_PERMISSIONS for action in own.actions} | FREE
    # `secrets set` writes the value. The role of operators has the permission.
    given.add("secretsmanager:PutSecretValue")
    missing = [where for where, actions in in_code() if not actions & given]
    assert missing == [], "add the permission to OWN in hosting/analysis/iam_policies/calls.py"


def test_every_other_way_is_in_the_code() -> None:
    written = set().union(*(actions for _, actions in in_code()))
    assert set(ELSEWHERE) - written == set()


def called(node: ast.AST) -> set[str]:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return set()
    first = node.args[0] if node.args else None
    if node.func.attr in ("get_paginator", "get_waiter") and isinstance(first, ast.Constant):
        return {str(first.value)}
    return {node.func.attr}
