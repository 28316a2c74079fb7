"""Lambda functions in the form that every layer uses: own role, own log group, code by the SHA-256 of its content."""

import re
from typing import Any

from awacs import kms as kms_actions
from awacs import logs as logs_actions
from awacs.aws import Statement
from troposphere import AWSHelperFn, If, Sub, Template
from troposphere.awslambda import (
    Code,
    DestinationConfig,
    Environment,
    EventInvokeConfig,
    Function,
    OnFailure,
    Permission,
)
from troposphere.awslambda import LoggingConfig as _LoggingConfig
from troposphere.events import DeadLetterConfig, Rule, Target
from troposphere.iam import ManagedPolicy, Role
from troposphere.logs import LogGroup
from troposphere.sns import Topic
from troposphere.sqs import Queue

from generator import value_types as v
from generator.interfaces import LogSettings
from generator.resources.iam import allow, attach_policy, policy_document, service_role
from generator.resources.logs import log_group
from generator.resources.suppressions import suppress
from generator.wiring import FrozenConfig, StackInterface

# The packaging builds for both, and the tests execute the packages with this Python. It is the newest for which the
# machines of the tests have an interpreter. A test checks its end of life.
RUNTIME = "python3.13"
ARCHITECTURE = "arm64"


class LoggingConfig(_LoggingConfig):
    """LoggingConfig with LogFormat. troposphere 4.11.1 has the properties of another type of the same name."""

    props: dict[str, Any] = {**_LoggingConfig.props, "LogFormat": (str, True)}  # noqa: RUF012 -- troposphere's way


class FunctionInputs(StackInterface):
    """Base of the Inputs of a layer with Lambda functions."""

    prefix: v.NamePrefix
    artifact_bucket: v.BucketName
    logs: LogSettings


class Size(FrozenConfig):
    """``memory`` in MiB also determines the share of a CPU. ``timeout`` is in seconds."""

    memory: int
    timeout: int


class AddedFunction(FrozenConfig):
    """A function, its log group, role and policy. Its users depend on the policy: without it the first call fails."""

    function: Function
    log_group: LogGroup
    role: Role
    policy: ManagedPolicy


def add_function(
    t: Template,
    subject: str,
    inputs: FunctionInputs,
    *,
    does: str,
    code: v.ArtifactKey,
    size: Size,
    statements: list[Statement],
    only_if: tuple[str, list[Statement]] | None = None,
    environment: dict[str, Any] | None = None,
    retries: int | None = None,
    failures: Queue | Function | None = None,
    without_queue: str = "",
    log_group_name: str = "",
) -> AddedFunction:
    """Add a function with its log group, role, policy and, for asynchronous invocation, its retries.

    ``only_if`` names a condition of the template, and the additional permissions if it is true. ``retries`` (0 to 2)
    and ``failures``, a queue or a function, are for asynchronous invocation only. A function without a destination of
    failures states in ``without_queue`` why it loses no event. The log group is below ``/aws/lambda/``, where the
    console expects it. Its name differs from the name of the function, which CloudFormation generates. It follows from
    the subject, or is ``log_group_name`` for a function that several stacks of an environment have.
    """
    name = log_group_name or kebab_case(subject)
    group = t.add_resource(log_group(f"{subject}LogGroup", Sub(f"/aws/lambda/${{Prefix}}-{name}"), inputs.logs))
    role = t.add_resource(service_role(f"{subject}Role", "lambda", description=f"Function that {does}."))
    always = [
        allow("WriteOwnLogs", [logs_actions.CreateLogStream, logs_actions.PutLogEvents], [group.get_att("Arn")]),
        *([decrypt_environment(inputs)] if environment else []),
        *statements,
    ]
    policy = t.add_resource(
        attach_policy(f"{subject}Policy", role, *always, description=f"What the function that {does} may do.")
    )
    if only_if:
        condition, more = only_if
        policy.PolicyDocument = If(condition, policy_document(*always, *more), policy_document(*always))
    optional: dict[str, Any] = {}
    if environment:
        optional = {"Environment": Environment(Variables=environment), "KmsKeyArn": inputs.logs.telemetry_key_arn}
    function = t.add_resource(
        Function(
            f"{subject}Function",
            Description=f"{does[0].upper()}{does[1:]}.",
            Runtime=RUNTIME,
            Architectures=[ARCHITECTURE],
            Handler="index.handler",
            Code=Code(S3Bucket=inputs.artifact_bucket, S3Key=code),
            Role=role.get_att("Arn"),
            MemorySize=size.memory,
            Timeout=size.timeout,
            LoggingConfig=LoggingConfig(
                LogGroup=group.ref(), LogFormat="JSON", ApplicationLogLevel="INFO", SystemLogLevel="WARN"
            ),
            RecursiveLoop="Terminate",
            DependsOn=[policy],
            **optional,
            **suppress(
                CKV_AWS_115="Lambda rejects reserved concurrency in new accounts, whose quota must stay unreserved "
                "(AWS Lambda Developer Guide, Lambda quotas). The functions have few callers, within the quota.",
                CKV_AWS_116=without_queue
                or "It has an on-failure destination, which unlike a dead-letter queue also receives the error "
                "(AWS Lambda Developer Guide, Capturing records of Lambda asynchronous invocations).",
                CKV_AWS_117="It calls APIs of AWS only and nothing in the VPC. In the VPC it would need more "
                "endpoints and could reach the database.",
            ),
        )
    )
    if retries is not None:
        add_retries(t, subject, function, retries, failures)
    return AddedFunction(function=function, log_group=group, role=role, policy=policy)


