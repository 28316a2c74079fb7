"""Limits of CloudFormation and of the load balancer, each found where it is passed and silent where it is not."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from generator import workloads
from generator.config import Config
from generator.errors import ConfigError
from generator.render import render_all
from generator.resources import limits
from generator.workloads import WebService
from tests.support import scale
from tests.support.project import FIXTURE


def test_the_committed_structure_keeps_every_limit(rendered: dict[str, str]) -> None:
    assert limits.check(rendered) == []


def excesses(**changed: dict[str, Any]) -> list[str]:
    """What is said of one template with these sections."""
    body = {"Resources": {"One": {"Type": "AWS::SNS::Topic"}}, **changed}
    return [str(excess) for excess in limits.check({"layer.json": json.dumps(body)})]


def many(count: int, value: Any) -> dict[str, Any]:
    return {f"Item{number}": value for number in range(count)}


TOPIC = {"Type": "AWS::SNS::Topic"}
PARAMETER = {"Type": "String"}
NESTED = {"Type": "AWS::CloudFormation::Stack", "Properties": {"Parameters": {"Paths": "x" * 4097}}}


@pytest.mark.parametrize(
    ("within", "beyond", "says"),
    [
        ({"Resources": many(500, TOPIC)}, {"Resources": many(501, TOPIC)}, "501 resources, but the limit is 500"),
        (
            {"Parameters": many(200, PARAMETER)},
            {"Parameters": many(201, PARAMETER)},
            "201 parameters, but the limit is 200",
        ),
        (
            {"Outputs": many(200, {"Value": "x"})},
            {"Outputs": many(201, {"Value": "x"})},
            "201 outputs, but the limit is 200",
        ),
        ({"Mappings": many(200, {})}, {"Mappings": many(201, {})}, "201 mappings, but the limit is 200"),
        ({"Mappings": {"M": many(200, {})}}, {"Mappings": {"M": many(201, {})}}, "201 attributes of mapping M"),
        (
            {"Metadata": {"Text": "x" * 900_000}},
            {"Metadata": {"Text": "x" * 1_000_000}},
            "bytes, but the limit is 1,000,000",
        ),
        (
            {"Description": "x" * 1024},
            {"Description": "x" * 1025},
            "1,025 bytes of description, but the limit is 1,024",
        ),
        (
            {"Metadata": {"Text": "{{resolve:ssm:x}}" * 60}},
            {"Metadata": {"Text": "{{resolve:ssm:x}}" * 61}},
            "61 dynamic references, but the limit is 60",
        ),
        (
            {"Parameters": {"P": {"Type": "String", "Default": "x" * 4096}}},
            {"Parameters": {"P": {"Type": "String", "Default": "x" * 4097}}},
            "4,097 bytes in the default of P, but the limit is 4,096",
        ),
        ({"Resources": {"S": TOPIC}}, {"Resources": {"S": NESTED}}, "4,097 bytes in S.Paths, but the limit is 4,096"),
        ({"Resources": {"x" * 255: TOPIC}}, {"Resources": {"x" * 256: TOPIC}}, "256 characters in a name"),
    ],
)
def test_a_template_beyond_a_limit_is_reported(within: dict[str, Any], beyond: dict[str, Any], says: str) -> None:
    assert excesses(**within) == []
    (found,) = excesses(**beyond)
    assert found.startswith("layer.json has ")
    assert says in found


def with_services(count: int, *, own_size: bool = False) -> dict[str, str]:
    entries = (
        WebService(f"Service{number}", paths=(f"/{number}/*",), priority=number, own_size=own_size)
        for number in range(1, count + 1)
    )
    return render_all(Config(workloads=tuple(entries)))


def refusals(rendered: dict[str, str]) -> list[str]:
    return [str(excess) for excess in limits.check(rendered) if not excess.adjustable]


def too_large_for_one_operation(count: int) -> list[str]:
    return [text for text in refusals(with_services(count)) if "one operation" in text]


def test_a_hundred_services_exceed_no_fixed_limit() -> None:
    assert refusals(with_services(100)) == []


def test_the_reported_number_of_services_fits() -> None:
    (found,) = too_large_for_one_operation(110)
    assert found.startswith("root.json has ")
    assert "resources in one operation, including nested stacks, but the limit is 2,500" in found
    match = re.search(r"so (\d+) workloads fit", found)
    assert match
    fitting = int(match[1])
    assert too_large_for_one_operation(fitting) == []
    assert too_large_for_one_operation(fitting + 1) != []


def test_an_adjustable_limit_is_only_a_note() -> None:
    found = {excess.what: excess for excess in limits.check(with_services(61))}
    assert set(found) == {"egress rules of AlbSecurityGroupId", "ingress rules of DatabaseSecurityGroupId"}
    assert all(excess.adjustable for excess in found.values())
    beyond = {excess.what: excess.adjustable for excess in limits.check(with_services(101))}
    assert beyond["rules of one load balancer"]
    assert not beyond["target groups of one load balancer"]


def test_too_many_sizes_exceed_the_parameters_of_root() -> None:
    with pytest.raises(ConfigError, match=r"maximum parameters 200 reached.*own_size=False"):
        with_services(40, own_size=True)


def test_bootstrap_for_a_hundred_services_fits_into_a_request() -> None:
    body = json.loads(with_services(100)["bootstrap.json"])
    assert len(limits.compact(body).encode()) <= limits.INLINE_BYTES
    assert any("bytes without spaces" in text for text in refusals(with_services(140)))


def test_a_project_of_many_services_can_be_generated(tmp_path: Path) -> None:
    scale.write(FIXTURE, tmp_path, 5)
    own = workloads.load(FIXTURE)
    *_, last = loaded = workloads.load(tmp_path)
    assert (loaded[: len(own)], len(loaded), last.name) == (own, 5, "Service005")
    dev = json.loads((tmp_path / "params" / "lab.json").read_text())["Parameters"]
    assert dev["Service005Image"] == dev[f"{own[0].name}Image"].replace(f"/{own[0].slug}@", "/service005@")
    assert dev["ServiceMinTasks"] == dev[f"{own[0].name}MinTasks"]
    assert (tmp_path / "lambda" / "log_processor" / "index.py").is_file()


def test_fewer_services_than_the_project_has_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there are 3 already"):
        scale.write(FIXTURE, tmp_path, 1)


def test_the_service_for_all_other_requests_is_tried_last() -> None:
    services = (one for one in scale.services_with(workloads.load(FIXTURE), 100) if isinstance(one, WebService))
    assert max(services, key=lambda entry: entry.priority).paths == ("/*",)
