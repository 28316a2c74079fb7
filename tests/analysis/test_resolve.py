"""Resolution: what CloudFormation would make of the templates, before it makes anything."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from hosting.analysis.resolve import ResolvedEnvironment, resolve
from hosting.analysis.resolved_templates import write_resolved_template
from hosting.model.errors import InputError, ResolveError
from hosting.model.parameter_file import Environment, load_environment
from hosting.model.templates import Template, load_complete
from hosting.model.tokens import origin, origins

Bodies = dict[str, dict[str, Any]]


def templates_of(bodies: Bodies) -> dict[str, Template]:
    return {name: Template.from_body(name, body) for name, body in bodies.items()}


def resolved(bodies: Bodies, **parameters: str) -> ResolvedEnvironment:
    values: Mapping[str, str] = {"Project": "shop", "SiteName": "unused", **parameters}
    return resolve(templates_of(bodies), Environment("dev", values))


def properties(environment: ResolvedEnvironment, stack: str, logical_id: str) -> Mapping[str, Any]:
    return environment.stacks[stack].resources[logical_id].properties


def test_a_parameter_reaches_the_nested_stack(small: Bodies) -> None:
    group = properties(resolved(small, LogRetentionDays="30"), "root/FrontendServiceStack", "Group")
    assert group["RetentionInDays"] == "30"
    assert group["LogGroupName"] == "shop-ap-northeast-1-frontend"


def test_no_value_is_dropped_and_given_when_its_condition_holds(small: Bodies) -> None:
    path = "root/FrontendServiceStack"
    assert "KmsKeyId" not in properties(resolved(small), path, "Group")
    archiving = resolved(small, Archive="true", LogRetentionDays="30")
    assert properties(archiving, path, "Group")["KmsKeyId"] == "arn:aws:kms:key"


def test_what_a_false_condition_guards_is_absent(small: Bodies) -> None:
    stack = resolved(small).stacks["root/FrontendServiceStack"]
    assert "ArchiveTopic" not in stack.resources
    assert "ArchiveArn" not in stack.outputs


def test_a_value_leads_back_to_the_resource_in_the_sibling_that_made_it(small: Bodies) -> None:
    environment = resolved(small)
    vpc_id = properties(environment, "root/FrontendServiceStack", "Members")["VpcId"]
    source = origin(vpc_id)
    assert source is not None
    assert (source.stack, source.logical_id, source.attribute) == ("root/NetworkStack", "Vpc", "Ref")
    found = environment.resource(vpc_id)
    assert found is not None
    assert found.get("CidrBlock") == "10.0.0.0/16"


def test_a_joined_output_is_a_list_again_in_the_child(small: Bodies) -> None:
    subnets = resolved(small).stacks["root/FrontendServiceStack"].parameters["SubnetIds"]
    assert [source.logical_id for source in origins(subnets)] == ["AppSubnet"]
    assert subnets[1] == "subnet-other"


def test_wired_parameters_are_known(small: Bodies) -> None:
    assert resolved(small).stacks["root/FrontendServiceStack"].wired == {"VpcId", "SubnetIds"}


def test_outputs_feed_later_stacks_of_the_chain(small: Bodies) -> None:
    environment = resolved(small)
    topic = environment.resource(environment.stacks["root"].parameters["EdgeTopicArn"])
    assert topic is not None
    assert (topic.stack, topic.type) == ("edge", "AWS::SNS::Topic")
    name = properties(environment, "edge-monitoring", "SiteGroup")["LogGroupName"]
    assert [source.stack for source in origins(name)] == ["root/FrontendServiceStack"]


def test_cidr_blocks_are_computed(small: Bodies) -> None:
    assert properties(resolved(small), "root/NetworkStack", "AppSubnet")["CidrBlock"] == "10.0.1.0/24"


def test_values_that_the_template_forbids_are_violations(small: Bodies) -> None:
    root = resolved(small, Project="Shop", Archive="true").stacks["root"]
    assert {violation.path for violation in root.violations} == {
        "Parameters.Project",
        "Rules.ArchiveKeepsLonger.Assertions.0",
    }
    assert "archived logs are kept for 14 or 30 days" in [violation.message for violation in root.violations]


def test_an_output_missing_in_this_environment_is_a_violation(small: Bodies) -> None:
    small["root.json"]["Resources"]["NetworkStack"]["Properties"]["Parameters"]["VpcCidr"] = {
        "Fn::GetAtt": ["OtherStack", "Outputs.ArchiveArn"]
    }
    stack = json.loads(json.dumps(small["root.json"]["Resources"]["FrontendServiceStack"]))
    stack["Properties"]["Parameters"] |= {"VpcId": "vpc-1", "SubnetIds": "subnet-1"}
    small["root.json"]["Resources"]["OtherStack"] = stack
    (violation,) = resolved(small).stacks["root"].violations
    assert violation.rule == "CF-20"
    assert violation.path == "Resources.NetworkStack"


def test_a_cycle_of_nested_stacks_is_named(small: Bodies) -> None:
    small["root.json"]["Resources"]["NetworkStack"]["Properties"]["Parameters"]["VpcCidr"] = {
        "Fn::Sub": "${FrontendServiceStack.Outputs.GroupArn}"
    }
    with pytest.raises(ResolveError, match=r"depend on each other: .*NetworkStack"):
        resolved(small)


def test_a_missing_and_an_unknown_parameter_are_input_errors(small: Bodies) -> None:
    with pytest.raises(InputError, match='unknown key "Projekt"; did you mean "Project"'):
        resolve(templates_of(small), Environment("dev", {"Projekt": "shop", "Project": "shop"}))
    with pytest.raises(InputError, match=r'missing "Project"; templates/bootstrap\.json requires it'):
        resolve(templates_of(small), Environment("dev", {}))


def test_a_lint_copy_is_a_template_again(small: Bodies) -> None:
    copy = write_resolved_template(resolved(small).stacks["root/FrontendServiceStack"])
    assert copy["Parameters"] == {"NetworkStackVpcRef": {"Type": "String"}}
    assert copy["Resources"]["Members"]["Properties"]["VpcId"] == {"Ref": "NetworkStackVpcRef"}
    assert copy["Resources"]["Group"]["Properties"]["LogGroupName"] == {"Fn::Sub": "shop-${AWS::Region}-frontend"}
    assert copy["Outputs"]["GroupArn"]["Value"] == {"Fn::GetAtt": ["Group", "Arn"]}
    assert "Conditions" not in copy


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ({"Fn::Join": ["-", ["a", {"Ref": "Name"}]]}, "a-web"),
        ({"Fn::Sub": ["${x}/${!x}/${Group.Arn}", {"x": {"Ref": "Name"}}]}, "web/${x}/<<s:Group.Arn>>"),
        ({"Fn::FindInMap": ["Sizes", {"Ref": "Name"}, "Port"]}, 8080),
        ({"Fn::Select": ["1", {"Fn::Split": [":", "a:b:c"]}]}, "b"),
        ({"Fn::Select": [5, {"Fn::Split": [":", {"Fn::GetAtt": "Group.Arn"}]}]}, "<<s:Group.Arn~5~:>>"),
        ({"Fn::Split": [":", {"Fn::Sub": "x:${Group}:y"}]}, ["x", "<<s:Group.Ref>>", "y"]),
        ({"Fn::If": ["Archives", 1, {"Ref": "AWS::NoValue"}]}, 1),
        ({"Fn::Base64": "hi"}, "aGk="),
    ],
)
def test_functions(small: Bodies, expression: object, expected: object) -> None:
    from hosting.model.intrinsics import Evaluator

    template = templates_of(small)["service.json"]
    evaluator = Evaluator(template, "s", {"Name": "web", "Archive": "true"}, {"AWS::Region": "ap-northeast-1"})
    assert evaluator.value(expression) == expected


def test_the_folder_is_complete_and_clean(small: Bodies, folder: Callable[[Bodies], Path], tmp_path: Path) -> None:
    target = folder(small)
    assert set(load_complete(target)) == set(small)
    (target / "notes.txt").write_text("")
    with pytest.raises(InputError, match=r"notes\.txt does not belong here"):
        load_complete(target)
    (target / "notes.txt").unlink()
    (target / "old.json").write_text(json.dumps(small["edge.json"]))
    with pytest.raises(InputError, match=r"old\.json is neither nested"):
        load_complete(target)
    (target / "old.json").unlink()
    (target / "service.json").unlink()
    with pytest.raises(InputError, match=r"root\.json nests service\.json, not found"):
        load_complete(target)
    (target / "service.json").write_text('{"Resources":\n oops}')
    with pytest.raises(InputError, match=r"service\.json:2:2: not JSON"):
        load_complete(target)
    with pytest.raises(InputError, match="no such folder"):
        load_complete(tmp_path / "nowhere")


def test_parameter_files(tmp_path: Path) -> None:
    file = tmp_path / "dev.json"
    file.write_text(json.dumps({"Account": "111122223333", "Parameters": {"A": True, "B": 3, "C": ["x", "y"]}}))
    environment = load_environment(file)
    assert environment.parameters == {"A": "true", "B": "3", "C": "x,y", "Environment": "dev"}
    assert (environment.name, environment.account) == ("dev", "111122223333")
    file.write_text(json.dumps([{"ParameterKey": "A", "ParameterValue": "1"}]))
    assert load_environment(file).parameters == {"A": "1", "Environment": "dev"}
    file.write_text("{}")
    with pytest.raises(InputError, match='has no "Parameters"'):
        load_environment(file)


def test_a_condition_can_be_compared_with_another(small: Bodies) -> None:
    """Both or neither."""
    small["root.json"]["Rules"] = {
        "Both": {
            "Assertions": [
                {
                    "Assert": {
                        "Fn::Equals": [
                            {"Fn::Equals": [{"Ref": "Archive"}, "true"]},
                            {"Fn::Not": [{"Fn::Equals": [{"Ref": "LogRetentionDays"}, "3"]}]},
                        ]
                    }
                }
            ]
        }
    }
    assert resolved(small).stacks["root"].violations == ()
    assert resolved(small, Archive="true", LogRetentionDays="7").stacks["root"].violations == ()
    assert len(resolved(small, Archive="true").stacks["root"].violations) == 1
