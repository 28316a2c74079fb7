"""The rule on references is shown to fail for resources of several kinds, within a template and across stacks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hosting.analysis import identifiers
from hosting.analysis.identifiers import identifiers_returned, identifiers_taken
from hosting.analysis.resolve import resolve
from hosting.analysis.rules import references
from hosting.model.parameter_file import Environment
from hosting.model.templates import Template


def wire(bench: Any, stack: str, **outputs: str) -> None:
    """Wire parameters of a nested stack to other outputs: ``VpcId="NetworkStack.PublicSubnet1Id"``.

    ``ServiceStack`` is the stack of any service.
    """
    resources = bench.bodies["root.json"]["Resources"]
    parameters = next(body for name, body in resources.items() if name.endswith(stack))["Properties"]["Parameters"]
    for name, output in outputs.items():
        source, _, attribute = output.partition(".")
        assert name in parameters
        parameters[name] = {"Fn::GetAtt": [source, f"Outputs.{attribute}"]}


def swap_cluster_and_subnets(b: Any) -> None:
    wire(b, "ReaderStack", DbClusterId="DatabaseStack.DbSubnetGroupName", DbSubnetGroupName="DatabaseStack.DbClusterId")


def swap_in_the_reader(b: Any) -> None:
    properties = b.bodies["reader.json"]["Resources"]["ReaderInstance"]["Properties"]
    cluster, subnets = properties["DBClusterIdentifier"], properties["DBSubnetGroupName"]
    properties.update(DBClusterIdentifier=subnets, DBSubnetGroupName=cluster)


def output(template: str, name: str, value: dict[str, Any]) -> Any:
    def change(b: Any) -> None:
        b.bodies[template]["Outputs"][name]["Value"] = value

    return change


def wired(stack: str, **outputs: str) -> Any:
    return lambda b: wire(b, stack, **outputs)


def put(kind: str, path: str, value: Any, has: str = "") -> Any:
    return lambda b: b.put(kind, path, value, has=has)


# Mistake -> how it is made, and a property that the rule reports.
CASES: dict[str, tuple[Any, str]] = {
    "cluster and subnets across stacks": (swap_cluster_and_subnets, "ReaderInstance DBClusterIdentifier"),
    "cluster and subnets in one template": (swap_in_the_reader, "ReaderInstance DBSubnetGroupName"),
    "a subnet for a VPC": (
        wired("SecurityStack", VpcId="NetworkStack.PublicSubnet1Id"),
        "AlbSecurityGroup VpcId",
    ),
    "a security group for a subnet": (
        wired("DatabaseStack", DbSubnet1Id="SecurityStack.DatabaseSecurityGroupId"),
        "SubnetGroup SubnetIds.0",
    ),
    "a route table for a subnet": (
        wired("EgressStack", PublicSubnet1Id="NetworkStack.AppRouteTable1Id"),
        "NatGateway1 SubnetId",
    ),
    "a subnet for a security group": (
        wired("ApplicationStack", AlbSecurityGroupId="NetworkStack.AppSubnet1Id"),
        "LoadBalancer SecurityGroups.0",
    ),
    "a role's name for its ARN": (
        output("database.json", "MonitoringRoleArn", {"Ref": "MonitoringRole"}),
        "ReaderInstance MonitoringRoleArn",
    ),
    "a key for a bucket": (
        wired("DistributionStack", AccessLogBucketName="SecurityStack.TelemetryKeyArn"),
        "StaticBucket LoggingConfiguration.DestinationBucketName",
    ),
    "a bucket for a key": (
        wired("DatabaseStack", DataKeyArn="SecurityStack.AlbLogBucketName"),
        "Cluster MasterUserSecret.KmsKeyId",
    ),
    "a role for a stream": (
        wired("ServiceStack", ArchiveStreamArn="ArchiveStack.SubscriptionRoleArn"),
        "AppArchiveFilter DestinationArn",
    ),
    "a cluster's endpoint for its name": (
        output("database.json", "DbClusterId", {"Fn::GetAtt": ["Cluster", "Endpoint.Address"]}),
        "ReaderInstance DBClusterIdentifier",
    ),
    "a cluster for a listener": (
        wired("ServiceStack", OriginListenerArn="ApplicationStack.ClusterArn"),
        "ListenerRule ListenerArn",
    ),
    "a listener for a topic": (
        wired("ServiceStack", AlarmTopicArn="ApplicationStack.OriginListenerArn"),
        "CpuAlarm AlarmActions.0",
    ),
    "a cluster's name for a dimension": (
        wired("OperationsStack", AlbFullName="ApplicationStack.ClusterName"),
        "BalancerErrorsAlarm Dimensions.0.Value",
    ),
    "a bucket for a log group": (
        wired("OperationsStack", FlowLogGroupName="SecurityStack.ArchiveBucketName"),
        "FlowLogArchiveFilter LogGroupName",
    ),
    "a bucket for a key's alias": (
        put("KMS::Alias", "TargetKeyId", {"Ref": "ArchiveBucket"}, has="DataKey"),
        "DataKeyAlias TargetKeyId",
    ),
    "a topic for a web ACL": (
        output("edge.json", "WebAclArn", {"Ref": "EdgeTopic"}),
        "Distribution DistributionConfig.WebACLId",
    ),
    "an address for its allocation": (
        put("EC2::NatGateway", "AllocationId", {"Ref": "NatAddress1"}, has="NatAddress1"),
        "NatGateway1 AllocationId",
    ),
}


def found(bench: Any) -> list[Any]:
    templates = {name: Template.from_body(name, body) for name, body in bench.bodies.items()}
    environment = Environment(bench.environment.name, bench.parameters, bench.environment.account)
    return list(references.references_lead_to_the_type(resolve(templates, environment)))


@pytest.mark.parametrize("untouched", ["live"], indirect=True)
@pytest.mark.parametrize("case", CASES)
def test_a_reference_to_another_type_is_found(untouched: Any, case: str) -> None:
    damage, place = CASES[case]
    damage(untouched)
    assert place in {f"{one.where.logical_id} {one.path.removeprefix('Properties.')}" for one in found(untouched)}


@pytest.mark.parametrize("untouched", ["live"], indirect=True)
def test_the_message_names_the_resource_and_what_the_property_takes(untouched: Any) -> None:
    swap_cluster_and_subnets(untouched)
    cluster, subnets = found(untouched)
    assert (cluster.where.logical_id, cluster.path) == ("ReaderInstance", "Properties.DBClusterIdentifier")
    assert cluster.message == (
        "the value is root/DatabaseStack:SubnetGroup (AWS::RDS::DBSubnetGroup.Ref), "
        "but the property takes AWS::RDS::DBCluster.Ref"
    )
    assert subnets.path == "Properties.DBSubnetGroupName"


@pytest.mark.parametrize(
    ("resource_type", "attribute", "name"),
    [
        ("AWS::EC2::VPC", "Ref", "AWS::EC2::VPC.Id"),
        ("AWS::EC2::SecurityGroup", "GroupId", "AWS::EC2::SecurityGroup.Id"),
        ("AWS::IAM::Role", "Arn", "AWS::IAM::Role.Arn"),
        ("AWS::IAM::ManagedPolicy", "PolicyArn", "AWS::IAM::ManagedPolicy.Ref"),
        ("AWS::SNS::Topic", "Ref", "AWS::SNS::Topic.Arn"),
        ("AWS::RDS::DBCluster", "MasterUserSecret.SecretArn", "AWS::SecretsManager::Secret.Ref"),
    ],
)
def test_a_reference_returns_an_identifier(resource_type: str, attribute: str, name: str) -> None:
    assert name in identifiers_returned(resource_type, attribute)


def test_a_role_name_is_no_role_arn() -> None:
    assert not identifiers_returned("AWS::IAM::Role", "Ref") & identifiers_taken(
        "AWS::ECS::TaskDefinition", "TaskRoleArn"
    )


# Maps whose keys the schema does not name, and a statement in a statement, where `paths` ends because they never end.
FREE_FORM = {
    "RedrivePolicy",
    "ContainerDefinitions.*.LogConfiguration.Options",
    "Rules.*.Statement.OrStatement.Statements.*",
}


def table() -> Iterator[tuple[str, str, str]]:
    for resource_type, properties in identifiers._TAKES.items():
        for path, names in properties.items():
            yield from ((resource_type, path, name) for name in names)


@pytest.mark.parametrize(("resource_type", "path", "name"), list(table()))
def test_the_table_names_properties_and_types_that_exist(resource_type: str, path: str, name: str) -> None:
    known = set(paths(identifiers._schema(resource_type)))
    assert path in known or any(path.startswith(f"{one}.") for one in FREE_FORM & known), (
        f"{resource_type} has no property {path}"
    )
    other, _, attribute = name.rpartition(".")
    schema = identifiers._schema(other)
    assert schema, f"there is no resource type {other}"
    attributes = {step.partition(".")[0] for step in paths(schema)} | {"Ref"}
    formats = {one for names in identifiers._schema_identifiers(other).values() for one in names}
    assert attribute in attributes or name in formats, f"{other} returns no {attribute}"


def paths(schema: Any) -> Iterator[str]:
    """Yield the path of every property of a schema."""

    def walk(node: Any, path: str, seen: frozenset[str]) -> Iterator[str]:
        if not isinstance(node, dict):
            return
        yield path
        if (reference := node.get("$ref")) and reference not in seen:
            definition = schema
            for step in reference.removeprefix("#/").split("/"):
                definition = definition[step]
            yield from walk(definition, path, seen | {reference})
        for key in ("anyOf", "oneOf", "allOf"):
            for choice in node.get(key, ()):
                yield from walk(choice, path, seen)
        for name, inner in node.get("properties", {}).items():
            yield from walk(inner, f"{path}.{name}" if path else name, seen)
        if "items" in node:
            yield from walk(node["items"], f"{path}.*", seen)

    yield from walk(schema, "", frozenset())


# Texts without one resource behind them, and values that no service checks when it creates the resource.
FREE = ("PolicyDocument.", "Environment.", "EventPattern.", "Parameters.", "LoadBalancerAttributes.", "BucketName.")


def test_every_property_with_a_reference_is_known(untouched: Any) -> None:
    """A property without an entry would be a reference that the rule does not check."""
    templates = {name: Template.from_body(name, body) for name, body in untouched.bodies.items()}
    environment = Environment(untouched.environment.name, untouched.parameters, untouched.environment.account)
    unknown = {
        f"{resource.type} {path}"
        for stack in resolve(templates, environment).stacks.values()
        for resource in stack.resources.values()
        for path, _ in references._references(dict(resource.properties))
        if not references._taken(resource, path) and not any(part in f"{path}." for part in FREE)
    }
    assert not unknown, "add them to hosting/analysis/identifiers.py"
