"""Lambda functions, custom resources and event rules: what fails late or silently."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hosting.analysis.resolve import ResolvedEnvironment, Resource
from hosting.analysis.rules.alarms import TOPIC
from hosting.analysis.rules.cloudformation import custom_resources
from hosting.analysis.rules.logs import FUNCTION, LOG_GROUP, PERMISSION
from hosting.analysis.rules.registry import RuleMatch, environment_rule
from hosting.analysis.rules.values import (
    ROLE,
    depends_on_resource,
    follow,
    follow_all,
    listed,
    number,
    permissions,
    policy_documents,
    statements,
)

MIGRATION = "Custom::Migration"


@environment_rule(
    "OPS-07",
    "No function publishes to a topic that calls it",
    why="It would be called by its own message, for ever (AWS Lambda Developer Guide, Recursive loop detection).",
    hint="publish to a topic of its own for the answers",
)
def no_topic_loops(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for subscription in env.of_type("AWS::SNS::Subscription"):
        function = follow(env, subscription.get("Endpoint"), FUNCTION)
        topic = follow(env, subscription.get("TopicArn"), TOPIC)
        role = follow(env, function.get("Role"), ROLE) if function else None
        for item in permissions(env, role):
            if topic and function and item.allows("sns:Publish") and topic in follow_all(env, item.resources):
                yield RuleMatch(subscription, "Properties.TopicArn", f"{function.logical_id} publishes there itself")


@environment_rule(
    "OPS-11",
    "No role may create log groups",
    why="A role that may create log groups recreates a deleted one without retention, and the next creation of the "
    "stack fails: already exists (AWS Lambda Developer Guide, Sending Lambda function logs to CloudWatch Logs).",
    hint="make the group, name it in LoggingConfig, and grant CreateLogStream and PutLogEvents on it only",
)
def own_log_groups(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for function in env.of_type(FUNCTION):
        group = follow(env, function.get("LoggingConfig.LogGroup"), LOG_GROUP)
        if group is None:
            yield RuleMatch(function, "Properties.LoggingConfig.LogGroup", "logs to a group that Lambda makes")
            continue
        granted = permissions(env, follow(env, function.get("Role"), ROLE))
        for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
            if not any(item.allows(action) and group in follow_all(env, item.resources) for item in granted):
                yield RuleMatch(function, "Properties.Role", f"lacks {action} on its group")
    for resource, path, document in policy_documents(env):
        for item in statements(document):
            if item.allows("logs:CreateLogGroup") and resource.type not in ("AWS::KMS::Key", "AWS::S3::BucketPolicy"):
                yield RuleMatch(resource, f"{path}.Statement.{item.index}", "may create log groups")
    for role in env.of_type(ROLE):
        for arn in listed(role.get("ManagedPolicyArns")):
            if str(arn).endswith(("AWSLambdaBasicExecutionRole", "AWSLambdaVPCAccessExecutionRole")):
                yield RuleMatch(role, "Properties.ManagedPolicyArns", "may create log groups")


@environment_rule(
    "OPS-12",
    "Functions reserve no concurrency",
    why="A new account has 10 executions in all, of which none can be reserved (AWS Lambda Developer Guide, "
    "Configuring reserved concurrency).",
    hint="drop ReservedConcurrentExecutions",
)
def no_reservation(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for function in env.of_type(FUNCTION):
        if function.get("ReservedConcurrentExecutions") is not None:
            yield RuleMatch(function, "Properties.ReservedConcurrentExecutions", "reserves concurrency")


_CURRENT = re.compile(r"python3\.1[3-9]")


@environment_rule(
    "OPS-13",
    "Functions are explicit about runtime, machine, size and time, and stay out of the VPC",
    why="The defaults are 3 s and 128 MB on x86_64; a function in a VPC holds its interfaces for long after deletion "
    "(AWS Lambda Developer Guide, Lambda runtimes, and Giving Lambda functions access to resources in an Amazon VPC).",
    hint="set Runtime to a Python that Lambda supports, Architectures, Timeout, MemorySize; drop VpcConfig",
)
def function_settings(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for function in env.of_type(FUNCTION):
        if not _CURRENT.fullmatch(str(function.get("Runtime"))):
            yield RuleMatch(function, "Properties.Runtime", f"runtime {function.get('Runtime')}")
        if function.get("Architectures") not in (["arm64"], ["x86_64"]):
            yield RuleMatch(function, "Properties.Architectures", f"machine {function.get('Architectures')}")
        for key in ("Timeout", "MemorySize"):
            if number(function.get(key)) is None:
                yield RuleMatch(function, f"Properties.{key}", f"{key} is left to its default")
        if function.get("VpcConfig") is not None:
            yield RuleMatch(function, "Properties.VpcConfig", "is in the VPC")
        if function.get("Handler") != "index.handler":
            yield RuleMatch(function, "Properties.Handler", f"handler {function.get('Handler')}")


@environment_rule(
    "OPS-23",
    "Asynchronous functions lose nothing silently",
    why="After its retries Lambda drops an event unless there is a destination (AWS Lambda Developer Guide, How Lambda "
    "handles errors and retries with asynchronous invocation).",
    hint="add an EventInvokeConfig with OnFailure to a queue or function, and let the role send to it",
)
def failure_destinations(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for subscription in env.of_type("AWS::SNS::Subscription"):
        # The queue would have to be in the region of the topic (Amazon SNS Developer Guide, dead-letter queues).
        elsewhere = subscription.get("Region") not in (None, env.stacks[subscription.stack].region)
        if not elsewhere and not follow_all(env, subscription.get("RedrivePolicy"), "AWS::SQS::Queue"):
            yield RuleMatch(subscription, "Properties.RedrivePolicy", "a message that cannot be delivered is lost")
    configured = env.of_type("AWS::Lambda::EventInvokeConfig")
    callers = ("events.amazonaws.com", "sns.amazonaws.com")
    called = [
        follow(env, permission.get("FunctionName"), FUNCTION)
        for permission in env.of_type(PERMISSION)
        if str(permission.get("Principal")) in callers
    ]
    called += [follow(env, item.get("DestinationConfig.OnFailure.Destination"), FUNCTION) for item in configured]
    for function in called:
        own = [item for item in configured if follow(env, item.get("FunctionName")) == function]
        destinations = [follow(env, item.get("DestinationConfig.OnFailure.Destination")) for item in own]
        if function and not any(destinations):
            yield RuleMatch(function, "", "an event that fails is lost")
        granted = permissions(env, follow(env, function.get("Role"), ROLE) if function else None)
        for destination in filter(None, destinations):
            action = "lambda:InvokeFunction" if destination.type == FUNCTION else "sqs:SendMessage"
            if not any(item.allows(action) and destination in follow_all(env, item.resources) for item in granted):
                yield RuleMatch(
                    own[0], "Properties.DestinationConfig", f"the role may not send to {destination.logical_id}"
                )


@environment_rule(
    "OPS-14",
    "Services may call a function for this account's resource only",
    why="A permission for a service without a source allows resources of every account to call the function (AWS "
    "Lambda Developer Guide, Granting Lambda function access to AWS services).",
    hint="set SourceArn, and SourceAccount for s3 only",
)
def invoke_permissions(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for permission in env.of_type(PERMISSION):
        principal = str(permission.get("Principal"))
        if principal.endswith(".amazonaws.com") and permission.get("SourceArn") is None:
            yield RuleMatch(permission, "Properties.SourceArn", f"any resource may make {principal} call")
        # The ARN of a bucket does not say whose it is; every other carries its account.
        if principal.startswith("s3.") and permission.get("SourceAccount") is None:
            yield RuleMatch(permission, "Properties.SourceAccount", f"any account may make {principal} call")
        if principal.startswith(("sns.", "events.")) and permission.get("SourceAccount") is not None:
            yield RuleMatch(
                permission, "Properties.SourceAccount", f"{principal} names no account, so no call is let in"
            )


@environment_rule(
    "OPS-15",
    "Custom resources answer soon, and take text",
    why="A function that does not answer holds the stack for an hour, and every property reaches it as text "
    "(CloudFormation User Guide, Custom resources).",
    hint="set ServiceTimeout to at most 300 (3600 for a migration), and write every other property as text",
)
def custom_resource_settings(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for resource in custom_resources(env):
        timeout = number(resource.get("ServiceTimeout"))
        if timeout is None or timeout > (3600 if resource.type == MIGRATION else 300):
            yield RuleMatch(resource, "Properties.ServiceTimeout", f"waits {timeout or 3600:g} s")
        function = follow(env, resource.get("ServiceToken"), FUNCTION)
        if function is None:
            yield RuleMatch(resource, "Properties.ServiceToken", "is no function of ours")
            continue
        for key, value in resource.properties.items():
            texts = value if isinstance(value, list) else [value]
            if key != "ServiceTimeout" and not all(isinstance(text, str) for text in texts):
                yield RuleMatch(resource, f"Properties.{key}", f"{key} reaches the function as text, and is not")


@environment_rule(
    "OPS-27",
    "A service waits for the migration with its task definition",
    why="A service that does not wait runs the new version with the old schema, and a failed migration does not stop "
    "it (CloudFormation Template Reference, DependsOn attribute).",
    hint="give the migration the task definition of the service, add it to the DependsOn of the service, and stop it "
    "before ServiceTimeout",
)
def services_wait_for_migrations(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for migration in env.of_type(MIGRATION):
        stack = env.stacks[migration.stack]
        task = follow(env, migration.get("TaskDefinition"), "AWS::ECS::TaskDefinition")
        services = [
            item for item in env.of_type("AWS::ECS::Service") if follow(env, item.get("TaskDefinition")) == task
        ]
        if task is None or not services:
            yield RuleMatch(migration, "Properties.TaskDefinition", "no service runs this task definition")
        for service in services:
            if not depends_on_resource(stack, service, migration.logical_id):
                yield RuleMatch(service, "DependsOn", f"does not wait for {migration.logical_id}")
        limit, wait = number(migration.get("TimeoutSeconds")), number(migration.get("ServiceTimeout"))
        if limit is None or wait is None or limit >= wait:
            yield RuleMatch(
                migration, "Properties.TimeoutSeconds", "CloudFormation stops waiting before the end of the task"
            )


# Amazon ECS Developer Guide, Amazon ECS service deployment state change events.
_DEPLOYMENT_EVENTS = {"SERVICE_DEPLOYMENT_COMPLETED", "SERVICE_DEPLOYMENT_FAILED", "SERVICE_DEPLOYMENT_IN_PROGRESS"}


@environment_rule(
    "OPS-17",
    "Event rules may call their targets, and failed deployments are reported",
    why="A rule whose target does not admit it fails silently (Amazon EventBridge User Guide, Using resource-based "
    "policies for Amazon EventBridge).",
    hint="add the Lambda permission with the rule's ARN, or the queue's or topic's policy; a dead-letter queue",
)
def rule_targets(env: ResolvedEnvironment) -> Iterator[RuleMatch]:
    for rule in env.of_type("AWS::Events::Rule"):
        for index, target in enumerate(listed(rule.get("Targets"))):
            path = f"Properties.Targets.{index}"
            function = follow(env, target.get("Arn"), FUNCTION)
            if function and not any(
                follow(env, item.get("FunctionName")) == function
                and item.get("Principal") == "events.amazonaws.com"
                and follow(env, item.get("SourceArn")) in (rule, None)
                for item in env.of_type(PERMISSION)
            ):
                yield RuleMatch(rule, path, f"may not call {function.logical_id}")
            queue = follow(env, target.get("DeadLetterConfig", {}).get("Arn"), "AWS::SQS::Queue")
            if queue is None:
                yield RuleMatch(rule, f"{path}.DeadLetterConfig", "an event that cannot be delivered is lost")
            elif not _queue_admits(env, queue, "events"):
                yield RuleMatch(rule, f"{path}.DeadLetterConfig", f"may not send to {queue.logical_id}")
    if env.of_type("AWS::ECS::Service", "AWS::Scheduler::Schedule"):
        watched = [str(rule.get("EventPattern.detail-type")) for rule in env.of_type("AWS::Events::Rule")]
        for kind in ("ECS Deployment State Change", "ECS Task State Change"):
            if not any(kind in item for item in watched):
                for cluster in env.of_type("AWS::ECS::Cluster"):
                    yield RuleMatch(cluster, "", f"no rule reports {kind}")
    for rule in env.of_type("AWS::Events::Rule"):
        of_deployments = "ECS Deployment State Change" in listed(rule.get("EventPattern.detail-type"))
        unknown = sorted(set(map(str, listed(rule.get("EventPattern.detail.eventName")))) - _DEPLOYMENT_EVENTS)
        if of_deployments and unknown:
            yield RuleMatch(rule, "Properties.EventPattern", f"ECS sends no {', '.join(unknown)}")


def _queue_admits(env: ResolvedEnvironment, queue: Resource, service: str) -> bool:
    return any(
        item.service(service) and item.allows("sqs:SendMessage")
        for policy in env.of_type("AWS::SQS::QueuePolicy")
        if queue in follow_all(env, policy.get("Queues"))
        for item in statements(policy.get("PolicyDocument"))
    )
