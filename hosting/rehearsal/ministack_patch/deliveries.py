"""Messages of alarms, and their way from SNS to Lambda: retries, destinations, failure queues, other regions."""

from __future__ import annotations

import json
import logging
import threading
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

from ministack.core.responses import get_account_id, get_region, new_uuid, request_scope
from ministack.services import cloudwatch, eventbridge, lambda_svc, sns

from hosting.rehearsal.ministack_patch.patching import set_attribute
from hosting.rehearsal.ministack_patch.registry import Properties, Provisioned, native_handlers, register

logger = logging.getLogger("rehearsal")

SUBSCRIPTION = "AWS::SNS::Subscription"


def install() -> None:
    """Replace deliveries of alarms, notifications and events, and subscribe to topics of other regions."""
    set_attribute(cloudwatch, "_dispatch_alarm_actions", publish_alarm)
    set_attribute(sns, "_deliver_to_lambda", deliver_to_lambda)
    route = lambda_svc._route_async_failure
    set_attribute(
        lambda_svc,
        "_route_async_failure",
        lambda target, name, event, result: route_failure(route, target, name, event, result),
    )
    set_attribute(eventbridge, "_dispatch_to_lambda", deliver_event)
    native = dict(native_handlers(SUBSCRIPTION))
    register(
        SUBSCRIPTION,
        create=lambda *given: subscribe(native["create"], *given),
        update=lambda *given: resubscribe(native["update"], *given),
        delete=lambda *given: unsubscribe(native["delete"], *given),
        replaces=("Endpoint", "Protocol", "TopicArn"),
    )


# --- Alarms


def publish_alarm(alarm: dict[str, Any], old_state: str, new_state: str, reason: str) -> None:
    """Publish the change of an alarm's state to the topics among its actions, as CloudWatch's document."""
    actions = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}
    if not alarm.get("ActionsEnabled", True) or new_state not in actions:
        return
    message = json.dumps(alarm_document(alarm, old_state, new_state, reason))
    subject = f'{new_state}: "{alarm["AlarmName"]}" in Asia Pacific (Tokyo)'[:100]
    for topic in alarm.get(actions[new_state]) or []:
        if ":sns:" in topic:
            sns._fanout(topic, new_uuid(), message, subject)


def alarm_document(alarm: dict[str, Any], old_state: str, new_state: str, reason: str) -> dict[str, Any]:
    """Return the message of an alarm. Names of dimensions and of statistics differ from the API's."""
    document = {
        "AlarmName": alarm["AlarmName"],
        "AlarmDescription": alarm.get("AlarmDescription") or None,
        "AWSAccountId": get_account_id(),
        "AlarmConfigurationUpdatedTimestamp": timestamp(),
        "NewStateValue": new_state,
        "NewStateReason": reason,
        "StateChangeTime": timestamp(),
        "Region": "Asia Pacific (Tokyo)",
        "AlarmArn": alarm["AlarmArn"],
        "OldStateValue": old_state,
        "OKActions": alarm.get("OKActions") or [],
        "AlarmActions": alarm.get("AlarmActions") or [],
        "InsufficientDataActions": alarm.get("InsufficientDataActions") or [],
    }
    if "AlarmRule" in alarm:
        return document | {"AlarmRule": alarm["AlarmRule"]}
    trigger = {
        "Period": alarm.get("Period"),
        "EvaluationPeriods": alarm.get("EvaluationPeriods"),
        "DatapointsToAlarm": alarm.get("DatapointsToAlarm"),
        "ComparisonOperator": alarm.get("ComparisonOperator"),
        "Threshold": alarm.get("Threshold"),
        "TreatMissingData": alarm.get("TreatMissingData", "missing"),
        "EvaluateLowSampleCountPercentile": "",
    }
    if alarm.get("Metrics"):
        trigger["Metrics"] = alarm["Metrics"]
    else:
        trigger |= {
            "MetricName": alarm.get("MetricName"),
            "Namespace": alarm.get("Namespace"),
            "StatisticType": "ExtendedStatistic" if alarm.get("ExtendedStatistic") else "Statistic",
            "Statistic": (alarm.get("Statistic") or "").upper() or alarm.get("ExtendedStatistic"),
            "Unit": alarm.get("Unit"),
            "Dimensions": [
                {"value": dimension["Value"], "name": dimension["Name"]} for dimension in alarm.get("Dimensions") or []
            ],
        }
    return document | {"Trigger": trigger}


