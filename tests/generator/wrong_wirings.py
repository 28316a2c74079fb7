"""Wrong wirings, which mypy must report. test_wiring.py runs mypy on this file and never imports it."""

from __future__ import annotations

from troposphere import GetAtt, Template
from troposphere.s3 import Bucket

from generator import value_types as v
from generator.interfaces import AppSubnets, DbInstanceSettings, DbSubnets, LogSettings, ServiceSize
from generator.layers import db_reader, egress, log_archive, network, security, service, service_access
from generator.resources import alarms, aurora, bastion, dns, iam, logs, s3, sns

t = Template()
prefix = v.NamePrefix("platform-dev")
octets = v.Octets("10.0")
first = v.FirstZoneName("ap-northeast-1a")
second = v.SecondZoneName("ap-northeast-1c")
# A correct one, so that the sample itself is known to be sound.
right = network.Inputs(prefix=prefix, vpc_network=octets, first_zone=first, second_zone=second)
net = network.LAYER.nest(t, right)

missing = network.Inputs(prefix=prefix, vpc_network=octets, first_zone=first)  # wrong: an input is missing
plain = network.Inputs(prefix=prefix, vpc_network="10.0", first_zone=first, second_zone=second)  # wrong: a bare string
other = network.Inputs(prefix=prefix, vpc_network=first, first_zone=first, second_zone=second)  # wrong: another type
swapped = network.Inputs(
    prefix=prefix,
    vpc_network=octets,
    first_zone=second,  # wrong: the zones are swapped
    second_zone=first,  # wrong: the zones are swapped
)
misspelt = net.vpc_identifier  # wrong: no such output
foreign = log_archive.LAYER.nest(t, right)  # wrong: the interface of another layer
topic: v.AlarmTopicArn = net.vpc_id  # wrong: a VPC is no topic
subnets: DbSubnets = net.app_subnets  # wrong: the subnets of another tier


def swap(sec: security.Outputs) -> service_access.Inputs:
    return service_access.Inputs(
        prefix=prefix,
        service_slug=v.ServiceSlug("web"),
        container_port=v.Port("8080"),
        vpc_id=v.VpcId("vpc-1"),
        session_policy_arn=v.SessionPolicyArn("arn:aws:iam::111122223333:policy/sessions"),
        alb_security_group_id=sec.database_security_group_id,  # wrong: the two groups are swapped
        database_security_group_id=sec.alb_security_group_id,  # wrong: the two groups are swapped
    )


def swap_in_helpers(reader: db_reader.Inputs, sec: security.Outputs, settings: LogSettings) -> None:
    """The helpers of resources take typed values too."""
    aurora.add_instance(
        t,
        "ReaderInstance",
        reader.instances,
        zone=reader.second_zone,
        tier=1,
        cluster=reader.db_subnet_group_name,  # wrong: the cluster and its subnets are swapped
        subnets=reader.db_cluster_id,  # wrong: the cluster and its subnets are swapped
        monitoring_role=reader.monitoring_role_arn,
    )
    aurora.add_instance(
        t,
        "OtherInstance",
        settings,  # wrong: settings of logs, not of instances
        zone=first,
        tier=1,
        cluster=reader.db_cluster_id,
        subnets=reader.db_subnet_group_name,
        monitoring_role=GetAtt("Role", "Arn"),  # wrong: any attribute
    )
    sns.add_topic(t, "Topic", "alarms", sec.data_key_arn)  # wrong: the key of the database
    s3.private_bucket("Bucket", data="archive", rules=[], key=sec.data_key_arn)  # wrong: the key of the database
    s3.private_bucket("Logs", data="archive", rules=[], access_logs=(sec.archive_bucket_name, "x/"))  # wrong: a bucket
    LogSettings(telemetry_key_arn=sec.data_key_arn, log_retention_days=settings.log_retention_days)  # wrong: a key
    logs.log_group("LogGroup", sec.flow_log_group_name, settings)  # wrong: the name is of an existing group
    dns.alias_target(Bucket("Bucket"))  # wrong: no alias record points to a bucket


def swap_in_a_service(inputs: service.Inputs) -> None:
    alarms.alarm(
        "Alarm",
        "name",
        inputs.cluster.cluster_arn,  # wrong: a cluster is no topic
        description="Something failed.",
        command="status",
        section="notices",
        namespace="AWS/ECS",
        metric="CPUUtilization",
        dimensions={"ClusterName": inputs.cluster.cluster_name},
        statistic="Average",
        threshold=inputs.size.cpu,  # wrong: CPU units are no number of tasks
    )
    ServiceSize(
        cpu=inputs.size.cpu,
        memory=inputs.size.memory,
        min_tasks=inputs.size.max_tasks,  # wrong: minimum and maximum are swapped
        max_tasks=inputs.size.min_tasks,  # wrong: minimum and maximum are swapped
    )
    iam.attach_policy("Policy", inputs.access.execution_role_arn, description="Nothing.")  # wrong: an ARN, not a name
    bastion.bastion_container(inputs.image, [], logging=None)  # wrong: the app's image and no logging


def swap_zones(inputs: egress.Inputs) -> None:
    public_1, public_2 = inputs.public_subnets.ids
    egress.add_nat_gateway(t, 1, public_1, inputs.app_route_tables.ids[0])
    egress.add_nat_gateway(t, 2, inputs.app_subnets.ids[0], public_2)  # wrong: subnets, and no route table
    AppSubnets(app_subnet_1_id=public_1, app_subnet_2_id=public_2)  # wrong: public subnets
    DbInstanceSettings()  # wrong: nothing is given
