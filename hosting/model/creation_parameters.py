"""The parameters that are decided when an environment is created. docs/changes.md shows the same table.

CloudFormation accepts another value in a change set. The deployment then fails, in part after an hour, because a
service refuses the change or the replacement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class CreationParameter:
    """One parameter, the change that is refused, the reason of AWS, and the way to reach the new value."""

    name: str
    change: str
    reason: str
    way: str
    # Returns whether a change from the live value to the new value is refused.
    refuses: Callable[[str, str], bool]


@dataclass(frozen=True)
class RefusedChange:
    """A parameter whose new value the live environment cannot take."""

    parameter: CreationParameter
    before: str
    after: str

    def __str__(self) -> str:
        one = self.parameter
        return f"{one.name}: {self.before or '(empty)'} -> {self.after or '(empty)'}: {one.reason}. {one.way}."


def _differs(_before: str, _after: str) -> bool:
    return True


def _begins(before: str, after: str) -> bool:
    return _number(before) == 0 and _number(after) > 0


def _ends(before: str, after: str) -> bool:
    return _number(before) > 0 and _number(after) == 0


def _is_lower(before: str, after: str) -> bool:
    return _version(after) < _version(before)


def _names_another(before: str, after: str) -> bool:
    return bool(before and after)


_NEW_ENVIRONMENT = "Create another environment with this value, move the data with a snapshot, and destroy this one"
_SUBNETS = "EC2 refuses the new subnets, because the old ones have their address ranges until the update ends"

CREATION_PARAMETERS: tuple[CreationParameter, ...] = (
    CreationParameter("VpcNetwork", "any", "everything in the VPC would be replaced", _NEW_ENVIRONMENT, _differs),
    CreationParameter("FirstZone", "any", _SUBNETS, _NEW_ENVIRONMENT, _differs),
    CreationParameter("SecondZone", "any", _SUBNETS, _NEW_ENVIRONMENT, _differs),
    CreationParameter(
        "DbBacktrackSeconds",
        "from 0 to a window",
        "Aurora enables backtracking only when it creates a cluster",
        _NEW_ENVIRONMENT,
        _begins,
    ),
    CreationParameter(
        "DbEngineVersion",
        "to a lower version",
        "Aurora does not downgrade a cluster",
        "Restore a snapshot that was taken before the upgrade",
        _is_lower,
    ),
    CreationParameter(
        "ArchiveLockDays",
        "from a number of days to 0",
        "S3 cannot disable Object Lock of a bucket",
        "Set 1: the shorter period applies to new objects",
        _ends,
    ),
    CreationParameter(
        "SlackWorkspaceId",
        "from one workspace to another",
        "the channel configuration has a fixed name, and its replacement would need the same name",
        "Deploy once with SlackWorkspaceId and SlackChannelId empty, then with the new values",
        _names_another,
    ),
)


def find_refused_changes(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[RefusedChange]:
    """Yield each parameter whose new value is refused. Parameters that one side does not have are skipped."""
    for one in CREATION_PARAMETERS:
        old, new = before.get(one.name), after.get(one.name)
        if old is not None and new is not None and old != new and one.refuses(old, new):
            yield RefusedChange(one, old, new)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0


def _version(text: str) -> tuple[int, ...]:
    """Return the numbers of a version: 8.0.mysql_aurora.3.10.6 is (8, 0, 3, 10, 6)."""
    return tuple(int(part) for part in text.split(".") if part.isdigit())
