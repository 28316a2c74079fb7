"""Fault matrix: each call of `deploy`, `recover` and `destroy` with each fault, and a kill of the command at each call.

The calls are recorded from clean deployments. So a new call of the deployer is part of the matrix automatically.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from hosting.rehearsal.fault_proxy import Fault, FaultRule
from tests.faults.lab import Facts, Lab, Outcome, Project, compare, differences

# Faults of the deployer, in addition to the faults of its calls.
OUTAGE = "outage"
KILL_BEFORE = "kill before"
KILL_AFTER = "kill after"
# Faults of a single call. A lag of reads is a fault of an operation.
ONE_CALL = tuple(fault for fault in Fault if fault is not Fault.LAG)
# Services with consistent reads.
CONSISTENT = ("s3:", "sts:")
KILLS = (KILL_BEFORE, KILL_AFTER)


class Scenario(StrEnum):
    CREATE = "create"  # a fresh account
    UPDATE = "update"  # all stacks exist, and resources in two of them change
    RECOVER = "recover"  # a rollback failed, and its cause is corrected
    DESTROY = "destroy"  # all stacks exist and are deleted

    @property
    def command(self) -> str:
        return self.value if self in {Scenario.RECOVER, Scenario.DESTROY} else "deploy"


DEPLOYED = (Scenario.CREATE, Scenario.UPDATE, Scenario.DESTROY)
# A failed rollback needs a custom resource, which is slow. So the project with it has one scenario.
SCENARIOS: Mapping[str, tuple[Scenario, ...]] = {"small": DEPLOYED, "stuck": (Scenario.RECOVER,), "real": DEPLOYED}


@dataclass(frozen=True)
class Case:
    """One fault in one scenario of a project."""

    project: str
    scenario: Scenario
    # "service:Operation". If empty, `nth` counts the calls of all operations.
    call: str
    nth: int
    fault: str

    def __str__(self) -> str:
        what = f"{self.call} #{self.nth}" if self.call else f"call {self.nth}"
        return f"{self.project} {self.scenario}, {what}, {self.fault}"

    @property
    def kills(self) -> bool:
        return self.fault in KILLS


class End(StrEnum):
    ABSORBED = "absorbed"  # the command continued and succeeded
    RERUN = "rerun"  # the command failed, and a second run succeeded
    UNREACHED = "unreached"  # the command did not make the call this time
    WRONG = "WRONG"


@dataclass(frozen=True)
class Result:
    case: Case
    end: End
    problems: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass
class Recording:
    """Calls of clean deployments, and the state of the account after them."""

    counts: dict[tuple[str, Scenario], Mapping[str, int]] = field(default_factory=dict)
    lengths: dict[tuple[str, Scenario], int] = field(default_factory=dict)
    expected: dict[tuple[str, Scenario], Facts] = field(default_factory=dict)
    writes: set[str] = field(default_factory=set)


def project_of(lab: Lab, name: str) -> Project:
    match name:
        case "real":
            return lab.real
        case "stuck":
            return lab.stuck
        case _:
            return lab.small


def record(lab: Lab, project: Project, into: Recording) -> None:
    """Run each scenario twice and add its calls and facts. Values that differ between the runs are not compared."""
    for scenario in SCENARIOS[project.name]:
        facts: list[Facts] = []
        counts: list[Counter[str]] = []
        for _ in range(2):
            account = lab.account()
            changes = arrange(lab, project, account, scenario)
            before = len(lab.proxy.calls_by(account))
            _expect(lab.run(scenario.command, project, account, changes), 0)
            calls = lab.proxy.calls_by(account)[before:]
            into.writes |= {call.name for call in calls if call.writes}
            counts.append(Counter(call.name for call in calls))
            facts.append(lab.facts(account))
        key = (project.name, scenario)
        one, other = counts
        # The calls while following events depend on timing. A call that only one run made is in the matrix, too.
        into.counts[key] = {name: min(one[name], other[name]) or 1 for name in one | other}
        into.lengths[key] = min(one.total(), other.total())
        into.expected[key] = compare(*facts)


def arrange(lab: Lab, project: Project, account: str, scenario: Scenario) -> Mapping[str, str] | None:
    """Prepare an account for a scenario. Return the parameters that its command changes, if any."""
    project.prepare(account)
    if scenario is not Scenario.CREATE:
        _expect(lab.deploy(project, account), 0)
    if scenario is Scenario.RECOVER and project.hinder is not None and project.free is not None:
        project.hinder(account)
        _expect(lab.deploy(project, account, project.change), 5)
        project.free(account)
    return project.change if scenario is Scenario.UPDATE else None


def _expect(outcome: Outcome, code: int) -> None:
    if outcome.code != code or outcome.bug:
        raise AssertionError(f"a run without a fault ended with {outcome.code}: {outcome.bug}\n{outcome.output}")


def matrix(recording: Recording) -> list[Case]:
    """Return a case for each recorded call and fault, and a kill after each call of each scenario."""
    cases: list[Case] = []
    for (project, scenario), counts in recording.counts.items():
        for name, count in sorted(counts.items()):
            for nth in _occurrences(count, writes=name in recording.writes):
                cases += [Case(project, scenario, name, nth, fault) for fault in (*ONE_CALL, OUTAGE)]
                # A kill before a read equals a kill after the previous call. So only writes have this case.
                cases += [Case(project, scenario, name, nth, KILL_BEFORE)] if name in recording.writes else []
            if name not in recording.writes and not name.startswith(CONSISTENT):
                cases.append(Case(project, scenario, name, 1, Fault.LAG))
        for step in range(1, recording.lengths[project, scenario] + 1):
            cases.append(Case(project, scenario, "", step, KILL_AFTER))
    return cases


def choose(cases: Iterable[Case], real: int) -> list[Case]:
    """Return all cases of the small projects, those of calls that only the real templates make, and `real` more."""
    everything = list(cases)
    chosen = [case for case in everything if case.project != "real"]
    known = {case.call for case in chosen}
    others = [case for case in everything if case.project == "real"]
    chosen += [case for case in others if case.call not in known]
    return chosen + sample((case for case in others if case.call in known), real)


def _occurrences(count: int, *, writes: bool) -> Iterable[int]:
    """Return the occurrences to test: each one of a write; of a read the first one and one that polling reaches."""
    return range(1, count + 1) if writes else sorted({1, max(1, count // 2)})


def sample(cases: Iterable[Case], size: int) -> list[Case]:
    """Return a fixed selection from all parts of the matrix, chosen by the hashes of the cases."""
    return sorted(cases, key=lambda case: hashlib.sha256(str(case).encode()).digest())[:size]


def run(lab: Lab, recording: Recording, case: Case) -> Result:
    """Run a case in an account of its own, and run its command again if it failed."""
    begun = time.monotonic()
    project = project_of(lab, case.project)
    account = lab.account()
    changes = arrange(lab, project, account, case.scenario)
    if case.kills:
        first, reached = _killed(lab, project, account, changes, case)
    else:
        first, reached = _broken(lab, project, account, changes, case)
    problems = [f"unhandled exception: {first.bug}"] if first.bug else []
    end = End.ABSORBED if first.code == 0 else End.RERUN
    if end is End.RERUN:
        # CloudFormation's operation may still run. The second run must follow it.
        again = lab.run(case.scenario.command, project, account, changes)
        if again.code != 0 or again.bug:
            problems += [f"the second run ended with {again.code}: {again.bug}", f"first: {first.output}", again.output]
    lab.wait(account)
    problems += differences(recording.expected[case.project, case.scenario], lab.facts(account))
    if not case.kills and case.fault != OUTAGE and first.code != 0 and reached:
        problems.append(f"one fault failed the command: {first.output}")
    if not reached:
        end = End.UNREACHED
    return Result(case, End.WRONG if problems else end, tuple(problems), time.monotonic() - begun)


def _broken(
    lab: Lab, project: Project, account: str, changes: Mapping[str, str] | None, case: Case
) -> tuple[Outcome, bool]:
    outage = case.fault == OUTAGE
    fault = Fault.RESET if outage else Fault(case.fault)
    with lab.proxy.injecting(FaultRule(fault, account, case.call, case.nth, lasting=outage)) as rule:
        outcome = lab.run(case.scenario.command, project, account, changes)
    return outcome, rule.reached.is_set()


def _killed(
    lab: Lab, project: Project, account: str, changes: Mapping[str, str] | None, case: Case
) -> tuple[Outcome, bool]:
    """Kill the command when its call arrives at the proxy, or when the call's reply is ready."""
    fault = Fault.HANG if case.fault == KILL_BEFORE else Fault.WITHHOLD
    with lab.proxy.injecting(FaultRule(fault, account, case.call, case.nth)) as rule:
        process = lab.start(case.scenario.command, project, account, changes)
        try:
            while not rule.reached.wait(0.02) and process.poll() is None:
                pass
        finally:
            process.kill()
            process.wait()
    if rule.reached.is_set():
        return Outcome(None, "killed"), True
    return Outcome(process.returncode, "the process ended before the kill"), False


