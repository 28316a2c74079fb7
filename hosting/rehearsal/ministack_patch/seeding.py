"""Creates prerequisites in the emulator under the ids that parameter files give them.

The real APIs choose ids and digests themselves. These operations exist only in the emulator, for
`hosting.rehearsal.prerequisites`.
"""

from __future__ import annotations

import time
from typing import Any

from ministack.core.responses import now_iso
from ministack.services import acm, ecr, route53, secretsmanager

from hosting.rehearsal.ministack_patch.api import Proceed, RefusedError, Reply, operation

# Digests of images whose application does not start, so that ECS never finds a healthy task.
failing_images: set[str] = set()
# The alarm that changes to ALARM while an image with this digest is deployed.
alarming_images: dict[str, str] = {}

ECR = "AmazonEC2ContainerRegistry_V20150921"


@operation("Rehearsal.HostedZone")
def hosted_zone(parameters: dict[str, Any], _proceed: Proceed) -> dict[str, Any]:
    """Create a hosted zone with a given id."""
    identifier, name = parameters["Id"], route53._normalise_name(parameters["Name"])
    route53._zones[identifier] = {
        "id": identifier,
        "name": name,
        "caller_reference": identifier,
        "comment": "placeholder for the real zone",
        "private": False,
        "vpcs": [],
    }
    route53._records[identifier] = route53._default_records(name)
    return {}


@operation("Rehearsal.Certificate")
def certificate(parameters: dict[str, Any], _proceed: Proceed) -> dict[str, Any]:
    """Create an issued certificate with a given ARN."""
    arn, domain = parameters["Arn"], parameters["DomainName"]
    acm._certificates[arn] = {
        "CertificateArn": arn,
        "DomainName": domain,
        "SubjectAlternativeNames": [domain],
        "Status": "ISSUED",
        "Type": "AMAZON_ISSUED",
        "CreatedAt": now_iso(),
        "IssuedAt": now_iso(),
        "NotBefore": now_iso(),
        "NotAfter": acm._future_iso(365 * 24 * 3600),
        "DomainValidationOptions": [],
        "ValidationMethod": "DNS",
        "Tags": [],
        "Options": {},
        "_pem_body": acm._synthetic_pem(domain),
        "_pem_chain": "",
        "_private_key": "",
    }
    return {}


@operation("Rehearsal.Secret")
def secret(parameters: dict[str, Any], _proceed: Proceed) -> dict[str, Any]:
    """Create a secret with a given ARN and value."""
    # The name ends before the hyphen and six characters that Secrets Manager appends.
    name = parameters["Arn"].rpartition(":")[2][:-7]
    secretsmanager._store_new_secret(name, secret_string=parameters["Value"], description=parameters["Description"])
    secretsmanager._secrets[name]["ARN"] = parameters["Arn"]
    return {}


@operation("Rehearsal.Image")
def image(parameters: dict[str, Any], _proceed: Proceed) -> dict[str, Any]:
    """Add an image with a given digest to a repository.

    With `Starts` "false" its container ends at once. With `Alarm` its deployment puts that alarm into ALARM.
    """
    repository, digest = parameters["Repository"], parameters["Digest"]
    if parameters.get("Starts") == "false":
        failing_images.add(digest)
    if alarm := parameters.get("Alarm"):
        alarming_images[digest] = alarm
    if repository not in ecr._repositories:
        raise RefusedError("RepositoryNotFoundException", f"The repository with name '{repository}' does not exist")
    tag = f"rehearsal-{digest.rpartition(':')[2][:12]}"
    pushed = {
        "imageId": {"imageDigest": digest, "imageTag": tag},
        "imageDigest": digest,
        "imageTags": [tag],
        "imageManifest": "{}",
        "imagePushedAt": int(time.time()),
    }
    ecr._images[repository] = [*(ecr._images.get(repository) or []), pushed]
    return {}


@operation(f"{ECR}.DescribeImages")
async def describe_images(parameters: dict[str, Any], proceed: Proceed) -> Reply:
    """Answer ImageNotFoundException for a missing image, as ECR does. MiniStack returns an empty list."""
    repository = parameters.get("repositoryName", "")
    for wanted in parameters.get("imageIds") or []:
        if repository in ecr._repositories and not ecr._find_image(repository, wanted):
            raise RefusedError(
                "ImageNotFoundException",
                f"The image with imageId {wanted} does not exist within the repository with name '{repository}'",
            )
    return await proceed()


@operation(f"{ECR}.BatchDeleteImage")
def batch_delete_image(parameters: dict[str, Any], _proceed: Proceed) -> dict[str, Any]:
    """Remove the tags that are named, and an image together with its digest or its last tag.

    MiniStack deletes the image if one of its tags is removed.
    """
    repository = parameters["repositoryName"]
    if repository not in ecr._repositories:
        raise RefusedError("RepositoryNotFoundException", f"The repository with name '{repository}' does not exist")
    deleted, failures = [], []
    for wanted in parameters.get("imageIds") or []:
        found = ecr._find_image(repository, wanted)
        if found is None:
            failures.append({"imageId": wanted, "failureCode": "ImageNotFound"})
            continue
        rest = [tag for tag in found["imageTags"] if tag != wanted.get("imageTag")]
        if rest and "imageDigest" not in wanted:
            found["imageTags"] = rest
            found["imageId"] = {"imageDigest": found["imageDigest"], "imageTag": rest[0]}
        else:
            ecr._images[repository].remove(found)
        deleted.append({"imageDigest": found["imageDigest"], **wanted})
    return {"imageIds": deleted, "failures": failures}
