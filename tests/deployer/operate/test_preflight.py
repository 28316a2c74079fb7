"""`preflight` against the emulator, and each check with what AWS answers when something is missing."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from email.message import Message
from http.client import HTTPMessage
from typing import Any

import pytest
from botocore.exceptions import ClientError

from hosting.deployer.aws.session import Identity
from hosting.deployer.context import Context
from hosting.deployer.environment import load_without_validation
from hosting.deployer.operate import images, preflight, quotas
from hosting.deployer.operate.checklist import Check, CheckStatus
from hosting.model.stack_order import stack_order
from tests.deployer.operate import parts
from tests.support.project import PROJECT, TEMPLATES

Run = Callable[..., "subprocess.CompletedProcess[str]"]
ROLE_ARN = "arn:aws:iam::111122223333:role/operator"


# Registries are out of reach, on machines with a network too.
OFFLINE = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}


# --- against the emulator


def test_a_deployed_environment_has_no_surprise(process: Run) -> None:
    done = process("preflight", "-e", "lab", "--output", "json", **OFFLINE)
    lines = json.loads(done.stdout)["lines"]
    found = {(line["area"], line["what"]): line["verdict"] for line in lines}
    assert found["account", "credentials"] == "ok"
    assert found["zones", "ap-northeast-1c"] == "ok"
    assert found["network", "CloudFront's addresses"] == "ok"
    assert found["account", "region us-east-1"] == "ok"
    problems = [line for line in lines if line["verdict"] == "problem"]
    assert all(line["remedy"] for line in problems)
    # The emulator has no service-linked roles, no zone d, and does not know the newest engine versions.
    assert {line["area"] for line in problems} <= {"roles", "database", "zones"}


def test_missing_roles_are_created_on_request(process: Run, deployed: parts.Deployed) -> None:
    before = process("preflight", "-e", "lab", **OFFLINE)
    assert before.returncode == 1
    assert "aws iam create-service-linked-role --aws-service-name" in before.stdout
    assert "created" not in before.stderr, "nothing is changed unasked"
    created = process("preflight", "-e", "lab", "--create-roles", **OFFLINE)
    assert "created AWSServiceRoleForECS" in created.stderr
    after = json.loads(process("preflight", "-e", "lab", "--output", "json", **OFFLINE).stdout)["lines"]
    assert {line["verdict"] for line in after if line["area"] == "roles"} == {"ok"}


# --- what AWS may answer


def refuse(code: str, operation: str = "Call") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, operation)


class Service:
    """A client that answers from a table; an exception in it is raised."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self._answers = answers

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**request: Any) -> Any:
            if name not in self._answers:
                raise refuse("AccessDeniedException", name)
            answer = self._answers[name]
            if callable(answer):
                answer = answer(request)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    def get_paginator(self, name: str) -> Any:
        service = self

        class Pages:
            def paginate(self, **request: Any) -> Iterator[Any]:
                yield getattr(service, name)(**request)

        return Pages()


class Clients:
    """Clients by service. Calls without an answer in the test are denied."""

    profile = None

    def __init__(self, **services: Mapping[str, Any]) -> None:
        self._services = services

    def __getattr__(self, name: str) -> Callable[[str], Service]:
        return lambda _region: Service(self._services.get(name, {}))


def context(values: Mapping[str, str], **services: Mapping[str, Any]) -> Context:
    environment = load_without_validation(PROJECT, "lab", overrides=[f"{key}={value}" for key, value in values.items()])
    clients: Any = Clients(**services)
    identity = Identity("111122223333", ROLE_ARN, "aws")
    return Context(environment, clients, identity, stack_order("atlas", "lab", "ap-northeast-1"))


def no_network(url: str, headers: Mapping[str, str]) -> bytes:
    raise urllib.error.URLError("no network in tests")


def lines(values: Mapping[str, str], area: str, **services: Mapping[str, Any]) -> list[Check]:
    found = preflight.run_checks(context(values, **services), fetch=no_network)
    return [line for line in found if line.area == area]


