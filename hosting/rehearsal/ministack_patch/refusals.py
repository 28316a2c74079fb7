"""Refuses what AWS refuses when CloudFormation creates, changes or replaces a resource, with the texts of AWS.

Each rule reads the live state of the account: the services' own stores. So a rule holds for resources of any stack, for
resources that a deleted stack retained, and for resources that were created without CloudFormation. A rollback is not
refused: it returns to a state that existed. docs/emulator.md lists what the emulator cannot know.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ministack.core.responses import now_iso
from ministack.services import (
    alb,
    budgets,
    cloudformation,
    cloudfront,
    cloudwatch,
    cloudwatch_logs,
    ec2,
    ecr,
    ecs,
    efs,
    elasticache,
    firehose,
    iam,
    kms,
    lambda_svc,
    rds,
    route53,
    s3,
    scheduler,
    secretsmanager,
    sns,
    sqs,
    waf,
)
from ministack.services.cloudformation import handlers, helpers, provisioners
from ministack.services.cloudformation import stacks as engine

from hosting.rehearsal.ministack_patch import data, observation
from hosting.rehearsal.ministack_patch.patching import CLOUDFORMATION, record, replace, set_attribute
from hosting.rehearsal.ministack_patch.registry import as_bool

Properties = Mapping[str, Any]
Stack = dict[str, Any]
Rule = Callable[[Properties, str], None]

EXISTS = "Resource of type '{kind}' with identifier '{name}' already exists."
NO_REPLACEMENT = "Replacement type updates not supported on stack with disable-rollback."
EXISTENCE_CHECK = (
    "The following hook(s)/validation failed: [AWS::EarlyValidation::ResourceExistenceCheck]. "
    "To troubleshoot Early Validation errors, use the DescribeEvents API for detailed failure information."
)
FORWARD = frozenset({"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"})
UNFINISHED = frozenset({"CREATE_FAILED", "UPDATE_FAILED"})

_provision_resource = engine._provision_resource
_describe_events = handlers._describe_events


class RefusedError(ValueError):
    """The answer of a resource handler, in the form in which a stack event reports it."""

    def __init__(self, text: str, code: str) -> None:
        super().__init__(f'Resource handler returned message: "{text}" (HandlerErrorCode: {code})')


def install() -> None:
    set_attribute(engine, "_provision_resource", provision_resource)
    replace(_describe_events, describe_events, CLOUDFORMATION)
    for kind, named in NAMED.items():
        # CloudFormation cannot create the replacement while the predecessor has the name.
        if "." not in named.property:
            provisioners._CUSTOM_NAME_REPLACEMENT.setdefault(kind, {"name": named.property})
    record("cloudformation.provisioners._CUSTOM_NAME_REPLACEMENT")


def provision_resource(kind: str, logical_id: str, properties: dict[str, Any], stack_name: str) -> Any:
    """Create a resource of a stack, unless AWS would refuse it."""
    if is_forward(cloudformation._stacks.get(stack_name)):
        check_creation(kind, properties)
    return _provision_resource(kind, logical_id, properties, stack_name)


def is_forward(stack: Stack | None) -> bool:
    return stack is not None and stack["StackStatus"] in FORWARD


def check_creation(kind: str, properties: Properties) -> None:
    """Raise RefusedError if AWS would refuse to create this resource now."""
    if conflict := name_conflict(kind, properties):
        raise RefusedError(conflict, "AlreadyExists")
    for check in RULES.get(kind, ()):
        check(properties, "")


def check_update(kind: str, physical_id: str, old: Properties, new: Properties, stack: Stack) -> None:
    """Raise an error if AWS would refuse to change, or to replace, this resource now."""
    if not is_forward(stack) or old == new:
        return
    if provisioners._replacing_change(kind, old, new):
        if stack.get("_disable_rollback"):
            raise ValueError(NO_REPLACEMENT)
        # With the old name MiniStack refuses by itself: "CloudFormation cannot update a stack when a custom-named ...".
        if not provisioners._kept_custom_name(kind, old, new):
            check_creation(kind, new)
        return
    for check in RULES.get(kind, ()):
        check(new, physical_id)
    if kind == "AWS::RDS::DBCluster":
        check_backtrack(old, new)


def refuse_without_disable_rollback(stack: Stack, params: dict[str, Any]) -> Any:
    """Return AWS's answer to an update of a stack whose last operation kept what was finished, or None."""
    disabled = helpers._p(params, "DisableRollback", "false").lower() == "true"
    if disabled or stack["StackStatus"] not in UNFINISHED:
        return None
    return helpers._error(
        "ValidationError",
        f"This stack is currently in a non-terminal [{stack['StackStatus']}] state. To update the stack from this "
        "state, please use the disable-rollback parameter with update-stack API. To rollback to the last known good "
        "state, use the rollback-stack API",
    )


