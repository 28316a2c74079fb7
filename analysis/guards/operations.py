"""Logs, alarms, functions, Slack: what stays silent when it breaks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from analysis.guards.cloudformation import KEEP, custom_resources
from analysis.guards.registry import Broken, guard
from analysis.guards.security import BUCKET, bucket_statements, topic_users
from analysis.guards.values import (
    ROLE,
    all_behind,
    behind,
    depends,
    listed,
    matches,
    number,
    permissions,
    policy_documents,
    statements,
)
from analysis.resolve import ResolvedEnvironment, Resource
from analysis.templates import EDGE_REGION
from analysis.tokens import Json, origin

LOG_GROUP = "AWS::Logs::LogGroup"
FUNCTION = "AWS::Lambda::Function"
PERMISSION = "AWS::Lambda::Permission"
STREAM = "AWS::KinesisFirehose::DeliveryStream"
FILTER = "AWS::Logs::SubscriptionFilter"
ALARMS = ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")
TOPIC = "AWS::SNS::Topic"
SLACK = "AWS::Chatbot::SlackChannelConfiguration"


# --- Log groups --------------------------------------------------------------------------------------------------


@guard(
    "OPS-01",
    "Every log group is named, expires, and soon enough",
    why="A group without retention keeps everything for ever, and somebody pays (Amazon CloudWatch Logs User Guide, "
    "Working with log groups and log streams).",
    remedy="set RetentionInDays to at most 30; what must be kept longer goes to the archive",
)
def retention(env: ResolvedEnvironment) -> Iterator[Broken]:
    for group in env.of_type(LOG_GROUP):
        days = number(group.get("RetentionInDays"))
        if days is None or not 1 <= days <= 30:
            yield Broken(group, "Properties.RetentionInDays", f"kept for {days:g} days" if days else "never expires")
        if not group.get("LogGroupName"):
            yield Broken(group, "Properties.LogGroupName", "nobody can find it by name")


@guard(
    "OPS-21",
    "Two log groups never share a name",
    why="The second is refused: already exists (Amazon CloudWatch Logs API Reference, CreateLogGroup).",
    remedy="put what tells them apart into the name",
)
def log_names(env: ResolvedEnvironment) -> Iterator[Broken]:
    seen: dict[tuple[str, str], Resource] = {}
    for group in env.of_type(LOG_GROUP):
        name = (env.stacks[group.stack].region, str(group.get("LogGroupName")))
        if seen.setdefault(name, group) != group:
            yield Broken(group, "Properties.LogGroupName", f"{name[1]} is also of {seen[name].stack}")


# --- Alarms ------------------------------------------------------------------------------------------------------

# Where metrics exist once for the world.
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


@guard(
    "OPS-02",
    "Alarms stand where their metric exists",
    why="CloudFront, and WAF for CloudFront, report to us-east-1 only; an alarm elsewhere stays without data for ever "
    "(Amazon CloudFront Developer Guide, View CloudFront and edge function metrics).",
    remedy="move the alarm to the edge-monitoring stack, with dimension Region Global for CloudFront",
)
def alarm_regions(env: ResolvedEnvironment) -> Iterator[Broken]:
    for alarm in env.of_type("AWS::CloudWatch::Alarm"):
        region = env.stacks[alarm.stack].region
        for path, namespace, given in _metrics(alarm):
            acl = behind(env, given.get("WebACL"))
            edge = namespace in _GLOBAL or (namespace == "AWS/WAFV2" and acl and env.stacks[acl.stack].region != region)
            if edge and region != EDGE_REGION:
                yield Broken(alarm, path, f"{namespace} in {region}")
            if namespace == "AWS/CloudFront" and given.get("Region") != "Global":
                yield Broken(alarm, path, "without Region Global")


def _metrics(alarm: Resource) -> Iterator[tuple[str, str, dict[str, Json]]]:
    """The metrics that an alarm looks at: where, the namespace and the dimensions."""
    if alarm.get("Namespace"):
        yield "Properties.Dimensions", str(alarm.get("Namespace")), _dimensions(alarm.get("Dimensions"))
    for index, query in enumerate(listed(alarm.get("Metrics"))):
        if metric := query.get("MetricStat", {}).get("Metric"):
            path = f"Properties.Metrics.{index}.MetricStat.Metric.Dimensions"
            yield path, str(metric.get("Namespace")), _dimensions(metric.get("Dimensions"))


def _dimensions(value: Json) -> dict[str, Json]:
    return {str(item.get("Name")): item.get("Value") for item in listed(value)}


@guard(
    "OPS-03",
    "Alarms ask for dimensions that the metric has, by name",
    why="An alarm with other dimensions, or with an ARN for a name, never sees a value and never fires (Amazon "
    "CloudWatch User Guide, AWS services that publish CloudWatch metrics).",
    remedy="use LoadBalancerFullName, TargetGroupFullName, GetAtt Name of a service, Ref of a cluster",
)
def alarm_dimensions(env: ResolvedEnvironment) -> Iterator[Broken]:
    for alarm in env.of_type("AWS::CloudWatch::Alarm"):
        for path, namespace, given in _metrics(alarm):
            known = _DIMENSIONS.get(namespace)
            if known is None and namespace.startswith("AWS/"):
                yield Broken(alarm, path, f"namespace {namespace} is not known here")
            elif known is not None and set(given) not in known:
                yield Broken(alarm, path, f"{namespace} has no metric by {', '.join(sorted(given)) or 'nothing'}")
            for name, value in given.items():
                source, token = behind(env, value), origin(value)
                expected = _NAMES.get(name, {})
                if source and token and expected and token.attribute not in expected.get(source.type, set()):
                    yield Broken(alarm, path, f"{name} is {token.attribute} of {source.logical_id}")


@guard(
    "OPS-19",
    "Every alarm tells somebody, and says what silence means",
    why="An alarm without an action is seen by nobody; missing data keeps the last state by default, so an alarm on "
    "what is gone stays green (Amazon CloudWatch User Guide, Configuring how CloudWatch alarms treat missing data).",
    remedy="set AlarmActions to a topic and TreatMissingData; breaching where a count should never be missing",
)
def alarm_actions(env: ResolvedEnvironment) -> Iterator[Broken]:
    composed = " ".join(str(item.get("AlarmRule")) for item in env.of_type("AWS::CloudWatch::CompositeAlarm"))
    for alarm in env.of_type(*ALARMS):
        named = str(alarm.get("AlarmName")) in composed or alarm.ref in composed
        if not all_behind(env, alarm.get("AlarmActions"), TOPIC) and not named:
            yield Broken(alarm, "Properties.AlarmActions", "tells nobody")
        missing = alarm.get("TreatMissingData")
        if alarm.type == ALARMS[0] and missing is None:
            yield Broken(alarm, "Properties.TreatMissingData", "is left to its default")
        counts = {"HealthyHostCount", "RunningTaskCount"}
        if alarm.get("MetricName") in counts and missing not in (None, "breaching"):
            yield Broken(alarm, "Properties.TreatMissingData", f"{missing}, when nothing runs")


@guard(
    "OPS-04",
    "Alarms and their topics are in one region",
    why="CloudWatch refuses an action in another region (Amazon CloudWatch API Reference, PutMetricAlarm).",
    remedy="use the topic of the alarm's own region",
)
def topic_regions(env: ResolvedEnvironment) -> Iterator[Broken]:
    for sender, path, topic, service in topic_users(env):
        here, there = env.stacks[sender.stack].region, env.stacks[topic.stack].region
        if service == "cloudwatch" and here != there:
            yield Broken(sender, f"Properties.{path}", f"topic of {there} for an alarm of {here}")


@guard(
    "OPS-22",
    "Somebody hears every topic that alarms use",
    why="A topic without a subscriber swallows what it is sent (Amazon SNS Developer Guide, Create a subscription).",
    remedy="add the topic to the Slack channel, or subscribe a function",
)
def topics_are_heard(env: ResolvedEnvironment) -> Iterator[Broken]:
    heard = [topic for item in env.of_type(SLACK) for topic in all_behind(env, item.get("SnsTopicArns"), TOPIC)]
    heard += [
        topic for item in env.of_type("AWS::SNS::Subscription") for topic in all_behind(env, item.get("TopicArn"))
    ]
    if not env.of_type(SLACK):
        return  # an environment without Slack has chosen to look at the console
    for topic in {id(item[2]): item[2] for item in topic_users(env)}.values():
        if topic not in heard:
            yield Broken(topic, "", "nobody is subscribed")


# --- Slack -------------------------------------------------------------------------------------------------------


@guard(
    "OPS-05",
    "The Slack channel is given by ids",
    why="Names are refused; the workspace must be authorised by hand first (Amazon Q Developer in chat applications "
    "Administrator Guide, Get started with Slack).",
    remedy="use T... for the workspace and C... or G... for the channel, both or none",
)
def slack_ids(env: ResolvedEnvironment) -> Iterator[Broken]:
    patterns = {"SlackWorkspaceId": r"T[0-9A-Z]{1,254}", "SlackChannelId": r"[A-Za-z0-9]{1,254}"}
    for channel in env.of_type(SLACK):
        for key, pattern in patterns.items():
            if not re.fullmatch(pattern, str(channel.get(key, ""))):
                yield Broken(channel, f"Properties.{key}", f"{channel.get(key)!r} is no id")


@guard(
    "OPS-06",
    "Slack users can do no more than look",
    why="Without guardrails the channel has AdministratorAccess as its limit (CloudFormation Template Reference, "
    "AWS::Chatbot::SlackChannelConfiguration).",
    remedy="set GuardrailPolicies to a policy that only reads",
)
def slack_guardrails(env: ResolvedEnvironment) -> Iterator[Broken]:
    for channel in env.of_type(SLACK):
        rails = listed(channel.get("GuardrailPolicies"))
        for rail in rails:
            policy = behind(env, rail, "AWS::IAM::ManagedPolicy")
            actions = (
                [action for item in statements(policy.get("PolicyDocument")) for action in item.actions]
                if policy
                else []
            )
            writing = [
                action for action in actions if not re.match(r"[a-z0-9-]+:(Describe|Get|List|Batch?Get)", action)
            ]
            if writing or (policy is None and not str(rail).endswith(("/ReadOnlyAccess", "/CloudWatchReadOnlyAccess"))):
                yield Broken(channel, "Properties.GuardrailPolicies", f"allow {', '.join(writing) or rail}")
        if not rails:
            yield Broken(channel, "Properties.GuardrailPolicies", "Slack users are limited by nothing")
        role = behind(env, channel.get("IamRoleArn"), ROLE)
        if role is None or not any(
            item.service("chatbot") for item in statements(role.get("AssumeRolePolicyDocument"))
        ):
            yield Broken(channel, "Properties.IamRoleArn", "chatbot.amazonaws.com may not assume the role")


@guard(
    "OPS-07",
    "No function publishes to a topic that calls it",
    why="It would be called by its own message, for ever (AWS Lambda Developer Guide, Recursive loop detection).",
    remedy="publish to a topic of its own for the answers",
)
def no_topic_loops(env: ResolvedEnvironment) -> Iterator[Broken]:
    for subscription in env.of_type("AWS::SNS::Subscription"):
        function = behind(env, subscription.get("Endpoint"), FUNCTION)
        topic = behind(env, subscription.get("TopicArn"), TOPIC)
        role = behind(env, function.get("Role"), ROLE) if function else None
        for item in permissions(env, role):
            if topic and function and item.allows("sns:Publish") and topic in all_behind(env, item.resources):
                yield Broken(subscription, "Properties.TopicArn", f"{function.logical_id} publishes there itself")


# --- Log subscriptions and Firehose ------------------------------------------------------------------------------


@guard(
    "OPS-08",
    "CloudWatch Logs may write to the stream that it is told to",
    why="Logs names the bare group as the source, so a condition with :* behind the group's name never matches, and "
    "the error speaks of an inactive stream (Amazon CloudWatch Logs User Guide, Subscription filters with Amazon Data "
    "Firehose).",
    remedy="give RoleArn a role that logs.amazonaws.com assumes with aws:SourceArn arn:aws:logs:<region>:<account>:*, "
    "allowing firehose:PutRecord and PutRecordBatch",
)
def filters_to_streams(env: ResolvedEnvironment) -> Iterator[Broken]:
    for item in env.of_type(FILTER):
        stream = behind(env, item.get("DestinationArn"), STREAM)
        if stream is None:
            continue
        role = behind(env, item.get("RoleArn"), ROLE)
        if role is None:
            yield Broken(item, "Properties.RoleArn", "no role")
            continue
        stack = env.stacks[item.stack]
        source = f"arn:aws:logs:{stack.region}:{stack.account}:log-group:{_group_name(env, item)}"
        trust = [one for one in statements(role.get("AssumeRolePolicyDocument")) if one.service("logs")]
        if not any(_admits(one.condition("aws:SourceArn"), source) for one in trust):
            yield Broken(role, "Properties.AssumeRolePolicyDocument", f"does not admit {source}")
        if not any(
            one.allows("firehose:PutRecordBatch") and stream in all_behind(env, one.resources)
            for one in permissions(env, role)
        ):
            yield Broken(item, "Properties.RoleArn", "the role may not write to the stream")


def _admits(patterns: list[str], value: str) -> bool:
    return not patterns or any(matches(pattern, value) for pattern in patterns)


def _group_name(env: ResolvedEnvironment, item: Resource) -> str:
    group = behind(env, item.get("LogGroupName"), LOG_GROUP)
    return str(group.get("LogGroupName")) if group else str(item.get("LogGroupName"))


@guard(
    "OPS-09",
    "Log subscriptions do not feed on themselves, and may call their function",
    why="A consumer whose own log is subscribed logs about its own lines for ever; a group has at most two filters "
    "(Amazon CloudWatch Logs User Guide, Real-time processing of log data with subscriptions).",
    remedy="subscribe no group of the consumer; make the Lambda permission first and name it in DependsOn",
)
def filter_consumers(env: ResolvedEnvironment) -> Iterator[Broken]:
    counts: dict[str, int] = {}
    for item in env.of_type(FILTER):
        group = behind(env, item.get("LogGroupName"), LOG_GROUP)
        name = _group_name(env, item)
        counts[name] = counts.get(name, 0) + 1
        if counts[name] > 2:
            yield Broken(item, "Properties.LogGroupName", f"third filter of {name}")
        target = behind(env, item.get("DestinationArn"), FUNCTION, STREAM)
        if group and target and group in _logs_of(env, target):
            yield Broken(item, "Properties.LogGroupName", f"is the log of its own consumer {target.logical_id}")
        if target and target.type == FUNCTION:
            stack = env.stacks[item.stack]
            allowed = [
                permission
                for permission in stack.of_type(PERMISSION)
                if behind(env, permission.get("FunctionName")) == target
                and str(permission.get("Principal")).startswith("logs.")
            ]
            if not any(depends(stack, item, permission.logical_id) for permission in allowed):
                yield Broken(item, "DependsOn", "does not wait for the permission to call its function")


def _logs_of(env: ResolvedEnvironment, consumer: Resource) -> list[Resource]:
    """The log groups that a consumer writes to, and those of the functions that it calls."""
    found = all_behind(env, consumer.get("LoggingConfig.LogGroup"), LOG_GROUP)
    found += all_behind(env, consumer.get("ExtendedS3DestinationConfiguration.CloudWatchLoggingOptions"), LOG_GROUP)
    for function in all_behind(
        env, consumer.get("ExtendedS3DestinationConfiguration.ProcessingConfiguration"), FUNCTION
    ):
        found += _logs_of(env, function)
    return found


@guard(
    "OPS-10",
    "The archive stream delivers, and says when it does not",
    why="Records of CloudWatch Logs are compressed already, a transforming function has 5 minutes, and failures "
    "without an error prefix mix with the data (Amazon Data Firehose Developer Guide, Transform source data).",
    remedy="add a Lambda processor, an ErrorOutputPrefix, error logging, encryption; a timeout up to 300 s",
)
def archive_stream(env: ResolvedEnvironment) -> Iterator[Broken]:
    for stream in env.of_type(STREAM):
        base = "ExtendedS3DestinationConfiguration"
        path = f"Properties.{base}"
        functions = all_behind(env, stream.get(f"{base}.ProcessingConfiguration"), FUNCTION)
        if not functions:
            yield Broken(stream, f"{path}.ProcessingConfiguration", "nobody unpacks the records")
        for function in functions:
            if (number(function.get("Timeout")) or 3) > 300:
                yield Broken(function, "Properties.Timeout", "Firehose waits 300 s")
            role = behind(env, stream.get(f"{base}.RoleARN"), ROLE)
            granted = permissions(env, role)
            if not any(
                item.allows("lambda:InvokeFunction") and function in all_behind(env, item.resources) for item in granted
            ):
                yield Broken(stream, f"{path}.RoleARN", f"may not call {function.logical_id}")
        if not stream.get(f"{base}.ErrorOutputPrefix"):
            yield Broken(stream, f"{path}.ErrorOutputPrefix", "failures mix with the data")
        logging = stream.get(f"{base}.CloudWatchLoggingOptions", {})
        if str(logging.get("Enabled")).lower() != "true" or not all_behind(env, logging, LOG_GROUP):
            yield Broken(stream, f"{path}.CloudWatchLoggingOptions", "failures are not logged to a group of ours")
        if not behind(
            env, stream.get(f"{base}.EncryptionConfiguration.KMSEncryptionConfig.AWSKMSKeyARN"), "AWS::KMS::Key"
        ):
            yield Broken(stream, f"{path}.EncryptionConfiguration", "no key of ours")


# --- Functions ---------------------------------------------------------------------------------------------------


@guard(
    "OPS-11",
    "Nobody makes a log group by writing to it",
    why="Whoever may create groups makes a deleted one again, never to expire, and the next creation of the stack "
    "fails: already exists (AWS Lambda Developer Guide, Sending Lambda function logs to CloudWatch Logs).",
    remedy="make the group, name it in LoggingConfig, and grant CreateLogStream and PutLogEvents on it only",
)
def own_log_groups(env: ResolvedEnvironment) -> Iterator[Broken]:
    for function in env.of_type(FUNCTION):
        group = behind(env, function.get("LoggingConfig.LogGroup"), LOG_GROUP)
        if group is None:
            yield Broken(function, "Properties.LoggingConfig.LogGroup", "logs to a group that Lambda makes")
            continue
        granted = permissions(env, behind(env, function.get("Role"), ROLE))
        for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
            if not any(item.allows(action) and group in all_behind(env, item.resources) for item in granted):
                yield Broken(function, "Properties.Role", f"lacks {action} on its group")
    for resource, path, document in policy_documents(env):
        for item in statements(document):
            if item.allows("logs:CreateLogGroup") and resource.type not in ("AWS::KMS::Key", "AWS::S3::BucketPolicy"):
                yield Broken(resource, f"{path}.Statement.{item.index}", "may create log groups")
    for role in env.of_type(ROLE):
        for arn in listed(role.get("ManagedPolicyArns")):
            if str(arn).endswith(("AWSLambdaBasicExecutionRole", "AWSLambdaVPCAccessExecutionRole")):
                yield Broken(role, "Properties.ManagedPolicyArns", "may create log groups")


@guard(
    "OPS-12",
    "Functions reserve no concurrency",
    why="A new account has 10 executions in all, of which none can be reserved (AWS Lambda Developer Guide, "
    "Configuring reserved concurrency).",
    remedy="drop ReservedConcurrentExecutions",
)
def no_reservation(env: ResolvedEnvironment) -> Iterator[Broken]:
    for function in env.of_type(FUNCTION):
        if function.get("ReservedConcurrentExecutions") is not None:
            yield Broken(function, "Properties.ReservedConcurrentExecutions", "reserves concurrency")


_CURRENT = re.compile(r"python3\.1[3-9]")


@guard(
    "OPS-13",
    "Functions are explicit about runtime, machine, size and time, and stay out of the VPC",
    why="The defaults are 3 s and 128 MB on x86_64; a function in a VPC holds its interfaces for long after deletion "
    "(AWS Lambda Developer Guide, Lambda runtimes, and Giving Lambda functions access to resources in an Amazon VPC).",
    remedy="set Runtime python3.13, Architectures, Timeout, MemorySize; drop VpcConfig",
)
def function_settings(env: ResolvedEnvironment) -> Iterator[Broken]:
    for function in env.of_type(FUNCTION):
        if not _CURRENT.fullmatch(str(function.get("Runtime"))):
            yield Broken(function, "Properties.Runtime", f"runtime {function.get('Runtime')}")
        if function.get("Architectures") not in (["arm64"], ["x86_64"]):
            yield Broken(function, "Properties.Architectures", f"machine {function.get('Architectures')}")
        for key in ("Timeout", "MemorySize"):
            if number(function.get(key)) is None:
                yield Broken(function, f"Properties.{key}", f"{key} is left to its default")
        if function.get("VpcConfig") is not None:
            yield Broken(function, "Properties.VpcConfig", "is in the VPC")
        if function.get("Handler") != "index.handler":
            yield Broken(function, "Properties.Handler", f"handler {function.get('Handler')}")


@guard(
    "OPS-23",
    "Asynchronous functions lose nothing silently",
    why="After its retries Lambda drops an event unless there is a destination (AWS Lambda Developer Guide, How Lambda "
    "handles errors and retries with asynchronous invocation).",
    remedy="add an EventInvokeConfig with OnFailure to a queue, and let the role send to it",
)
def failure_destinations(env: ResolvedEnvironment) -> Iterator[Broken]:
    configured = env.of_type("AWS::Lambda::EventInvokeConfig")
    for permission in env.of_type(PERMISSION):
        if str(permission.get("Principal")) not in ("events.amazonaws.com", "sns.amazonaws.com"):
            continue
        function = behind(env, permission.get("FunctionName"), FUNCTION)
        own = [item for item in configured if behind(env, item.get("FunctionName")) == function]
        queues = [behind(env, item.get("DestinationConfig.OnFailure.Destination")) for item in own]
        if function and not any(queues):
            yield Broken(function, "", "an event that fails is lost")
        granted = permissions(env, behind(env, function.get("Role"), ROLE) if function else None)
        for queue in queues:
            if queue and not any(
                item.allows("sqs:SendMessage") and queue in all_behind(env, item.resources) for item in granted
            ):
                yield Broken(own[0], "Properties.DestinationConfig", f"the role may not send to {queue.logical_id}")


@guard(
    "OPS-14",
    "Services may call a function for this account's resource only",
    why="A permission for a service without a source lets every account's resources call the function (AWS Lambda "
    "Developer Guide, Granting Lambda function access to AWS services).",
    remedy="set SourceArn, and SourceAccount for s3",
)
def invoke_permissions(env: ResolvedEnvironment) -> Iterator[Broken]:
    for permission in env.of_type(PERMISSION):
        principal = str(permission.get("Principal"))
        if principal.endswith(".amazonaws.com") and permission.get("SourceArn") is None:
            yield Broken(permission, "Properties.SourceArn", f"any resource may make {principal} call")
        # The ARN of a bucket does not say whose it is; every other carries its account.
        if principal.startswith("s3.") and permission.get("SourceAccount") is None:
            yield Broken(permission, "Properties.SourceAccount", f"any account may make {principal} call")


@guard(
    "OPS-15",
    "Custom resources answer soon, and take text",
    why="A function that does not answer holds the stack for an hour, and every property reaches it as text "
    "(CloudFormation User Guide, Custom resources).",
    remedy="set ServiceTimeout to at most 300, and write every other property as text",
)
def custom_resource_settings(env: ResolvedEnvironment) -> Iterator[Broken]:
    for resource in custom_resources(env):
        timeout = number(resource.get("ServiceTimeout"))
        if timeout is None or timeout > 300:
            yield Broken(resource, "Properties.ServiceTimeout", f"waits {timeout or 3600:g} s")
        function = behind(env, resource.get("ServiceToken"), FUNCTION)
        if function is None:
            yield Broken(resource, "Properties.ServiceToken", "is no function of ours")
            continue
        for key, value in resource.properties.items():
            if key != "ServiceTimeout" and not isinstance(value, str):
                yield Broken(resource, f"Properties.{key}", f"{key} reaches the function as text, and is not")


# --- Events and budgets ------------------------------------------------------------------------------------------


@guard(
    "OPS-17",
    "Rules may reach their targets, and failed deployments are told",
    why="A rule whose target does not admit it fails silently (Amazon EventBridge User Guide, Using resource-based "
    "policies for Amazon EventBridge).",
    remedy="add the Lambda permission with the rule's ARN, or the queue's or topic's policy; a dead-letter queue",
)
def rule_targets(env: ResolvedEnvironment) -> Iterator[Broken]:
    for rule in env.of_type("AWS::Events::Rule"):
        for index, target in enumerate(listed(rule.get("Targets"))):
            path = f"Properties.Targets.{index}"
            function = behind(env, target.get("Arn"), FUNCTION)
            if function and not any(
                behind(env, item.get("FunctionName")) == function
                and item.get("Principal") == "events.amazonaws.com"
                and behind(env, item.get("SourceArn")) in (rule, None)
                for item in env.of_type(PERMISSION)
            ):
                yield Broken(rule, path, f"may not call {function.logical_id}")
            queue = behind(env, target.get("DeadLetterConfig", {}).get("Arn"), "AWS::SQS::Queue")
            if queue is None:
                yield Broken(rule, f"{path}.DeadLetterConfig", "an event that cannot be delivered is lost")
            elif not _queue_admits(env, queue, "events"):
                yield Broken(rule, f"{path}.DeadLetterConfig", f"may not send to {queue.logical_id}")
    if env.of_type("AWS::ECS::Service"):
        watched = [str(rule.get("EventPattern.detail-type")) for rule in env.of_type("AWS::Events::Rule")]
        for kind in ("ECS Deployment State Change", "ECS Task State Change"):
            if not any(kind in item for item in watched):
                for cluster in env.of_type("AWS::ECS::Cluster"):
                    yield Broken(cluster, "", f"nobody is told of {kind}")


def _queue_admits(env: ResolvedEnvironment, queue: Resource, service: str) -> bool:
    return any(
        item.service(service) and item.allows("sqs:SendMessage")
        for policy in env.of_type("AWS::SQS::QueuePolicy")
        if queue in all_behind(env, policy.get("Queues"))
        for item in statements(policy.get("PolicyDocument"))
    )


@guard(
    "OPS-18",
    "A budget tells somebody before the money is gone",
    why="A budget without notifications, or filtered by a tag that nobody activated, stays silent (AWS Cost Management "
    "User Guide, Best practices for AWS Budgets).",
    remedy="notify a topic on the actual and the forecast cost, without a filter by tag",
)
def budgets(env: ResolvedEnvironment) -> Iterator[Broken]:
    for budget in env.of_type("AWS::Budgets::Budget"):
        kinds = set()
        for item in listed(budget.get("NotificationsWithSubscribers")):
            if all_behind(env, item.get("Subscribers"), TOPIC):
                kinds.add(item.get("Notification", {}).get("NotificationType"))
        if kinds != {"ACTUAL", "FORECASTED"}:
            yield Broken(budget, "Properties.NotificationsWithSubscribers", f"tells of {sorted(kinds) or 'nothing'}")
        filters: Mapping[str, Json] = budget.get("Budget.CostFilters") or {}
        if "TagKeyValue" in filters:
            yield Broken(budget, "Properties.Budget.CostFilters", "counts only what carries an activated tag")


@guard(
    "OPS-16",
    "Buckets that services write to outlive the stack",
    why="Delivery goes on while the stack is deleted, so that the bucket is never empty and its deletion fails (Amazon "
    "S3 User Guide, Deleting a bucket).",
    remedy="DeletionPolicy RetainExceptOnCreate or Retain",
)
def written_buckets_stay(env: ResolvedEnvironment) -> Iterator[Broken]:
    streams = [item.get("ExtendedS3DestinationConfiguration.BucketARN") for item in env.of_type(STREAM)]
    for bucket in env.of_type(BUCKET):
        writers = [
            principal
            for item in bucket_statements(env, bucket)
            if item.allows("s3:PutObject")
            for principal in item.principals.get("Service", [])
        ]
        archive = any(bucket in all_behind(env, stream) for stream in streams)
        if (writers or archive) and bucket.attributes.get("DeletionPolicy") not in KEEP:
            yield Broken(bucket, "DeletionPolicy", f"is written to by {', '.join(writers) or 'Firehose'}")
