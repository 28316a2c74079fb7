"""Events that exist only in us-east-1, sent to the edge's alarm topic: certificate of the site, AWS Health."""

from troposphere import Template
from troposphere.events import DeadLetterConfig, Rule, Target
from troposphere.kms import Key
from troposphere.sns import Topic

from generator import parameter_specs as shared
from generator import value_types as v
from generator.resources.alarms import alarm
from generator.resources.events import ACCOUNT_HEALTH_EVENTS, certificate_events
from generator.resources.queues import add_failure_queue, failure_queue_policy


def add_event_rules(t: Template, topic: Topic, certificate: v.ViewerCertificateArn, key: Key) -> None:
    """Add the rules for events that exist only in us-east-1: of the viewer certificate, and of global services.

    A queue with an alarm keeps the events that cannot be delivered.
    """
    failures = add_failure_queue(t, "EdgeFailureQueue", key.get_att("Arn"))
    t.add_resource(failure_queue_policy(failures))
    t.add_resource(
        alarm(
            "EdgeFailuresAlarm",
            "edge-failures",
            v.EdgeTopicArn(topic.ref()),
            description="The delivery of an event in us-east-1 failed. The failure queue of the edge contains it.",
            command="status",
            section="notices",
            namespace="AWS/SQS",
            metric="ApproximateNumberOfMessagesVisible",
            dimensions={"QueueName": failures.get_att("QueueName")},
            statistic="Maximum",
            threshold=1,
            period=300,
            periods=1,
            prefix=shared.NAME_PREFIX,
        )
    )
    for title, description, pattern in (
        ("CertificateRule", "The certificate of the site expires", certificate_events(certificate)),
        ("HealthRule", "AWS Health has an event about a global service for this account", ACCOUNT_HEALTH_EVENTS),
    ):
        t.add_resource(
            Rule(
                title,
                Description=description,
                State="ENABLED",
                EventPattern=pattern,
                Targets=[
                    Target(
                        Id="topic",
                        Arn=topic.ref(),
                        DeadLetterConfig=DeadLetterConfig(Arn=failures.get_att("Arn")),
                    )
                ],
            )
        )
