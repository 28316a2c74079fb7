"""Settings of the edge: the type in which workloads.py declares how CloudFront and the load balancer serve the apps."""

from __future__ import annotations

from dataclasses import dataclass

from generator.declared_fields import check_types
from generator.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Edge:
    """Settings of CloudFront and the load balancer, the same in every environment. The defaults change no app.

    Errors: CloudFront replaces responses with ``sorry_codes`` by the sorry page. It cannot distinguish an app's own
    502, 503 or 504 from one of the load balancer.

    Headers: CloudFront adds ``content_security_policy`` and ``frame_options`` (DENY or SAMEORIGIN) to responses of apps
    that have no such header. With ``csp_report_only`` browsers report violations of the policy and block nothing.
    ``hsts_subdomains`` applies HTTPS to every subdomain of the site for a year. CloudFront removes ``hidden_headers``
    from responses.

    Times in seconds: CloudFront waits ``response_timeout`` for a response and for each further part of it. The load
    balancer closes a connection without traffic after ``idle_timeout``. CloudFront sends a GET or HEAD without response
    up to ``connection_attempts`` times.
    """

    sorry_codes: tuple[int, ...] = (502, 504)
    content_security_policy: str = ""
    csp_report_only: bool = False
    frame_options: str = ""
    hsts_subdomains: bool = False
    hidden_headers: tuple[str, ...] = ("Server", "X-Powered-By")
    response_timeout: int = 30
    idle_timeout: int = 60
    connection_attempts: int = 3

    def __post_init__(self) -> None:
        check_types(self, "edge")
        check_headers(self)
        check_times(self)


def check_headers(edge: Edge) -> None:
    """Raise ConfigError for a status code or a header that CloudFront does not accept."""
    if not set(edge.sorry_codes) <= {502, 503, 504}:
        raise ConfigError(f"edge: sorry_codes are {edge.sorry_codes}, give some of 502, 503 and 504")
    if edge.frame_options not in ("", "DENY", "SAMEORIGIN"):
        raise ConfigError(f'edge: frame_options is "{edge.frame_options}", give DENY, SAMEORIGIN or nothing')
    if edge.csp_report_only and not edge.content_security_policy:
        raise ConfigError("edge: csp_report_only requires content_security_policy")


def check_times(edge: Edge) -> None:
    """Raise ConfigError for a time that CloudFront or the load balancer does not accept."""
    limits = {"response_timeout": (1, 120), "idle_timeout": (1, 4000), "connection_attempts": (1, 3)}
    for name, (low, high) in limits.items():
        if not low <= getattr(edge, name) <= high:
            raise ConfigError(f"edge: {name} is {getattr(edge, name)}, give {low} to {high}")
    # Otherwise the load balancer closes the connection first, and the viewer gets 502.
    if edge.idle_timeout < edge.response_timeout:
        raise ConfigError(
            f"edge: idle_timeout {edge.idle_timeout} is below response_timeout {edge.response_timeout}, "
            "give at least the same"
        )
