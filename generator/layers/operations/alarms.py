"""Alarms on the resources that services share. The alarms of a service are in ``service.alarms``."""

from __future__ import annotations

from dataclasses import dataclass

from troposphere import Sub, Template
from troposphere.awslambda import Function
from troposphere.logs import MetricFilter, MetricTransformation
from troposphere.sqs import Queue

from generator import value_types as v
from generator.layers.operations.interface import Config, Inputs
from generator.resources.alarms import alarm
from generator.resources.bastion import RELAY_ENDED
from generator.resources.lambda_functions import kebab_case

# In the log of log_processor, once for each record that it cannot read. Firehose stores such a record under errors/ and
# does not report it: the invocation succeeded.
RECORD_REJECTED = "record rejected"


@dataclass(frozen=True)
class Functions:
    """Functions of the layer, and the topic that AWS Chatbot reads without them."""

    notifier: Function
    fallback: Function
    watch: Function
    fallback_topic: v.AlarmTopicArn


def add_alarms(t: Template, config: Config, inputs: Inputs, functions: Functions, failures: Queue) -> None:
    """Add all alarms on shared resources."""
    add_balancer_alarms(t, config, inputs)
    add_nat_alarms(t, inputs)
    if config.parts.database:
        add_database_alarms(t, config, inputs)
        add_relay_alarm(t, config, inputs)
    if config.parts.archive:
        add_archive_alarms(t, config, inputs)
    add_function_alarms(t, config, inputs, functions)
    add_queue_alarm(t, functions, failures)


def add_balancer_alarms(t: Template, config: Config, inputs: Inputs) -> None:
    """Add the alarms on errors, response times and non-compliant requests of the load balancer."""
    balancer = {"LoadBalancer": inputs.alb_full_name}
    t.add_resource(
        alarm(
            "BalancerErrorsAlarm",
            "alb-5xx",
            inputs.alarm_topic_arn,
            description="The load balancer itself returns errors. The cause is a missing healthy task or a timeout.",
            command="status",
            section="alb-5xx",
            namespace="AWS/ApplicationELB",
            metric="HTTPCode_ELB_5XX_Count",
            dimensions=balancer,
            statistic="Sum",
            threshold=config.alb_errors_per_minute,
            periods=3,
        )
    )
    t.add_resource(
        alarm(
            "SlowAnswersAlarm",
            "alb-slow",
            inputs.alarm_topic_arn,
            description="One response in a hundred is slow.",
            command="status",
            section="alb-slow",
            namespace="AWS/ApplicationELB",
            metric="TargetResponseTime",
            dimensions=balancer,
            statistic="p99",
            threshold=config.slow_seconds,
            periods=10,
            comparison="GreaterThanThreshold",
        )
    )
    t.add_resource(
        alarm(
            "NonCompliantRequestsAlarm",
            "alb-desync",
            inputs.alarm_topic_arn,
            description="The load balancer receives requests that do not comply with HTTP: an attempt to smuggle "
            "requests, or a client with errors. The field classification_reason of its access log has the reason.",
            command="logs waf --since 1h",
            section="alb-desync",
            namespace="AWS/ApplicationELB",
            metric="DesyncMitigationMode_NonCompliant_Request_Count",
            dimensions=balancer,
            statistic="Sum",
            threshold=config.non_compliant_in_5_minutes,
            period=300,
            periods=1,
        )
    )


def add_database_alarms(t: Template, config: Config, inputs: Inputs) -> None:
    """Add the alarms on CPU, capacity and replica lag of the database."""
    cluster = {"DBClusterIdentifier": inputs.db_cluster_id}
    t.add_resource(
        alarm(
            "DatabaseCpuAlarm",
            "database-cpu",
            inputs.alarm_topic_arn,
            description="CPU utilization of the database stays high.",
            command="logs db --since 1h",
            section="database-cpu",
            namespace="AWS/RDS",
            metric="CPUUtilization",
            dimensions=cluster,
            statistic="Maximum",
            threshold=config.database_cpu_percent,
            periods=10,
        )
    )
    t.add_resource(
        alarm(
            "DatabaseCapacityAlarm",
            "database-capacity",
            inputs.alarm_topic_arn,
            description="The database runs at its maximum capacity. Increase DbMaxCapacity.",
            command="logs db --since 1h",
            section="database-capacity",
            namespace="AWS/RDS",
            metric="ACUUtilization",
            dimensions=cluster,
            statistic="Maximum",
            threshold=95,
            periods=10,
        )
    )
    t.add_resource(
        alarm(
            "ReplicaLagAlarm",
            "database-replica-lag",
            inputs.alarm_topic_arn,
            description="The reader is more than a second behind the writer.",
            command="status",
            section="database-replica-lag",
            namespace="AWS/RDS",
            metric="AuroraReplicaLagMaximum",
            dimensions=cluster,
            statistic="Maximum",
            threshold=1000,
            Condition="HasReader",
        )
    )


