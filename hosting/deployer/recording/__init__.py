"""The flight recorder: what a deployment did and saw, kept in runs/ for `diagnose`, estimates and timelines.

`runs` is the format on disk, `recorder` writes it while operations run, `tasks` reads what ECS forgets, and
`durations` learns from earlier runs. A recorder that cannot record never stops a deployment.
"""
