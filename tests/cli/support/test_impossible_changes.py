"""Updates that the emulator refuses as AWS does are seen by `plan` and `deploy` before anything is changed."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import small_project
from tests.support.commands import Done

Command = Callable[..., Done]
Resources = dict[str, Any]
ELB = "AWS::ElasticLoadBalancingV2"
ACTION = [{"Type": "forward", "TargetGroupArn": {"Ref": "Group"}}]


def resource(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Type": kind, "Properties": properties}


def rule(priority: int) -> dict[str, Any]:
    conditions = [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/*"]}}]
    return resource(
        f"{ELB}::ListenerRule",
        ListenerArn={"Ref": "Listener"},
        Priority=priority,
        Conditions=conditions,
        Actions=ACTION,
    )


DEPLOYED: Resources = {
    "Vpc": resource("AWS::EC2::VPC", CidrBlock="10.9.0.0/16"),
    "Subnet": resource(
        "AWS::EC2::Subnet", VpcId={"Ref": "Vpc"}, CidrBlock="10.9.0.0/24", AvailabilityZone="ap-northeast-1a"
    ),
    "Address": resource("AWS::EC2::EIP", Domain="vpc"),
    "Nat": resource(
        "AWS::EC2::NatGateway",
        SubnetId={"Ref": "Subnet"},
        AllocationId={"Fn::GetAtt": ["Address", "AllocationId"]},
    ),
    "Cluster": {
        **resource("AWS::RDS::DBCluster", Engine="aurora-mysql", MasterUsername="app", ManageMasterUserPassword=True),
        "DeletionPolicy": "Delete",
    },
    "Key": resource("AWS::KMS::Key", KeyPolicy={"Version": "2012-10-17", "Statement": []}),
    "Balancer": resource(f"{ELB}::LoadBalancer", Subnets=["subnet-1", "subnet-2"], Scheme="internet-facing"),
    "Group": resource(f"{ELB}::TargetGroup", Protocol="HTTP", Port=80, VpcId="vpc-1", TargetType="ip"),
    "Listener": resource(
        f"{ELB}::Listener",
        LoadBalancerArn={"Ref": "Balancer"},
        Port=80,
        Protocol="HTTP",
        DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "403"}}],
    ),
    "Rule": rule(100),
}


def other_zone(found: Resources) -> None:
    found["Subnet"]["Properties"]["AvailabilityZone"] = "ap-northeast-1c"


def multi_region(found: Resources) -> None:
    found["Key"]["Properties"]["MultiRegion"] = True


def other_nat(found: Resources) -> None:
    found["OtherNat"] = found.pop("Nat")


def backtrack(found: Resources) -> None:
    found["Cluster"]["Properties"]["BacktrackWindow"] = 3600


def second_listener(found: Resources) -> None:
    found["OtherListener"] = copy.deepcopy(found["Listener"])


def internal(found: Resources) -> None:
    found["Balancer"]["Properties"]["Scheme"] = "internal"


def renamed_rule(found: Resources) -> None:
    found["OtherRule"] = found.pop("Rule")


def write(project: Path, resources: Resources) -> None:
    body = small_project.templates()["network.json"]
    body["Resources"] |= resources
    small_project.write(project, changed={"network.json": body})


@pytest.mark.parametrize(
    ("edit", "name", "refusal", "allowed"),
    [
        (other_zone, "NetworkStack/Subnet", "conflicts with another subnet", ["--allow-replace", "Network/Subnet"]),
        (multi_region, "NetworkStack/Key", "MultiRegion", []),
        (internal, "NetworkStack/Group", "cannot be associated with more than one load balancer", []),
        (other_nat, "NetworkStack/OtherNat", "is already associated", []),
        (backtrack, "NetworkStack/Cluster", "Backtrack cannot currently be enabled", []),
        (second_listener, "NetworkStack/OtherListener", "A listener already exists on this port", []),
        (renamed_rule, "NetworkStack/OtherRule", "Priority '100' is currently in use", []),
    ],
)
def test_what_the_emulator_refuses_is_seen_before_the_update(
    command: Command,
    project: Path,
    edit: Callable[[Resources], None],
    name: str,
    refusal: str,
    allowed: list[str],
) -> None:
    write(project, DEPLOYED)
    first = command("deploy", "-e", "dev", "--yes", "--fail-on", "impossible")
    assert first.code == 0, first.err
    changed = copy.deepcopy(DEPLOYED)
    edit(changed)
    write(project, changed)

    plan = command("plan", "-e", "dev", "--fail-on", "impossible", "--output", "json")
    assert plan.code == 3, plan.err
    assert f"--fail-on impossible: {name} " in plan.err
    found = json.loads(plan.out)["impossible"]
    assert name in {"/".join(one["path"]) for one in found}
    assert all(one["reason"] and one["way"] for one in found)
    refused = command("deploy", "-e", "dev", "--yes", *allowed, "--fail-on", "impossible")
    assert refused.code == 3
    assert "Impossible: AWS refuses these updates" in refused.err

    failed = command("deploy", "-e", "dev", "--yes", *allowed)
    assert failed.code not in {0, 3}
    assert refusal in failed.err


def test_a_name_that_moves_to_another_layer_is_explained_although_the_change_set_fails(
    command: Command, project: Path
) -> None:
    logs = resource("AWS::Logs::LogGroup", LogGroupName="/shop/app")
    write(project, {"Logs": logs})
    assert command("deploy", "-e", "dev", "--yes").code == 0
    operations = small_project.templates()["operations.json"]
    operations["Resources"]["Logs"] = logs
    small_project.write(project, changed={"operations.json": operations})
    for arguments in (("plan",), ("deploy", "--yes")):
        done = command(*arguments, "-e", "dev")
        assert done.code not in {0, 2}
        assert "already exists" in done.err
        assert "OperationsStack/Logs" in done.err
        assert "NetworkStack/Logs has the name /shop/app until the update ends" in done.err
        assert "first remove NetworkStack/Logs, then add this one" in done.err
