"""Interfaces between layers: errors of Python, errors of mypy, and the rendered result."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
from troposphere import Equals, GetAtt, Ref, Template
from troposphere.sns import Topic

from generator import value_types as v
from generator.config import Config
from generator.errors import ConfigError, WiringError
from generator.render import build_all
from generator.wiring import (
    FrozenConfig,
    Layer,
    ParameterSpec,
    StackInterface,
    StackValue,
    add_parameter,
    add_parameters,
    interface_fields,
    parameter_name,
    template_file,
)
from generator.workloads import WebService
from tests.support.project import SERVICES

PROJECT = Path(__file__).parents[2]


class Inputs(StackInterface):
    vpc_id: v.VpcId
    loud: Annotated[v.Flag, "Whether to be loud."]


class Outputs(StackInterface):
    topic_arn: Annotated[v.AlarmTopicArn, "The topic."]


def make(t: Template, config: None, inputs: Inputs) -> Outputs:
    t.add_condition("IsLoud", Equals(inputs.loud, "true"))
    topic = t.add_resource(Topic("Topic", DisplayName=inputs.vpc_id))
    return Outputs(topic_arn=v.AlarmTopicArn(topic.ref()))


class Loudness(FrozenConfig):
    most: int
    least: int = 1


@pytest.mark.parametrize("given", [{}, {"most": 2, "lest": 1}, {"least": 1}])
def test_a_frozen_config_requires_each_field_without_a_default(given: dict[str, int]) -> None:
    with pytest.raises(TypeError, match=r"Loudness: missing or unexpected: (most|lest)"):
        Loudness(**given)
    loudness = Loudness(most=3)
    assert (loudness.most, loudness.least) == (3, 1)
    with pytest.raises(AttributeError, match="is read-only"):
        loudness.most = 4  # type: ignore[misc]


LAYER = Layer("LoudSpeaker", "A layer.", Inputs, Outputs, make)


def test_a_layer_renders_its_parameters_and_outputs() -> None:
    template = LAYER.render(None).to_dict()
    assert template["Parameters"]["VpcId"] == {"Type": "String", "Description": "VPC of the environment."}
    assert template["Outputs"]["TopicArn"] == {"Description": "The topic.", "Value": {"Ref": "Topic"}}
    assert template["Resources"]["Topic"]["Properties"] == {"DisplayName": {"Ref": "VpcId"}}


def test_a_nested_stack_gets_its_parameters_and_returns_its_outputs() -> None:
    root = Template()
    outputs = LAYER.nest(root, Inputs(vpc_id=v.VpcId("vpc-1"), loud=v.Flag("true")), instance="First")
    stack = root.to_dict()["Resources"]["FirstLoudSpeakerStack"]
    assert stack["Properties"]["Parameters"] == {"VpcId": "vpc-1", "Loud": "true"}
    assert "${LoudSpeakerTemplateKey}" in stack["Properties"]["TemplateURL"]["Fn::Sub"]
    assert "LoudSpeakerTemplateKey" in root.parameters
    assert outputs.topic_arn.to_dict() == {"Fn::GetAtt": ["FirstLoudSpeakerStack", "Outputs.TopicArn"]}


def test_a_name_becomes_a_parameter_or_a_file() -> None:
    assert parameter_name("public_subnet_1_id") == "PublicSubnet1Id"
    assert template_file("EdgeMonitoring") == "edge-monitoring.json"


def test_a_static_value_cannot_be_wired_to_an_output() -> None:
    """Its layer may decide by it, and beside a placeholder it would decide wrongly."""
    wired = v.Flag(GetAtt("OtherStack", "Outputs.Loud"))
    with pytest.raises(WiringError, match=r"LoudSpeaker\.loud is a StaticValue"):
        LAYER.nest(Template(), Inputs(vpc_id=v.VpcId("vpc-1"), loud=wired))


def test_a_condition_cannot_use_a_wired_value() -> None:
    def decide(t: Template, config: None, inputs: Inputs) -> Outputs:
        t.add_condition("HasVpc", Equals(inputs.vpc_id, "vpc-1"))
        return make(t, config, inputs)

    with pytest.raises(WiringError, match="condition HasVpc uses parameter VpcId"):
        Layer("Deciding", "A layer.", Inputs, Outputs, decide).render(None)


def test_a_constraint_needs_a_description() -> None:
    with pytest.raises(WiringError, match="a constraint without a description"):
        ParameterSpec("Some choice.", allowed=("a", "b"))


class Plain(StackInterface):
    vpc_id: str


class OfNoType(StackInterface):
    vpc_id: Annotated[str, "The VPC."]


class TwoNotes(StackInterface):
    vpc_id: Annotated[v.VpcId, "The VPC.", "The network."]


@pytest.mark.parametrize("interface", [Plain, OfNoType, TwoNotes])
def test_a_field_has_a_value_type_and_at_most_one_description(interface: type[StackInterface]) -> None:
    with pytest.raises(WiringError, match="vpc_id is neither a value type"):
        interface_fields(interface)


class RouterId(StackValue):
    """The router of the
    VPC.

    A second paragraph is for the readers of Python.
    """


class WithoutDocstring(StackValue): ...


class Routers(StackInterface):
    router_1_id: RouterId
    router_2_id: Annotated[RouterId, "The second router."]


class Nested(StackInterface):
    loud: v.Flag
    routers: Routers


class Unnamed(StackInterface):
    router_id: WithoutDocstring


class Twice(StackInterface):
    router_1_id: RouterId
    routers: Routers


def test_the_docstring_of_a_value_type_describes_its_fields() -> None:
    described = {f.name: f.spec.description for f in interface_fields(Routers)}
    assert described == {"router_1_id": "The router of the VPC.", "router_2_id": "The second router."}


def test_a_value_type_has_a_docstring() -> None:
    with pytest.raises(WiringError, match="WithoutDocstring has no docstring"):
        interface_fields(Unnamed)


def test_a_nested_interface_becomes_parameters_of_its_own_names() -> None:
    def build(t: Template, config: None, inputs: Nested) -> Nested:
        return inputs

    layer = Layer("Routing", "A layer.", Nested, Nested, build)
    template = layer.render(None).to_dict()
    assert list(template["Parameters"]) == ["Loud", "Router1Id", "Router2Id"]
    assert template["Outputs"]["Router2Id"] == {"Description": "The second router.", "Value": {"Ref": "Router2Id"}}
    root = Template()
    routers = Routers(router_1_id=RouterId("one"), router_2_id=RouterId("two"))
    outputs = layer.nest(root, Nested(loud=v.Flag("true"), routers=routers))
    stack = root.to_dict()["Resources"]["RoutingStack"]["Properties"]
    assert stack["Parameters"] == {"Loud": "true", "Router1Id": "one", "Router2Id": "two"}
    assert outputs.routers.router_2_id.to_dict() == {"Fn::GetAtt": ["RoutingStack", "Outputs.Router2Id"]}


def test_a_name_may_occur_once_in_an_interface_and_its_nested_interfaces() -> None:
    with pytest.raises(WiringError, match="Twice has Router1Id twice"):
        add_parameters(Template(), Twice)


def test_a_number_with_bounds_becomes_a_number() -> None:
    t = Template()
    value = add_parameter(
        t, "Size", StackValue, ParameterSpec("Size.", default=2, minimum=1, maximum=3, constraint="1 to 3.")
    )
    assert value.to_dict() == {"Ref": "Size"}
    assert t.to_dict()["Parameters"]["Size"] == {
        "Type": "Number",
        "Description": "Size.",
        "Default": 2,
        "MinValue": 1,
        "MaxValue": 3,
        "ConstraintDescription": "1 to 3.",
    }


def test_a_further_service_is_one_entry(config: Config) -> None:
    config = Config(workloads=(*config.workloads, WebService("Invoices", paths=("/invoices/*",), priority=300)))
    root = build_all(config)["root.json"].to_dict()
    assert root["Metadata"]["Services"] == [*SERVICES, "Invoices"]
    assert {"InvoicesAccessStack", "InvoicesServiceStack"} <= set(root["Resources"])
    assert {"InvoicesImage", "InvoicesCpu", "InvoicesMinTasks"} <= set(root["Parameters"])
    service = root["Resources"]["InvoicesServiceStack"]["Properties"]["Parameters"]
    assert service["ServiceIsNew"] == {"Fn::Select": [3, {"Ref": "ServiceIsNew"}]}


def test_services_may_share_a_size(config: Config) -> None:
    more = tuple(
        WebService(name, paths=(f"/{name}/*",), priority=n, own_size=False) for n, name in ((1, "A"), (2, "B"))
    )
    root = build_all(Config(workloads=(*config.workloads, *more)))["root.json"].to_dict()
    assert "ACpu" not in root["Parameters"]
    for name in ("A", "B"):
        assert root["Resources"][f"{name}ServiceStack"]["Properties"]["Parameters"]["Cpu"] == {"Ref": "ServiceCpu"}


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (WebService("Portal", paths=("/x",), priority=5), "two workloads with name Portal"),
        (WebService("Other", paths=("/x",), priority=900), "two workloads with priority 900"),
    ],
)
def test_services_in_conflict_are_rejected(config: Config, entry: WebService, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Config(workloads=(*config.workloads, entry))


def test_mypy_rejects_wrong_wirings() -> None:
    """Each line marked "wrong" in the sample must be an error, and no other line may be one."""
    sample = Path(__file__).parent / "wrong_wirings.py"
    expected = {number for number, line in enumerate(sample.read_text().splitlines(), start=1) if "# wrong" in line}
    assert len(expected) >= 5
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", str(sample)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    reported = {int(number) for number in re.findall(r"wrong_wirings\.py:(\d+): error", run.stdout)}
    assert reported == expected, run.stdout


def test_a_value_renders_as_its_source() -> None:
    assert v.VpcId(Ref("VpcId")).to_dict() == {"Ref": "VpcId"}
    assert v.VpcId("vpc-1").to_dict() == "vpc-1"
