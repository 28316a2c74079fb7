"""The bastion sidecar: a light container beside the app in every task, through which people reach the database.

It relays loopback ports of the task to Aurora. ``deploy.py tunnel`` opens a Session Manager port-forwarding session
to one of them; nothing listens on the network, and no security group opens for it.
"""

from __future__ import annotations

from troposphere.ecs import ContainerDefinition, Environment, HealthCheck, LinuxParameters, LogConfiguration
from troposphere.ecs import RestartPolicy as ContainerRestartPolicy

from generator import value_types as v

CONTAINER = "bastion"
WRITER_RELAY_PORT = 13306
READER_RELAY_PORT = 13307
# What the container says when a relay ended; a metric filter counts these lines.
RELAY_ENDED = "bastion: relay ended"
# MiB. socat and a shell need a few; the agent of ECS Exec runs in the container itself, two processes and one more for
# each session, which also runs a client. What outgrows the limit is killed, and whoever is connected falls out.
MEMORY = 192

# - Nothing here may end the container: a registry that is down, a database that restarts and a killed socat are all
#   answered by another turn of a loop, so no "set -e".
# - Packages come before the relays, not in them: two apk at once would lock each other out, and a task that merely
#   starts would log enough ended relays for an alarm.
# - util-linux-misc brings "script", without which sessions leave no transcript (Amazon ECS Developer Guide, "Using
#   ECS Exec"). It is worth one attempt; a relay without transcripts is better than none.
# - "exec" makes sleep the process that the task's init stops, so a stop does not wait for StopTimeout.
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


def listening_probe(port: int) -> str:
    """A shell test for a listening port that opens no connection: a probe that connected would wake a paused
    database, and MySQL blocks hosts that connect and leave."""
    return f"grep -q ':{port:04X} 00000000:0000 0A' /proc/net/tcp"


def bastion_container(image: v.ImageUri, database: list[Environment], logging: LogConfiguration) -> ContainerDefinition:
    """The sidecar's definition. ``database`` must set DB_HOST, DB_READER_HOST and DB_PORT."""
    return ContainerDefinition(
        Name=CONTAINER,
        Image=image,
        # Not essential: a dead relay must never take the app with it. ECS restarts the container alone.
        Essential=False,
        RestartPolicy=ContainerRestartPolicy(Enabled=True, RestartAttemptPeriod=60),
        EntryPoint=["/bin/sh", "-c"],
        Command=[RELAY_SCRIPT],
        Environment=database,
        # Where the relays of a running task listen: "deploy.py tunnel" asks the task, not today's templates.
        DockerLabels={"relay.writer": str(WRITER_RELAY_PORT), "relay.reader": str(READER_RELAY_PORT)},
        Memory=MEMORY,
        # The agent of ECS Exec writes to the root file system, and its sessions leave children for init to reap.
        ReadonlyRootFilesystem=False,
        LinuxParameters=LinuxParameters(InitProcessEnabled=True),
        HealthCheck=HealthCheck(
            Command=["CMD-SHELL", f"{listening_probe(WRITER_RELAY_PORT)} && {listening_probe(READER_RELAY_PORT)}"],
            Interval=30,
            Timeout=5,
            Retries=3,
            StartPeriod=60,
        ),
        StopTimeout=10,
        LogConfiguration=logging,
    )
