"""The prediction against the emulator's change sets, over every edit of the corpus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal.emulator import Emulator
from tests.analysis.diff.corpus import EDITS, Stage


@pytest.fixture(scope="module")
def stage(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(emulator, Path(tmp_path_factory.mktemp("corpus"))) as running:
        yield running


def test_there_are_enough_edits_of_every_template() -> None:
    names = [edit.name for edit in EDITS]
    assert len(names) == len(set(names)) >= 60
    templates = {path.stem for path in (Path(__file__).parents[3] / "templates").glob("*.json")}
    assert {edit.template for edit in EDITS} == templates - {"root"}
    assert all(bool(edit.disputed) == bool(edit.reason) for edit in EDITS)


def test_no_change_is_missed_and_no_replacement_is_wrong(stage: Stage) -> None:
    """In one test, so that one process deploys one stage for all of them."""
    wrong = []
    for edit in EDITS:
        result = stage.measure(edit)
        found = result.undisputed()
        if found.missed or found.different:
            wrong.append(f"{edit.name}: missed {found.missed}, different {found.different}")
        if found.extra:
            wrong.append(f"{edit.name}: predicted what does not change: {found.extra}")
        if not result.as_documented:
            wrong.append(f"{edit.name}: {edit.resource} is not {edit.effect}")
    assert wrong == []
