"""The parts of the platform that a project can leave out."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts that the platform has. ``DATABASE = None`` and ``ARCHIVE = None`` in workloads.py leave one out."""

    database: bool = True
    archive: bool = True

    @property
    def left_out(self) -> list[str]:
        """Return the names of the parts that the project leaves out."""
        return [part.name for part in fields(self) if not getattr(self, part.name)]


COMPLETE = Parts()
