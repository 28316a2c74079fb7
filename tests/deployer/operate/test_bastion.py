"""The bastion's command, exactly as the generated task definition has it, with real socat and a real database."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from tests.deployer.operate import parts
from tests.support.programs import need
from tests.support.waiting import PATIENCE, eventually

ROWS = "chair\nlamp\n"
ENDED = "bastion: relay ended"


def test_queries_go_through_both_relays(bastion: parts.Bastion, database: parts.Database) -> None:
    for port in (bastion.writer, bastion.reader):
        done = database.query(port)
        assert done.stdout == ROWS, done.stderr
    assert ENDED not in bastion.log


def test_the_relay_listens_on_loopback_only(bastion: parts.Bastion) -> None:
    rows = [row.split()[1] for row in open("/proc/net/tcp").read().splitlines()[1:]]  # noqa: SIM115, PTH123
    listeners = {address for address in rows if address.endswith((f":{bastion.writer:04X}", f":{bastion.reader:04X}"))}
    assert listeners
    assert all(address.startswith("0100007F:") for address in listeners)


def test_the_database_may_restart(bastion: parts.Bastion, database: parts.Database) -> None:
    database.stop()
    try:
        assert database.query(bastion.writer).returncode != 0
        assert bastion.is_up(), "a database that is away must not end the relay"
    finally:
        database.start()
    assert database.query(bastion.writer).stdout == ROWS
    assert ENDED not in bastion.log


def test_a_killed_relay_is_restarted_and_logged(bastion: parts.Bastion, database: parts.Database) -> None:
    for pid in bastion.pids("socat"):
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: bastion.log.count(ENDED) == 2)
    eventually(bastion.is_up)
    assert database.query(bastion.writer).stdout == ROWS
    assert database.query(bastion.reader).stdout == ROWS


def test_an_open_connection_outlives_the_listener(bastion: parts.Bastion, database: parts.Database) -> None:
    """A long query is not cut because the listener was restarted."""
    import subprocess

    query = subprocess.Popen(
        [
            database.programs["mariadb"],
            f"--defaults-file={database.options(bastion.writer)}",
            "-N",
            "-e",
            "SELECT SLEEP(4); SELECT 'done'",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    eventually(lambda: len(bastion.pids("socat")) == 3)
    for pid in sorted(bastion.pids("socat"))[:2]:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: ENDED in bastion.log)
    assert query.communicate(timeout=PATIENCE)[0] == "0\ndone\n"


# apk as far as the command can tell: it takes its time, and while one is at work the database of packages is
# locked and a second one fails at once.
APK = """\
echo "apk $*" >>"$APK_CALLS"
mkdir "$APK_LOCK" 2>/dev/null || { echo "ERROR: Unable to lock database" >&2; exit 99; }
"$REAL_SLEEP" "$APK_SECONDS"
if [ -e "$APK_DOWN" ]; then rmdir "$APK_LOCK"; echo "ERROR: unable to fetch" >&2; exit 1; fi
ln -s "$REAL_SOCAT" "$APK_BIN/socat"
ln -s "$REAL_SOCAT" "$APK_BIN/script"
rmdir "$APK_LOCK"
"""


def with_apk(bastion: parts.Bastion, seconds: str = "0.5") -> None:
    bastion.environment = {
        "APK_CALLS": str(bastion.directory / "calls"),
        "APK_LOCK": str(bastion.directory / "lock"),
        "APK_DOWN": str(bastion.directory / "down"),
        "APK_BIN": str(bastion.bin),
        "APK_SECONDS": seconds,
        "REAL_SOCAT": need("socat")["socat"],
        "REAL_SLEEP": need("sleep")["sleep"],
    }
    bastion.program("apk", APK)


def test_a_bare_image_gets_its_packages_without_an_alarm(
    make_bastion: Callable[..., parts.Bastion], database: parts.Database
) -> None:
    """Three lines in five minutes are an alarm, and every new task starts like this."""
    bastion = make_bastion(installed=False)
    with_apk(bastion)
    bastion.start()
    eventually(bastion.is_up)
    assert database.query(bastion.writer).stdout == ROWS
    assert database.query(bastion.reader).stdout == ROWS
    assert ENDED not in bastion.log
    calls = (bastion.directory / "calls").read_text().splitlines()
    assert calls == ["apk add --no-cache --quiet socat util-linux-misc"]


def test_a_registry_that_is_down_is_asked_again(
    make_bastion: Callable[..., parts.Bastion], database: parts.Database
) -> None:
    bastion = make_bastion(installed=False)
    with_apk(bastion)
    (bastion.directory / "down").touch()
    bastion.start()
    eventually(lambda: bastion.log.count(ENDED) >= 2)
    assert bastion.process is not None
    assert bastion.process.poll() is None
    assert bastion.health() != 0
    (bastion.directory / "down").unlink()
    eventually(bastion.is_up)
    assert bastion.health() == 0
    assert database.query(bastion.writer).stdout == ROWS


def test_an_image_without_apk_works_if_it_contains_socat(
    make_bastion: Callable[..., parts.Bastion], database: parts.Database
) -> None:
    bastion = make_bastion()
    (bastion.bin / "script").unlink()
    bastion.start()
    eventually(bastion.is_up)
    assert database.query(bastion.writer).stdout == ROWS


def test_a_stop_ends_the_bastion_at_once(bastion: parts.Bastion) -> None:
    """The init process of the container passes SIGTERM to its child only; StopTimeout would be the limit."""
    assert bastion.process is not None
    begun = time.monotonic()
    bastion.process.terminate()
    assert bastion.process.wait(parts.bastion_definition()["StopTimeout"]) == -signal.SIGTERM
    assert time.monotonic() - begun < 2


def test_a_stop_ends_the_bastion_while_packages_are_installed(make_bastion: Callable[..., parts.Bastion]) -> None:
    bastion = make_bastion(installed=False)
    with_apk(bastion, "infinity")
    bastion.start()
    eventually((bastion.directory / "lock").exists)
    assert bastion.process is not None
    bastion.process.terminate()
    bastion.process.wait(parts.bastion_definition()["StopTimeout"])


def test_the_health_check_sees_a_dead_relay(bastion: parts.Bastion) -> None:
    assert bastion.health() == 0
    bastion.held.touch()
    for pid in bastion.pids("socat")[:1]:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: bastion.health() != 0)
    bastion.held.unlink()
    eventually(bastion.is_up)
    assert bastion.health() == 0
