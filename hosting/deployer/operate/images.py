"""Platforms of a container image, read from its registry.

An image for another machine never starts: ECS reports "exec format error" after minutes, and the deployment is rolled
back after an hour. The registry has this information before.
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from hosting.deployer.errors import DeployerError

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

# Docker's architecture by CpuArchitecture of ECS.
ARCHITECTURES = {"X86_64": "amd64", "ARM64": "arm64"}

_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
MANIFEST_TYPES = (*_INDEXES, *_MANIFESTS)
# Host of Docker Hub's registry. Its official images have the namespace library.
_HOSTS = {"docker.io": "registry-1.docker.io"}
_TIMEOUT = 15.0

Fetch = Callable[[str, Mapping[str, str]], bytes]


class ImageMissingError(DeployerError):
    """The registry does not have the image."""


@dataclass(frozen=True)
class Reference:
    """Image with a digest."""

    registry: str
    repository: str
    digest: str

    @property
    def account(self) -> str:
        """The account of a private ECR registry. Empty for any other registry."""
        match = re.fullmatch(r"(\d{12})\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?", self.registry)
        return match[1] if match else ""

    @property
    def region(self) -> str:
        return self.registry.split(".")[3] if self.account else ""


def parse_image(image: str) -> Reference | None:
    """Return the parts of an image reference. None if it has no registry or digest."""
    match = re.fullmatch(r"([^/]+\.[^/]+)/([^@:]+)(?::[^@]+)?@(sha256:[0-9a-f]{64})", image)
    return Reference(match[1], match[2], match[3]) if match else None


def read_ecr_platforms(client: ECRClient, image: Reference, fetch: Fetch) -> set[str]:
    """Return the platforms of an image in a private ECR registry, such as "linux/arm64"."""
    try:
        answer = client.batch_get_image(
            registryId=image.account,
            repositoryName=image.repository,
            imageIds=[{"imageDigest": image.digest}],
            acceptedMediaTypes=list(MANIFEST_TYPES),
        )
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == "RepositoryNotFoundException":
            raise ImageMissingError(f"repository {image.repository} does not exist") from error
        raise
    if not answer["images"]:
        raise ImageMissingError(f"{image.repository} has no image {image.digest[:19]}...")

    def blob(digest: str) -> bytes:
        url = client.get_download_url_for_layer(
            registryId=image.account, repositoryName=image.repository, layerDigest=digest
        )["downloadUrl"]
        return fetch(url, {})

    return _platforms(json.loads(answer["images"][0]["imageManifest"]), blob)


def read_public_platforms(image: Reference, fetch: Fetch) -> set[str]:
    """Return the platforms of an image in a public registry, read with the OCI distribution protocol."""
    host = _HOSTS.get(image.registry, image.registry)
    repository = image.repository
    if image.registry in _HOSTS and "/" not in repository:
        repository = f"library/{repository}"
    base = f"https://{host}/v2/{repository}"
    accept = {"Accept": ", ".join(MANIFEST_TYPES)}
    url, headers = f"{base}/manifests/{image.digest}", {}
    try:
        try:
            manifest = json.loads(fetch(url, accept))
        except urllib.error.HTTPError as error:
            if error.code != 401:
                raise
            # Public images need a token too. The registry names the server that issues it to any client.
            headers = {"Authorization": f"Bearer {_token(error.headers.get('WWW-Authenticate', ''), fetch)}"}
            manifest = json.loads(fetch(url, {**accept, **headers}))
    except urllib.error.HTTPError as error:
        if error.code == 404:
            raise ImageMissingError(f"{image.registry} has no {image.repository}@{image.digest[:19]}...") from error
        raise
    return _platforms(manifest, lambda digest: fetch(f"{base}/blobs/{digest}", headers))


def fetch_over_https(url: str, headers: Mapping[str, str]) -> bytes:
    """Return the content of a URL of a registry."""
    if not url.startswith("https://"):
        raise DeployerError(f"{url} does not use HTTPS")
    request = urllib.request.Request(url)  # noqa: S310 - https, see above
    for name, value in headers.items():
        # Registries redirect to an object store for blobs. The token is not sent there, and some stores
        # refuse it.
        add = request.add_unredirected_header if name == "Authorization" else request.add_header
        add(name, value)
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
        data: bytes = answer.read(4 * 1024**2)
        return data


def _token(challenge: str, fetch: Fetch) -> str:
    """Return an access token of the server in a challenge: Bearer realm="https://...",service="...",scope="..."."""
    fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    realm = fields.pop("realm", "")
    if not challenge.lower().startswith("bearer ") or not realm:
        raise ValueError("the registry offers no token")
    answer = json.loads(fetch(f"{realm}?{urllib.parse.urlencode(fields)}", {}))
    return str(answer.get("token") or answer["access_token"])


def _platforms(manifest: dict[str, Any], blob: Callable[[str], bytes]) -> set[str]:
    if "manifests" in manifest:
        named = (one.get("platform", {}) for one in manifest["manifests"])
        # Attestations are listed too, as "unknown/unknown".
        return {f"{one['os']}/{one['architecture']}" for one in named if one.get("os") not in {None, "unknown"}}
    config = json.loads(blob(manifest["config"]["digest"]))
    return {f"{config['os']}/{config['architecture']}"}
