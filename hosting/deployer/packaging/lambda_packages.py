"""Package Lambda functions as zip files: the same content gives the same bytes on every machine.

The key in the artifact bucket is a digest of names, modes and contents. So an unchanged function keeps its key and does
not appear in a change set. A package contains:

- the files of the function's folder
- the modules of hosting/model/lambda_shared/ that the function imports
- the dependencies of its `requirements.txt`, which is locked with hashes. Their wheels are those of the function's
  platform, not of this machine, and need no Docker.

Python and processor of the functions are those in the templates. The sources are compiled and not executed: that
`index.py` defines `handler` is read from its syntax tree. The deployment uploads the packages.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hosting.deployer.packaging import source_check
from hosting.deployer.packaging.interpreters import find_python
from hosting.model import lambda_shared
from hosting.model.errors import InputError, Problem
from hosting.model.templates import Template

# Part of the cache key. Increase it if the same input must produce another zip.
_FORMAT = "3"
_LOCK = "requirements.txt"
SHARED = Path(lambda_shared.__file__).parent
# e_machine in the ELF header: the processor for which a shared object was built.
_ELF_MACHINES = {"arm64": 183, "x86_64": 62}
# Lambda's image for Python 3.12 and later is Amazon Linux 2023 with glibc 2.34. Wheels for an older glibc fit too.
# Current numpy, pandas and pyarrow have none for manylinux2014.
_UV_PLATFORMS = {"arm64": "aarch64-manylinux_2_34", "x86_64": "x86_64-manylinux_2_34"}
_RUNTIME = re.compile(r"python3\.\d+")
_LINK_HINT = "copy the file itself: the target of a link may differ on another checkout"
# Files that an installer writes about its own run. They differ by machine, and Lambda does not read them.
_INSTALLER_NOTES = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json"}
# The task root is first in Lambda's sys.path, so a module with one of these names would hide the runtime's own, also
# for the runtime.
_RUNTIME_MODULES = {"awslambdaric", "boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six", "urllib3"}


@dataclass(frozen=True)
class Platform:
    """Python (`3.13`) and processor (`arm64`) of the functions."""

    python: str
    machine: str

    @property
    def version(self) -> tuple[int, int]:
        major, minor = self.python.split(".")
        return int(major), int(minor)


@dataclass(frozen=True)
class Limits:
    """Limits of a package's size (Lambda Developer Guide, Lambda quotas). From S3 only the unpacked size is limited."""

    note: int = 10 * 1024 * 1024
    fail: int = 250 * 1024 * 1024


@dataclass(frozen=True)
class Archive:
    """Packaged function. `key` is its key in the artifact bucket."""

    name: str
    digest: str
    data: bytes = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return f"lambda/{self.name}/{self.digest}.zip"


@dataclass(frozen=True)
class _Entry:
    path: str
    mode: int
    data: bytes = field(repr=False)


def read_platform(templates: Mapping[str, Template]) -> Platform:
    """Return the platform of the functions in the templates. Raises InputError if they differ.

    Without a function, a package can have any platform: that of this Python.
    """
    found: dict[Platform, str] = {}
    for name, template in templates.items():
        for logical_id, resource in template.resources.items():
            if resource["Type"] == "AWS::Lambda::Function":
                properties = resource["Properties"]
                runtime, machines = str(properties.get("Runtime")), properties.get("Architectures", ["x86_64"])
                platform = Platform(runtime.removeprefix("python"), str(machines[0]))
                if not _RUNTIME.fullmatch(runtime) or platform.machine not in _UV_PLATFORMS:
                    what = f"has the runtime {runtime} on {platform.machine}"
                    raise InputError([Problem(f"{name}: {logical_id}", what, "use a python3.N on arm64 or x86_64")])
                found.setdefault(platform, f"{name}: {logical_id}")
    if len(found) > 1:
        what = "has another runtime or processor than the other functions"
        hint = "set one Runtime and Architectures for all of them, then run `deploy.py generate`"
        raise InputError([Problem(list(found.values())[-1], what, hint)])
    return next(iter(found), Platform(".".join(map(str, sys.version_info[:2])), "x86_64"))


