"""Defines the errors that this package raises on purpose."""

from __future__ import annotations


class RehearsalError(Exception):
    """An error that the caller can correct; the text contains the cause and the next step."""


class EmulatorError(RehearsalError):
    """The emulator is missing, does not start, or died."""
