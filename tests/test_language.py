"""Checks that the project's own texts are plain technical English."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support import language
from tests.support.language import Finding

PROJECT = Path(__file__).parents[1]
CODE = ("generator", "hosting", "lambda")

# File, a fragment of the text, and the reason why it may stay.
EXCEPTIONS: tuple[tuple[str, str, str], ...] = (
    ("tests/support/language.py", "", "lists the words"),
    ("tests/test_language.py", "", "shows the words"),
)


def python_files() -> list[str]:
    """Return the paths of the project's Python files, relative to the project."""
    paths = [PROJECT / "deploy.py", *(path for folder in (*CODE, "tests") for path in (PROJECT / folder).rglob("*.py"))]
    return sorted(str(path.relative_to(PROJECT)) for path in paths)


def without_exceptions(found: list[Finding]) -> list[str]:
    return [str(one) for one in found if not any(one.file == file and part in one.text for file, part, _ in EXCEPTIONS)]


def test_python_texts_use_plain_words() -> None:
    found = [one for file in python_files() for one in language.check_python(PROJECT / file, file)]
    assert without_exceptions(found) == []


def test_docstrings_begin_with_a_subject_or_a_verb() -> None:
    files = [file for file in python_files() if not file.startswith("tests/")]
    found = [one for file in files for one in language.check_docstrings(PROJECT / file, file)]
    assert without_exceptions(found) == []


def test_documents_use_plain_words() -> None:
    files = [PROJECT / "README.md", PROJECT / "CHANGELOG.md", *sorted((PROJECT / "docs").glob("*.md"))]
    found = [one for path in files for one in language.check_document(path, str(path.relative_to(PROJECT)))]
    assert without_exceptions(found) == []


def test_descriptions_of_templates_use_plain_words() -> None:
    found = [
        one
        for path in sorted((PROJECT / "templates").glob("*.json"))
        for one in language.check_template(json.loads(path.read_text()), path.name)
    ]
    assert without_exceptions(found) == []


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ('"""A module."""\n# Nobody reads this.\n', '"Nobody"'),
        ('"""A module."""\nprint("the stack has not come to rest yet")\n', '"come to rest"'),
        ('"""What a module holds."""\n', 'begins with "what"'),
        ('"""A module."""\ndef ask():\n    """The ARN of a role."""\n', 'begins with "the"'),
        ('"""A module."""\ndef long():\n' + "    print()\n" * 9, "has no docstring"),
        ('"""A module."""\nclass Long:\n' + "    x = 1\n" * 9, "has no docstring"),
        ("x = 1\n", "has no docstring"),
    ],
)
def test_each_habit_is_found(tmp_path: Path, source: str, problem: str) -> None:
    path = tmp_path / "bad.py"
    path.write_text(source)
    found = [*language.check_python(path, path.name), *language.check_docstrings(path, path.name)]
    assert len(found) == 1
    assert problem in found[0].problem


def test_code_in_documents_is_not_prose(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("A stack.\n\n```sh\necho nobody\n```\n\n`whoever` is code; somebody is not.\n")
    found = list(language.check_document(path, path.name))
    assert [(one.line, one.problem.split(":")[0]) for one in found] == [(7, '"somebody"')]


def test_descriptions_are_found_at_any_depth() -> None:
    template = {"Resources": {"Alarm": {"Properties": {"AlarmDescription": "The alarm tells of errors."}}}}
    assert [one.problem for one in language.check_template(template, "x.json")] == [
        '"tells": write reports, states, returns, describes'
    ]


@pytest.mark.parametrize(("file", "part", "reason"), EXCEPTIONS)
def test_an_exception_is_still_needed(file: str, part: str, reason: str) -> None:
    path = PROJECT / file
    found = [*language.check_python(path, file), *language.check_docstrings(path, file)]
    assert reason
    assert any(part in one.text for one in found)


def documents() -> list[Path]:
    return [PROJECT / "README.md", PROJECT / "CHANGELOG.md", *sorted((PROJECT / "docs").glob("*.md"))]


def test_rows_of_tables_have_as_many_cells_as_their_headings() -> None:
    uneven = []
    for path in documents():
        columns = 0
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            cells = len(re.findall(r"(?<!\\)\|", re.sub(r"`[^`]*`", "", line))) if line.startswith("|") else 0
            if columns and cells and cells != columns:
                uneven.append(f"{path.name}:{number}")
            columns = cells and (columns or cells)
    assert uneven == []


def test_links_of_documents_lead_to_files() -> None:
    broken = [
        f"{path.name}: {link}"
        for path in documents()
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8"))
        if not link.startswith("http") and not (path.parent / link).exists()
    ]
    assert broken == []
