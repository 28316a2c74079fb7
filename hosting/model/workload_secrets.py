"""The secrets of workloads that the template ``stores`` declares: workload, variable and source, never a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from hosting.model.templates import Template

TEMPLATE = "stores.json"
STACK = "StoresStack"
KEY_PARAMETER = "StoresTemplateKey"


class SecretSource(StrEnum):
    """The origin of a value: Secrets Manager generates it, or a person supplies it with `deploy.py secrets set`."""

    GENERATED = "generated"
    SUPPLIED = "supplied"


@dataclass(frozen=True)
class WorkloadSecret:
    """A secret that a workload declares. ``variable`` is the name under which its container receives the value."""

    logical_id: str
    workload: str
    variable: str
    source: SecretSource

    @property
    def name(self) -> str:
        """Return the name in messages and on the command line, such as ``Backend SMTP_PASSWORD``."""
        return f"{self.workload} {self.variable}"

    def physical_name(self, family: str) -> str:
        """Return the name in Secrets Manager. ``family`` is <project>-<environment>."""
        return f"{family}/{self.workload.lower()}/{self.variable}"


def list_workload_secrets(templates: Mapping[str, Template]) -> tuple[WorkloadSecret, ...]:
    """Return the secrets of all workloads, sorted by workload and variable; empty if no workload declares one."""
    template = templates.get(TEMPLATE)
    if template is None:
        return ()
    found = [
        WorkloadSecret(logical_id, entry["Workload"], entry["Variable"], SecretSource(entry["Source"]))
        for logical_id, entry in template.section("Metadata").get("Secrets", {}).items()
    ]
    return tuple(sorted(found, key=lambda secret: (secret.workload, secret.variable)))
