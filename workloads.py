"""The workloads of this project. This file is yours: edit it, then run `deploy.py generate`."""

from generator.workloads import Service

SERVICES = (
    Service("Frontend", ("/*",), priority=900),
    Service("Backend", ("/api", "/api/*"), priority=100),
)
