"""Operations: alarms, dashboard, Slack, budget, and the functions that handle events.

No layer uses an output of this one, except the name of the dashboard in root. The alarms of a service are in the layer
``service``. The alarms on CloudFront and WAF are in the stack ``edge-monitoring``, because their metrics exist only in
us-east-1.

Notifications take one of two paths. Alarms are sent to the alarm topic, which Slack can read. ECS and RDS events,
budgets and errors in logs are sent to the notifier, which converts them to Slack's format and publishes them to the
chat topic.
"""

from troposphere import And, Equals, Not, Template

from generator import value_types as v
from generator.layers.operations.alarms import add_alarms
from generator.layers.operations.credentials_watch import add_credentials_watch
from generator.layers.operations.dashboard import dashboard
from generator.layers.operations.failure_queue import add_failure_queue, failure_queue_policy
from generator.layers.operations.interface import Config, Inputs, Outputs
from generator.layers.operations.log_subscriptions import add_archive_filters, add_error_filters
from generator.layers.operations.notifications import add_event_rules, add_notifier
from generator.layers.operations.slack import add_slack, budget
from generator.resources.sns import add_topic, allow_budget_publishing
from generator.wiring import Layer

__all__ = ["LAYER", "Config", "Inputs", "Outputs", "build"]


def build(t: Template, config: Config, inputs: Inputs) -> Outputs:
    """Add topics, queue, functions, subscriptions, Slack, budget, alarms and the dashboard."""
    add_conditions(t, inputs)
    failures = add_failure_queue(t, config, inputs)
    notices = add_topic(t, "NoticeTopic", "notices", inputs.logs.telemetry_key_arn, allow_budget_publishing)
    chat = add_topic(t, "ChatTopic", "chat", inputs.logs.telemetry_key_arn)
    t.add_resource(failure_queue_policy(failures, notices))
    notifier = add_notifier(t, config, inputs, notices, chat, failures)
    add_event_rules(t, inputs, notifier, failures)
    add_error_filters(t, inputs, notifier)
    add_archive_filters(t, inputs)
    watch = add_credentials_watch(t, config, inputs, failures)
    add_slack(t, inputs, chat)
    t.add_resource(budget(config, inputs, notices))
    add_alarms(t, config, inputs, notifier, watch, failures)
    environment_dashboard = t.add_resource(dashboard())
    return Outputs(dashboard_name=v.DashboardName(environment_dashboard.ref()))


def add_conditions(t: Template, inputs: Inputs) -> None:
    t.add_condition(
        "HasSlack", And(Not(Equals(inputs.slack_workspace_id, "")), Not(Equals(inputs.slack_channel_id, "")))
    )
    t.add_condition("HasBudget", Not(Equals(inputs.monthly_budget, "0")))
    t.add_condition("HasReader", Equals(inputs.db_reader, "true"))


LAYER = Layer("Operations", "Operations: alarms, dashboard, Slack, functions for events.", Inputs, Outputs, build)
