"""The lines of Python behind the resources of templates, for findings that name a resource."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hosting.cli.support.options import ROOT

if TYPE_CHECKING:
    from generator.tooling.source_map import SourceMap


def resource_sources(templates: Path) -> SourceMap:
    """Return template file -> logical id -> property path -> line of Python.

    The services are those of the project that the folder ``templates`` belongs to, or of this project where the folder
    has no workloads.py beside it. It takes as long as a generation: call it only where a finding is shown.
    """
    from generator.config import load_config
    from generator.tooling.source_map import source_map
    from generator.workloads import FILE

    project = templates.resolve().parent
    return source_map(load_config(project if (project / FILE).is_file() else ROOT))
