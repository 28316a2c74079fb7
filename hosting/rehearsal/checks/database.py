"""The database: encrypted, private, backed up, with a password that RDS generates and rotates."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

from hosting.rehearsal.checks.base import Area, Deployed, Proof

proof = Area("database")
_PATIENCE = 30.0


def cluster(deployed: Deployed) -> Iterator[Proof]:
    """Check encryption, network, deletion protection, backups and instances of the cluster, or that there is none."""
    if not deployed.has_database:
        found = deployed.pages("rds", "describe_db_clusters", "DBClusters")
        own = [one["DBClusterIdentifier"] for one in found if one["DBClusterIdentifier"] == deployed.family]
        yield proof("the project has no database, and the environment has none", not own, own or "none")
        return
    (found,) = deployed.client("rds").describe_db_clusters(DBClusterIdentifier=deployed.family)["DBClusters"]
    key = deployed.id("SecurityStack/DataKey")
    yield proof(
        "the cluster is available", found["Status"] == "available", f"{found['Engine']} {found['EngineVersion']}"
    )
    encrypted = found["StorageEncrypted"] and found.get("KmsKeyId", "").endswith(key)
    yield proof("storage is encrypted with our data key", encrypted, found.get("KmsKeyId"))
    groups = [group["VpcSecurityGroupId"] for group in found["VpcSecurityGroups"]]
    yield proof("it has its own security group", groups == [deployed.id("SecurityStack/DatabaseSecurityGroup")], groups)
    protected = str(found["DeletionProtection"]).lower()
    yield proof(
        "deletion protection is as the parameters say",
        protected == deployed.parameter("DeletionProtection"),
        protected,
    )
    days = str(found["BackupRetentionPeriod"])
    yield proof(
        "backups are kept as long as asked", days == deployed.parameter("DbBackupRetentionDays"), f"{days} days"
    )
    readers = [member for member in found["DBClusterMembers"] if not member["IsClusterWriter"]]
    wanted = 1 if deployed.parameter("DbReader") == "true" else 0
    seen = f"{len(found['DBClusterMembers'])} instances, {len(readers)} of them reading"
    yield proof("there are as many readers as asked", len(readers) == wanted, seen)


def instances(deployed: Deployed) -> Iterator[Proof]:
    if not deployed.has_database:
        return
    found = deployed.pages("rds", "describe_db_instances", "DBInstances")
    own = [one for one in found if one.get("DBClusterIdentifier") == deployed.family]
    public = [one["DBInstanceIdentifier"] for one in own if one["PubliclyAccessible"]]
    yield proof("no instance is public", own and not public, public or [one["DBInstanceClass"] for one in own])


def credentials(deployed: Deployed) -> Iterator[Proof]:
    """Check the secret of the master user: keys, encryption and rotation."""
    if not deployed.has_database:
        return
    manager = deployed.client("secretsmanager")
    arn = deployed.outputs["root"]["DatabaseSecretArn"]
    secret = manager.describe_secret(SecretId=arn)
    value = json.loads(manager.get_secret_value(SecretId=arn)["SecretString"])
    # The keys of the secret are enough. A proof must not contain the values.
    yield proof("RDS keeps the password in a secret", {"username", "password"} <= set(value), sorted(value))
    key = deployed.id("SecurityStack/DataKey")
    yield proof("the secret is encrypted with our data key", key in str(secret.get("KmsKeyId")), secret.get("KmsKeyId"))
    rules = secret.get("RotationRules", {})
    yield proof("the password is rotated every 30 days", rules.get("ScheduleExpression") == "rate(30 days)", rules)


def users_take_turns(deployed: Deployed) -> Iterator[Proof]:
    """Rotate the secret of each schema of a workload, and check that it names the other user of the schema."""
    manager = deployed.client("secretsmanager")
    for path, arn in deployed.ids("AWS::SecretsManager::Secret").items():
        if not path.startswith("DatabaseUsersStack/"):
            continue
        before = json.loads(manager.get_secret_value(SecretId=arn)["SecretString"])["username"]
        manager.rotate_secret(SecretId=arn)
        deadline = time.monotonic() + _PATIENCE
        after = before
        while after == before and time.monotonic() < deadline:
            time.sleep(0.1)
            after = json.loads(manager.get_secret_value(SecretId=arn)["SecretString"])["username"]
        name = path.removeprefix("DatabaseUsersStack/")
        turned = {before[-2:], after[-2:]} == {"_a", "_b"} and before[:-2] == after[:-2]
        yield proof(f"a rotation of {name} names the other user", turned, f"{before}, then {after}")


CHECKS = (cluster, instances, credentials, users_take_turns)
