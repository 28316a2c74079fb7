"""`deploy.py graph`, in this process: it calls nobody."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hosting.cli.main import main
from hosting.cli.support.exit_codes import Exit

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project's templates and parameters, without pictures."""
    for folder in ("templates", "params"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def test_svg_goes_to_stdout(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["graph", "-e", "dev"]) == Exit.DONE
    out, err = capfdbinary.readouterr()
    assert out == (ROOT / "docs" / "architecture-dev.svg").read_bytes()
    assert err == b""


def test_mermaid_goes_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "prod.mmd"
    assert main(["graph", "-e", "prod", "--output", "mermaid", "--to", str(target)]) == Exit.DONE
    assert target.read_text().splitlines()[1] == "flowchart TB"
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"{target}: prod, mermaid" in captured.err


def test_png_needs_a_converter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(__import__("sys").modules, "cairosvg", None)
    target = tmp_path / "dev.png"
    assert main(["graph", "-e", "dev", "--output", "png", "--to", str(target)]) == Exit.ERROR
    assert "no converter for PNG is installed\n  install rsvg-convert" in capsys.readouterr().err
    assert not target.exists()


def test_png_comes_from_the_converter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    converter = tmp_path / "rsvg-convert"
    converter.write_text("#!/bin/sh\nprintf 'PNG of '\nexec /usr/bin/head -c 4\n")
    converter.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    target = tmp_path / "dev.png"
    assert main(["graph", "-e", "dev", "--output", "png", "--to", str(target)]) == Exit.DONE
    assert target.read_bytes() == b"PNG of <svg"


def test_check_fails_until_docs_are_written(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--root", str(copy)]
    assert main(["graph", "--check", *where]) == Exit.ERROR
    err = capsys.readouterr().err
    assert "docs/architecture-dev.svg is missing" in err
    assert "deploy.py graph --write-docs" in err
    assert main(["graph", "--write-docs", *where]) == Exit.DONE
    assert "docs/architecture-prod.svg" in capsys.readouterr().out
    assert main(["graph", "--check", *where]) == Exit.DONE
    assert main(["graph", "--write-docs", *where]) == Exit.DONE
    assert "docs/ is up to date." in capsys.readouterr().err


def test_a_changed_parameter_makes_the_picture_stale(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--root", str(copy)]
    main(["graph", "--write-docs", *where])
    file = copy / "params" / "dev.json"
    file.write_text(file.read_text().replace('"FrontendMaxTasks": "4"', '"FrontendMaxTasks": "6"'))
    assert main(["graph", "--check", *where]) == Exit.ERROR
    assert "docs/architecture-dev.svg is stale" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "a picture shows one environment"),
        (["-e", "all"], "one environment"),
        (["-e", "dev", "--format", "png"], "use --output"),
        (["-e", "dve"], 'unknown environment "dve"'),
        (["-e", "dev", "--output", "gif"], "'gif' is not one of"),
        (["--check", "--write-docs"], "cannot be combined"),
        (["--check", "-e", "dev"], "every environment"),
        (["--write-docs", "--output", "png"], "every environment"),
    ],
)
def test_wrong_input(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", *arguments]) == Exit.USAGE
    assert words in capsys.readouterr().err


def test_a_file_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", "-e", "dev", "--to", str(tmp_path / "no" / "dev.svg")]) == Exit.ERROR
    assert "No such file or directory" in capsys.readouterr().err
