"""`deploy.py policy`: write least-privilege IAM policies for the roles that run deploy.py."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import environment_option, root_option
from hosting.model.parameter_file import ALL

if TYPE_CHECKING:
    from hosting.analysis.iam_policies.grants import PolicyStatement
    from hosting.analysis.resolve import ResolvedEnvironment


SCHEMA = "policy/1"
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+")


@click.command()
@click.argument("kind", type=click.Choice(["plan", "deploy", "operate", "oidc"]))
@environment_option()
@click.option(
    "--role-arn", default="", metavar="ARN",
    help="deploy: service role of CloudFormation (see `deploy --role-arn`). Writes the policies of both roles.",
)  # fmt: skip
@click.option(
    "--command", "commands", multiple=True, metavar="NAME",
    help="operate: allow only this command: status, events, logs, tunnel, exec, run, secrets, site or invalidate. "
    "Repeatable.",
)  # fmt: skip
@click.option(
    "--container", "containers", multiple=True, metavar="NAME",
    help="operate: allow exec only in this container. Repeatable.",
)  # fmt: skip
@click.option("--repository", default="", metavar="OWNER/NAME", help="oidc: GitHub repository.")
@click.option("--branch", default="", metavar="NAME", help="oidc: workflows of this branch may assume the role.")
@click.option(
    "--environment", "github_environment", default="", metavar="NAME",
    help="oidc: workflows of this GitHub environment may assume the role.",
)  # fmt: skip
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write one file for each policy to this folder.",
)
@root_option
def policy(
    kind: str,
    environment: str,
    role_arn: str,
    commands: tuple[str, ...],
    containers: tuple[str, ...],
    repository: str,
    branch: str,
    github_environment: str,
    out: Path | None,
    root: Path,
) -> int:
    """Write least-privilege IAM policies for the roles that run deploy.py. Works offline.

    \b
    plan     read, upload artifacts, create and delete change sets
    deploy   plan, deploy and destroy, including the calls of CloudFormation
    operate  read, open sessions, run tasks, upload the static site; change no stack
    oidc     GitHub as identity provider, and the trust policy for one repository

    The policies match exactly these templates and parameters: write them again after a change. Resources with ids that
    AWS generates are restricted by account and region only.
    """
    from hosting.analysis.resolve import resolve
    from hosting.model.parameter_file import load_environment, locate
    from hosting.model.templates import load_complete

    if environment == ALL:
        raise click.UsageError("A role belongs to one environment: use its name instead of all.")
    if kind != "oidc" and (repository or branch or github_environment):
        raise click.UsageError("--repository, --branch and --environment require `policy oidc`.")
    if kind == "oidc" and not repository:
        raise click.UsageError("`policy oidc` requires --repository OWNER/NAME, and --branch or --environment.")
    if kind != "operate" and (commands or containers):
        raise click.UsageError("--command and --container require `policy operate`.")
    if role_arn and (kind != "deploy" or not _ROLE.fullmatch(role_arn)):
        raise click.UsageError("--role-arn requires `policy deploy` and the ARN of a role.")
    resolved = resolve(load_complete(root / "templates"), load_environment(locate(root / "params", environment)))
    if kind == "oidc":
        written = _build_oidc_documents(resolved, repository, branch, github_environment)
    elif kind == "operate":
        written = _build_operate_policies(resolved, commands, containers)
    else:
        written = _build_policies(resolved, kind, role_arn)
    _write_documents(written, out)
    return Exit.DONE


def _build_policies(env: ResolvedEnvironment, kind: str, role_arn: str) -> dict[str, Any]:
    from hosting.analysis.iam_policies import grants
    from hosting.analysis.iam_policies.arns import build_names
    from hosting.analysis.iam_policies.trust import build_cloudformation_trust

    names = build_names(env)
    if kind == "plan":
        return _build_documents(f"{names.family}-plan", grants.plan_statements(env))
    if not role_arn:
        return _build_documents(f"{names.family}-deploy", grants.deploy_statements(env))
    return {
        **_build_documents(f"{names.family}-deploy", grants.caller_statements(env, role_arn)),
        **_build_documents(f"{names.family}-cloudformation", grants.execution_statements(env)),
        f"{names.family}-cloudformation-trust": build_cloudformation_trust(names.account),
    }


def _build_operate_policies(
    env: ResolvedEnvironment, commands: tuple[str, ...], containers: tuple[str, ...]
) -> dict[str, Any]:
    from hosting.analysis.iam_policies import operate
    from hosting.analysis.iam_policies.arns import build_names

    if unknown := sorted(set(commands) - set(operate.COMMANDS)):
        raise click.UsageError(f"--command {', '.join(unknown)}: unknown. Use {', '.join(operate.COMMANDS)}.")
    statements = operate.operate_statements(env, commands or operate.COMMANDS, containers)
    return _build_documents(f"{build_names(env).family}-operate", statements)


def _build_documents(prefix: str, statements: list[PolicyStatement]) -> dict[str, Any]:
    from hosting.analysis.iam_policies.documents import LIMIT, PER_ROLE, split_into_policies

    made = split_into_policies(prefix, statements)
    click.echo(
        f"policy: {prefix}: {len(made)} managed {'policy' if len(made) == 1 else 'policies'} of a role's {PER_ROLE}, "
        f"the largest {max(item.size for item in made):,} of {LIMIT:,} characters",
        err=True,
    )
    return {item.name: item.body for item in made}


def _build_oidc_documents(
    env: ResolvedEnvironment, repository: str, branch: str, github_environment: str
) -> dict[str, Any]:
    from hosting.analysis.iam_policies.arns import build_names
    from hosting.analysis.iam_policies.trust import build_provider, build_trust_policy

    names = build_names(env)
    trust = build_trust_policy(
        names.account, names.partition, repository, branch=branch, environment=github_environment
    )
    return {"github-oidc-provider": build_provider(), f"{names.family}-github-trust": trust}


def _write_documents(documents: Mapping[str, Any], out: Path | None) -> None:
    if out is None:
        click.echo(json.dumps({"schema": SCHEMA, "documents": documents}, indent=2))
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, body in documents.items():
            target = out / f"{name}.json"
            target.write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")
            click.echo(target)
    except OSError as error:
        raise click.ClickException(f"{out}: {error.strerror}") from error
