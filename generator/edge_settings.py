"""Settings of the edge: the type in which workloads.py declares how CloudFront and the load balancer serve the apps."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from generator.declared_fields import check_types
from generator.errors import ConfigError
from generator.waf_settings import Waf

# The folder of the page that CloudFront shows while the apps do not answer.
SORRY_PATH = "/sorry/"


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

    Paths: CloudFront serves ``static_path`` from the static bucket. Empty if the apps serve every path themselves.

    Security: ``waf`` has the rules of the web ACL. ``desync_mitigation`` is the handling of requests that do not comply
    with HTTP: the load balancer forwards those that are certainly harmless ("defensive"), or none ("strictest").
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
    static_path: str = "/static/"
    waf: Waf = field(default_factory=Waf)
    desync_mitigation: str = "defensive"

    def __post_init__(self) -> None:
        check_types(self, "edge")
        check_headers(self)
        check_times(self)
        if self.static_path and (
            not re.fullmatch(r"(/[A-Za-z0-9_.~-]+)+/", self.static_path) or self.static_path.startswith(SORRY_PATH)
        ):
            raise ConfigError(f'edge: static_path is "{self.static_path}", give a folder such as "/assets/" or nothing')
        if self.desync_mitigation not in ("defensive", "strictest"):
            raise ConfigError(f'edge: desync_mitigation is "{self.desync_mitigation}", give defensive or strictest')

    @property
    def bucket_paths(self) -> tuple[str, ...]:
        """The folders that CloudFront serves from the static bucket, so that no request for them reaches an app."""
        return (*filter(None, [self.static_path]), SORRY_PATH)

    def check_paths(self, service: str, paths: tuple[str, ...]) -> None:
        """Raise ConfigError if CloudFront answers requests for the paths of a service before the load balancer."""
        for path in paths:
            for folder in self.bucket_paths:
                if path.startswith(folder):
                    other = "" if folder == SORRY_PATH else ", or another static_path to EDGE"
                    raise ConfigError(
                        f'workloads.py: service {service}: CloudFront serves "{path}" from the static bucket and never '
                        f"from the service. Give the service another path{other}"
                    )


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
