"""Alarms and their topics: alarms without data, and topics without subscribers."""

from __future__ import annotations

from collections.abc import Iterator

from hosting.analysis.resolve import ResolvedEnvironment, Resource
from hosting.analysis.rules.logs import FUNCTION, STREAM
from hosting.analysis.rules.registry import RuleMatch, environment_rule
from hosting.analysis.rules.security import topic_users
from hosting.analysis.rules.values import flag, follow, follow_all, listed
from hosting.model.stack_order import EDGE_REGION
from hosting.model.tokens import Json, origin

ALARMS = ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")


TOPIC = "AWS::SNS::Topic"
SLACK = "AWS::Chatbot::SlackChannelConfiguration"


# Namespaces whose metrics exist only in us-east-1.
_GLOBAL = {"AWS/CloudFront"}


# The dimensions of a metric, as the services' documents list them: an alarm with others never sees a value.
_DIMENSIONS: dict[str, tuple[set[str], ...]] = {
    "AWS/ApplicationELB": (
        {"LoadBalancer"},
        {"LoadBalancer", "TargetGroup"},
        {"LoadBalancer", "AvailabilityZone"},
        {"LoadBalancer", "TargetGroup", "AvailabilityZone"},
    ),
    "AWS/ECS": ({"ClusterName"}, {"ClusterName", "ServiceName"}),
    "ECS/ContainerInsights": ({"ClusterName"}, {"ClusterName", "ServiceName"}, {"ClusterName", "TaskDefinitionFamily"}),
    "AWS/RDS": (
        {"DBClusterIdentifier"},
        {"DBClusterIdentifier", "Role"},
        {"DBInstanceIdentifier"},
    ),
    "AWS/NATGateway": ({"NatGatewayId"},),
    "AWS/Firehose": ({"DeliveryStreamName"},),
    "AWS/Lambda": ({"FunctionName"}, {"FunctionName", "Resource"}),
    "AWS/SQS": ({"QueueName"},),
    "AWS/SNS": ({"TopicName"},),
    "AWS/Events": ({"RuleName"},),
    "AWS/CloudFront": ({"DistributionId", "Region"},),
    "AWS/WAFV2": ({"WebACL", "Rule"}, {"WebACL", "Rule", "Region"}),
    "AWS/Logs": ({"LogGroupName"}, {"LogGroupName", "DestinationType", "FilterName"}),
}


# Which attribute of a resource a dimension is; Ref is an ARN for some types, and metrics know names.
_NAMES: dict[str, dict[str, set[str]]] = {
    "LoadBalancer": {"AWS::ElasticLoadBalancingV2::LoadBalancer": {"LoadBalancerFullName"}},
    "TargetGroup": {"AWS::ElasticLoadBalancingV2::TargetGroup": {"TargetGroupFullName"}},
    "ClusterName": {"AWS::ECS::Cluster": {"Ref"}},
    "ServiceName": {"AWS::ECS::Service": {"Name"}},
    "DBClusterIdentifier": {"AWS::RDS::DBCluster": {"Ref"}},
    "DBInstanceIdentifier": {"AWS::RDS::DBInstance": {"Ref"}},
    "NatGatewayId": {"AWS::EC2::NatGateway": {"Ref", "NatGatewayId"}},
    "DeliveryStreamName": {STREAM: {"Ref"}},
    "FunctionName": {FUNCTION: {"Ref"}},
    "QueueName": {"AWS::SQS::Queue": {"QueueName"}},
    "TopicName": {TOPIC: {"TopicName"}},
    "DistributionId": {"AWS::CloudFront::Distribution": {"Ref", "Id"}},
}


