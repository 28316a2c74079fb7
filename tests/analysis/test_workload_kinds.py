"""Every kind of workload passes the rules and the proof of network paths, and what is declared stays an exception."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from generator.config import Config
from generator.render import render_all
from generator.workloads import AddressOf, Egress, Generated, InternalService, Job, WebService, Worker
from hosting.analysis.cost.estimate import estimate_costs
from hosting.analysis.diff.permission_widening import compare_resource
from hosting.analysis.graph import pictures
from hosting.analysis.graph.layout import draw
from hosting.analysis.graph.read import read
from hosting.analysis.iam_policies import grants
from hosting.analysis.iam_policies.operate import operate_statements
from hosting.analysis.reachability import report
from hosting.analysis.reachability.proof import prove
from hosting.analysis.resolve import ResolvedEnvironment, resolve
from hosting.analysis.rules import check_rules, references
from hosting.analysis.timeline.durations import load_typical_durations
from hosting.analysis.timeline.schedule import compute_schedule
from hosting.deployer.operate import quotas
from hosting.model.declared_exceptions import declared_exceptions
from hosting.model.parameter_file import Environment, load_environment
from hosting.model.templates import Template
from tests.support.project import PARAMS

WORKLOADS = (
    WebService(
        "Portal", paths=("/*",), priority=900, sticky_seconds=60, secrets={"KEY": Generated()}, migrate=("migrate",)
    ),
    WebService(
        "Root", like="Portal", paths=("/root",), priority=7, user="0:0", port=80, read_only=False, own_size=False
    ),
    InternalService("Search", like="Portal", called_by=("Portal", "Nightly"), own_size=False),
    Worker(
        "Mailer",
        like="Portal",
        command=("mail",),
        one_task=True,
        spot=True,
        own_size=False,
        egress=(Egress(587, "SMTP"), Egress(8080, "Partner", cidr="203.0.113.0/24")),
    ),
    Job("Nightly", like="Portal", schedule="rate(1 hour)", variables={"SEARCH": AddressOf("Search")}, own_size=False),
)
SIZE = {"ServiceCpu": "256", "ServiceMemory": "512", "ServiceMinTasks": "2", "ServiceMaxTasks": "4"}
Bodies = dict[str, Any]


def bodies() -> Bodies:
    return {name: json.loads(text) for name, text in render_all(Config(workloads=WORKLOADS)).items()}


def resolved(changed: Bodies) -> tuple[dict[str, Template], ResolvedEnvironment]:
    templates = {name: Template.from_body(name, body) for name, body in changed.items()}
    lab = load_environment(PARAMS / "lab.json")
    known = {name for body in changed.values() for name in body.get("Parameters", {})}
    values = {name: value for name, value in {**lab.parameters, **SIZE}.items() if name in known}
    return templates, resolve(templates, Environment("lab", values, lab.account))


def rules(changed: Bodies) -> set[str]:
    templates, environment = resolved(changed)
    return {finding.rule for finding in check_rules(templates, [environment])}


def test_every_kind_passes_the_rules_as_it_is_declared() -> None:
    assert rules(bodies()) == set()


def test_the_paths_of_every_kind_are_those_that_the_project_declares() -> None:
    proof = prove(resolved(bodies())[1], {})
    assert [claim.text for claim in proof.claims if not claim.holds] == []
    ids = {claim.id for claim in proof.claims}
    assert {"portal -> search", "nightly -> search", "alb -> portal", "nightly -> aurora"} <= ids


def test_of_all_pairs_of_workloads_exactly_the_declared_ones_reach_each_other() -> None:
    names = [entry.name.lower() for entry in WORKLOADS]
    pairs = {f"{caller} -> {callee}" for caller, callee in itertools.permutations(names, 2)}
    proof = prove(resolved(bodies())[1], {})
    claims = {claim.id: claim.text for claim in proof.claims if claim.id in pairs}
    # Jobs and workers listen on no port, and reach none that their declaration does not name.
    assert claims.keys() == pairs
    assert {id for id, text in claims.items() if "does not reach" not in text} == {
        "portal -> search",
        "nightly -> search",
    }


@pytest.mark.parametrize("closed", ["Ingress", "Egress"])
def test_a_declared_call_that_one_of_both_groups_refuses_fails_the_proof(closed: str) -> None:
    changed = bodies()
    del changed["workload-search.json"]["Resources"][f"FromNightly{closed}"]
    proof = prove(resolved(changed)[1], {})
    assert [claim.id for claim in proof.claims if not claim.holds] == ["nightly -> search"]


def test_a_path_that_no_project_declares_fails_the_proof() -> None:
    changed = bodies()
    changed["root.json"]["Metadata"]["Workloads"]["Search"]["CalledBy"].remove("Portal")
    proof = prove(resolved(changed)[1], {})
    assert [claim.id for claim in proof.claims if not claim.holds] == ["portal -> search"]


def egress_rules(changed: Bodies) -> dict[int, dict[str, Any]]:
    found = [
        one["Properties"]
        for one in changed["workload-mailer.json"]["Resources"].values()
        if "CidrIp" in one["Properties"]
    ]
    return {rule["FromPort"]: rule for rule in found}


@pytest.mark.parametrize(
    ("change", "failing"),
    [
        ({}, set()),
        ({"FromPort": 586}, {"mailer -> internet"}),
        ({"ToPort": 588}, {"mailer -> internet"}),
        ({"IpProtocol": "-1"}, {"mailer -> internet"}),
        ({"CidrIp": "198.51.100.0/24"}, {"mailer -> internet"}),
        ({"CidrIp": "203.0.112.0/23"}, {"mailer -> internet"}),
        # Every group of the VPC is in this range, so a second control is missing for those that listen on the port.
        ({"CidrIp": "0.0.0.0/0"}, {"mailer -> internet", "mailer -> portal", "mailer -> search"}),
    ],
)
def test_the_proof_fails_if_a_declared_egress_is_closed_or_wider(change: dict[str, Any], failing: set[str]) -> None:
    changed = bodies()
    egress_rules(changed)[8080].update(change)
    proof = prove(resolved(changed)[1], {})
    assert {claim.id for claim in proof.claims if not claim.holds} == failing


def test_an_egress_rule_that_no_workload_declares_fails_the_proof() -> None:
    changed = bodies()
    del changed["root.json"]["Metadata"]["Workloads"]["Mailer"]["Egress"][0]
    proof = prove(resolved(changed)[1], {})
    assert [claim.id for claim in proof.claims if not claim.holds] == ["mailer -> internet"]


def test_workloads_of_one_image_wait_for_its_migration() -> None:
    stacks = bodies()["root.json"]["Resources"]
    waiting = {name for name, stack in stacks.items() if "PortalServiceStack" in stack.get("DependsOn", [])}
    assert waiting == {"RootServiceStack", "SearchServiceStack", "MailerServiceStack", "NightlyServiceStack"}


def test_the_policy_of_a_deployment_covers_every_kind() -> None:
    statements = grants.deploy_statements(resolved(bodies())[1])
    resources = {action: item.resources for item in statements for action in item.actions}
    assert resources["scheduler:CreateSchedule"] == (
        "arn:aws:scheduler:ap-northeast-1:222233334444:schedule/default/atlas-lab-*",
    )
    # Cloud Map creates and deletes the hosted zone of a namespace as the caller.
    assert {"servicediscovery:CreateService", "route53:CreateHostedZone"} <= resources.keys()
    assert resources["route53:DeleteHostedZone"] == ("arn:aws:route53:::hostedzone/*",)
    roles = {
        service
        for item in statements
        for service in (item.condition or {}).get("StringEquals", {}).get("iam:PassedToService", ())
    }
    assert {"scheduler.amazonaws.com", "lambda.amazonaws.com", "ecs-tasks.amazonaws.com"} <= roles


def service(body: Any) -> Any:
    return body["workload-mailer.json"]["Resources"]["Service"]["Properties"]


def migration(body: Any) -> Any:
    return body["workload-portal.json"]["Resources"]["Migration"]["Properties"]


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lambda b: b["workload-mailer.json"]["Metadata"].pop("OneTask"), {"APP-15", "APP-16", "APP-34", "REQ-C6"}),
        (lambda b: service(b).update(DesiredCount=2), {"APP-16", "APP-34"}),
        (lambda b: service(b).update(AvailabilityZoneRebalancing="ENABLED"), {"APP-15"}),
        (lambda b: b["workload-root.json"]["Metadata"].pop("Container"), {"SEC-31"}),
        (lambda b: b["workload-portal.json"]["Resources"]["Service"]["DependsOn"].remove("Migration"), {"OPS-27"}),
        (lambda b: migration(b).update(TimeoutSeconds="960"), {"OPS-27"}),
        (lambda b: migration(b).update(ServiceTimeout=3700), {"OPS-15"}),
    ],
    ids=[
        "one task that is not declared",
        "two tasks",
        "a second task in another zone",
        "root that is not declared",
        "a service that does not wait for its migration",
        "a migration that runs as long as CloudFormation waits",
        "a custom resource that takes too long",
    ],
)
def test_an_exception_that_is_not_declared_is_found(damage: Callable[[Bodies], object], found: set[str]) -> None:
    changed = bodies()
    damage(changed)
    assert rules(changed) == found


def test_the_picture_shows_jobs_callers_and_declared_exceptions() -> None:
    templates, environment = resolved(bodies())
    architecture = read(environment, templates)
    chart = pictures.as_mermaid(architecture)
    assert "Nightly: job" in chart
    assert "Scheduler: rate(1 hour) UTC" in chart
    assert "search.atlas-lab.internal, called by Portal, Nightly" in chart
    assert "Mailer: 1 task, spot" in chart
    assert "Mailer runs one task and is not highly available" in chart
    words = "\n".join(text.words for text in draw(architecture).texts)
    assert "Portal key" in words
    assert "declared: Mailer runs on spare capacity of Fargate" in words
    assert "Job Nightly: Scheduler: rate(1 hour) UTC" in pictures.as_svg(architecture)


def test_the_proof_of_network_paths_names_what_the_project_declares() -> None:
    text = report.as_text([prove(resolved(bodies())[1], {})])
    assert "declared: Mailer runs one task and is not highly available" in text


def test_a_project_without_a_web_service_declares_it() -> None:
    root = Template.from_body("root.json", {"Metadata": {"Services": ["W"], "Workloads": {"W": {"Kind": "worker"}}}})
    assert declared_exceptions(root)[0].startswith("no web service")


def test_commands_of_operation_may_read_the_schedules_of_jobs() -> None:
    granted = {
        name: {action for item in operate_statements(resolved(bodies())[1], [name]) for action in item.actions}
        for name in ("status", "run", "tunnel")
    }
    assert {"scheduler:GetSchedule", "ecs:ListTasks", "ecs:DescribeTasks", "logs:DescribeLogStreams"} <= granted[
        "status"
    ]
    assert {"sqs:ReceiveMessage", "kms:Decrypt"} <= granted["status"]
    assert "scheduler:GetSchedule" in granted["run"]
    assert "scheduler:GetSchedule" not in granted["tunnel"]


def nightly(body: Any, logical_id: str) -> Any:
    return body["workload-nightly.json"]["Resources"][logical_id]["Properties"]


def container(body: Any, number: int) -> Any:
    return nightly(body, "TaskDefinition")["ContainerDefinitions"][number]


def start(body: Any) -> Any:
    return nightly(body, "Schedule")["Target"]["EcsParameters"]


def network(body: Any) -> Any:
    return start(body)["NetworkConfiguration"]["AwsvpcConfiguration"]


def options(body: Any) -> Any:
    return container(body, 0)["LogConfiguration"]["Options"]


@pytest.mark.parametrize(
    ("rule", "damage"),
    [
        ("APP-02", lambda b: nightly(b, "TaskDefinition").pop("RuntimePlatform")),
        ("APP-03", lambda b: start(b).update(EnableExecuteCommand=False)),
        ("APP-03", lambda b: start(b).update(PlatformVersion="1.3.0")),
        ("APP-04", lambda b: container(b, 0).pop("LinuxParameters")),
        ("APP-05", lambda b: nightly(b, "Schedule")["Target"].update(Arn="arn:aws:ecs:x:y:cluster/other")),
        ("APP-07", lambda b: container(b, 1).update(Essential=True)),
        ("APP-07", lambda b: container(b, 1).pop("RestartPolicy")),
        ("APP-08", lambda b: container(b, 1)["Environment"].clear()),
        ("APP-09", lambda b: container(b, 0).update(PortMappings=[{"ContainerPort": 13306}])),
        ("APP-10", lambda b: container(b, 1).update(Image="public.ecr.aws/docker/library/alpine:3")),
        ("APP-11", lambda b: container(b, 0)["Secrets"].append({"Name": "X", "ValueFrom": "arn:aws:x:y:z:secret:z"})),
        ("APP-12", lambda b: options(b).update(mode="blocking")),
        ("APP-12", lambda b: options(b).pop("awslogs-stream-prefix")),
        ("APP-17", lambda b: start(b).update(LaunchType="EC2")),
        ("APP-17", lambda b: start(b).pop("PropagateTags")),
        ("APP-19", lambda b: container(b, 0).update(StopTimeout=300)),
        ("APP-33", lambda b: container(b, 1).update(Command=["sleep", "1"])),
        ("APP-35", lambda b: start(b).update(TaskDefinitionArn="arn:aws:ecs:x:y:task-definition/other:1")),
        ("NET-09", lambda b: network(b).update(AssignPublicIp="ENABLED")),
        ("NET-16", lambda b: network(b).update(Subnets=network(b)["Subnets"][:1])),
        ("SEC-27", lambda b: network(b).pop("SecurityGroups")),
        ("SEC-31", lambda b: container(b, 0).update(ReadonlyRootFilesystem=False)),
        ("SEC-31", lambda b: container(b, 0).update(User="0:0")),
        ("SEC-32", lambda b: network(b).pop("SecurityGroups")),
        ("REQ-C1", lambda b: start(b).update(LaunchType="EC2")),
        ("REQ-C3", lambda b: container(b, 0).update(Essential=False)),
        ("REQ-C6", lambda b: start(b).update(EnableExecuteCommand=False)),
        ("REQ-O1", lambda b: options(b).update({"awslogs-group": "elsewhere"})),
    ],
)  # fmt: skip
def test_the_rules_of_tasks_hold_for_jobs(rule: str, damage: Callable[[Bodies], object]) -> None:
    changed = bodies()
    damage(changed)
    assert rule in rules(changed)


def test_the_estimate_has_no_price_of_spare_capacity_and_the_price_of_an_hour_of_a_job() -> None:
    found = estimate_costs(resolved(bodies())[1])
    mailer = [(one.item, one.quantity) for one in found.unknown if one.layer == "MailerService"]
    assert mailer == [
        ("Fargate Spot CPU", "1 tasks of 0.25 vCPU in ap-northeast-1"),
        ("Fargate Spot memory", "1 tasks of 0.5 GB in ap-northeast-1"),
    ]
    assert not [line for line in found.lines if line.layer == "MailerService" and "Fargate" in line.item]
    hour = Decimal("0.25") * Decimal("0.05056") + Decimal("0.5") * Decimal("0.00553")
    texts = [text for _, text in found.by_use if text.startswith("Nightly")]
    assert texts == [f"Nightly: {hour:.4f} USD for each hour of a task of 0.25 vCPU and 0.5 GB"]
    (zone,) = [line for line in found.lines if line.item.startswith("hosted zone")]
    assert zone.least == zone.most == Decimal("0.50")


def test_the_quota_of_vcpus_counts_every_kind_of_workload() -> None:
    templates, environment = resolved(bodies())
    values = dict(environment.environment.parameters)
    root = templates["root.json"]
    # Three services with two tasks of 256 units, old and new; one task of the worker and one of the job.
    own = 4 * int(values["PortalCpu"]) / 1024
    assert quotas.calculate_vcpus(root, values) == own + 2 * 4 * 0.25 + 2 * 0.25


def test_the_timeline_has_workloads_of_one_image_after_their_migration() -> None:
    tasks = compute_schedule(resolved(bodies())[1], load_typical_durations()).tasks
    migrated = tasks["root/PortalServiceStack"].end
    assert all(tasks[f"root/{name}ServiceStack"].begin >= migrated for name in ("Root", "Mailer", "Nightly"))


def test_every_reference_of_every_kind_is_known() -> None:
    """A property without an entry would be a reference that the rule does not check."""
    free = ("PolicyDocument.", "Environment.", "EventPattern.", "Parameters.", "LoadBalancerAttributes.", "BucketName.")
    unknown = {
        f"{resource.type} {path}"
        for stack in resolved(bodies())[1].stacks.values()
        for resource in stack.resources.values()
        for path, _ in references._references(dict(resource.properties))
        if not references._taken(resource, path) and not any(part in f"{path}." for part in free)
    }
    assert not unknown, "add them to hosting/analysis/identifiers.py"


def test_a_job_that_leaves_the_network_of_the_project_fails_the_proof() -> None:
    changed = bodies()
    network(changed)["SecurityGroups"] = ["sg-0123456789abcdef0"]
    proof = prove(resolved(changed)[1], {})
    problems = [problem.path for claim in proof.claims for problem in claim.problems]
    assert "Properties.Target.EcsParameters.NetworkConfiguration.AwsvpcConfiguration.SecurityGroups" in problems


def test_a_public_address_of_a_job_widens_its_permissions() -> None:
    before = bodies()
    after = bodies()
    network(after).update(AssignPublicIp="ENABLED")
    kind = "AWS::Scheduler::Schedule"
    lines = compare_resource(kind, nightly(before, "Schedule"), nightly(after, "Schedule"))
    assert ["tasks get public addresses" in str(line) for line in lines] == [True]


def test_a_job_on_spare_capacity_is_a_declared_exception() -> None:
    job = Job("Report", schedule="rate(1 hour)", spot=True)
    root = Template("root.json", render_all(Config(workloads=(*WORKLOADS, job)))["root.json"])
    assert any(sentence.startswith("Report runs on spare capacity") for sentence in declared_exceptions(root))
