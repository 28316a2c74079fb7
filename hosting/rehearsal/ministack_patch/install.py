"""Applies every part of the extension, once, before the first request."""

from __future__ import annotations

import os


def everything() -> None:
    from hosting.rehearsal.ministack_patch import (
        api,
        changesets,
        data,
        ec2,
        ecs,
        edge,
        functions,
        observation,
        registry,
        roles,
        s3,
        scaling,
        seeding,
        sessions,
        stacks,
        templates,
    )

    templates.install()
    delay = float(os.environ.get("REHEARSAL_DELAY", "0"))
    stacks.install(delay)
    changesets.install(delay)
    registry.install()
    api.install()
    for part in (ec2, ecs, data, scaling, edge, observation, functions, s3):
        part.install()
    # Their operations are known by being imported.
    del roles, sessions, seeding
