"""The one family of errors this package raises on purpose."""

from __future__ import annotations


class RehearsalError(Exception):
    """Something the person at the keyboard can act on: what failed, where, and what to do."""


class EmulatorError(RehearsalError):
    """The emulator is missing, does not start, or died."""