# --- Names ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Named:
    """A type with a name of its own: the property with the name, and whether a resource has it.

    A dot separates the names of nested properties.
    """

    property: str
    exists: Callable[[str, Properties], bool]

    def value(self, properties: Properties) -> str:
        """Return the name that a resource has by its properties; empty if CloudFormation generates one."""
        found: Any = properties
        for part in self.property.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        return found if isinstance(found, str) else ""


def _key(store: Any) -> Callable[[str, Properties], bool]:
    return lambda name, _: name in store


def _field(store: Any, field: str) -> Callable[[str, Properties], bool]:
    return lambda name, _: any(one.get(field) == name for one in store.values())


def _active(store: Any) -> Callable[[str, Properties], bool]:
    """Return whether the name is taken; ECS keeps deleted clusters and services for a while as INACTIVE."""
    return lambda name, _: any(
        (one.get("clusterName") or one.get("serviceName")) == name and one.get("status") == "ACTIVE"
        for one in store.values()
    )


def _service_exists(name: str, properties: Properties) -> bool:
    cluster = str(properties.get("Cluster", "default")).rpartition("/")[2]
    return any(
        one.get("serviceName") == name
        and one.get("status") == "ACTIVE"
        and str(one.get("clusterArn", "")).endswith(f"/{cluster}")
        for one in ecs._services.values()
    )


def _alarm_exists(name: str, _properties: Properties) -> bool:
    """Return whether the name is taken; metric alarms and composite alarms share their names."""
    return name in cloudwatch._alarms or name in cloudwatch._composite_alarms


def _web_acl_part(store: Any) -> Callable[[str, Properties], bool]:
    return lambda name, properties: any(
        one.get("Name") == name and one.get("Scope", properties.get("Scope")) == properties.get("Scope")
        for one in store.values()
    )


