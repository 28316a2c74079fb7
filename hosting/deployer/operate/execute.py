r"""Command in a container of a running task, with its real exit status.

Session Manager transfers only the data of a terminal: neither the API nor the plugin returns the exit status of the
command. So a shell wraps the command and prints the exit status in the output, from which it is read:

    ESC ] 9410 ; <token> ; begin BEL    output before this marker is not the command's
    ... the command's own output ...
    ESC ] 9410 ; <token> ; <status> BEL

Terminals ignore an unknown "operating system command", so a marker that is not removed is invisible. The token is
random, and printf assembles it from two halves, so that neither the command's output nor an echo of the wrapper matches
a marker. A session that breaks has no second marker. Its status is unknown, which is an error.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

from botocore.exceptions import BotoCoreError, ClientError

from hosting.deployer.aws.session import explain, is_denied
from hosting.deployer.errors import DeployerError
from hosting.deployer.operate.platform import Platform
from hosting.deployer.operate.plugin import Plugin
from hosting.deployer.operate.tasks import Task

# bash if the image has it, else sh.
SHELL = "if command -v bash >/dev/null; then bash; else sh; fi"


@dataclass(frozen=True)
class Session:
    """Started session: the command line of the plugin with its environment."""

    id: str
    command: list[str]
    environment: dict[str, str] = field(repr=False)


@dataclass
class OutputFilter:
    """Filter that removes the markers from a session's output and keeps the exit status."""

    token: str
    status: int | None = None
    begun: bool = False
    # Output before the command: the greeting of the plugin, or the reason why the session failed.
    preamble: bytes = b""
    _pending: bytes = b""

    def feed(self, data: bytes) -> bytes:
        """Return the part of the output that is the command's own."""
        data, self._pending = self._pending + data, b""
        if not self.begun:
            before, found, data = data.partition(self._marker("begin"))
            if not found:
                self._pending = before
                return b""
            self.begun, self.preamble = True, before
        if self.status is not None:
            return b""
        if match := re.search(rb"\x1b\]9410;" + self.token.encode() + rb";(\d+)\x07", data):
            self.status = int(match[1])
            return data[: match.start()]
        held = _find_partial_marker(data, self._marker(""))
        data, self._pending = data[:held], data[held:]
        return data

    def finish(self) -> bytes:
        """Return the retained rest of the output at the end of the session. It might have become a marker."""
        if not self.begun:
            self.preamble, self._pending = self._pending, b""
            return b""
        rest, self._pending = self._pending, b""
        return rest if self.status is None else b""

    def _marker(self, word: str) -> bytes:
        end = "\x07" if word else ""
        return f"\x1b]9410;{self.token};{word}{end}".encode()


def new_token() -> str:
    return secrets.token_hex(8)


def wrap_command(command: Sequence[str], token: str) -> str:
    """Return the command line for the agent, which splits it into words and executes it without a shell.

    The trap handles Ctrl-C: the terminal also sends it to the wrapper, which must survive to report status 130.
    """
    half = len(token) // 2
    inner = shlex.join(command) if command else SHELL
    mark = f"printf '\\033]9410;%s%s;%s\\007' {token[:half]} {token[half:]}"
    script = f"trap : INT; {mark} begin; {inner}; s=$?; {mark} $s; exit $s"
    return shlex.join(["/bin/sh", "-c", script])


def start_session(platform: Platform, plugin: Plugin, task: Task, container: str, command: str) -> Session:
    """Start the session in which the agent executes the command."""
    clients, region = platform.context.clients, platform.home
    try:
        answer = clients.ecs(region).execute_command(
            cluster=platform.cluster, task=task.arn, container=container, command=command, interactive=True
        )
    except ClientError as error:
        raise _refused(error, task, container, platform) from error
    session = answer["session"]
    credentials = {
        "SessionId": session["sessionId"],
        "TokenValue": session["tokenValue"],
        "StreamUrl": session["streamUrl"],
    }
    endpoint = clients.ssm(region).meta.endpoint_url
    arguments, environment = plugin.command(
        credentials, region, clients.profile, {"Target": task.target(container)}, endpoint
    )
    return Session(session["sessionId"], arguments, environment)


def end_session(platform: Platform, session: Session) -> None:
    """Terminate the session at AWS. It has usually ended with the command. Without the permission it times out."""
    with contextlib.suppress(ClientError, BotoCoreError):
        platform.context.clients.ssm(platform.home).terminate_session(SessionId=session.id)


def require_exit_status(output: OutputFilter) -> int:
    """Return the exit status of the command. Raises DeployerError if it is unknown."""
    if output.status is not None:
        return output.status
    if output.begun:
        what = "the session ended before the command did; whether it is still running is unknown"
        raise DeployerError(what, hint="a session ends after 20 minutes without input or output")
    lines = [line.strip() for line in output.preamble.decode("utf-8", "replace").splitlines() if line.strip()]
    messages = [line for line in lines if not re.match(r"(Starting|Exiting) session with", line, re.IGNORECASE)]
    hint = "the image needs a /bin/sh; see also `deploy.py exec --check`"
    raise DeployerError(f"the command did not start: {' '.join(messages) or 'the session had no output'}", hint=hint)


def _find_partial_marker(data: bytes, mark: bytes) -> int:
    """Return the index at which an incomplete marker may begin, or the length of the data."""
    at = data.rfind(b"\x1b")
    if at < 0:
        return len(data)
    tail = data[at:]
    begins = mark.startswith(tail) or (tail.startswith(mark) and tail[len(mark) :].isdigit())
    return at if begins else len(data)


def _refused(error: ClientError, task: Task, container: str, platform: Platform) -> DeployerError:
    code = error.response.get("Error", {}).get("Code", "")
    message = error.response.get("Error", {}).get("Message", str(error))
    where = f"task {task.id[:8]}, {container}"
    if is_denied(error):
        hint = (
            f"you need ecs:ExecuteCommand on {task.arn} and its cluster, and kms:GenerateDataKey on the sessions' key"
        )
        return DeployerError(f"AWS denied the session: {message}", where=where, hint=hint)
    if code in {"TargetNotConnectedException", "InvalidParameterException"}:
        hint = f"find the reason: deploy.py exec --check -e {platform.context.environment.name}"
        return DeployerError(message, where=where, hint=hint)
    return explain(error)