def test_without_permissions_every_check_names_the_missing_one() -> None:
    found = list(preflight.run_checks(context({}), fetch=no_network))
    unknown = [line for line in found if line.status is CheckStatus.UNKNOWN]
    assert any("needs permission for describe_availability_zones" in line.seen for line in unknown)
    assert not [line for line in found if line.status is CheckStatus.PROBLEM]
    assert {line.area for line in found} >= {"account", "zones", "network", "database", "roles", "images", "quotas"}


def test_unknown_zones_are_a_problem() -> None:
    zones = {"AvailabilityZones": [{"ZoneName": f"ap-northeast-1{one}", "State": "available"} for one in "acd"]}
    good = lines({}, "zones", ec2={"describe_availability_zones": zones})
    assert [line.status for line in good] == [CheckStatus.OK, CheckStatus.OK]
    bad = lines({"SecondZone": "ap-northeast-1b"}, "zones", ec2={"describe_availability_zones": zones})
    assert bad[1].status is CheckStatus.PROBLEM
    assert bad[1].remedy == "use one of ap-northeast-1a, ap-northeast-1c, ap-northeast-1d"
    same = lines({"SecondZone": "ap-northeast-1c"}, "zones", ec2={"describe_availability_zones": zones})
    assert "both are ap-northeast-1c" in [line.seen for line in same]


def test_an_unknown_engine_version_is_a_problem() -> None:
    versions = {"DBEngineVersions": [{"EngineVersion": f"8.0.mysql_aurora.3.{one}"} for one in ("04.0", "10.7")]}
    answers: dict[str, Any] = {
        "describe_orderable_db_instance_options": {"OrderableDBInstanceOptions": []},
        "describe_db_engine_versions": versions,
    }
    line, _ = lines({}, "database", rds=answers)
    assert line.status is CheckStatus.PROBLEM
    answers["describe_orderable_db_instance_options"] = refuse("InvalidParameterCombination")
    assert lines({}, "database", rds=answers)[0] == line
    assert line.remedy == "set DbEngineVersion to one of 8.0.mysql_aurora.3.10.7"


def test_an_instance_class_that_is_not_in_a_zone() -> None:
    offer = {"AvailabilityZones": [{"Name": "ap-northeast-1d"}]}
    line, _ = lines(
        {}, "database", rds={"describe_orderable_db_instance_options": {"OrderableDBInstanceOptions": [offer]}}
    )
    assert line.seen == "not in ap-northeast-1c"


@pytest.mark.parametrize(
    ("exportable", "verdict", "seen"),
    [
        (["audit", "error", "general", "iam-db-auth-error", "instance", "slowquery"], CheckStatus.OK, "audit, error, "),
        (["audit", "error", "general", "slowquery"], CheckStatus.PROBLEM, "not iam-db-auth-error, instance"),
    ],
)
def test_an_unsupported_log_type_is_a_problem(exportable: list[str], verdict: CheckStatus, seen: str) -> None:
    versions = {"DBEngineVersions": [{"EngineVersion": "8.0", "ExportableLogTypes": exportable}]}
    _, line = lines({}, "database", rds={"describe_db_engine_versions": versions})
    assert line.status is verdict
    assert line.seen.startswith(seen)


VIEWER = "arn:aws:acm:us-east-1:111122223333:certificate/11111111-2222-3333-4444-555555555555"