# --- Results -----------------------------------------------------------------------------------------


def summary(results: Sequence[Result], size: int, seconds: float) -> str:
    """Return one line with the number of cases, the part of the matrix that was run, and the ends."""
    ends = Counter(result.end for result in results)
    counts = ", ".join(f"{ends[end]} {end}" for end in End if ends[end])
    part = "all" if len(results) == size else "a part"
    return f"fault matrix: {len(results)} of {size} cases ({part}) in {seconds:.0f} s: {counts}"


def table(results: Sequence[Result]) -> Iterator[str]:
    """Yield a table with a row for each call and a column for each fault. A cell counts the cases by their end."""
    faults = [str(fault) for fault in (*Fault, OUTAGE, *KILLS)]
    rows: dict[str, dict[str, Counter[End]]] = {}
    for result in results:
        case = result.case
        row = f"{case.project} {case.scenario} {case.call or '(each step)'}"
        rows.setdefault(row, {}).setdefault(case.fault, Counter())[result.end] += 1
    shown = [fault for fault in faults if any(fault in row for row in rows.values())]
    width = max((len(name) for name in rows), default=0)
    yield "  ".join([" " * width, *(f"{fault:>11}" for fault in shown)])
    for name, cells in sorted(rows.items()):
        yield "  ".join([f"{name:<{width}}", *(f"{_cell(cells.get(fault)):>11}" for fault in shown)])
    yield "a = absorbed: the command succeeded, r = the command failed or was killed, and the second run succeeded,"
    yield "u = the call was not made this time, X = wrong"


def _cell(ends: Counter[End] | None) -> str:
    letters = {End.ABSORBED: "a", End.RERUN: "r", End.UNREACHED: "u", End.WRONG: "X"}
    return " ".join(f"{ends[end]}{letters[end]}" for end in End if ends[end]) if ends else "-"
