"""One line of a checklist: what was looked at, how it stands, and what to do when it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from botocore.exceptions import BotoCoreError, ClientError

from hosting.deployer.aws.session import explain, is_denied
from hosting.deployer.errors import DeployerError


class Verdict(StrEnum):
    OK = "ok"
    PROBLEM = "problem"
    # With these credentials, or from here, it cannot be known.
    UNKNOWN = "not checkable"


@dataclass(frozen=True)
class Line:
    area: str
    what: str
    verdict: Verdict
    seen: str = ""
    remedy: str = ""
    # Something that can be made right at once, by a command's own offer.
    offer: str = ""


def ok(area: str, what: str, seen: str = "") -> Line:
    return Line(area, what, Verdict.OK, seen)


def problem(area: str, what: str, seen: str, remedy: str, *, offer: str = "") -> Line:
    return Line(area, what, Verdict.PROBLEM, seen, remedy, offer)


def unknown(area: str, what: str, why: str) -> Line:
    return Line(area, what, Verdict.UNKNOWN, why)


def judge(area: str, what: str, holds: bool, seen: str, remedy: str) -> Line:
    return ok(area, what, seen) if holds else problem(area, what, seen, remedy)


def guarded(area: str, what: str, check: Callable[[], Iterable[Line]]) -> Iterator[Line]:
    """The lines of a check. A denied or failed call is a line too: the rest of the list is still worth having."""
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
