"""The prediction against the emulator's change sets, over every edit of the corpus."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from hosting.analysis.cost.estimate import estimate_costs
from hosting.analysis.resolve import resolve
from hosting.model.parameter_file import load_environment
from hosting.model.templates import load
from hosting.rehearsal.emulator import Emulator
from tests.analysis.diff.corpus import EDITS, Edit, Stage
from tests.support.project import TEMPLATES


@pytest.fixture(scope="module")
def stage(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return Stage(emulator, tmp_path_factory.mktemp("corpus")).deploy()


def test_there_are_enough_edits_of_every_template() -> None:
    names = [edit.name for edit in EDITS]
    assert len(names) == len(set(names)) >= 60
    templates = {path.stem for path in TEMPLATES.glob("*.json")}
    # The templates of the other workloads have the same resources.
    assert {edit.template for edit in EDITS} == templates - {"root", "workload-portal", "workload-search"}
    assert all(bool(edit.disputed) == bool(edit.reason) for edit in EDITS)


# Seconds: a third of one for each edit, and nine for the stage.
SAMPLE = [edit for number, edit in enumerate(sorted(EDITS, key=lambda edit: edit.template)) if number % 6 == 0]
_REST = pytest.mark.slow(reason="every sixth edit is a sample over the templates")


@pytest.mark.parametrize(
    "edits",
    [
        pytest.param(SAMPLE, id="sample"),
        pytest.param([edit for edit in EDITS if edit not in SAMPLE], id="rest", marks=_REST),
    ],
)
def test_no_change_is_missed_and_no_replacement_is_wrong(stage: Stage, edits: Sequence[Edit]) -> None:
    wrong = []
    for edit in edits:
        result = stage.measure(edit)
        found = result.undisputed()
        if found.missed or found.different:
            wrong.append(f"{edit.name}: missed {found.missed}, different {found.different}")
        if found.extra:
            wrong.append(f"{edit.name}: predicted what does not change: {found.extra}")
        if not result.as_documented:
            wrong.append(f"{edit.name}: {edit.resource} is not {edit.effect}")
    assert wrong == []


def named(name: str) -> Edit:
    return next(edit for edit in EDITS if edit.name == name)


def test_a_plan_agrees_with_what_the_deployed_templates_predict(stage: Stage) -> None:
    found = stage.check_prediction(named("storage that is not encrypted"))
    assert list(found.differences()) == []
    assert found.agreed >= 16
    assert list(found.lines()) == []


def test_a_plan_states_the_difference_of_two_full_estimates(stage: Stage) -> None:
    edit = named("no alarm for slow answers")
    found = stage.check_prediction(edit)

    def total(folder: Path) -> tuple[Decimal, Decimal]:
        values = load_environment(folder / "params" / "live.json")
        return estimate_costs(resolve(load(folder / "templates"), values)).total

    before, after = total(stage.base), total(stage.edited(edit))
    assert found.cost is not None
    assert after < before
    assert found.cost.after[0] - found.cost.before[0] == after[0] - before[0]
    assert f"({after[0] - before[0]:+,.2f} to {after[1] - before[1]:+,.2f})" in found.cost.sentence


def test_a_plan_reports_differences_from_the_prediction(stage: Stage) -> None:
    edit = named("another form of access logs")
    found = stage.check_prediction(edit)
    assert {path[-1] for _, path, _, _ in found.differences()} == set(edit.disputed)
    first, *rest = found.lines()
    assert first == "The prediction agrees with CloudFormation in 0 changes and differs in:"
    said = "  atlas-live-edge-monitoring AccessLogDestination: predicted replace, CloudFormation computed modify"
    assert said in rest
    assert {one["predicted"] for one in found.as_json()["differences"]} == {"replace"}
