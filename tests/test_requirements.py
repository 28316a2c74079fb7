"""Every row of the product's requirements, read off the resolved templates of both environments.

What is asserted here is what the product promises, in its own words; how it fails on a bad template is shown by the
rules in tests/analysis.
"""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from hosting.analysis.resolve import ResolvedEnvironment, Resource, Stack, resolve
from hosting.model.parameter_file import load_environment
from hosting.model.templates import load_complete

PROJECT = Path(__file__).parents[1]
LAYERS = ("Network", "Security", "Database", "Application", "Distribution", "Operations")


@pytest.fixture(scope="module", params=["dev", "prod"])
def env(request: pytest.FixtureRequest) -> ResolvedEnvironment:
    name: str = request.param
    return resolve(load_complete(PROJECT / "templates"), load_environment(PROJECT / "params" / f"{name}.json"))


def only(resources: list[Resource]) -> Resource:
    assert len(resources) == 1, [item.logical_id for item in resources]
    return resources[0]


def layer(env: ResolvedEnvironment, name: str) -> Stack:
    return env.stacks[f"root/{name}Stack"]


def subnets(env: ResolvedEnvironment, tier: str) -> list[Resource]:
    return [item for item in env.of_type("AWS::EC2::Subnet") if item.logical_id.startswith(tier)]


def routes_of(env: ResolvedEnvironment, subnet: Resource) -> list[Resource]:
    """The routes of the table that a subnet uses."""
    association = only(
        [item for item in env.of_type("AWS::EC2::SubnetRouteTableAssociation") if item.get("SubnetId") == subnet.ref]
    )
    return [
        item for item in env.of_type("AWS::EC2::Route") if item.get("RouteTableId") == association.get("RouteTableId")
    ]


def service_stacks(env: ResolvedEnvironment) -> dict[str, Stack]:
    return {
        path.removeprefix("root/").removesuffix("ServiceStack"): stack
        for path, stack in env.stacks.items()
        if path.endswith("ServiceStack")
    }


def containers(env: ResolvedEnvironment) -> list[dict[str, dict[str, Any]]]:
    """For each service, its container definitions by name."""
    return [
        {item["Name"]: item for item in task.get("ContainerDefinitions")}
        for task in env.of_type("AWS::ECS::TaskDefinition")
    ]


# --- Network -----------------------------------------------------------------------------------------------------


def test_n1_vpc_in_two_zones(env: ResolvedEnvironment) -> None:
    assert only(env.of_type("AWS::EC2::VPC")).get("CidrBlock") == "10.0.0.0/16"
    zones = {item.get("AvailabilityZone") for item in env.of_type("AWS::EC2::Subnet")}
    assert zones == {"ap-northeast-1a", "ap-northeast-1c"}


@pytest.mark.parametrize(("tier", "length"), [("Public", 24), ("App", 23), ("Db", 24)])
def test_n2_three_tiers_per_zone(env: ResolvedEnvironment, tier: str, length: int) -> None:
    found = subnets(env, tier)
    assert len({item.get("AvailabilityZone") for item in found}) == len(found) == 2
    assert [IPv4Network(item.get("CidrBlock")).prefixlen for item in found] == [length, length]


def test_n2_private_subnets_have_no_way_in(env: ResolvedEnvironment) -> None:
    for subnet in (*subnets(env, "App"), *subnets(env, "Db")):
        assert not any(route.get("GatewayId") for route in routes_of(env, subnet))
    for subnet in subnets(env, "Db"):
        assert routes_of(env, subnet) == []


def test_n3_one_internet_gateway_and_a_nat_per_zone(env: ResolvedEnvironment) -> None:
    gateway = only(env.of_type("AWS::EC2::InternetGateway"))
    for subnet in subnets(env, "Public"):
        assert only(routes_of(env, subnet)).get("GatewayId") == gateway.ref
    assert len(env.of_type("AWS::EC2::NatGateway")) == 2
    for subnet in subnets(env, "App"):
        nat = env.resource(only(routes_of(env, subnet)).get("NatGatewayId"))
        assert nat is not None
        outside = env.resource(nat.get("SubnetId"))
        assert outside is not None
        assert outside.get("AvailabilityZone") == subnet.get("AvailabilityZone")


