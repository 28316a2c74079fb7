"""Reads the app container of a task definition, and describes the software that replaces its image on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hosting.model.tokens import Json

APP = "app"
# Volumes for the agent of ECS Exec. No agent runs here.
_AGENT = ("/managed-agents", "/var/lib/amazon/ssm", "/var/log/amazon/ssm")
# The default of Amazon ECS for a container without StopTimeout.
_STOP_SECONDS = 30


@dataclass(frozen=True)
class Volume:
    """A volume of the project in a folder of the container."""

    name: str
    read_only: bool = False
    # The user of its files, "uid:gid"; empty for the user of the container.
    owner: str = ""


@dataclass(frozen=True)
class Container:
    """The app container, as a task definition declares it. ``volumes`` are those that outlive a task, by path."""

    name: str
    variables: Mapping[str, str]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    image: str = ""
    entry_point: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    port: int | None = None
    user: str = ""
    read_only: bool = False
    writable_paths: tuple[str, ...] = ()
    volumes: Mapping[str, Volume] = field(default_factory=dict)
    stop_seconds: int = _STOP_SECONDS


@dataclass(frozen=True)
class LocalImage:
    """Software of this machine in place of an image.

    ``folders`` are folders of this machine by their path in the container, as COPY of a Dockerfile adds them, and
    ``programs`` are further folders that the command needs at the path that they have here. ``variables`` is what ENV
    sets.
    """

    command: tuple[str, ...] = ()
    entry_point: tuple[str, ...] = ()
    working_directory: str = "/"
    user: str = ""
    stop_signal: str = "SIGTERM"
    folders: Mapping[str, Path] = field(default_factory=dict)
    programs: tuple[Path, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)

    def command_of(self, container: Container) -> tuple[str, ...]:
        """Return the command line as Amazon ECS forms it: a given entry point also drops the image's command."""
        if container.entry_point:
            return (*container.entry_point, *container.command)
        return (*self.entry_point, *(container.command or self.command))


def read_container(
    name: str,
    task_definition: Json,
    value: Callable[[Json], str],
    secret: Callable[[str, str], str],
    owner: Callable[[Json], str] = lambda _access_point: "",
) -> Container:
    """Return the app container of a task definition, in the spelling of CloudFormation or of the API of Amazon ECS.

    ``value`` replaces the tokens of a resolved template. ``secret`` returns the value for a variable and its ValueFrom.
    ``owner`` returns the user of an access point, "uid:gid".
    """
    definition = _lower(task_definition)
    app = next(item for item in definition["containerDefinitions"] if item["name"] == APP)
    ports = [int(value(item["containerPort"])) for item in app.get("portMappings", [])]
    lasting = {
        item["name"]: item["eFSVolumeConfiguration"].get("authorizationConfig", {}).get("accessPointId")
        for item in definition.get("volumes", [])
        if "eFSVolumeConfiguration" in item
    }
    mounts = app.get("mountPoints", [])
    mounted = [value(item["containerPath"]) for item in mounts if item["sourceVolume"] not in lasting]
    return Container(
        name=name,
        variables={item["name"]: value(item["value"]) for item in app.get("environment", [])},
        secrets={item["name"]: secret(item["name"], item["valueFrom"]) for item in app.get("secrets", [])},
        image=value(app.get("image", "")),
        entry_point=tuple(value(item) for item in app.get("entryPoint", [])),
        command=tuple(value(item) for item in app.get("command", [])),
        port=ports[0] if ports else None,
        user=value(app.get("user", "")),
        read_only=_true(app.get("readonlyRootFilesystem")),
        writable_paths=tuple(path for path in mounted if path not in _AGENT),
        volumes={
            value(item["containerPath"]): Volume(name, _true(item.get("readOnly")), owner(lasting[name]))
            for item in mounts
            if (name := item["sourceVolume"]) in lasting
        },
        stop_seconds=int(value(app.get("stopTimeout", _STOP_SECONDS))),
    )


def _true(value: Json) -> bool:
    return str(value).lower() == "true"


def _lower(value: Json) -> Json:
    """Return a value with the first letter of each key in lower case, as the API of Amazon ECS writes keys."""
    if isinstance(value, Mapping):
        return {f"{key[:1].lower()}{key[1:]}": _lower(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_lower(item) for item in value]
    return value
