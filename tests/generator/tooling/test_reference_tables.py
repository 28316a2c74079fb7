"""The documents of parameters and outputs come from the templates."""

from __future__ import annotations

from troposphere import Template

from generator.config import Config
from generator.tooling import reference_tables


def test_the_table_of_parameters_has_those_that_a_user_sets_and_no_others(
    built: dict[str, Template], config: Config
) -> None:
    document = reference_tables.documents(built)["parameters.md"]
    for name in ("Project", f"{config.workloads[0].name}Image", "WafMode", "ViewerCertificateArn"):
        assert f"`{name}`" in document
    for name in ("NetworkTemplateKey", "ServiceIsNew", "WebAclArn", "ArtifactBucket", "HomeRegion", "DistributionId"):
        assert name not in document


def test_the_table_of_outputs_has_every_stack(built: dict[str, Template]) -> None:
    document = reference_tables.documents(built)["outputs.md"]
    for name, template in built.items():
        for title in template.outputs:
            assert f"| `{name.removesuffix('.json')}` | `{title}` |" in document


def test_a_pipe_does_not_break_a_row() -> None:
    assert reference_tables.table(("a",), [("x|y",)]).endswith("| x\\|y |")
