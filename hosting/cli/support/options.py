"""Options that commands share, and the functions that load an environment and connect to its account.

This module imports only click. Slow packages are imported when a command runs, so that --help is fast.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hosting.model.parameter_file import ALL

if TYPE_CHECKING:
    from hosting.deployer.deployment import Context, Environment
    from hosting.model.errors import Problem
    from hosting.model.stack_order import StackRole

ROOT = Path(__file__).resolve().parents[3]


def complete_environment(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the environments whose name begins with `incomplete`, for shell completion."""
    from hosting.model.parameter_file import environments

    return [name for name in environments(ROOT / "params") if name.startswith(incomplete)]


Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Options:
    """The values of the shared options of one command line."""

    environment: str
    root: Path = ROOT
    overrides: tuple[str, ...] = ()
    profile: str | None = None
    region: str | None = None
    role_arn: str | None = None
    output: str = "text"
    placeholder: str = ""
    flat: bool = False


def root_option(command: Command) -> Command:
    """Add `--root`: the project folder that the command reads."""
    return click.option(
        "--root",
        type=click.Path(file_okay=False, path_type=Path),
        default=ROOT,
        metavar="DIR",
        help="Project folder with workloads.py, params/, templates/ and lambda/.  [default: that of deploy.py]",
    )(command)


def environment_option(*, required: bool = True) -> Callable[[Command], Command]:
    """Return the option `-e` of a command that works on one environment. It has no default."""
    return click.option(
        "-e",
        "--env",
        "environment",
        required=required,
        metavar="ENV",
        shell_complete=complete_environment,
        help="Environment: the name of a file in params/ without .json.",
    )


def environments_option(command: Command) -> Command:
    """Add `-e` to an offline command: one environment, or every environment of params/ without the option."""
    return click.option(
        "-e",
        "--env",
        "environment",
        default=ALL,
        metavar="ENV",
        shell_complete=complete_environment,
        help="Environment: the name of a file in params/ without .json.  [default: every environment]",
    )(command)


def set_option(command: Command) -> Command:
    """Add `--set`: parameter values that replace those of the parameter file."""
    return click.option(
        "--set",
        "overrides",
        metavar="KEY=VALUE",
        multiple=True,
        help="Use this value instead of the one in the parameter file. Repeatable.",
    )(command)


def environment_options(command: Command, *, required: bool = True) -> Command:
    """Add `-e`, `--set` and `--root`."""
    return environment_option(required=required)(set_option(root_option(command)))


