"""WordPress of Debian behind the simulated edge, with the container of the example's resolved templates."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from hosting.edge_simulator import EdgeSimulator, running
from hosting.edge_simulator.resources import Resource
from hosting.local.database import DatabaseServer
from hosting.local.process import RunningContainer, start
from tests.support import apps
from tests.support.browser import Answer, Browser, LeftSiteError
from tests.support.example import DOMAIN, Example, destinations, generate_example, with_host_withheld

pytestmark = pytest.mark.slow("starts a database server and WordPress")

PASSWORD = "correct-Horse-7-battery"
# The smallest PNG: WordPress checks the content of an upload.
PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360000002000001"
    "00ffff03000006000557bfabd40000000049454e44ae426082"
)


@dataclass(frozen=True)
class Site:
    """The running example."""

    example: Example
    web: RunningContainer
    folder: Path

    def edge(self, resources: Sequence[Resource]) -> EdgeSimulator:
        """Return an edge in front of WordPress."""
        assert self.web.address is not None
        url = "http://{}:{}".format(*self.web.address)
        return EdgeSimulator(resources, targets={"Wordpress": url}, health_check_interval=0.1)


@pytest.fixture(scope="module")
def site(database: DatabaseServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """WordPress with an empty database."""
    folder = tmp_path_factory.mktemp("wordpress")
    example = generate_example("wordpress", folder / "project")
    container = example.containers["Wordpress"]
    assert container.port is not None
    image = apps.wordpress(folder, container.port)
    web = start(container, image, folder / "web", destinations(database.address), volumes=folder / "volumes")
    try:
        yield Site(example, web, folder)
    finally:
        web.stop()


@pytest.fixture(scope="module")
def browser(site: Site) -> Iterator[Browser]:
    """A viewer of the installed site, logged in as its administrator."""
    with running(site.edge(site.example.resolved.resources)) as edge:
        viewer = Browser(edge.distribution.names[0], edge.url)
        assert urlsplit(viewer.get("/").url).path == "/wp-admin/install.php"
        form = {
            "weblog_title": "A blog",
            "user_name": "ann",
            "admin_password": PASSWORD,
            "admin_password2": PASSWORD,
            "admin_email": "ann@example.com",
            "language": "",
        }
        assert "Success" in viewer.post("/wp-admin/install.php?step=2", form).text
        assert "Dashboard" in log_in(viewer).text
        yield viewer


def log_in(browser: Browser) -> Answer:
    browser.get("/wp-login.php")
    form = {"log": "ann", "pwd": PASSWORD, "redirect_to": f"{browser.site}/wp-admin/", "testcookie": "1"}
    return browser.post("/wp-login.php", form)


def test_an_administrator_publishes_a_post_that_a_visitor_reads(browser: Browser) -> None:
    nonce = browser.get("/wp-admin/admin-ajax.php?action=rest-nonce").text
    post = {"title": "Hello edge", "content": "A first post", "status": "publish"}
    answer = browser.send(
        "POST",
        f"{browser.site}/?rest_route=/wp/v2/posts",
        json.dumps(post).encode(),
        {"Content-Type": "application/json", "X-WP-Nonce": nonce, "Origin": browser.site},
    )
    assert answer.status == 201, answer.text
    link = json.loads(answer.body)["link"]
    assert link.startswith(f"{browser.site}/")
    visitor = Browser(browser.host, browser.address)
    assert "A first post" in visitor.get(link).text


def test_a_picture_is_uploaded_and_served(browser: Browser) -> None:
    page = browser.get("/wp-admin/media-new.php?browser-uploader")
    form = {"_wpnonce": page.field("_wpnonce"), "html-upload": "Upload"}
    page = browser.post("/wp-admin/media-new.php", form, ("async-upload", "dot.png", PICTURE))
    assert urlsplit(page.url).path == "/wp-admin/upload.php", page.text
    media = json.loads(browser.get("/?rest_route=/wp/v2/media").body)[0]
    assert browser.get(media["source_url"]).body == PICTURE


def test_an_upload_is_served_by_the_task_of_the_next_deployment(
    site: Site, browser: Browser, database: DatabaseServer, tmp_path: Path
) -> None:
    page = browser.get("/wp-admin/media-new.php?browser-uploader")
    form = {"_wpnonce": page.field("_wpnonce"), "html-upload": "Upload"}
    browser.post("/wp-admin/media-new.php", form, ("async-upload", "kept.png", PICTURE))
    media = json.loads(browser.get("/?rest_route=/wp/v2/media").body)[0]
    container = site.example.containers["Wordpress"]
    for name, volumes, served in (("next", site.folder / "volumes", True), ("lost", tmp_path / "volumes", False)):
        # A container has the folders of the image again.
        image = apps.wordpress(tmp_path / name, container.port or 0)
        task = start(container, image, tmp_path / f"{name}-task", destinations(database.address), volumes=volumes)
        try:
            with running(Site(site.example, task, tmp_path).edge(site.example.resolved.resources)) as edge:
                visitor = Browser(edge.distribution.names[0], edge.url)
                assert (visitor.get(urlsplit(media["source_url"]).path).body == PICTURE) is served
        finally:
            task.stop()


def test_the_pages_of_the_administrator_keep_their_headers(browser: Browser) -> None:
    answer = browser.get("/wp-admin/customize.php")
    assert answer.status == 200
    assert "content-security-policy" not in answer.headers
    assert browser.get("/wp-admin/").headers["x-frame-options"] == "SAMEORIGIN"
    assert re.search(r"secure", browser.open("GET", f"{browser.site}/wp-login.php").getheader("Set-Cookie") or "")


def test_errors_of_the_api_keep_their_own_body(browser: Browser) -> None:
    answer = browser.get("/?rest_route=/wp/v2/posts/999999")
    assert (answer.status, json.loads(answer.body)["code"]) == (404, "rest_post_invalid_id")
    assert "Page not found" in browser.get("/?p=999999").text


def test_the_site_fails_where_the_distribution_withholds_the_host(site: Site, browser: Browser) -> None:
    with running(site.edge(with_host_withheld(site.example.resolve(**DOMAIN).resources))) as edge:
        stranger = Browser(edge.distribution.names[0], edge.url)
        with pytest.raises(LeftSiteError):
            stranger.get("/wp-admin/")
