"""Updates that AWS refuses: each is found with its reason, and its near neighbour that AWS accepts is not."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hosting.analysis.diff.prediction import Prediction, predict
from hosting.analysis.resolve import ResolvedEnvironment, resolve
from hosting.model.parameter_file import Environment
from hosting.model.templates import load_complete
from tests import small_project

Bodies = dict[str, dict[str, Any]]
Edit = Callable[[Bodies], object]
ELB = "AWS::ElasticLoadBalancingV2"


def resource(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Type": kind, "Properties": properties}


def ref(name: str) -> dict[str, str]:
    return {"Ref": name}


NETWORK: dict[str, dict[str, Any]] = {
    "Vpc": resource("AWS::EC2::VPC", CidrBlock="10.0.0.0/16"),
    "Subnet": resource("AWS::EC2::Subnet", VpcId=ref("Vpc"), CidrBlock="10.0.0.0/24", AvailabilityZone="a"),
    "Address": resource("AWS::EC2::EIP", Domain="vpc"),
    "Nat": resource("AWS::EC2::NatGateway", SubnetId=ref("Subnet"), AllocationId=ref("Address")),
    "Key": resource("AWS::KMS::Key", KeyPolicy={}),
    "Balancer": resource(f"{ELB}::LoadBalancer", Subnets=[ref("Subnet")]),
    "Listener": resource(
        f"{ELB}::Listener",
        LoadBalancerArn=ref("Balancer"),
        Port=443,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": ref("Group")}],
    ),
    "Group": resource(f"{ELB}::TargetGroup", Port=80, VpcId=ref("Vpc")),
    "Rule": resource(
        f"{ELB}::ListenerRule",
        ListenerArn=ref("Listener"),
        Priority=10,
        Conditions=[{"Field": "path-pattern", "Values": ["/"]}],
        Actions=[{"Type": "forward", "TargetGroupArn": ref("Group")}],
    ),
    "Logs": resource("AWS::Logs::LogGroup", LogGroupName="/shop"),
    "Secret": resource("AWS::SecretsManager::Secret", GenerateSecretString={"PasswordLength": 32}),
    "Cluster": resource("AWS::RDS::DBCluster", Engine="aurora-mysql", EngineVersion="8.0.mysql_aurora.3.10.6"),
    "Bucket": resource("AWS::S3::Bucket", ObjectLockEnabled=True),
}


@pytest.fixture
def edited(tmp_path: Path) -> Callable[[Edit], Prediction]:
    """Return the prediction for a small project whose network has every kind of resource, before and after an edit."""
    numbers = iter(range(100))

    def resolved(bodies: Bodies) -> ResolvedEnvironment:
        folder = small_project.write(tmp_path / str(next(numbers))) / "templates"
        for name, body in bodies.items():
            (folder / name).write_text(json.dumps(body))
        given = {"Project": "shop", "Environment": "dev", "FrontendImage": small_project.IMAGE}
        return resolve(load_complete(folder), Environment("dev", given))

    def run(edit: Edit) -> Prediction:
        before = small_project.templates()
        before["network.json"]["Resources"] |= copy.deepcopy(NETWORK)
        after = copy.deepcopy(before)
        edit(after)
        return predict(resolved(before), resolved(after))

    return run


def network(bodies: Bodies) -> dict[str, Any]:
    resources: dict[str, Any] = bodies["network.json"]["Resources"]
    return resources


def put(name: str, property: str, value: Any) -> Edit:
    return lambda bodies: network(bodies)[name]["Properties"].update({property: value})


def add(name: str, like: str, **properties: Any) -> Edit:
    def edit(bodies: Bodies) -> None:
        found = copy.deepcopy(NETWORK[like])
        found["Properties"] |= properties
        network(bodies)[name] = found

    return edit


def rename(old: str, new: str) -> Edit:
    def edit(bodies: Bodies) -> None:
        text = json.dumps(bodies["network.json"]).replace(f'"{old}"', f'"{new}"')
        bodies["network.json"] = json.loads(text)

    return edit


def move_logs(bodies: Bodies) -> None:
    bodies["operations.json"]["Resources"]["Logs"] = network(bodies).pop("Logs")


def rename_stack(bodies: Bodies) -> None:
    bodies["root.json"] = json.loads(json.dumps(bodies["root.json"]).replace('"NetworkStack"', '"NetStack"'))


def move_and_rename(bodies: Bodies) -> None:
    move_logs(bodies)
    bodies["operations.json"]["Resources"]["Logs"]["Properties"]["LogGroupName"] = "/other"


def both(*edits: Edit) -> Edit:
    def edit(bodies: Bodies) -> None:
        for one in edits:
            one(bodies)

    return edit


def retype(bodies: Bodies) -> None:
    network(bodies)["Logs"] = resource("AWS::SNS::Topic")


@pytest.mark.parametrize(
    ("edit", "path", "reason"),
    [
        (put("Subnet", "AvailabilityZone", "b"), "NetworkStack/Subnet", "the address range 10.0.0.0/24"),
        (put("Subnet", "AvailabilityZone", "b"), "NetworkStack/Nat", "the address "),
        (add("More", "Subnet", CidrBlock="10.0.0.128/25"), "NetworkStack/More", "NetworkStack/Subnet has"),
        (put("Key", "MultiRegion", True), "NetworkStack/Key", "KMS cannot change MultiRegion"),
        (put("Key", "KeySpec", "RSA_2048"), "NetworkStack/Key", "KMS cannot change KeySpec"),
        (put("Key", "KeyUsage", "SIGN_VERIFY"), "NetworkStack/Key", "KMS cannot change KeyUsage"),
        (put("Balancer", "Scheme", "internal"), "NetworkStack/Group", "its load balancer becomes a new one"),
        (add("Second", "Rule"), "NetworkStack/Second", "NetworkStack/Rule has the priority 10"),
        (rename("Rule", "Route"), "NetworkStack/Route", "NetworkStack/Rule has the priority 10"),
        (
            both(add("Second", "Rule", Priority=20), put("Rule", "Priority", 30), put("Second", "Priority", 10)),
            "NetworkStack/Second",
            "NetworkStack/Rule has the priority 10",
        ),
        (add("Second", "Listener"), "NetworkStack/Second", "NetworkStack/Listener has the port 443"),
        (rename("Logs", "Group2"), "NetworkStack/Group2", "NetworkStack/Logs has the name /shop"),
        (move_logs, "OperationsStack/Logs", "NetworkStack/Logs has the name /shop"),
        (rename_stack, "NetStack", "NetworkStack becomes NetStack"),
        (put("Cluster", "BacktrackWindow", 3600), "NetworkStack/Cluster", "backtracking"),
        (put("Cluster", "EngineVersion", "8.0.mysql_aurora.3.10.2"), "NetworkStack/Cluster", "downgrade"),
        (lambda b: network(b)["Bucket"]["Properties"].pop("ObjectLockEnabled"), "NetworkStack/Bucket", "Object Lock"),
        (retype, "NetworkStack/Logs", "it was AWS::Logs::LogGroup"),
    ],
)
def test_an_update_that_aws_refuses_is_found(
    edited: Callable[[Edit], Prediction], edit: Edit, path: str, reason: str
) -> None:
    found = {"/".join(one.path): one for one in edited(edit).impossible}
    assert path in found
    assert reason in found[path].reason
    assert found[path].way


@pytest.mark.parametrize(
    "edit",
    [
        lambda _bodies: None,
        put("Subnet", "MapPublicIpOnLaunch", True),
        add("More", "Subnet", CidrBlock="10.0.1.0/24"),
        both(put("Vpc", "CidrBlock", "10.1.0.0/16"), lambda bodies: network(bodies).pop("Nat")),
        put("Key", "KeySpec", "SYMMETRIC_DEFAULT"),
        put("Key", "Description", "x"),
        both(
            put("Balancer", "Scheme", "internal"),
            rename("Group", "Group2"),
        ),
        put("Rule", "Priority", 20),
        add("Second", "Rule", Priority=20),
        add("Second", "Listener", Port=80),
        move_and_rename,
        put("Cluster", "EngineVersion", "8.0.mysql_aurora.3.10.10"),
        lambda bodies: network(bodies).pop("Logs"),
    ],
)
def test_an_update_that_aws_accepts_is_not_found(edited: Callable[[Edit], Prediction], edit: Edit) -> None:
    assert edited(edit).impossible == ()


def test_a_renamed_stack_is_one_finding_that_names_what_is_in_use(edited: Callable[[Edit], Prediction]) -> None:
    (found,) = edited(rename_stack).impossible
    assert found.type == "AWS::CloudFormation::Stack"
    assert "name /shop" in found.reason
    assert "first without NetworkStack, then with NetStack" in found.way


def test_a_secret_with_a_new_value_is_named_with_its_users(edited: Callable[[Edit], Prediction]) -> None:
    def edit(bodies: Bodies) -> None:
        network(bodies)["Secret"]["Properties"]["GenerateSecretString"]["PasswordLength"] = 40

    use = put("Cluster", "MasterUserPassword", {"Fn::Sub": "{{resolve:secretsmanager:${Secret}}}"})
    (found,) = edited(both(edit, use)).new_secrets
    assert found.path == ("NetworkStack", "Secret")
    assert found.users == (("root/NetworkStack", "Cluster"),)
    assert edited(put("Secret", "Description", "x")).new_secrets == ()