def test_n4_endpoints(env: ResolvedEnvironment) -> None:
    found = {
        (item.get("VpcEndpointType"), item.get("ServiceName").removeprefix("com.amazonaws.ap-northeast-1."))
        for item in env.of_type("AWS::EC2::VPCEndpoint")
    }
    interfaces = {"ssm", "ssmmessages", "ec2messages", "ecr.api", "ecr.dkr", "logs"}
    assert found == {("Gateway", "s3"), *(("Interface", name) for name in interfaces)}


# --- Compute -----------------------------------------------------------------------------------------------------


def test_c1_fargate_only_with_container_insights(env: ResolvedEnvironment) -> None:
    settings = only(env.of_type("AWS::ECS::Cluster")).get("ClusterSettings")
    assert settings[0]["Name"] == "containerInsights"
    assert settings[0]["Value"] in {"enabled", "enhanced"}
    providers = only(env.of_type("AWS::ECS::ClusterCapacityProviderAssociations")).get("CapacityProviders")
    assert set(providers) <= {"FARGATE", "FARGATE_SPOT"}
    assert all(item.get("LaunchType") == "FARGATE" for item in env.of_type("AWS::ECS::Service"))


def test_c2_cpu_and_memory_are_of_the_environment(env: ResolvedEnvironment) -> None:
    expected = {"dev": ("256", "512"), "prod": ("1024", "2048")}[env.name]
    assert {(task.get("Cpu"), task.get("Memory")) for task in env.of_type("AWS::ECS::TaskDefinition")} == {expected}


def test_c3_app_and_bastion_in_every_task(env: ResolvedEnvironment) -> None:
    for own in containers(env):
        assert set(own) == {"app", "bastion"}
        assert own["app"]["Essential"] is True
        bastion = own["bastion"]
        assert bastion["Essential"] is False
        assert "/alpine@sha256:" in bastion["Image"]
        script = bastion["Command"][0]
        assert script.rstrip().endswith("exec sleep infinity")
        assert "socat" in script
        relayed = {item["Name"]: item["Value"] for item in bastion["Environment"]}
        cluster = env.resource(relayed["DB_HOST"])
        assert cluster is not None
        assert cluster.type == "AWS::RDS::DBCluster"


def test_c4_frontend_and_backend_are_separate_services(env: ResolvedEnvironment) -> None:
    assert set(service_stacks(env)) == {"Frontend", "Backend"}
    tasks = {item.get("TaskDefinition") for item in env.of_type("AWS::ECS::Service")}
    assert len(tasks) == 2


def test_c5_session_manager_can_connect(env: ResolvedEnvironment) -> None:
    for task in env.of_type("AWS::ECS::TaskDefinition"):
        role = env.resource(task.get("TaskRoleArn"))
        assert role is not None
        assert "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore" in role.get("ManagedPolicyArns")


def test_c6_exec_and_at_least_two_tasks(env: ResolvedEnvironment) -> None:
    for service in env.of_type("AWS::ECS::Service"):
        assert service.get("EnableExecuteCommand") is True
        assert int(service.get("DesiredCount")) >= 2
    for target in env.of_type("AWS::ApplicationAutoScaling::ScalableTarget"):
        assert 2 <= int(target.get("MinCapacity")) <= int(target.get("MaxCapacity"))


# --- Database ----------------------------------------------------------------------------------------------------


def test_d1_aurora_mysql_in_the_database_subnets(env: ResolvedEnvironment) -> None:
    cluster = only(env.of_type("AWS::RDS::DBCluster"))
    assert cluster.get("Engine") == "aurora-mysql"
    group = only(env.of_type("AWS::RDS::DBSubnetGroup"))
    assert cluster.get("DBSubnetGroupName") == group.ref
    assert sorted(group.get("SubnetIds")) == sorted(item.ref for item in subnets(env, "Db"))
    assert len(env.of_type("AWS::RDS::DBInstance")) == {"dev": 1, "prod": 2}[env.name]