NAMED: dict[str, Named] = {
    "AWS::Chatbot::SlackChannelConfiguration": Named(
        "ConfigurationName", _field(observation._slack, "ConfigurationName")
    ),
    "AWS::CloudFront::Function": Named("Name", _key(cloudfront._functions)),
    "AWS::CloudFront::OriginAccessControl": Named("OriginAccessControlConfig.Name", _field(cloudfront._oacs, "Name")),
    "AWS::CloudWatch::Alarm": Named("AlarmName", _alarm_exists),
    "AWS::CloudWatch::CompositeAlarm": Named("AlarmName", _alarm_exists),
    "AWS::EC2::SecurityGroup": Named(
        "GroupName",
        lambda name, properties: any(
            one.get("GroupName") == name and one.get("VpcId") == properties.get("VpcId")
            for one in ec2._security_groups.values()
        ),
    ),
    "AWS::ECR::Repository": Named("RepositoryName", _key(ecr._repositories)),
    "AWS::ECS::Cluster": Named("ClusterName", _active(ecs._clusters)),
    "AWS::ECS::Service": Named("ServiceName", _service_exists),
    "AWS::EFS::FileSystem": Named("CreationToken", _field(efs._file_systems, "CreationToken")),
    "AWS::ElastiCache::ReplicationGroup": Named("ReplicationGroupId", _key(elasticache._replication_groups)),
    "AWS::ElastiCache::ServerlessCache": Named("ServerlessCacheName", _key(elasticache._serverless_caches)),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": Named("Name", _field(alb._lbs, "LoadBalancerName")),
    "AWS::ElasticLoadBalancingV2::TargetGroup": Named("Name", _field(alb._tgs, "TargetGroupName")),
    "AWS::IAM::ManagedPolicy": Named("ManagedPolicyName", _field(iam._policies, "PolicyName")),
    "AWS::IAM::Role": Named("RoleName", _key(iam._roles)),
    "AWS::KMS::Alias": Named("AliasName", lambda name, _: any(arn.endswith(f":{name}") for arn in kms._aliases)),
    "AWS::KinesisFirehose::DeliveryStream": Named("DeliveryStreamName", _key(firehose._streams)),
    "AWS::Lambda::Function": Named("FunctionName", _key(lambda_svc._functions)),
    "AWS::Logs::LogGroup": Named("LogGroupName", _key(cloudwatch_logs._log_groups)),
    "AWS::RDS::DBCluster": Named("DBClusterIdentifier", _key(rds._clusters)),
    "AWS::RDS::DBClusterParameterGroup": Named("DBClusterParameterGroupName", _key(rds._db_cluster_param_groups)),
    "AWS::RDS::DBInstance": Named("DBInstanceIdentifier", _key(rds._instances)),
    "AWS::RDS::DBParameterGroup": Named("DBParameterGroupName", _key(rds._param_groups)),
    "AWS::RDS::DBSubnetGroup": Named("DBSubnetGroupName", _key(rds._subnet_groups)),
    "AWS::RDS::EventSubscription": Named("SubscriptionName", _key(data._subscriptions)),
    "AWS::S3::Bucket": Named("BucketName", _key(s3._buckets)),
    "AWS::SNS::Topic": Named("TopicName", lambda name, _: any(arn.endswith(f":{name}") for arn in sns._topics)),
    "AWS::SQS::Queue": Named("QueueName", _key(sqs._queue_name_to_url)),
    "AWS::Scheduler::Schedule": Named("Name", _field(scheduler._schedules, "Name")),
    "AWS::SecretsManager::Secret": Named(
        "Name", lambda name, _: any(name in (key, one.get("Name")) for key, one in secretsmanager._secrets.items())
    ),
    "AWS::WAFv2::IPSet": Named("Name", _web_acl_part(waf._ip_sets)),
    "AWS::WAFv2::WebACL": Named("Name", _web_acl_part(waf._web_acls)),
}


def name_conflict(kind: str, properties: Properties) -> str:
    """Return AWS's text if another resource has the name of this one; empty if none has, or it has no name."""
    named = NAMED.get(kind)
    name = named.value(properties) if named else ""
    if named is None or not name or not named.exists(name, properties):
        return ""
    return EXISTS.format(kind=kind, name=name)


# --- Rules over live state ------------------------------------------------------------------------------------


def check_priority(properties: Properties, physical_id: str) -> None:
    """Refuse a priority that another rule of the listener has (ELBv2 API, CreateRule: PriorityInUse)."""
    priority, listener = str(properties.get("Priority", "")), properties.get("ListenerArn")
    if not listener and physical_id in alb._rules:
        listener = alb._rules[physical_id].get("ListenerArn")
    for arn, rule in alb._rules.items():
        if arn != physical_id and rule.get("ListenerArn") == listener and str(rule.get("Priority")) == priority:
            raise RefusedError(
                f"Priority '{priority}' is currently in use (Service: ElasticLoadBalancingV2, Status Code: 400)",
                "AlreadyExists",
            )


