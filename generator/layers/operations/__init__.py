"""Operations: alarms, dashboard, Slack, budget, and the functions that handle events.

No layer uses an output of this one, except the name of the dashboard in root. The alarms of a service are in the layer
``service``. The alarms on CloudFront and WAF are in the stack ``edge-monitoring``, because their metrics exist only in
us-east-1.

Alarms, budgets, events of AWS services and errors in logs are sent to the notifier, which writes its own texts and
publishes them to the chat topic. After its last retry the fallback publishes an alarm unchanged to the fallback topic,
which AWS Chatbot can read without the notifier. The failure queue keeps everything else that failed. The alarms on
these functions and on the queue use the fallback topic.
"""

from troposphere import And, Equals, Not, Template

from generator import value_types as v
from generator.layers.operations.alarms import Functions, add_alarms
from generator.layers.operations.credentials_watch import add_credentials_watch
from generator.layers.operations.dashboard import dashboard
from generator.layers.operations.interface import Config, Inputs, Outputs
from generator.layers.operations.log_subscriptions import add_archive_filters, add_error_filters
from generator.layers.operations.notifications import add_event_rules, add_fallback, add_notifier, add_subscriptions
from generator.layers.operations.slack import add_slack, budget
from generator.resources.queues import add_failure_queue, failure_queue_policy
from generator.resources.sns import add_topic, allow_alarm_publishing, allow_budget_publishing
from generator.wiring import Layer

__all__ = ["LAYER", "Config", "Inputs", "Outputs", "build"]


def build(t: Template, config: Config, inputs: Inputs) -> Outputs:
    """Add topics, queue, functions, subscriptions, Slack, budget, alarms and the dashboard."""
    add_conditions(t, config, inputs)
    key = inputs.logs.telemetry_key_arn
    failures = add_failure_queue(t, "FailureQueue", key)
    notices = add_topic(t, "NoticeTopic", "notices", key, allow_budget_publishing)
    chat = add_topic(t, "ChatTopic", "chat", key)
    fallback_topic = add_topic(t, "FallbackTopic", "fallback", key, allow_alarm_publishing)
    t.add_resource(failure_queue_policy(failures, Notices=notices.ref(), Alarms=inputs.alarm_topic_arn))
    fallback = add_fallback(t, config, inputs, fallback_topic, failures)
    notifier = add_notifier(t, config, inputs, chat, fallback)
    add_subscriptions(t, inputs, notifier, notices, failures)
    add_event_rules(t, config, inputs, notifier, failures)
    if config.parts.archive:
        add_error_filters(t, inputs, notifier)
        add_archive_filters(t, config, inputs)
    watch = add_credentials_watch(t, config, inputs, failures)
    add_slack(t, inputs, chat, fallback_topic)
    t.add_resource(budget(config, inputs, notices))
    functions = Functions(notifier, fallback, watch, v.AlarmTopicArn(fallback_topic.ref()))
    add_alarms(t, config, inputs, functions, failures)
    environment_dashboard = t.add_resource(dashboard(config))
    return Outputs(dashboard_name=v.DashboardName(environment_dashboard.ref()))


def add_conditions(t: Template, config: Config, inputs: Inputs) -> None:
    t.add_condition(
        "HasSlack", And(Not(Equals(inputs.slack_workspace_id, "")), Not(Equals(inputs.slack_channel_id, "")))
    )
    t.add_condition("HasBudget", Not(Equals(inputs.monthly_budget, "0")))
    if config.parts.database:
        t.add_condition("HasReader", Equals(inputs.db_reader, "true"))


LAYER = Layer("Operations", "Operations: alarms, dashboard, Slack, functions for events.", Inputs, Outputs, build)
