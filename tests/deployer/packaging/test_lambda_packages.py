"""Packaging: the same bytes from the same content, and errors for what would fail or surprise in Lambda."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from hosting.deployer.packaging import lambda_packages as packaging
from hosting.deployer.packaging.lambda_packages import Archive, Limits, Platform, read_platform
from hosting.model.errors import InputError
from hosting.model.templates import Template, load
from tests.lambdas.runtime import PLATFORM, interpreter
from tests.support.project import TEMPLATES

ROOT = Path(__file__).resolve().parents[3]
Source = Callable[..., Path]


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """`source({"index.py": "..."})` writes a function's directory, in the order given."""

    def written(files: Mapping[str, str | bytes], name: str = "lambda/worker") -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True, exist_ok=True)
        for path, content in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)
        return folder

    return written


def package_function(folder: Path, platform: Platform = PLATFORM, **options: Any) -> Archive:
    return packaging.package_function(folder, platform, **options)


def package_functions(folder: Path, **options: Any) -> list[Archive]:
    return packaging.package_functions(folder, PLATFORM, **options)


HANDLER = "def handler(e, c): ...\n"
FILES: dict[str, str] = {"index.py": "def handler(e, c): ...\n", "work.py": "x = 1\n", "pages/a.html": "<p>あ</p>"}


def names(made: Archive) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(made.data)).namelist()


def problems(caught: pytest.ExceptionInfo[InputError]) -> str:
    return "\n".join(map(str, caught.value.problems))


# --- the same content


def test_the_zip_is_complete_sorted_and_without_a_date(source: Source) -> None:
    made = package_function(source(FILES))
    assert made.name == "worker"
    assert made.key == f"lambda/worker/{made.digest}.zip"
    with zipfile.ZipFile(io.BytesIO(made.data)) as packed:
        assert packed.testzip() is None
        infos = packed.infolist()
        assert [info.filename for info in infos] == ["index.py", "pages/a.html", "work.py"]
        assert {info.date_time for info in infos} == {(1980, 1, 1, 0, 0, 0)}
        assert {info.external_attr >> 16 for info in infos} == {0o100644}
        assert packed.read("pages/a.html").decode() == "<p>あ</p>"


def test_order_time_mode_and_folder_make_no_difference(source: Source, tmp_path: Path) -> None:
    one = source(FILES)
    other = source(dict(reversed(FILES.items())), "elsewhere/of another/worker")
    for number, path in enumerate(sorted(other.rglob("*"))):
        os.utime(path, (number * 1000, number * 1000))
        path.chmod(0o700 if path.is_dir() else 0o600)
    assert package_function(one) == package_function(other)
    relative = Path(os.path.relpath(one))
    assert package_function(relative) == package_function(one)


def test_every_python_makes_the_same_bytes_under_any_umask(source: Source, tmp_path: Path) -> None:
    """In processes of their own, each with a fresh copy made under its umask."""
    folder = source(FILES)
    code = (
        "import os, shutil, sys; from pathlib import Path; sys.dont_write_bytecode = True\n"
        "os.umask(int(sys.argv[3], 8)); shutil.copytree(sys.argv[1], sys.argv[2], copy_function=shutil.copyfile)\n"
        "from hosting.deployer.packaging.lambda_packages import Platform, package_function; import hashlib\n"
        "made = package_function(Path(sys.argv[2]), Platform('3.13', 'arm64'))\n"
        "print(made.key, hashlib.sha256(made.data).hexdigest())"
    )
    pythons = {found.version: found.path for found in map(interpreter, ("3.11", "3.12", "3.13"))}
    pythons[sys.version.split()[0]] = Path(sys.executable)
    seen = set()
    for version, python in pythons.items():
        for umask in ("022", "077"):
            copy = tmp_path / version / umask / "worker"
            copy.parent.mkdir(parents=True)
            done = subprocess.run([python, "-c", code, folder, copy, umask], cwd=ROOT, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            seen.add(done.stdout)
    made = package_function(folder)
    assert seen == {f"{made.key} {hashlib.sha256(made.data).hexdigest()}\n"}


def test_files_of_tools_and_editors_are_not_packaged(source: Source) -> None:
    clean = package_function(source(FILES))
    leftovers = {
        "__pycache__/index.cpython-313.pyc": "x",
        "pages/.DS_Store": "x",
        ".mypy_cache/a": "x",
        "work.py~": "x",
        "requirements.in": "x",
        "old.pyc": "x",
        "requirements.txt": "# nothing yet\n\n",
    }
    assert package_function(source(leftovers)) == clean


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "work.py").write_text("x = 2\n"),
        lambda folder: (folder / "work.py").rename(folder / "job.py"),
        lambda folder: (folder / "work.py").chmod(0o755),
        lambda folder: (folder / "more.py").write_text(""),
        lambda folder: (folder / "work.py").unlink(),
    ],
    ids=["content", "name", "mode", "one more", "one less"],
)
def test_every_real_change_is_another_key(source: Source, change: Callable[[Path], object]) -> None:
    folder = source(FILES)
    before = package_function(folder)
    change(folder)
    after = package_function(folder)
    assert after.key != before.key
    assert after.data != before.data


