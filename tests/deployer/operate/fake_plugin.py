#!/usr/bin/env python3
"""Fake session-manager-plugin with the same command line, which transfers real data.

Takes what the real one takes (session, region, operation, profile, parameters, endpoint; the session as JSON or as
the name of a variable) and refuses anything else. What it would be connected to at AWS it asks the emulator. A
port-forwarding session really listens here and really forwards to the port of the "container", which is this
machine; a session of ECS Exec really runs the command, in a pseudo-terminal as the agent does. The words around a
session are the real ones.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shlex
import signal
import socket
import sys
import threading
import urllib.request

VERSION = os.environ.get("STAND_IN_VERSION", "1.2.707.0")
NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def main(arguments: list[str]) -> int:
    if arguments == ["--version"]:
        print(VERSION)  # noqa: T201
        return 0
    if record := os.environ.get("STAND_IN_RECORD"):
        with open(record, "a") as file:  # noqa: PTH123
            file.write(json.dumps(arguments) + "\n")
    said, region, operation, _profile, parameters, endpoint = arguments
    if said == "AWS_SSM_START_SESSION_RESPONSE":
        said = os.environ.pop(said)
    session = {name.lower(): value for name, value in json.loads(said).items()}
    assert {"sessionid", "tokenvalue", "streamurl"} == set(session), session
    assert operation == "StartSession"
    assert session["streamurl"].startswith(f"wss://ssmmessages.{region}.")
    identifier = session["sessionid"]
    found = ask(endpoint, region, identifier)
    asked = json.loads(parameters)
    assert asked["Target"] == found["Target"], (asked, found)
    say(f"\nStarting session with SessionId: {identifier}\n")
    if "Command" in found:
        code = execute(found["Command"])
    else:
        assert asked["Parameters"] == found["Parameters"]
        code = forward(found["Parameters"], identifier)
    say(f"\n\nExiting session with sessionId: {identifier}.\n\n")
    return code


def say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def ask(endpoint: str, region: str, identifier: str) -> dict:  # type: ignore[type-arg]
    account = os.environ["AWS_ACCESS_KEY_ID"]
    credential = f"{account}/20260101/{region}/rehearsal/aws4_request"
    request = urllib.request.Request(  # noqa: S310 - the emulator's loopback
        endpoint,
        data=json.dumps({"SessionId": identifier}).encode(),
        headers={
            "X-Amz-Target": "Rehearsal.Session",
            "Content-Type": "application/x-amz-json-1.1",
            "Authorization": f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=none",
        },
    )
    with NO_PROXY.open(request, timeout=180) as reply:
        found: dict = json.load(reply)  # type: ignore[type-arg]
        return found


# --- port forwarding


def forward(parameters: dict[str, list[str]], identifier: str) -> int:
    port, local = parameters["portNumber"][0], int(parameters["localPortNumber"][0])
    # A bastion in a container has its ports for itself; one on this machine takes free ones.
    remote = int(json.loads(os.environ.get("STAND_IN_PORTS", "{}")).get(port, port))
    with socket.create_server(("127.0.0.1", local)) as listener:
        say(f"Port {local} opened for sessionId {identifier}.\nWaiting for connections...\n")
        while True:
            near, _ = listener.accept()
            say(f"\nConnection accepted for session [{identifier}]\n")
            try:
                far = socket.create_connection(("127.0.0.1", remote), timeout=180)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=pump, args=(source, sink), daemon=True).start()


def pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


# --- ECS Exec


def execute(command: str) -> int:
    """The agent splits the command into words itself and runs it in a pseudo-terminal; its exit code is lost."""
    if not sys.stdin.isatty():
        say("\nCannot perform start session: EOF\n")
        return 0
    pid, terminal = pty.fork()
    if pid == 0:
        words = shlex.split(command)
        try:
            os.execvp(words[0], words)  # noqa: S606
        except OSError as error:
            os.write(1, f"Unable to start command: {error}\r\n".encode())
            os._exit(0)
    threading.Thread(target=keyboard, args=(terminal,), daemon=True).start()
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:
            break
        if not data:
            break
        os.write(1, data)
    os.waitpid(pid, 0)
    return 0


def keyboard(terminal: int) -> None:
    while data := os.read(0, 4096):
        os.write(terminal, data)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.exit(main(sys.argv[1:]))
