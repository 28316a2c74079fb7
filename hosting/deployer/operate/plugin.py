"""session-manager-plugin, the program that transfers the data of a session. It is started as the AWS CLI starts it.

The plugin is a program, so its command line is the interface: the session (as JSON, or since 1.2.497 the name of an
environment variable with it), region, operation, profile, parameters of the operation, endpoint. The session contains a
token with which any user could take it over, and every user of a machine can read command lines. So the environment
variable is used if the plugin supports it.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hosting.deployer.errors import DeployerError

NAME = "session-manager-plugin"

_LAST_WITHOUT_ENVIRONMENT = (1, 2, 497, 0)
_VARIABLE = "AWS_SSM_START_SESSION_RESPONSE"

_INSTALL = {
    "Darwin": "brew install --cask session-manager-plugin",
    "Windows": "winget install Amazon.SessionManagerPlugin",
    "Linux": (
        "curl -LO https://s3.amazonaws.com/session-manager-downloads/plugin/latest/{package} && {install} "
        "{file}  (64-bit ARM: {arm} in place of {amd})"
    ),
}


class PluginMissingError(DeployerError):
    """The plugin is not installed."""


@dataclass(frozen=True)
class Plugin:
    """Installed plugin."""

    path: str
    version: tuple[int, ...]

    def command(
        self, session: Mapping[str, str], region: str, profile: str | None, parameters: Mapping[str, Any], endpoint: str
    ) -> tuple[list[str], dict[str, str]]:
        """Return the command line and the environment for a session."""
        environment = dict(os.environ)
        argument = json.dumps(dict(session))
        if self.version > _LAST_WITHOUT_ENVIRONMENT:
            environment[_VARIABLE] = argument
            argument = _VARIABLE
        arguments = [self.path, argument, region, "StartSession", profile or "", json.dumps(dict(parameters)), endpoint]
        return arguments, environment


def find_plugin() -> Plugin:
    """Return the plugin on the PATH. Raises PluginMissingError with the install command if there is none."""
    path = shutil.which(NAME)
    if path is None:
        raise PluginMissingError(
            f"{NAME} is not installed, but sessions need it", hint=f"install it: {install_command()}"
        )
    try:
        output = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeployerError(
            f"the plugin cannot be started: {error}", where=path, hint=f"install it again: {install_command()}"
        ) from error
    return Plugin(path, parse_version(output))


def parse_version(text: str) -> tuple[int, ...]:
    """Return the version of the plugin. An unreadable version counts as old, which every plugin supports."""
    match = re.search(r"\d+(?:\.\d+)+", text)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def install_command() -> str:
    """Return the command that installs the plugin on this machine (Systems Manager User Guide)."""
    system = platform.system()
    if system != "Linux":
        return _INSTALL.get(system, "see the Systems Manager User Guide, Install the Session Manager plugin")
    rpm = shutil.which("dpkg") is None
    family, file = ("linux", f"{NAME}.rpm") if rpm else ("ubuntu", f"{NAME}.deb")
    return _INSTALL["Linux"].format(
        package=f"{family}_64bit/{file}",
        install="sudo yum install -y" if rpm else "sudo dpkg -i",
        file=f"./{file}",
        arm=f"{family}_arm64",
        amd=f"{family}_64bit",
    )
