"""An image that an environment runs, or may roll back to, never expires, however many images others push."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any
from unittest.mock import create_autospec

import pytest
from botocore.exceptions import ClientError

from generator.stacks.bootstrap import Config, lifecycle
from hosting.deployer import deployment, pipeline
from hosting.deployer.aws.stacks import StackState
from hosting.deployer.operate.images import Reference
from hosting.deployer.reporter import Reporter
from hosting.deployer.safeguards.image_protection import RELEASES, protect_images, release_images
from hosting.model.stack_order import Stack, StackRole
from hosting.rehearsal.emulator import DEFAULT_ACCOUNT, DEFAULT_REGION, Emulator
from tests.support.image_lifecycle import PushedImage, find_expired

POLICY: dict[str, Any] = lifecycle(Config())
PUSHES = 500


class Repository:
    """A repository with immutable tags in an account of the emulator."""

    def __init__(self, emulator: Emulator, name: str) -> None:
        self.client = emulator.clients(DEFAULT_ACCOUNT, DEFAULT_REGION).ecr(DEFAULT_REGION)
        self.name = name
        self.client.create_repository(repositoryName=name, imageTagMutability="IMMUTABLE")
        self.pushed: list[str] = []

    def push(self, tag: str | None = "") -> Reference:
        """Push one more image, by default with a tag of its own, and return its reference."""
        manifest = f'{{"schemaVersion": 2, "number": {len(self.pushed)}}}'
        digest = f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"
        named = {} if tag is None else {"imageTag": tag or f"build-{len(self.pushed)}"}
        self.client.put_image(repositoryName=self.name, imageManifest=manifest, imageDigest=digest, **named)
        self.pushed.append(digest)
        return Reference(f"{DEFAULT_ACCOUNT}.dkr.ecr.{DEFAULT_REGION}.amazonaws.com", self.name, digest)

    def tags(self) -> dict[str, list[str]]:
        """Return the tags of each digest."""
        pages = self.client.get_paginator("describe_images").paginate(repositoryName=self.name)
        return {one["imageDigest"]: one.get("imageTags", []) for page in pages for one in page["imageDetails"]}

    def expired(self) -> set[str]:
        """Return the digests that the lifecycle policy of bootstrap expires now."""
        images = [
            PushedImage(digest, tuple(tags), self.pushed.index(digest), age=99) for digest, tags in self.tags().items()
        ]
        return find_expired(POLICY, images)


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """An emulator of its own."""
    with Emulator() as started:
        yield started


def test_500_later_pushes_do_not_expire_the_image_of_a_quiet_environment(emulator: Emulator) -> None:
    repository = Repository(emulator, "shop/quiet")
    running = repository.push()
    (tagged,) = protect_images(repository.client, "prod", [running])
    assert running.digest[:19] in tagged
    others = [repository.push() for _ in range(PUSHES)]
    expired = repository.expired()
    assert running.digest not in expired
    assert others[0].digest in expired, "images that no environment runs do expire"
    assert others[-1].digest not in expired


def test_without_the_tag_the_image_would_expire(emulator: Emulator) -> None:
    repository = Repository(emulator, "shop/unprotected")
    running = repository.push()
    for _ in range(Config().images_kept):
        repository.push()
    assert running.digest in repository.expired()


def test_a_second_deployment_of_the_same_image_adds_no_tag(emulator: Emulator) -> None:
    repository = Repository(emulator, "shop/again")
    image = repository.push()
    assert protect_images(repository.client, "prod", [image])
    assert protect_images(repository.client, "prod", [image]) == []
    assert len(repository.tags()[image.digest]) == 2


def test_the_latest_releases_of_each_environment_stay_protected_and_older_ones_do_not(emulator: Emulator) -> None:
    repository = Repository(emulator, "shop/busy")
    running = repository.push()
    protect_images(repository.client, "prod", [running])
    # The name of this environment begins with the name of the other one.
    releases = [repository.push() for _ in range(RELEASES + 3)]
    for release in releases:
        protect_images(repository.client, "prod-eu", [release])
    protected = {digest for digest, tags in repository.tags().items() if any(tag.startswith("in-use-") for tag in tags)}
    assert protected == {running.digest, *(release.digest for release in releases[-RELEASES:])}
    assert len(repository.tags()) == RELEASES + 4, "no image was deleted"


def test_an_image_without_a_tag_of_its_own_keeps_the_protecting_one(emulator: Emulator) -> None:
    """ECR deletes an image together with its last tag."""
    repository = Repository(emulator, "shop/digest-only")
    image = repository.push(tag=None)
    protect_images(repository.client, "dev", [image])
    release_images(repository.client, "dev", [image])
    assert image.digest in repository.tags()


def test_a_destroyed_environment_protects_nothing_any_more(emulator: Emulator) -> None:
    repository = Repository(emulator, "shop/destroyed")
    image = repository.push()
    for environment in ("dev", "prod"):
        protect_images(repository.client, environment, [image])
    release_images(repository.client, "dev", [image])
    (tag,) = (tag for tag in repository.tags()[image.digest] if tag.startswith("in-use-"))
    assert tag.startswith("in-use-prod-")


def test_a_missing_image_is_left_out(emulator: Emulator) -> None:
    repository = Repository(emulator, "shop/missing")
    missing = Reference("registry.example.com", repository.name, f"sha256:{'0' * 64}")
    assert protect_images(repository.client, "prod", [missing]) == []


def test_a_lost_reply_to_the_tagging_is_a_success(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = Repository(emulator, "shop/lost-reply")
    image = repository.push()
    put_image = repository.client.put_image

    def put_and_repeat(**request: Any) -> None:
        """Send the request. The SDK repeats it, because the reply is lost, and ECR has the tag already."""
        put_image(**request)
        answer = {"Error": {"Code": "ImageAlreadyExistsException", "Message": "Image with digest and tag exists"}}
        raise ClientError(answer, "PutImage")  # type: ignore[arg-type]

    monkeypatch.setattr(repository.client, "put_image", put_and_repeat)
    (tagged,) = protect_images(repository.client, "prod", [image])
    assert image.digest[:19] in tagged
    assert len(repository.tags()[image.digest]) == 2


def test_a_role_without_the_permission_gets_a_warning_and_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> list[str]:
        answer = {"Error": {"Code": "AccessDeniedException", "Message": "not authorized to perform: ecr:PutImage"}}
        raise ClientError(answer, "PutImage")  # type: ignore[arg-type]

    monkeypatch.setattr(deployment, "protect_images", refuse)
    reporter = create_autospec(Reporter, instance=True)
    context = create_autospec(deployment.Context, instance=True)
    root = Stack(StackRole.ROOT, "shop-prod", DEFAULT_REGION)
    state = create_autospec(StackState, instance=True)
    pipeline._protect_images(pipeline.DeploymentRun(context, reporter), root, state)
    (text, level), _ = reporter.notify.call_args
    assert level == "alert"
    assert "ecr:PutImage" in text
    assert "deploy.py policy deploy" in text


A, B, C = (
    PushedImage("A", ("beta-1", "prod-1"), 1, 10),
    PushedImage("B", ("beta-2", "prod-2"), 2, 9),
    PushedImage("C", ("beta-3",), 3, 8),
)


@pytest.mark.parametrize(
    ("prefixes", "expected"),
    [(("prod", "beta"), {"A"}), (("beta", "prod"), {"A", "B"})],
    ids=["example A", "example B"],
)
def test_the_evaluation_agrees_with_the_examples_of_aws(prefixes: tuple[str, ...], expected: set[str]) -> None:
    """Amazon ECR User Guide, Examples of lifecycle policies, "Filtering on multiple rules"."""
    rules = [
        {
            "rulePriority": number,
            "selection": {
                "tagStatus": "tagged", "tagPrefixList": [prefix], "countType": "imageCountMoreThan", "countNumber": 1,
            },
        }
        for number, prefix in enumerate(prefixes, 1)
    ]  # fmt: skip
    assert find_expired({"rules": rules}, [A, B, C]) == expected
