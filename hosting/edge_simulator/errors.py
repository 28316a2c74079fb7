"""Errors of the simulator."""

from __future__ import annotations

from hosting.model.errors import InputError, Problem


class ConfigurationError(InputError):
    """The templates configure something that AWS refuses or that the simulator does not model."""

    def __init__(self, where: str, what: str, hint: str = "") -> None:
        super().__init__([Problem(where, what, hint)])


class UpstreamError(Exception):
    """A request could not be forwarded. `status` is the response for the client: 502 or 504."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
