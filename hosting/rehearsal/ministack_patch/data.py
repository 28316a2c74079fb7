"""RDS and Secrets Manager: properties of their resource types, which MiniStack drops or answers differently."""
# Handlers take the arguments that MiniStack passes, needed or not.
# ruff: noqa: ARG001

from __future__ import annotations

import json
import secrets
import string
import time
import uuid
from typing import Any

from ministack.core.responses import AccountRegionScopedDict, get_account_id, get_region
from ministack.services import rds, secretsmanager
from ministack.services.cloudformation import drift, provisioners

from hosting.rehearsal.ministack_patch.api import Proceed, Reply, operation
from hosting.rehearsal.ministack_patch.patching import record, set_attribute
from hosting.rehearsal.ministack_patch.registry import (
    Properties,
    Provisioned,
    as_bool,
    native_handlers,
    physical_name,
    register,
    tag_list,
    wrap,
)
from hosting.rehearsal.ministack_patch.rotation import start_rotation

SECRET_RESOURCE = "AWS::SecretsManager::Secret"  # noqa: S105 - a type name

_subscriptions = AccountRegionScopedDict()
_create_secret = secretsmanager._create_secret


def install() -> None:
    """Register the types and operations of RDS and Secrets Manager."""
    wrap("AWS::RDS::DBCluster", before=cluster_properties, after=complete_cluster)
    wrap("AWS::RDS::DBInstance", after=complete_instance)
    delete_cluster = native_handlers("AWS::RDS::DBCluster")["delete"]
    delete_instance = native_handlers("AWS::RDS::DBInstance")["delete"]
    native_handlers("AWS::RDS::DBCluster")["delete"] = lambda physical_id, properties: checked_delete(
        rds._clusters, physical_id, properties, delete_cluster
    )
    native_handlers("AWS::RDS::DBInstance")["delete"] = lambda physical_id, properties: checked_delete(
        rds._instances, physical_id, properties, delete_instance
    )
    register(
        "AWS::RDS::EventSubscription",
        create=subscribe,
        update=resubscribe,
        delete=unsubscribe,
        replaces=("SubscriptionName", "SnsTopicArn"),
    )
    identify_secrets_by_arn()
    reader, supported = drift._DRIFT_READERS[SECRET_RESOURCE]
    record("cloudformation.drift._DRIFT_READERS")
    drift._DRIFT_READERS[SECRET_RESOURCE] = (lambda arn, properties: reader(secret_name(arn), properties), supported)
    set_attribute(provisioners, "_sm_secret_string", secret_string)
    set_attribute(secretsmanager, "_create_secret", create_secret)


# --- RDS ----------------------------------------------------------------------------------------------------


def cluster_properties(properties: Properties) -> Properties:
    """Convert booleans and numbers of a cluster from strings to their types."""
    typed = dict(properties)
    for name in ("StorageEncrypted", "ManageMasterUserPassword", "MultiAZ"):
        if name in typed:
            typed[name] = as_bool(typed[name])
    if capacity := typed.get("ServerlessV2ScalingConfiguration"):
        typed["ServerlessV2ScalingConfiguration"] = {
            name: int(value) if name == "SecondsUntilAutoPause" else float(value) for name, value in capacity.items()
        }
    return typed


def complete_cluster(physical_id: str, attributes: dict[str, Any], properties: Properties) -> Provisioned:
    """Store key, log exports, tags and managed secret of a cluster. Raise ValueError for a missing subnet group."""
    cluster = rds._clusters[physical_id]
    group = properties.get("DBSubnetGroupName")
    if group and group.lower() not in {name.lower() for name in rds._subnet_groups}:
        raise ValueError(f"DB subnet group '{group}' does not exist.")
    cluster |= {
        "KmsKeyId": properties.get("KmsKeyId", ""),
        "DBClusterParameterGroup": properties.get("DBClusterParameterGroupName", f"default.{cluster['Engine']}"),
        "EnabledCloudwatchLogsExports": list(properties.get("EnableCloudwatchLogsExports") or []),
        "TagList": tag_list(properties.get("Tags")),
    }
    if as_bool(properties.get("ManageMasterUserPassword", False)) and not cluster.get("MasterUserSecret"):
        cluster["MasterUserSecret"] = managed_secret(physical_id, cluster, properties)
    if secret := cluster.get("MasterUserSecret"):
        attributes = {**attributes, "MasterUserSecret.SecretArn": secret["SecretArn"]}
    return physical_id, {**attributes, "DBClusterIdentifier": physical_id, "StorageThroughput": "0"}


def managed_secret(physical_id: str, cluster: dict[str, Any], properties: Properties) -> dict[str, Any]:
    """Create the secret that RDS manages for a cluster's master user, and return its description."""
    password = rds._generate_master_user_password()
    cluster["_MasterUserPassword"] = password
    arn = secretsmanager.create_secret_in_process(
        f"rds!cluster-{uuid.uuid4()}",
        json.dumps({"username": cluster["MasterUsername"], "password": password}),
        description=f"Secret managed by RDS for DB cluster {physical_id}",
    )
    key = (properties.get("MasterUserSecret") or {}).get("KmsKeyId", "")
    name = secret_name(arn)
    secretsmanager._secrets[name] |= {"KmsKeyId": key or None, "OwningService": "rds", "RotationEnabled": True}
    secretsmanager._secrets[name]["RotationRules"] = {"AutomaticallyAfterDays": 7}
    return {"SecretArn": arn, "SecretStatus": "active", "KmsKeyId": key}


