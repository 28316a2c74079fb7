"""Calls of an internal service: the rules between the security groups of its callers and its own."""

from troposphere import Template
from troposphere.ec2 import SecurityGroupEgress, SecurityGroupIngress

from generator.layers.service.interface import Inputs, caller_group
from generator.workloads import InternalService


def add_call_rules(t: Template, entry: InternalService, inputs: Inputs) -> None:
    """Add a pair of rules for each workload that may call the service."""
    for caller in entry.called_by:
        t.add_resource(
            SecurityGroupIngress(
                f"From{caller}Ingress",
                GroupId=inputs.access.service_security_group_id,
                IpProtocol="tcp",
                FromPort=entry.port,
                ToPort=entry.port,
                SourceSecurityGroupId=caller_group(inputs, caller),
                Description=f"From {caller}",
            )
        )
        t.add_resource(
            SecurityGroupEgress(
                f"From{caller}Egress",
                GroupId=caller_group(inputs, caller),
                IpProtocol="tcp",
                FromPort=entry.port,
                ToPort=entry.port,
                DestinationSecurityGroupId=inputs.access.service_security_group_id,
                Description=f"To service {entry.slug}",
            )
        )
