"""`deploy.py generate` writes every generated file, reports each stale one, and refuses what CloudFormation would."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from hosting.cli.support import generated
from hosting.cli.support.exit_codes import Exit
from hosting.model.parameter_file import Environment
from tests.support import scale
from tests.support.project import FIXTURE, copy_project, main


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with the files of a user and nothing generated."""
    return copy_project(tmp_path)


def contents(folder: Path) -> dict[str, bytes]:
    """Return path -> bytes of every generated file of a project."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for pattern in generated.GENERATED
        for path in folder.glob(pattern)
    }


def test_one_command_writes_templates_tables_and_pictures(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "--root", str(project)]) == Exit.DONE
    written = contents(project)
    environments = {path.stem for path in (project / "params").glob("*.json")}
    assert {name for name in written if name.startswith("docs/")} == {
        "docs/parameters.md",
        "docs/outputs.md",
        *(f"docs/architecture-{name}.svg" for name in environments),
    }
    assert "templates/root.json" in written
    assert sorted(capsys.readouterr().out.split()) == sorted(written)
    assert main(["generate", "--check", "--root", str(project)]) == Exit.DONE
    assert main(["generate", "--root", str(project)]) == Exit.DONE
    assert capsys.readouterr().out == "", "nothing differs the second time"


def remove_environment(project: Path) -> None:
    (project / "params" / "live.json").unlink()


@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        (lambda folder: (folder / "templates/root.json").write_text("{}"), "templates/root.json: differs"),
        (lambda folder: (folder / "templates/edge.json").unlink(), "templates/edge.json: missing"),
        (lambda folder: (folder / "templates/old.json").write_text("{}"), "templates/old.json: nothing generates it"),
        (lambda folder: (folder / "docs/outputs.md").write_text("x"), "docs/outputs.md: differs"),
        (lambda folder: (folder / "docs/architecture-live.svg").unlink(), "docs/architecture-live.svg: missing"),
        (remove_environment, "docs/architecture-live.svg: nothing generates it"),
        (
            lambda folder: (folder / "params/live.json").write_text(
                (folder / "params/live.json").read_text().replace('MaxTasks": "10"', 'MaxTasks": "12"')
            ),
            "docs/architecture-live.svg: differs",
        ),
    ],
)
def test_a_stale_file_is_named_and_the_next_generation_writes_or_deletes_it(
    project: Path, damage: Callable[[Path], object], finding: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["generate", "--root", str(project)])
    damage(project)
    before = contents(project)
    assert main(["generate", "--check", "--root", str(project)]) == Exit.ERROR
    captured = capsys.readouterr()
    assert finding in captured.err
    assert "Run `deploy.py generate`" in captured.err
    assert contents(project) == before, "--check writes nothing"
    assert main(["generate", "--root", str(project)]) == Exit.DONE
    assert finding.split(":", maxsplit=1)[0] in capsys.readouterr().out.split()
    assert main(["generate", "--check", "--root", str(project)]) == Exit.DONE


def test_a_drawn_picture_is_drawn_again_only_after_a_change(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    draw = generated._draw

    def record(templates: Mapping[str, str], values: Environment) -> str:
        drawn.append(values.name)
        return draw(templates, values)

    monkeypatch.setattr(generated, "_draw", record)
    main(["generate", "--root", str(project)])
    main(["generate", "--root", str(project)])
    assert sorted(drawn) == sorted(path.stem for path in (project / "params").glob("*.json"))
    drawn.clear()
    file = project / "params" / "live.json"
    file.write_text(file.read_text().replace('MaxTasks": "10"', 'MaxTasks": "12"'))
    main(["generate", "--root", str(project)])
    assert drawn == ["live"]
    drawn.clear()
    text = (project / "workloads.py").read_text()
    (project / "workloads.py").write_text(text.replace("/orders", "/interface"))
    main(["generate", "--root", str(project)])
    assert sorted(drawn) == ["lab", "live"], "the templates changed"
    assert len(list((project / "build" / "pictures").iterdir())) == 2, "old pictures do not pile up"


def test_an_error_in_workloads_is_one_message(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "workloads.py").write_text("from generator.workloads import WebService\n\nWORKLOADS = (WebService(),)\n")
    assert main(["generate", "--root", str(project)]) == Exit.ERROR
    assert capsys.readouterr().err.startswith("error: workloads.py:3: TypeError: ")


@pytest.mark.parametrize("arguments", [["generate"], ["generate", "--check"]])
def test_too_many_services_are_refused(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scale.write(FIXTURE, tmp_path, 110)
    assert main([*arguments, "--root", str(tmp_path)]) == Exit.ERROR
    printed = capsys.readouterr().err
    assert "root.json has " in printed
    assert "note: root.json has 110 egress rules of AlbSecurityGroupId" in printed
    assert contents(tmp_path) == {}


def test_a_limit_that_aws_raises_on_request_is_a_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scale.write(FIXTURE, tmp_path, 70)
    assert main(["generate", "--root", str(tmp_path)]) == Exit.DONE
    assert "note: " in capsys.readouterr().err
