"""Third-party scanners: checkov for templates, parliament for policies. Run by the interpreter of their environment.

    .venv-security/bin/python -I hosting/analysis/scanners.py FOLDER

FOLDER contains ``templates/*.json`` and ``policies.json``; the results are written to FOLDER/results.json. This module
imports nothing of ours and opens no connection, so results do not depend on servers.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

# Findings that do not apply to other kinds of policies: in a key policy "*" is the key itself. A trust policy has no
# resource, and issues credentials on purpose. Our rules check who is trusted.
_MEANT: dict[str, frozenset[str]] = {
    "key": frozenset({"RESOURCE_STAR"}),
    "trust": frozenset({"CREDENTIALS_EXPOSURE", "RESOURCE_MISMATCH", "RESOURCE_STAR"}),
    "permissions": frozenset(),
}


def main(folder: Path) -> None:
    _stay_offline()
    warnings.simplefilter("ignore")
    os.environ["LOG_LEVEL"] = (
        "ERROR"  # checkov logs intrinsic functions that it cannot evaluate; the resolved copies have none
    )
    results = [*check_templates(folder / "templates"), *check_policies(folder / "policies.json")]
    (folder / "results.json").write_text(json.dumps(results), encoding="utf-8")


def _stay_offline() -> None:
    def refuse(*_given: object, **_named: object) -> NoReturn:
        raise ConnectionRefusedError("scanners work offline")

    socket.socket.connect = refuse  # type: ignore[method-assign]
    socket.socket.connect_ex = refuse  # type: ignore[method-assign]
    socket.getaddrinfo = refuse


def check_templates(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the findings of checkov. An unreadable file is a finding, because it is not scanned."""
    from checkov.cloudformation.runner import Runner
    from checkov.runner_filter import RunnerFilter

    report = Runner().run(root_folder=str(folder), runner_filter=RunnerFilter(show_progress_bar=False))
    for record in report.failed_checks:
        yield {
            "file": Path(record.file_path).name,
            "resource": record.resource.rpartition(".")[2],
            "rule": record.check_id,
            "message": record.check_name,
            "see": record.guideline or "",
        }
    for file in report.parsing_errors:
        yield {"file": Path(file).name, "resource": "", "rule": "CKV_PARSE", "message": "cannot be read", "see": ""}


def check_policies(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the findings of parliament, including community checks. Each policy has a kind and a number."""
    import parliament

    for policy in json.loads(file.read_text(encoding="utf-8")):
        document = policy["document"]
        if policy["kind"] == "trust":
            document = {**document, "Statement": [{"Resource": "*", **item} for item in document["Statement"]]}
        scanned = parliament.analyze_policy_string(json.dumps(document), include_community_auditors=True)
        for finding in scanned.findings:
            if finding.issue not in _MEANT[policy["kind"]]:
                title = parliament.config.get(finding.issue, {}).get("title", finding.issue.replace("_", " ").lower())
                detail = finding.detail or finding.location.get("actions") or ""
                message = f"{title}: {detail}" if detail else title
                yield {"policy": policy["number"], "rule": finding.issue, "message": message, "see": ""}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