@pytest.mark.parametrize(
    ("values", "answer", "verdict", "words"),
    [
        ({}, {"Status": "ISSUED", "SubjectAlternativeNames": ["*.example.org"]}, CheckStatus.OK, "ISSUED"),
        ({}, {"Status": "ISSUED", "SubjectAlternativeNames": ["example.org"]}, CheckStatus.PROBLEM, "for example.org"),
        (
            {},
            {"Status": "PENDING_VALIDATION", "SubjectAlternativeNames": ["*.example.org"]},
            CheckStatus.PROBLEM,
            "PENDING",
        ),
        ({}, refuse("ResourceNotFoundException"), CheckStatus.PROBLEM, "does not exist"),
        ({}, refuse("AccessDeniedException", "DescribeCertificate"), CheckStatus.UNKNOWN, "DescribeCertificate"),
        (
            {"ViewerCertificateArn": VIEWER.replace("us-east-1", "ap-northeast-1")},
            None,
            CheckStatus.PROBLEM,
            "it is in ap-northeast-1",
        ),
    ],
)
def test_certificates_are_checked(values: dict[str, str], answer: Any, verdict: CheckStatus, words: str) -> None:
    given = {"DomainName": "shop.example.org", "ViewerCertificateArn": VIEWER, **values}
    result = answer if isinstance(answer, Exception) else {"Certificate": answer}
    (line,) = lines(given, "domain", acm={"describe_certificate": result})
    assert line.status is verdict
    assert words in line.seen


@pytest.mark.parametrize(
    ("names", "host", "covered"),
    [
        (["shop.example.org"], "SHOP.example.org", True),
        (["*.example.org"], "shop.example.org", True),
        (["*.example.org"], "origin.shop.example.org", False),
        (["*.shop.example.org"], "origin.shop.example.org", True),
        (["example.org"], "shop.example.org", False),
    ],
)
def test_a_wildcard_matches_one_label(names: list[str], host: str, covered: bool) -> None:
    assert preflight.is_covered(names, host) is covered


@pytest.mark.parametrize(
    ("zone", "verdict"),
    [
        ({"Name": "example.org.", "Config": {"PrivateZone": False}}, CheckStatus.OK),
        ({"Name": "example.org.", "Config": {"PrivateZone": True}}, CheckStatus.PROBLEM),
        ({"Name": "example.net."}, CheckStatus.PROBLEM),
        ({"Name": "ample.org."}, CheckStatus.PROBLEM),
        (refuse("NoSuchHostedZone"), CheckStatus.PROBLEM),
    ],
)
def test_hosted_zones_are_checked(zone: Any, verdict: CheckStatus) -> None:
    answer = zone if isinstance(zone, Exception) else {"HostedZone": zone}
    given = {"DomainName": "shop.example.org", "HostedZoneId": "Z9876543210ZYXWVUTSRQ"}
    (line,) = lines(given, "domain", route53={"get_hosted_zone": answer})
    assert line.status is verdict


def test_a_slack_workspace_that_is_not_authorised_is_a_problem() -> None:
    (line,) = lines({}, "slack", chatbot={"describe_slack_workspaces": {"SlackWorkspaces": []}})
    assert line.status is CheckStatus.PROBLEM
    assert "Configure new client" in line.remedy
    known = {"SlackWorkspaces": [{"SlackTeamId": "T0987654321", "SlackTeamName": "ours"}]}
    (line,) = lines({}, "slack", chatbot={"describe_slack_workspaces": known})
    assert (line.status, line.seen) == (CheckStatus.OK, "ours")
    known["SlackWorkspaces"][0] |= {"State": "DISABLED", "StateReason": "forbidden by the organisation"}
    (line,) = lines({}, "slack", chatbot={"describe_slack_workspaces": known})
    assert (line.status, line.seen) == (CheckStatus.PROBLEM, "forbidden by the organisation")


# --- quotas


def test_quotas_are_compared_with_what_the_templates_make() -> None:
    ec2 = {
        "describe_vpcs": {"Vpcs": [{}] * 5},
        "describe_addresses": {"Addresses": [{}] * 4},
        "describe_internet_gateways": {"InternetGateways": []},
    }
    answers = {"get_service_quota": {"Quota": {"Value": 5.0}}}
    cloudformation = {
        "describe_stacks": ClientError(
            {"Error": {"Code": "ValidationError", "Message": "Stack with id atlas-lab does not exist"}},
            "DescribeStacks",
        )
    }
    found = {
        line.what: line for line in lines({}, "quotas", ec2=ec2, service_quotas=answers, cloudformation=cloudformation)
    }
    assert found["VPCs"].status is CheckStatus.PROBLEM
    assert found["VPCs"].seen == "1 needed, 5 in use, 5 allowed"
    assert "request 6 in Service Quotas (vpc L-F678F1CE" in found["VPCs"].remedy
    assert found["Elastic IP addresses"].seen == "2 needed, 4 in use, 5 allowed"
    assert found["Elastic IP addresses"].status is CheckStatus.PROBLEM
    assert found["internet gateways"].status is CheckStatus.OK
    assert found["NAT gateways in a zone"].seen == "1 needed, 5 allowed"
    assert found["interface endpoints in a VPC"].seen == f"{interface_endpoints()} needed, 5 allowed"
    assert found["Fargate vCPUs"].seen.startswith("3 needed")