def check_target_groups(properties: Properties, physical_id: str) -> None:
    """Refuse a target group that another load balancer has (ELBv2 API: TargetGroupAssociationLimit)."""
    listener = alb._listeners.get(str(properties.get("ListenerArn") or physical_id)) or {}
    balancer = properties.get("LoadBalancerArn") or listener.get("LoadBalancerArn")
    wanted = set(_target_groups(properties.get("Actions") or properties.get("DefaultActions") or []))
    taken = [arn for arn in wanted if any(owner != balancer for owner in _balancers_of(arn, physical_id))]
    if balancer and taken:
        raise RefusedError(
            "The following target groups cannot be associated with more than one load balancer: "
            f"{', '.join(sorted(taken))} (Service: ElasticLoadBalancingV2, Status Code: 400)",
            "InvalidRequest",
        )


def _target_groups(actions: Any) -> Iterator[str]:
    for action in actions:
        if action.get("TargetGroupArn"):
            yield action["TargetGroupArn"]
        for group in (action.get("ForwardConfig") or {}).get("TargetGroups") or []:
            if group.get("TargetGroupArn"):
                yield group["TargetGroupArn"]


def _balancers_of(target_group: str, apart_from: str) -> Iterator[str]:
    """Yield the load balancers whose listeners and rules forward to a target group."""
    for arn, listener in alb._listeners.items():
        if arn != apart_from and target_group in _target_groups(listener.get("DefaultActions") or []):
            yield listener["LoadBalancerArn"]
    for arn, rule in alb._rules.items():
        if arn != apart_from and target_group in _target_groups(rule.get("Actions") or []):
            owner = alb._listeners.get(rule.get("ListenerArn")) or {}
            if owner.get("LoadBalancerArn"):
                yield owner["LoadBalancerArn"]


def check_subnet(properties: Properties, physical_id: str) -> None:
    """Refuse a range that overlaps another subnet of the VPC (EC2 API, CreateSubnet: InvalidSubnet.Conflict)."""
    try:
        wanted = ipaddress.ip_network(str(properties.get("CidrBlock")))
    except ValueError:
        return  # an invalid range has its own refusal
    for identifier, subnet in ec2._subnets.items():
        if identifier == physical_id or subnet.get("VpcId") != properties.get("VpcId"):
            continue
        if wanted.overlaps(ipaddress.ip_network(subnet["CidrBlock"])):
            raise RefusedError(
                f"The CIDR '{wanted}' conflicts with another subnet (Service: Ec2, Status Code: 400)",
                "InvalidRequest",
            )


def check_listener_port(properties: Properties, physical_id: str) -> None:
    """Refuse a port that another listener of the load balancer has (ELBv2 API, CreateListener: DuplicateListener)."""
    balancer, port = properties.get("LoadBalancerArn"), str(properties.get("Port"))
    for arn, listener in alb._listeners.items():
        taken = listener.get("LoadBalancerArn") == balancer and str(listener.get("Port")) == port
        if taken and arn != physical_id:
            raise RefusedError(
                f"A listener already exists on this port for this load balancer '{balancer}' "
                "(Service: ElasticLoadBalancingV2, Status Code: 400)",
                "AlreadyExists",
            )


def check_address(properties: Properties, physical_id: str) -> None:
    """Refuse an address that another NAT gateway has (EC2 API, NatGateway failureCode Resource.AlreadyAssociated)."""
    wanted = properties.get("AllocationId")
    for identifier, gateway in ec2._nat_gateways.items():
        in_use = wanted and gateway.get("AllocationId") == wanted and gateway.get("State") == "available"
        if in_use and identifier != physical_id:
            raise RefusedError(f"Elastic IP address [{wanted}] is already associated", "NotStabilized")