def test_d2_only_services_reach_the_database(env: ResolvedEnvironment) -> None:
    group = only(
        [item for item in env.of_type("AWS::EC2::SecurityGroup") if item.logical_id == "DatabaseSecurityGroup"]
    )
    assert only(env.of_type("AWS::RDS::DBCluster")).get("VpcSecurityGroupIds") == [group.att("GroupId")]
    assert group.get("SecurityGroupIngress") is None
    rules = [
        item for item in env.of_type("AWS::EC2::SecurityGroupIngress") if item.get("GroupId") == group.att("GroupId")
    ]
    assert {(rule.get("IpProtocol"), rule.get("FromPort"), rule.get("ToPort")) for rule in rules} == {
        ("tcp", 3306, 3306)
    }
    allowed = {rule.get("SourceSecurityGroupId") for rule in rules}
    used = {
        item
        for service in env.of_type("AWS::ECS::Service")
        for item in service.get("NetworkConfiguration.AwsvpcConfiguration.SecurityGroups")
    }
    assert allowed == used
    assert all(item.get("PubliclyAccessible") is False for item in env.of_type("AWS::RDS::DBInstance"))


def test_d3_encrypted_with_credentials_in_a_secret(env: ResolvedEnvironment) -> None:
    cluster = only(env.of_type("AWS::RDS::DBCluster"))
    assert cluster.get("StorageEncrypted") is True
    assert cluster.get("ManageMasterUserPassword") is True
    assert cluster.get("MasterUserPassword") is None
    for own in containers(env):
        secrets = {item["Name"]: item["ValueFrom"] for item in own["app"]["Secrets"]}
        assert set(secrets) == {"DB_USERNAME", "DB_PASSWORD"}
        assert all(cluster.att("MasterUserSecret.SecretArn") in value for value in secrets.values())


# --- Edge --------------------------------------------------------------------------------------------------------


def test_s1_public_balancer_that_redirects_to_https(env: ResolvedEnvironment) -> None:
    balancer = only(env.of_type("AWS::ElasticLoadBalancingV2::LoadBalancer"))
    assert balancer.get("Scheme") == "internet-facing"
    assert sorted(balancer.get("Subnets")) == sorted(item.ref for item in subnets(env, "Public"))
    listeners = {item.get("Port"): item for item in env.of_type("AWS::ElasticLoadBalancingV2::Listener")}
    assert set(listeners) == {80, 443}
    redirect = listeners[80].get("DefaultActions.0.RedirectConfig")
    assert (redirect["Protocol"], redirect["Port"]) == ("HTTPS", "443")
    assert listeners[443].get("Protocol") == "HTTPS"


def test_s2_static_files_and_sorry_page_through_cloudfront(env: ResolvedEnvironment) -> None:
    distribution = only(env.of_type("AWS::CloudFront::Distribution"))
    by_path = {item["PathPattern"]: item for item in distribution.get("DistributionConfig.CacheBehaviors")}
    assert set(by_path) == {"/static/*", "/sorry/*"}
    origins = {item["Id"]: item for item in distribution.get("DistributionConfig.Origins")}
    bucket = only(layer(env, "Distribution").of_type("AWS::S3::Bucket"))
    for behavior in by_path.values():
        assert origins[behavior["TargetOriginId"]]["DomainName"] == bucket.att("RegionalDomainName")
    errors = distribution.get("DistributionConfig.CustomErrorResponses")
    assert {item["ResponsePagePath"] for item in errors} == {"/sorry/index.html"}
    assert only(env.of_type("Custom::SiteContent")).get("BucketName") == bucket.ref


def test_s3_the_bucket_is_reachable_only_through_cloudfront(env: ResolvedEnvironment) -> None:
    stack = layer(env, "Distribution")
    control = only(stack.of_type("AWS::CloudFront::OriginAccessControl"))
    distribution = only(stack.of_type("AWS::CloudFront::Distribution"))
    policy = only(stack.of_type("AWS::S3::BucketPolicy"))
    for statement in policy.get("PolicyDocument.Statement"):
        if statement["Effect"] == "Allow":
            assert statement["Principal"] == {"Service": "cloudfront.amazonaws.com"}
            assert distribution.ref in statement["Condition"]["StringEquals"]["AWS:SourceArn"]
    static = [item for item in distribution.get("DistributionConfig.Origins") if "S3OriginConfig" in item]
    assert [item["OriginAccessControlId"] for item in static] == [control.att("Id")]
    block = only(stack.of_type("AWS::S3::Bucket")).get("PublicAccessBlockConfiguration")
    assert len(block) == 4
    assert all(block.values())


