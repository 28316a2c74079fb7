"""Checks of a list: subject, status, observation, and remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from botocore.exceptions import BotoCoreError, ClientError

from hosting.deployer.aws.session import explain, is_denied
from hosting.deployer.errors import DeployerError


class CheckStatus(StrEnum):
    OK = "ok"
    PROBLEM = "problem"
    # The check needs other permissions or another network.
    UNKNOWN = "not checkable"


@dataclass(frozen=True)
class Check:
    """Result of one check."""

    area: str
    what: str
    status: CheckStatus
    seen: str = ""
    remedy: str = ""
    # A remedy that the command itself can execute.
    offer: str = ""


def ok(area: str, what: str, seen: str = "") -> Check:
    return Check(area, what, CheckStatus.OK, seen)


def problem(area: str, what: str, seen: str, remedy: str, *, offer: str = "") -> Check:
    return Check(area, what, CheckStatus.PROBLEM, seen, remedy, offer)


def unknown(area: str, what: str, why: str) -> Check:
    return Check(area, what, CheckStatus.UNKNOWN, why)


def create_check(area: str, what: str, holds: bool, seen: str, remedy: str) -> Check:
    """Return a passed check if the condition holds, else a problem with its remedy."""
    return ok(area, what, seen) if holds else problem(area, what, seen, remedy)


def run_check(area: str, what: str, check: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """Yield the results of a check. A denied or failed call is a result too, so that other checks still run."""
    try:
        yield from check()
    except ClientError as error:
        if is_denied(error):
            yield unknown(area, what, f"needs permission for {error.operation_name}")
        else:
            yield unknown(area, what, explain(error).what)
    except BotoCoreError as error:
        yield unknown(area, what, explain(error).what)
    except DeployerError as error:
        yield unknown(area, what, f"{error.where}: {error.what}" if error.where else error.what)
