"""Functions: the Lambda functions of the project, with what invokes them, their permissions, alarms and failures.

Root nests this template only if workloads.py declares a function.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from awacs import kms as kms_actions
from awacs import secretsmanager as secretsmanager_actions
from awacs import sqs as sqs_actions
from awacs.aws import Action, Statement
from troposphere import Sub, Template
from troposphere.awslambda import EventSourceMapping
from troposphere.events import Rule
from troposphere.sqs import Queue

from generator import value_types as v
from generator.interfaces import LogArchive
from generator.platform_parts import COMPLETE, Parts
from generator.resources import iam
from generator.resources.alarms import alarm
from generator.resources.lambda_functions import (
    AddedFunction,
    FunctionInputs,
    Size,
    add_function,
    event_target,
    invoke_permission,
    kebab_case,
)
from generator.resources.logs import add_archive_filter
from generator.resources.queues import add_failure_queue, failure_queue_policy
from generator.wiring import FrozenConfig, Layer, StackInterface, StackValue
from generator.workloads import Function, RootParameter
from generator.workloads import Queue as QueueStore
from generator.workloads.stores import logical_id


class Config(FrozenConfig):
    """Configuration of the functions."""

    parts: Parts = COMPLETE


class Inputs(FunctionInputs):
    """Parameters of the nested stack, with the key of the code and the values of each function."""

    environment: v.EnvironmentName
    alarm_topic_arn: v.AlarmTopicArn
    data_key_arn: v.DataKeyArn
    log_archive: LogArchive


class Outputs(StackInterface):
    """The nested stack has no outputs."""


def build(functions: tuple[Function, ...], t: Template, config: Config, inputs: Inputs) -> Outputs:
    """Add the functions, and a queue of events whose invocations failed."""
    failures = add_failed_events(t, inputs)
    for entry in functions:
        added = add_own_function(t, entry, inputs, failures)
        if config.parts.archive:
            add_archive_filter(t, entry.name, added.log_group, inputs.log_archive)
        if entry.queue:
            add_queue_source(t, entry, inputs, added)
        else:
            add_rule(t, entry, added, failures)
        add_error_alarm(t, entry, inputs, added)
    return Outputs()


def add_failed_events(t: Template, inputs: Inputs) -> Queue:
    """Add the queue of events whose invocations failed, with its alarm."""
    failures = add_failure_queue(t, "FailedEventsQueue", inputs.logs.telemetry_key_arn)
    t.add_resource(failure_queue_policy(failures))
    t.add_resource(
        alarm(
            "FailedEventsAlarm",
            "functions-failed-events",
            inputs.alarm_topic_arn,
            description="A function failed three times for an event, which is kept in the queue FailedEventsQueue.",
            command="events --since 3h",
            section="failed-events",
            namespace="AWS/SQS",
            metric="ApproximateNumberOfMessagesVisible",
            dimensions={"QueueName": failures.get_att("QueueName")},
            statistic="Maximum",
            threshold=1,
            period=300,
            periods=1,
        )
    )
    return failures


def add_own_function(t: Template, entry: Function, inputs: Inputs, failures: Queue) -> AddedFunction:
    """Add a function with its role and log group."""
    values = {name: value_of(value, inputs) for name, value in entry.variables.items()}
    values |= {name: value_of(secret.arn, inputs) for name, secret in entry.secrets.items()}
    delivery: dict[str, Any] = {"retries": 2, "failures": failures}
    if entry.queue:
        delivery = {"without_queue": "A message that fails stays in its own queue, whose redrive policy moves it."}
    return add_function(
        t,
        entry.name,
        inputs,
        does=f"is {entry.folder} of the project",
        code=code_key(inputs, entry),
        size=Size(memory=entry.memory, timeout=entry.timeout),
        statements=[
            *read_secrets(entry, inputs),
            *own_actions(entry),
            *(receive_messages(entry, inputs) if entry.queue else send_failures(inputs, failures)),
        ],
        environment=values or None,
        **delivery,
    )


def send_failures(inputs: Inputs, failures: Queue) -> list[Statement]:
    """Return the permissions to keep an event whose invocations failed."""
    return [
        iam.allow("SendFailures", [sqs_actions.SendMessage], [failures.get_att("Arn")]),
        iam.allow(
            "EncryptMessages", [kms_actions.Decrypt, kms_actions.GenerateDataKey], [inputs.logs.telemetry_key_arn]
        ),
    ]


def receive_messages(entry: Function, inputs: Inputs) -> list[Statement]:
    """Return the permissions of Lambda to take messages from the queue of a function."""
    actions = [sqs_actions.ReceiveMessage, sqs_actions.DeleteMessage, sqs_actions.GetQueueAttributes]
    statements = [iam.allow("ReceiveMessages", actions, [queue_arn(entry, inputs)])]
    if entry.own_queue:
        statements.append(iam.allow("DecryptMessages", [kms_actions.Decrypt], [inputs.data_key_arn]))
    return statements


def queue_arn(entry: Function, inputs: Inputs) -> Any:
    """Return the ARN of the queue of a function: of one in STORES, or of an existing one."""
    if entry.own_queue:
        return getattr(inputs, queue_output(entry))
    return value_of(entry.queue, inputs)


def queue_output(entry: Function) -> str:
    """Return the name of the output of the layer ``stores`` with the ARN of the function's queue."""
    return f"{logical_id(QueueStore, entry.own_queue)}Arn"


