"""The placeholder for images that were not pushed yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hosting.deployer import deployment
from hosting.deployer.aws.stacks import StackState
from hosting.deployer.deployment import Context
from hosting.deployer.packaging import placeholder
from hosting.model.errors import InputError
from hosting.model.stack_order import StackRole
from tests import small_project

STAND_IN = f"public.ecr.aws/stand/in@{small_project.DIGEST}"


@pytest.fixture
def missing(account: str) -> str:
    return f"{account}.dkr.ecr.ap-northeast-1.amazonaws.com/shop/web@{small_project.DIGEST}"


def test_the_placeholder_replaces_missing_images(
    connected: Callable[..., Context], tmp_path: Path, missing: str
) -> None:
    service = small_project.templates()["workload-frontend.json"]
    service["Resources"]["TargetGroup"] = {
        "Type": "AWS::ElasticLoadBalancingV2::TargetGroup",
        "Properties": {"Port": 8080, "HealthCheckPath": "/healthz"},
    }
    changed = {"workload-frontend.json": service}
    context = connected(small_project.write(tmp_path / "x", changed=changed, FrontendImage=missing))
    with pytest.raises(InputError):
        deployment.check_images(context)
    context, (found,) = placeholder.use_placeholders(context, deployment.describe_stacks(context), STAND_IN)
    deployment.check_images(context)
    assert context.environment.file.values["FrontendImage"] == STAND_IN
    assert str(found) == (
        f"FrontendImage: {missing} is not in the registry; the placeholder is used and must answer "
        "GET /healthz on port 8080"
    )


def test_an_image_that_is_not_ours_to_ask_for_stays(connected: Callable[..., Context], project: Path) -> None:
    context = connected(project)
    same, found = placeholder.use_placeholders(context, deployment.describe_stacks(context), STAND_IN)
    assert (same, found) == (context, [])


def test_a_running_service_never_gets_the_placeholder(
    connected: Callable[..., Context], tmp_path: Path, missing: str
) -> None:
    context = connected(small_project.write(tmp_path / "x", FrontendImage=missing))
    root = context.stack(StackRole.ROOT)
    states = {
        **dict.fromkeys(context.chain),
        root: StackState("arn", "shop-dev", "UPDATE_COMPLETE", parameters={"FrontendImage": "shop/web@sha256:1"}),
    }
    assert placeholder.use_placeholders(context, states, STAND_IN)[1] == []
    again = replace(states[root], parameters={"FrontendImage": STAND_IN})  # type: ignore[type-var] # it is one
    assert len(placeholder.use_placeholders(context, {**states, root: again}, STAND_IN)[1]) == 1


def test_a_file_need_not_name_an_image_yet(tmp_path: Path, clients: object) -> None:
    project = small_project.write(tmp_path / "x")
    path = project / "params" / "dev.json"
    path.write_text(path.read_text().replace('"FrontendImage"', '"Note"'))
    with pytest.raises(InputError, match='missing "FrontendImage"'):
        deployment.prepare(project, "dev")
    environment = deployment.prepare(project, "dev", placeholder=STAND_IN)
    assert environment.file.values["FrontendImage"] == STAND_IN
