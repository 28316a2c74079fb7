"""`rotate-origin-secret`: no step refuses a request, and an interrupted rotation continues."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from hosting.deployer.errors import DeployerError, StateError
from hosting.deployer.operate import origin_secret
from hosting.deployer.operate.origin_secret import Origin, Values
from tests.deployer.operate import parts

Run = Callable[..., "subprocess.CompletedProcess[str]"]
WRITES = {"cloudfront": ["UpdateDistribution"], "secretsmanager": ["PutSecretValue"], "elbv2": ["ModifyRule"]}


class KilledError(BaseException):
    """The command ends here, as with kill -9."""


@dataclass
class Watch:
    """Checks after each write that no request can be refused, and ends the command after one of them."""

    origin: Origin
    kill_after: int = 0
    writes: int = 0
    # Edge locations send the old value or the new one until CloudFront has deployed a change.
    sending: set[str] = field(default_factory=set)

    def written(self, **_: Any) -> None:
        values = Origin(self.origin.platform).read()
        self.sending.add(values.sent)
        for rule, accepted in values.accepted.items():
            assert self.sending <= accepted, f"{rule} refuses a value that CloudFront sends"
            assert values.current in accepted, "a deployment would send a value that is refused"
        assert self.sending <= {values.current, values.next}, "a deployment would refuse a value that is sent"
        self.writes += 1
        if self.writes == self.kill_after:
            raise KilledError

    def deployed(self, **_: Any) -> None:
        self.sending = {Origin(self.origin.platform).read().sent}


@contextmanager
def watched(deployed: parts.Deployed, kill_after: int = 0) -> Iterator[Watch]:
    """Check invariants during a rotation. A kill takes effect after the write, whose reply is lost."""
    watch = Watch(Origin(deployed.platform), kill_after, sending={read(deployed).sent})
    hooks: list[tuple[Any, str, Any]] = [
        (deployed.client(service), f"after-call.*.{write}", watch.written)
        for service, writes in WRITES.items()
        for write in writes
    ]
    hooks.append((deployed.client("cloudfront"), "after-call.*.GetDistribution", watch.deployed))
    for client, event, hook in hooks:
        client.meta.events.register(event, hook)
    try:
        with suppress(KilledError):
            yield watch
    finally:
        for client, event, hook in hooks:
            client.meta.events.unregister(event, hook)


def read(deployed: parts.Deployed) -> Values:
    return Origin(deployed.platform).read()


def rotate(deployed: parts.Deployed) -> list[str]:
    lines: list[str] = []
    origin_secret.rotate(deployed.platform, lines.append)
    return lines


def test_the_command_replaces_the_value_and_shows_no_value(deploy_py: Run, deployed: parts.Deployed) -> None:
    before = read(deployed)
    assert before.is_complete
    assert before.accepted
    done = deploy_py("rotate-origin-secret", "-e", "lab")
    assert done.returncode == 0, done.stderr
    after = read(deployed)
    assert after.is_complete
    assert after.sent == before.next
    assert not any(before.sent in accepted for accepted in after.accepted.values())
    assert len(after.next) == len(before.next)
    for value in (before.current, before.next, after.next):
        assert value not in done.stdout + done.stderr


def test_no_step_refuses_a_request_and_a_killed_rotation_continues(deployed: parts.Deployed) -> None:
    with watched(deployed) as watch:
        rotate(deployed)
    assert watch.writes == 3 + len(read(deployed).accepted)
    for kill_after in range(1, watch.writes + 1):
        before = read(deployed)
        with watched(deployed, kill_after):
            rotate(deployed)
        unfinished = not read(deployed).is_complete
        assert unfinished is (kill_after < watch.writes)
        if unfinished:
            with watched(deployed):
                lines = rotate(deployed)
            assert lines[0] == "the last rotation is unfinished: continue it"
        after = read(deployed)
        assert after.is_complete
        assert after.sent == before.next, "one rotation, not two"
        assert not any(before.sent in accepted for accepted in after.accepted.values())


def test_a_value_of_neither_secret_is_not_replaced(deployed: parts.Deployed) -> None:
    origin, before = Origin(deployed.platform), read(deployed)
    origin.send("set-by-a-person-in-the-console")
    try:
        with pytest.raises(DeployerError, match="in neither secret"):
            rotate(deployed)
    finally:
        origin.send(before.sent)
    assert read(deployed) == before


def test_a_rotation_is_refused_while_an_operation_is_running(deployed: parts.Deployed) -> None:
    updating = replace(deployed.platform, root=replace(deployed.platform.root, status="UPDATE_IN_PROGRESS"))
    with pytest.raises(StateError, match="UPDATE_IN_PROGRESS"):
        origin_secret.rotate(updating, print)
