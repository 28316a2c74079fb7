"""Defines the error that this package raises on purpose."""

from __future__ import annotations

from hosting.model.errors import PlatformError


class LocalError(PlatformError):
    """A container, or a program that it needs, cannot be started on this machine."""