def read_secrets(entry: Function, inputs: Inputs) -> list[Statement]:
    """Return the permissions to read the secrets of a function, and to decrypt them with a key of the user."""
    if not entry.secrets:
        return []
    arns = [value_of(secret.arn, inputs) for secret in entry.secrets.values()]
    keys = sorted({secret.kms_key_arn for secret in entry.secrets.values() if secret.kms_key_arn})
    return [
        iam.allow("ReadSecrets", [secretsmanager_actions.GetSecretValue], arns),
        *([iam.allow("DecryptSecrets", [kms_actions.Decrypt], keys)] if keys else []),
    ]


def own_actions(entry: Function) -> list[Statement]:
    """Return the permissions that the project declares. ARNs may contain pseudo parameters and ${Prefix}."""
    return [
        iam.allow(
            f"Own{number}",
            [Action(*action.split(":"))],
            [Sub(one) if "${" in one else one for one in resources],
        )
        for number, (action, resources) in enumerate(entry.allow.items(), start=1)
    ]


def add_queue_source(t: Template, entry: Function, inputs: Inputs, added: AddedFunction) -> None:
    """Add the source from which Lambda takes messages. The function may report single messages as failed."""
    t.add_resource(
        EventSourceMapping(
            f"{entry.name}Source",
            EventSourceArn=queue_arn(entry, inputs),
            FunctionName=added.function.ref(),
            BatchSize=10,
            FunctionResponseTypes=["ReportBatchItemFailures"],
            DependsOn=[added.policy],
        )
    )


def add_rule(t: Template, entry: Function, added: AddedFunction, failures: Queue) -> None:
    """Add the rule that invokes a function at the times of its schedule, or for its events."""
    trigger: dict[str, Any] = (
        {"ScheduleExpression": entry.schedule} if entry.schedule else {"EventPattern": dict(entry.event)}
    )
    rule = t.add_resource(
        Rule(
            f"{entry.name}Rule",
            Description=f"Invokes {entry.folder}",
            State="ENABLED",
            Targets=[event_target(added.function, failures)],
            **trigger,
        )
    )
    t.add_resource(invoke_permission(f"{entry.name}Permission", added.function, "events", rule))


def add_error_alarm(t: Template, entry: Function, inputs: Inputs, added: AddedFunction) -> None:
    """Add the alarm on failed invocations of a function."""
    t.add_resource(
        alarm(
            f"{entry.name}ErrorsAlarm",
            f"function-{kebab_case(entry.name)}-errors",
            inputs.alarm_topic_arn,
            description="Invocations of a function of the project fail.",
            command=f"logs lambda {kebab_case(entry.name)} --since 3h",
            section="function-errors",
            workload=entry.slug,
            namespace="AWS/Lambda",
            metric="Errors",
            dimensions={"FunctionName": added.function.ref()},
            statistic="Sum",
            threshold=1,
            period=300,
            periods=1,
        )
    )


def code_key(inputs: Inputs, entry: Function) -> v.OwnCodeKey:
    """Return the key of the package of a function."""
    value: v.OwnCodeKey = getattr(inputs, code_field(entry))
    return value


def value_of(value: object, inputs: Inputs) -> Any:
    """Return a constant, or the value that the environment sets."""
    return getattr(inputs, value.name) if isinstance(value, RootParameter) else value


def code_field(entry: Function) -> str:
    """Return the name of the input with the key of a function's package."""
    return f"{entry.name}CodeKey"


def inputs_of(functions: tuple[Function, ...]) -> type[Inputs]:
    """Return the inputs: those of every project, and the key and the values of each function."""
    own: dict[str, type[StackValue]] = {code_field(entry): v.OwnCodeKey for entry in functions}
    own |= {one.name: v.EnvironmentValue for entry in functions for one in entry.root_parameters}
    own |= {queue_output(entry): v.StoreArn for entry in functions if entry.own_queue}
    return type("Inputs", (Inputs,), {"__annotations__": own, "__module__": __name__})


def layer_of(functions: tuple[Function, ...]) -> Layer[Config, Inputs, Outputs] | None:
    """Return the layer of these functions, or None if there are none."""
    if not functions:
        return None
    return Layer(
        "Functions",
        "Functions: the Lambda functions of the project.",
        inputs_of(functions),
        Outputs,
        partial(build, functions),
    )