def complete_instance(physical_id: str, attributes: dict[str, Any], properties: Properties) -> Provisioned:
    """Set the role and the inherited properties of a cluster's instance. Raise ValueError without its cluster."""
    instance = rds._instances[physical_id]
    cluster = rds._clusters.get(properties.get("DBClusterIdentifier", ""))
    if properties.get("DBClusterIdentifier") and cluster is None:
        raise ValueError(f"DBCluster {properties['DBClusterIdentifier']} not found.")
    if cluster is not None:
        # The first member is the writer, the others are readers.
        for index, member in enumerate(cluster["DBClusterMembers"]):
            member["IsClusterWriter"] = index == 0
        for name in ("StorageEncrypted", "KmsKeyId", "DeletionProtection"):
            instance[name] = cluster.get(name)
        instance["Endpoint"]["Port"] = cluster["Port"]
    attributes = {**attributes, "Endpoint.Port": str(instance["Endpoint"]["Port"])}
    return physical_id, attributes


def checked_delete(store: Any, physical_id: str, properties: Properties, delete: Any) -> None:
    """Delete a cluster or an instance. Raise ValueError if a cluster is protected or still has instances."""
    record = store.get(physical_id)
    if record and record.get("DeletionProtection") and store is rds._clusters:
        raise ValueError(
            f"Cannot delete protected Cluster, please disable deletion protection and try again: {physical_id}"
        )
    if record and store is rds._clusters and record.get("DBClusterMembers"):
        raise ValueError("Cluster cannot be deleted, it still contains DB instances in non-deleting state.")
    delete(physical_id, properties)
    secret = (record or {}).get("MasterUserSecret")
    if secret:
        secretsmanager._secrets.pop(secret_name(secret["SecretArn"]), None)


