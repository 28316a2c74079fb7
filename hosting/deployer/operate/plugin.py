"""session-manager-plugin: the program that carries a session's bytes, started as the AWS CLI starts it.

The plugin is a program and not a library, so its command line is the interface: the session (as JSON, or since
1.2.497 the name of an environment variable that holds it), region, the operation's name, profile, the operation's
parameters, endpoint. The session contains a token with which anybody could take it over, and command lines can be
read by every user of a machine, so the environment is used wherever the plugin can.
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
    """The program is not installed."""


@dataclass(frozen=True)
class Plugin:
    """The installed plugin."""

    path: str
    version: tuple[int, ...]

    def command(
        self, session: Mapping[str, str], region: str, profile: str | None, parameters: Mapping[str, Any], endpoint: str
    ) -> tuple[list[str], dict[str, str]]:
        """The command line and the environment that carry a session."""
        environment = dict(os.environ)
        said = json.dumps(dict(session))
        if self.version > _LAST_WITHOUT_ENVIRONMENT:
            environment[_VARIABLE] = said
            said = _VARIABLE
        arguments = [self.path, said, region, "StartSession", profile or "", json.dumps(dict(parameters)), endpoint]
        return arguments, environment


def find_plugin() -> Plugin:
    """The plugin on the PATH; an error that says how to install it when there is none."""
    path = shutil.which(NAME)
    if path is None:
        raise PluginMissingError(
            f"{NAME} is not installed; sessions go through it", hint=f"install it: {install_command()}"
        )
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeployerError(
            f"cannot be started: {error}", where=path, hint=f"install it again: {install_command()}"
        ) from error
    return Plugin(path, parse_version(said))


def parse_version(text: str) -> tuple[int, ...]:
    """The plugin's own version. One that cannot be read counts as old: old ways work with every plugin."""
    match = re.search(r"\d+(?:\.\d+)+", text)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def install_command() -> str:
    """How to install the plugin on this machine (Systems Manager User Guide, "Install the Session Manager plugin")."""
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
