"""Protection of the images that an environment runs, or may roll back to, from the lifecycle policy of ECR.

All environments share the repositories, and the policy expires images by number. So many pushes for one environment
would expire what another one runs (github.com/aws/containers-roadmap/issues/1078). Each successful deployment
therefore adds a tag with the prefix `in-use-` to the images of the services. The policy in bootstrap excludes this
prefix.

Tags are immutable, so each release has its own tag: `in-use-<environment>-<time>-<first digits of the digest>`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from hosting.deployer.operate.images import MANIFEST_TYPES, Reference

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

PREFIX = "in-use-"
# Releases of an environment whose images are protected, the running one included.
RELEASES = 10


@dataclass(frozen=True)
class _Release:
    """A tag of an image that a deployment has added, and the other tags of the image."""

    tag: str
    digest: str
    # Whether the image has a tag that no deployment has added.
    is_pushed_with_tag: bool


def protect_images(client: ECRClient, environment: str, images: Iterable[Reference]) -> list[str]:
    """Tag the images that run, and remove the tags of all but the latest releases. Return the images tagged now.

    An image that has the environment's latest tag is not tagged again. A missing image is left out.
    """
    tagged: list[str] = []
    for repository, digests in _group(images).items():
        releases = _list_releases(client, environment, repository)
        latest = {one.digest for one in releases[-len(digests) :]}
        tagged += [
            f"{repository}@{digest[:19]}"
            for digest in sorted(digests - latest)
            if _add_tag(client, repository, digest, _create_tag(environment, digest))
        ]
        kept = RELEASES - len(digests - latest)
        _remove_tags(client, repository, releases[: max(0, len(releases) - kept)])
    return tagged


def release_images(client: ECRClient, environment: str, images: Iterable[Reference]) -> None:
    """Remove the tags of a destroyed environment from the repositories of these images. Deletes no image."""
    for repository in _group(images):
        _remove_tags(client, repository, _list_releases(client, environment, repository))


def _group(images: Iterable[Reference]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for image in images:
        found.setdefault(image.repository, set()).add(image.digest)
    return found


def _create_tag(environment: str, digest: str) -> str:
    return f"{PREFIX}{environment}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{digest.partition(':')[2][:12]}"


def _list_releases(client: ECRClient, environment: str, repository: str) -> list[_Release]:
    """Return the releases of an environment in a repository, the oldest first."""
    own = re.compile(rf"{PREFIX}{re.escape(environment)}-\d{{8}}T\d{{12}}-[0-9a-f]{{12}}")

    def find() -> Iterator[_Release]:
        pages = client.get_paginator("describe_images").paginate(
            repositoryName=repository, filter={"tagStatus": "TAGGED"}
        )
        for image in (image for page in pages for image in page["imageDetails"]):
            tags = image.get("imageTags", [])
            is_pushed_with_tag = any(not tag.startswith(PREFIX) for tag in tags)
            yield from (_Release(tag, image["imageDigest"], is_pushed_with_tag) for tag in tags if own.fullmatch(tag))

    return sorted(find(), key=lambda release: release.tag)


def _add_tag(client: ECRClient, repository: str, digest: str, tag: str) -> bool:
    """Add a tag to an image (Amazon ECR User Guide, Retagging an image). Return False if the image is missing."""
    found = client.batch_get_image(
        repositoryName=repository, imageIds=[{"imageDigest": digest}], acceptedMediaTypes=list(MANIFEST_TYPES)
    )["images"]
    for image in found:
        try:
            client.put_image(
                repositoryName=repository,
                imageManifest=image["imageManifest"],
                imageManifestMediaType=image["imageManifestMediaType"],
                imageTag=tag,
                imageDigest=digest,
            )
        except ClientError as error:
            # If a reply is lost, the repeated request reports that the image has the tag already: that is a success.
            if error.response.get("Error", {}).get("Code") != "ImageAlreadyExistsException":
                raise
    return bool(found)


def _remove_tags(client: ECRClient, repository: str, releases: Iterable[_Release]) -> None:
    # ECR deletes an image together with its last tag (Amazon ECR API Reference, BatchDeleteImage).
    tags = [release.tag for release in releases if release.is_pushed_with_tag]
    for first in range(0, len(tags), 100):
        client.batch_delete_image(
            repositoryName=repository, imageIds=[{"imageTag": tag} for tag in tags[first : first + 100]]
        )
