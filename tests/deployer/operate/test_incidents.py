"""The runbook: every alarm and every message has a section, and every command of it exists and runs."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import botocore.session
import click
import jmespath
import pytest
from botocore import xform_name
from botocore.config import Config

from hosting.cli.main import cli
from hosting.deployer.aws.statuses import STATUSES
from hosting.deployer.operate import states
from tests.deployer.operate import parts
from tests.support.project import REPOSITORY, TEMPLATES

Run = Callable[..., "subprocess.CompletedProcess[str]"]
PARTS = ("Meaning", "Look", "Act", "Stop")
# Options of the AWS CLI itself.
_GLOBAL = {"region", "query", "output"}
# The names of the document, and those of the environment of these tests.
_NAMES = {
    "shop-prod": "atlas-lab",
    "BackendServiceStack": "OrdersServiceStack",
    "Backend": "Orders",
    "backend": "orders",
    "-e prod": "-e lab",
}


@dataclass(frozen=True)
class Section:
    """A section of the runbook, by its anchor, with its texts and commands by part."""

    anchor: str
    texts: dict[str, str]
    commands: dict[str, list[str]]


@cache
def sections() -> dict[str, Section]:
    """Return the sections of the runbook by anchor."""
    text = (REPOSITORY / "docs" / "incidents.md").read_text(encoding="utf-8")
    found = {}
    for chunk in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title, _, body = chunk.partition("\n")
        pieces = re.split(r"^\*\*(\w+)\.\*\*", body, flags=re.MULTILINE)
        texts = dict(zip(pieces[1::2], pieces[2::2], strict=True))
        commands = {
            name: [line for block in re.findall(r"```sh\n(.*?)```", part, re.DOTALL) for line in block.splitlines()]
            for name, part in texts.items()
        }
        anchor = title.lower().replace(" ", "-")
        found[anchor] = Section(anchor, texts, commands)
    return found


def lines() -> list[str]:
    """Return every command of the runbook once, in the order of the document."""
    first = ["deploy.py status -e prod"]
    every = (line for one in sections().values() for name in PARTS for line in one.commands.get(name, ()))
    return list(dict.fromkeys([*first, *every]))


def without_assignment(line: str) -> tuple[str, str]:
    """Return the variable that a command sets, if any, and the command."""
    found = re.fullmatch(r"([A-Z]+)=\$\((.*)\)", line)
    return (found[1], found[2]) if found else ("", line)


def alarm_descriptions() -> Iterator[tuple[str, str]]:
    """Yield the name and the description of each alarm of the templates."""
    for path in sorted(TEMPLATES.glob("*.json")):
        for name, resource in json.loads(path.read_text(encoding="utf-8"))["Resources"].items():
            if resource["Type"] in ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"):
                yield f"{path.stem} {name}", json.dumps(resource["Properties"].get("AlarmDescription", ""))


# --- sections


@pytest.mark.parametrize("anchor", sections())
def test_a_section_has_its_four_parts_and_commands_to_look_and_to_act(anchor: str) -> None:
    section = sections()[anchor]
    assert tuple(section.texts) == PARTS
    assert section.commands["Look"]
    assert section.commands["Act"]
    assert not section.commands["Stop"]


def test_every_alarm_names_an_existing_section_and_a_command_that_parses() -> None:
    found = dict(alarm_descriptions())
    assert len(found) > 20
    for name, description in found.items():
        (anchor,) = re.findall(r"Runbook: docs/incidents\.md#([a-z0-9-]+)", description) or [""]
        assert anchor in sections(), (name, anchor)
        (command,) = re.findall(r"Next: (deploy\.py .*?) -e \$\{Environment\}", description)
        parse_deploy(f"{command} -e prod")


def test_every_section_that_the_code_names_exists() -> None:
    pattern = re.compile(r"""incidents\.md#([a-z0-9-]+)|(?:runbook|section=)\(?"([a-z0-9-]+)""")
    named = {}
    for folder in ("generator", "hosting", "lambda", "docs"):
        for path in [*(REPOSITORY / folder).rglob("*.py"), *(REPOSITORY / folder).glob("*.md")]:
            for found in pattern.findall(path.read_text(encoding="utf-8")):
                named["".join(found)] = str(path)
    assert len(named) > 20
    assert {name: path for name, path in named.items() if name not in sections()} == {}


# --- commands


def parse_deploy(line: str) -> None:
    """Parse a command of deploy.py without running it. Raises click.UsageError."""
    _, *arguments = shlex.split(line)
    with click.Context(cli, info_name="deploy.py") as parent:
        group: click.Group = cli
        while True:
            name, command, arguments = group.resolve_command(parent, arguments)
            assert command is not None
            context = command.make_context(name, arguments, parent=parent)
            if not isinstance(command, click.Group):
                return
            group, arguments = command, [*context._protected_args, *context.args]


@pytest.mark.parametrize("line", [line for line in lines() if "aws " not in line])
def test_a_command_of_deploy_py_exists_with_its_options(line: str) -> None:
    assert line.startswith("deploy.py ")
    parse_deploy(line)


def test_every_command_that_a_message_of_the_notifier_names_exists() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "lambda/slack_notifier").glob("*.py"))
    commands = re.findall(r'settings\.command\(f?"([^"]+)"(?: if \w+ else "([^"]+)")?', source)
    assert len(commands) >= 8
    for command in filter(None, (one for pair in commands for one in pair)):
        parse_deploy(f"deploy.py {command.format(workload='backend')} -e prod")


