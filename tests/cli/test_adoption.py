"""First use: a new service by one command, shell completion, and the version."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hosting.model.parameter_file import environments
from tests.support.project import copy_project, main

ROOT = Path(__file__).resolve().parents[2]
# Completion knows the environments of the project that deploy.py belongs to.
ENVIRONMENTS = "\n".join(f"plain,{name}" for name in environments(ROOT / "params"))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a project, with everything generated, that a test can change."""
    copy_project(tmp_path)
    assert main(["generate", "--root", str(tmp_path)]) == 0
    return tmp_path


def run_on(project: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run(*arguments, "--root", str(project), **environment)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "deploy.py", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_a_new_service_is_one_command_and_an_image(copy: Path) -> None:
    before = {path.name: path.read_bytes() for path in (copy / "templates").iterdir()}
    done = run_on(copy, "new-service", "Invoices")
    assert done.returncode == 0, done.stderr
    after = {path.name: path.read_bytes() for path in (copy / "templates").iterdir()}
    assert after.keys() - before.keys() == {"workload-invoices.json"}
    changed = {name for name, text in before.items() if after[name] != text}
    assert changed == {"root.json", "bootstrap.json"}, "a further service changes no template but these"
    assert {"templates/root.json", "workloads.py", "params/lab.json"} <= set(done.stdout.split())
    assert "docs/architecture-lab.svg" in done.stdout

    missing = run_on(copy, "params", "check", "-e", "all")
    assert missing.returncode == 64
    assert missing.stderr.count("InvoicesImage") == 2, "nothing else is left to fill in"
    # The next step creates the repository for the image. No service listens at this endpoint.
    endpoint = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    offline = {**endpoint, "AWS_MAX_ATTEMPTS": "1"}
    bootstrap = run_on(copy, "deploy", "-e", "lab", "--through", "bootstrap", "--yes", **offline)
    assert "FILL-IN" not in bootstrap.stderr
    assert "127.0.0.1:9" in bootstrap.stderr, "the files are valid: the command reaches for AWS"
    assert run_on(copy, "deploy", "-e", "lab", "--yes", **offline).returncode == 64
    for name in ("lab", "live"):
        file = copy / "params" / f"{name}.json"
        image = json.loads(file.read_text())["Parameters"]["InvoicesImage"]
        assert re.fullmatch(r"[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com/[a-z-]+/invoices@sha256:FILL-IN", image)
        file.write_text(file.read_text().replace("FILL-IN", "0" * 64))
    assert run_on(copy, "params", "check", "-e", "all").returncode == 0
    assert run_on(copy, "generate", "--check").returncode == 0, "the digest of an image is in no generated file"

    again = run_on(copy, "new-service", "Invoices")
    assert again.returncode == 1
    assert "there is Invoices already" in again.stderr
    assert "Traceback" not in again.stderr


def test_an_invalid_parameter_file_leaves_every_file_unchanged(copy: Path) -> None:
    (copy / "params" / "live.json").write_text("{,}")
    config = (copy / "workloads.py").read_bytes()
    done = run_on(copy, "new-service", "Invoices")
    assert done.returncode == 64
    assert "params/live.json:1:2: not valid JSON" in done.stderr
    assert (copy / "workloads.py").read_bytes() == config


def test_the_parameters_of_a_new_service_go_where_those_of_its_neighbour_are(copy: Path) -> None:
    model = [line for line in (copy / "workloads.py").read_text().splitlines() if "Service(" in line][-1].split('"')[1]
    files = {name: copy / "params" / f"{name}.json" for name in ("base", "lab", "live")}
    documents = {name: json.loads(files[name].read_text()) for name in ("lab", "live")}
    for name, document in documents.items():
        del document["Parameters"][f"{model}Memory"], document["Parameters"][f"{model}Cpu"]
        items = [{"ParameterKey": key, "ParameterValue": value} for key, value in document["Parameters"].items()]
        files[name].write_text(json.dumps(items if name == "lab" else document))
    dev = documents["lab"]
    shared = {"Account": dev["Account"], "Region": dev["Region"]}
    files["base"].write_text(json.dumps({**shared, "Parameters": {f"{model}Cpu": "1024", f"{model}Memory": "2048"}}))
    done = run_on(copy, "new-service", "Invoices")
    assert done.returncode == 0, done.stderr
    assert "params/base.json" in done.stdout
    assert json.loads(files["base"].read_text())["Parameters"] == {
        f"{model}Cpu": "1024", f"{model}Memory": "2048", "InvoicesCpu": "1024", "InvoicesMemory": "2048"
    }  # fmt: skip
    own = {item["ParameterKey"] for item in json.loads(files["lab"].read_text())}
    assert {"InvoicesImage", "InvoicesMinTasks", "InvoicesMaxTasks"} <= own
    assert not {"InvoicesCpu", "InvoicesMemory"} & own
    assert {"InvoicesImage", "InvoicesMinTasks"} <= set(json.loads(files["live"].read_text())["Parameters"])
    shown = run_on(copy, "params", "show", "-e", "lab", "--output", "json")
    values = {item["name"]: item for item in json.loads(shown.stdout)}
    assert (values["InvoicesCpu"]["value"], values["InvoicesCpu"]["origin"]) == ("1024", "params/base.json:7")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell: str) -> None:
    done = run("completion", shell)
    assert done.returncode == 0, done.stderr
    assert "_DEPLOY_PY_COMPLETE" in done.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("deploy.py dep", "plain,deploy"),
        ("deploy.py params check -e ", ENVIRONMENTS),
    ],
)
def test_commands_and_environments_are_completed(words: str, expected: str) -> None:
    position = str(len(words.split(" ")) - 1)
    done = run(COMP_WORDS=words, COMP_CWORD=position, _DEPLOY_PY_COMPLETE="bash_complete")
    assert done.stdout.strip() == expected


def test_bash_completes_with_the_script() -> None:
    script = run("completion", "bash").stdout
    ask = 'COMP_WORDS=(deploy.py new); COMP_CWORD=1; _deploypy_completion ./deploy.py; echo "${COMPREPLY[@]}"'
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = ["bash", "--norc", "-c", f"{script}\n{ask}"]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    assert done.stdout.strip() == "new-service", done.stderr


def test_the_version_is_that_of_the_project() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert run("--version").stdout == f"hosting-platform {project['version']}\n"
