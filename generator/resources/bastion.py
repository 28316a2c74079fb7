"""The bastion: a sidecar container beside the app in every task, through which operators connect to the database.

It relays loopback ports of the task to Aurora. ``deploy.py tunnel`` opens a Session Manager port-forwarding session to
one of them. The container listens only on the loopback interface, so no security group has a rule for it.
"""

from __future__ import annotations

from typing import Any

from troposphere.ecs import ContainerDefinition, Environment, HealthCheck, LinuxParameters, LogConfiguration
from troposphere.ecs import RestartPolicy as ContainerRestartPolicy

from generator import value_types as v

CONTAINER = "bastion"
WRITER_RELAY_PORT = 13306
READER_RELAY_PORT = 13307
# The log line for a relay that ended. A metric filter counts these lines.
RELAY_ENDED = "bastion: relay ended"
# MiB. socat and a shell need little. The agent of ECS Exec runs in the container too: two processes, and one more with
# its client for each session. Above the limit the kernel ends processes, and open sessions are disconnected.
MEMORY = 192

# - No failure may end the container: the loops retry after an unavailable registry, a restarted database or a killed
#   socat. So the script does not use "set -e".
# - Packages are installed before the relays start. Two apk processes at once would block each other, and a starting
#   task would log enough ended relays for an alarm.
# - util-linux-misc contains "script", without which sessions have no transcript (Amazon ECS Developer Guide, "Using
#   ECS Exec"). The script tries once: a relay without transcripts is better than no relay.
# - With "exec", sleep is the process that the task's init stops, so a stop does not wait for StopTimeout.
RELAY_SCRIPT = f"""\
install() {{
  apk add --no-cache --quiet socat util-linux-misc
}}
relay() {{
  while :; do
    socat "TCP-LISTEN:$1,bind=127.0.0.1,fork,reuseaddr" "TCP:$2:$DB_PORT,connect-timeout=10"
    echo "{RELAY_ENDED}, port $1, status $?"
    sleep 2
  done
}}
command -v script >/dev/null || install
until command -v socat >/dev/null; do
  echo "{RELAY_ENDED} before it began: there is no socat"
  sleep 5
  install
done
relay {WRITER_RELAY_PORT} "$DB_HOST" &
relay {READER_RELAY_PORT} "$DB_READER_HOST" &
exec sleep infinity
"""
# Without a database the container serves only sessions of ECS Exec.
SESSION_SCRIPT = """\
command -v script >/dev/null || apk add --no-cache --quiet util-linux-misc
exec sleep infinity
"""


def listening_probe(port: int) -> str:
    """Return a shell test for a listening port that opens no connection.

    A connection would resume a paused database, and MySQL blocks hosts that repeatedly connect and leave.
    """
    return f"grep -q ':{port:04X} 00000000:0000 0A' /proc/net/tcp"


def bastion_container(
    image: v.BastionImageUri, logging: LogConfiguration, database: list[Environment]
) -> ContainerDefinition:
    """Return the definition of the bastion container.

    ``database`` sets DB_HOST, DB_READER_HOST and DB_PORT. It is empty without a database: then there are no relays.
    """
    return ContainerDefinition(
        Name=CONTAINER,
        Image=image,
        # Not essential: a failed relay must not end the app. ECS restarts only this container.
        Essential=False,
        RestartPolicy=ContainerRestartPolicy(Enabled=True, RestartAttemptPeriod=60),
        EntryPoint=["/bin/sh", "-c"],
        Command=[RELAY_SCRIPT if database else SESSION_SCRIPT],
        Memory=MEMORY,
        # The agent of ECS Exec writes to the root file system, and init reaps the child processes of its sessions.
        ReadonlyRootFilesystem=False,
        LinuxParameters=LinuxParameters(InitProcessEnabled=True),
        StopTimeout=10,
        LogConfiguration=logging,
        **(relay_attributes(database) if database else {}),
    )


def relay_attributes(database: list[Environment]) -> dict[str, Any]:
    """Return the attributes of a bastion with relays: the hosts, the ports and the check that both listen."""
    return {
        "Environment": database,
        # The ports of the relays: "deploy.py tunnel" reads them from the running task, whose template may be older.
        "DockerLabels": {"relay.writer": str(WRITER_RELAY_PORT), "relay.reader": str(READER_RELAY_PORT)},
        "HealthCheck": HealthCheck(
            Command=["CMD-SHELL", f"{listening_probe(WRITER_RELAY_PORT)} && {listening_probe(READER_RELAY_PORT)}"],
            Interval=30,
            Timeout=5,
            Retries=3,
            StartPeriod=60,
        ),
    }
