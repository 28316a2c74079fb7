"""Switches that forbid a deletion."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from hosting.deployer.safeguards import protections
from hosting.deployer.safeguards.protections import Protection


def client(service: str) -> Any:
    session: Any = boto3.Session(aws_access_key_id="x", aws_secret_access_key="x", region_name="eu-west-1")
    return session.client(service)


def test_only_enabled_protections_are_found() -> None:
    rds, elb = client("rds"), client("elbv2")
    with Stubber(rds) as stub:
        stub.add_response("describe_db_clusters", {"DBClusters": [{"DeletionProtection": True}]})
        stub.add_response("describe_db_clusters", {"DBClusters": [{"DeletionProtection": False}]})
        found = list(protections.find_protected_clusters(rds, [("DatabaseStack/Cluster", "c1"), ("X", "c2")]))
    assert [str(one) for one in found] == ["the database's deletion protection of DatabaseStack/Cluster is enabled"]
    with Stubber(elb) as stub:
        attribute = {"Key": "deletion_protection.enabled", "Value": "true"}
        stub.add_response("describe_load_balancer_attributes", {"Attributes": [attribute]})
        stub.add_response("describe_load_balancer_attributes", {"Attributes": [{**attribute, "Value": "false"}]})
        found = list(
            protections.find_protected_load_balancers(elb, [("ApplicationStack/LoadBalancer", "arn1"), ("X", "arn2")])
        )
    assert [one.physical_id for one in found] == ["arn1"]


def test_a_resource_that_is_gone_is_not_protected() -> None:
    rds, elb = client("rds"), client("elbv2")
    with Stubber(rds) as stub:
        stub.add_client_error("describe_db_clusters", "DBClusterNotFoundFault", "DBCluster c1 not found.", 404)
        stub.add_response("describe_db_clusters", {"DBClusters": [{"DeletionProtection": True}]})
        found = list(protections.find_protected_clusters(rds, [("DatabaseStack/Cluster", "c1"), ("X", "c2")]))
    assert [one.physical_id for one in found] == ["c2"]
    with Stubber(elb) as stub:
        stub.add_client_error("describe_load_balancer_attributes", "LoadBalancerNotFound", "One or more not found", 400)
        assert not list(protections.find_protected_load_balancers(elb, [("ApplicationStack/LoadBalancer", "arn1")]))


@pytest.mark.parametrize("code", ["AccessDenied", "Throttling"])
def test_a_resource_that_cannot_be_read_stays_an_error(code: str) -> None:
    rds = client("rds")
    stub = Stubber(rds)
    stub.add_client_error("describe_db_clusters", code)
    with stub, pytest.raises(ClientError, match=code):
        list(protections.find_protected_clusters(rds, [("DatabaseStack/Cluster", "c1")]))


def test_each_is_lifted_where_it_is() -> None:
    cloudformation, rds, elb = client("cloudformation"), client("rds"), client("elbv2")
    with Stubber(cloudformation) as stacks, Stubber(rds) as databases, Stubber(elb) as balancers:
        off: dict[str, Any] = {"StackName": "arn", "EnableTerminationProtection": False}
        stacks.add_response("update_termination_protection", {}, off)
        off = {"DBClusterIdentifier": "c1", "DeletionProtection": False, "ApplyImmediately": True}
        databases.add_response("modify_db_cluster", {}, off)
        attribute = {"Key": "deletion_protection.enabled", "Value": "false"}
        off = {"LoadBalancerArn": "arn1", "Attributes": [attribute]}
        balancers.add_response("modify_load_balancer_attributes", {}, off)
        for type, physical_id in (
            (protections.STACK, "arn"),
            (protections.CLUSTER, "c1"),
            (protections.LOAD_BALANCER, "arn1"),
        ):
            protections.disable(Protection(type, physical_id, "x"), cloudformation, rds, elb)
        for stub in (stacks, databases, balancers):
            stub.assert_no_pending_responses()