def timestamp() -> str:
    """Return the present time in CloudWatch's form."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "+0000"


# --- SNS to Lambda


def deliver_to_lambda(
    endpoint: str,
    envelope: str,
    topic: str,
    subscription: str,
    message_id: str,  # noqa: ARG001 -- MiniStack's arguments
    message: str,  # noqa: ARG001
    attributes: dict[str, Any],  # noqa: ARG001
) -> None:
    """Invoke a function asynchronously. A message for a missing function is sent to the redrive queue."""
    record = {
        "EventVersion": "1.0",
        "EventSubscriptionArn": subscription,
        "EventSource": "aws:sns",
        "Sns": json.loads(envelope),
    }
    function, config, name = lambda_svc._get_func_record_for_ref(endpoint)
    if function and config:
        found = lambda_svc._execution_record_for_config(function, config)
        lambda_svc.invoke_async_with_retry(found, {"Records": [record]})
        return
    subscriptions = (sns._topic_by_arn_any_scope(topic) or {}).get("subscriptions", [])
    settings: dict[str, str] = next((one["attributes"] for one in subscriptions if one["arn"] == subscription), {})
    queue = json.loads(settings.get("RedrivePolicy") or "{}").get("deadLetterTargetArn", "")
    logger.warning("function %s does not exist, its message is sent to %s", name, queue or "nowhere")
    if queue:
        sns._deliver_to_sqs(queue, envelope, False, envelope, topic_arn=topic)


def route_failure(route: Any, target: str, name: str, event: dict[str, Any], result: dict[str, Any]) -> None:
    """Send a failed event to its destination. A function as destination has retries and a destination of its own."""
    if ":lambda:" not in target:
        route(target, name, event, result)
        return
    function, _, _ = lambda_svc._get_func_record_for_ref(target)
    if not function:
        logger.warning("destination %s of function %s does not exist", target, name)
        return
    body = result.get("body")
    document = {
        "version": "1.0",
        "timestamp": timestamp(),
        "requestContext": {
            "requestId": new_uuid(),
            "functionArn": f"{lambda_svc._functions[name]['config']['FunctionArn']}:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3,
        },
        "requestPayload": event,
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": body if isinstance(body, dict) else {},
    }
    threading.Thread(
        target=lambda_svc.invoke_async_with_retry, args=(function, document), daemon=True, name="on-failure"
    ).start()


def deliver_event(arn: str, payload: str) -> None:
    """Invoke the function of a rule asynchronously."""
    function, config, name = lambda_svc._get_func_record_for_ref(arn)
    if not function or not config:
        logger.warning("function %s of a rule does not exist", name)
        return
    lambda_svc.invoke_async_with_retry(lambda_svc._execution_record_for_config(function, config), json.loads(payload))


# --- Subscriptions


def subscribe(create: Any, logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    with topic_scope(properties):
        created: Provisioned = create(logical_id, properties, stack_name)
    return created


def resubscribe(
    update: Any, physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str
) -> Provisioned:
    with topic_scope(new):
        updated: Provisioned = update(physical_id, old, new, stack_name, logical_id)
    return updated


def unsubscribe(delete: Any, physical_id: str, properties: Properties) -> None:
    with request_scope(get_account_id(), physical_id.split(":")[3]):
        delete(physical_id, properties)


def topic_scope(properties: Properties) -> AbstractContextManager[None]:
    """Return the scope of a subscription's topic. Raise ValueError if SNS would not find the topic."""
    topic = str(properties.get("TopicArn", ""))
    region = properties.get("Region") or get_region()
    if sns._topics.get_scoped(get_account_id(), region, topic) is None:
        raise ValueError("Topic does not exist (Service: Sns, Status Code: 404)")
    scope: AbstractContextManager[None] = request_scope(get_account_id(), region)
    return scope
