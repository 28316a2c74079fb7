"""What only the account knows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from hosting.deployer.aws import lookups
from hosting.deployer.aws.stacks import StackState
from hosting.deployer.errors import DeployerError
from hosting.model.templates import Template

BODY: dict[str, Any] = {"Metadata": {"Services": ["Frontend", "Backend"]}, "Resources": {}}
TEMPLATE = Template("root.json", json.dumps(BODY))
VALUES = {"Size": "2"}
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop/web@sha256:" + "a" * 64


def client(service: str) -> Any:
    session: Any = boto3.Session(aws_access_key_id="x", aws_secret_access_key="x", region_name="eu-west-1")
    return session.client(service)


@pytest.fixture
def cloudformation() -> Iterator[tuple[Any, Stubber]]:
    made = client("cloudformation")
    with Stubber(made) as stub:
        yield made, stub
        stub.assert_no_pending_responses()


@pytest.fixture
def ecs() -> Iterator[tuple[Any, Stubber]]:
    made = client("ecs")
    with Stubber(made) as stub:
        yield made, stub
        stub.assert_no_pending_responses()


def root(**parameters: str) -> StackState:
    return StackState("arn:root", "shop-dev", "UPDATE_COMPLETE", parameters=parameters)


def resource(name: str, type: str, physical: str, status: str = "CREATE_COMPLETE") -> dict[str, Any]:
    when = "2026-01-01T00:00:00Z"
    known = {"LogicalResourceId": name, "ResourceType": type, "ResourceStatus": status, "LastUpdatedTimestamp": when}
    return {**known, "PhysicalResourceId": physical}


def test_without_a_root_every_service_is_new(cloudformation: Any, ecs: Any) -> None:
    assert lookups.find_new_services(cloudformation[0], ecs[0], TEMPLATE, None, VALUES) == "true,true"


def test_when_nothing_else_changes_the_old_answer_stays(cloudformation: Any, ecs: Any) -> None:
    made, stub = cloudformation
    expected = {"StackName": "arn:root", "TemplateStage": "Original"}
    stub.add_response("get_template", {"TemplateBody": TEMPLATE.text}, expected)
    found = lookups.find_new_services(made, ecs[0], TEMPLATE, root(Size="2", ServiceIsNew="true,true"), VALUES)
    assert found == "true,true"


def stub_services(cloudformation: Stubber, ecs: Stubber) -> None:
    """Frontend runs; Backend's nested stack failed before its service was made."""
    nested = [
        resource("FrontendServiceStack", "AWS::CloudFormation::Stack", "arn:front"),
        resource("BackendServiceStack", "AWS::CloudFormation::Stack", "arn:back", "CREATE_FAILED"),
    ]
    cloudformation.add_response("list_stack_resources", {"StackResourceSummaries": nested}, {"StackName": "arn:root"})
    service = [resource("Service", "AWS::ECS::Service", "arn:service")]
    cloudformation.add_response("list_stack_resources", {"StackResourceSummaries": service}, {"StackName": "arn:front"})
    cloudformation.add_response("list_stack_resources", {"StackResourceSummaries": []}, {"StackName": "arn:back"})
    expected = {"cluster": "shop-dev", "services": ["arn:service"]}
    ecs.add_response("describe_services", {"services": [{"status": "ACTIVE"}]}, expected)


def test_a_changed_parameter_asks_for_the_services(cloudformation: Any, ecs: Any) -> None:
    stub_services(cloudformation[1], ecs[1])
    state = root(Size="1", ServiceIsNew="true,true")
    assert lookups.find_new_services(cloudformation[0], ecs[0], TEMPLATE, state, VALUES) == "false,true"


def test_without_the_cluster_there_is_no_service(cloudformation: Any, ecs: Any) -> None:
    nested = [resource("FrontendServiceStack", "AWS::CloudFormation::Stack", "arn:front")]
    cloudformation[1].add_response("list_stack_resources", {"StackResourceSummaries": nested})
    service = [resource("Service", "AWS::ECS::Service", "arn:service")]
    cloudformation[1].add_response("list_stack_resources", {"StackResourceSummaries": service})
    ecs[1].add_client_error("describe_services", "ClusterNotFoundException", "no")
    assert lookups.find_new_services(cloudformation[0], ecs[0], TEMPLATE, root(), VALUES) == "true,true"


def test_a_changed_template_asks_for_the_services(cloudformation: Any, ecs: Any) -> None:
    cloudformation[1].add_response("get_template", {"TemplateBody": "{}"})
    stub_services(cloudformation[1], ecs[1])
    state = root(Size="2", ServiceIsNew="true,true")
    assert lookups.find_new_services(cloudformation[0], ecs[0], TEMPLATE, state, VALUES) == "false,true"


def test_another_number_of_services_asks_for_the_services(cloudformation: Any, ecs: Any) -> None:
    stub_services(cloudformation[1], ecs[1])
    state = root(Size="2", ServiceIsNew="false")
    assert lookups.find_new_services(cloudformation[0], ecs[0], TEMPLATE, state, VALUES) == "false,true"


def test_the_prefix_list() -> None:
    made = client("ec2")
    with Stubber(made) as stub:
        stub.add_response("describe_managed_prefix_lists", {"PrefixLists": [{"PrefixListId": "pl-1"}]})
        assert lookups.find_prefix_list_id(made, "eu-west-1") == "pl-1"
        stub.add_response("describe_managed_prefix_lists", {"PrefixLists": []})
        with pytest.raises(DeployerError, match=r"prefix list .* does not exist"):
            lookups.find_prefix_list_id(made, "eu-west-1")


@pytest.mark.parametrize("code", ["ImageNotFoundException", "RepositoryNotFoundException"])
def test_an_image_of_our_own_registry_has_to_be_there(code: str) -> None:
    made = client("ecr")
    with Stubber(made) as stub:
        stub.add_client_error("describe_images", code, "no")
        images = {"FrontendImage": ("params/dev.json:3", IMAGE)}
        ((_name, problem),) = lookups.find_missing_images(made, "123456789012", "eu-west-1", images)
    assert str(problem).startswith("params/dev.json:3: FrontendImage: shop/web@sha256:aaaaaaaaaaaa")


def test_an_image_that_is_there_is_no_problem() -> None:
    made = client("ecr")
    with Stubber(made) as stub:
        expected: dict[str, Any] = {"repositoryName": "shop/web", "imageIds": [{"imageDigest": "sha256:" + "a" * 64}]}
        stub.add_response(
            "describe_images", {"imageDetails": [{"imageDigest": expected["imageIds"][0]["imageDigest"]}]}, expected
        )
        assert not list(lookups.find_missing_images(made, "123456789012", "eu-west-1", {"I": ("x", IMAGE)}))


@pytest.mark.parametrize(
    "image",
    [
        "public.ecr.aws/nginx/nginx@sha256:" + "a" * 64,
        IMAGE.replace("123456789012", "999999999999"),
        IMAGE.replace("eu-west-1", "us-east-1"),
    ],
)
def test_other_registries_are_not_asked(image: str) -> None:
    made = client("ecr")
    with Stubber(made):
        assert not list(lookups.find_missing_images(made, "123456789012", "eu-west-1", {"I": ("x", image)}))
