"""Functions: code of the project that AWS Lambda runs, at the times of a schedule or for events."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from generator.declared_fields import check_types
from generator.errors import ConfigError
from generator.workloads.checks import check_name, check_range, find_twice
from generator.workloads.jobs import check_schedule
from generator.workloads.stores import Queue, Store
from generator.workloads.values import PER_ENVIRONMENT, Existing, PerEnvironment, RootParameter, parameter_part

# The folder of the project with the code of its functions.
FOLDER = "functions"
# The functions of the platform. Their parameters, log groups and packages have these names.
_PLATFORM = frozenset(
    {
        "AlarmFallback",
        "CredentialsWatch",
        "CustomResource",
        "DatabaseUser",
        "LogProcessor",
        "Migration",
        "SiteContent",
        "SlackNotifier",
    }
)
QUEUE_ARN = r"arn:aws[a-z-]*:sqs:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,80}(\.fifo)?"
# AWS Lambda Developer Guide, "Working with Lambda environment variables".
_RESERVED = re.compile(r"AWS_.*|_HANDLER|_X_AMZN_TRACE_ID|LAMBDA_.*|TZ|LD_LIBRARY_PATH|PYTHONPATH")


@dataclass(frozen=True, kw_only=True)
class Function:
    """A Lambda function of the project: ``handler(event, context)`` in ``functions/<name in snake_case>/index.py``.

    EventBridge invokes it at the times of ``schedule`` in UTC, such as "cron(0 18 * * ? *)", or for every event of the
    account and region that matches ``event``, an event pattern. If an invocation fails three times, its event is kept
    in a queue with an alarm. Or Lambda invokes it for messages of a ``queue``: the name of one in STORES, or the ARN of
    an existing one. ``memory`` in MiB also determines the share of a CPU. ``timeout`` is in seconds.

    ``variables`` are constants, or PER_ENVIRONMENT for a line in each params/<env>.json. A variable of ``secrets``,
    such as ``TOKEN_ARN``, has the ARN of an existing secret, which the function may read. ``allow`` names the actions
    that it may call, each with the ARNs of its resources. They may contain ``${Prefix}`` and pseudo parameters:
    ``{"ecs:UpdateService": ("arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:service/${Prefix}/*",)}``.
    The function is not in the VPC, so that it reaches neither the database nor internal services.
    """

    name: str = field(kw_only=False)
    schedule: str = ""
    event: Mapping[str, object] = field(default_factory=dict)
    queue: str | PerEnvironment | RootParameter = ""
    variables: Mapping[str, str | PerEnvironment | RootParameter] = field(default_factory=dict)
    secrets: Mapping[str, Existing] = field(default_factory=dict)
    allow: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    memory: int = 256
    timeout: int = 60

    def __post_init__(self) -> None:
        where = f"function {self.name}"
        check_types(self, where)
        check_name(self.name)
        if self.name in _PLATFORM:
            raise ConfigError(f"{where}: the platform has a function of this name, give another one")
        if sum(map(bool, (self.schedule, self.event, self.queue))) != 1:
            raise ConfigError(f"{where}: give it one of schedule, event and queue")
        if (
            isinstance(self.queue, str)
            and self.queue
            and not re.fullmatch(rf"{QUEUE_ARN}|[A-Z][A-Za-z0-9]{{0,29}}", self.queue)
        ):
            raise ConfigError(
                f'{where}: queue "{self.queue}", give the ARN of a queue of SQS, or the name of one in STORES'
            )
        if self.schedule:
            check_schedule(self.schedule, where)
        # AWS Lambda Developer Guide, "Lambda quotas".
        check_range(where, "memory", self.memory, 128, 10_240)
        check_range(where, "timeout", self.timeout, 1, 900)
        _check_variables(self, where)
        _check_actions(self, where)

    @property
    def folder(self) -> str:
        """Return the folder of the code in the project."""
        return f"{FOLDER}/{re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', self.name).lower()}"

    @property
    def slug(self) -> str:
        """Return the name in lower case, as alarms use it."""
        return self.name.lower()

    @property
    def own_queue(self) -> str:
        """Return the name of the queue of STORES whose messages the function receives; empty for another trigger."""
        return self.queue if isinstance(self.queue, str) and not self.queue.startswith("arn:") else ""

    @property
    def root_parameters(self) -> tuple[RootParameter, ...]:
        """Return the root parameters whose values the function receives."""
        values = (*self.variables.values(), *(secret.arn for secret in self.secrets.values()), self.queue)
        return tuple(value for value in values if isinstance(value, RootParameter))


def resolve_functions(
    functions: tuple[Function, ...], names: frozenset[str], stores: tuple[Store, ...] = ()
) -> tuple[Function, ...]:
    """Return the functions with root parameters in place of PER_ENVIRONMENT.

    Raises ConfigError if a name is that of another function or of a workload, whose names are ``names``, or if a queue
    of STORES does not exist or hides its messages for a shorter time than the function takes.
    """
    queues = {store.name: store for store in stores if isinstance(store, Queue)}
    for entry in functions:
        if entry.own_queue:
            _check_queue(entry, queues.get(entry.own_queue))
        if entry.name in names:
            raise ConfigError(f"function {entry.name}: a workload has this name, give another one", workload=entry.name)
    if same := find_twice(entry.slug for entry in functions):
        name = [entry.name for entry in functions if entry.slug == same][-1]
        raise ConfigError(f"two functions with name {name}: give each its own", workload=name)
    return tuple(_with_parameters(entry) for entry in functions)


def _check_queue(entry: Function, queue: Queue | None) -> None:
    where = f"function {entry.name}"
    if queue is None:
        raise ConfigError(f'{where}: queue "{entry.own_queue}" is not in STORES', workload=entry.name)
    # AWS Lambda refuses the event source otherwise.
    if queue.visibility_seconds < entry.timeout:
        raise ConfigError(
            f"{where}: its timeout is {entry.timeout}, but visibility_seconds of the queue {queue.name} is "
            f"{queue.visibility_seconds}. Give the queue six times the timeout",
            workload=entry.name,
        )


def _with_parameters(entry: Function) -> Function:
    def parameter(kind: str, name: str) -> RootParameter:
        return RootParameter(f"{entry.name}{kind}{parameter_part(name)}")

    return replace(
        entry,
        queue=RootParameter(f"{entry.name}Queue") if entry.queue is PER_ENVIRONMENT else entry.queue,
        variables={
            name: parameter("Var", name) if value is PER_ENVIRONMENT else value
            for name, value in entry.variables.items()
        },
        secrets={
            name: replace(secret, arn=parameter("Secret", name)) if secret.arn is PER_ENVIRONMENT else secret
            for name, secret in entry.secrets.items()
        },
    )


def _check_variables(entry: Function, where: str) -> None:
    for name in (*entry.variables, *entry.secrets):
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]+", name):
            raise ConfigError(f'{where}: variable "{name}", give a name of letters, digits and underscores')
        if _RESERVED.fullmatch(name):
            raise ConfigError(f"{where}: variable {name} is reserved for Lambda, give another name")
    if both := sorted(set(entry.variables) & set(entry.secrets)):
        raise ConfigError(f"{where}: {both[0]} is a variable and a secret, remove one of them")
    if plain := [name for name in entry.secrets if not name.endswith("_ARN")]:
        raise ConfigError(f"{where}: the variable {plain[0]} has the ARN of a secret, name it {plain[0]}_ARN")
    if keys := [name for name, secret in entry.secrets.items() if secret.key]:
        raise ConfigError(f"{where}: secret {keys[0]} has a key, but a function reads the whole secret: remove the key")


def _check_actions(entry: Function, where: str) -> None:
    for action, resources in entry.allow.items():
        if not re.fullmatch(r"[a-z0-9-]+:[A-Za-z0-9]+", action):
            raise ConfigError(f'{where}: action "{action}", give one action of AWS such as ecs:UpdateService')
        if not resources or not all(one == "*" or one.startswith("arn:") for one in resources):
            raise ConfigError(f"{where}: allow {action} on ARNs, or on *, if the action supports no resource")
