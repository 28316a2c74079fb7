"""Requests of viewers: the table of requests through the simulated edge of the deployed stacks."""

from __future__ import annotations

from collections.abc import Iterator

from hosting.model.errors import InputError
from hosting.rehearsal.checks.base import Area, Deployed, Proof
from hosting.rehearsal.requests.deployed import read_objects, read_resources, read_site
from hosting.rehearsal.requests.runner import run_rows

proof = Area("requests")


def viewers(deployed: Deployed) -> Iterator[Proof]:
    """Check what apps receive and viewers get, with one proof for all requests and one for each that differs."""
    site = read_site(deployed)
    try:
        outcomes = run_rows(read_resources(deployed), site, read_objects(deployed))
    except (InputError, TimeoutError) as error:
        yield proof("the edge can be simulated", False, error)
        return
    failed = [outcome for outcome in outcomes if outcome.differences]
    seen = f"{len(outcomes) - len(failed)} of {len(outcomes)} requests to {site.host}"
    yield proof("apps receive and viewers get what the contract states", not failed, seen)
    for outcome in failed:
        request = f"{outcome.row.method} {outcome.row.path}"
        yield proof(outcome.row.name, False, f"{request}: {'; '.join(outcome.differences)}")


CHECKS = (viewers,)
