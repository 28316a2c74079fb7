"""`site` and `invalidate`: what is uploaded, in which order, with which headers, and what viewers' caches forget."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from hosting.deployer.aws.session import Clients
from hosting.deployer.operate import site
from hosting.model.errors import InputError
from tests.deployer.operate import parts
from tests.support.environment import exported
from tests.support.project import main

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def bucket(deployed: parts.Deployed) -> Iterator[str]:
    """The site's bucket as the deployment left it."""
    name = deployed.platform.output("StaticBucketName")
    yield name
    s3 = deployed.client("s3")
    for item in s3.list_objects_v2(Bucket=name, Prefix="static/").get("Contents", []):
        if item["Key"] != "static/index.html":
            s3.delete_object(Bucket=name, Key=item["Key"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "site"
    (root / "docs").mkdir(parents=True)
    (root / "docs" / "index.html").write_text("<h1>docs</h1>")
    (root / "app.css").write_text("body {}")
    (root / "app-3f2a9c01.js").write_text("run()")
    (root / "a b.txt").write_text("space")
    (root / ".DS_Store").write_text("not public")
    return root


def invalidations(deployed: parts.Deployed) -> list[list[str]]:
    client, distribution = deployed.client("cloudfront"), deployed.platform.output("DistributionId")
    listed = client.list_invalidations(DistributionId=distribution)["InvalidationList"].get("Items", [])
    found: list[list[str]] = []
    for item in listed:
        batch = client.get_invalidation(DistributionId=distribution, Id=item["Id"])["Invalidation"]
        found.append(batch["InvalidationBatch"]["Paths"]["Items"])
    return found


def test_a_site_is_uploaded_changed_and_deleted(
    deploy_py: Run, deployed: parts.Deployed, bucket: str, folder: Path
) -> None:
    s3: Any = deployed.client("s3")
    before = len(invalidations(deployed))
    first = deploy_py("site", str(folder), "-e", "lab")
    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines() == [
        "+ static/a b.txt",
        "+ static/app-3f2a9c01.js",
        "+ static/app.css",
        "+ static/docs/index.html",
    ], "parts before pages"
    assert len(invalidations(deployed)) == before, "a path that did not exist cannot be cached"
    page = s3.head_object(Bucket=bucket, Key="static/docs/index.html")
    assert page["ContentType"] == "text/html; charset=utf-8"
    assert page["CacheControl"] == site.PAGE
    assert s3.head_object(Bucket=bucket, Key="static/app-3f2a9c01.js")["CacheControl"] == site.FINGERPRINTED

    again = deploy_py("site", str(folder), "-e", "lab")
    assert again.stdout == ""
    assert "4 same" in again.stderr

    (folder / "docs" / "index.html").write_text("<h1>new</h1>")
    (folder / "app-3f2a9c01.js").rename(folder / "app-77777777.js")
    preview = deploy_py("site", str(folder), "-e", "lab", "--delete", "--preview")
    changed = deploy_py("site", str(folder), "-e", "lab", "--delete")
    assert changed.stdout.splitlines() == [
        "+ static/app-77777777.js",
        "~ static/docs/index.html",
        "- static/app-3f2a9c01.js",
        "! /static/docs/index.html",
        "! /static/docs/",
        "! /static/app-3f2a9c01.js",
    ]
    assert preview.stdout == changed.stdout
    told = {"/static/docs/index.html", "/static/docs/", "/static/app-3f2a9c01.js"}
    assert told in map(set, invalidations(deployed))
    keys = {item["Key"] for item in s3.list_objects_v2(Bucket=bucket, Prefix="static/")["Contents"]}
    assert "static/index.html" in keys, "the first page is the stack's own"
    assert "static/app-3f2a9c01.js" not in keys


def test_other_headers_are_a_change(deploy_py: Run, deployed: parts.Deployed, bucket: str, folder: Path) -> None:
    s3 = deployed.client("s3")
    s3.put_object(Bucket=bucket, Key="static/app.css", Body=b"body {}", ContentType="binary/octet-stream")
    done = deploy_py("site", str(folder), "-e", "lab")
    assert "~ static/app.css" in done.stdout
    assert s3.head_object(Bucket=bucket, Key="static/app.css")["ContentType"] == "text/css; charset=utf-8"


def test_an_upload_that_breaks_off_is_invalidated_all_the_same(
    deployed: parts.Deployed, bucket: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next run finds the uploaded half unchanged, so it would not invalidate these paths."""
    s3 = deployed.client("s3")
    for key in ("static/app.css", "static/docs/index.html"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"from before")

    def broken(client: Any, bucket: str, steps: Any) -> Iterator[site.Step]:
        yield steps[0]
        raise EndpointConnectionError(endpoint_url="https://s3.example")

    monkeypatch.setattr(site, "upload_files", broken)
    before = invalidations(deployed)
    with exported(deployed.environment()):
        assert main(["site", str(folder), "-e", "lab"]) == 1
    told = {"/static/app.css", "/static/docs/index.html", "/static/docs/"}
    assert [set(one) for one in invalidations(deployed) if one not in before] == [told]


def test_an_invalidation_that_is_denied_is_not_forgotten(
    deployed: parts.Deployed, bucket: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    deployed.client("s3").put_object(Bucket=bucket, Key="static/app.css", Body=b"from before")

    def denied(**_: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not you"}}, "CreateInvalidation")

    real = Clients.cloudfront

    def cloudfront(clients: Clients, region: str) -> Any:
        made = real(clients, region)
        monkeypatch.setattr(made, "create_invalidation", denied)
        return made

    monkeypatch.setattr(Clients, "cloudfront", cloudfront)
    with exported(deployed.environment()):
        assert main(["site", str(folder), "-e", "lab"]) == 1
    said = capfd.readouterr().err
    assert "uploaded, but not invalidated" in said
    assert "deploy.py invalidate -e lab /static/app.css" in said


def test_paths_are_invalidated(deploy_py: Run, deployed: parts.Deployed) -> None:
    done = deploy_py("invalidate", "/static/*", "/sorry/index.html", "-e", "lab")
    assert done.returncode == 0, done.stderr
    assert {"/static/*", "/sorry/index.html"} in map(set, invalidations(deployed))
    wrong = deploy_py("invalidate", "static/*", "-e", "lab")
    assert wrong.returncode == 64
    assert "did you mean /static/*?" in wrong.stderr


# --- without AWS


@pytest.mark.parametrize(
    ("name", "kind", "cache"),
    [
        ("index.html", "text/html; charset=utf-8", site.PAGE),
        ("service-worker.js", "text/javascript; charset=utf-8", site.PAGE),
        ("main.8f14e45f.css", "text/css; charset=utf-8", site.FINGERPRINTED),
        ("index-BxK2p9Qz.js", "text/javascript; charset=utf-8", site.FINGERPRINTED),
        ("index-BxK2p9Qz.js.map", "application/json; charset=utf-8", site.FINGERPRINTED),
        ("jquery-validation.js", "text/javascript; charset=utf-8", site.OTHER),
        ("app-7NJPM5QZ.js", "text/javascript; charset=utf-8", site.FINGERPRINTED),
        ("photo.8F14E45F0A.jpg", "image/jpeg", site.OTHER),
        ("photo-20240131.jpg", "image/jpeg", site.OTHER),
        ("report-JANUARY2024.pdf", "application/pdf", site.OTHER),
        ("poster-Plan2024.png", "image/png", site.OTHER),
        ("prices-8f14e45f.csv", "text/csv; charset=utf-8", site.OTHER),
        ("font.woff2", "font/woff2", site.OTHER),
        ("logo.svg", "image/svg+xml; charset=utf-8", site.OTHER),
        ("data.unknown", "application/octet-stream", site.OTHER),
    ],
)
def test_headers_follow_from_names(name: str, kind: str, cache: str) -> None:
    assert site.guess_content_type(name) == kind
    assert site.choose_cache_control(name) == cache


def test_many_changes_are_one_wildcard() -> None:
    steps = [site.Step(site.Action.CHANGED, f"static/{number}.png") for number in range(31)]
    assert site.find_stale_paths(steps, "static") == ["/static/*"]
    assert site.find_stale_paths([site.Step(site.Action.CHANGED, "static/a b.txt")], "static") == ["/static/a%20b.txt"]


def test_paths_are_encoded_for_cloudfront() -> None:
    def path(key: str) -> list[str]:
        return site.find_stale_paths([site.Step(site.Action.CHANGED, key)], "static")

    assert path("static/\u732b.png") == ["/static/%E7%8C%AB.png"]
    assert path("static/[1].html") == ["/static/%5B1%5D.html"]
    assert path("static/logo@2x.png") == ["/static/logo*"]
    both = [site.Step(site.Action.CHANGED, f"static/logo@{number}x.png") for number in (2, 3)]
    assert site.find_stale_paths(both, "static") == ["/static/logo*"]


def test_files_outside_the_directory_are_not_published(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(InputError, match="is a link to a file outside the directory"):
        site.scan_directory(tmp_path / "site", "static")


def test_an_empty_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="build the site first"):
        site.scan_directory(tmp_path, "static")
