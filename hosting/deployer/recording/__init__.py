"""Records of deployments in runs/, for `diagnose`, estimates and timelines.

`runs` has the format on disk, `recorder` writes it while operations run, `tasks` reads the data that ECS deletes soon,
and `durations` estimates from earlier runs. A failure of the recorder never stops a deployment.
"""
