"""The matrix: every call that `deploy`, `recover` and `destroy` make, broken in every way, and each of them killed at
every call.

Nothing here knows the deployer's calls. They are recorded from clean deployments, so a call that is added is in
the matrix the next time it is made.
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

# What is done to the deployer besides what is done to its calls.
OUTAGE = "outage"
KILL_BEFORE = "kill before"
KILL_AFTER = "kill after"
# Faults of a single call; that reads lag is one of an operation.
ONE_CALL = tuple(fault for fault in Fault if fault is not Fault.LAG)
# Services that answer as of now.
CONSISTENT = ("s3:", "sts:")
KILLS = (KILL_BEFORE, KILL_AFTER)


class Scenario(StrEnum):
    CREATE = "create"  # a fresh account
    UPDATE = "update"  # everything is deployed, and resources in two stacks change
    RECOVER = "recover"  # a rollback failed, and what it failed on is put right
    DESTROY = "destroy"  # everything is deployed, and is destroyed

    @property
    def command(self) -> str:
        return self.value if self in {Scenario.RECOVER, Scenario.DESTROY} else "deploy"


DEPLOYED = (Scenario.CREATE, Scenario.UPDATE, Scenario.DESTROY)
# A stack that is stuck takes a custom resource, and that takes time: one scenario is worth it.
SCENARIOS: Mapping[str, tuple[Scenario, ...]] = {"small": DEPLOYED, "stuck": (Scenario.RECOVER,), "real": DEPLOYED}


@dataclass(frozen=True)
class Case:
    """One fault of one call."""

    project: str
    scenario: Scenario
    # "service:Operation", or empty for a step: then `nth` counts all calls.
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
    ABSORBED = "absorbed"  # the deployment went on and ended well
    RERUN = "rerun"  # it ended with an error, and the next one ended well
    UNREACHED = "unreached"  # the call was not made this time
    WRONG = "WRONG"


@dataclass(frozen=True)
class Result:
    case: Case
    end: End
    problems: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass
class Recording:
    """Clean deployments: which calls they make, and what an account is like after them."""

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
    """Go through each scenario twice: what differs between the two is chance and not compared."""
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
        # What is asked while following depends on the moment: a call that was made once only is in the matrix too.
        into.counts[key] = {name: min(one[name], other[name]) or 1 for name in one | other}
        into.lengths[key] = min(one.total(), other.total())
        into.expected[key] = compare(*facts)


def arrange(lab: Lab, project: Project, account: str, scenario: Scenario) -> Mapping[str, str] | None:
    """Prepare an account for a scenario, and return the values that its command changes."""
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
        raise AssertionError(f"without any fault it ended with {outcome.code}: {outcome.bug}\n{outcome.said}")


def matrix(recording: Recording) -> list[Case]:
    """Call x fault for every recorded project and scenario, and a kill at every step of each."""
    cases: list[Case] = []
    for (project, scenario), counts in recording.counts.items():
        for name, count in sorted(counts.items()):
            for nth in _occurrences(count, writes=name in recording.writes):
                cases += [Case(project, scenario, name, nth, fault) for fault in (*ONE_CALL, OUTAGE)]
                # Before a read is as after the call before it; only what writes makes a difference.
                cases += [Case(project, scenario, name, nth, KILL_BEFORE)] if name in recording.writes else []
            if name not in recording.writes and not name.startswith(CONSISTENT):
                cases.append(Case(project, scenario, name, 1, Fault.LAG))
        for step in range(1, recording.lengths[project, scenario] + 1):
            cases.append(Case(project, scenario, "", step, KILL_AFTER))
    return cases


def choose(cases: Iterable[Case], real: int) -> list[Case]:
    """Everything with the small projects; with the real templates what they do not call, and so many more."""
    everything = list(cases)
    chosen = [case for case in everything if case.project != "real"]
    known = {case.call for case in chosen}
    others = [case for case in everything if case.project == "real"]
    chosen += [case for case in others if case.call not in known]
    return chosen + sample((case for case in others if case.call in known), real)


def _occurrences(count: int, *, writes: bool) -> Iterable[int]:
    """Every occurrence of a write. Of a read the first, and one that polling surely comes to."""
    return range(1, count + 1) if writes else sorted({1, max(1, count // 2)})


def sample(cases: Iterable[Case], size: int) -> list[Case]:
    """The same few each time, from everywhere: by the hash of what they are."""
    return sorted(cases, key=lambda case: hashlib.sha256(str(case).encode()).digest())[:size]


def run(lab: Lab, recording: Recording, case: Case) -> Result:
    """One case in an account of its own."""
    begun = time.monotonic()
    project = project_of(lab, case.project)
    account = lab.account()
    changes = arrange(lab, project, account, case.scenario)
    if case.kills:
        first, reached = _killed(lab, project, account, changes, case)
    else:
        first, reached = _broken(lab, project, account, changes, case)
    problems = [f"not an error but a bug: {first.bug}"] if first.bug else []
    end = End.ABSORBED if first.code == 0 else End.RERUN
    if end is End.RERUN:
        # What still runs is CloudFormation's; the second run has to take it up.
        again = lab.run(case.scenario.command, project, account, changes)
        if again.code != 0 or again.bug:
            problems += [f"the rerun ended with {again.code}: {again.bug}", f"first: {first.said}", again.said]
    lab.wait(account)
    problems += differences(recording.expected[case.project, case.scenario], lab.facts(account))
    if not case.kills and case.fault != OUTAGE and first.code != 0 and reached:
        problems.append(f"one fault failed the deployment: {first.said}")
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
    """SIGKILL when the call arrives, or when it has been done and its reply is on the way."""
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
    return Outcome(process.returncode, "ended before it could be killed"), False


# --- What came of it -----------------------------------------------------------------------------------------


def summary(results: Sequence[Result], size: int, seconds: float) -> str:
    """Return one line with the extent of the run."""
    ends = Counter(result.end for result in results)
    told = ", ".join(f"{ends[end]} {end}" for end in End if ends[end])
    part = "all" if len(results) == size else "a part"
    return f"fault matrix: {len(results)} of {size} cases ({part}) in {seconds:.0f} s: {told}"


def table(results: Sequence[Result]) -> Iterator[str]:
    """Calls down, faults across; in each cell how many cases ended how."""
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
    yield "a = went on and ended well, r = ended with an error or was killed, and the rerun ended well,"
    yield "u = the call was not made this time, X = wrong"


def _cell(ends: Counter[End] | None) -> str:
    letters = {End.ABSORBED: "a", End.RERUN: "r", End.UNREACHED: "u", End.WRONG: "X"}
    return " ".join(f"{ends[end]}{letters[end]}" for end in End if ends[end]) if ends else "-"