SHARED = {"__init__.py": "", "mask.py": "MASK = 1\n", "other.py": ""}


@pytest.mark.parametrize(
    "line",
    ["from mask import MASK", "import mask", "import json, mask", "    import mask  # late", "from mask import *"],
)
def test_a_shared_module_is_packaged_with_a_function_that_imports_it(source: Source, line: str) -> None:
    shared = source(SHARED, "shared")
    made = package_function(source({"index.py": HANDLER, "work.py": f"if True:\n    pass\n{line}\n"}), shared=shared)
    assert names(made) == ["index.py", "mask.py", "work.py"]
    assert zipfile.ZipFile(io.BytesIO(made.data)).read("mask.py") == (shared / "mask.py").read_bytes()


@pytest.mark.parametrize("line", ["from work import mask", "import masks", "# import mask", "x = 'from mask import'"])
def test_a_function_that_imports_no_shared_module_is_packaged_without_it(source: Source, line: str) -> None:
    assert names(package_function(source({"index.py": f"{line}\n{HANDLER}"}), shared=source(SHARED, "shared"))) == [
        "index.py"
    ]


def test_a_change_of_a_shared_module_changes_the_keys_of_its_functions_only(source: Source) -> None:
    shared = source(SHARED, "shared")
    functions = source({"index.py": f"from mask import MASK\n{HANDLER}"}, "lambda/user").parent
    source(FILES, "lambda/worker")

    def keys() -> dict[str, str]:
        return {one.name: one.key for one in package_functions(functions, shared=shared)}

    before = keys()
    source({"other.py": "changed = True\n", "__init__.py": '"""Changed."""\n'}, "shared")
    (shared / "mask.py").chmod(0o755)
    os.utime(shared / "mask.py", (1, 1))
    assert keys() == before
    source({"mask.py": "MASK = 2\n"}, "shared")
    after = keys()
    assert after["worker"] == before["worker"]
    assert after["user"] != before["user"]


def test_a_module_of_the_function_hides_a_shared_one(source: Source) -> None:
    own = {"index.py": f"import mask\n{HANDLER}", "mask.py": "own = True\n"}
    assert package_function(source(own), shared=source(SHARED, "shared")) == package_function(source(own))


def test_a_folder_that_begins_with_an_underscore_is_no_function(source: Source) -> None:
    functions = source(FILES, "lambda/worker").parent
    source({"notes.txt": ""}, "lambda/_drafts")
    source({"index.py": f"import _helper\n{HANDLER}", "_helper.py": ""}, "lambda/other")
    assert [one.name for one in package_functions(functions)] == ["other", "worker"]
    assert names(package_functions(functions)[0]) == ["_helper.py", "index.py"]


def test_the_functions_that_redact_are_packaged_with_the_redactor_of_deploy_py() -> None:
    redactor = (packaging.SHARED / "redact.py").read_bytes()
    packed = {one.name: zipfile.ZipFile(io.BytesIO(one.data)) for one in package_functions(ROOT / "lambda")}
    found = {name: file.read("redact.py") for name, file in packed.items() if "redact.py" in file.namelist()}
    assert found == {"log_processor": redactor, "slack_notifier": redactor}


