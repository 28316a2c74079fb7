r"""A command in a container of a running task, with its real exit status.

Session Manager carries a terminal's bytes and nothing else: neither the API nor the plugin reports how the command
ended. So the command is wrapped in a shell that says it in the output, and the output is read on its way:

    ESC ] 9410 ; <token> ; begin BEL    what the plugin says before is not the command's
    ... the command's own output ...
    ESC ] 9410 ; <token> ; <status> BEL

An "operating system command" that a terminal does not know is shown by none, so nothing is visible should a marker
ever slip through. The token is random and put together by printf from two halves: neither the command's output nor
an echo of the wrapper itself can be taken for it. A session that breaks leaves no second marker; then the status is
unknown, which is an error and not a success.
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

# Whatever shell the image has, preferring the comfortable one.
SHELL = "if command -v bash >/dev/null; then bash; else sh; fi"


@dataclass(frozen=True)
class Session:
    """A started session: the plugin's command line, and how to end it."""

    id: str
    command: list[str]
    environment: dict[str, str] = field(repr=False)


@dataclass
class OutputFilter:
    """Takes the marks out of a session's output and remembers what they say."""

    token: str
    status: int | None = None
    begun: bool = False
    # What came before the command: the plugin's greeting, or why there is no session.
    preamble: bytes = b""
    _pending: bytes = b""

    def feed(self, data: bytes) -> bytes:
        """What of the session's output so far is the command's own and can be shown."""
        data, self._pending = self._pending + data, b""
        if not self.begun:
            before, found, data = data.partition(self._mark("begin"))
            if not found:
                self._pending = before
                return b""
            self.begun, self.preamble = True, before
        if self.status is not None:
            return b""
        if match := re.search(rb"\x1b\]9410;" + self.token.encode() + rb";(\d+)\x07", data):
            self.status = int(match[1])
            return data[: match.start()]
        held = _start_of_mark(data, self._mark(""))
        data, self._pending = data[:held], data[held:]
        return data

    def finish(self) -> bytes:
        """What was held back when the session is over, because it might have become a mark."""
        if not self.begun:
            self.preamble, self._pending = self._pending, b""
            return b""
        rest, self._pending = self._pending, b""
        return rest if self.status is None else b""

    def _mark(self, word: str) -> bytes:
        end = "\x07" if word else ""
        return f"\x1b]9410;{self.token};{word}{end}".encode()


def new_token() -> str:
    return secrets.token_hex(8)


def wrap_command(command: Sequence[str], token: str) -> str:
    """The command line for the agent, which splits it into words as a shell would and runs the first one.

    The trap is for Ctrl-C: the terminal sends it to the wrapper too, which has to live to report the 130.
    """
    half = len(token) // 2
    inner = shlex.join(command) if command else SHELL
    mark = f"printf '\\033]9410;%s%s;%s\\007' {token[:half]} {token[half:]}"
    script = f"trap : INT; {mark} begin; {inner}; s=$?; {mark} $s; exit $s"
    return shlex.join(["/bin/sh", "-c", script])


def start_session(platform: Platform, plugin: Plugin, task: Task, container: str, command: str) -> Session:
    """Start the session in which the agent runs the command."""
    clients, region = platform.context.clients, platform.home
    try:
        answer = clients.ecs(region).execute_command(
            cluster=platform.cluster, task=task.arn, container=container, command=command, interactive=True
        )
    except ClientError as error:
        raise _refused(error, task, container, platform) from error
    session = answer["session"]
    said = {
        "SessionId": session["sessionId"],
        "TokenValue": session["tokenValue"],
        "StreamUrl": session["streamUrl"],
    }
    endpoint = clients.ssm(region).meta.endpoint_url
    arguments, environment = plugin.command(said, region, clients.profile, {"Target": task.target(container)}, endpoint)
    return Session(session["sessionId"], arguments, environment)


def end_session(platform: Platform, session: Session) -> None:
    """End the session at AWS. It has usually ended with the command; not everybody may end one, and it times out."""
    with contextlib.suppress(ClientError, BotoCoreError):
        platform.context.clients.ssm(platform.home).terminate_session(SessionId=session.id)


def require_exit_status(output: OutputFilter) -> int:
    """The command's exit status."""
    if output.status is not None:
        return output.status
    if output.begun:
        what = "the session ended before the command did; whether it is still running is unknown"
        raise DeployerError(what, hint="sessions end after 20 minutes without input or output")
    lines = [line.strip() for line in output.preamble.decode("utf-8", "replace").splitlines() if line.strip()]
    said = [line for line in lines if not re.match(r"(Starting|Exiting) session with", line, re.IGNORECASE)]
    hint = "the image needs a /bin/sh; see also `deploy.py exec --check`"
    raise DeployerError(f"the command did not start: {' '.join(said) or 'the session said nothing'}", hint=hint)


def _start_of_mark(data: bytes, mark: bytes) -> int:
    """Where a mark may have begun whose rest has not arrived yet."""
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
        hint = f"find out why: deploy.py exec --check -e {platform.context.environment.name}"
        return DeployerError(message, where=where, hint=hint)
    return explain(error)
