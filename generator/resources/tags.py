"""Tags that several layers give."""

from __future__ import annotations

from troposphere import Sub, Tags


def name_tag(what: str) -> Tags:
    """The name that the console shows: ``platform-dev-nat-1``."""
    return Tags(Name=Sub(f"${{Prefix}}-{what}"))
