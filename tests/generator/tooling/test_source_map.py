"""The map from resources to the lines that made them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from troposphere import BaseAWSObject

from generator.config import Config
from generator.tooling.source_map import SourceMap, source_map

PROJECT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def sources(config: Config) -> SourceMap:
    return source_map(config)


def line_of(place: str) -> str:
    file, number = place.split(":")
    return (PROJECT / file).read_text().splitlines()[int(number) - 1]


def test_every_resource_has_its_line(sources: SourceMap, templates: dict[str, Any]) -> None:
    for name, template in templates.items():
        assert set(sources[name]) == set(template["Resources"]), name
        for logical_id, places in sources[name].items():
            file, number = places[""].split(":")
            assert int(number) <= len((PROJECT / file).read_text().splitlines()), logical_id


@pytest.mark.parametrize(
    ("template", "resource", "path", "file", "text"),
    [
        ("egress.json", "NatGateway1", "", "layers/egress.py", "NatGateway("),
        ("workload-portal.json", "TaskDefinition", "", "layers/service/task.py", "TaskDefinition("),
        (
            "workload-portal.json",
            "TaskDefinition",
            "Properties.ContainerDefinitions.1",
            "resources/bastion.py",
            "ContainerDefinition(",
        ),
        # Made by a helper: the layer's line for the resource, the helper's for what the helper decides.
        ("distribution.json", "StaticBucket", "", "layers/distribution/static_site.py", "private_bucket("),
        ("distribution.json", "StaticBucket", "Properties.OwnershipControls", "resources/s3.py", "OwnershipControls("),
        ("root.json", "NetworkStack", "", "root.py", "network.LAYER.nest("),
    ],
)
def test_a_place_is_the_line_that_created_the_resource(
    sources: SourceMap, template: str, resource: str, path: str, file: str, text: str
) -> None:
    place = sources[template][resource][path]
    assert place.startswith(f"generator/{file}:")
    assert text in line_of(place)


def test_the_recording_restores_troposphere(config: Config) -> None:
    before = BaseAWSObject.__init__
    source_map(config)
    assert BaseAWSObject.__init__ is before
