"""A new service as text: its entry in workloads.py and its parameters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from generator import workloads
from generator.errors import ConfigError
from generator.tooling import parameter_files
from generator.tooling.new_service import insert_entry, new_entry
from generator.workloads import InternalService, Job, WebService, Worker, Workload
from tests.support.project import PARAMS

EXISTING = (WebService("Web", paths=("/*",), priority=900), WebService("Api", paths=("/api", "/api/*"), priority=100))
SOURCE = """from generator.workloads import WebService

WORKLOADS = (
    WebService("Web", paths=("/*",), priority=900),  # the pages
    WebService(
        "Api",
        paths=("/api", "/api/*"),
        priority=100,
    ),
)
"""


@pytest.mark.parametrize(
    ("name", "paths", "own_size"),
    [("Search", (), True), ("UserProfile", ("/me",), False), ("Hooks", ("/a", "/b", "/c"), True)],
)
def test_an_inserted_entry_is_what_python_reads_back(
    tmp_path: Path, name: str, paths: tuple[str, ...], own_size: bool
) -> None:
    entry = new_entry(EXISTING, name, paths, own_size=own_size)
    (tmp_path / "workloads.py").write_text(insert_entry(SOURCE, entry), encoding="utf-8")
    assert workloads.load(tmp_path) == (*EXISTING, entry)


def test_a_new_service_is_tried_before_the_service_that_takes_the_rest() -> None:
    entry = new_entry(EXISTING, "UserProfile")
    assert entry.paths == ("/user-profile", "/user-profile/*")
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
        ("Search", ("search",), "give a pattern"),
    ],
)
def test_a_new_service_with_a_wrong_name_or_path_is_refused(name: str, paths: tuple[str, ...], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        new_entry(EXISTING, name, paths)


@pytest.mark.parametrize(
    "source",
    [
        "WORKLOADS = tuple(found)\n",
        'WORKLOADS = (WebService("Web", paths=("/*",), priority=1),)\n',
        'WORKLOADS = (\n    WebService("Web", paths=("/*",), priority=1)\n)\n',
        "OTHER = ()\n",
    ],
)
def test_a_file_of_another_shape_is_left_alone(source: str) -> None:
    with pytest.raises(ConfigError, match="by hand"):
        insert_entry(source, new_entry(EXISTING, "Search"))


NEW = {"SearchImage": "FILL-IN", "SearchCpu": "512", "SearchMemory": "1024"}


def test_the_parameters_of_a_service_are_those_of_its_model() -> None:
    parameters = parameter_files.service_parameters(new_entry(EXISTING, "Search"), "Api")
    assert parameters["SearchImage"] == ("ApiImage", "FILL-IN")
    assert parameters["SearchMemory"] == ("ApiMemory", "512")
    shared = parameter_files.service_parameters(new_entry(EXISTING, "Search", own_size=False), "Api")
    assert list(shared) == ["SearchImage", "ServiceCpu", "ServiceMemory", "ServiceMinTasks", "ServiceMaxTasks"]


def test_a_new_parameter_follows_the_last_one_of_its_kind_and_nothing_else_moves() -> None:
    text = json.dumps({"Account": "1", "Parameters": {"ApiImage": "x", "ApiCpu": "512", "Other": "1"}, "Tags": {}})
    document = json.loads(parameter_files.insert_parameters(text, NEW))
    assert list(document) == ["Account", "Parameters", "Tags"]
    assert list(document["Parameters"].items()) == [
        ("ApiImage", "x"),
        ("SearchImage", "FILL-IN"),
        ("ApiCpu", "512"),
        ("SearchCpu", "512"),
        ("SearchMemory", "1024"),
        ("Other", "1"),
    ]


def test_a_list_of_parameters_stays_a_list() -> None:
    pairs = [{"ParameterKey": key, "ParameterValue": "x"} for key in ("ApiImage", "ApiCpu", "Other")]
    document = json.loads(parameter_files.insert_parameters(json.dumps(pairs), NEW))
    keys = ["ApiImage", "SearchImage", "ApiCpu", "SearchCpu", "SearchMemory", "Other"]
    assert [item["ParameterKey"] for item in document] == keys
    assert document[1] == {"ParameterKey": "SearchImage", "ParameterValue": "FILL-IN"}


def test_a_value_of_the_file_is_not_overwritten() -> None:
    text = json.dumps({"Parameters": {"SearchImage": "mine", "SearchCpu": "1024"}})
    parameters = json.loads(parameter_files.insert_parameters(text, NEW))["Parameters"]
    assert parameters == {"SearchImage": "mine", "SearchCpu": "1024", "SearchMemory": "1024"}


@pytest.mark.parametrize("text", ["3", '{"Parameters": []}', "{,}"])
def test_a_file_of_another_form_is_not_extended(text: str) -> None:
    with pytest.raises(parameter_files.ParameterFileError):
        parameter_files.insert_parameters(text, NEW)


@pytest.mark.parametrize("file", sorted(PARAMS.glob("*.json")))
def test_the_files_of_the_project_keep_their_form(file: Path) -> None:
    """Otherwise a new service would be lost in a diff of white space."""
    text = file.read_text(encoding="utf-8")
    assert json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n" == text


@pytest.mark.parametrize(
    "entry",
    [
        Worker("Mailer", like="Api", one_task=True, command=("mail", "--all")),
        Job("Nightly", schedule="cron(0 18 * * ? *)", own_size=False),
        InternalService("Search", called_by=("Api", "Web"), port=7700, user="1000:0"),
        WebService("Admin", like="Api", paths=("/admin",), priority=200, read_only=False),
    ],
    ids=lambda entry: str(entry.kind),
)
def test_an_entry_of_each_kind_is_what_python_reads_back(tmp_path: Path, entry: Workload) -> None:
    (tmp_path / "workloads.py").write_text(insert_entry(SOURCE, entry), encoding="utf-8")
    assert workloads.load(tmp_path) == (*EXISTING, entry)


def test_a_workload_that_shares_an_image_has_no_parameter_for_it() -> None:
    shared = parameter_files.service_parameters(Worker("Mailer", like="Api", one_task=True), "Api")
    assert shared == {"MailerCpu": ("ApiCpu", "256"), "MailerMemory": ("ApiMemory", "512")}
