"""Bootstrap: the artifact bucket and the image repositories, which every other stack needs.

There is one stack per project and region for all environments. It remains when an environment is destroyed. In us-
east-1, the region of the edge stacks, it contains the bucket only.
"""

import json
from typing import Annotated

from troposphere import Equals, FindInMap, Ref, Sub, Template
from troposphere.ecr import (
    EncryptionConfiguration,
    ImageScanningConfiguration,
    LifecyclePolicy,
    Repository,
)

from generator import parameter_specs as shared
from generator import value_types as v
from generator.resources.deletion_policies import deletion_policy
from generator.resources.s3 import add_access_log_bucket, bucket_policy, lifecycle_rule, private_bucket
from generator.wiring import FrozenConfig, ParameterSpec, StackInterface, add_outputs, add_parameters

LIFECYCLE = "Lifecycle"
# Prefix of the tags that the deployer adds to the images of each release.
IN_USE = "in-use-"


class Config(FrozenConfig):
    """``images_kept`` is the number of latest images in a repository. Images of releases do not expire."""

    images_kept: int = 100
    access_log_days: int = 365


class Parameters(StackInterface):
    """Parameters of the stack."""

    project: Annotated[v.ProjectName, shared.PROJECT]
    home_region: Annotated[
        v.RegionName,
        ParameterSpec(
            "Region of the environments. Image repositories are in this region only.",
            default="ap-northeast-1",
            pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$",
            constraint="A region such as ap-northeast-1.",
        ),
    ]


class Outputs(StackInterface):
    """Outputs of the stack."""

    artifact_bucket: v.BucketName


def build(config: Config, services: tuple[str, ...]) -> Template:
    """Return the template. ``services`` are the names of the image repositories, in lower case."""
    t = Template(Description="Hosting platform: artifact bucket and image repositories of a project.")
    t.set_version()
    p = add_parameters(t, Parameters)
    t.add_condition("IsHome", Equals(Ref("AWS::Region"), p.home_region))
    access_logs = v.AccessLogBucketName(add_access_log_bucket(t, "AccessLogBucket", config.access_log_days).ref())
    # No expiry: a stack needs its current template and packages for a rollback.
    bucket = t.add_resource(
        private_bucket(
            "ArtifactBucket",
            data="artifacts",
            rules=[lifecycle_rule("EndOldVersions")],
            # Objects in this bucket decide what runs, so access is logged.
            access_logs=(access_logs, "artifacts/"),
        )
    )
    t.add_resource(bucket_policy(bucket))
    # A mapping contains the policy once for all repositories. CloudFormation accepts 51,200 bytes in a request, and a
    # longer template would have to be in the bucket that this stack creates. Repositories have no Name tag for the same
    # reason.
    t.add_mapping(LIFECYCLE, {"Images": {"Policy": json.dumps(lifecycle(config), sort_keys=True)}})
    for service in (*services, "bastion"):
        t.add_resource(repository(service))
    add_outputs(t, Outputs(artifact_bucket=v.BucketName(bucket.ref())))
    return t


def repository(service: str) -> Repository:
    """Return an image repository. It has a name because users push to it.

    Tags are immutable, so that an approved tag always means the same image.
    """
    return Repository(
        f"{service.capitalize()}Repository",
        Condition="IsHome",
        RepositoryName=Sub(f"${{Project}}/{service}"),
        ImageTagMutability="IMMUTABLE",
        ImageScanningConfiguration=ImageScanningConfiguration(ScanOnPush=True),
        EncryptionConfiguration=EncryptionConfiguration(EncryptionType="KMS"),
        LifecyclePolicy=LifecyclePolicy(LifecyclePolicyText=FindInMap(LIFECYCLE, "Images", "Policy")),
        **deletion_policy("images"),
    )


def lifecycle(config: Config) -> dict[str, object]:
    """Return the lifecycle policy: tagged images expire by number, not by age, and images in use do not expire.

    A task that starts weeks later still pulls its image. An image that matches the tags of a rule cannot be expired by
    a rule with a lower priority (Amazon ECR User Guide, Lifecycle policy evaluation rules). So the first rule protects
    the images that the deployer tags: its number is out of reach.
    """
    return {
        "rules": [
            {
                "rulePriority": 1,
                "description": "Keep the images of releases",
                "selection": {
                    "tagStatus": "tagged",
                    "tagPatternList": [f"{IN_USE}*"],
                    "countType": "imageCountMoreThan",
                    "countNumber": 9999,
                },
                "action": {"type": "expire"},
            },
            {
                "rulePriority": 2,
                "description": "Drop images without a tag",
                "selection": {
                    "tagStatus": "untagged",
                    "countType": "sinceImagePushed",
                    "countUnit": "days",
                    "countNumber": 14,
                },
                "action": {"type": "expire"},
            },
            {
                "rulePriority": 3,
                "description": "Keep the latest images",
                "selection": {
                    "tagStatus": "tagged",
                    "tagPatternList": ["*"],
                    "countType": "imageCountMoreThan",
                    "countNumber": config.images_kept,
                },
                "action": {"type": "expire"},
            },
        ]
    }