def subscribe(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    name = properties.get("SubscriptionName") or physical_name(stack_name, logical_id, 255, lowercase=True)
    _subscriptions[name] = properties
    return name, {}


def resubscribe(physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str) -> Provisioned:
    _subscriptions[physical_id] = new
    return physical_id, {}


def unsubscribe(physical_id: str, properties: Properties) -> None:
    _subscriptions.pop(physical_id, None)


@operation("rds:DescribeEventSubscriptions")
def describe_event_subscriptions(parameters: dict[str, Any], proceed: Any) -> str:
    """Answer DescribeEventSubscriptions."""
    wanted = (parameters.get("SubscriptionName") or [""])[0]
    members = ""
    for name, properties in _subscriptions.items():
        if wanted and name != wanted:
            continue
        sources = "".join(f"<SourceId>{source}</SourceId>" for source in properties.get("SourceIds") or [])
        categories = "".join(
            f"<EventCategory>{category}</EventCategory>" for category in properties.get("EventCategories") or []
        )
        members += (
            f"<EventSubscription><CustSubscriptionId>{name}</CustSubscriptionId>"
            f"<CustomerAwsId>{get_account_id()}</CustomerAwsId>"
            f"<EventSubscriptionArn>arn:aws:rds:{get_region()}:{get_account_id()}:es:{name}</EventSubscriptionArn>"
            f"<SnsTopicArn>{properties.get('SnsTopicArn', '')}</SnsTopicArn><Status>active</Status>"
            f"<SourceType>{properties.get('SourceType', '')}</SourceType>"
            f"<Enabled>{str(properties.get('Enabled', True)).lower()}</Enabled>"
            f"<SourceIdsList>{sources}</SourceIdsList><EventCategoriesList>{categories}</EventCategoriesList>"
            "</EventSubscription>"
        )
    return f"<EventSubscriptionsList>{members}</EventSubscriptionsList>"


# --- Secrets Manager ----------------------------------------------------------------------------------------


def secret_name(arn: str) -> str:
    """Return a secret's name from its ARN, without the six characters that AWS appends."""
    return next((name for name, secret in secretsmanager._secrets.items() if secret["ARN"] == arn), arn)


def identify_secrets_by_arn() -> None:
    """Make the ARN the physical id of a secret, which Ref returns. MiniStack uses the name."""
    handlers = dict(native_handlers(SECRET_RESOURCE))
    create, update, delete = handlers["create"], handlers["update"], handlers["delete"]

    def create_by_arn(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
        name, attributes = create(logical_id, properties, stack_name)
        if "SecretString" not in properties and "GenerateSecretString" not in properties:
            secretsmanager._secrets[name]["Versions"] = {}
        return attributes["Arn"], attributes

    def update_by_arn(
        physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str
    ) -> Provisioned:
        update(secret_name(physical_id), old, new, stack_name, logical_id)
        return physical_id, {"Id": physical_id, "Arn": physical_id}

    def delete_by_arn(physical_id: str, properties: Properties) -> None:
        delete(secret_name(physical_id), properties)

    provisioners._RESOURCE_HANDLERS[SECRET_RESOURCE] = handlers | {
        "create": create_by_arn,
        "update": update_by_arn,
        "delete": delete_by_arn,
    }


def create_secret(data: dict[str, Any]) -> Any:
    """Create a secret. Without a value it has no version, so that AWSCURRENT names nothing."""
    status, headers, body = _create_secret(data)
    if status >= 400 or data.get("SecretString") is not None or data.get("SecretBinary") is not None:
        return status, headers, body
    secretsmanager._secrets[data["Name"]]["Versions"] = {}
    answer = json.loads(body)
    del answer["VersionId"]
    return status, headers, json.dumps(answer).encode()


def value_failure(value_from: str) -> str:
    """Return why ECS cannot read the value of a container's secret, or an empty string. Parameters are not checked."""
    if ":secretsmanager:" not in value_from:
        return ""
    # A secret's ARN has seven parts. ECS adds the key, the stage and the version.
    parts = value_from.split(":")
    arn, key = ":".join(parts[:7]), parts[7] if len(parts) > 7 else ""
    status, _, body = secretsmanager._get_secret_value({"SecretId": arn})
    answer = json.loads(body)
    if status >= 400:
        return (
            f"service call has been retried 1 time(s): failed to fetch secret {arn} from secrets manager: "
            f"{answer['__type']}: {answer['message']}"
        )
    if not key:
        return ""
    try:
        known = key in json.loads(answer["SecretString"])
    except (KeyError, TypeError, ValueError):
        known = False
    return "" if known else f"retrieved secret from Secrets Manager did not contain json key {key}"


def secret_string(properties: Properties) -> str:
    """Return the declared or generated value. MiniStack ignores most properties of GenerateSecretString."""
    wanted = properties.get("GenerateSecretString")
    if wanted is None:
        return str(properties.get("SecretString", ""))
    classes = [
        characters
        for name, characters in (
            ("ExcludeLowercase", string.ascii_lowercase),
            ("ExcludeUppercase", string.ascii_uppercase),
            ("ExcludeNumbers", string.digits),
            ("ExcludePunctuation", string.punctuation),
        )
        if not as_bool(wanted.get(name, False))
    ]
    if as_bool(wanted.get("IncludeSpace", False)):
        classes.append(" ")
    excluded = set(wanted.get("ExcludeCharacters", ""))
    alphabets = [[character for character in characters if character not in excluded] for characters in classes]
    alphabets = [alphabet for alphabet in alphabets if alphabet]
    # AWS includes each character class by default (RequireEachIncludedType).
    characters = [secrets.choice(alphabet) for alphabet in alphabets]
    everything = [character for alphabet in alphabets for character in alphabet]
    while len(characters) < int(wanted.get("PasswordLength", 32)):
        characters.append(secrets.choice(everything))
    secrets.SystemRandom().shuffle(characters)
    generated = "".join(characters)
    if "SecretStringTemplate" not in wanted:
        return generated
    document = json.loads(wanted["SecretStringTemplate"])
    return json.dumps({**document, wanted["GenerateStringKey"]: generated})


@operation("secretsmanager.RotateSecret")
async def rotate_secret(parameters: dict[str, Any], proceed: Proceed) -> Any:
    """Rotate a secret with its function, or set a new password in a secret that RDS manages.

    If the request only sets the schedule, nothing is rotated. MiniStack copies the old password in all cases.
    """
    secret = secretsmanager._secrets.get(secret_name(parameters.get("SecretId", "")))
    if secret is not None and parameters.get("RotateImmediately") is False:
        secret["RotationRules"] = parameters.get("RotationRules") or secret.get("RotationRules")
        secret["RotationEnabled"] = True
        current, _ = secretsmanager._find_stage_version(secret, "AWSCURRENT")
        return {"ARN": secret["ARN"], "Name": secret["Name"], "VersionId": current}
    if secret is not None and secret.get("RotationLambdaARN"):
        return await start_rotation(secret, parameters.get("ClientRequestToken") or str(uuid.uuid4()))
    reply = await proceed()
    if reply[0] == 200 and secret is not None and secret.get("OwningService") == "rds":
        _, current = secretsmanager._find_stage_version(secret, "AWSCURRENT")
        value = json.loads(current["SecretString"])
        current["SecretString"] = json.dumps({**value, "password": rds._generate_master_user_password()})
        secret["LastRotatedDate"] = time.time()
    return reply


@operation("secretsmanager.DescribeSecret")
async def describe_secret(parameters: dict[str, Any], proceed: Proceed) -> Reply:
    """Add the date of the last rotation and the owning service, which MiniStack omits."""
    status, headers, body = await proceed()
    secret = secretsmanager._secrets.get(secret_name(parameters.get("SecretId", "")))
    if status == 200 and secret is not None:
        more = {name: secret[name] for name in ("LastRotatedDate", "OwningService") if secret.get(name)}
        body = json.dumps({**json.loads(body), **more}).encode()
    return status, headers, body