def removed_option(name: str, use: str) -> Callable[[Command], Command]:
    """Return a hidden option that fails with the name of the option that replaced it."""

    def fail(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> None:
        if value is not None:
            raise click.UsageError(f"{name} does not exist any more: use {use}.")

    return click.option(name, hidden=True, expose_value=False, callback=fail)


def account_options(command: Command) -> Command:
    """Add `--profile` and `--region`, as in the AWS CLI. boto3 itself reads AWS_ENDPOINT_URL."""
    for option in (
        click.option("--region", metavar="REGION", help="Home region, if the parameter file names none."),
        click.option("--profile", metavar="NAME", help="Profile of the AWS configuration.  [default: AWS CLI]"),
    ):
        command = option(command)
    return command


def aws_options(command: Command) -> Command:
    """Add `--profile`, `--region` and the service role of CloudFormation."""
    option: Callable[[Command], Command] = click.option(
        "--role-arn", metavar="ARN", help="Service role for CloudFormation.  [default: the caller's permissions]"
    )
    return account_options(option(command))


def flat_option(command: Command) -> Command:
    """Add `--flat`, for a nested change set that CloudFormation cannot compute because of placeholder values."""
    option: Callable[[Command], Command] = click.option(
        "--flat",
        is_flag=True,
        help="Compute change sets without nested stacks. Each one that changes needs --allow-replace.",
    )
    return option(command)


def placeholder_option(command: Command) -> Command:
    """Add `--placeholder-image`, for an environment that is created before its images exist."""
    option: Callable[[Command], Command] = click.option(
        "--placeholder-image",
        "placeholder",
        metavar="IMAGE@sha256:...",
        default="",
        callback=_require_digest,
        help="First deployment: use this image for each service whose image is not in the registry yet.",
    )
    return option(command)


def _require_digest(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    if value and not re.fullmatch(r"\S+@sha256:[0-9a-f]{64}", value):
        raise click.BadParameter("the image must be pinned by digest: IMAGE@sha256:<64 hexadecimal digits>")
    return value


def output_option(*formats: str) -> Callable[[Command], Command]:
    """Return the option `--output` with these formats. The first one is the default."""
    return click.option(
        "--output",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="Format of the data on stdout.",
    )


def since_option(default: str) -> Callable[[Command], Command]:
    """Return the option `--since` of commands that read logs and events."""
    return click.option(
        "--since",
        default=default,
        show_default=True,
        metavar="TIME",
        help="Start: an age such as 10m, 2h or 3d, or a UTC time such as 2026-11-22T09:30.",
    )


def is_interactive() -> bool:
    """Return whether a user can answer a question: stdin and stderr are terminals, and CI is not set."""
    return sys.stdin.isatty() and sys.stderr.isatty() and not os.environ.get("CI")


def require_answer(yes: bool) -> None:
    """Raise a usage error if a confirmation is required and no terminal is available."""
    if not yes and not is_interactive():
        raise click.UsageError("A confirmation is required, and stdin is not a terminal. Use --yes to confirm.")


def confirm(question: str, *, yes: bool, word: str | None = None) -> bool:
    """Ask on stderr and return whether the user confirmed. With `word` the user has to type that word."""
    if yes:
        return True
    require_answer(yes)
    if word is None:
        return click.confirm(question, default=False, err=True)
    answer: str = click.prompt(f'{question} Type "{word}" to confirm', default="", show_default=False, err=True)
    return answer.strip() == word


def load_environment(options: Options, through: StackRole | None = None) -> Environment:
    """Load an environment from its files and check it, without AWS. Raises InputError with every problem.

    `params check`, `plan`, `deploy`, `rehearse`, `preflight` and `package` use this function. `validate` runs the same
    rules and cfn-lint. With `through` only the stacks up to this role are checked. Notes about the packages, such as
    sources that were not compiled, are printed to stderr.
    """
    from hosting.cli.support.revisions import describe_commit
    from hosting.deployer import deployment
    from hosting.model.errors import InputError, Problem

    problems: list[Problem] = []
    try:
        environment = deployment.prepare(
            options.root,
            options.environment,
            overrides=options.overrides,
            placeholder=options.placeholder,
            through=through,
        )
    except InputError as error:
        problems += error.problems
    findings = find_stale_templates(options.root)
    for finding in findings:
        file, _, what = finding.partition(": ")
        problems.append(Problem(file, what, "run `deploy.py generate`"))
    if not problems:
        problems += find_broken_rules(environment, options.root)
    if problems:
        raise InputError(problems)
    for item in {item.key: item for items in environment.artifacts.values() for item in items}.values():
        for note in item.notes:
            click.echo(f"{item.key}: {note}", err=True)
    return replace(environment, commit=describe_commit(options.root))


def find_broken_rules(environment: Environment, root: Path) -> list[Problem]:
    """Return what the rules of hosting/analysis/rules find. Another root without workloads.py is not checked."""
    if not _is_generated(root):
        return []
    from hosting.analysis.resolve import resolve
    from hosting.analysis.rules import check_rules
    from hosting.cli.support.sources import locate_findings
    from hosting.model.errors import InputError, Problem
    from hosting.model.parameter_file import Environment as Values
    from hosting.model.stack_order import ROOT as ROOT_TEMPLATE
    from hosting.model.stack_order import templates_through

    values = Values.from_file(environment.name, environment.file)
    deployed = templates_through(environment.through)
    try:
        resolved = resolve(environment.templates, values)
    except InputError:
        if ROOT_TEMPLATE in deployed:
            raise
        return []  # a value of root is missing, and root is not deployed
    # Every other template is nested in root.
    findings = [
        finding
        for finding in check_rules(environment.templates, [resolved])
        if ROOT_TEMPLATE in deployed or finding.template in deployed
    ]
    findings = locate_findings(findings, root)
    where = [finding.source or f"templates/{finding.template}" for finding in findings]
    found = (
        Problem(place, f"{finding.rule}: {finding.message}", finding.hint)
        for place, finding in zip(where, findings, strict=True)
    )
    return list(dict.fromkeys(found))


def load_without_validation(options: Options) -> Environment:
    """Load an environment that is deployed. Errors in its files do not prevent the command."""
    from hosting.deployer import deployment

    return deployment.load_without_validation(options.root, options.environment, overrides=options.overrides)


def connect(options: Options, environment: Environment) -> Context:
    """Return the environment with clients for the account of the credentials."""
    from hosting.deployer import deployment
    from hosting.deployer.aws.session import Clients

    clients = Clients(options.profile, environment.file.region or options.region)
    context = deployment.connect(environment, clients, region=options.region, role_arn=options.role_arn)
    return replace(context, flat=options.flat)


def connect_to_deployed(options: Options) -> Context:
    """Return a deployed environment with clients for its account. Errors in its files do not prevent the command."""
    return connect(options, load_without_validation(options))


def _is_generated(root: Path) -> bool:
    return root.resolve() == ROOT or (root / "workloads.py").is_file()


def find_stale_templates(root: Path) -> list[str]:
    """Return what in templates/ differs from a fresh render. Another root without workloads.py is not checked."""
    if not _is_generated(root):
        return []
    from generator.config import load_config
    from hosting.cli.support import generated

    return generated.find_stale(root, generated.render_templates(load_config(root)), (generated.TEMPLATES,))
