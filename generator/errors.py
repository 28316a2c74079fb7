"""Errors of the generator: one base, so that the command line prints any of them as one message.

GeneratorError
├── ConfigError   a mistake in the configuration, such as a service with a wrong user id
└── WiringError   an interface or a layer that cannot become a template
"""

from __future__ import annotations


class GeneratorError(Exception):
    """Base of the errors that a change of configuration or of a layer can cause."""


class ConfigError(GeneratorError):
    """A configuration that the generator does not accept. ``workload`` is the entry of workloads.py that causes it."""

    def __init__(self, message: str, *, workload: str = "") -> None:
        super().__init__(message)
        self.workload = workload


class WiringError(GeneratorError):
    """An interface or a layer that cannot become a template."""
