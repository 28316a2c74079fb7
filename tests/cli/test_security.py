"""`deploy.py security`: its output and its exit codes. tests/analysis tests the scanners."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import hosting.analysis.security_scan
from hosting.analysis.findings import Finding
from hosting.analysis.security_scan import Checked, Scan, ScannerError
from hosting.analysis.suppressions import Suppression
from hosting.cli.support.exit_codes import Exit
from tests.support.project import main

CHECKED = Checked(13, ("lab", "live"), 45, 84, 150)
SUPPRESSED = Suppression("security.json", "AccessLogBucket", "CKV_AWS_18", "It receives the access logs.")
FOUND = Finding("CKV_AWS_24", "error", "access.json", "SSH is open", "ServiceSecurityGroup")


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Replace the scan. The result has the arguments of the call and takes the findings to return."""
    case: dict[str, Any] = {"findings": (), "error": None}

    def scan(templates: Path, files: list[Path], python: Path, *, complete: bool, progress: Any) -> Scan:
        case.update(files=[file.stem for file in files], complete=complete)
        progress("judging")
        if case["error"]:
            raise case["error"]
        return Scan(case["findings"], (SUPPRESSED,), CHECKED)

    monkeypatch.setattr(hosting.analysis.security_scan, "scan", scan)
    return case


def test_the_output_lists_suppressions(judged: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["security"]) == Exit.DONE
    shown = capsys.readouterr()
    assert "suppressed CKV_AWS_18  security.json AccessLogBucket" in shown.out
    assert "why It receives the access logs." in shown.out
    assert "no findings (13 templates, resolved for lab and live: 45 files by checkov" in shown.out
    assert "judging" in shown.err
    assert judged["files"] == ["lab", "live"]
    assert judged["complete"]


def test_a_finding_fails_and_points_at_python(judged: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    judged["findings"] = (FOUND,)
    assert main(["security", "-e", "lab"]) == Exit.ERROR
    assert "at  generator/layers/service_access.py:" in capsys.readouterr().out
    assert not judged["complete"]


def test_json_is_for_programs(judged: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    judged["findings"] = (FOUND,)
    assert main(["security", "--output", "json"]) == Exit.ERROR
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "security/1"
    assert document["findings"][0]["rule"] == "CKV_AWS_24"
    assert document["suppressions"][0]["reason"] == SUPPRESSED.reason
    assert document["checked"]["policies"] == 84


def test_a_failed_scanner_is_an_error(judged: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    judged["error"] = ScannerError("a scanner failed", hint="run `make clean security`")
    assert main(["security"]) == Exit.ERROR
    assert "a scanner failed\n  run `make clean security`" in capsys.readouterr().err


def test_an_unknown_environment_is_wrong_input(judged: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["security", "-e", "staging"]) == Exit.USAGE
    assert 'unknown environment "staging"' in capsys.readouterr().err