def package_functions(
    directory: Path, platform: Platform, *, shared: Path = SHARED, cache: Path | None = None
) -> list[Archive]:
    """Package every function of a directory. A folder whose name begins with "_" is no function.

    Raises InputError with all problems of all functions.
    """
    done: list[Archive] = []
    problems: list[Problem] = []
    folders = (path for path in directory.iterdir() if path.is_dir() and not path.name.startswith("_"))
    for source in sorted(path for path in folders if not _ignored(path.name)):
        try:
            done.append(package_function(source, platform, shared=shared, cache=cache))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return done


def package_function(
    source: Path,
    platform: Platform,
    *,
    shared: Path = SHARED,
    cache: Path | None = None,
    limits: Limits = Limits(),
) -> Archive:
    """Package one function. `cache` defaults to `build/wheels` beside the directory of functions.

    The cache has the installed dependencies of each lock, so a change of the sources installs nothing. `shared` is the
    folder of the modules that functions may import.
    """
    own = list(_sources(source))
    entries = [*own, *_shared_modules(own, shared)]
    _raise_if_any(_wrong_sources(source, entries))
    notes = _compile(source, entries, platform)
    if lock := _lock(source, platform):
        dependencies = _dependencies(source, lock, platform, cache or source.resolve().parent.parent / "build/wheels")
        _raise_if_any(_find_clashes(source, entries, dependencies))
        entries += dependencies
    return _pack(source.name, entries, source, platform, limits, notes)


def _dependencies(source: Path, lock: bytes, platform: Platform, cache: Path) -> list[_Entry]:
    """Return the files of the locked wheels, from the cache or installed to it. The folder names lock and platform."""
    folder = cache / _digest([_Entry(f"{_FORMAT} {platform} {_LOCK}", 0o644, lock)])
    if (known := _cached(folder)) is not None:
        return known
    with tempfile.TemporaryDirectory(prefix="wheels-") as target:
        _install(source, Path(target), platform)
        installed = list(_installed(Path(target)))
        clashes = list(_claimed_twice(source, Path(target)))
    _raise_if_any(clashes)
    _store(installed, folder)
    return installed


def _pack(
    name: str, entries: list[_Entry], source: Path, platform: Platform, limits: Limits, notes: tuple[str, ...]
) -> Archive:
    size = sum(len(entry.data) for entry in entries)
    problems = list(_wrong_machine(source, entries, platform))
    if size > limits.fail:
        what = f"{_megabytes(size)} unpacked; Lambda takes at most {_megabytes(limits.fail)}"
        problems.append(Problem(str(source), what, "drop a dependency or use a container image"))
    _raise_if_any(problems)
    data = _zip(entries)
    return Archive(name, _digest(entries), data, (*notes, *_notes(data, limits)))


def _zip(entries: Iterable[_Entry]) -> bytes:
    """Return the zip file of some entries. Entries are stored, not compressed.

    zlib, zlib-ng and their versions produce different bytes at the same level, and a function of a few files gains
    little from compression.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as target:
        for entry in sorted(entries, key=lambda entry: entry.path):
            info = zipfile.ZipInfo(entry.path)  # the default date is 1980-01-01, the earliest of the format
            info.create_system = 3  # Unix, also if this program runs on Windows
            info.external_attr = (stat.S_IFREG | entry.mode) << 16
            target.writestr(info, entry.data)
    return buffer.getvalue()


def _digest(entries: Iterable[_Entry]) -> str:
    total = hashlib.sha256()
    for entry in sorted(entries, key=lambda entry: entry.path):
        content = hashlib.sha256(entry.data).hexdigest()
        total.update(f"{entry.path}\0{entry.mode:o}\0{content}\n".encode())
    return total.hexdigest()


def _notes(data: bytes, limits: Limits) -> tuple[str, ...]:
    if len(data) <= limits.note:
        return ()
    return (f"{_megabytes(len(data))}: a cold start loads all of it",)


def _megabytes(size: int) -> str:
    return f"{size / 1024 / 1024:.1f} MB"


# --- reading files


def _compiled(name: str) -> bool:
    return name == "__pycache__" or name.endswith(".pyc")


def _ignored(name: str) -> bool:
    """Return whether a file of ours is left by a tool or an editor. Files of dependencies are all intended."""
    return _compiled(name) or name.startswith((".", "requirements.")) or name.endswith("~")


def _sources(root: Path) -> Iterator[_Entry]:
    """Yield the function's own files. Raises InputError for a file that a zip cannot represent exactly."""
    if not root.is_dir():
        raise InputError([Problem(str(root), "the function does not exist", "create a directory with an index.py")])
    if root.is_symlink():
        raise InputError([Problem(str(root), "is a symbolic link", _LINK_HINT)])
    problems: list[Problem] = []
    yield from _walk(root, root, _ignored, problems)
    _raise_if_any(problems)


