"""Logs, alarms, Slack notifications and budgets: types that MiniStack refuses, properties that it drops."""
# Handlers take the arguments that MiniStack passes, needed or not.
# ruff: noqa: ARG001

from __future__ import annotations

import base64
import gzip
import json
import logging
import re
import threading
import time
import uuid
from typing import Any

from ministack.core.responses import AccountScopedDict, get_account_id, get_region, request_scope
from ministack.services import budgets, cloudwatch, cloudwatch_logs, firehose, sns
from ministack.services.cloudformation import provisioners

from hosting.rehearsal.ministack_patch import shapes
from hosting.rehearsal.ministack_patch.api import Proceed, operation
from hosting.rehearsal.ministack_patch.patching import set_attribute
from hosting.rehearsal.ministack_patch.registry import (
    Properties,
    Provisioned,
    as_bool,
    checked,
    physical_name,
    register,
    tag_list,
    without,
)

logger = logging.getLogger("rehearsal")

_slack = AccountScopedDict()


def install() -> None:
    """Register the types of log deliveries, composite alarms, budgets and Slack channels."""
    for kind, create, delete, replaces in (
        ("DeliverySource", create_source, delete_source, ("Name",)),
        ("DeliveryDestination", create_destination, delete_destination, ("Name", "DestinationResourceArn")),
        ("Delivery", create_delivery, delete_delivery, ("DeliveryDestinationArn", "DeliverySourceName")),
    ):
        register(f"AWS::Logs::{kind}", create=create, update=update_by_create(create), delete=delete, replaces=replaces)
    register(
        "AWS::CloudWatch::CompositeAlarm",
        create=create_composite,
        update=update_composite,
        delete=delete_composite,
        replaces=("AlarmName",),
    )
    native = provisioners._cw_metric_alarm_record
    set_attribute(
        provisioners, "_cw_metric_alarm_record", lambda name, properties: alarm_record(native, name, properties)
    )
    register(
        "AWS::Budgets::Budget",
        create=create_budget,
        update=update_budget,
        delete=delete_budget,
        replaces=("NotificationsWithSubscribers",),
    )
    register(
        "AWS::Chatbot::SlackChannelConfiguration",
        create=create_slack,
        update=update_slack,
        delete=delete_slack,
        replaces=("ConfigurationName", "SlackWorkspaceId"),
    )
    fan_out = cloudwatch_logs._fanout_to_subscription_filters

    def deliver_to_all(group: str, stream: str, events: list[dict[str, Any]]) -> None:
        fan_out(group, stream, events)
        deliver_to_firehose(group, stream, events)

    set_attribute(cloudwatch_logs, "_fanout_to_subscription_filters", deliver_to_all)
    filter_events = cloudwatch_logs._filter_log_events
    set_attribute(
        cloudwatch_logs, "_filter_log_events", lambda request: filter_events(select_streams_by_prefix(request))
    )


def select_streams_by_prefix(request: dict[str, Any]) -> dict[str, Any]:
    """Replace logStreamNamePrefix of FilterLogEvents, which MiniStack ignores, by the names of the streams."""
    prefix, group = request.get("logStreamNamePrefix"), cloudwatch_logs._log_groups.get(request.get("logGroupName", ""))
    if not prefix or not group:
        return request
    # A name that no stream has, because an empty list would mean every stream.
    streams = [name for name in group["streams"] if name.startswith(prefix)] or [prefix]
    return {**request, "logStreamNames": streams}


def update_by_create(create: Any) -> Any:
    """Return an update handler that calls the create handler, for operations that overwrite."""

    def update(physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str) -> Provisioned:
        result: Provisioned = create(logical_id, new, stack_name)
        return result

    return update


# --- Vended log deliveries ----------------------------------------------------------------------------------