# Metrics by their exact names, of the namespaces in which alarms look for some (the same documents). An alarm on a
# metric that no service publishes never has data.
_KNOWN_METRICS: dict[str, frozenset[str]] = {
    "AWS/ApplicationELB": frozenset(
        {
            "ActiveConnectionCount", "ConsumedLCUs", "DesyncMitigationMode_NonCompliant_Request_Count",
            "DroppedInvalidHeaderRequestCount", "HealthyHostCount",
            "HTTPCode_ELB_3XX_Count", "HTTPCode_ELB_4XX_Count", "HTTPCode_ELB_500_Count", "HTTPCode_ELB_502_Count",
            "HTTPCode_ELB_503_Count", "HTTPCode_ELB_504_Count", "HTTPCode_ELB_5XX_Count", "HTTPCode_Target_2XX_Count",
            "HTTPCode_Target_3XX_Count", "HTTPCode_Target_4XX_Count", "HTTPCode_Target_5XX_Count",
            "NewConnectionCount", "ProcessedBytes", "RejectedConnectionCount", "RequestCount",
            "RequestCountPerTarget", "TargetConnectionErrorCount", "TargetResponseTime", "UnHealthyHostCount",
        }
    ),
    "AWS/CloudFront": frozenset(
        {"4xxErrorRate", "5xxErrorRate", "BytesDownloaded", "BytesUploaded", "Requests", "TotalErrorRate"}
    ),
    "AWS/ECS": frozenset({"CPUReservation", "CPUUtilization", "MemoryReservation", "MemoryUtilization"}),
    "AWS/Firehose": frozenset(
        {
            "DeliveryToS3.DataFreshness", "DeliveryToS3.Success", "ExecuteProcessing.Success", "IncomingBytes",
            "IncomingRecords", "ThrottledRecords",
        }
    ),
    "AWS/Lambda": frozenset(
        {
            "AsyncEventAge", "AsyncEventsDropped", "ConcurrentExecutions", "DeadLetterErrors",
            "DestinationDeliveryFailures", "Duration", "Errors", "Invocations", "Throttles",
        }
    ),
    "AWS/NATGateway": frozenset(
        {
            "ActiveConnectionCount", "BytesOutToDestination", "ConnectionAttemptCount", "ErrorPortAllocation",
            "IdleTimeoutCount", "PacketsDropCount",
        }
    ),
    "AWS/RDS": frozenset(
        {
            "ACUUtilization", "AuroraReplicaLag", "AuroraReplicaLagMaximum", "CPUUtilization", "DatabaseConnections",
            "Deadlocks", "EngineUptime", "FreeableMemory", "FreeLocalStorage", "ServerlessDatabaseCapacity",
            "VolumeBytesUsed",
        }
    ),
    "AWS/SQS": frozenset(
        {
            "ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesVisible", "NumberOfMessagesReceived", "NumberOfMessagesSent",
        }
    ),
    "AWS/WAFV2": frozenset({"AllowedRequests", "BlockedRequests", "CountedRequests", "PassedRequests"}),
    "ECS/ContainerInsights": frozenset(
        {
            "CpuReserved", "CpuUtilized", "DeploymentCount", "DesiredTaskCount", "MemoryReserved", "MemoryUtilized",
            "PendingTaskCount", "RestartCount", "RunningTaskCount", "TaskCount", "TaskSetCount",
        }
    ),
}  # fmt: skip