def check_route(properties: Properties, physical_id: str) -> None:
    """Refuse a destination that the route table has (EC2 API, CreateRoute: RouteAlreadyExists)."""
    table = ec2._route_tables.get(str(properties.get("RouteTableId"))) or {}
    for name in ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId"):
        wanted = properties.get(name)
        if not physical_id and wanted and any(route.get(name) == wanted for route in table.get("Routes") or []):
            raise RefusedError(
                f"The route identified by {wanted} already exists. (Service: Ec2, Status Code: 400)", "AlreadyExists"
            )


def check_endpoint(properties: Properties, physical_id: str) -> None:
    """Refuse a second endpoint of a service for a route table, or with private DNS (EC2 API, CreateVpcEndpoint)."""
    service, vpc = str(properties.get("ServiceName")), properties.get("VpcId")
    for identifier, other in ec2._vpc_endpoints.items():
        if identifier == physical_id or other.get("ServiceName") != service or other.get("VpcId") != vpc:
            continue
        for table in set(properties.get("RouteTableIds") or ()) & set(other.get("RouteTableIds") or ()):
            raise RefusedError(
                f"route table {table} already has a route with destination-prefix-list-id of {service} "
                "(Service: Ec2, Status Code: 400)",
                "AlreadyExists",
            )
        if as_bool(properties.get("PrivateDnsEnabled")) and as_bool(other.get("PrivateDnsEnabled")):
            region, _, domain = service.removeprefix("com.amazonaws.").partition(".")
            raise RefusedError(
                "private-dns-enabled cannot be set because there is already a conflicting DNS domain for "
                f"{domain}.{region}.amazonaws.com in the VPC {vpc} (Service: Ec2, Status Code: 400)",
                "InvalidRequest",
            )


def check_backtrack(old: Properties, new: Properties) -> None:
    """Refuse to enable backtracking of a cluster that was created without it (Aurora User Guide, Backtracking)."""
    before, after = (float(one.get("BacktrackWindow") or 0) for one in (old, new))
    if before == 0 < after:
        raise RefusedError(
            "Backtrack cannot currently be enabled for this cluster (Service: Rds, Status Code: 400)", "InvalidRequest"
        )


def check_hosted_zone(properties: Properties, _physical_id: str) -> None:
    """Refuse a hosted zone that the account does not have (Route 53 API: NoSuchHostedZone)."""
    identifier = str(properties.get("HostedZoneId") or "").rpartition("/")[2]
    if identifier and identifier not in route53._zones:
        raise RefusedError(
            f"No hosted zone found with ID: {identifier} (Service: Route53, Status Code: 404)", "NotFound"
        )


def check_record(properties: Properties, physical_id: str) -> None:
    """Refuse a record that the hosted zone has (Route 53 API: InvalidChangeBatch)."""
    name, kind = route53._normalise_name(str(properties.get("Name", ""))), properties.get("Type")
    key = (name, kind, str(properties.get("SetIdentifier") or ""))
    zone = str(properties.get("HostedZoneId") or "").rpartition("/")[2]
    if not physical_id and any(route53._rs_key(record) == key for record in route53._records.get(zone) or []):
        raise RefusedError(
            f"[Tried to create resource record set [name='{name}', type='{kind}'] but it already exists]",
            "InvalidRequest",
        )


def check_policy_name(kind: str, store: Any) -> Rule:
    """Return a rule that refuses the name of another policy of CloudFront; AWS does not name the policy."""

    def check(properties: Properties, physical_id: str) -> None:
        name = (properties.get(f"{kind}Config") or {}).get("Name")
        if name and any(one["Id"] != physical_id and one["Config"]["Name"] == name for one in store.values()):
            words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind).lower()
            raise RefusedError(
                f"Invalid request provided: AWS::CloudFront::{kind}: Another {words} with the same name already exists",
                "InvalidRequest",
            )

    return check


