"""The template of a stack that several environments and checkouts share.

A checkout whose template does not have a resource yet, or any more, must not delete it: another environment uses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hosting.model.templates import Template
from hosting.model.tokens import Json

_SECTIONS = ("Parameters", "Mappings", "Conditions", "Resources", "Outputs")


@dataclass(frozen=True)
class SharedTemplate:
    """A template together with what only the deployed template declares."""

    template: Template
    # Section -> names that only the deployed template has.
    kept: Mapping[str, tuple[str, ...]]


def keep_deployed(template: Template, deployed: Mapping[str, Json]) -> SharedTemplate:
    """Add every resource, output, parameter, mapping and condition that only the deployed template has.

    What both declare is taken from `template`. If nothing is missing, the template is returned unchanged.
    """
    body = dict(template.body)
    kept: dict[str, tuple[str, ...]] = {}
    for section in _SECTIONS:
        own, present = template.section(section), deployed.get(section, {})
        if missing := {name: value for name, value in present.items() if name not in own}:
            kept[section] = tuple(missing)
            body[section] = {**own, **missing}
    return SharedTemplate(Template.from_body(template.name, body) if kept else template, kept)
