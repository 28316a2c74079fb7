"""Emulator behind a fault proxy, projects to deploy through it, and the state of an account afterwards."""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from hosting.rehearsal.emulator import DEFAULT_REGION, ROOT, Emulator
from hosting.rehearsal.fault_proxy import FaultProxy
from hosting.rehearsal.prerequisites import Prerequisites
from tests import small_project
from tests.support.environment import exported
from tests.support.project import PARAMS, PROJECT
from tests.support.waiting import eventually

REGIONS = (DEFAULT_REGION, "us-east-1")
# Seconds. The deployer waits a minute for a reply. A case waits as long as the slowest reply on a busy machine.
REPLY = 2.0
_PACE = 0.01

# Replaces a value that differs between two clean deployments. Only its existence is compared.
VOLATILE = "(differs each time)"

Facts = Mapping[str, str]


@dataclass(frozen=True)
class Outcome:
    """How one run of the command line ended."""

    code: int | None  # None: it was killed
    output: str
    # An unhandled exception, which a user must never see.
    bug: str = ""


@dataclass(frozen=True)
class Project:
    """Files to deploy, and the steps before their deployment."""

    name: str
    root: Callable[[str], Path]
    # Parameters of the first deployment, and of the update.
    first: Callable[[str], Mapping[str, str]]
    change: Mapping[str, str]
    prepare: Callable[[str], None]
    # `hinder` makes the update and its rollback fail. `free` removes the cause.
    hinder: Callable[[str], None] | None = None
    free: Callable[[str], None] | None = None


