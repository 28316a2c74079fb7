"""The lines of Python behind the resources of templates, for findings that name a resource."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hosting.cli.support.options import ROOT

if TYPE_CHECKING:
    from generator.tooling.source_map import SourceMap
    from hosting.analysis.findings import Finding


def load_resource_sources(root: Path) -> SourceMap:
    """Return template file -> logical id -> property path -> line of Python.

    The services are those of the project folder `root`, or of this project if `root` has no workloads.py.
    It takes as long as a generation: call it only where a finding is shown.
    """
    from generator.config import load_config
    from generator.tooling.source_map import source_map
    from generator.workloads import FILE

    return source_map(load_config(root if (root / FILE).is_file() else ROOT))


def locate_findings(findings: Sequence[Finding], root: Path) -> list[Finding]:
    """Return the findings with the lines of Python that create their resources."""
    if not findings:
        return []
    from hosting.analysis.findings import with_source

    sources = load_resource_sources(root)
    return [with_source(finding, sources) for finding in findings]
