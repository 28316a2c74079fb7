"""The Django example behind the simulated edge, with the containers of its resolved templates."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from hosting.edge_simulator import EdgeSimulator, running
from hosting.edge_simulator.resources import Resource
from hosting.local.container import Container
from hosting.local.database import DatabaseServer
from hosting.local.process import RunningContainer, start
from tests.support import apps
from tests.support.browser import Browser, LeftSiteError
from tests.support.example import DOMAIN, Example, destinations, generate_example, with_host_withheld
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow("starts a database server and the Django example")

PASSWORD = "correct-horse-7"
TEXT = "three small words"
UPLOAD = secrets.token_bytes(300_000)


@dataclass(frozen=True)
class Site:
    """The running example."""

    example: Example
    folder: Path
    web: RunningContainer
    database: DatabaseServer

    def run(self, name: str, workload: str, *command: str, **variables: str) -> int:
        """Run a command in the container of a workload, and return its exit code."""
        declared = self.example.containers[workload]
        container = replace(
            declared, command=command or declared.command, variables={**declared.variables, **variables}, port=None
        )
        return self.start(name, container).wait()

    def start(self, name: str, container: Container) -> RunningContainer:
        return start(container, apps.django(), self.folder / name, destinations(self.database.address))


@pytest.fixture(scope="module")
def site(database: DatabaseServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The example with its migration done, a user, and its web service."""
    folder = tmp_path_factory.mktemp("django")
    example = generate_example("django", folder / "project")
    web = start(example.containers["Web"], apps.django(), folder / "web", destinations(database.address))
    made = Site(example, folder, web, database)
    try:
        assert made.run("migration", "Web", *example.migration("Web")) == 0
        user = ("createsuperuser", "--noinput", "--username", "ann", "--email", "ann@example.com")
        assert made.run("user", "Web", "python", "manage.py", *user, DJANGO_SUPERUSER_PASSWORD=PASSWORD) == 0
        yield made
    finally:
        code = web.stop()
    assert code == 143, web.tail()


def edge_of(site: Site, resources: Sequence[Resource] | None = None) -> EdgeSimulator:
    assert site.web.address is not None
    url = "http://{}:{}".format(*site.web.address)
    return EdgeSimulator(resources or site.example.resolved.resources, targets={"Web": url}, health_check_interval=0.1)


@pytest.fixture(scope="module")
def edge(site: Site) -> Iterator[EdgeSimulator]:
    """The edge of the example's distribution, with its healthy web service."""
    with running(edge_of(site)) as made:
        yield made


@pytest.fixture
def browser(edge: EdgeSimulator) -> Browser:
    return Browser(edge.distribution.names[0], edge.url)


def log_in(browser: Browser) -> None:
    page = browser.get("/")
    assert urlsplit(page.url).path == "/login/", page.text
    form = {"csrfmiddlewaretoken": page.field("csrfmiddlewaretoken"), "username": "ann", "password": PASSWORD}
    page = browser.post(page.url, form | {"next": page.field("next")})
    assert "Notes of ann" in page.text, page.text


def test_a_viewer_logs_in_posts_uploads_and_downloads(site: Site, browser: Browser) -> None:
    log_in(browser)
    page = browser.get("/notes/")
    form = {"csrfmiddlewaretoken": page.field("csrfmiddlewaretoken"), "text": TEXT}
    page = browser.post("/notes/", form, ("attachment", "picture.png", UPLOAD))
    assert TEXT in page.text
    note = json.loads(browser.get("/api/notes?q=three").body)["notes"][0]
    assert browser.get(f"/notes/{note['id']}/attachment").body == UPLOAD
    worker = site.start("worker", site.example.containers["Worker"])
    eventually(lambda: json.loads(browser.get(f"/api/notes/{note['id']}").body)["words"] == 3, worker.tail)
    assert worker.stop() == 0
    assert site.run("cleanup", "Cleanup") == 0
    assert browser.get(f"/notes/{note['id']}/attachment").status == 200
    assert site.run("complete-cleanup", "Cleanup", "python", "manage.py", "cleanup", "--days", "0") == 0
    assert browser.get(f"/notes/{note['id']}/attachment").status == 404


def test_a_form_without_its_csrf_token_is_refused(browser: Browser) -> None:
    browser.get("/login/")
    assert browser.post("/login/", {"username": "ann", "password": PASSWORD}).status == 403


def test_errors_of_the_api_keep_their_own_body(browser: Browser) -> None:
    answer = browser.get("/api/notes")
    assert (answer.status, json.loads(answer.body)) == (401, {"error": "log in first"})
    answer = browser.get("/api/nothing?x=1")
    assert (answer.status, json.loads(answer.body)) == (404, {"error": "not found", "path": "/api/nothing"})
    log_in(browser)
    assert json.loads(browser.get("/api/notes/999999").body) == {"error": "no such note", "id": 999999}


def test_events_arrive_one_by_one(browser: Browser) -> None:
    # The stream has no end, so a buffer anywhere would hold back the first event for ever.
    response = browser.open("GET", browser.site + "/events?pause=0.05")
    assert response.getheader("Content-Type") == "text/event-stream"
    lines = [response.readline().decode() for _ in range(8)]
    assert [line for line in lines if line.startswith("data")] == [f'data: {{"count": {n}}}\n' for n in (1, 2, 3)]
    response.close()


def test_a_websocket_passes_the_edge(edge: EdgeSimulator, browser: Browser) -> None:
    address = urlsplit(edge.url)
    program = (
        "import socket, sys\nfrom websockets.sync.client import connect\n"
        f"sock = socket.create_connection(({address.hostname!r}, {address.port}))\n"
        f"with connect('ws://{browser.host}/ws', sock=sock, origin='{browser.site}') as socket:\n"
        "    for text in ('one', 'one two three'):\n"
        "        socket.send(text)\n        print(socket.recv())\n"
    )
    done = subprocess.run([apps.python(), "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == ["1", "3"], done.stderr


def test_the_site_fails_where_the_distribution_withholds_the_host(site: Site) -> None:
    resources = with_host_withheld(site.example.resolve(**DOMAIN).resources)
    with running(edge_of(site, resources)) as edge:
        browser = Browser(edge.distribution.names[0], edge.url)
        with pytest.raises(LeftSiteError, match=r"redirects to https?://origin\.shop\.example\.com/notes/"):
            browser.get("/")
        page = browser.get("/login/")
        form = {"csrfmiddlewaretoken": page.field("csrfmiddlewaretoken"), "username": "ann", "password": PASSWORD}
        assert browser.post("/login/", form).status == 403