def check_budget(properties: Properties, physical_id: str) -> None:
    """Refuse the name of another budget, or of the one that is replaced (Budgets API: DuplicateRecordException)."""
    name = (properties.get("Budget") or {}).get("BudgetName")
    if name and name != physical_id and name in budgets._budgets:
        raise RefusedError(
            f"Error creating budget: {name} - the budget already exists. (Service: AWSBudgets; Status Code: 400; "
            "Error Code: DuplicateRecordException)",
            "AlreadyExists",
        )


def check_validation_zones(properties: Properties, physical_id: str) -> None:
    """Refuse validation in a hosted zone that does not exist."""
    for option in properties.get("DomainValidationOptions") or []:
        check_hosted_zone(option, physical_id)


# Rules for creation, replacement and updates; the second argument is empty for a resource that does not exist yet.
RULES: dict[str, tuple[Rule, ...]] = {
    "AWS::ElasticLoadBalancingV2::ListenerRule": (check_priority, check_target_groups),
    "AWS::ElasticLoadBalancingV2::Listener": (check_listener_port, check_target_groups),
    "AWS::EC2::NatGateway": (check_address,),
    "AWS::EC2::Route": (check_route,),
    "AWS::EC2::Subnet": (check_subnet,),
    "AWS::EC2::VPCEndpoint": (check_endpoint,),
    "AWS::Route53::RecordSet": (check_hosted_zone, check_record),
    "AWS::Budgets::Budget": (check_budget,),
    "AWS::CloudFront::CachePolicy": (check_policy_name("CachePolicy", cloudfront._cache_policies),),
    "AWS::CloudFront::OriginRequestPolicy": (
        check_policy_name("OriginRequestPolicy", cloudfront._origin_request_policies),
    ),
    "AWS::CloudFront::ResponseHeadersPolicy": (
        check_policy_name("ResponseHeadersPolicy", cloudfront._response_headers_policies),
    ),
    "AWS::CertificateManager::Certificate": (check_validation_zones,),
}


# --- Early validation of change sets --------------------------------------------------------------------------


def validation_errors(change_set: dict[str, Any], new: Iterator[tuple[str, str, Properties]]) -> list[dict[str, Any]]:
    """Return the events of a change set whose new resources have names that exist (EarlyValidation).

    `new` yields logical id, type and resolved properties of each resource that the change set creates.
    """
    operation = change_set["ChangeSetId"].rpartition("/")[2]
    events: list[dict[str, Any]] = []
    for logical_id, kind, properties in new:
        if conflict := name_conflict(kind, properties):
            events.append(
                {
                    "EventId": f"{operation}-{len(events) + 1}",
                    "StackId": change_set["StackId"],
                    "OperationId": operation,
                    "OperationType": "CREATE_CHANGESET",
                    "OperationStatus": "FAILED",
                    "EventType": "VALIDATION_ERROR",
                    "LogicalResourceId": logical_id,
                    "ResourceType": kind,
                    "Timestamp": now_iso(),
                    "ValidationFailureMode": "FAIL",
                    "ValidationName": "NAME_CONFLICT_VALIDATION",
                    "ValidationStatus": "FAILED",
                    "ValidationStatusReason": conflict,
                    "ValidationPath": f"/Resources/{logical_id}/Properties/{NAMED[kind].property.replace('.', '/')}",
                }
            )
    return events


def describe_events(params: dict[str, Any]) -> Any:
    """Answer DescribeEvents for a change set too. AWS answers only while the change set exists."""
    from hosting.rehearsal.ministack_patch import changesets

    if not helpers._p(params, "ChangeSetName"):
        return _describe_events(params)
    change_set = changesets.find(params)
    if change_set is None:
        return changesets.missing(params)
    page, next_token, error = helpers._page(change_set.get("_events") or [], params, "DescribeEvents")
    if error:
        return error
    members = "".join(changesets.xml("member", event) for event in page)
    return helpers._xml(
        200,
        "DescribeEventsResponse",
        f"<DescribeEventsResult><OperationEvents>{members}</OperationEvents>{next_token}</DescribeEventsResult>",
    )