@dataclass
class Lab:
    """An emulator and its proxy. Each case uses an account of its own."""

    emulator: Emulator
    proxy: FaultProxy
    directory: Path
    number: int = 0
    accounts: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def account(self) -> str:
        # Other tests of this process use other accounts.
        return f"{900_000 + os.getpid() % 100_000:06d}{next(self.accounts):06d}"

    def _environment(self, account: str) -> dict[str, str]:
        return {**self.emulator.subprocess_environment(account), "AWS_ENDPOINT_URL": self.proxy.endpoint}

    def deploy(self, project: Project, account: str, changes: Mapping[str, str] | None = None) -> Outcome:
        return self.run("deploy", project, account, changes)

    def run(
        self, command: str, project: Project, account: str, changes: Mapping[str, str] | None = None, *options: str
    ) -> Outcome:
        """Run `deploy.py COMMAND` in this process, which saves a second of start. Return its outcome."""
        from botocore.config import Config
        from botocore.retries.standard import ExponentialBackoff

        import hosting.cli.main
        from hosting.deployer import deployment
        from hosting.deployer.aws import session

        loader = _session()._session.get_component("data_loader")

        hasty = session._CONFIG.merge(Config(read_timeout=REPLY, connect_timeout=REPLY))
        connect = functools.partial(deployment.connect, sleep=lambda seconds: time.sleep(min(seconds, _PACE)))
        output = io.StringIO()
        with (
            exported(self._environment(account)),
            mock.patch.object(session, "_CONFIG", hasty),
            mock.patch.object(deployment, "connect", connect),
            # Otherwise half the time of a case is spent reading the same service models again.
            mock.patch("botocore.loaders.create_loader", return_value=loader),
            mock.patch.object(ExponentialBackoff, "delay_amount", return_value=_PACE),
            contextlib.redirect_stdout(output),
            contextlib.redirect_stderr(output),
        ):
            try:
                code = hosting.cli.main.main([*self._arguments(command, project, account, changes), *options])
            except Exception as error:  # noqa: BLE001 - every unhandled exception is a finding
                return Outcome(1, output.getvalue(), bug=f"{type(error).__module__}.{type(error).__name__}: {error}")
        return Outcome(code, output.getvalue())

    def start(
        self, command: str, project: Project, account: str, changes: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start the same command in a process of its own, which can be killed."""
        return subprocess.Popen(
            [sys.executable, str(ROOT / "deploy.py"), *self._arguments(command, project, account, changes)],
            env=self._environment(account),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _arguments(self, command: str, project: Project, account: str, changes: Mapping[str, str] | None) -> list[str]:
        values = {**project.first(account), **(changes or {})}
        pairs = [item for name, value in values.items() for item in ("--set", f"{name}={value}")]
        return [command, "-e", "dev", "--yes", "--root", str(project.root(account)), *pairs]

    def client(self, account: str, service: str, region: str = DEFAULT_REGION) -> Any:
        """Return a client that bypasses the proxy: reads of the test are not part of the case."""
        return _client(self.emulator.endpoint, account, service, region)

    def wait(self, account: str) -> None:
        """Wait until CloudFormation has ended all operations, which continue without the deployer."""
        eventually(
            lambda: not any(_busy(stack) for region in REGIONS for stack in self.stacks(account, region)),
            "every operation has ended",
            pause=0.02,
        )

    def stacks(self, account: str, region: str) -> list[dict[str, Any]]:
        """Return all stacks, deleted ones included."""
        pages = self.client(account, "cloudformation", region).get_paginator("list_stacks").paginate()
        return [stack for page in pages for stack in page["StackSummaries"]]

    # --- The projects ---------------------------------------------------------------------------------------

    @functools.cached_property
    def small(self) -> Project:
        """A project with the stacks and calls of the real one, and one or two resources per stack."""
        root = small_project.write(self.directory / "small", changed=_like_the_real_one())

        def image(account: str) -> str:
            return f"{account}.dkr.ecr.{DEFAULT_REGION}.amazonaws.com/shop/frontend@{small_project.DIGEST}"

        def prepare(account: str) -> None:
            # Because the repository exists already, bootstrap and the other stacks are one deployment.
            self.client(account, "ecr").create_repository(repositoryName="shop/frontend")
            Prerequisites(self.emulator, account, DEFAULT_REGION).push_images({"FrontendImage": image(account)})

        return Project(
            name="small",
            root=lambda _account: root,
            first=lambda account: {"FrontendImage": image(account)},
            change={"Note": "changed", "EdgeName": "changed"},
            prepare=prepare,
        )

    @functools.cached_property
    def stuck(self) -> Project:
        """The small project with a resource whose update and rollback fail while a bucket contains an object."""
        root = small_project.write(self.directory / "stuck", changed={**_like_the_real_one(), **_stubborn()})

        def bucket(account: str) -> str:
            return f"stubborn-{account}"

        def prepare(account: str) -> None:
            self.small.prepare(account)
            region: Any = {"LocationConstraint": DEFAULT_REGION}
            self.client(account, "s3").create_bucket(Bucket=bucket(account), CreateBucketConfiguration=region)

        def hinder(account: str) -> None:
            self.client(account, "s3").put_object(Bucket=bucket(account), Key="stuck", Body=b"")

        def free(account: str) -> None:
            self.client(account, "s3").delete_object(Bucket=bucket(account), Key="stuck")

        return Project("stuck", lambda _account: root, self.small.first, {"Size": "5"}, prepare, hinder, free)

    @functools.cached_property
    def real(self) -> Project:
        """The environment lab of the frozen project, under the name dev, in the account of the case."""
        file = json.loads((PARAMS / "lab.json").read_text().replace('"lab"', '"dev"'))
        own = file["Account"]

        def root(account: str) -> Path:
            folder = self.directory / account
            if not folder.exists():
                (folder / "params").mkdir(parents=True)
                (folder / "params" / "dev.json").write_text(json.dumps(file).replace(own, account))
                for name in ("templates", "lambda"):
                    (folder / name).symlink_to(PROJECT / name)
            return folder

        def prepare(account: str) -> None:
            # Bootstrap creates the repositories. A repository that exists without it would fail early validation.
            outcome = self.run("deploy", self.real, account, None, "--through", "bootstrap")
            assert (outcome.code, outcome.bug) == (0, ""), outcome.output
            values = json.loads((root(account) / "params" / "dev.json").read_text())["Parameters"]
            Prerequisites(self.emulator, account, DEFAULT_REGION).push_images(values)

        return Project("real", root, lambda _account: {}, {"PortalMaxTasks": "5"}, prepare)

    # --- The account --------------------------------------------------------------------------------------

    def facts(self, account: str) -> dict[str, str]:
        """Return the state of an account by name: its stacks, the number of their events, artifacts and certificates.

        The names do not contain CloudFormation's random suffixes, so that two accounts can be compared.
        """
        found: dict[str, str] = {}
        for region in REGIONS:
            found |= self._stack_facts(account, region)
        for region in REGIONS:
            found |= self._bucket_facts(account, region)
        arns = self._certificates(account)
        found["certificates"] = str(len(arns))
        return {name: value.replace(account, "(account)") for name, value in found.items()}

    def _stack_facts(self, account: str, region: str) -> dict[str, str]:
        client = self.client(account, "cloudformation", region)
        found: dict[str, str] = {}
        history: Counter[str] = Counter()
        for stack in self.stacks(account, region):
            name, identifier = stack["StackName"], stack["StackId"]
            place = f"{region} {_place(name)}"
            for event in _all(client, "describe_stack_events", "StackEvents", StackName=identifier):
                own = event.get("PhysicalResourceId") == identifier
                # A change set may create a stack without resources, which is deleted again. Only resources count.
                if own and event["ResourceStatus"].startswith(("REVIEW_", "DELETE_")):
                    continue
                what = "" if own else f"/{event['LogicalResourceId']}"
                history[f"{place}{what} {event['ResourceStatus']}"] += 1
            if stack["StackStatus"] == "DELETE_COMPLETE":
                continue
            found[f"{place} status"] = stack["StackStatus"]
            (described,) = client.describe_stacks(StackName=identifier)["Stacks"]
            for item in described.get("Parameters", []):
                found[f"{place} parameter {item['ParameterKey']}"] = item["ParameterValue"]
            for item in described.get("Outputs", []):
                found[f"{place} output {item['OutputKey']}"] = item["OutputValue"]
            for item in described.get("Tags", []):
                found[f"{place} tag {item['Key']}"] = item["Value"]
            for item in _all(client, "list_stack_resources", "StackResourceSummaries", StackName=identifier):
                found[f"{place}/{item['LogicalResourceId']}"] = f"{item['ResourceType']} {item['ResourceStatus']}"
            for item in _all(client, "list_change_sets", "Summaries", StackName=identifier):
                if not item.get("ExecutionStatus", "").startswith("EXECUTE_"):
                    found[f"{place} waiting change set {item['ChangeSetName']}"] = item["Status"]
        return found | {f"{what}, times": str(times) for what, times in history.items()}

    def _bucket_facts(self, account: str, region: str) -> dict[str, str]:
        """Return the artifacts with their number of versions: an object that was uploaded twice has two."""
        client = self.client(account, "s3", region)
        bucket = self._artifact_bucket(account, region)
        if not bucket:
            return {}
        kept: Counter[str] = Counter()
        for item in client.list_object_versions(Bucket=bucket).get("Versions", []):
            kept[f"{region} artifact {item['Key']}, versions"] += 1
        parts = client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
        return {name: str(times) for name, times in kept.items()} | {
            f"{region} unfinished upload {item['Key']}": item["UploadId"] for item in parts
        }

    def _artifact_bucket(self, account: str, region: str) -> str:
        for stack in self.stacks(account, region):
            if stack["StackName"].endswith("-bootstrap") and stack["StackStatus"] != "DELETE_COMPLETE":
                client = self.client(account, "cloudformation", region)
                (described,) = client.describe_stacks(StackName=stack["StackId"])["Stacks"]
                for output in described.get("Outputs", []):
                    if output["OutputKey"] == "ArtifactBucket":
                        return str(output["OutputValue"])
        return ""

    def _certificates(self, account: str) -> list[str]:
        found = self.client(account, "acm").list_certificates()["CertificateSummaryList"]
        return [item["CertificateArn"] for item in found]


@contextlib.contextmanager
def laboratory(emulator: Emulator) -> Iterator[Lab]:
    with FaultProxy(emulator.endpoint) as proxy, tempfile.TemporaryDirectory(prefix="faults-") as directory:
        yield Lab(emulator, proxy, Path(directory))


def compare(one: Facts, other: Facts) -> dict[str, str]:
    """Return the facts of a clean deployment. A value that differs in another clean one is volatile."""
    return {name: value if other.get(name) == value else VOLATILE for name, value in one.items()}


def differences(expected: Facts, found: Facts) -> list[str]:
    """Return each difference between an account and a clean deployment as a line."""
    lines = [f"missing: {name}" for name in expected if name not in found]
    lines += [f"not expected: {name} = {value}" for name, value in found.items() if name not in expected]
    lines += [
        f"{name} is {found[name]}, not {value}"
        for name, value in expected.items()
        if name in found and value not in {VOLATILE, found[name]}
    ]
    return lines


def _busy(stack: Mapping[str, Any]) -> bool:
    status = str(stack["StackStatus"])
    return status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS"


def _place(name: str) -> str:
    """Return a stack's name without the suffix that CloudFormation appends for a nested stack."""
    return re.sub(r"-[A-Z0-9]{12}$", "", name)


def _all(client: Any, operation: str, items: str, **arguments: str) -> list[dict[str, Any]]:
    return [item for page in client.get_paginator(operation).paginate(**arguments) for item in page[items]]


@functools.cache
def _session() -> Any:
    import boto3

    return boto3.session.Session()


@functools.lru_cache(maxsize=64)
def _client(endpoint: str, account: str, service: str, region: str) -> Any:
    return _session().client(
        service,
        region_name=region,
        endpoint_url=endpoint,
        aws_access_key_id=account,
        aws_secret_access_key="not-a-secret",
    )


def _like_the_real_one() -> dict[str, dict[str, Any]]:
    """Return templates of the small project with resources for which the deployer calls the same services."""
    templates = small_project.templates()
    root = templates["root.json"]
    root["Parameters"]["CloudFrontPrefixListId"] = {"Type": "String"}
    # After a deployment the deployer schedules the rotation of the secret and closes the VPC's default group.
    root["Resources"]["Secret"] = {"Type": "AWS::SecretsManager::Secret", "Properties": {"SecretString": "x"}}
    root["Resources"]["Vpc"] = {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.9.0.0/16"}}
    root["Outputs"] |= {"DatabaseSecretArn": {"Value": {"Ref": "Secret"}}, "VpcId": {"Value": {"Ref": "Vpc"}}}
    versioned = {"VersioningConfiguration": {"Status": "Enabled"}}
    templates["bootstrap.json"]["Resources"]["Bucket"]["Properties"] = versioned
    return {name: templates[name] for name in ("root.json", "bootstrap.json")}


_STUBBORN = """
import json, urllib.request, boto3
def handler(event, context):
    bucket = event["ResourceProperties"]["Bucket"]
    stuck = boto3.client("s3").list_objects_v2(Bucket=bucket, Prefix="stuck")["KeyCount"]
    answer = {key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")}
    answer |= {"Status": "FAILED" if stuck else "SUCCESS", "Reason": "stuck", "PhysicalResourceId": "it"}
    request = urllib.request.Request(event["ResponseURL"], data=json.dumps(answer).encode(), method="PUT")
    urllib.request.urlopen(request)
"""


def _stubborn() -> dict[str, dict[str, Any]]:
    network = small_project.templates()["network.json"]
    function = {
        "Role": {"Fn::Sub": "arn:aws:iam::${AWS::AccountId}:role/none"},
        "Runtime": "python3.13",
        "Handler": "index.handler",
        "Timeout": 20,
        "Code": {"ZipFile": _STUBBORN},
    }
    custom = {
        "ServiceToken": {"Fn::GetAtt": ["Function", "Arn"]},
        "ServiceTimeout": "20",
        "Bucket": {"Fn::Sub": "stubborn-${AWS::AccountId}"},
        "Text": {"Ref": "Size"},
    }
    network["Resources"]["Function"] = {"Type": "AWS::Lambda::Function", "Properties": function}
    network["Resources"]["Stubborn"] = {"Type": "Custom::Stubborn", "Properties": custom}
    return {"network.json": network}
