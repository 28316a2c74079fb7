"""A new service as text: its entry in config.py and its parameters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from generator import config
from generator.config import ServiceEntry
from generator.errors import ConfigError
from generator.tooling import parameter_files
from generator.tooling.new_service import added, entry_for

SOURCE = Path(config.__file__).read_text(encoding="utf-8")


def services_of(source: str) -> tuple[ServiceEntry, ...]:
    # dataclasses look their module up by name.
    space: dict[str, object] = {"__name__": config.__name__}
    exec(compile(source, "config.py", "exec"), space)  # noqa: S102 -- the text this test has just made
    services: tuple[ServiceEntry, ...] = space["default_services"]()  # type: ignore[operator]
    return services


@pytest.mark.parametrize(
    ("name", "paths", "own_size"),
    [("Search", (), True), ("UserProfile", ("/me",), False), ("Hooks", ("/a", "/b", "/c", "/d"), True)],
)
def test_the_entry_is_what_python_reads_back(name: str, paths: tuple[str, ...], own_size: bool) -> None:
    entry = entry_for(name, paths, own_size=own_size)
    before, after = services_of(SOURCE), services_of(added(SOURCE, entry))
    assert [vars(one) for one in after] == [*(vars(one) for one in before), vars(entry)]


def test_it_is_asked_before_whoever_takes_the_rest() -> None:
    entry = entry_for("UserProfile")
    assert entry.path_patterns == ("/user-profile", "/user-profile/*")
    assert 100 < entry.priority < 900


@pytest.mark.parametrize(
    ("name", "paths", "says"),
    [
        ("search", (), "in CamelCase"),
        ("User-Profile", (), "in CamelCase"),
        ("frontend", (), "in CamelCase"),
        ("FrontEnd", (), "there is Frontend already"),
        ("Bastion", (), "there is Bastion already"),
        ("Service", (), "there is Service already"),
        ("Search", ("/api/*",), "belongs to another service"),
        ("Search", ("/a", "/b", "/c", "/d", "/e"), "give 1 to 4"),
    ],
)
def test_what_cannot_be_is_refused(name: str, paths: tuple[str, ...], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        entry_for(name, paths)


def test_a_configuration_of_another_shape_is_left_alone() -> None:
    with pytest.raises(ConfigError, match="by hand"):
        added("def default_services():\n    return tuple(found)\n", entry_for("Search"))


def test_parameters_stand_beside_their_like_and_nothing_else_moves() -> None:
    text = json.dumps(
        {"Account": "1", "Parameters": {"FrontendImage": "x", "FrontendCpu": "512", "Other": "1"}, "Tags": {}}
    )
    entry = entry_for("Search")
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
    parameters = json.loads(parameter_files.with_service(text, entry_for("Search"), "Backend"))["Parameters"]
    assert (parameters["SearchImage"], parameters["SearchCpu"]) == ("mine", "1024")


@pytest.mark.parametrize("text", ["[]", '{"Parameters": []}', "{,}"])
def test_a_file_of_another_form_is_left_to_its_owner(text: str) -> None:
    with pytest.raises(parameter_files.ParameterFileError):
        parameter_files.with_service(text, entry_for("Search"), "Backend")


@pytest.mark.parametrize("file", sorted((Path(config.__file__).parents[1] / "params").glob("*.json")))
def test_the_committed_files_keep_their_form(file: Path) -> None:
    """Otherwise a new service would be lost in a diff of white space."""
    text = file.read_text(encoding="utf-8")
    assert json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n" == text
