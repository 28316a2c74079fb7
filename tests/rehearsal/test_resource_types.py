"""Resource types that MiniStack refuses or supports only in part: created, described, updated and deleted."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.waiting import eventually

Template = dict[str, Any]


def ref(name: str) -> dict[str, str]:
    return {"Ref": name}


def att(name: str, attribute: str) -> dict[str, list[str]]:
    return {"Fn::GetAtt": [name, attribute]}


def sub(text: str) -> dict[str, str]:
    return {"Fn::Sub": text}


def typed(kind: str, properties: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"Type": f"AWS::{kind}", "Properties": properties or {}, **more}


NETWORK: Template = {
    "Vpc": typed("EC2::VPC", {"CidrBlock": "10.1.0.0/16"}),
    "FirstSubnet": typed(
        "EC2::Subnet",
        {
            "VpcId": ref("Vpc"),
            "CidrBlock": {"Fn::Select": [0, {"Fn::Cidr": [att("Vpc", "CidrBlock"), 4, 8]}]},
            "AvailabilityZone": sub("${AWS::Region}a"),
        },
    ),
    "SecondSubnet": typed(
        "EC2::Subnet",
        {"VpcId": ref("Vpc"), "CidrBlock": "10.1.1.0/24", "AvailabilityZone": sub("${AWS::Region}c")},
    ),
}

ROLE = typed("IAM::Role", {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []}})


@pytest.fixture
def made(cloud: Any) -> Callable[..., Any]:
    """Creates a stack: `made(resources, Parameter="default")` returns it, and a function that updates it."""

    def make(resources: Template, outputs: Template | None = None, **parameters: str) -> dict[str, str]:
        template = {
            "Parameters": {name: {"Type": "String", "Default": value} for name, value in parameters.items()},
            "Resources": resources,
            "Outputs": {name: {"Value": value} for name, value in (outputs or {}).items()},
        }
        exists = any(stack["StackName"] == "types" for stack in cloud.cloudformation.describe_stacks()["Stacks"])
        stack = cloud.update("types", template) if exists else cloud.create("types", template)
        assert stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), cloud.reasons("types")
        return dict(cloud.outputs("types"))

    return make


def test_nat_gateways_and_addresses_are_created_updated_and_deleted(cloud: Any, made: Callable[..., Any]) -> None:
    resources = NETWORK | {
        "Address": typed("EC2::EIP", {"Domain": "vpc"}),
        "Gateway": typed(
            "EC2::NatGateway",
            {
                "SubnetId": ref("FirstSubnet"),
                "AllocationId": att("Address", "AllocationId"),
                "Tags": [tag("Name", "n")],
            },
        ),
    }
    outputs = made(resources, {"Ip": ref("Address"), "Nat": ref("Gateway")})
    ec2 = cloud.aws("ec2")
    (gateway,) = ec2.describe_nat_gateways()["NatGateways"]
    assert gateway["NatGatewayId"] == outputs["Nat"]
    assert gateway["State"] == "available"
    assert gateway["NatGatewayAddresses"][0]["PublicIp"] == outputs["Ip"]
    assert tag("Name", "n") in gateway["Tags"]
    (address,) = ec2.describe_addresses()["Addresses"]
    assert address["AssociationId"] == gateway["NatGatewayAddresses"][0]["AssociationId"]
    made(NETWORK)
    assert ec2.describe_nat_gateways()["NatGateways"] == []
    assert ec2.describe_addresses()["Addresses"] == []


def tag(key: str, value: str) -> dict[str, str]:
    return {"Key": key, "Value": value}


def test_rules_of_security_groups_are_created_updated_and_deleted(cloud: Any, made: Callable[..., Any]) -> None:
    def group(name: str) -> dict[str, Any]:
        return typed("EC2::SecurityGroup", {"GroupDescription": name, "VpcId": ref("Vpc")})

    def rules(port: int) -> Template:
        ends = {"IpProtocol": "tcp", "FromPort": port, "ToPort": str(port)}
        return NETWORK | {
            "Near": group("near"),
            "Far": group("far"),
            "In": typed(
                "EC2::SecurityGroupIngress",
                {"GroupId": ref("Near"), "SourceSecurityGroupId": ref("Far"), "Description": "why", **ends},
            ),
            "Out": typed(
                "EC2::SecurityGroupEgress", {"GroupId": ref("Far"), "DestinationSecurityGroupId": ref("Near"), **ends}
            ),
        }

    outputs = made(rules(80), {"Near": ref("Near"), "Far": ref("Far")})
    ec2 = cloud.aws("ec2")

    def of(name: str) -> Any:
        return ec2.describe_security_groups(GroupIds=[outputs[name]])["SecurityGroups"][0]

    (ingress,) = of("Near")["IpPermissions"]
    assert (ingress["FromPort"], ingress["ToPort"]) == (80, 80)
    assert ingress["UserIdGroupPairs"][0]["GroupId"] == outputs["Far"]
    assert ingress["UserIdGroupPairs"][0]["Description"] == "why"
    # The explicit rule replaces the rule of a new group that allows all traffic.
    assert [rule["FromPort"] for rule in of("Far")["IpPermissionsEgress"]] == [80]
    made(rules(81))
    assert [rule["FromPort"] for rule in of("Near")["IpPermissions"]] == [81]


def test_flow_logs_are_created_and_deleted(cloud: Any, made: Callable[..., Any]) -> None:
    log = {
        "ResourceId": ref("Vpc"),
        "ResourceType": "VPC",
        "TrafficType": "ALL",
        "LogGroupName": ref("Group"),
        "DeliverLogsPermissionArn": att("Role", "Arn"),
        "MaxAggregationInterval": 60,
    }
    group = typed("Logs::LogGroup", {"LogGroupName": "/flow", "RetentionInDays": 3})
    made(NETWORK | {"Group": group, "Role": ROLE, "Log": typed("EC2::FlowLog", log)})
    (found,) = cloud.aws("ec2").describe_flow_logs()["FlowLogs"]
    assert (found["LogGroupName"], found["MaxAggregationInterval"]) == ("/flow", 60)


def test_the_prefix_list_of_cloudfront_exists(cloud: Any) -> None:
    name = "com.amazonaws.global.cloudfront.origin-facing"
    filters = [{"Name": "prefix-list-name", "Values": [name]}]
    (found,) = cloud.aws("ec2").describe_managed_prefix_lists(Filters=filters)["PrefixLists"]
    assert found["PrefixListId"].startswith("pl-")


def service(image: str = "example@sha256:1") -> Template:
    return NETWORK | {
        "Role": ROLE,
        "Group": typed("EC2::SecurityGroup", {"GroupDescription": "x", "VpcId": ref("Vpc")}),
        "Cluster": typed("ECS::Cluster", {"ClusterName": "types"}),
        "Capacity": typed(
            "ECS::ClusterCapacityProviderAssociations",
            {
                "Cluster": ref("Cluster"),
                "CapacityProviders": ["FARGATE"],
                "DefaultCapacityProviderStrategy": [{"CapacityProvider": "FARGATE", "Weight": "1"}],
            },
        ),
        "Balancer": typed(
            "ElasticLoadBalancingV2::LoadBalancer", {"Subnets": [ref("FirstSubnet"), ref("SecondSubnet")]}
        ),
        "Listener": typed(
            "ElasticLoadBalancingV2::Listener",
            {
                "LoadBalancerArn": ref("Balancer"),
                "Port": 80,
                "Protocol": "HTTP",
                "DefaultActions": [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "403"}}],
            },
        ),
        "Targets": typed(
            "ElasticLoadBalancingV2::TargetGroup",
            {"VpcId": ref("Vpc"), "Port": ref("Port"), "Protocol": "HTTP", "TargetType": "ip"},
        ),
        "Rule": typed(
            "ElasticLoadBalancingV2::ListenerRule",
            {
                "ListenerArn": ref("Listener"),
                "Priority": "1",
                "Conditions": [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/*"]}}],
                "Actions": [{"Type": "forward", "TargetGroupArn": ref("Targets")}],
            },
        ),
        "Tasks": typed(
            "ECS::TaskDefinition",
            {
                "Family": "types",
                "Cpu": "256",
                "Memory": "512",
                "NetworkMode": "awsvpc",
                "RequiresCompatibilities": ["FARGATE"],
                "TaskRoleArn": att("Role", "Arn"),
                "ContainerDefinitions": [
                    {"Name": "app", "Image": image, "PortMappings": [{"ContainerPort": ref("Port")}]},
                    {
                        "Name": "bastion",
                        "Image": "example",
                        "Essential": "false",
                        "RestartPolicy": {"Enabled": True, "RestartAttemptPeriod": "60"},
                        "LinuxParameters": {"InitProcessEnabled": True},
                    },
                ],
            },
        ),
        "Service": typed(
            "ECS::Service",
            {
                "Cluster": ref("Cluster"),
                "TaskDefinition": ref("Tasks"),
                "DesiredCount": ref("Count"),
                "LaunchType": "FARGATE",
                "EnableExecuteCommand": "true",
                "NetworkConfiguration": {
                    "AwsvpcConfiguration": {
                        "Subnets": [ref("FirstSubnet"), ref("SecondSubnet")],
                        "SecurityGroups": [ref("Group")],
                    }
                },
                "LoadBalancers": [
                    {"ContainerName": "app", "ContainerPort": ref("Port"), "TargetGroupArn": ref("Targets")}
                ],
            },
            DependsOn=["Rule"],
        ),
        "Target": typed(
            "ApplicationAutoScaling::ScalableTarget",
            {
                "ServiceNamespace": "ecs",
                "ScalableDimension": "ecs:service:DesiredCount",
                "ResourceId": {"Fn::Join": ["/", ["service", ref("Cluster"), att("Service", "Name")]]},
                "MinCapacity": ref("Count"),
                "MaxCapacity": "4",
            },
        ),
        "Policy": typed(
            "ApplicationAutoScaling::ScalingPolicy",
            {
                "PolicyName": "cpu",
                "PolicyType": "TargetTrackingScaling",
                "ScalingTargetId": ref("Target"),
                "TargetTrackingScalingPolicyConfiguration": {
                    "TargetValue": "60",
                    "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"},
                },
            },
        ),
    }


def test_a_service_runs_its_tasks_with_targets_and_scaling(cloud: Any, made: Callable[..., Any]) -> None:
    names = {"Service": ref("Service"), "Targets": ref("Targets"), "Balancer": ref("Balancer")}
    outputs = made(service(), names, Port="8080", Count="2")
    ecs, elb, scaling = cloud.aws("ecs"), cloud.aws("elbv2"), cloud.aws("application-autoscaling")
    (cluster,) = ecs.describe_clusters(clusters=["types"])["clusters"]
    assert cluster["capacityProviders"] == ["FARGATE"]
    (found,) = ecs.describe_services(cluster="types", services=[outputs["Service"]])["services"]
    assert (found["desiredCount"], found["runningCount"], found["enableExecuteCommand"]) == (2, 2, True)
    tasks = ecs.describe_tasks(cluster="types", tasks=ecs.list_tasks(cluster="types")["taskArns"])["tasks"]
    assert {task["availabilityZone"][-1] for task in tasks} == {"a", "c"}
    (definition,) = [ecs.describe_task_definition(taskDefinition="types")["taskDefinition"]]
    bastion = definition["containerDefinitions"][1]
    assert bastion["restartPolicy"] == {"enabled": True, "restartAttemptPeriod": 60}
    assert (bastion["essential"], bastion["linuxParameters"]["initProcessEnabled"]) == (False, True)
    (group,) = elb.describe_target_groups(LoadBalancerArn=outputs["Balancer"])["TargetGroups"]
    health = elb.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
    assert [(one["Target"]["Port"], one["TargetHealth"]["State"]) for one in health] == [(8080, "healthy")] * 2
    (target,) = scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 4)
    (policy,) = scaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"]
    assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 60.0
    made(service("example@sha256:2"), names, Port="8080", Count="3")
    (found,) = ecs.describe_services(cluster="types", services=[outputs["Service"]])["services"]
    assert found["runningCount"] == 3
    assert found["taskDefinition"].endswith("types:2")
    assert [deployment["rolloutState"] for deployment in found["deployments"]] == ["COMPLETED"]
    (target,) = scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
    assert target["MinCapacity"] == 3
    assert cloud.delete("types")["StackStatus"] == "DELETE_COMPLETE"
    assert scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"] == []


def test_a_service_whose_target_group_has_no_load_balancer_is_refused(cloud: Any) -> None:
    resources = service()
    del resources["Rule"]
    del resources["Service"]["DependsOn"]
    parameters = {name: {"Type": "String", "Default": value} for name, value in (("Port", "80"), ("Count", "1"))}
    cloud.create("types", {"Parameters": parameters, "Resources": resources})
    assert "does not have an associated load balancer" in cloud.reasons("types")["Service"]


def test_an_aurora_cluster_has_a_managed_password(cloud: Any, made: Callable[..., Any]) -> None:
    def database(reader: bool) -> Template:
        resources = NETWORK | {
            "Key": typed("KMS::Key", {"KeyPolicy": {"Version": "2012-10-17", "Statement": []}}),
            "Subnets": typed(
                "RDS::DBSubnetGroup",
                {"DBSubnetGroupDescription": "x", "SubnetIds": [ref("FirstSubnet"), ref("SecondSubnet")]},
            ),
            "Cluster": typed(
                "RDS::DBCluster",
                {
                    "Engine": "aurora-mysql",
                    "DBClusterIdentifier": "types",
                    "MasterUsername": "owner",
                    "ManageMasterUserPassword": True,
                    "MasterUserSecret": {"KmsKeyId": ref("Key")},
                    "StorageEncrypted": "true",
                    "KmsKeyId": att("Key", "Arn"),
                    "DBSubnetGroupName": ref("Subnets"),
                    "ServerlessV2ScalingConfiguration": {"MinCapacity": "0", "MaxCapacity": "2"},
                    "EnableCloudwatchLogsExports": ["error"],
                    "DeletionProtection": ref("Protect"),
                },
                DeletionPolicy="Delete",
            ),
            "Writer": typed(
                "RDS::DBInstance",
                {"Engine": "aurora-mysql", "DBClusterIdentifier": ref("Cluster"), "DBInstanceClass": "db.serverless"},
            ),
        }
        if reader:
            resources["Reader"] = resources["Writer"] | {"DependsOn": "Writer"}
        return resources

    secret = {"Secret": att("Cluster", "MasterUserSecret.SecretArn")}
    outputs = made(database(reader=True), secret, Protect="true")
    rds, manager = cloud.aws("rds"), cloud.aws("secretsmanager")
    (cluster,) = rds.describe_db_clusters()["DBClusters"]
    assert cluster["StorageEncrypted"] is True
    assert cluster["MasterUserSecret"]["SecretArn"] == outputs["Secret"]
    assert sorted(member["IsClusterWriter"] for member in cluster["DBClusterMembers"]) == [False, True]
    assert set(json.loads(manager.get_secret_value(SecretId=outputs["Secret"])["SecretString"])) == {
        "username",
        "password",
    }
    before = manager.get_secret_value(SecretId=outputs["Secret"])["SecretString"]
    manager.rotate_secret(SecretId=outputs["Secret"])
    assert "LastRotatedDate" in manager.describe_secret(SecretId=outputs["Secret"])
    assert manager.get_secret_value(SecretId=outputs["Secret"])["SecretString"] != before
    made(database(reader=False), secret, Protect="true")
    assert len(rds.describe_db_clusters()["DBClusters"][0]["DBClusterMembers"]) == 1
    assert cloud.delete("types")["StackStatus"] == "DELETE_FAILED"
    assert "deletion protection" in cloud.reasons("types")["Cluster"]
    rds.modify_db_cluster(DBClusterIdentifier="types", DeletionProtection=False)
    assert cloud.delete("types")["StackStatus"] == "DELETE_COMPLETE"
    assert manager.list_secrets()["SecretList"] == []


def test_alarms_of_every_kind_are_created(cloud: Any, made: Callable[..., Any]) -> None:
    common = {"EvaluationPeriods": "3", "ComparisonOperator": "GreaterThanThreshold", "AlarmActions": [ref("Topic")]}
    query = {
        "Id": "errors",
        "MetricStat": {"Metric": {"Namespace": "N", "MetricName": "M"}, "Period": "60", "Stat": "Sum"},
        "ReturnData": "false",
    }
    alarms = {
        "Topic": typed("SNS::Topic"),
        "Plain": typed(
            "CloudWatch::Alarm",
            common
            | {"AlarmName": "plain", "Namespace": "N", "MetricName": "M", "Threshold": ref("Limit"), "Period": 60},
        ),
        "Math": typed(
            "CloudWatch::Alarm",
            common
            | {"AlarmName": "math", "Threshold": "1", "Metrics": [{"Id": "rate", "Expression": "errors*100"}, query]},
        ),
        "Both": typed(
            "CloudWatch::CompositeAlarm",
            {"AlarmName": "both", "AlarmRule": sub('ALARM("${Plain}") AND ALARM("${Math}")')},
        ),
    }
    made(alarms, Limit="5")
    made(alarms, Limit="6")
    cloudwatch = cloud.aws("cloudwatch")
    found = cloudwatch.describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    by_name = {alarm["AlarmName"]: alarm for alarm in found["MetricAlarms"]}
    assert by_name["plain"]["Threshold"] == 6.0
    assert [(one["Id"], one["ReturnData"]) for one in by_name["math"]["Metrics"] if "ReturnData" in one] == [
        ("errors", False)
    ]
    assert by_name["math"]["Metrics"][1]["MetricStat"]["Period"] == 60
    assert "MetricName" not in by_name["math"]
    assert [alarm["AlarmName"] for alarm in found["CompositeAlarms"]] == ["both"]
    assert cloud.delete("types")["StackStatus"] == "DELETE_COMPLETE"


def test_budgets_and_slack_channels_are_created(cloud: Any, made: Callable[..., Any], account: str) -> None:
    notice = {"NotificationType": "ACTUAL", "ComparisonOperator": "GREATER_THAN", "Threshold": "80"}
    resources = {
        "Topic": typed("SNS::Topic"),
        "Role": ROLE,
        "Budget": typed(
            "Budgets::Budget",
            {
                "Budget": {
                    "BudgetName": "types",
                    "BudgetType": "COST",
                    "TimeUnit": "MONTHLY",
                    "BudgetLimit": {"Amount": ref("Amount"), "Unit": "USD"},
                },
                "NotificationsWithSubscribers": [
                    {"Notification": notice, "Subscribers": [{"SubscriptionType": "SNS", "Address": ref("Topic")}]}
                ],
            },
        ),
        "Slack": typed(
            "Chatbot::SlackChannelConfiguration",
            {
                "ConfigurationName": "types",
                "IamRoleArn": att("Role", "Arn"),
                "SlackChannelId": "C0123456789",
                "SlackWorkspaceId": "T0123456789",
                "SnsTopicArns": [ref("Topic")],
            },
        ),
    }
    made(resources, Amount="100")
    made(resources, Amount="150.5")
    budget = cloud.aws("budgets").describe_budget(AccountId=account, BudgetName="types")["Budget"]
    assert budget["BudgetLimit"] == {"Amount": "150.5", "Unit": "USD"}
    chatbot = cloud.aws("chatbot", region="us-east-2")
    (channel,) = chatbot.describe_slack_channel_configurations()["SlackChannelConfigurations"]
    assert channel["SlackChannelId"] == "C0123456789"
    assert cloud.delete("types")["StackStatus"] == "DELETE_COMPLETE"
    assert chatbot.describe_slack_channel_configurations()["SlackChannelConfigurations"] == []


def test_a_distribution_uses_a_web_acl_that_logs(aws: Callable[..., Any], cloud: Any) -> None:
    visible = {"CloudWatchMetricsEnabled": True, "SampledRequestsEnabled": True, "MetricName": "m"}
    rate = {
        "Name": "rate",
        "Priority": "0",
        "Action": {"Block": {}},
        "Statement": {"RateBasedStatement": {"Limit": "2000", "AggregateKeyType": "IP"}},
        "VisibilityConfig": visible,
    }
    destination = sub("arn:aws:logs:${AWS::Region}:${AWS::AccountId}:log-group:${Group}")
    resources = {
        "Acl": typed(
            "WAFv2::WebACL",
            {"Name": "types", "Scope": "CLOUDFRONT", "DefaultAction": {"Allow": {}}, "Rules": [rate]}
            | {"VisibilityConfig": visible},
        ),
        "Group": typed("Logs::LogGroup", {"LogGroupName": "aws-waf-logs-types", "RetentionInDays": 3}),
        "Logging": typed(
            "WAFv2::LoggingConfiguration", {"ResourceArn": att("Acl", "Arn"), "LogDestinationConfigs": [destination]}
        ),
        "Distribution": typed(
            "CloudFront::Distribution",
            {
                "DistributionConfig": {
                    "Enabled": True,
                    "WebACLId": att("Acl", "Arn"),
                    "Origins": [{"Id": "o", "DomainName": "o.example.com", "CustomOriginConfig": {}}],
                    "DefaultCacheBehavior": {"TargetOriginId": "o", "ViewerProtocolPolicy": "https-only"},
                }
            },
        ),
        "Source": typed(
            "Logs::DeliverySource",
            {
                "Name": "types",
                "LogType": "ACCESS_LOGS",
                "ResourceArn": sub("arn:aws:cloudfront::${AWS::AccountId}:distribution/${Distribution}"),
            },
        ),
        "Sink": typed(
            "Logs::DeliveryDestination",
            {"Name": "types", "DestinationResourceArn": att("Group", "Arn"), "OutputFormat": "json"},
        ),
        "Delivery": typed(
            "Logs::Delivery", {"DeliverySourceName": ref("Source"), "DeliveryDestinationArn": att("Sink", "Arn")}
        ),
    }
    edge = aws("cloudformation", region="us-east-1")
    outputs = {"Acl": {"Value": att("Acl", "Arn")}, "Distribution": {"Value": ref("Distribution")}}
    edge.create_stack(StackName="types", TemplateBody=json.dumps({"Resources": resources, "Outputs": outputs}))
    eventually(lambda: edge.describe_stacks(StackName="types")["Stacks"][0]["StackStatus"] != "CREATE_IN_PROGRESS")
    stack = edge.describe_stacks(StackName="types")["Stacks"][0]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    found = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    waf, logs = aws("wafv2", region="us-east-1"), aws("logs", region="us-east-1")
    configuration = waf.get_logging_configuration(ResourceArn=found["Acl"])["LoggingConfiguration"]
    assert configuration["LogDestinationConfigs"][0].endswith("log-group:aws-waf-logs-types")
    arns = waf.list_resources_for_web_acl(WebACLArn=found["Acl"])["ResourceArns"]
    assert [arn.rpartition("/")[2] for arn in arns] == [found["Distribution"]]
    rules = waf.get_web_acl(Name="types", Scope="CLOUDFRONT", Id=found["Acl"].rpartition("/")[2])["WebACL"]["Rules"]
    assert rules[0]["Statement"]["RateBasedStatement"]["Limit"] == 2000
    (delivery,) = logs.describe_deliveries()["deliveries"]
    assert delivery["deliverySourceName"] == "types"


def test_a_distribution_with_an_unknown_web_acl_is_refused(cloud: Any, account: str) -> None:
    arn = f"arn:aws:wafv2:us-east-1:{account}:global/webacl/none/00000000-0000-0000-0000-000000000000"
    config = {"Enabled": True, "WebACLId": arn, "Origins": [], "DefaultCacheBehavior": {}}
    distribution = typed("CloudFront::Distribution", {"DistributionConfig": config})
    cloud.create("types", {"Resources": {"Distribution": distribution}})
    assert "Web ACL is not accessible" in cloud.reasons("types")["Distribution"]


def test_buckets_have_the_properties_of_their_template(cloud: Any, made: Callable[..., Any]) -> None:
    rule = {
        "Id": "age",
        "Status": "Enabled",
        "ExpirationInDays": "400",
        "Transitions": [{"StorageClass": "GLACIER", "TransitionInDays": "30"}],
        "NoncurrentVersionExpiration": {"NoncurrentDays": "7"},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }
    bucket = {
        "LifecycleConfiguration": {"Rules": [rule]},
        "BucketEncryption": {
            "ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        },
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "Tags": [tag("purpose", "test")],
    }
    name = made({"Bucket": typed("S3::Bucket", bucket)}, {"Name": ref("Bucket")})["Name"]
    (lifecycle,) = cloud.s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    assert lifecycle["Expiration"] == {"Days": 400}
    assert lifecycle["Transitions"] == [{"Days": 30, "StorageClass": "GLACIER"}]
    assert lifecycle["NoncurrentVersionExpiration"] == {"NoncurrentDays": 7}
    encryption = cloud.s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert encryption["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert cloud.s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]["Rules"]


def test_a_generated_secret_follows_its_rules_and_is_referred_to_by_arn(cloud: Any, made: Callable[..., Any]) -> None:
    wanted = {"PasswordLength": "40", "ExcludePunctuation": "true", "ExcludeCharacters": "aeiou"}
    topic = {"DisplayName": sub("{{resolve:secretsmanager:${Secret}:SecretString}}")}
    resources = {
        "Secret": typed("SecretsManager::Secret", {"GenerateSecretString": wanted}),
        "Topic": typed("SNS::Topic", topic),
    }
    outputs = made(resources, {"Arn": ref("Secret"), "Topic": ref("Topic")})
    assert outputs["Arn"].startswith("arn:aws:secretsmanager:")
    value = cloud.aws("secretsmanager").get_secret_value(SecretId=outputs["Arn"])["SecretString"]
    assert len(value) == 40
    assert value.isalnum()
    assert not set(value) & set("aeiou")
    attributes = cloud.aws("sns").get_topic_attributes(TopicArn=outputs["Topic"])["Attributes"]
    assert attributes["DisplayName"] == value


FUNCTION = b"""
import base64, gzip, json, os, urllib.request
import boto3