def create_source(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    request = shapes.request("logs", "PutDeliverySource", without(properties, ["Tags"]))
    source = checked(cloudwatch_logs._put_delivery_source(request), "PutDeliverySource")["deliverySource"]
    return source["name"], {
        "Arn": source["arn"],
        "Service": source["service"],
        "ResourceArns": source["resourceArns"],
        "DeliverySourceName": source["name"],
    }


def delete_source(physical_id: str, properties: Properties) -> None:
    cloudwatch_logs._delivery_sources.pop(physical_id, None)


def create_destination(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    request = shapes.request("logs", "PutDeliveryDestination", without(properties, ["Tags"]))
    request["deliveryDestinationConfiguration"] = {"destinationResourceArn": properties["DestinationResourceArn"]}
    reply = checked(cloudwatch_logs._put_delivery_destination(request), "PutDeliveryDestination")
    destination = reply["deliveryDestination"]
    return destination["name"], {
        "Arn": destination["arn"],
        "DeliveryDestinationType": destination["deliveryDestinationType"],
    }


def delete_destination(physical_id: str, properties: Properties) -> None:
    cloudwatch_logs._delivery_destinations.pop(physical_id, None)


def create_delivery(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    """Create a delivery, or update the one with the same source and destination."""
    request = shapes.request("logs", "CreateDelivery", without(properties, ["Tags"]))
    for identifier, delivery in cloudwatch_logs._deliveries.items():
        same = (delivery["deliverySourceName"], delivery["deliveryDestinationArn"])
        if same == (request["deliverySourceName"], request["deliveryDestinationArn"]):
            delivery |= request
            return identifier, delivery_attributes(delivery)
    delivery = checked(cloudwatch_logs._create_delivery(request), "CreateDelivery")["delivery"]
    cloudwatch_logs._deliveries[delivery["id"]] |= {name: request[name] for name in request if name not in delivery}
    return delivery["id"], delivery_attributes(delivery)


def delivery_attributes(delivery: dict[str, Any]) -> dict[str, Any]:
    return {
        "Arn": delivery["arn"],
        "DeliveryId": delivery["id"],
        "DeliveryDestinationType": delivery.get("deliveryDestinationType", ""),
    }


def delete_delivery(physical_id: str, properties: Properties) -> None:
    cloudwatch_logs._deliveries.pop(physical_id, None)


# --- Subscriptions to Firehose ------------------------------------------------------------------------------


def deliver_to_firehose(group: str, stream: str, events: list[dict[str, Any]]) -> None:
    """Deliver log events to subscription filters of delivery streams; MiniStack calls only Lambda functions."""
    filters = (cloudwatch_logs._log_groups.get(group) or {}).get("subscriptionFilters") or {}
    for subscription in filters.values():
        name = str(subscription.get("destinationArn", "")).partition(":deliverystream/")[2]
        if not name or name not in firehose._streams:
            continue
        matched = [
            event
            for event in events
            if cloudwatch_logs._subscription_pattern_matches(subscription["filterPattern"], event["message"])
        ]
        if matched:
            put_record(name, subscription_payload(group, stream, subscription["filterName"], matched))


def subscription_payload(group: str, stream: str, name: str, events: list[dict[str, Any]]) -> bytes:
    """Return log events in the compressed form that CloudWatch Logs delivers."""
    now = int(time.time() * 1000)
    payload = {
        "messageType": "DATA_MESSAGE",
        "owner": get_account_id(),
        "logGroup": group,
        "logStream": stream,
        "subscriptionFilters": [name],
        "logEvents": [
            {"id": uuid.uuid4().hex, "timestamp": event.get("timestamp", now), "message": event["message"]}
            for event in events
        ],
    }
    return gzip.compress(json.dumps(payload).encode())


def put_record(stream: str, data: bytes) -> None:
    """Put a record into a delivery stream, in a thread of its own.

    The stream's transformation calls a Lambda function, whose logs may be delivered again.
    """
    account, region = get_account_id(), get_region()
    request = {"DeliveryStreamName": stream, "Record": {"Data": base64.b64encode(data).decode()}}

    def put() -> None:
        with request_scope(account, region):
            reply = firehose._put_record(request)
            if reply[0] >= 400:
                logger.warning("delivery of a subscription to %s failed: %s", stream, reply[2])

    threading.Thread(target=put, daemon=True, name="subscription-to-firehose").start()


# --- Alarms -------------------------------------------------------------------------------------------------


def alarm_record(record: Any, name: str, properties: Properties) -> dict[str, Any]:
    """Return MiniStack's record of an alarm; with metric math, the queries in the form of the API."""
    typed = dict(properties)
    if "ActionsEnabled" in typed:
        typed["ActionsEnabled"] = as_bool(typed["ActionsEnabled"])
    if not properties.get("Metrics"):
        plain: dict[str, Any] = record(name, typed)
        return plain | (
            {"ThresholdMetricId": properties["ThresholdMetricId"]} if "ThresholdMetricId" in properties else {}
        )
    stand_in = {"MetricName": "metric math", "Namespace": "metric math", "Threshold": 0.0}
    alarm: dict[str, Any] = record(name, {**stand_in, **without(typed, ["Metrics"])})
    for member in ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Unit"):
        alarm.pop(member, None)
    alarm.pop("Period", None)
    alarm["Dimensions"] = []
    alarm["Metrics"] = shapes.structure("cloudwatch", "MetricDataQueries", properties["Metrics"])
    if "ThresholdMetricId" in properties:
        alarm["ThresholdMetricId"] = properties["ThresholdMetricId"]
    if "Threshold" not in properties:
        alarm.pop("Threshold", None)
    return alarm


def create_composite(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    name = properties.get("AlarmName") or physical_name(stack_name, logical_id, 255)
    return put_composite(name, properties)


def put_composite(name: str, properties: Properties) -> Provisioned:
    request = shapes.request("cloudwatch", "PutCompositeAlarm", {**without(properties, ["Tags"]), "AlarmName": name})
    checked(cloudwatch._put_composite_alarm({}, request, False, True), "PutCompositeAlarm")
    alarm = cloudwatch._composite_alarms[name]
    alarm |= {key: value for key, value in request.items() if key not in alarm}
    cloudwatch._resource_tags[alarm["AlarmArn"]] = {
        tag["Key"]: tag["Value"] for tag in tag_list(properties.get("Tags"))
    }
    return name, {"Arn": alarm["AlarmArn"]}


def update_composite(
    physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str
) -> Provisioned:
    return put_composite(physical_id, new)


def delete_composite(physical_id: str, properties: Properties) -> None:
    cloudwatch._composite_alarms.pop(physical_id, None)
    cloudwatch._composite_triggers.pop(physical_id, None)


# --- Budgets ------------------------------------------------------------------------------------------------


def create_budget(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    """Create a budget with its notifications."""
    given = dict(properties["Budget"])
    given.setdefault("BudgetName", physical_name(stack_name, logical_id, 100))
    budget = shapes.structure("budgets", "Budget", given)
    # In templates an amount is a number, in the API a string; and templates filter costs by plain maps.
    if "BudgetLimit" in budget:
        budget["BudgetLimit"]["Amount"] = str(given["BudgetLimit"]["Amount"])
    request = {
        "AccountId": get_account_id(),
        "Budget": budget,
        "NotificationsWithSubscribers": shapes.structure(
            "budgets", "NotificationWithSubscribersList", properties.get("NotificationsWithSubscribers") or []
        ),
    }
    checked(budgets._create_budget(request), "CreateBudget")
    return budget["BudgetName"], {}


def update_budget(physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str) -> Provisioned:
    delete_budget(physical_id, old)
    given = {**new, "Budget": {"BudgetName": physical_id, **new["Budget"]}}
    return create_budget(logical_id, given, stack_name)


def delete_budget(physical_id: str, properties: Properties) -> None:
    budgets._delete_budget({"AccountId": get_account_id(), "BudgetName": physical_id})


# --- Chat ---------------------------------------------------------------------------------------------------


def create_slack(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    name = properties["ConfigurationName"]
    arn = f"arn:aws:chatbot::{get_account_id()}:chat-configuration/slack-channel/{name}"
    if any(topic not in sns._topics for topic in properties.get("SnsTopicArns") or [] if get_region() in topic):
        raise ValueError(f"A topic of the Slack configuration {name} does not exist: {properties['SnsTopicArns']}")
    if not re.fullmatch(r"arn:[^:]+:iam::\d{12}:role/.+", properties["IamRoleArn"]):
        raise ValueError(f"IamRoleArn of the Slack configuration {name} is not a role: {properties['IamRoleArn']}")
    _slack[arn] = properties
    return arn, {"Arn": arn}


def update_slack(physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str) -> Provisioned:
    return create_slack(logical_id, new, stack_name)


def delete_slack(physical_id: str, properties: Properties) -> None:
    _slack.pop(physical_id, None)


@operation("chatbot:POST /describe-slack-channel-configurations")
def describe_slack(parameters: dict[str, Any], proceed: Proceed) -> dict[str, Any]:
    """Answer DescribeSlackChannelConfigurations."""
    wanted = parameters.get("ChatConfigurationArn")
    return {
        "SlackChannelConfigurations": [
            {
                "SlackTeamName": "rehearsal",
                "SlackTeamId": properties["SlackWorkspaceId"],
                "SlackChannelId": properties["SlackChannelId"],
                "SlackChannelName": "rehearsal",
                "ChatConfigurationArn": arn,
                "IamRoleArn": properties["IamRoleArn"],
                "SnsTopicArns": properties.get("SnsTopicArns") or [],
                "ConfigurationName": properties["ConfigurationName"],
                "LoggingLevel": properties.get("LoggingLevel", "NONE"),
                "GuardrailPolicyArns": properties.get("GuardrailPolicies") or [],
                "UserAuthorizationRequired": as_bool(properties.get("UserRoleRequired", False)),
            }
            for arn, properties in _slack.items()
            if not wanted or arn == wanted
        ]
    }
