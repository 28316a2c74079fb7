"""The workloads of this project. This file is yours: edit it, then run `deploy.py generate`."""

from generator.workloads import WebService

WORKLOADS = (
    WebService("Frontend", paths=("/*",), priority=900),
    WebService("Backend", paths=("/api", "/api/*"), priority=100),
)