def _shared_modules(own: list[_Entry], shared: Path) -> Iterator[_Entry]:
    """Yield the shared modules that a function imports. A module of the function's own hides a shared one.

    The sources are searched, not parsed: they may be written for a newer Python than the one that packages them.
    """
    sources = [entry.data for entry in own if entry.path.endswith(".py")]
    taken = {_module(entry.path) for entry in own}
    for path in sorted(shared.glob("[!_]*.py")):
        name = re.escape(path.stem.encode())
        imported = re.compile(rb"^\s*(?:from\s+%b\s|import\s[^#\n]*\b%b\b)" % (name, name), re.MULTILINE)
        if path.stem not in taken and any(imported.search(source) for source in sources):
            yield _Entry(path.name, 0o644, path.read_bytes())


def _walk(root: Path, folder: Path, skipped: Callable[[str], bool], problems: list[Problem]) -> Iterator[_Entry]:
    with os.scandir(folder) as found:
        children = sorted(found, key=lambda child: child.name)
    for child in children:
        path = Path(child.path)
        if skipped(child.name):
            continue
        if child.is_symlink():
            problems.append(Problem(str(path), "is a symbolic link", _LINK_HINT))
        elif child.is_dir():
            yield from _walk(root, path, skipped, problems)
        elif child.is_file():
            # Git stores one permission bit, and the umask changes the others, so there are only two
            # modes.
            mode = 0o755 if child.stat().st_mode & stat.S_IXUSR else 0o644
            yield _Entry(path.relative_to(root).as_posix(), mode, path.read_bytes())
        else:
            problems.append(Problem(str(path), "is neither a file nor a directory"))


def _lock(source: Path, platform: Platform) -> bytes:
    """Return the content of the lock file, or empty bytes if it is missing or has only comments."""
    path = source / _LOCK
    if not path.is_file():
        return b""
    data = path.read_bytes()
    lines = [line.split(b"#")[0].strip() for line in data.splitlines()]
    for number, line in enumerate(lines, 1):
        if line.startswith((b"-r", b"-c", b"--requirement", b"--constraint")):
            # The cache key covers this file's content, so a change of the other file would not be
            # noticed.
            raise InputError([Problem(str(path), f"line {number} refers to another file", _lock_hint(platform))])
    return data if any(lines) else b""


# --- dependencies


def _install(source: Path, target: Path, platform: Platform) -> None:
    command = [
        _uv(source),
        *("pip", "install", "--quiet", "--no-progress", "--python", sys.executable, "--target", str(target)),
        *("--python-version", platform.python, "--python-platform", _UV_PLATFORMS[platform.machine]),
        # A source distribution would be built for this machine, and its build could execute any code.
        *("--only-binary", ":all:", "--no-deps", "--require-hashes"),
        *("--link-mode", "copy", "--requirement", _LOCK),
    ]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError([Problem(str(source / _LOCK), done.stderr.strip() or "uv failed", _lock_hint(platform))])


def _lock_hint(platform: Platform) -> str:
    return (
        "lock again with: uv pip compile --generate-hashes "
        f"--python-platform {_UV_PLATFORMS[platform.machine]} --python-version {platform.python} "
        f"requirements.in -o {_LOCK}"
    )


def _uv(source: Path) -> str:
    beside = Path(sys.executable).parent
    found = shutil.which("uv", path=os.pathsep.join([str(beside), os.environ.get("PATH", "")]))
    if not found:
        raise InputError([Problem(str(source / _LOCK), "uv is needed to fetch wheels", "run `make install`")])
    return found


def _installed(target: Path) -> Iterator[_Entry]:
    """Yield the files of the wheels, without files that differ between two installations of the same wheels."""
    problems: list[Problem] = []
    for entry in _walk(target, target, _compiled, problems):
        first, _, rest = entry.path.partition("/")
        # The installer's own lock file is hidden. Console scripts contain the path of this machine's Python.
        if first.startswith(".") or first == "bin" or (first.endswith(".dist-info") and rest in _INSTALLER_NOTES):
            continue
        yield entry
    _raise_if_any(problems)