def interface_endpoints() -> int:
    made = json.loads((TEMPLATES / "egress.json").read_text())["Resources"].values()
    return sum(one["Properties"]["VpcEndpointType"] == "Interface" for one in made if "VPCEndpoint" in one["Type"])


def test_the_default_counts_where_the_account_has_no_value_of_its_own() -> None:
    answers = {
        "get_service_quota": refuse("NoSuchResourceException"),
        "get_aws_default_service_quota": {"Quota": {"Value": 6.0}},
    }
    client: Any = Service(answers)
    assert quotas.read_quota(client, "fargate", "L-3032A538") == 6.0


def test_a_new_accounts_fargate_quota_is_too_small_for_production() -> None:
    environment = load_without_validation(PROJECT, "live")
    made = replace(
        context({}, service_quotas={"get_service_quota": {"Quota": {"Value": 6.0}}}), environment=environment
    )
    (line,) = [line for line in preflight.run_checks(made, fetch=no_network) if line.what == "Fargate vCPUs"]
    assert line.status is CheckStatus.PROBLEM
    assert line.seen.startswith("12 needed")


# --- images


DIGEST = "sha256:" + hashlib.sha256(b"image").hexdigest()
INDEX = {
    "manifests": [
        {"platform": {"os": "linux", "architecture": "amd64"}},
        {"platform": {"os": "unknown", "architecture": "unknown"}},
    ]
}
SINGLE = {"config": {"digest": "sha256:config"}}
CONFIG = {"os": "linux", "architecture": "arm64"}
PRIVATE = f"111122223333.dkr.ecr.ap-northeast-1.amazonaws.com/atlas/portal@{DIGEST}"
PUBLIC = f"public.ecr.aws/docker/library/alpine@{DIGEST}"


def image_line(image: str, fetch: images.Fetch, architecture: str = "X86_64", **ecr: Any) -> Check:
    made = context({"PortalImage": image, "CpuArchitecture": architecture}, ecr=ecr)
    return next(line for line in preflight.run_checks(made, fetch=fetch) if line.what == "PortalImage")


def test_a_private_image_for_several_machines() -> None:
    answer = {"images": [{"imageManifest": json.dumps(INDEX)}]}
    good = image_line(PRIVATE, no_network, batch_get_image=answer)
    assert (good.status, good.seen) == (CheckStatus.OK, "linux/amd64")
    bad = image_line(PRIVATE, no_network, "ARM64", batch_get_image=answer)
    assert bad.status is CheckStatus.PROBLEM
    assert bad.remedy == "build it for linux/arm64, or change CpuArchitecture"


def test_the_config_of_a_private_image_names_its_platform() -> None:
    line = image_line(
        PRIVATE,
        lambda _url, _headers: json.dumps(CONFIG).encode(),
        "ARM64",
        batch_get_image={"images": [{"imageManifest": json.dumps(SINGLE)}]},
        get_download_url_for_layer={"downloadUrl": "https://layers.example.com/1"},
    )
    assert (line.status, line.seen) == (CheckStatus.OK, "linux/arm64")


@pytest.mark.parametrize("answer", [{"images": []}, refuse("RepositoryNotFoundException")])
def test_an_image_that_was_not_pushed_is_a_problem(answer: Any) -> None:
    line = image_line(PRIVATE, no_network, batch_get_image=answer)
    assert line.status is CheckStatus.PROBLEM
    assert "--through bootstrap" in line.remedy


