"""Resources that remain after an environment is destroyed, and whether they are retained on purpose."""

from __future__ import annotations

from collections.abc import Iterator

from hosting.rehearsal.checks import stores
from hosting.rehearsal.checks.base import Area, Deployed, Proof
from hosting.rehearsal.prerequisites import NOT_OURS

proof = Area("destroy")


def nothing_runs(deployed: Deployed) -> Iterator[Proof]:
    """Check that no resource with an hourly price is left."""
    ec2 = deployed.client("ec2")
    left = {
        "VPCs": [vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"] if not vpc["IsDefault"]],
        "NAT gateways": [one["NatGatewayId"] for one in ec2.describe_nat_gateways()["NatGateways"]],
        "addresses": [one["PublicIp"] for one in ec2.describe_addresses()["Addresses"]],
        "clusters": deployed.pages("ecs", "list_clusters", "clusterArns"),
        "load balancers": deployed.pages("elbv2", "describe_load_balancers", "LoadBalancers"),
        "databases": deployed.pages("rds", "describe_db_clusters", "DBClusters"),
        "functions": deployed.pages("lambda", "list_functions", "Functions"),
        "log groups": deployed.pages("logs", "describe_log_groups", "logGroups"),
        "alarms": deployed.pages("cloudwatch", "describe_alarms", "MetricAlarms"),
        "roles": deployed.pages("iam", "list_roles", "Roles"),
        # Secrets of apps are kept: what they encrypt is unreadable without them.
        "secrets": [
            one["Name"]
            for one in deployed.pages("secretsmanager", "list_secrets", "SecretList")
            if not one["Name"].startswith(f"{deployed.family}/") and one.get("Description") != NOT_OURS
        ],
    }
    found = {name: len(items) for name, items in left.items() if items}
    yield proof("nothing that costs by the hour is left, and nothing without an owner", not found, found or list(left))


def data_is_kept(deployed: Deployed) -> Iterator[Proof]:
    """Check the final snapshot and the archive bucket, if the project has them."""
    if deployed.has_database:
        snapshots = deployed.client("rds").describe_db_cluster_snapshots()["DBClusterSnapshots"]
        own = [one["DBClusterSnapshotIdentifier"] for one in snapshots if one["DBClusterIdentifier"] == deployed.family]
        yield proof("the database left a last snapshot", own, own)
    if not deployed.has_archive:
        return
    present = {bucket["Name"] for bucket in deployed.client("s3").list_buckets()["Buckets"]}
    archive = deployed.outputs["root"]["ArchiveBucketName"]
    yield proof("the archive of logs is kept", archive in present, archive)


def stores_are_kept(deployed: Deployed) -> Iterator[Proof]:
    """Check that buckets still have their objects, and that queues and volumes remain."""
    for name, bucket in stores.own(deployed, "AWS::S3::Bucket").items():
        objects = deployed.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])
        yield proof(f"{name} is kept with its objects", objects, [one["Key"] for one in objects])
    for name, url in stores.own(deployed, "AWS::SQS::Queue").items():
        found = deployed.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
        yield proof(f"{name} is kept", found, url)
    for name, id in stores.own(deployed, "AWS::EFS::FileSystem").items():
        (system,) = deployed.client("efs").describe_file_systems(FileSystemId=id)["FileSystems"]
        yield proof(f"{name} is kept without a mount target", system["NumberOfMountTargets"] == 0, id)


CHECKS = (nothing_runs, data_is_kept, stores_are_kept)