def decrypt_environment(inputs: FunctionInputs) -> Statement:
    """Allow the function to decrypt its environment.

    The variables contain names and addresses, no secrets. With a customer managed key CloudTrail records who reads
    them.
    """
    return allow("DecryptEnvironment", [kms_actions.Decrypt], [inputs.logs.telemetry_key_arn])


def add_retries(t: Template, subject: str, function: Function, retries: int, failures: Queue | Function | None) -> None:
    """Add the retries of asynchronous invocations and the destination of failures."""
    destination: dict[str, Any] = (
        {"DestinationConfig": DestinationConfig(OnFailure=OnFailure(Destination=failures.get_att("Arn")))}
        if failures
        else {}
    )
    t.add_resource(
        EventInvokeConfig(
            f"{subject}Retries",
            FunctionName=function.ref(),
            Qualifier="$LATEST",
            MaximumRetryAttempts=retries,
            MaximumEventAgeInSeconds=3600,
            **destination,
        )
    )


def invoke_permission(
    title: str, function: Function, principal: str, source: Topic | Rule | AWSHelperFn, **attributes: Any
) -> Permission:
    """Return the permission of a service to invoke a function for one source, whose ARN contains the account.

    EventBridge sends no SourceAccount. With that condition Lambda rejects the calls of a rule, and no error is visible
    (Amazon EventBridge User Guide, "Troubleshooting").
    """
    if isinstance(source, Topic):
        source_arn: AWSHelperFn = source.ref()
    else:
        source_arn = source.get_att("Arn") if isinstance(source, Rule) else source
    return Permission(
        title,
        FunctionName=function.get_att("Arn"),
        Action="lambda:InvokeFunction",
        Principal=f"{principal}.amazonaws.com",
        SourceArn=source_arn,
        **attributes,
    )


def event_target(function: Function, failures: Queue) -> Target:
    """Return the function as the target of a rule, with the queue of failures."""
    return Target(
        Id="function",
        Arn=function.get_att("Arn"),
        DeadLetterConfig=DeadLetterConfig(Arn=failures.get_att("Arn")),
    )


def kebab_case(subject: str) -> str:
    """Return ``slack-notifier`` for ``SlackNotifier``: the function's name for `deploy.py logs lambda`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", subject).lower()
