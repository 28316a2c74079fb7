"""`deploy.py local`: an environment of small apps and of the Django example on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support import apps
from tests.support.example import copy_example, generate_example
from tests.support.programs import need
from tests.support.project import REPOSITORY, write_templates
from tests.support.waiting import PATIENCE, eventually

SETTINGS = """
static = "files"

[services.Web]
folder = "app"
command = "python -m uvicorn site_config.asgi:application --host 0.0.0.0 --port 8080"

[[requests]]
path = "/login/"
status = 200
contains = "Log in"
[[requests]]
path = "/static/robots.txt"
status = 200
contains = "Disallow"
[[requests]]
path = "/sorry/index.html"
status = 200
[[requests]]
path = "/api/nothing"
status = 404
contains = "not found"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The generated Django example, with the settings of this machine."""
    need("bwrap", "ip", "mariadbd", "mariadb-install-db")
    apps.django()
    folder = generate_example("django", tmp_path / "project").folder
    (folder / "app").symlink_to(apps.DJANGO / "app")
    (folder / "files").mkdir()
    (folder / "files" / "robots.txt").write_text("Disallow: /")
    (folder / "local.toml").write_text(SETTINGS)
    return folder


def command(project: Path, *arguments: str) -> list[str]:
    return [sys.executable, str(REPOSITORY / "deploy.py"), "local", "-e", "dev", "--root", str(project), *arguments]


def environment() -> Mapping[str, str]:
    return os.environ | {"PATH": f"{Path(apps.python()).parent}:{os.environ['PATH']}"}


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(project, *arguments), env=environment(), capture_output=True, text=True, timeout=PATIENCE
    )


def free_port() -> str:
    from hosting.local.database import _free_port

    return str(_free_port())


@pytest.mark.slow("starts a database server and the Django example")
def test_a_check_passes_for_the_django_example_and_fails_for_a_wrong_expectation(project: Path) -> None:
    done = run(project, "--port", free_port(), "--check", "--job", "Cleanup")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "healthy" in done.stderr
    assert "job Cleanup ended with exit code 0" in done.stderr
    assert "Applying notes.0001_initial... OK" in done.stdout
    assert done.stdout.count(" ok\n") == 4
    settings = (project / "local.toml").read_text()
    (project / "local.toml").write_text(settings.replace("status = 404", "status = 200"))
    done = run(project, "--port", free_port(), "--check")
    assert done.returncode == 1
    assert "404  wrong: expected status 200" in done.stdout
    assert json.loads((project / "build/local/dev/secrets.json").read_text())


@pytest.mark.slow("starts a database server and WordPress")
def test_a_check_passes_for_wordpress(tmp_path: Path) -> None:
    need("bwrap", "ip", "mariadbd", "mariadb-install-db")
    project = generate_example("wordpress", tmp_path / "project").folder
    image = apps.wordpress(project, 80)
    command_line = " ".join(image.command)
    (project / "local.toml").write_text(
        f'[services.Wordpress]\nfolder = "wordpress"\ncommand = "{command_line}"\n'
        '[[requests]]\npath = "/wp-admin/install.php"\nstatus = 200\ncontains = "WordPress"\n'
        '[[requests]]\npath = "/"\nstatus = 302\n'
    )
    done = run(project, "--port", free_port(), "--check")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow("starts a database server and the Django example twice")
def test_a_change_takes_effect_and_ctrl_c_leaves_nothing_behind(project: Path) -> None:
    log = project / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command(project, "--port", free_port()), env=environment(), stdout=output, stderr=subprocess.STDOUT
        )
    try:
        eventually(lambda: "Ctrl-C stops everything" in log.read_text(), log.read_text)
        parameters = project / "params" / "dev.json"
        parameters.write_text(parameters.read_text().replace('"WebVarLogLevel": "INFO"', '"WebVarLogLevel": "DEBUG"'))
        eventually(lambda: "starting the containers again" in log.read_text(), log.read_text)
        eventually(lambda: log.read_text().count("Application startup complete") == 2, log.read_text)
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(PATIENCE)
    assert code == 0, log.read_text()
    assert "Application shutdown complete" in log.read_text()
    assert not [entry for entry in running_commands() if str(project) in entry]


def running_commands() -> Iterator[str]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            yield (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue


@pytest.mark.slow("starts a database server for each app")
@pytest.mark.parametrize(
    ("app", "expected"),
    [
        ("import time; time.sleep(600)", ["No program answers on port 8080", "listen on 0.0.0.0:8080"]),
        (
            "import http.server as h; h.HTTPServer(('0.0.0.0', 8080), h.SimpleHTTPRequestHandler).serve_forever()",
            ["/healthz answers 404", "health_check=HealthCheck(path=...)"],
        ),
        ("open('/var/app.log', 'w')", ["wrote outside its writable paths (/var/app.log)", "exit code 1"]),
    ],
)
def test_an_app_that_does_not_start_is_explained(project: Path, app: str, expected: list[str]) -> None:
    (project / "main.py").write_text(app)
    (project / "manage.py").touch()
    (project / "local.toml").write_text(
        '[services.Web]\ncommand = "python main.py"\n[services.Worker]\ncommand = "sleep 600"'
    )
    done = run(project, "--port", free_port(), "--check", "--wait", "2")
    assert done.returncode == 1
    for text in expected:
        assert text in done.stderr, done.stderr


@pytest.mark.slow("starts a database server")
def test_a_failed_migration_stops_the_start(project: Path) -> None:
    (project / "manage.py").write_text("raise SystemExit('no such table')")
    (project / "local.toml").write_text('[services.Web]\ncommand = "python main.py"')
    done = run(project, "--port", free_port(), "--check")
    assert done.returncode == 1
    assert "the migration of Web ended with exit code 1. A deployment would stop here." in done.stderr
    assert done.stdout == "Web migration | no such table\n"


WITHOUT_DATABASE = """
from generator.workloads import HealthCheck, WebService

WORKLOADS = (WebService("Web", paths=("/*",), priority=900, health_check=HealthCheck(path="/")),)
DATABASE = None
"""


def test_a_project_without_a_database_starts_no_server_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("bwrap", "ip")
    monkeypatch.setenv("PATH", "/usr/local/bin:/usr/bin:/bin")
    folder = copy_example("metabase", tmp_path / "project")
    (folder / "workloads.py").write_text(WITHOUT_DATABASE)
    file = folder / "params" / "dev.json"
    document = json.loads(file.read_text().replace("Metabase", "Web"))
    given = document["Parameters"].items()
    document["Parameters"] = {name: value for name, value in given if not name.startswith("Db")}
    file.write_text(json.dumps(document))
    write_templates(folder)
    (folder / "local.toml").write_text('[services.Web]\ncommand = "python3 -m http.server 8080"')
    done = run(folder, "--port", free_port(), "--check")
    assert done.returncode == 0, done.stderr
    assert not (folder / "build" / "local" / "dev" / "database").exists()


def test_bad_input_is_one_message_before_anything_starts(project: Path) -> None:
    port = free_port()
    settings = (project / "local.toml").read_text()
    cases = {
        'port = 1\n[services.Web]\ncomand = "x"': "services.Web has the unknown key comand",
        "[services.Web]\ncommand = ": "local.toml",
        settings + '[services.Shop]\ncommand = "x"\n': "there is no such workload. Known: ",
        "": "workload Web has no command: its image is not on this machine",
    }
    for content, message in cases.items():
        (project / "local.toml").write_text(content)
        done = run(project, "--port", port, "--check")
        assert done.returncode in (1, 64)
        assert message in done.stderr
    assert not (project / "build" / "local" / "dev" / "database").exists()