@environment_rule(
    "OPS-02",
    "An alarm is in the region of its metric",
    why="CloudFront, and WAF for CloudFront, report to us-east-1 only; an alarm in another region never has data "
    "(Amazon CloudFront Developer Guide, View CloudFront and edge function metrics).",
    hint="move the alarm to the edge-monitoring stack, with dimension Region Global for CloudFront",
)
def alarm_regions(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for alarm in env.of_type("AWS::CloudWatch::Alarm"):
        region = env.stacks[alarm.stack].region
        for path, namespace, _, given in _metrics(alarm):
            acl = follow(env, given.get("WebACL"))
            edge = namespace in _GLOBAL or (namespace == "AWS/WAFV2" and acl and env.stacks[acl.stack].region != region)
            if edge and region != EDGE_REGION:
                yield RuleMatch(alarm, path, f"{namespace} in {region}")
            if namespace == "AWS/CloudFront" and given.get("Region") != "Global":
                yield RuleMatch(alarm, path, "without Region Global")


def _metrics(alarm: Resource) -> Iterator[tuple[str, str, str, dict[str, Json]]]:
    """The metrics that an alarm looks at: where, the namespace, the name and the dimensions."""
    if alarm.get("Namespace"):
        name = str(alarm.get("MetricName"))
        yield "Properties.Dimensions", str(alarm.get("Namespace")), name, _dimensions(alarm.get("Dimensions"))
    for index, query in enumerate(listed(alarm.get("Metrics"))):
        if metric := query.get("MetricStat", {}).get("Metric"):
            path = f"Properties.Metrics.{index}.MetricStat.Metric.Dimensions"
            name = str(metric.get("MetricName"))
            yield path, str(metric.get("Namespace")), name, _dimensions(metric.get("Dimensions"))


def _dimensions(value: Json) -> dict[str, Json]:
    return {str(item.get("Name")): item.get("Value") for item in listed(value)}


@environment_rule(
    "OPS-03",
    "An alarm uses an existing metric with its dimensions",
    why="An alarm with other dimensions, or with an ARN for a name, never sees a value and never fires (Amazon "
    "CloudWatch User Guide, AWS services that publish CloudWatch metrics).",
    hint="use LoadBalancerFullName, TargetGroupFullName, GetAtt Name of a service, Ref of a cluster",
)
def alarm_dimensions(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for alarm in env.of_type("AWS::CloudWatch::Alarm"):
        for path, namespace, metric, given in _metrics(alarm):
            if metric not in _KNOWN_METRICS.get(namespace, {metric}):
                yield RuleMatch(alarm, path, f"{namespace} is not known to have a metric {metric}")
            known = _DIMENSIONS.get(namespace)
            if known is None and namespace.startswith("AWS/"):
                yield RuleMatch(alarm, path, f"namespace {namespace} is not known here")
            elif known is not None and set(given) not in known:
                yield RuleMatch(alarm, path, f"{namespace} has no metric by {', '.join(sorted(given)) or 'nothing'}")
            for name, value in given.items():
                source, token = follow(env, value), origin(value)
                expected = _NAMES.get(name, {})
                if source and token and expected and token.attribute not in expected.get(source.type, set()):
                    yield RuleMatch(alarm, path, f"{name} is {token.attribute} of {source.logical_id}")


@environment_rule(
    "OPS-19",
    "Every alarm has an action and treats missing data explicitly",
    why="An alarm without an action notifies no recipient. By default missing data keeps the last state, so an alarm "
    "on a deleted resource remains OK (Amazon CloudWatch User Guide, Configuring how CloudWatch alarms treat missing "
    "data).",
    hint="set AlarmActions to a topic and TreatMissingData; breaching where a count should never be missing",
)
def alarm_actions(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    composed = " ".join(str(item.get("AlarmRule")) for item in env.of_type("AWS::CloudWatch::CompositeAlarm"))
    for alarm in env.of_type(*ALARMS):
        named = str(alarm.get("AlarmName")) in composed or alarm.ref in composed
        if not follow_all(env, alarm.get("AlarmActions"), TOPIC) and not named:
            yield RuleMatch(alarm, "Properties.AlarmActions", "has no action with a topic")
        if not flag(alarm.get("ActionsEnabled", True)):
            yield RuleMatch(alarm, "Properties.ActionsEnabled", "its actions are disabled")
        missing = alarm.get("TreatMissingData")
        if alarm.type == ALARMS[0] and missing is None:
            yield RuleMatch(alarm, "Properties.TreatMissingData", "is not set")
        counts = {"HealthyHostCount", "RunningTaskCount"}
        if alarm.get("MetricName") in counts and missing not in (None, "breaching"):
            yield RuleMatch(alarm, "Properties.TreatMissingData", f"{missing}, when nothing runs")


@environment_rule(
    "OPS-04",
    "Alarms and their topics are in one region",
    why="CloudWatch refuses an action in another region (Amazon CloudWatch API Reference, PutMetricAlarm).",
    hint="use the topic of the alarm's own region",
)
def topic_regions(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for sender, path, topic, service in topic_users(env):
        here, there = env.stacks[sender.stack].region, env.stacks[topic.stack].region
        if service == "cloudwatch" and here != there:
            yield RuleMatch(sender, f"Properties.{path}", f"topic of {there} for an alarm of {here}")


@environment_rule(
    "OPS-22",
    "Every topic that alarms use has a subscriber",
    why="A topic without a subscriber delivers no message (Amazon SNS Developer Guide, Create a subscription).",
    hint="add the topic to the Slack channel, or subscribe a function",
)
def topics_have_subscribers(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    subscribed = [topic for item in env.of_type(SLACK) for topic in follow_all(env, item.get("SnsTopicArns"), TOPIC)]
    subscribed += [
        topic for item in env.of_type("AWS::SNS::Subscription") for topic in follow_all(env, item.get("TopicArn"))
    ]
    if not env.of_type(SLACK):
        return  # an environment without Slack has chosen to look at the console
    for topic in {id(item[2]): item[2] for item in topic_users(env)}.values():
        if topic not in subscribed:
            yield RuleMatch(topic, "", "has no subscriber")
