"""Predictions over the small chain: what differs, what follows, and what is lost."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hosting.analysis.diff.prediction import Prediction, predict
from hosting.analysis.diff.prediction_comparison import compare_with_change_set
from hosting.analysis.resolve import ResolvedEnvironment, resolve
from hosting.model.parameter_file import Environment
from hosting.model.templates import load_complete

Bodies = dict[str, dict[str, Any]]


@pytest.fixture
def side(tmp_path: Path) -> Callable[..., ResolvedEnvironment]:
    """`side(bodies, Key=value)`: the chain with these templates and parameters."""
    numbers = iter(range(100))

    def resolved(bodies: Bodies, **values: str) -> ResolvedEnvironment:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        for name, body in bodies.items():
            (folder / name).write_text(json.dumps(body))
        given = {"Project": "shop", **values}
        return resolve(load_complete(folder), Environment("dev", given, tags={"Team": "a"}))

    return resolved


@pytest.fixture
def edited(small: Bodies, side: Callable[..., ResolvedEnvironment]) -> Callable[..., Prediction]:
    """`edited(lambda bodies: ..., Key=value)`: the small chain against itself with an edit."""

    def run(edit: Callable[[Bodies], Any] = lambda _bodies: None, **values: str) -> Prediction:
        changed = copy.deepcopy(small)
        edit(changed)
        return predict(side(small), side(changed, **values))

    return run


def effects(prediction: Prediction) -> dict[str, str]:
    return {"/".join(change.path): change.effect for change in prediction.changes}


def properties(body: Bodies, template: str, resource: str) -> dict[str, Any]:
    found: dict[str, Any] = body[template]["Resources"][resource].setdefault("Properties", {})
    return found


def test_nothing_changes_against_itself(edited: Callable[..., Prediction]) -> None:
    prediction = edited()
    assert prediction.is_empty
    assert {stack.kind for stack in prediction.stacks} == {"nothing"}
    assert prediction.access == ()


def test_a_replacement_is_followed_across_stacks(edited: Callable[..., Prediction]) -> None:
    def edit(bodies: Bodies) -> None:
        properties(bodies, "network.json", "Vpc")["CidrBlock"] = "10.9.0.0/16"

    prediction = edited(edit)
    assert effects(prediction) == {
        "NetworkStack/Vpc": "replace",
        "NetworkStack/AppSubnet": "replace",
        "FrontendServiceStack/Members": "replace",
    }
    vpc, *followers = prediction.changes
    assert (vpc.logical_id, vpc.follows, vpc.is_destructive) == ("Vpc", (), True)
    assert {prediction.roots(change) for change in followers} == {(("root/NetworkStack", "Vpc"),)}


def test_the_worst_change_is_first(edited: Callable[..., Prediction]) -> None:
    def edit(bodies: Bodies) -> None:
        properties(bodies, "network.json", "Vpc")["CidrBlock"] = "10.9.0.0/16"
        properties(bodies, "service.json", "Group")["RetentionInDays"] = 7
        bodies["bootstrap.json"]["Resources"]["ArtifactBucket"]["Properties"] = {"BucketName": "other"}

    prediction = edited(edit)
    lost = ["ArtifactBucket", "ArtifactBucket", "Vpc", "AppSubnet"]
    assert [change.logical_id for change in prediction.destructive] == lost
    assert prediction.destructive[0].policy == "Delete"
    root = next(stack for stack in prediction.stacks if stack.path == "root")
    assert [change.effect for change in root.changes] == ["replace", "replace", "replace", "modify"]
    assert root.changes[0].logical_id == "Vpc"


def test_a_parameter_changes_what_it_reaches(edited: Callable[..., Prediction]) -> None:
    prediction = edited(LogRetentionDays="14")
    (change,) = prediction.changes
    (item,) = change.properties
    assert ("/".join(change.path), change.effect) == ("FrontendServiceStack/Group", "modify")
    assert (item.name, item.before, item.after) == ("Properties.RetentionInDays", "3", "14")


def test_a_condition_adds_and_takes_away(edited: Callable[..., Prediction]) -> None:
    prediction = edited(Archive="true", LogRetentionDays="14")
    assert effects(prediction)["FrontendServiceStack/ArchiveTopic"] == "add"
    group = next(change for change in prediction.changes if change.logical_id == "Group")
    assert {item.name for item in group.properties} == {"Properties.RetentionInDays", "Properties.KmsKeyId"}


def test_a_nested_stack_is_deleted_with_its_resources(edited: Callable[..., Prediction]) -> None:
    def edit(bodies: Bodies) -> None:
        del bodies["root.json"]["Resources"]["FrontendServiceStack"]
        del bodies["root.json"]["Outputs"]
        del bodies["service.json"]
        bodies["edge-monitoring.json"]["Parameters"]["SiteName"]["Default"] = "x"

    prediction = edited(edit)
    gone = {name for name, effect in effects(prediction).items() if effect == "delete"}
    assert gone == {"FrontendServiceStack/Group", "FrontendServiceStack/Members"}


def test_another_logical_id_is_another_resource(edited: Callable[..., Prediction]) -> None:
    def edit(bodies: Bodies) -> None:
        resources = bodies["edge.json"]["Resources"]
        resources["OtherTopic"] = resources.pop("EdgeTopic")
        bodies["edge.json"]["Outputs"]["EdgeTopicArn"]["Value"] = {"Ref": "OtherTopic"}

    prediction = edited(edit)
    assert effects(prediction) == {"EdgeTopic": "delete", "OtherTopic": "add"}
    edge = next(stack for stack in prediction.stacks if stack.path == "edge")
    assert [item.name for item in edge.outputs] == ["EdgeTopicArn"]


def test_another_type_is_refused_by_cloudformation(edited: Callable[..., Prediction]) -> None:
    def edit(bodies: Bodies) -> None:
        bodies["edge.json"]["Resources"]["EdgeTopic"] = {"Type": "AWS::SQS::Queue"}

    (change,) = edited(edit).changes
    assert change.effect == "replace"
    assert "rejects another type" in change.note


def test_a_fixed_name_blocks_its_own_replacement(small: Bodies, side: Callable[..., ResolvedEnvironment]) -> None:
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "news"}}
    small["edge.json"]["Resources"]["EdgeTopic"] = topic
    before = side(small)
    topic["Properties"] = {"TopicName": "news", "FifoTopic": True}
    (change,) = predict(before, side(small)).changes
    assert "news is in use" in change.note


def test_what_only_outputs_say_is_a_change_of_the_nested_stack(edited: Callable[..., Prediction]) -> None:
    def edit(bodies: Bodies) -> None:
        bodies["network.json"]["Outputs"]["More"] = {"Value": "x"}

    (change,) = edited(edit).changes
    assert (change.path, change.type, change.effect) == (("NetworkStack",), "AWS::CloudFormation::Stack", "modify")
    assert "no resource in it changes" in change.note


def test_an_attribute_that_shows_a_property_follows_it(small: Bodies, side: Callable[..., ResolvedEnvironment]) -> None:
    cluster: dict[str, Any] = {"Type": "AWS::RDS::DBCluster", "Properties": {"Engine": "aurora-mysql", "Port": 3306}}
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Fn::Sub": "${Cluster.Endpoint.Port}"}}}
    other = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Fn::Sub": "${Cluster.Endpoint.Address}"}}}
    small["edge.json"]["Resources"] |= {"Cluster": cluster, "PortTopic": topic, "AddressTopic": other}
    before = side(small)
    cluster["Properties"] = {"Engine": "aurora-mysql", "Port": 3307}
    assert effects(predict(before, side(small))) == {"Cluster": "modify", "PortTopic": "modify"}


def test_tags_of_the_stack_reach_its_resources(small: Bodies, side: Callable[..., ResolvedEnvironment]) -> None:
    before = side(small)
    after = replace(before, environment=replace(before.environment, tags={"Team": "b"}))
    prediction = predict(before, after)
    assert not prediction.is_empty
    assert prediction.changes == ()
    edge = next(stack for stack in prediction.stacks if stack.path == "edge")
    assert (edge.tags, edge.retagged) == (("Team",), 1)
    assert [stack.tags for stack in prediction.stacks if stack.path.startswith("bootstrap")] == [(), ()]


def test_a_new_environment_has_nothing_to_lose(small: Bodies, side: Callable[..., ResolvedEnvironment]) -> None:
    prediction = predict(None, side(small))
    assert prediction.is_new
    assert {change.effect for change in prediction.changes} == {"add"}
    assert not prediction.destructive
    assert not prediction.broader


def test_another_project_is_another_stack(edited: Callable[..., Prediction]) -> None:
    assert {stack.kind for stack in edited(Project="store").stacks} == {"create"}


def test_a_prediction_held_against_a_change_set() -> None:
    found = compare_with_change_set({("A",): "modify", ("B",): "replace"}, {("B",): "modify", ("C",): "add"})
    assert (found.missed, found.extra) == ((("C",),), (("A",),))
    assert found.different == found.wrong_losses == {("B",): ("replace", "modify")}
    assert not found.is_exact
