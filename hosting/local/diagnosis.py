"""Explains a container that does not work: what happens on Fargate, and which setting to change."""

from __future__ import annotations

import http.client
import re

from hosting.local.process import RunningContainer

_READ_ONLY = re.compile(r"read-only file system|EROFS", re.IGNORECASE)
_PATH_IN_LINE = re.compile(r"/[\w./-]+")


def explain(running: RunningContainer, health_path: str = "") -> list[str]:
    """Return what is wrong with a container, each with the setting to change. Empty if nothing was found.

    ``health_path`` is the path of the health check of a container behind the load balancer.
    """
    refused = [line for line in running.tail().splitlines() if line.startswith("bwrap: ")]
    if refused:
        return [
            f"bubblewrap cannot isolate the container: {refused[-1]}. Allow user namespaces, run as root, or remove "
            "bubblewrap from PATH."
        ]
    found = _explain_files(running)
    if (code := running.exit_code) is not None:
        found.append(_explain_exit(code))
    elif running.address is not None and health_path:
        found += _explain_health(running, running.address, health_path)
    return found


def _explain_files(running: RunningContainer) -> list[str]:
    lines = [line for line in running.tail().splitlines() if _READ_ONLY.search(line)]
    if not lines or not running.container.read_only:
        return []
    paths = sorted({path for line in lines for path in _PATH_IN_LINE.findall(line)})
    where = ", ".join(paths) or lines[0]
    return [
        f"The app wrote outside its writable paths ({where}). Fargate refuses that too: add the folder to "
        "writable_paths, or set read_only=False."
    ]


def _explain_exit(code: int) -> str:
    causes = {
        126: "The user of the container may not execute the command, or may not enter its folder.",
        127: "The command is not found in the image: check command and entry_point.",
        137: "It was killed: on Fargate this is the end of its memory or of its stop time.",
        143: "It ended at SIGTERM.",
    }
    return (
        f"The app ended with exit code {code}. {causes.get(code, 'Its log has the reason.')} On Fargate the task "
        "stops, and ECS starts another one until the deployment is rolled back."
    )


def _explain_health(running: RunningContainer, address: tuple[str, int], path: str) -> list[str]:
    port = running.container.port
    try:
        connection = http.client.HTTPConnection(*address, timeout=5)
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return [
            f"No program answers on port {port}. On Fargate the health check fails and the task is replaced: let the "
            f"app listen on 0.0.0.0:{port}, or change port of the workload."
        ]
    if status < 200 or status > 399:
        return [
            f"The health check path {path} answers {status}. On Fargate the task is replaced: change "
            "health_check=HealthCheck(path=...) to a path that answers 200 under any Host header, or codes."
        ]
    return []
