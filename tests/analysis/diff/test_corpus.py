"""The prediction against the emulator's change sets, over every edit of the corpus."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

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


def test_a_plan_reports_differences_from_the_prediction(stage: Stage) -> None:
    edit = named("another form of access logs")
    found = stage.check_prediction(edit)
    assert {path[-1] for _, path, _, _ in found.differences()} == set(edit.disputed)
    first, *rest = found.lines()
    assert first == "The prediction agrees with CloudFormation in 0 changes and differs in:"
    said = "  atlas-live-edge-monitoring AccessLogDestination: predicted replace, CloudFormation computed modify"
    assert said in rest
    assert {one["predicted"] for one in found.as_json()["differences"]} == {"replace"}
