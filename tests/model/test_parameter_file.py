"""Parameter files: both forms, the base file, and every mistake with its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hosting.model import parameter_file
from hosting.model.errors import InputError


def parse(text: str | bytes) -> parameter_file.ParameterFile:
    return parameter_file.parse(text.encode() if isinstance(text, str) else text, "params/dev.json")


def problems(text: str | bytes) -> list[str]:
    with pytest.raises(InputError) as caught:
        parse(text)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    "text",
    [
        '{"Parameters": {"A": "1", "B": "x=y"}}',
        '[{"ParameterKey": "A", "ParameterValue": "1"}, {"ParameterKey": "B", "ParameterValue": "x=y"}]',
    ],
    ids=["codepipeline", "cli"],
)
def test_every_form_gives_the_same_values(text: str) -> None:
    assert parse(text).values == {"A": "1", "B": "x=y"}


def test_account_region_and_tags_are_read() -> None:
    file = parse(
        '{"Account": "123456789012", "Region": "ap-northeast-1", "Parameters": {}, "Tags": {"Team": "web", "Cost": 7}}'
    )
    assert (file.account, file.region, file.tags) == ("123456789012", "ap-northeast-1", {"Team": "web", "Cost": "7"})


def test_tags_as_a_list_of_keys_and_values() -> None:
    assert parse('{"Parameters": {}, "Tags": [{"Key": "Team", "Value": "web"}]}').tags == {"Team": "web"}


def test_scalars_are_written_as_cloudformation_writes_them() -> None:
    values = parse('{"Parameters": {"T": true, "F": false, "N": 3, "V": 1.10, "L": ["a", 2]}}').values
    assert values == {"T": "true", "F": "false", "N": "3", "V": "1.10", "L": "a,2"}


def test_a_byte_order_mark_is_no_problem() -> None:
    assert parse(b'\xef\xbb\xbf{"Parameters": {"A": "1"}}').values == {"A": "1"}


def test_lines_are_known_for_messages() -> None:
    file = parse('{\n  "Parameters": {\n    "A": "1",\n    "B": "2"\n  }\n}')
    assert file.where("B") == "params/dev.json:4"
    assert file.where("C") == "params/dev.json"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('{"Tags": {\n"Team": "a"},\n"Parameters": {\n"Team": "b"}}', {"Tags.Team": 2, "Team": 4}),
        ('{"Parameters": {"Team": "Team"},\n"Tags": [\n{"Key": "Team", "Value": "b"}]}', {"Tags.Team": 3, "Team": 1}),
        (
            '[{"ParameterKey": "A", "ParameterValue": "B"},\n{"ParameterValue": "A", "ParameterKey": "B"}]',
            {"A": 1, "B": 2},
        ),
        ('{"Parameters": {"A": "{\\"B\\": [",\n"B": "2"}}', {"A": 1, "B": 2}),
    ],
    ids=["tags", "list of tags", "cli", "braces in a value"],
)
def test_a_tag_and_a_parameter_of_one_name_have_their_own_lines(text: str, lines: dict[str, int]) -> None:
    file = parse(text)
    assert {key: file.where(key) for key in lines} == {key: f"params/dev.json:{line}" for key, line in lines.items()}


def test_a_wrong_tag_is_named_with_its_line() -> None:
    text = '{"Parameters": {"Team": "a"},\n"Tags": {"Team": null}}'
    assert problems(text)[0].startswith('params/dev.json:2: the value of "Tags.Team" is null')


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"Parameters": {"A": "1",}}', "params/dev.json:1:26: not valid JSON"),
        ('{\n "Parameters": {\n  "A": "1"\n  "B": "2"}}', "params/dev.json:4:3: not valid JSON"),
        ("Parameters:\n  A: 1\n", "starts with neither { nor ["),
        ("", "not valid JSON"),
        ('"text"', "neither an object nor a list"),
        ('{"Parameters": {"A": "1", "A": "2"}}', '"A" is given more than once'),
        (
            '[{"ParameterKey": "A", "ParameterValue": "1"}, {"ParameterKey": "A", "ParameterValue": "2"}]',
            "more than once",
        ),
        ('{"Parameters": {"A": null}}', 'the value of "A" is null'),
        ('{"Parameters": {"A": {"B": 1}}}', 'the value of "A" is an object'),
        ('{"Parameters": {"A": [[1]]}}', 'the value of "A" is a list of more than plain values'),
        ('{"Parameters": []}', '"Parameters" is not an object'),
        ('{"Parametres": {"A": "1"}}', 'unknown key "Parametres"; did you mean "Parameters"?'),
        ('{"Parameters": {}, "StackPolicy": {}}', '"StackPolicy" has no effect here'),
        ('{"Parameters": {}, "Account": "12"}', "is not an account id"),
        ('[{"Key": "A"}]', "item 1 is not a parameter"),
        ('[{"ParameterKey": "A", "UsePreviousValue": true}]', "UsePreviousValue"),
        (b'{"Parameters": {\n"A": "\xe9"}}', "params/dev.json:2: is not UTF-8 (byte 0xe9)"),
        ('{"Parameters": {}}'.encode("utf-16"), "is encoded as UTF-16"),
    ],
)
def test_a_mistake_is_reported_with_its_place(text: str | bytes, expected: str) -> None:
    assert any(expected in problem for problem in problems(text)), problems(text)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('["A=1", "B=2"]', 'is a list of "Key=Value" texts'),
        (
            '{"template-file-path": "root.json", "parameters": {"A": null}, "tags": {}}',
            'is a file of CloudFormation Git sync ("parameters", "tags")',
        ),
    ],
)
def test_another_form_is_one_error_that_names_the_two_accepted_forms(text: str, what: str) -> None:
    assert problems(text) == [f"params/dev.json: {what}; {parameter_file.FORMS}"]
    assert parameter_file.FORMS.count("write ") == 1
    assert '{"Parameters"' in parameter_file.FORMS
    assert '[{"ParameterKey"' in parameter_file.FORMS


def test_all_problems_come_at_once() -> None:
    text = '{"Parametres": {}, "Parameters": {"A": null, "B": {}, "C": "1", "C": "2"}}'
    assert len(problems(text)) == 4


def test_an_unknown_environment_names_the_known_ones(tmp_path: Path) -> None:
    for name in ("dev", "prod"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"Parameters": {}}))
    assert parameter_file.locate(tmp_path, "dev") == tmp_path / "dev.json"
    with pytest.raises(InputError, match=r'unknown environment "pord"; did you mean "prod"\? .*dev, prod'):
        parameter_file.locate(tmp_path, "pord")
    with pytest.raises(InputError, match=r"no \*\.json in"):
        parameter_file.locate(tmp_path / "empty", "dev")


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_file_overrides_the_base_file_key_by_key(tmp_path: Path) -> None:
    write(
        tmp_path,
        "base.json",
        '{"Account": "111122223333", "Region": "eu-west-1",\n'
        '"Parameters": {"A": "base",\n"B": "base"},\n"Tags": {"T": "base"}}',
    )
    dev = write(tmp_path, "dev.json", '{"Region": "us-east-1",\n"Parameters": {"B": "dev"}, "Tags": {"U": "dev"}}')
    file = parameter_file.read(dev, "params/dev.json")
    assert file.values == {"A": "base", "B": "dev"}
    assert file.tags == {"T": "base", "U": "dev"}
    assert (file.account, file.region) == ("111122223333", "us-east-1")
    assert [file.where(key) for key in ("A", "B", "Account", "Region")] == [
        "params/base.json:2",
        "params/dev.json:2",
        "params/base.json:1",
        "params/dev.json:1",
    ]


def test_problems_of_both_files_come_at_once(tmp_path: Path) -> None:
    write(tmp_path, "base.json", '{"Parameters": {"A": null}}')
    dev = write(tmp_path, "dev.json", '{"Parameters": {"B": null}}')
    with pytest.raises(InputError) as caught:
        parameter_file.read(dev, "params/dev.json")
    assert [problem.where for problem in caught.value.problems] == ["params/base.json:1", "params/dev.json:1"]


def test_the_base_file_is_no_environment(tmp_path: Path) -> None:
    write(tmp_path, "base.json", '{"Parameters": {}}')
    write(tmp_path, "dev.json", '{"Parameters": {}}')
    assert parameter_file.environments(tmp_path) == ("dev",)
    assert parameter_file.select_files(tmp_path, "all") == [tmp_path / "dev.json"]
    with pytest.raises(InputError, match=r"base\.json contains the values that environments share"):
        parameter_file.select_files(tmp_path, "base")


def test_overrides_win_and_say_where_they_stand() -> None:
    file = parse('{\n"Parameters": {"A": "1"}}').override(["A=2", "B=3=4"])
    assert file.values == {"A": "2", "B": "3=4"}
    assert file.where("A") == "--set"
    with pytest.raises(InputError, match="write Key=Value"):
        file.override(["A"])


@pytest.mark.parametrize(
    ("word", "expected"), [("DomianName", "DomainName"), ("domainname", "DomainName"), ("Zebra", None)]
)
def test_suggestions(word: str, expected: str | None) -> None:
    assert parameter_file.suggest(word, ["DomainName", "Environment"]) == expected
