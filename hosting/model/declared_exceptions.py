"""Sentences for people about what a project declares to be other than the default of the platform."""

from __future__ import annotations

from hosting.model.templates import Template

_WITHOUT = {
    "database": "no database",
    "archive": "no archive: logs are deleted after their retention",
}


def declared_exceptions(root: Template) -> tuple[str, ...]:
    """Return one sentence for each exception that the template of root records, in the order of the workloads."""
    found = []
    for name in root.services:
        if root.has_one_task(name):
            found.append(f"{name} runs one task and is not highly available")
        if root.is_on_spot(name):
            found.append(
                f"{name} runs on spare capacity of Fargate: AWS may stop its tasks with two minutes of warning"
            )
        for rule in root.egress_of(name):
            addresses = "any address" if rule.cidr == "0.0.0.0/0" else rule.cidr
            found.append(f"{name} reaches port {rule.port} of {addresses}: {rule.description}")
    if all(root.kind_of(name) != "web service" for name in root.services):
        found.append("no web service: the load balancer and the distribution have no application behind them")
    found += [sentence for part, sentence in _WITHOUT.items() if part in root.without]
    return tuple(found)