def handler(event, context):
    if "records" in event:
        return {"records": [{**record, "result": "Ok"} for record in map(transform, event["records"])]}
    properties = event["ResourceProperties"]
    s3 = boto3.resource("s3")
    if event["RequestType"] == "Delete":
        s3.Bucket(properties["BucketName"]).object_versions.delete()
    else:
        s3.Object(properties["BucketName"], "written").put(Body=properties["Text"])
    answer = {key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")}
    answer |= {"Status": properties["Answer"], "PhysicalResourceId": "written", "Reason": "because"}
    answer["Data"] = {"At": "here"}
    request = urllib.request.Request(event["ResponseURL"], data=json.dumps(answer).encode(), method="PUT")
    urllib.request.urlopen(request)

def transform(record):
    lines = json.loads(gzip.decompress(base64.b64decode(record["data"])))["logEvents"]
    text = "".join(line["message"].upper() for line in lines)
    return {"recordId": record["recordId"], "data": base64.b64encode(text.encode()).decode()}
"""


def with_function(cloud: Any, **more: Any) -> Template:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("index.py", FUNCTION)
    cloud.put("function.zip", archive.getvalue())
    properties = {
        "Role": att("Role", "Arn"),
        "Runtime": "python3.13",
        "Architectures": ["arm64"],
        "Handler": "index.handler",
        "Timeout": "30",
        "Code": {"S3Bucket": cloud.bucket, "S3Key": "function.zip"},
    }
    return {
        "Role": ROLE,
        "Bucket": typed("S3::Bucket", {"VersioningConfiguration": {"Status": "Enabled"}}),
        "Function": typed("Lambda::Function", properties),
        **more,
    }


def custom(text: str, answer: str = "SUCCESS") -> dict[str, Any]:
    properties = {"ServiceToken": att("Function", "Arn"), "BucketName": ref("Bucket"), "Text": text, "Answer": answer}
    return {"Type": "Custom::Writer", "Properties": properties | {"ServiceTimeout": "30"}}


def test_a_custom_resource_calls_the_emulator_and_responds(cloud: Any, made: Callable[..., Any]) -> None:
    outputs = {"Name": ref("Bucket"), "At": att("Written", "At")}
    found = made(with_function(cloud, Written=custom("one")), outputs)
    assert found["At"] == "here"
    assert cloud.s3.get_object(Bucket=found["Name"], Key="written")["Body"].read() == b"one"
    made(with_function(cloud, Written=custom("two")), outputs)
    assert cloud.s3.get_object(Bucket=found["Name"], Key="written")["Body"].read() == b"two"
    # The deletion of the custom resource empties the bucket. Otherwise the bucket's deletion fails.
    assert cloud.delete("types")["StackStatus"] == "DELETE_COMPLETE"


def test_a_failed_custom_resource_rolls_its_stack_back(cloud: Any) -> None:
    stack = cloud.create("types", {"Resources": with_function(cloud, Written=custom("one", "FAILED"))})
    assert stack["StackStatus"] in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED")
    assert cloud.reasons("types")["Written"] == "because"


def test_a_subscription_delivers_through_firehose_and_its_function(cloud: Any, made: Callable[..., Any]) -> None:
    stream = {
        "DeliveryStreamType": "DirectPut",
        "ExtendedS3DestinationConfiguration": {
            "BucketARN": att("Bucket", "Arn"),
            "RoleARN": att("Role", "Arn"),
            "ProcessingConfiguration": {
                "Enabled": True,
                "Processors": [
                    {
                        "Type": "Lambda",
                        "Parameters": [{"ParameterName": "LambdaArn", "ParameterValue": att("Function", "Arn")}],
                    }
                ],
            },
        },
    }
    resources = with_function(
        cloud,
        Stream=typed("KinesisFirehose::DeliveryStream", stream),
        Group=typed("Logs::LogGroup", {"LogGroupName": "/types/app", "RetentionInDays": 3}),
        Subscription=typed(
            "Logs::SubscriptionFilter",
            {
                "LogGroupName": ref("Group"),
                "FilterPattern": "",
                "DestinationArn": att("Stream", "Arn"),
                "RoleArn": att("Role", "Arn"),
            },
        ),
    )
    name = made(resources, {"Name": ref("Bucket")})["Name"]
    logs = cloud.aws("logs")
    logs.create_log_stream(logGroupName="/types/app", logStreamName="s")
    event = {"timestamp": int(time.time() * 1000), "message": "hello"}
    logs.put_log_events(logGroupName="/types/app", logStreamName="s", logEvents=[event])
    items = eventually(lambda: cloud.s3.list_objects_v2(Bucket=name).get("Contents", []))
    assert cloud.s3.get_object(Bucket=name, Key=items[0]["Key"])["Body"].read() == b"HELLO"