def test_the_functions_of_this_repository_are_packaged_together() -> None:
    made = package_functions(ROOT / "lambda")
    expected = [
        "credentials_watch",
        "custom_resource",
        "database_user",
        "log_processor",
        "migration",
        "slack_notifier",
    ]
    assert [one.name for one in made] == ["alarm_fallback", *expected]
    assert all("index.py" in names(one) for one in made)
    assert not any(one.notes for one in made)


# --- what is refused


def test_all_problems_of_all_functions_come_out_together(source: Source) -> None:
    first = source({"main.py": ""}, "lambda/first")
    second = source({"index.py": "", "json.py": "", "boto3/__init__.py": ""}, "lambda/second")
    (second / "link.py").symlink_to(first / "main.py")
    third = source(FILES, "lambda/third")
    (third / "linked").symlink_to(first)
    os.mkfifo(third / "pipe")
    with pytest.raises(InputError) as caught:
        package_functions(first.parent)
    text = problems(caught)
    assert f"{first}: has no index.py" in text
    assert f"{second / 'link.py'}: is a symbolic link" in text
    assert f"{third / 'linked'}: is a symbolic link" in text
    assert f"{third / 'pipe'}: is neither a file nor a directory" in text


def test_a_function_that_is_a_link_is_refused(source: Source) -> None:
    folder = source(FILES, "lambda/worker")
    (folder.parent / "alias").symlink_to(folder)
    with pytest.raises(InputError, match="alias: is a symbolic link"):
        package_functions(folder.parent)


def test_a_module_that_would_hide_one_of_the_runtime_is_refused(source: Source) -> None:
    with pytest.raises(InputError) as caught:
        package_function(
            source({"index.py": "", "json.py": "", "boto3/__init__.py": "", "data/json.txt": "", "queue.csv": ""})
        )
    found = [problem.where.rpartition("worker/")[2] for problem in caught.value.problems]
    assert found == ["boto3/__init__.py", "json.py"]


def test_a_missing_function_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the function does not exist"):
        package_function(tmp_path / "absent")


def elf(machine: int) -> bytes:
    return b"\x7fELF\x02\x01\x01" + bytes(9) + (3).to_bytes(2, "little") + machine.to_bytes(2, "little") + bytes(40)


def test_a_shared_object_of_another_machine_is_refused(source: Source) -> None:
    assert "fast.so" in names(package_function(source({**FILES, "fast.so": elf(183)})))
    assert "fast.so" in names(
        package_function(source({**FILES, "fast.so": elf(62)}), platform=Platform(PLATFORM.python, "x86_64"))
    )
    for machine, name in ((62, "x86_64"), (40, "machine 40")):
        with pytest.raises(InputError, match=f"fast.so: is built for {name}; the function runs on arm64"):
            package_function(source({**FILES, "fast.so": elf(machine)}))


def test_a_large_package_is_noted_and_a_too_large_one_refused(source: Source) -> None:
    folder = source({**FILES, "data.bin": bytes(3_000_000)})
    assert package_function(folder).notes == ()
    assert package_function(folder, limits=Limits(note=2_000_000)).notes == ("2.9 MB: a cold start loads all of it",)
    with pytest.raises(InputError, match=r"2\.9 MB unpacked; Lambda takes at most 1\.9 MB"):
        package_function(folder, limits=Limits(fail=2_000_000))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"index.py": "def handler(e, c:\n"}, "index.py: does not compile: line 1: "),
        ({**FILES, "work.py": "x = 1\n\treturn\n"}, "work.py: does not compile: line 2: "),
        ({**FILES, "work.py": "return 1\n"}, "work.py: does not compile: line 1: 'return' outside function"),
        ({**FILES, "work.py": "x = '\0'"}, "work.py: does not compile: "),
        (
            {"index.py": "def handle(event, context): ...\n"},
            "index.py: defines no handler, but Lambda calls index.handler",
        ),
        ({"index.py": "class Of:\n    def handler(self): ...\n"}, "index.py: defines no handler"),
    ],
    ids=["unclosed", "indented", "outside", "a NUL", "another name", "a method"],
)
def test_a_function_that_cannot_start_is_refused(source: Source, files: dict[str, str], expected: str) -> None:
    with pytest.raises(InputError) as caught:
        package_function(source(files))
    assert expected in problems(caught)