def test_s4_waf_with_managed_rules_at_cloudfront(env: ResolvedEnvironment) -> None:
    acl = only(env.of_type("AWS::WAFv2::WebACL"))
    assert (acl.get("Scope"), env.stacks[acl.stack].region) == ("CLOUDFRONT", "us-east-1")
    groups = {rule["Statement"].get("ManagedRuleGroupStatement", {}).get("Name") for rule in acl.get("Rules")}
    assert {"AWSManagedRulesCommonRuleSet", "AWSManagedRulesSQLiRuleSet"} <= groups
    distribution = only(env.of_type("AWS::CloudFront::Distribution"))
    assert distribution.get("DistributionConfig.WebACLId") == acl.att("Arn")


# --- Operations --------------------------------------------------------------------------------------------------


def test_o1_ecs_rds_and_flow_logs_reach_cloudwatch(env: ResolvedEnvironment) -> None:
    for own in containers(env):
        for container in own.values():
            options = container["LogConfiguration"]["Options"]
            group = env.resource(options["awslogs-group"])
            assert group is not None
            assert group.type == "AWS::Logs::LogGroup"
    names = {item.get("LogGroupName") for item in env.of_type("AWS::Logs::LogGroup")}
    cluster = only(env.of_type("AWS::RDS::DBCluster"))
    for log in cluster.get("EnableCloudwatchLogsExports"):
        assert f"/aws/rds/cluster/{cluster.get('DBClusterIdentifier')}/{log}" in names
    flow = only(env.of_type("AWS::EC2::FlowLog"))
    assert flow.get("LogDestinationType") == "cloud-watch-logs"
    assert flow.get("TrafficType") == "ALL"


def test_o2_retention_and_archive(env: ResolvedEnvironment) -> None:
    days = {int(item.get("RetentionInDays")) for item in env.of_type("AWS::Logs::LogGroup")}
    assert days == {{"dev": 3, "prod": 30}[env.name]}
    archived = [
        item
        for item in env.of_type("AWS::Logs::SubscriptionFilter")
        if (target := env.resource(item.get("DestinationArn")))
        and target.type == "AWS::KinesisFirehose::DeliveryStream"
    ]
    assert bool(archived) is (env.name == "prod")
    bucket = only([item for item in env.of_type("AWS::S3::Bucket") if item.logical_id == "ArchiveBucket"])
    rule = bucket.get("LifecycleConfiguration.Rules.0")
    assert rule["Transitions"][0]["StorageClass"] == "GLACIER"
    assert int(rule["Transitions"][0]["TransitionInDays"]) < int(rule["ExpirationInDays"])


def test_o3_alarms_reach_slack(env: ResolvedEnvironment) -> None:
    channel = only(env.of_type("AWS::Chatbot::SlackChannelConfiguration"))
    topics = set(channel.get("SnsTopicArns"))
    alarms = env.of_type("AWS::CloudWatch::Alarm")
    assert len(alarms) > 10
    for alarm in alarms:
        assert set(alarm.get("AlarmActions")) <= topics, alarm.logical_id


def test_o4_python_functions(env: ResolvedEnvironment) -> None:
    functions = env.of_type("AWS::Lambda::Function")
    assert {item.get("Runtime") for item in functions} == {"python3.13"}
    packages = {path.name for path in (PROJECT / "lambda").iterdir() if (path / "index.py").is_file()}
    used = {item.get("Code.S3Key").split("/")[1] for item in functions}
    assert used == packages >= {"log_processor", "custom_resource"}


# --- Layers ------------------------------------------------------------------------------------------------------


def test_l1_layers_are_separate_and_in_order(env: ResolvedEnvironment) -> None:
    root = env.stacks["root"]
    assert {resource.type for resource in root.resources.values()} == {"AWS::CloudFormation::Stack"}
    order = [f"root/{name}Stack" for name in LAYERS]
    assert set(order) <= set(env.stacks)
    position = {path: number for number, path in enumerate(order)}
    for path in order:
        for resource in env.resources_in(dict(env.stacks[path].parameters)):
            if resource.stack in position:
                assert position[resource.stack] < position[path], (path, resource.stack)
