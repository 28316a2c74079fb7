"""Values that are looked up in the AWS account and passed as parameters. They are in no parameter file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from hosting.deployer.aws.stacks import StackState, list_resources, read_template
from hosting.deployer.errors import DeployerError
from hosting.model.errors import Problem
from hosting.model.templates import Template

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_route53 import Route53Client

SERVICE_IS_NEW = "ServiceIsNew"
PREFIX_LIST_ID = "CloudFrontPrefixListId"

_PREFIX_LIST = "com.amazonaws.global.cloudfront.origin-facing"
_PRIVATE_IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/"
    r"(?P<repository>[^@:]+)(?::[^@]+)?@(?P<digest>sha256:[0-9a-f]{64})"
)


def find_prefix_list_id(client: EC2Client, region: str) -> str:
    """Return the id of the prefix list of CloudFront's origin-facing addresses. It differs by region."""
    found = client.describe_managed_prefix_lists(Filters=[{"Name": "prefix-list-name", "Values": [_PREFIX_LIST]}])
    lists = found["PrefixLists"]
    if not lists:
        raise DeployerError(
            f"prefix list {_PREFIX_LIST} does not exist", where=region, hint="use a region with CloudFront"
        )
    return lists[0]["PrefixListId"]


def find_new_services(
    cloudformation: CloudFormationClient,
    ecs: ECSClient,
    template: Template,
    root: StackState | None,
    values: Mapping[str, str],
) -> str:
    """Return `true` or `false` for each service, in the order of the template: whether it is new.

    A service that exists keeps the desired count that its scaling chose. Only a new service gets a desired count. The
    answer changes once a service has been created. So if nothing else differs from the deployed stack, the previous
    answer is returned, and a second deployment finds no changes.
    """
    if root is None:
        return ",".join("true" for _ in template.services)
    previous = root.parameters.get(SERVICE_IS_NEW)
    if previous is not None and previous.count(",") + 1 == len(template.services):
        others = {key: value for key, value in root.parameters.items() if key != SERVICE_IS_NEW}
        if others == dict(values) and read_template(cloudformation, root.id) == template.body:
            return previous
    nested = {item.logical_id: item.physical_id for item in list_resources(cloudformation, root.id)}
    return ",".join(
        "false" if _exists(cloudformation, ecs, root.name, nested.get(f"{name}ServiceStack")) else "true"
        for name in template.services
    )


def find_missing_images(
    client: ECRClient, account: str, region: str, images: Mapping[str, tuple[str, str]]
) -> Iterator[tuple[str, Problem]]:
    """Yield each image of the account's own registry that does not exist, with its parameter.

    Without the image, tasks would fail to start until the deployment times out. `images` maps a parameter to its place
    in the parameter file and the image. Other registries are not checked.
    """
    for key, (where, image) in images.items():
        match = _PRIVATE_IMAGE.fullmatch(image)
        if not match or match["account"] != account or match["region"] != region:
            continue
        if not _pushed(client, match["repository"], match["digest"]):
            what = f"{key}: {match['repository']}@{match['digest'][:19]}... is not in the registry"
            yield key, Problem(where, what, f"push the image, then write its digest here ({image.split('@')[0]})")


@dataclass(frozen=True)
class HostedZone:
    """A hosted zone of the account: its DNS name without the last dot, and whether it is private."""

    name: str
    is_private: bool

    def contains(self, domain: str) -> bool:
        """Return whether a record of this domain belongs into the zone."""
        return domain == self.name or domain.endswith(f".{self.name}")


def find_hosted_zone(client: Route53Client, identifier: str) -> HostedZone | None:
    """Return the hosted zone, or None if the account does not have it."""
    try:
        found = client.get_hosted_zone(Id=identifier)["HostedZone"]
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "NoSuchHostedZone":
            raise
        return None
    return HostedZone(found["Name"].rstrip("."), bool(found.get("Config", {}).get("PrivateZone")))


def select_images(names: Iterable[str], values: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters whose value is an image."""
    return {name: values[name] for name in names if name.endswith("Image") and values.get(name)}


def _pushed(client: ECRClient, repository: str, digest: str) -> bool:
    try:
        found = client.describe_images(repositoryName=repository, imageIds=[{"imageDigest": digest}])
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in {"ImageNotFoundException", "RepositoryNotFoundException"}:
            return False
        raise
    return bool(found["imageDetails"])


def _exists(cloudformation: CloudFormationClient, ecs: ECSClient, cluster: str, nested: str | None) -> bool:
    """Return whether the service of a nested stack exists. CloudFormation may list one whose creation failed."""
    if not nested:
        return False
    services = [item.physical_id for item in list_resources(cloudformation, nested) if item.type == "AWS::ECS::Service"]
    try:
        found = [ecs.describe_services(cluster=cluster, services=[name])["services"] for name in services if name]
    except ClientError as error:
        # In a failed deletion the cluster may be deleted before the stack of its services.
        if error.response.get("Error", {}).get("Code") == "ClusterNotFoundException":
            return False
        raise
    return any(service.get("status") == "ACTIVE" for answer in found for service in answer)
