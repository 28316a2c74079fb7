"""Applies every part of the extension, once, before the first request."""

from __future__ import annotations


def everything() -> None:
    pass
