"""What an account has before anybody deploys, put there under the names that parameter files give it.

The real APIs choose ids and digests themselves, so a rehearsal with a real parameter file needs another way
in. These operations exist only here, and only for `hosting.rehearsal.prerequisites`.
"""

from __future__ import annotations

import time
from typing import Any

from ministack.core.responses import now_iso
from ministack.services import acm, ecr, ecs, route53

from hosting.rehearsal.ministack_patch.api import Proceed, RefusedError, Reply, operation

ECR = "AmazonEC2ContainerRegistry_V20150921"


@operation("Rehearsal.HostedZone")
def hosted_zone(parameters: dict[str, Any], _proceed: Proceed) -> dict[str, Any]:
    identifier, name = parameters["Id"], route53._normalise_name(parameters["Name"])
    route53._zones[identifier] = {
        "id": identifier,
        "name": name,
        "caller_reference": identifier,
        "comment": "stands for a zone of yours",
        "private": False,
        "vpcs": [],
    }
    route53._records[identifier] = route53._default_records(name)
    return {}


@operation("Rehearsal.Certificate")
def certificate(parameters: dict[str, Any], _proceed: Proceed) -> dict[str, Any]:
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


@operation("Rehearsal.Image")
def image(parameters: dict[str, Any], _proceed: Proceed) -> dict[str, Any]:
    repository, digest = parameters["Repository"], parameters["Digest"]
    if repository not in ecr._repositories:
        raise RefusedError("RepositoryNotFoundException", f"The repository with name '{repository}' does not exist")
    pushed = {
        "imageDigest": digest,
        "imageTags": ["rehearsal"],
        "imageManifest": "{}",
        "imagePushedAt": int(time.time()),
    }
    ecr._images[repository] = [*(ecr._images.get(repository) or []), pushed]
    return {}


@operation("Rehearsal.EndTask")
def end_task(parameters: dict[str, Any], _proceed: Proceed) -> dict[str, Any]:
    """The app of a task has ended by itself: no container runs here that could."""
    task = ecs._tasks[parameters["Task"]]
    reason, code = "Essential container in task exited", int(parameters["ExitCode"])
    ecs._mark_task_stopped(task["taskArn"], task, reason, "EssentialContainerExited", exit_code=code)
    return {}


@operation(f"{ECR}.DescribeImages")
async def describe_images(parameters: dict[str, Any], proceed: Proceed) -> Reply:
    """An image asked for by name that is not there is an error at AWS; MiniStack answers an empty list."""
    repository = parameters.get("repositoryName", "")
    for wanted in parameters.get("imageIds") or []:
        if repository in ecr._repositories and not ecr._find_image(repository, wanted):
            raise RefusedError(
                "ImageNotFoundException",
                f"The image with imageId {wanted} does not exist within the repository with name '{repository}'",
            )
    return await proceed()
