"""`deploy.py graph`, in this process: it makes no AWS call."""

from __future__ import annotations

from pathlib import Path

import pytest

from hosting.analysis.graph.pictures import architecture, as_svg
from hosting.cli.support.exit_codes import Exit
from hosting.model.parameter_file import load_environment
from hosting.model.templates import load_complete
from tests.support.project import PARAMS, TEMPLATES, main


def test_svg_is_written_to_stdout(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["graph", "-e", "lab"]) == Exit.DONE
    out, err = capfdbinary.readouterr()
    assert out == as_svg(architecture(load_complete(TEMPLATES), load_environment(PARAMS / "lab.json"))).encode()
    assert err == b""


def test_mermaid_is_written_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "live.mmd"
    assert main(["graph", "-e", "live", "--output", "mermaid", "--to", str(target)]) == Exit.DONE
    assert target.read_text().splitlines()[1] == "flowchart TB"
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"{target}: live, mermaid" in captured.err


def test_png_needs_a_converter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(__import__("sys").modules, "cairosvg", None)
    target = tmp_path / "dev.png"
    assert main(["graph", "-e", "lab", "--output", "png", "--to", str(target)]) == Exit.ERROR
    assert "no converter for PNG is installed\n  install rsvg-convert" in capsys.readouterr().err
    assert not target.exists()


def test_the_converter_creates_the_png(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    converter = tmp_path / "rsvg-convert"
    converter.write_text("#!/bin/sh\nprintf 'PNG of '\nexec /usr/bin/head -c 4\n")
    converter.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    target = tmp_path / "dev.png"
    assert main(["graph", "-e", "lab", "--output", "png", "--to", str(target)]) == Exit.DONE
    assert target.read_bytes() == b"PNG of <svg"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Missing option '-e'"),
        (["-e", "all"], "one environment"),
        (["-e", "lab", "--format", "png"], "use --output"),
        (["-e", "dve"], 'unknown environment "dve"'),
        (["-e", "lab", "--output", "gif"], "'gif' is not one of"),
    ],
)
def test_wrong_input_is_one_message(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", *arguments]) == Exit.USAGE
    assert words in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", "-e", "lab", "--to", str(tmp_path / "no" / "lab.svg")]) == Exit.ERROR
    assert "No such file or directory" in capsys.readouterr().err