def _claimed_twice(source: Path, target: Path) -> Iterator[Problem]:
    """Yield a problem for each file that two wheels contain. The installer keeps the last one without a message."""
    owners: dict[str, str] = {}
    for record in sorted(target.glob("*.dist-info/RECORD")):
        wheel = record.parent.name.removesuffix(".dist-info")
        for line in record.read_text(encoding="utf-8").splitlines():
            path = line.rsplit(",", 2)[0].strip('"')
            if path.startswith(("../", "bin/")):
                continue
            if path in owners and owners[path] != wheel:
                yield Problem(str(source / _LOCK), f"{path} comes from {owners[path]} and from {wheel}")
            owners[path] = wheel


def _find_clashes(source: Path, entries: list[_Entry], dependencies: list[_Entry]) -> Iterator[Problem]:
    theirs = {_module(entry.path) for entry in dependencies}
    for name in sorted({_module(entry.path) for entry in entries} & theirs):
        yield Problem(str(source / name), "has the name of a dependency and would hide it", "rename it")


def _module(path: str) -> str:
    """Return the name for an import: `yaml/x.py`, `yaml.py` and `yaml.cpython-313.so` are all `yaml`."""
    return path.partition("/")[0].partition(".")[0]


# --- problems of a package


def _compile(source: Path, entries: Iterable[_Entry], platform: Platform) -> tuple[str, ...]:
    """Compile the sources with the Python of the functions. Raises InputError for those that it refuses.

    An older Python than that of the functions refuses new syntax. Then the Python of the functions decides if it is
    installed. Otherwise the returned note names what was not checked.
    """
    sources = {one.path: one.data.decode("utf-8", "replace") for one in entries if one.path.endswith(".py")}
    errors = source_check.find_errors(sources, platform.version)
    if errors and sys.version_info[:2] < platform.version:
        python = find_python(platform.python)
        if python is None:
            here = ".".join(map(str, sys.version_info[:2]))
            return tuple(
                f"{path} was not compiled: there is no Python {platform.python} here. For Python {here} it {error}"
                for path, error in errors.items()
            )
        given = json.dumps({"version": platform.version, "sources": {path: sources[path] for path in errors}})
        done = subprocess.run(
            [python, "-I", source_check.__file__], input=given, capture_output=True, text=True, check=True
        )
        errors = json.loads(done.stdout)
    hint = "correct it: the function could not start"
    _raise_if_any(Problem(str(source / path), error, hint) for path, error in errors.items())
    return ()


def _wrong_sources(source: Path, entries: list[_Entry]) -> Iterator[Problem]:
    if not any(entry.path == "index.py" for entry in entries):
        yield Problem(str(source), "has no index.py", "the handler of every function is index.handler")
    reserved = _RUNTIME_MODULES | sys.stdlib_module_names
    for path in sorted(entry.path for entry in entries):
        first = path.partition("/")[0]
        if (first.endswith(".py") or first != path) and _module(path) in reserved:
            yield Problem(str(source / path), "would hide a module of Python or of Lambda's runtime", "rename it")


def _wrong_machine(source: Path, entries: Iterable[_Entry], platform: Platform) -> Iterator[Problem]:
    for entry in entries:
        if entry.data[:4] == b"\x7fELF":
            machine = int.from_bytes(entry.data[18:20], "little" if entry.data[5:6] == b"\x01" else "big")
            if machine != _ELF_MACHINES[platform.machine]:
                built = {number: name for name, number in _ELF_MACHINES.items()}.get(machine, f"machine {machine}")
                what = f"is built for {built}; the function runs on {platform.machine}"
                yield Problem(str(source / entry.path), what)


def _raise_if_any(problems: Iterable[Problem]) -> None:
    if found := list(problems):
        raise InputError(found)


# --- the cache


def _cached(folder: Path) -> list[_Entry] | None:
    """Return the files of the cache, or None. A file that does not match the checksum in its name is not used."""
    for path in folder.glob("*.zip"):
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() == path.stem:
            with zipfile.ZipFile(io.BytesIO(data)) as kept:
                return [
                    _Entry(one.filename, one.external_attr >> 16 & 0o777, kept.read(one)) for one in kept.infolist()
                ]
    return None


def _store(entries: list[_Entry], folder: Path) -> None:
    data = _zip(entries)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as part:
        part.write(data)
    # The replacement is atomic, also if two processes package at the same time.
    Path(part.name).replace(folder / f"{hashlib.sha256(data).hexdigest()}.zip")
