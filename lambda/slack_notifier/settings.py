"""Settings of the function, and its client of CloudWatch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Settings:
    """The environment of the function, the id of its invocation, and a client of CloudWatch for a region."""

    output_topic: str
    prefix: str
    environment: str
    request_id: str
    cloudwatch: Callable[[str], Any]

    def command(self, words: str) -> str:
        """Return a step that runs a command of deploy.py on this environment."""
        return f"Run `deploy.py {words} -e {self.environment}`"
