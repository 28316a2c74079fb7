"""Access: the security group of one workload, the rules for its traffic, and its two roles.

Root nests this template once per service, so that a further service changes no template, and no stack reaches the
limits of 500 resources and 200 outputs. The layer ``service`` adds the permissions for log groups and secrets.
"""

from typing import Annotated

from troposphere import Equals, Not, Sub, Tags, Template
from troposphere.ec2 import SecurityGroup, SecurityGroupEgress, SecurityGroupIngress, SecurityGroupRule
from troposphere.iam import Role

from generator import value_types as v
from generator.interfaces import ServiceAccess
from generator.platform_parts import COMPLETE, Parts
from generator.resources import iam
from generator.wiring import ABSENT, FrozenConfig, Layer, StackInterface

MYSQL = 3306


class Config(FrozenConfig):
    """Without a database the layer has no rules to it. A store needs the name of the task role for its grants."""

    parts: Parts = COMPLETE
    has_stores: bool = False


class Inputs(StackInterface):
    """Parameters of the nested stack."""

    prefix: v.NamePrefix
    service_slug: v.ServiceSlug
    container_port: Annotated[v.Port, "Port on which the load balancer reaches the tasks; empty for none."]
    vpc_id: v.VpcId
    alb_security_group_id: v.AlbSecurityGroupId
    database_security_group_id: v.DatabaseSecurityGroupId
    session_policy_arn: v.SessionPolicyArn


class Outputs(StackInterface):
    """Outputs of the nested stack."""

    access: ServiceAccess


def build(t: Template, config: Config, inputs: Inputs) -> Outputs:
    """Add the security group, its rules and the two roles of the service."""
    group = t.add_resource(service_group(inputs))
    t.add_condition("HasLoadBalancer", Not(Equals(inputs.container_port, "")))
    add_load_balancer_rules(t, inputs, group)
    if config.parts.database:
        add_database_rules(t, inputs, group)
    task_role = t.add_resource(service_task_role(inputs))
    execution_role = t.add_resource(service_execution_role())
    return Outputs(
        access=ServiceAccess(
            service_security_group_id=v.ServiceSecurityGroupId(group.get_att("GroupId")),
            task_role_arn=v.TaskRoleArn(task_role.get_att("Arn")),
            task_role_name=v.TaskRoleName(task_role.ref() if config.has_stores else ABSENT),
            execution_role_arn=v.ExecutionRoleArn(execution_role.get_att("Arn")),
            execution_role_name=v.ExecutionRoleName(execution_role.ref()),
        )
    )


def service_group(inputs: Inputs) -> SecurityGroup:
    """Return the security group of the tasks, with HTTPS egress."""
    return SecurityGroup(
        "ServiceSecurityGroup",
        GroupDescription=Sub("Tasks of service ${ServiceSlug}"),
        VpcId=inputs.vpc_id,
        SecurityGroupEgress=[
            # Any address: S3's gateway endpoint, ECR Public and Secrets Manager have public addresses.
            SecurityGroupRule(
                IpProtocol="tcp",
                FromPort=443,
                ToPort=443,
                CidrIp="0.0.0.0/0",
                Description="HTTPS to AWS and to registries",
            )
        ],
        Tags=Tags(Name=Sub("${Prefix}-${ServiceSlug}")),
    )


def add_load_balancer_rules(t: Template, inputs: Inputs, group: SecurityGroup) -> None:
    """Add the pair of rules from the load balancer to the tasks."""
    t.add_resource(
        SecurityGroupIngress(
            "FromAlbIngress",
            Condition="HasLoadBalancer",
            GroupId=group.get_att("GroupId"),
            IpProtocol="tcp",
            FromPort=inputs.container_port,
            ToPort=inputs.container_port,
            SourceSecurityGroupId=inputs.alb_security_group_id,
            Description="From the load balancer",
        )
    )
    t.add_resource(
        SecurityGroupEgress(
            "FromAlbEgress",
            Condition="HasLoadBalancer",
            GroupId=inputs.alb_security_group_id,
            IpProtocol="tcp",
            FromPort=inputs.container_port,
            ToPort=inputs.container_port,
            DestinationSecurityGroupId=group.get_att("GroupId"),
            Description=Sub("To service ${ServiceSlug}"),
        )
    )


def add_database_rules(t: Template, inputs: Inputs, group: SecurityGroup) -> None:
    """Add the pair of rules from the tasks to the database."""
    t.add_resource(
        SecurityGroupIngress(
            "ToDatabaseIngress",
            GroupId=inputs.database_security_group_id,
            IpProtocol="tcp",
            FromPort=MYSQL,
            ToPort=MYSQL,
            SourceSecurityGroupId=group.get_att("GroupId"),
            Description=Sub("MySQL from service ${ServiceSlug}"),
        )
    )
    t.add_resource(
        SecurityGroupEgress(
            "ToDatabaseEgress",
            GroupId=group.get_att("GroupId"),
            IpProtocol="tcp",
            FromPort=MYSQL,
            ToPort=MYSQL,
            DestinationSecurityGroupId=inputs.database_security_group_id,
            Description="MySQL to the database",
        )
    )


def service_task_role(inputs: Inputs) -> Role:
    """Return the role of the containers.

    AmazonSSMManagedInstanceCore contains the ssmmessages actions for ECS Exec and Session Manager. It also allows
    reading every SSM parameter, so this platform stores no secret in one.
    """
    return iam.service_role(
        "TaskRole",
        "ecs-tasks",
        iam.source_account_condition(),
        iam.source_arn_condition("arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:*"),
        description="Permissions of the containers of one service: app and bastion.",
        managed=[Sub("arn:${AWS::Partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"), inputs.session_policy_arn],
        Tags=Tags(Name=Sub("${Prefix}-${ServiceSlug}-task")),
    )


def service_execution_role() -> Role:
    """Return the role with which ECS starts the tasks."""
    return iam.service_role(
        "ExecutionRole",
        "ecs-tasks",
        iam.source_account_condition(),
        iam.source_arn_condition("arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:*"),
        description="Starts the tasks of one service: pulls images, opens logs, reads secrets.",
        Tags=Tags(Name=Sub("${Prefix}-${ServiceSlug}-execution")),
    )


LAYER = Layer("Access", "Access: security group, rules and roles of one service.", Inputs, Outputs, build)
