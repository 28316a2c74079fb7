"""Updates that AWS refuses although CloudFormation computes a change set for them.

CloudFormation creates new resources and replacements before it deletes old ones. During the update the old resource
still has its name, its address range, its priority and its target groups. Other properties cannot be changed at all.
Each finding has the reason and a way to reach the same state in two deployments.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hosting.analysis.resolve import Resource
from hosting.model.templates import NESTED_STACK
from hosting.model.tokens import Json, origins

if TYPE_CHECKING:
    from hosting.analysis.diff.prediction import PredictedChange

Key = tuple[str, str]  # stack path, logical id

_KEPT = {"Retain", "RetainExceptOnCreate"}
_SUBNET = "AWS::EC2::Subnet"
_RULE = "AWS::ElasticLoadBalancingV2::ListenerRule"
_LISTENER = "AWS::ElasticLoadBalancingV2::Listener"
_TARGET_GROUP = "AWS::ElasticLoadBalancingV2::TargetGroup"
_SHOWN_NAMES = 4


@dataclass(frozen=True)
class Impossible:
    """An update of one resource that AWS refuses."""

    stack: str
    logical_id: str
    type: str
    reason: str
    way: str

    @property
    def path(self) -> tuple[str, ...]:
        """Return the nested stacks and the logical id, without the top-level stack."""
        return (*self.stack.split("/")[1:], self.logical_id)


@dataclass(frozen=True)
class Identity:
    """The properties by which AWS recognizes a resource of a type, so that a second one is refused."""

    name: str
    # Properties within which the name is unique. Without one it is unique in the account and region.
    scope: tuple[str, ...] = ()
    is_global: bool = False
    # The word for the name in messages.
    noun: str = "name"
    applies: Callable[[Resource], bool] = field(default=lambda _resource: True)


def _blocks_second_endpoint(resource: Resource) -> bool:
    """Return whether a second endpoint of the service is refused: private DNS, or routes of a gateway."""
    return (
        resource.properties.get("VpcEndpointType", "Gateway") == "Gateway"
        or str(resource.properties.get("PrivateDnsEnabled", "")).lower() == "true"
    )


IDENTITIES: Mapping[str, Identity] = {
    "AWS::Budgets::Budget": Identity("Budget.BudgetName", is_global=True),
    "AWS::Chatbot::SlackChannelConfiguration": Identity("ConfigurationName", is_global=True),
    "AWS::CloudFront::CachePolicy": Identity("CachePolicyConfig.Name", is_global=True),
    "AWS::CloudFront::Function": Identity("Name", is_global=True),
    "AWS::CloudFront::OriginAccessControl": Identity("OriginAccessControlConfig.Name", is_global=True),
    "AWS::CloudFront::OriginRequestPolicy": Identity("OriginRequestPolicyConfig.Name", is_global=True),
    "AWS::CloudFront::ResponseHeadersPolicy": Identity("ResponseHeadersPolicyConfig.Name", is_global=True),
    "AWS::CloudWatch::Alarm": Identity("AlarmName"),
    "AWS::CloudWatch::CompositeAlarm": Identity("AlarmName"),
    "AWS::CloudWatch::Dashboard": Identity("DashboardName", is_global=True),
    "AWS::EC2::NatGateway": Identity("AllocationId", noun="address"),
    "AWS::EC2::Route": Identity("DestinationCidrBlock", ("RouteTableId",), noun="destination"),
    "AWS::EC2::SecurityGroup": Identity("GroupName", ("VpcId",)),
    "AWS::EC2::SubnetRouteTableAssociation": Identity("SubnetId", noun="subnet"),
    "AWS::EC2::VPCEndpoint": Identity("ServiceName", ("VpcId",), noun="service", applies=_blocks_second_endpoint),
    "AWS::EC2::VPCGatewayAttachment": Identity("VpcId", noun="VPC"),
    "AWS::ECR::Repository": Identity("RepositoryName"),
    "AWS::ECS::Cluster": Identity("ClusterName"),
    "AWS::ECS::Service": Identity("ServiceName", ("Cluster",)),
    "AWS::EFS::FileSystem": Identity("CreationToken"),
    "AWS::EFS::MountTarget": Identity("SubnetId", ("FileSystemId",), noun="subnet"),
    "AWS::ElastiCache::ReplicationGroup": Identity("ReplicationGroupId"),
    "AWS::ElastiCache::ServerlessCache": Identity("ServerlessCacheName"),
    _LISTENER: Identity("Port", ("LoadBalancerArn",), noun="port"),
    _RULE: Identity("Priority", ("ListenerArn",), noun="priority"),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": Identity("Name"),
    _TARGET_GROUP: Identity("Name"),
    "AWS::Events::Rule": Identity("Name", ("EventBusName",)),
    "AWS::IAM::InstanceProfile": Identity("InstanceProfileName", is_global=True),
    "AWS::IAM::ManagedPolicy": Identity("ManagedPolicyName", is_global=True),
    "AWS::IAM::Role": Identity("RoleName", is_global=True),
    "AWS::IAM::User": Identity("UserName", is_global=True),
    "AWS::KMS::Alias": Identity("AliasName"),
    "AWS::KinesisFirehose::DeliveryStream": Identity("DeliveryStreamName"),
    "AWS::Lambda::Function": Identity("FunctionName"),
    "AWS::Logs::DeliveryDestination": Identity("Name"),
    "AWS::Logs::DeliverySource": Identity("Name"),
    "AWS::Logs::LogGroup": Identity("LogGroupName"),
    "AWS::Logs::LogStream": Identity("LogStreamName", ("LogGroupName",)),
    "AWS::RDS::DBCluster": Identity("DBClusterIdentifier"),
    "AWS::RDS::DBClusterParameterGroup": Identity("DBClusterParameterGroupName"),
    "AWS::RDS::DBInstance": Identity("DBInstanceIdentifier"),
    "AWS::RDS::DBParameterGroup": Identity("DBParameterGroupName"),
    "AWS::RDS::DBSubnetGroup": Identity("DBSubnetGroupName"),
    "AWS::Route53::RecordSet": Identity("Name", ("HostedZoneId", "Type", "SetIdentifier"), is_global=True),
    "AWS::S3::Bucket": Identity("BucketName", is_global=True),
    "AWS::SNS::Topic": Identity("TopicName"),
    "AWS::SQS::Queue": Identity("QueueName"),
    "AWS::Scheduler::Schedule": Identity("Name", ("GroupName",)),
    "AWS::SecretsManager::Secret": Identity("Name"),
    "AWS::WAFv2::IPSet": Identity("Name", ("Scope",)),
    "AWS::WAFv2::WebACL": Identity("Name", ("Scope",)),
}


def find_impossible(
    before: Mapping[Key, Resource],
    after: Mapping[Key, Resource],
    changes: Iterable[PredictedChange],
    regions: Mapping[str, str],
) -> tuple[Impossible, ...]:
    """Return the updates that AWS refuses. `regions` has the region of each stack, in the order of deployment."""
    return tuple(_Finder(before, after, {change.key: change.effect for change in changes}, regions).find())


@dataclass(frozen=True)
class _Conflict:
    """A resource that would be created while another one has its identity."""

    key: Key
    holder: Key
    reason: str
    shown: str


@dataclass(frozen=True)
class _Finder:
    before: Mapping[Key, Resource]
    after: Mapping[Key, Resource]
    effects: Mapping[Key, str]
    regions: Mapping[str, str]

    def find(self) -> Iterator[Impossible]:
        """Yield what AWS refuses: one finding for each resource, and one for each renamed nested stack."""
        yield from self._group([*self._find_names_in_use(), *self._find_address_ranges()])
        yield from self._find_target_groups()
        for key, resource in self.after.items():
            if key in self.before and self.effects.get(key):
                yield from _find_refused_properties(key, self.before[key], resource)

    def _is_new(self, key: Key) -> bool:
        return self.effects.get(key) in {"add", "replace"}

    def _scope_is_new(self, value: Json) -> bool:
        """Return whether a value belongs to a resource that is created by this update."""
        return any(self._is_new((one.stack, one.logical_id)) for one in origins(value))

    def _is_gone_earlier(self, holder: Key, key: Key) -> bool:
        """Return whether the holder is deleted by the update of an earlier top-level stack."""
        order = list(dict.fromkeys(path.split("/")[0] for path in self.regions))
        first, second = holder[0].split("/")[0], key[0].split("/")[0]
        deleted = self.effects.get(holder) == "delete"
        kept = str(self.before[holder].attributes.get("DeletionPolicy", "")) in _KEPT
        return deleted and not kept and first in order and order.index(first) < order.index(second)

    def _find_names_in_use(self) -> Iterator[_Conflict]:
        holders: dict[tuple[str, ...], list[Key]] = {}
        for key, resource in self.before.items():
            if (found := self._identify(key, resource)) is not None:
                holders.setdefault(found, []).append(key)
        for key, resource in self.after.items():
            known = IDENTITIES.get(resource.type)
            found = self._identify(key, resource)
            if known is None or found is None or not self._creates_identity(key, found):
                continue
            if any(self._scope_is_new(_get(resource, name)) for name in (*known.scope, known.name)):
                continue
            for holder in holders.get(found, ()):
                if holder == key and self.effects.get(key) != "replace":
                    continue
                if not self._is_gone_earlier(holder, key):
                    yield _Conflict(key, holder, known.noun, str(_get(resource, known.name)))
                    break

    def _creates_identity(self, key: Key, found: tuple[str, ...]) -> bool:
        """Return whether the update gives this identity to a resource that does not have it."""
        if self._is_new(key):
            return True
        return key in self.before and bool(self.effects.get(key)) and self._identify(key, self.before[key]) != found

    def _identify(self, key: Key, resource: Resource) -> tuple[str, ...] | None:
        known = IDENTITIES.get(resource.type)
        name = _get(resource, known.name) if known else None
        if known is None or name in (None, "") or not known.applies(resource):
            return None
        region = "" if known.is_global else self.regions.get(key[0], "")
        scope = (json.dumps(_get(resource, part), sort_keys=True, default=str) for part in known.scope)
        return (resource.type, region, str(name), *scope)

    def _find_address_ranges(self) -> Iterator[_Conflict]:
        subnets = [(key, one, network) for key, one in self.before.items() if (network := _network(one)) is not None]
        for key, resource in self.after.items():
            wanted = _network(resource)
            if wanted is None or not self._is_new(key) or self._scope_is_new(_get(resource, "VpcId")):
                continue
            for holder, other, network in subnets:
                same = other.properties.get("VpcId") == resource.properties.get("VpcId")
                if same and wanted.overlaps(network) and not self._is_gone_earlier(holder, key):
                    yield _Conflict(key, holder, "address range", str(wanted))
                    break

    def _group(self, conflicts: Sequence[_Conflict]) -> Iterator[Impossible]:
        """Yield one finding for each renamed nested stack, and one for each other conflict."""
        old, new = {key[0] for key in self.before}, {key[0] for key in self.after}
        renamed: dict[tuple[str, str], list[_Conflict]] = {}
        for one in conflicts:
            if one.holder[0] not in new and one.key[0] not in old:
                renamed.setdefault((one.holder[0], one.key[0]), []).append(one)
            else:
                yield self._describe(one)
        for (source, target), found in renamed.items():
            parent, _, name = target.rpartition("/")
            was = "/".join(source.split("/")[1:])
            names = [f"{one.reason} {one.shown}" for one in found[:_SHOWN_NAMES]]
            more = f" and {len(found) - len(names)} more" if len(found) > len(names) else ""
            yield Impossible(
                parent,
                name,
                NESTED_STACK,
                f"{was} becomes {name}: CloudFormation creates the new stack before it deletes the old one, which "
                f"still has {', '.join(names)}{more}",
                f"Keep the logical id {was}. Otherwise deploy twice: first without {was}, then with {name}; stateful "
                "resources in it need a backup, and retained ones have to be deleted or imported in between",
            )

    def _describe(self, one: _Conflict) -> Impossible:
        resource, holder = self.after[one.key], "/".join((*one.holder[0].split("/")[1:], one.holder[1]))
        what = f"the {one.reason} {one.shown}"
        if one.holder == one.key:
            reason = f"it is replaced, and the old resource has {what} until the update ends"
        else:
            reason = f"{holder} has {what} until the update ends"
        kept = str(self.before[one.holder].attributes.get("DeletionPolicy", "")) in _KEPT
        if one.reason == "address range":
            way = "Use a free address range for the new subnet, or decide zones and network only at the creation"
        elif one.reason == "priority":
            way = "Use another priority. Otherwise deploy twice: first remove the old rule, then add this one"
        elif one.holder == one.key:
            way = f"Change the {one.reason} too. Otherwise deploy twice: first without the resource, then with it"
        elif kept:
            way = (
                f"Keep the logical id {holder}. Otherwise deploy twice: first remove {holder}, which is retained. "
                "Delete or import it by hand, then add this one"
            )
        else:
            way = f"Keep the logical id {holder}. Otherwise deploy twice: first remove {holder}, then add this one"
        return Impossible(*one.key, resource.type, reason, way)

    def _find_target_groups(self) -> Iterator[Impossible]:
        """Yield target groups that move to another load balancer while the old one still has them."""
        old, new = _find_balancers(self.before), _find_balancers(self.after)
        for key, balancers in new.items():
            if key not in self.before or self._is_new(key) or not old.get(key):
                continue
            moved = [one for one in balancers if self._is_new(one) or one not in old[key]]
            if moved:
                names = ", ".join("/".join((*one[0].split("/")[1:], one[1])) for one in moved)
                yield Impossible(
                    *key,
                    _TARGET_GROUP,
                    f"it is kept, and its load balancer becomes a new one ({names}): AWS refuses a target group on two "
                    "load balancers, and the old one exists until the update ends",
                    "Give the target group another logical id too, so that the new load balancer has target groups of "
                    "its own. Remove the deletion protection of the old load balancer in an earlier deployment",
                )


def _get(resource: Resource, path: str) -> Json:
    return resource.get(path)


def _network(resource: Resource) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    if resource.type != _SUBNET:
        return None
    try:
        return ipaddress.ip_network(str(resource.properties.get("CidrBlock")))
    except ValueError:
        return None  # a value that is known only during the deployment


def _find_balancers(resources: Mapping[Key, Resource]) -> dict[Key, set[Key]]:
    """Return the load balancers of each target group, through default actions and rules of listeners."""
    listeners = {
        key: {(one.stack, one.logical_id) for one in origins(resource.properties.get("LoadBalancerArn"))}
        for key, resource in resources.items()
        if resource.type == _LISTENER
    }
    found: dict[Key, set[Key]] = {}
    for key, resource in resources.items():
        if resource.type not in {_LISTENER, _RULE}:
            continue
        if resource.type == _LISTENER:
            balancers = listeners[key]
        else:
            own = {(one.stack, one.logical_id) for one in origins(resource.properties.get("ListenerArn"))}
            balancers = {balancer for one in own for balancer in listeners.get(one, ())}
        actions = [resource.properties.get("Actions"), resource.properties.get("DefaultActions")]
        for one in origins(actions):
            target = (one.stack, one.logical_id)
            if target in resources and resources[target].type == _TARGET_GROUP:
                found.setdefault(target, set()).update(balancers)
    return found


# AWS CloudFormation Template Reference, AWS::KMS::Key: "the update request fails".
_KMS_DEFAULTS = {
    "KeySpec": "SYMMETRIC_DEFAULT",
    "KeyUsage": "ENCRYPT_DECRYPT",
    "MultiRegion": "false",
    "Origin": "AWS_KMS",
}
_NEW_KEY = "Add a second key with another logical id, move the data to it, and remove the old key in a later deployment"


def _find_refused_properties(key: Key, before: Resource, after: Resource) -> Iterator[Impossible]:
    """Yield changes of properties that the service refuses for an existing resource."""
    if before.type != after.type:
        yield Impossible(
            *key,
            after.type,
            f"it was {before.type}: CloudFormation refuses another type for the same logical id",
            "Give the resource another logical id",
        )
        return
    if after.type == "AWS::KMS::Key":
        for name, default in _KMS_DEFAULTS.items():
            old, new = (str(one.properties.get(name, default)) for one in (before, after))
            if old.lower() != new.lower():
                yield Impossible(*key, after.type, f"KMS cannot change {name} of a key ({old} -> {new})", _NEW_KEY)
    if after.type == "AWS::RDS::DBCluster":
        old, new = (str(one.properties.get("BacktrackWindow", "0")) for one in (before, after))
        if float(old or 0) == 0 < float(new or 0):
            reason = "Aurora enables backtracking only when it creates a cluster"
            yield Impossible(*key, after.type, reason, "Restore a snapshot into a new cluster that has a window")
        versions = [_version(one.properties.get("EngineVersion")) for one in (before, after)]
        if versions[0] and versions[1] and versions[1] < versions[0]:
            reason = "Aurora does not downgrade a cluster"
            yield Impossible(*key, after.type, reason, "Restore a snapshot that was taken before the upgrade")
    if after.type == "AWS::S3::Bucket":
        old, new = (str(one.properties.get("ObjectLockEnabled", "false")).lower() for one in (before, after))
        if (old, new) == ("true", "false"):
            reason = "S3 cannot disable Object Lock of a bucket"
            yield Impossible(*key, after.type, reason, "Keep Object Lock and shorten the retention period")


def _version(value: Json) -> tuple[int, ...]:
    return tuple(int(part) for part in str(value or "").split(".") if part.isdigit())
