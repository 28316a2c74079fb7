"""Creates in the emulator what an account contains before the first deployment.

A parameter file names a hosted zone, possibly certificates, and images by their digest. No stack creates them, so a
rehearsal creates them first. The deployer then checks them as in a real account.
"""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hosting.rehearsal.emulator import Emulator

IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com/(?P<repository>[^@:]+)@(?P<digest>sha256:.+)"
)


# A secret that a workload declares as Existing, and the key of a JSON value in a reference to it.
SECRET = re.compile(
    r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6}(?=[:\"]|$)"
)
NOT_OURS = "Exists before the deployment, and remains after it."
JSON_KEY = re.compile(r":([A-Za-z0-9_.-]+)::")


@dataclass(frozen=True)
class Prerequisites:
    """One account of one emulator, and the resources that its owner creates by hand."""

    emulator: Emulator
    account: str
    region: str

    def prepare(self, parameters: Mapping[str, str], templates: Iterable[str] = ()) -> list[str]:
        """Create everything that parameters and texts of templates refer to and no stack creates.

        Return its descriptions.
        """
        made = []
        texts = [*parameters.values(), *templates]
        keys = sorted({key for text in texts for key in JSON_KEY.findall(text)})
        for arn in sorted({arn for text in texts for arn in SECRET.findall(text)}):
            value = json.dumps(dict.fromkeys(keys, "rehearsal"))
            self._call("Secret", arn.split(":")[3], Arn=arn, Value=value, Description=NOT_OURS)
            made.append(f"secret {arn}")
        domain, zone = parameters.get("DomainName", ""), parameters.get("HostedZoneId", "")
        if zone and domain:
            apex = ".".join(domain.split(".")[-2:])
            self._call("HostedZone", self.region, Id=zone, Name=apex)
            made.append(f"hosted zone {zone} of {apex}")
        for name in ("OriginCertificateArn", "ViewerCertificateArn"):
            arn = parameters.get(name, "")
            if arn.startswith("arn:"):
                self._call("Certificate", arn.split(":")[3], Arn=arn, DomainName=domain or "example.com")
                made.append(f"certificate {arn}")
        return made

    def push_images(self, parameters: Mapping[str, str]) -> list[str]:
        """Push the images of the account's own registry into existing repositories. Return the repositories."""
        pushed = []
        for name, value in parameters.items():
            match = IMAGE.fullmatch(value) if name.endswith("Image") else None
            if match and match["account"] == self.account:
                self._call("Image", match["region"], Repository=match["repository"], Digest=match["digest"])
                pushed.append(match["repository"])
        return sorted(set(pushed))

    def push_failing_image(self, reference: str) -> None:
        """Push an image whose application ends as soon as it starts."""
        match = IMAGE.fullmatch(reference)
        if match is None:
            raise ValueError(f"{reference} is no image of a private registry with a digest")
        self._call("Image", match["region"], Repository=match["repository"], Digest=match["digest"], Starts="false")

    def push_alarming_image(self, reference: str, alarm: str) -> None:
        """Push an image whose deployment puts an alarm into ALARM."""
        match = IMAGE.fullmatch(reference)
        if match is None:
            raise ValueError(f"{reference} is no image of a private registry with a digest")
        self._call("Image", match["region"], Repository=match["repository"], Digest=match["digest"], Alarm=alarm)

    def declare_command(self, text: str, *, exit_code: int | None = 0, seconds: float = 0.2, log: str = "") -> None:
        """Decide how the commands of tasks that contain a text end. Without exit code they run until `end_task`."""
        code = "" if exit_code is None else str(exit_code)
        self._call("Command", self.region, Text=text, ExitCode=code, Seconds=str(seconds), Log=log)

    def run_schedules(self, after: datetime, until: datetime) -> list[dict[str, Any]]:
        """Run the schedules that are due in an interval. Return name, time, tasks and error of each run."""
        answer = self._call("Schedules", self.region, After=after.isoformat(), Until=until.isoformat())
        runs: list[dict[str, Any]] = answer["Runs"]
        return runs

    def run_each_schedule_once(self) -> list[dict[str, Any]]:
        """Run the next occurrence of each enabled schedule. Return name, time, tasks and error of each run."""
        now = datetime.now(UTC)
        until = now + timedelta(days=4 * 366)
        answer = self._call("Schedules", self.region, After=now.isoformat(), Until=until.isoformat(), Each="1")
        runs: list[dict[str, Any]] = answer["Runs"]
        return runs

    def end_task(self, task: str, exit_code: int) -> None:
        """Stop a task as if its command had ended."""
        self._call("EndTask", self.region, Task=task, ExitCode=str(exit_code))

    def _call(self, operation: str, region: str, **parameters: str) -> dict[str, Any]:
        credential = f"{self.account}/20260101/{region}/rehearsal/aws4_request"
        request = urllib.request.Request(  # noqa: S310 - our own loopback
            self.emulator.endpoint,
            data=json.dumps(parameters).encode(),
            headers={
                "X-Amz-Target": f"Rehearsal.{operation}",
                "Content-Type": "application/x-amz-json-1.1",
                "Authorization": f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=none",
            },
        )
        with urllib.request.urlopen(request, timeout=10) as reply:  # noqa: S310 - our own loopback
            answer: dict[str, Any] = json.load(reply)
        return answer
