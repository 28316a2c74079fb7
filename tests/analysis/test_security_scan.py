"""The security scan: each scanner finds errors, and unneeded suppressions are reported."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hosting.analysis import scanners
from hosting.analysis.example_values import fill_example_values
from hosting.analysis.findings import Finding
from hosting.analysis.resolve import resolve
from hosting.analysis.rules.values import policy_documents
from hosting.analysis.security_scan import Scan, ScannerError, scan
from hosting.analysis.suppressions import Suppressions
from hosting.model.parameter_file import load_environment
from hosting.model.templates import Template, load_complete
from hosting.model.tokens import origins
from tests.support import project
from tests.support.project import TEMPLATES

PROJECT = Path(__file__).resolve().parents[2]
PYTHON = PROJECT / ".venv-security" / "bin" / "python"
PARAMS = [project.PARAMS / "lab.json"]

needs_judges = pytest.mark.skipif(not PYTHON.exists(), reason="`make security` installs checkov and parliament")


def edit(folder: Path, name: str, change: Callable[[dict[str, Any]], object]) -> None:
    file = folder / name
    body = json.loads(file.read_text())
    change(body["Resources"])
    file.write_text(json.dumps(body))


def open_to_all(resources: dict[str, Any]) -> None:
    resources["OpenGroup"] = {
        "Type": "AWS::EC2::SecurityGroup",
        "Properties": {
            "GroupDescription": "Everybody",
            "SecurityGroupIngress": [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "0.0.0.0/0"}],
        },
    }


def misspell(resources: dict[str, Any]) -> None:
    resources["DeliveryPolicy"]["Properties"]["PolicyDocument"]["Statement"][0]["Action"] = ["s3:PutObjekt"]


def loosen_trust(resources: dict[str, Any]) -> None:
    trust = resources["TaskRole"]["Properties"]["AssumeRolePolicyDocument"]
    trust["Statement"][0]["Principal"] = {"AWS": "not-an-arn"}


def mend(resources: dict[str, Any]) -> None:
    """Add the setting that the suppression of the cluster excuses, so that the suppression is not needed."""
    resources["Cluster"]["Properties"]["ClusterSettings"] = [{"Name": "containerInsights", "Value": "enabled"}]


def excuse_without_reason(resources: dict[str, Any]) -> None:
    resources["AccessLogBucket"]["Metadata"]["checkov"]["skip"][0]["comment"] = " "


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    """Scan templates with one error for each scanner. The scan is slow."""
    folder = tmp_path_factory.mktemp("bad") / "templates"
    shutil.copytree(TEMPLATES, folder)
    edit(folder, "network.json", open_to_all)
    edit(folder, "archive.json", misspell)
    edit(folder, "access.json", loosen_trust)
    edit(folder, "application.json", mend)
    edit(folder, "edge-monitoring.json", excuse_without_reason)
    return scan(folder, PARAMS, PYTHON, complete=True)


def where(result: Scan, rule: str) -> set[tuple[str, str]]:
    return {(item.template, item.logical_id) for item in result.findings if item.rule == rule}


@needs_judges
@pytest.mark.parametrize(
    ("rule", "template", "logical_id"),
    [
        ("CKV_AWS_24", "network.json", "OpenGroup"),  # checkov, both raw and resolved
        ("UNKNOWN_ACTION", "archive.json", "DeliveryPolicy"),  # parliament, permissions
        ("UNKNOWN_PRINCIPAL", "access.json", "TaskRole"),  # parliament, trust
        ("SEC-23", "network.json", "OpenGroup"),  # a rule of ours
        ("SCAN-01", "edge-monitoring.json", "AccessLogBucket"),  # a suppression without a reason
        ("SCAN-02", "application.json", "Cluster"),  # a suppression whose finding is gone
    ],
)
def test_each_scanner_reports_its_finding(bad: Scan, rule: str, template: str, logical_id: str) -> None:
    assert (template, logical_id) in where(bad, rule)


@needs_judges
def test_only_what_was_made_bad_is_found(bad: Scan) -> None:
    touched = {"network.json", "archive.json", "access.json", "application.json", "edge-monitoring.json"}
    assert {item.template for item in bad.findings} <= touched
    assert where(bad, "SCAN-02") == {("application.json", "Cluster")}


@needs_judges
@pytest.mark.slow(reason="`make security` does the same")
def test_the_committed_templates_are_accepted() -> None:
    files = sorted(project.PARAMS.glob("*.json"))
    result = scan(TEMPLATES, files, PYTHON, complete=True)
    assert result.findings == ()
    assert all(len(item.reason) > 30 for item in result.suppressions)
    assert result.checked.policies > 50
    assert "lab and live" in result.checked.sentence()


def suppressed(comment: str) -> Suppressions:
    metadata = {"checkov": {"skip": [{"id": "CKV_AWS_18", "comment": comment}]}}
    body = {"Resources": {"Bucket": {"Type": "AWS::S3::Bucket", "Metadata": metadata}}}
    return Suppressions({"security.json": Template.from_body("security.json", body)})


def test_a_suppression_covers_its_own_finding_only() -> None:
    ours = suppressed("It receives the logs.")
    assert not ours.cover(Finding("CKV_AWS_18", "error", "security.json", "", "Other"))
    assert not ours.cover(Finding("CKV_AWS_21", "error", "security.json", "", "Bucket"))
    assert [item.rule for item in ours.findings(complete=True)] == ["SCAN-02"]
    assert ours.cover(Finding("CKV_AWS_18", "error", "security.json", "", "Bucket"))
    assert list(ours.findings(complete=True)) == []


def test_one_environment_cannot_tell_what_another_needs() -> None:
    assert list(suppressed("It receives the logs.").findings(complete=False)) == []
    assert [item.rule for item in suppressed("").findings(complete=False)] == ["SCAN-01"]


def test_missing_scanners_are_reported(tmp_path: Path) -> None:
    with pytest.raises(ScannerError, match="make security"):
        scan(TEMPLATES, PARAMS, tmp_path / "python", complete=True)


def test_a_scanner_that_fails_is_an_error(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'ImportError: no checkov' >&2\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(ScannerError, match="a scanner failed: ImportError: no checkov"):
        scan(TEMPLATES, PARAMS, python, complete=True)
    python.write_text("#!/bin/sh\nexit 0\n")
    with pytest.raises(ScannerError, match="a scanner failed: no output"):
        scan(TEMPLATES, PARAMS, python, complete=True)


def test_scanners_have_no_network() -> None:
    program = (
        "import sys, urllib.request, socket; sys.path.insert(0, sys.argv[1])\n"
        "import scanners; scanners._stay_offline()\n"
        "for call in (lambda: urllib.request.urlopen('http://127.0.0.1:9'), lambda: socket.getaddrinfo('a.test', 1),\n"
        "             lambda: socket.socket().connect(('127.0.0.1', 9))):\n"
        "    try: call()\n"
        "    except OSError as error: print(error)\n"
    )
    folder = str(Path(scanners.__file__).parent)
    done = subprocess.run([sys.executable, "-c", program, folder], capture_output=True, text=True)
    assert done.stdout.count("scanners work offline") == 3, done.stderr


def test_policies_are_scanned_without_tokens() -> None:
    env = resolve(load_complete(TEMPLATES), load_environment(PARAMS[0]))
    documents = [fill_example_values(env, document) for _, _, document in policy_documents(env)]
    assert not [item for document in documents for item in origins(document)]
    text = json.dumps(documents)
    assert "arn:aws:sqs:ap-northeast-1:" in text
    assert ":log-group:/aws/lambda/atlas-lab-log-processor:*" in text