@pytest.mark.parametrize(
    "code",
    [
        "async def handler(e, c): ...\n",
        "from work import run as handler\n",
        "from work import *\n",
        "import work\nhandler = work.run\n",
        "try:\n    from work import handler\nexcept ImportError:\n    handler = None\n",
        "_, handler = 1, print\n",
        "if True:\n    def handler(e, c): ...\n",
    ],
)
def test_a_handler_may_be_defined_assigned_or_imported(source: Source, code: str) -> None:
    assert names(package_function(source({"index.py": code})))


NEWER = 'type Number = int\ndef handler(e, c): return f"{\'a\' + "b"}"\n'


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="this Python is no older than the syntax")
def test_syntax_that_only_the_functions_python_has_is_checked_by_it_or_noted(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = source({"index.py": NEWER})
    if interpreter().minor == PLATFORM.python:
        assert package_function(folder).notes == ()
        with pytest.raises(InputError, match=r"index\.py: does not compile: line 3"):
            package_function(source({"index.py": NEWER + "type = = 1\n"}))
        folder = source({"index.py": NEWER})
    monkeypatch.setattr(packaging, "find_python", lambda _: None)
    (note,) = package_function(folder).notes
    assert note.startswith("index.py was not compiled: there is no Python 3.13 here. For Python 3.")


# --- dependencies


class Index:
    """A folder of wheels made here, in place of a package index: no test needs the network."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.locked: list[str] = []

    def wheel(
        self, name: str, files: Mapping[str, bytes | str], tags: tuple[str, ...] = ("py3-none-any",), lock: bool = True
    ) -> None:
        hashes = []
        for tag in tags:
            path = self.folder / f"{name}-1.0-{tag}.whl"
            info = f"{name}-1.0.dist-info"
            content = {file: data.encode() if isinstance(data, str) else data for file, data in files.items()}
            machine = elf(183 if "aarch64" in tag else 62)
            content = {file: machine if data == b"{machine}" else data for file, data in content.items()}
            content |= {
                f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
                f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
                f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n".encode(),
            }
            record = "".join(
                f"{file},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n"
                for file, data in content.items()
            )
            with zipfile.ZipFile(path, "w") as target:
                for file, data in {**content, f"{info}/RECORD": f"{record}{info}/RECORD,,\n".encode()}.items():
                    target.writestr(file, data)
            hashes.append(hashlib.sha256(path.read_bytes()).hexdigest())
        if lock:
            self.locked.append(f"{name}==1.0 " + " ".join(f"--hash=sha256:{value}" for value in hashes))

    def lock(self, *lines: str) -> str:
        return "\n".join(["--no-index", f"--find-links {self.folder}", *(lines or self.locked)]) + "\n"


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Index(tmp_path / "wheels")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


BOTH = ("cp313-cp313-manylinux2014_aarch64", "cp313-cp313-manylinux2014_x86_64")


def test_wheels_of_the_functions_platform_are_packaged(source: Source, index: Index, cache: Path) -> None:
    index.wheel("speedy", {"speedy/__init__.py": "", "speedy/_fast.so": "{machine}"}, BOTH)
    index.wheel("plain", {"plain.py": "def main(): ...\n"})
    folder = source({**FILES, "requirements.txt": index.lock()})
    made = package_function(folder, cache=cache)
    assert names(made) == [
        "index.py",
        "pages/a.html",
        "plain-1.0.dist-info/METADATA",
        "plain-1.0.dist-info/WHEEL",
        "plain-1.0.dist-info/entry_points.txt",
        "plain.py",
        "speedy-1.0.dist-info/METADATA",
        "speedy-1.0.dist-info/WHEEL",
        "speedy-1.0.dist-info/entry_points.txt",
        "speedy/__init__.py",
        "speedy/_fast.so",
        "work.py",
    ], "neither what the installer notes about itself, nor scripts with this machine's paths"
    packed = zipfile.ZipFile(io.BytesIO(made.data))
    assert packed.read("speedy/_fast.so") == elf(183)
    other = package_function(folder, cache=cache, platform=Platform(PLATFORM.python, "x86_64"))
    assert zipfile.ZipFile(io.BytesIO(other.data)).read("speedy/_fast.so") == elf(62)
    assert other.key != made.key


def test_a_dependency_keeps_files_that_would_be_leftovers_of_ours(source: Source, index: Index, cache: Path) -> None:
    """Shared objects of older wheels are in a hidden folder, and data files have any name."""
    data = {"speedy/.libs/libz.so": "{machine}", "speedy/requirements.txt": "x", "speedy/.defaults": "x"}
    index.wheel("speedy", {"speedy/__init__.py": "", "speedy/__pycache__/x.cpython-313.pyc": "x", **data}, BOTH[:1])
    made = package_function(source({"index.py": HANDLER, "requirements.txt": index.lock()}), cache=cache)
    theirs = [name for name in names(made) if name.startswith("speedy/")]
    assert theirs == ["speedy/.defaults", "speedy/.libs/libz.so", "speedy/__init__.py", "speedy/requirements.txt"]


def test_the_cache_answers_until_something_changes(
    source: Source, index: Index, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.wheel("plain", {"plain.py": ""})
    folder = source({**FILES, "requirements.txt": index.lock()})
    made = package_function(folder, cache=cache)
    runs = []
    real = packaging._install

    def counted(source: Path, target: Path, platform: Platform) -> None:
        runs.append(source)
        real(source, target, platform)

    monkeypatch.setattr(packaging, "_install", counted)
    assert package_function(folder, cache=cache) == made
    assert runs == [], "found"
    (kept,) = cache.rglob("*.zip")
    kept.write_bytes(kept.read_bytes()[:-1] + b"x")
    assert package_function(folder, cache=cache) == made
    assert len(runs) == 1, "damaged, made again"
    (folder / "work.py").write_text("x = 2\n")
    changed = package_function(folder, cache=cache)
    assert changed.key != made.key
    other = source({**FILES, "requirements.txt": index.lock()}, "lambda/other")
    assert package_function(other, cache=cache).digest == made.digest
    assert len(runs) == 1, "the wheels of a lock are installed once for all sources"
    index.wheel("second", {"second.py": ""})
    (folder / "requirements.txt").write_text(index.lock())
    assert "second.py" in names(package_function(folder, cache=cache))
    assert len(runs) == 2


def test_the_default_cache_is_under_build(source: Source, index: Index, tmp_path: Path) -> None:
    index.wheel("plain", {"plain.py": ""})
    package_function(source({**FILES, "requirements.txt": index.lock()}))
    assert list((tmp_path / "build" / "wheels").rglob("*.zip"))


def test_the_key_does_not_depend_on_the_installer_s_machine(source: Source, index: Index, tmp_path: Path) -> None:
    index.wheel("plain", {"plain.py": ""})
    lock = index.lock()
    one = package_function(source({**FILES, "requirements.txt": lock}), cache=tmp_path / "one")
    other = package_function(source({**FILES, "requirements.txt": lock}, "b/worker"), cache=tmp_path / "two")
    assert one == other


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["plain==1.0"], "hash"),
        (["plain==1.0 --hash=sha256:" + "0" * 64], "plain"),
        (["absent==1.0 --hash=sha256:" + "0" * 64], "absent"),
        (["plain>=1.0"], "=="),
        (["not a requirement"], "requirements.txt"),
    ],
    ids=["no hash", "wrong hash", "absent", "not pinned", "nonsense"],
)
def test_only_exactly_locked_wheels_are_taken(
    source: Source, index: Index, cache: Path, lines: list[str], expected: str
) -> None:
    index.wheel("plain", {"plain.py": ""})
    folder = source({**FILES, "requirements.txt": index.lock(*lines)})
    with pytest.raises(InputError) as caught:
        package_function(folder, cache=cache)
    (problem,) = caught.value.problems
    assert problem.where == str(folder / "requirements.txt")
    assert expected in problem.what
    assert "--generate-hashes --python-platform aarch64-manylinux_2_34 --python-version 3.13" in problem.hint
    assert not list(cache.rglob("*.zip"))


@pytest.mark.parametrize("option", ["-r", "-c ", "--requirement=", "--constraint "])
def test_a_lock_of_several_files_is_refused(source: Source, index: Index, cache: Path, option: str) -> None:
    """The other file is not part of the cache's address: a change there would not be noticed."""
    index.wheel("plain", {"plain.py": ""})
    folder = source({**FILES, "requirements.txt": f"# all\n{option}../base.txt\n"})
    (folder.parent / "base.txt").write_text(index.lock())
    with pytest.raises(InputError, match=r"requirements\.txt: line 2 refers to another file") as caught:
        package_function(folder, cache=cache)
    assert "--generate-hashes" in caught.value.problems[0].hint


def test_a_wheel_for_another_machine_only_is_refused(source: Source, index: Index, cache: Path) -> None:
    index.wheel("speedy", {"speedy.so": "{machine}"}, BOTH[1:])
    with pytest.raises(InputError, match="speedy"):
        package_function(source({**FILES, "requirements.txt": index.lock()}), cache=cache)


def test_a_wheel_with_a_wrong_platform_tag_is_refused(source: Source, index: Index, cache: Path) -> None:
    index.wheel("liar", {"liar/fast.so": elf(62)})
    with pytest.raises(InputError, match=r"liar/fast\.so: is built for x86_64; the function runs on arm64"):
        package_function(source({**FILES, "requirements.txt": index.lock()}), cache=cache)


def test_a_source_distribution_is_refused(source: Source, index: Index, cache: Path) -> None:
    """Building it would run its code here, for the wrong machine."""
    path = index.folder / "crafted-1.0.tar.gz"
    path.write_bytes(b"not even opened")
    lock = index.lock(f"crafted==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}")
    with pytest.raises(InputError, match="crafted"):
        package_function(source({**FILES, "requirements.txt": lock}), cache=cache)


def test_modules_with_the_name_of_a_dependency_are_refused(source: Source, index: Index, cache: Path) -> None:
    index.wheel("work", {"work/__init__.py": ""})
    with pytest.raises(InputError, match="work: has the name of a dependency and would hide it"):
        package_function(source({**FILES, "requirements.txt": index.lock()}), cache=cache)
    index.wheel("second", {"shared/common.py": "2"})
    index.wheel("third", {"shared/common.py": "3"})
    lock = index.lock(*index.locked[1:])
    with pytest.raises(InputError, match=r"shared/common\.py comes from second-1\.0 and from third-1\.0"):
        package_function(source({"requirements.txt": lock}, "lambda/worker"), cache=cache)


def test_without_uv_the_hint_names_the_install_command(
    source: Source, index: Index, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.wheel("plain", {"plain.py": ""})
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(InputError, match=r"uv is needed to fetch wheels; run `make install`"):
        package_function(source({**FILES, "requirements.txt": index.lock()}), cache=cache)


# --- agreement with the templates


def test_the_templates_determine_the_platform_of_the_packages() -> None:
    assert read_platform(load(TEMPLATES)) == PLATFORM


@pytest.mark.parametrize(
    ("runtimes", "expected"),
    [
        (["python3.13", "python3.12"], "a.json: Function1: has another runtime or processor than the other functions"),
        (["nodejs22.x"], "has the runtime nodejs22.x"),
    ],
)
def test_functions_without_one_python_are_refused(runtimes: list[str], expected: str) -> None:
    functions = {
        f"Function{number}": {"Type": "AWS::Lambda::Function", "Properties": {"Runtime": runtime}}
        for number, runtime in enumerate(runtimes)
    }
    template = Template("a.json", json.dumps({"Resources": functions}))
    with pytest.raises(InputError) as caught:
        read_platform({"a.json": template})
    assert expected in problems(caught)
