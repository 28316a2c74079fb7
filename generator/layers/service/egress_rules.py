"""Egress: the rules of a workload's security group for what it reaches on the internet beside HTTPS."""

from troposphere import Template
from troposphere.ec2 import SecurityGroupEgress

from generator.layers.service.interface import Inputs
from generator.workloads import Workload


def add_egress_rules(t: Template, entry: Workload, inputs: Inputs) -> list[SecurityGroupEgress]:
    """Add and return a rule for each declared egress."""
    return [
        t.add_resource(
            SecurityGroupEgress(
                rule.logical_id,
                GroupId=inputs.access.service_security_group_id,
                IpProtocol="tcp",
                FromPort=rule.port,
                ToPort=rule.port,
                CidrIp=rule.cidr,
                Description=rule.description,
            )
        )
        for rule in entry.egress
    ]