def registry_at(realm: str, asked: list[str], answers: Mapping[str, Any]) -> images.Fetch:
    """A registry that requires a token and issues it to any client. It answers 404 for unknown paths."""

    def fetch(url: str, headers: Mapping[str, str]) -> bytes:
        asked.append(url)
        if url.startswith(f"{realm}?"):
            return b'{"token": "t"}'
        refusal = Message()
        if headers.get("Authorization") != "Bearer t":
            refusal["WWW-Authenticate"] = f'Bearer realm="{realm}",service="registry",scope="repository:x:pull"'
            raise urllib.error.HTTPError(url, 401, "Unauthorized", refusal, io.BytesIO())
        for end, answer in answers.items():
            if url.endswith(end):
                return json.dumps(answer).encode()
        raise urllib.error.HTTPError(url, 404, "Not Found", refusal, io.BytesIO())

    return fetch


def test_a_public_image_by_the_registry_protocol() -> None:
    asked: list[str] = []
    fetch = registry_at("https://public.ecr.aws/token/", asked, {DIGEST: INDEX})
    assert image_line(PUBLIC, fetch).status is CheckStatus.OK
    assert asked[0] == f"https://public.ecr.aws/v2/docker/library/alpine/manifests/{DIGEST}"
    assert asked[1] == "https://public.ecr.aws/token/?service=registry&scope=repository%3Ax%3Apull"


@pytest.mark.parametrize(("name", "path"), [("nginx", "library/nginx"), ("someone/app", "someone/app")])
def test_an_image_of_docker_hub(name: str, path: str) -> None:
    asked: list[str] = []
    fetch = registry_at("https://auth.docker.io/token", asked, {DIGEST: SINGLE, "/blobs/sha256:config": CONFIG})
    line = image_line(f"docker.io/{name}@{DIGEST}", fetch, "ARM64")
    assert (line.status, line.seen) == (CheckStatus.OK, "linux/arm64")
    assert asked[0] == f"https://registry-1.docker.io/v2/{path}/manifests/{DIGEST}"


def test_a_missing_public_image_is_a_problem() -> None:
    line = image_line(PUBLIC, registry_at("https://public.ecr.aws/token/", [], {}))
    assert (line.status, line.remedy) == (CheckStatus.PROBLEM, "correct its digest")


def test_a_registry_that_takes_no_token() -> None:
    def fetch(url: str, headers: Mapping[str, str]) -> bytes:
        raise urllib.error.HTTPError(url, 401, "Unauthorized", Message(), io.BytesIO())

    assert image_line(PUBLIC, fetch).status is CheckStatus.UNKNOWN


def test_a_token_is_not_sent_to_the_target_of_a_redirect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blobs are in object stores, which refuse two ways of authorisation and must not get the token."""
    seen: list[urllib.request.Request] = []

    def open_url(request: urllib.request.Request, timeout: float) -> io.BytesIO:
        seen.append(request)
        return io.BytesIO(b"{}")

    monkeypatch.setattr(urllib.request, "urlopen", open_url)
    images.fetch_over_https("https://registry.example/blob", {"Authorization": "Bearer t", "Accept": "x"})
    (request,) = seen
    assert request.get_header("Authorization") == "Bearer t"
    handler = urllib.request.HTTPRedirectHandler()
    there = handler.redirect_request(
        request, io.BytesIO(), 307, "", HTTPMessage(), "https://store.example/blob?signature"
    )
    assert there is not None
    assert there.get_header("Authorization") is None
    assert there.get_header("Accept") == "x"


def test_a_registry_out_of_reach_is_no_problem_of_the_image() -> None:
    assert image_line(PUBLIC, no_network).status is CheckStatus.UNKNOWN


def test_image_references_are_parsed() -> None:
    found = images.parse_image(PRIVATE)
    assert found is not None
    assert (found.account, found.region, found.repository) == ("111122223333", "ap-northeast-1", "atlas/portal")
    assert images.parse_image("nginx:latest") is None
