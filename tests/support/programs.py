"""Programs of the operating system that tests use."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess

import pytest

# Executable -> the package of Debian and Ubuntu that contains it.
PACKAGES = {
    "busybox": "busybox",
    "bwrap": "bubblewrap",
    "chromium": "chromium",
    "dash": "dash",
    "ip": "iproute2",
    "mariadb": "mariadb-client",
    "mariadb-install-db": "mariadb-server",
    "mariadbd": "mariadb-server",
    "node": "nodejs",
    "php": "php-cli",
    "sleep": "coreutils",
    "socat": "socat",
}
_SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")
# Continuous integration installs everything, so a missing program is a failure there.
MUST_RUN = "TESTS_SKIP_NOTHING"


def need(*names: str) -> dict[str, str]:
    """Return the paths of executables. Skip the test, naming the packages, if one is missing."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *_SBIN))
    found = {name: shutil.which(name, path=path) for name in names}
    if missing := [name for name, where in found.items() if where is None]:
        packages = " ".join(sorted({PACKAGES[name] for name in missing}))
        skip(f"{', '.join(missing)} not found: apt-get install {packages}")
    if reason := _refused_sandbox() if "bwrap" in names else "":
        pytest.skip(f"bubblewrap is not permitted on this machine: {reason}")
    return {name: where for name, where in found.items() if where is not None}


@functools.cache
def _refused_sandbox() -> str:
    """Return the message of bubblewrap if it cannot make namespaces here, as in a container without privileges."""
    tried = subprocess.run(
        ["bwrap", "--ro-bind", "/", "/", "--unshare-net", "--unshare-pid", "true"], capture_output=True, text=True
    )
    return tried.stderr.strip() if tried.returncode else ""


def skip(reason: str) -> None:
    """Skip the test, or fail it in continuous integration."""
    if os.environ.get(MUST_RUN):
        pytest.fail(reason)
    pytest.skip(reason)
