"""A new service as text: its entry in workloads.py and its parameters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from generator import config, workloads
from generator.errors import ConfigError
from generator.tooling import parameter_files
from generator.tooling.new_service import insert_entry, new_entry
from generator.workloads import Service

EXISTING = (Service("Web", ("/*",), priority=900), Service("Api", ("/api", "/api/*"), priority=100))
SOURCE = """from generator.workloads import Service

SERVICES = (
    Service("Web", ("/*",), priority=900),  # the pages
    Service(
        "Api",
        ("/api", "/api/*"),
        priority=100,
    ),
)
"""


@pytest.mark.parametrize(
    ("name", "paths", "own_size"),
    [("Search", (), True), ("UserProfile", ("/me",), False), ("Hooks", ("/a", "/b", "/c", "/d"), True)],
)
def test_an_inserted_entry_is_what_python_reads_back(
    tmp_path: Path, name: str, paths: tuple[str, ...], own_size: bool
) -> None:
    entry = new_entry(EXISTING, name, paths, own_size=own_size)
    (tmp_path / "workloads.py").write_text(insert_entry(SOURCE, entry), encoding="utf-8")
    assert workloads.load(tmp_path) == (*EXISTING, entry)


def test_a_new_service_is_tried_before_the_service_that_takes_the_rest() -> None:
    entry = new_entry(EXISTING, "UserProfile")
    assert entry.path_patterns == ("/user-profile", "/user-profile/*")
    assert 100 < entry.priority < 900


@pytest.mark.parametrize(
    ("name", "paths", "says"),
    [
        ("search", (), "in CamelCase"),
        ("User-Profile", (), "in CamelCase"),
        ("WEB", (), "there is Web already"),
        ("Bastion", (), "there is Bastion already"),
        ("Service", (), "there is Service already"),
        ("Search", ("/api/*",), "belongs to another service"),
        ("Search", ("/a", "/b", "/c", "/d", "/e"), "give 1 to 4"),
    ],
)
def test_a_new_service_with_a_wrong_name_or_path_is_refused(name: str, paths: tuple[str, ...], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        new_entry(EXISTING, name, paths)


@pytest.mark.parametrize(
    "source",
    [
        "SERVICES = tuple(found)\n",
        'SERVICES = (Service("Web", ("/*",), priority=1),)\n',
        'SERVICES = (\n    Service("Web", ("/*",), priority=1)\n)\n',
        "OTHER = ()\n",
    ],
)
def test_a_file_of_another_shape_is_left_alone(source: str) -> None:
    with pytest.raises(ConfigError, match="by hand"):
        insert_entry(source, new_entry(EXISTING, "Search"))


def test_parameters_stand_beside_their_like_and_nothing_else_moves() -> None:
    text = json.dumps(
        {"Account": "1", "Parameters": {"FrontendImage": "x", "FrontendCpu": "512", "Other": "1"}, "Tags": {}}
    )
    entry = new_entry(EXISTING, "Search")
    document = json.loads(parameter_files.with_service(text, entry, "Frontend"))
    assert list(document) == ["Account", "Parameters", "Tags"]
    assert list(document["Parameters"].items()) == [
        ("FrontendImage", "x"),
        ("SearchImage", "FILL-IN"),
        ("FrontendCpu", "512"),
        ("SearchCpu", "512"),
        ("SearchMemory", "512"),
        ("SearchMinTasks", "2"),
        ("SearchMaxTasks", "4"),
        ("Other", "1"),
    ]


def test_a_given_value_is_never_overwritten() -> None:
    text = json.dumps({"Parameters": {"SearchImage": "mine", "SearchCpu": "1024"}})
    parameters = json.loads(parameter_files.with_service(text, new_entry(EXISTING, "Search"), "Backend"))["Parameters"]
    assert (parameters["SearchImage"], parameters["SearchCpu"]) == ("mine", "1024")


@pytest.mark.parametrize("text", ["[]", '{"Parameters": []}', "{,}"])
def test_a_file_of_another_form_is_left_to_its_owner(text: str) -> None:
    with pytest.raises(parameter_files.ParameterFileError):
        parameter_files.with_service(text, new_entry(EXISTING, "Search"), "Backend")


@pytest.mark.parametrize("file", sorted((Path(config.__file__).parents[1] / "params").glob("*.json")))
def test_the_committed_files_keep_their_form(file: Path) -> None:
    """Otherwise a new service would be lost in a diff of white space."""
    text = file.read_text(encoding="utf-8")
    assert json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n" == text
