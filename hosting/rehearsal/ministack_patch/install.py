"""Applies every patch once, before the first request, and compares them with the table in patches.py."""

from __future__ import annotations

import os


def install_all() -> None:
    """Apply all patches. Raise IncompatibleError if MiniStack or the table of patches differs from what is patched."""
    from hosting.rehearsal.ministack_patch import (
        api,
        changesets,
        data,
        deliveries,
        discovery,
        ec2,
        ecs,
        ecs_rules,
        edge,
        functions,
        observation,
        patching,
        refusals,
        registry,
        roles,
        rotation,
        s3,
        scaling,
        schedules,
        seeding,
        sessions,
        stacks,
        tasks,
        templates,
    )

    templates.install()
    refusals.install()
    delay = float(os.environ.get("REHEARSAL_DELAY", "0"))
    stacks.install(delay)
    changesets.install(delay)
    registry.install()
    api.install()
    parts = (ec2, ecs_rules, tasks, ecs, discovery, schedules, data, scaling, edge, observation, deliveries, functions)
    for part in (*parts, s3, rotation):
        part.install()
    # An import registers the operations of these modules.
    del roles, sessions, seeding
    patching.require_described()
