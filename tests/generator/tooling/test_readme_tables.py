"""The README's tables come from the interfaces of the stacks."""

from __future__ import annotations

from pathlib import Path

import pytest
from troposphere import Template

from generator.tooling import readme_tables

PROJECT = Path(__file__).parents[3]


def test_the_readme_is_fresh(built: dict[str, Template]) -> None:
    assert not readme_tables.is_stale(PROJECT / "README.md", built), "run `python -m generator` and commit README.md"


def test_people_see_what_they_fill_in_and_nothing_else(built: dict[str, Template]) -> None:
    shown = readme_tables.tables(built)["parameters"]
    for name in ("`Project`", "`FrontendImage`", "`WafMode`", "`HomeRegion`", "`ViewerCertificateArn`"):
        assert name in shown
    for name in ("NetworkTemplateKey", "ServiceIsNew", "WebAclArn", "ArtifactBucket", "DistributionId"):
        assert name not in shown


def test_a_changed_contract_makes_the_readme_stale(tmp_path: Path, built: dict[str, Template]) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(
        "<!-- parameters: generated -->\nold\n<!-- end of parameters -->\n"
        "<!-- outputs: generated -->\n<!-- end of outputs -->\n"
    )
    assert readme_tables.is_stale(readme, built)
    assert readme_tables.write(readme, built)
    assert not readme_tables.write(readme, built)
    assert "`FrontendImage`" in readme.read_text()


def test_a_readme_without_the_place_is_an_error() -> None:
    with pytest.raises(readme_tables.DocumentationError, match="parameters"):
        readme_tables.fill("nothing here", {"parameters": "x"})


def test_a_pipe_does_not_break_a_row() -> None:
    assert readme_tables.table(("a",), [("x|y",)]).endswith("| x\\|y |")
