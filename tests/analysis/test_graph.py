"""The picture shows what the templates hold, is legible, and is always the same bytes."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from hosting.analysis.graph import pictures
from hosting.analysis.graph.layout import draw
from hosting.analysis.graph.model import Architecture
from hosting.analysis.graph.scene import Rect, Scene, fit, text_width
from hosting.model.parameter_file import Environment, load_environment
from hosting.model.templates import Template
from tests.support import project
from tests.support.project import TEMPLATES

PROJECT = Path(__file__).resolve().parents[2]
PARAMS = sorted(project.PARAMS.glob("*.json"))
SVG = "{http://www.w3.org/2000/svg}"

Bodies = dict[str, dict[str, Any]]
Edit = Callable[[Bodies], None]


def committed() -> Bodies:
    return {path.name: json.loads(path.read_text()) for path in sorted(TEMPLATES.glob("*.json"))}


def model(name: str, edit: Edit | None = None, **parameters: str) -> Architecture:
    """The architecture of an environment, after an edit of its templates."""
    bodies = committed()
    if edit:
        edit(bodies)
    file = load_environment(project.PARAMS / f"{name}.json")
    environment = Environment(name, {**file.parameters, **parameters}, file.account, file.region, file.tags, file.file)
    templates = {key: Template.from_body(key, body) for key, body in bodies.items()}
    return pictures.architecture(templates, environment)


def words(architecture: Architecture) -> str:
    return "\n".join(text.words for text in draw(architecture).texts)


# --- Edits -----------------------------------------------------------------------------------------------------------


def add_service(bodies: Bodies) -> None:
    root = bodies["root.json"]
    for layer in ("Access", "Service"):
        text = json.dumps(root["Resources"][f"Orders{layer}Stack"])
        nested = json.loads(text.replace("OrdersAccessStack", "ReportsAccessStack"))
        if layer == "Access":
            nested["Properties"]["Parameters"]["ServiceSlug"] = "reports"
        root["Resources"][f"Reports{layer}Stack"] = json.loads(json.dumps(nested).replace("-orders/", "-reports/"))
    root["Metadata"]["Services"].append("Reports")
    own = json.dumps(bodies["workload-orders.json"]).replace("/orders", "/reports").replace("-orders", "-reports")
    bodies["workload-reports.json"] = json.loads(own)


def remove_second_nat(bodies: Bodies) -> None:
    egress = bodies["egress.json"]
    for key in [key for key in egress["Resources"] if key in ("NatGateway2", "NatAddress2")]:
        del egress["Resources"][key]
    text = json.dumps(egress).replace('"NatGateway2"', '"NatGateway1"')
    bodies["egress.json"] = json.loads(text)


def add_zone(bodies: Bodies) -> None:
    """A third zone with its three subnets; services, load balancer and database take it too."""
    resources = bodies["network.json"]["Resources"]
    for key in [key for key in resources if key.endswith(("Subnet2", "Subnet2Routes"))]:
        copy = json.loads(json.dumps(resources[key]).replace("Subnet2", "Subnet3"))
        if "AvailabilityZone" in copy["Properties"]:
            copy["Properties"] |= {"AvailabilityZone": "ap-northeast-1d", "CidrBlock": f"10.44.{len(resources)}.0/24"}
        resources[key.replace("Subnet2", "Subnet3")] = copy


def drop_one_zone(bodies: Bodies) -> None:
    resources = bodies["network.json"]["Resources"]
    for resource in resources.values():
        if resource["Type"] == "AWS::EC2::Subnet":
            resource["Properties"]["AvailabilityZone"] = "ap-northeast-1c"


def remove(kind: str) -> Edit:
    def edit(bodies: Bodies) -> None:
        for body in bodies.values():
            for key in [key for key, item in body["Resources"].items() if item["Type"] == kind]:
                del body["Resources"][key]
                # References to it are removed too, because an unknown id is an error of its own.
                text = json.dumps(body)
                text = re.sub(rf'\{{"Ref": "{key}"\}}|\{{"Fn::GetAtt": \["{key}", "[^"]+"\]\}}', '"gone"', text)
                body.clear()
                body.update(json.loads(text))

    return edit


CASES: dict[str, tuple[str, Edit | None, dict[str, str]]] = {
    "lab": ("lab", None, {}),
    "live": ("live", None, {}),
    "further service": ("live", add_service, {}),
    "one NAT gateway": ("live", remove_second_nat, {}),
    "three zones": ("live", add_zone, {}),
    "one zone": ("lab", drop_one_zone, {}),
    "no Slack": ("lab", None, {"SlackWorkspaceId": "", "SlackChannelId": ""}),
    "no web ACL": ("live", remove("AWS::WAFv2::WebACL"), {}),
    "long names": (
        "live",
        None,
        {
            "DomainName": "a-very-long-name-for-a-site.with.many.levels.example.com",
            "PortalImage": "123456789012.dkr.ecr.ap-northeast-1.amazonaws.com/a/rather/long/name/of/an/image@sha256:"
            + "0" * 64,
        },
    ),
}


@pytest.fixture(scope="module", params=CASES)
def scene(request: pytest.FixtureRequest) -> Scene:
    name, edit, parameters = CASES[request.param]
    return draw(model(name, edit, **parameters))


# --- Bytes -----------------------------------------------------------------------------------------------------------


def test_the_bytes_do_not_depend_on_the_hash_seed() -> None:
    code = (
        "import sys; from pathlib import Path; from hosting.analysis.graph import pictures as p; "
        "from hosting.model.parameter_file import load_environment; from hosting.model.templates import load_complete; "
        "t = load_complete(Path('templates')); "
        "m = p.architecture(t, load_environment(Path('params/live.json'))); "
        "sys.stdout.write(p.as_svg(m) + p.as_mermaid(m))"
    )
    made = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=project.PROJECT,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(PROJECT)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert len(made) == 1


# --- What it shows ---------------------------------------------------------------------------------------------------


def test_everything_asked_for_is_there() -> None:
    shown = words(model("live"))
    for expected in (
        "Region ap-northeast-1", "Region us-east-1", "VPC 10.44.0.0/16", "ap-northeast-1c", "ap-northeast-1d",
        "10.44.0.0/24", "10.44.1.0/24", "10.44.2.0/23", "10.44.4.0/23", "10.44.6.0/24", "10.44.7.0/24",
        "Internet gateway",
        "NAT gateway", "VPC endpoints", "Application Load Balancer", "Portal: 2 to 10 tasks, 1 vCPU, 2 GB",
        "/orders, /orders/* to port 8080", "atlas/orders", "bastion", "alpine", "socat relay", "Writer", "Reader",
        "port 3306", "Viewers", "Operators", "Route 53", "shop.example.org", "CloudFront", "WAF web ACL",
        "S3 static bucket", "Origin access control", "Secret: Database user", "KMS keys", "CloudWatch Logs",
        "Firehose", "Lambda log_processor", "Glacier after 30 days", "SNS topic", "AWS Chatbot", "Slack channel",
        "Lambda slack_notifier",
    ):  # fmt: skip
        assert expected in shown
    assert "\u2026" not in shown, "something is shortened"


def test_dev_differs_where_its_parameters_do() -> None:
    shown = words(model("lab"))
    for absent in ("Reader", "Route 53", "Glacier", "Lambda log_processor", "shop.example.org"):
        assert absent not in shown
    for expected in ("0.25 vCPU, 512 MB", "HTTP with header X-Origin-Verify", "Archive off", "kept 3 days"):
        assert expected in shown


def test_a_further_service_appears() -> None:
    architecture = model("live", add_service)
    assert [item.name for item in architecture.services] == ["Portal", "Orders", "Search", "Reports"]
    shown = words(architecture)
    assert "Reports: 2 to 10 tasks" in shown
    assert "/reports/* to port 8080" in shown
    assert 'service_Reports_ ["Reports' in pictures.as_mermaid(architecture)


def test_removed_nat_gateway_disappears_and_traffic_takes_the_other() -> None:
    before, after = model("live"), model("live", remove_second_nat)
    assert words(before).count("NAT gateway") == 2
    assert words(after).count("NAT gateway") == 1
    assert after.network is not None
    assert {item.nat_zone for item in after.network.subnets if item.tier == "app"} == {"ap-northeast-1c"}


def test_reader_disappears_with_its_parameter() -> None:
    assert "Reader" in words(model("live"))
    assert "Reader" not in words(model("live", DbReader="false"))


@pytest.mark.parametrize(
    ("kind", "gone"),
    [
        ("AWS::WAFv2::WebACL", "WAF web ACL"),
        ("AWS::EC2::InternetGateway", "Internet gateway"),
        ("AWS::EC2::VPCEndpoint", "VPC endpoints"),
        ("AWS::KinesisFirehose::DeliveryStream", "Firehose"),
        ("AWS::Chatbot::SlackChannelConfiguration", "Slack channel"),
        ("AWS::RDS::DBInstance", "Writer"),
        ("AWS::ECR::Repository", "ECR repositories"),
    ],
)
def test_what_is_not_in_the_templates_is_not_drawn(kind: str, gone: str) -> None:
    titles = {text.words for text in draw(model("live")).texts}
    assert gone in titles
    assert gone not in {text.words for text in draw(model("live", remove(kind))).texts}


def test_no_rule_to_the_database_no_arrow() -> None:
    def close(bodies: Bodies) -> None:
        for key in ("ToDatabaseIngress", "ToDatabaseEgress"):
            bodies["access.json"]["Resources"].pop(key, None)

    assert any(arrow.kind == "query" for arrow in draw(model("live")).arrows)
    assert not any(arrow.kind == "query" for arrow in draw(model("live", close)).arrows)


# --- How it looks ----------------------------------------------------------------------------------------------------


def test_no_text_overflows(scene: Scene) -> None:
    for text in scene.texts:
        assert text.rect.width <= text.room + 0.01, text.words
        assert text.rect.x >= 0, text.words
        assert text.rect.right <= scene.width, text.words
        assert text.rect.bottom <= scene.height, text.words


def test_text_stays_inside_its_card(scene: Scene) -> None:
    for card in scene.cards:
        for text in scene.texts:
            if overlap(card.rect, text.rect):
                assert inside(text.rect, card.rect), text.words


def test_no_text_over_text(scene: Scene) -> None:
    for one, other in itertools.combinations(scene.texts, 2):
        assert not overlap(one.rect, other.rect), (one.words, other.words)


def test_no_card_over_a_card(scene: Scene) -> None:
    for one, other in itertools.combinations(scene.cards, 2):
        assert not overlap(one.rect, other.rect), (one, other)


def test_no_arrow_through_text_or_card(scene: Scene) -> None:
    for arrow in scene.arrows:
        for start, end in itertools.pairwise(arrow.points):
            assert start[0] == end[0] or start[1] == end[1], arrow
            line = Rect(min(start[0], end[0]), min(start[1], end[1]), abs(start[0] - end[0]), abs(start[1] - end[1]))
            for text in scene.texts:
                assert not overlap(line, text.rect), (arrow, text.words)
            for card in scene.cards:
                assert not overlap(line, shrunk(card.rect)), (arrow, card)


def test_picture_is_wide_enough_and_not_wider(scene: Scene) -> None:
    assert scene.width == 1200
    for rect in [item.rect for item in scene.frames] + [item.rect for item in scene.cards]:
        assert rect.x >= 0
        assert rect.width > 0
        assert rect.height > 0
        assert rect.right <= scene.width
        assert rect.bottom <= scene.height


def overlap(one: Rect, other: Rect) -> bool:
    return one.x < other.right and other.x < one.right and one.y < other.bottom and other.y < one.bottom


def inside(inner: Rect, outer: Rect) -> bool:
    return outer.x <= inner.x and inner.right <= outer.right and outer.y <= inner.y and inner.bottom <= outer.bottom


def shrunk(rect: Rect) -> Rect:
    """An arrow may touch the card that it belongs to."""
    return Rect(rect.x + 1, rect.y + 1, rect.width - 2, rect.height - 2)


# --- The files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["lab", "live"])
def test_svg_is_xml_that_stands_alone(name: str) -> None:
    text = pictures.as_svg(model(name))
    root = ElementTree.fromstring(text)  # noqa: S314 - ours
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    assert (root.findtext(f"{SVG}title") or "").startswith("Architecture of atlas-")
    assert "Aurora MySQL" in (root.findtext(f"{SVG}desc") or "")
    assert not re.search(r"<script|<image|<foreignObject|href|url\(|@import|@font-face|var\(", text)
    assert "prefers-color-scheme: dark" in text
    assert {item.tag for item in root.iter()} == {
        f"{SVG}{tag}" for tag in ("svg", "title", "desc", "style", "rect", "path", "text")
    }


def test_every_class_has_a_colour_in_both_schemes() -> None:
    text = pictures.as_svg(model("live"))
    light, dark = text.split("@media", 1)
    for name in {part for value in re.findall(r'class="([^"]+)"', text) for part in value.split()} - {"a"}:
        for scheme in (light, dark.split("</style>")[0]):
            assert re.search(rf"\.{re.escape(name)}\b[^{{]*{{ [^}}]*(fill|stroke): #?\w", scheme), name


def test_markup_in_names_is_escaped() -> None:
    architecture = model("live", DomainName="a<b&c.example.com")
    ElementTree.fromstring(pictures.as_svg(architecture))  # noqa: S314 - ours
    assert "a#lt;b#amp;c.example.com" in pictures.as_mermaid(architecture)


@pytest.mark.parametrize("case", CASES)
def test_mermaid_is_balanced_and_links_what_is_there(case: str) -> None:
    name, edit, parameters = CASES[case]
    lines = [line.strip() for line in pictures.as_mermaid(model(name, edit, **parameters)).splitlines()]
    assert lines[1] == "flowchart TB"
    assert sum(line.startswith("subgraph ") for line in lines) == lines.count("end")
    known = {match[1] for line in lines if (match := re.match(r"(?:subgraph )?(\w+_) ?[\[(]", line))}
    for line in lines[2:]:
        link = re.fullmatch(r'(\w+_) (?:-->|-\.->|-\.-)(?:\|"[^"]*"\|)? (\w+_)', line)
        if link:
            assert {link[1], link[2]} <= known, line
        else:
            assert line == "end" or re.fullmatch(r'(?:subgraph )?\w+_ ?[\[(]+"[^"]*"[\])]+', line), line


def test_png_without_a_converter_names_the_package_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: None)
    monkeypatch.setitem(sys.modules, "cairosvg", None)
    with pytest.raises(pictures.RasterError, match=r"rsvg-convert.*cairosvg.*--output svg"):
        pictures.as_png("<svg/>")


def test_fit_shortens_only_what_is_too_wide() -> None:
    assert fit("short", 100) == "short"
    shortened = fit("a text that is much too long for its room", 100)
    assert shortened.endswith("\u2026")
    assert text_width(shortened) <= 100