def test_every_command_that_the_status_names_exists() -> None:
    tables = (states.CLUSTER, states.INSTANCE, states.ROLLOUT, states.SERVICE, states.TARGET, states.DISTRIBUTION)
    found = [state.next for table in tables for state in table.values()]
    found += [states.classify_stack(status).next for status in (None, *STATUSES)]
    for step in {step.format(env="prod", name="shop-prod", region="ap-northeast-1") for step in found}:
        if step.startswith("deploy.py"):
            parse_deploy(step)
        elif step.startswith("aws"):
            parse_aws(step, {})
        else:
            assert not step or step.removeprefix("docs/incidents.md#") in sections(), step


@dataclass(frozen=True)
class AwsCall:
    """A command of the AWS CLI as a call of botocore."""

    service: str
    operation: str
    arguments: dict[str, Any]
    region: str = ""
    query: str = ""


def search(query: str, document: Any) -> Any:
    """Return what a --query of the AWS CLI selects."""
    return jmespath.search(query, document)  # type: ignore[no-untyped-call]


@cache
def service_model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


def parse_aws(command: str, variables: dict[str, str]) -> AwsCall:
    """Parse a command of the AWS CLI by the model of its service. Raises an AssertionError for an unknown option."""
    for name, value in variables.items():
        command = command.replace(f"${name}", shlex.quote(value))
    program, service, operation, *options = shlex.split(command)
    assert program == "aws"
    model = service_model(service)
    names = {xform_name(name, "-"): name for name in model.operation_names}
    assert operation in names, f"{service} has no {operation}"
    members = model.operation_model(names[operation]).input_shape.members
    by_option = {xform_name(name, "-"): name for name in members}
    given: dict[str, list[str]] = {}
    for word in options:
        if word.startswith("--"):
            given[word.removeprefix("--")] = []
        else:
            given[list(given)[-1]].append(word)
    arguments: dict[str, Any] = {}
    for option, values in given.items():
        if option in _GLOBAL:
            continue
        flag = option.removeprefix("no-") if option not in by_option else option
        assert flag in by_option, f"{service} {operation} has no --{option}"
        name = by_option[flag]
        shape = members[name]
        if shape.type_name == "boolean":
            arguments[name] = flag == option
        elif shape.type_name in ("integer", "long"):
            arguments[name] = int(values[0])
        elif shape.type_name in ("list", "structure", "map"):
            arguments[name] = json.loads(values[0]) if values[0][0] in "[{" else values
        else:
            (arguments[name],) = values
    if given.get("query"):
        search(given["query"][0], {})
    return AwsCall(
        service,
        names[operation],
        arguments,
        given.get("region", [""])[0],
        given.get("query", [""])[0],
    )


@pytest.mark.parametrize("line", [line for line in lines() if "aws " in line])
def test_a_command_of_the_aws_cli_exists_with_its_options(line: str) -> None:
    _, command = without_assignment(line)
    parse_aws(command, {})


# --- runs


def of_lab(line: str) -> str:
    """Return a command for the environment of these tests."""
    for name, own in _NAMES.items():
        line = line.replace(name, own)
    return line


# Commands of deploy.py that change the environment, wait for a person, or need more than the emulator.
_NOT_RUN = {"restart", "deploy", "plan", "recover", "preflight", "tunnel", "exec", "cost", "policy"}


def runnable() -> list[str]:
    return [
        line
        for line in lines()
        if line.startswith("deploy.py ") and line.split()[1] not in _NOT_RUN and "--watch" not in line
    ]


@pytest.mark.parametrize("line", runnable())
def test_a_command_of_deploy_py_runs_against_the_emulator(deploy_py: Run, line: str) -> None:
    done = deploy_py(*shlex.split(of_lab(line))[1:])
    # 1: a part is bad or there are no lines, 2: drift.
    assert done.returncode in (0, 1, 2), done.stderr
    assert "Traceback" not in done.stderr


# Operations that the emulator does not have, or that would change what other tests of this environment use.
_NOT_CALLED = {
    "LookupEvents": "the emulator records no calls",
    "GetCostAndUsage": "the emulator has no cost",
    "DescribePendingMaintenanceActions": "the emulator has no maintenance",
    "DescribeDBClusterAutomatedBackups": "the emulator keeps no automated backups",
    "CopyDBClusterSnapshot": "there is no final snapshot while the environment exists",
    "StartDBCluster": "the database runs",
    "FailoverDBCluster": "the emulator does not fail over",
    "CancelKeyDeletion": "the key is not scheduled for deletion",
    "RegisterScalableTarget": "the emulator has only the target of the template",
}


@pytest.mark.parametrize("anchor", sections())
def test_the_aws_commands_of_a_section_run_in_order_against_the_emulator(deployed: parts.Deployed, anchor: str) -> None:
    """A command that sets a variable must find a value for it."""
    variables: dict[str, str] = {}
    section = sections()[anchor]
    for line in (line for name in ("Look", "Act") for line in section.commands[name] if "aws " in line):
        variable, command = without_assignment(of_lab(line))
        call = parse_aws(command, variables)
        if call.operation in _NOT_CALLED:
            continue
        clients = deployed.platform.context.clients
        client = clients.create(call.service, call.region or deployed.platform.home, Config())
        answer = getattr(client, xform_name(call.operation))(**call.arguments)
        if variable:
            value = search(call.query, answer)
            assert isinstance(value, str), f"{command} finds no value for {variable}"
            variables[variable] = value
        if call.operation == "UpdateIPSet":  # other tests use the set too
            client.update_ip_set(**{**call.arguments, "Addresses": [], "LockToken": answer["NextLockToken"]})