def add_nat_alarms(t: Template, inputs: Inputs) -> None:
    """Add an alarm on exhausted ports for each NAT gateway."""
    for number, nat in enumerate(inputs.nat_gateways.ids, start=1):
        t.add_resource(
            alarm(
                f"NatPorts{number}Alarm",
                f"nat-{number}-ports",
                inputs.alarm_topic_arn,
                description="The NAT gateway has no free ports. Connections to one destination fail.",
                command="status",
                section="nat-ports",
                namespace="AWS/NATGateway",
                metric="ErrorPortAllocation",
                dimensions={"NatGatewayId": nat},
                statistic="Sum",
                threshold=1,
            )
        )


def add_archive_alarms(t: Template, config: Config, inputs: Inputs) -> None:
    """Add the alarms on late deliveries to the archive and on rejected records, with their metric."""
    t.add_resource(
        alarm(
            "ArchiveDelayAlarm",
            "archive-delay",
            inputs.alarm_topic_arn,
            description="Firehose delivers logs to the archive late. It discards records after one day.",
            command="status",
            section="archive-delay",
            namespace="AWS/Firehose",
            metric="DeliveryToS3.DataFreshness",
            dimensions={"DeliveryStreamName": inputs.archive_stream_name},
            statistic="Maximum",
            threshold=config.archive_delay_seconds,
            period=300,
            periods=3,
        )
    )
    namespace, metric = Sub("${Prefix}/Archive"), "RejectedRecords"
    t.add_resource(
        MetricFilter(
            "RejectedRecordsFilter",
            LogGroupName=inputs.log_processor_log_group_name,
            FilterPattern=f'"{RECORD_REJECTED}"',
            MetricTransformations=[MetricTransformation(MetricNamespace=namespace, MetricName=metric, MetricValue="1")],
        )
    )
    t.add_resource(
        alarm(
            "RejectedRecordsAlarm",
            "archive-rejected",
            inputs.alarm_topic_arn,
            description="Function LogProcessor cannot read log records. The archive bucket has them unredacted under "
            "errors/, where they expire.",
            command="logs lambda log-processor --since 3h",
            section="archive-rejected",
            namespace=namespace,
            metric=metric,
            dimensions={},
            statistic="Sum",
            threshold=1,
            period=300,
            periods=1,
        )
    )


def add_function_alarms(t: Template, config: Config, inputs: Inputs, functions: Functions) -> None:
    """Add an alarm on errors for each Lambda function.

    The alarms on the functions that notify bypass them: AWS Chatbot reads the fallback topic itself.
    """
    processor = ("LogProcessor", inputs.log_processor_name, inputs.alarm_topic_arn)
    for subject, name, topic in (
        *([processor] if config.parts.archive else []),
        ("SiteContent", inputs.site_content_function_name, inputs.alarm_topic_arn),
        ("CredentialsWatch", functions.watch.ref(), inputs.alarm_topic_arn),
        ("SlackNotifier", functions.notifier.ref(), functions.fallback_topic),
        ("AlarmFallback", functions.fallback.ref(), functions.fallback_topic),
    ):
        t.add_resource(
            alarm(
                f"{subject}ErrorsAlarm",
                f"function-{subject.lower()}-errors",
                topic,
                description=f"Function {subject} failed. Its log group contains the reason.",
                command=f"logs lambda {kebab_case(subject)} --since 3h",
                section="function-errors",
                namespace="AWS/Lambda",
                metric="Errors",
                dimensions={"FunctionName": name},
                statistic="Sum",
                threshold=1,
                period=300,
                periods=1,
            )
        )


def add_queue_alarm(t: Template, functions: Functions, failures: Queue) -> None:
    """Add the alarm on messages in the failure queue. It bypasses the functions that notify."""
    t.add_resource(
        alarm(
            "FailuresAlarm",
            "failures",
            functions.fallback_topic,
            description="The delivery of a notification or event failed. The failure queue contains it.",
            command="logs lambda slack-notifier --since 3h",
            section="notices",
            namespace="AWS/SQS",
            metric="ApproximateNumberOfMessagesVisible",
            dimensions={"QueueName": failures.get_att("QueueName")},
            statistic="Maximum",
            threshold=1,
            period=300,
            periods=1,
        )
    )


def add_relay_alarm(t: Template, config: Config, inputs: Inputs) -> None:
    """Add the metric and the alarm on relays that end repeatedly.

    The bastion is not an essential container, so ECS reports nothing about it. The name of a log stream begins with the
    service.
    """
    namespace, metric = Sub("${Prefix}/Bastion"), "RelayEnded"
    t.add_resource(
        MetricFilter(
            "RelayEndedFilter",
            LogGroupName=inputs.bastion_log_group_name,
            FilterPattern=f'"{RELAY_ENDED}"',
            MetricTransformations=[MetricTransformation(MetricNamespace=namespace, MetricName=metric, MetricValue="1")],
        )
    )
    t.add_resource(
        alarm(
            "RelayAlarm",
            "bastion-relay",
            inputs.alarm_topic_arn,
            description="The relay of a bastion ends repeatedly, so tunnels fail. The bastions' log names the service.",
            command="logs bastion --since 1h",
            section="bastion-relay",
            namespace=namespace,
            metric=metric,
            dimensions={},
            statistic="Sum",
            threshold=config.relay_ends_per_5_minutes,
            period=300,
            periods=1,
        )
    )
