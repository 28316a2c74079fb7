"""Wirings that must not pass the type checker. Never imported: test_wiring.py gives it to mypy."""

from __future__ import annotations

from troposphere import Template

from generator import value_types as v
from generator.layers import log_archive, network, security, service_access

t = Template()
prefix = v.NamePrefix("platform-dev")
zone = v.ZoneName("ap-northeast-1a")
net = network.LAYER.nest(
    t, network.Inputs(prefix=prefix, vpc_network=v.Octets("10.0"), first_zone=zone, second_zone=zone)
)

# A correct one, so that the sample itself is known to be sound.
right = network.Inputs(prefix=prefix, vpc_network=v.Octets("10.0"), first_zone=zone, second_zone=zone)

missing = network.Inputs(prefix=prefix, vpc_network=v.Octets("10.0"), first_zone=zone)  # wrong: an input is missing
plain = network.Inputs(prefix=prefix, vpc_network="10.0", first_zone=zone, second_zone=zone)  # wrong: a bare string
swapped = network.Inputs(prefix=prefix, vpc_network=zone, first_zone=zone, second_zone=zone)  # wrong: another kind
misspelt = net.vpc_identifier  # wrong: no such output
foreign = log_archive.LAYER.nest(t, right)  # wrong: the contract of another layer
kind: v.AlarmTopicArn = net.vpc_id  # wrong: a VPC is no topic


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
