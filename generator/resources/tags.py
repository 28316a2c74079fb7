"""Tags that several layers use."""

from __future__ import annotations

from troposphere import Sub, Tags


def name_tag(what: str) -> Tags:
    """Return the tag with the name that the console shows, such as ``platform-dev-nat-1``."""
    return Tags(Name=Sub(f"${{Prefix}}-{what}"))
