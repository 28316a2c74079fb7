"""Which platforms an image is built for, asked of its registry.

An image for another machine starts nowhere: ECS says "exec format error" after minutes, and the deployment rolls
back after an hour. The registry knows beforehand.
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from deployer.errors import DeployerError

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

# Docker's words for what ECS calls CpuArchitecture.
ARCHITECTURES = {"X86_64": "amd64", "ARM64": "arm64"}

_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
_TIMEOUT = 15.0

Fetch = Callable[[str, Mapping[str, str]], bytes]


class NotThereError(DeployerError):
    """The registry does not have the image."""


@dataclass(frozen=True)
class Reference:
    """An image pinned by digest."""

    registry: str
    repository: str
    digest: str

    @property
    def account(self) -> str:
        """The account whose private registry it is; empty for any other registry."""
        match = re.fullmatch(r"(\d{12})\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?", self.registry)
        return match[1] if match else ""

    @property
    def region(self) -> str:
        return self.registry.split(".")[3] if self.account else ""


def parse(image: str) -> Reference | None:
    """The parts of an image's name; None for one without registry or digest."""
    match = re.fullmatch(r"([^/]+\.[^/]+)/([^@:]+)(?::[^@]+)?@(sha256:[0-9a-f]{64})", image)
    return Reference(match[1], match[2], match[3]) if match else None


def of_ecr(client: ECRClient, image: Reference, fetch: Fetch) -> set[str]:
    """Platforms of an image in a private registry, as "linux/arm64"."""
    try:
        answer = client.batch_get_image(
            registryId=image.account,
            repositoryName=image.repository,
            imageIds=[{"imageDigest": image.digest}],
            acceptedMediaTypes=[*_INDEXES, *_MANIFESTS],
        )
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == "RepositoryNotFoundException":
            raise NotThereError(f"there is no repository {image.repository}") from error
        raise
    if not answer["images"]:
        raise NotThereError(f"{image.repository} has no image {image.digest[:19]}...")

    def blob(digest: str) -> bytes:
        url = client.get_download_url_for_layer(
            registryId=image.account, repositoryName=image.repository, layerDigest=digest
        )["downloadUrl"]
        return fetch(url, {})

    return _platforms(json.loads(answer["images"][0]["imageManifest"]), blob)


def of_public(image: Reference, fetch: Fetch) -> set[str]:
    """Platforms of an image in a registry that answers everybody, by the protocol that all registries speak."""
    base = f"https://{image.registry}/v2/{image.repository}"
    token = _token(image, fetch)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    accept = {**headers, "Accept": ", ".join((*_INDEXES, *_MANIFESTS))}
    try:
        manifest = json.loads(fetch(f"{base}/manifests/{image.digest}", accept))
    except urllib.error.HTTPError as error:
        if error.code == 404:
            raise NotThereError(f"{image.registry} has no {image.repository}@{image.digest[:19]}...") from error
        raise
    return _platforms(manifest, lambda digest: fetch(f"{base}/blobs/{digest}", headers))


def over_https(url: str, headers: Mapping[str, str]) -> bytes:
    """Fetch an address of a registry."""
    if not url.startswith("https://"):
        raise DeployerError(f"{url} is not https")
    request = urllib.request.Request(url, headers=dict(headers))  # noqa: S310 - https, see above
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
        data: bytes = answer.read(4 * 1024**2)
        return data


def _token(image: Reference, fetch: Fetch) -> str:
    """Leave to read, which public registries give to everybody who asks."""
    if image.registry == "public.ecr.aws":
        url = f"https://public.ecr.aws/token/?service=public.ecr.aws&scope=repository:{image.repository}:pull"
    elif image.registry == "ghcr.io":
        url = f"https://ghcr.io/token?service=ghcr.io&scope=repository:{image.repository}:pull"
    else:
        return ""
    return str(json.loads(fetch(url, {}))["token"])


def _platforms(manifest: dict[str, Any], blob: Callable[[str], bytes]) -> set[str]:
    if "manifests" in manifest:
        named = (one.get("platform", {}) for one in manifest["manifests"])
        # Attestations are listed too, as "unknown/unknown".
        return {f"{one['os']}/{one['architecture']}" for one in named if one.get("os") not in {None, "unknown"}}
    config = json.loads(blob(manifest["config"]["digest"]))
    return {f"{config['os']}/{config['architecture']}"}
