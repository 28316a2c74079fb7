"""The secrets of workloads in Secrets Manager: their states, and the values that people supply.

CloudFormation creates a supplied secret without a value, because a value in a template or parameter could be read by
everyone who may describe the stack. ECS does not start a task whose secret has no value, so a deployment of workloads
requires all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from hosting.deployer.aws import stacks
from hosting.deployer.aws.session import is_denied
from hosting.deployer.aws.stacks import Next, StackState
from hosting.deployer.context import Context
from hosting.deployer.errors import RefusedError
from hosting.model.stack_order import StackRole
from hosting.model.templates import Template
from hosting.model.workload_secrets import (
    KEY_PARAMETER,
    STACK,
    SecretSource,
    WorkloadSecret,
    list_workload_secrets,
)

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

_CURRENT = "AWSCURRENT"
# AWS Secrets Manager User Guide, "AWS Secrets Manager quotas": the size of a value in bytes.
LONGEST_VALUE = 65_536


@dataclass(frozen=True)
class SecretState:
    """A declared secret and what exists of it. ``arn`` is empty before the stack that declares it is deployed."""

    declared: WorkloadSecret
    arn: str = ""
    has_value: bool = False
    changed: datetime | None = None


def describe_secrets(context: Context, root: StackState | None) -> tuple[SecretState, ...]:
    """Return the state of every secret that the templates declare. Reads no value."""
    declared = list_workload_secrets(context.environment.templates)
    if not declared:
        return ()
    arns = _find_arns(context, root)
    client = context.clients.secretsmanager(context.home)

    def state(secret: WorkloadSecret) -> SecretState:
        arn = arns.get(secret.logical_id, "")
        return _describe(client, secret, arn) if arn else SecretState(secret)

    with ThreadPoolExecutor(8) as pool:
        return tuple(pool.map(state, declared))


def list_missing_values(states: Sequence[SecretState]) -> list[WorkloadSecret]:
    """Return the supplied secrets without a value. Secrets Manager gives every generated secret its value."""
    return [one.declared for one in states if one.declared.source is SecretSource.SUPPLIED and not one.has_value]


def require_values(context: Context, root: StackState | None) -> None:
    """Raise RefusedError if a workload would be deployed whose supplied secret has no value."""
    states = describe_secrets(context, root)
    missing = list_missing_values(states)
    if not missing:
        return
    absent = {one.declared for one in states if not one.arn}
    commands = "\n".join(f"  {set_command(context, secret)}" for secret in missing)
    number = "1 secret has" if len(missing) == 1 else f"{len(missing)} secrets have"
    first = "create them with `deploy.py deploy`, then " if absent & set(missing) else ""
    raise RefusedError(
        f"{number} no value yet, and ECS does not start a task without it: "
        + ", ".join(secret.name for secret in missing),
        where=context.stack(StackRole.ROOT).label,
        hint=f"{first}set each value, and deploy again:\n{commands}",
    )


def require_creatable(context: Context, root: StackState | None) -> None:
    """Raise RefusedError if an earlier environment of the same name left secrets that a deployment has to create.

    CloudFormation would fail to create them, and roll back what it created before.
    """
    left = []
    for one in describe_secrets(context, root):
        if one.arn:
            continue
        try:
            if name := find_retained(context, one.declared):
                left.append((one.declared, name))
        except ClientError as error:
            # A role of its own may create the secrets, and this one may not read them.
            if not is_denied(error):
                raise
    if not left:
        return
    number = "1 secret exists" if len(left) == 1 else f"{len(left)} secrets exist"
    raise RefusedError(
        f"{number} from an earlier environment, and Secrets Manager creates no second one of a name: "
        + ", ".join(name for _, name in left),
        where=context.stack(StackRole.ROOT).label,
        hint="\n  ".join(replace_retained(context, secret, name) for secret, name in left),
    )


def replace_retained(context: Context, secret: WorkloadSecret, name: str) -> str:
    """Return the steps that replace a secret of an earlier environment by one of the new environment."""
    options = f"--region {context.home} --secret-id {name}"
    again = set_command(context, secret) + " --replace-generated" * (secret.source is SecretSource.GENERATED)
    return (
        f"save its value (aws secretsmanager get-secret-value {options}), delete it (aws secretsmanager delete-secret "
        f"--force-delete-without-recovery {options}), deploy, and set the value again: {again}"
    )


def restrict_to_new_secrets(context: Context, root: StackState | None) -> Context | None:
    """Return a context whose root is the deployed one with the new supplied secrets; None if there are none.

    A deployed environment gets a new secret before the workload that reads it, because a person has to set its value in
    between. So this operation changes no parameter and no other nested stack.
    """
    if root is None or root.next is not Next.UPDATE:
        return None
    states = describe_secrets(context, root)
    if all(one.arn for one in states if one.declared.source is SecretSource.SUPPLIED):
        return None
    stack = context.stack(StackRole.ROOT)
    new = context.template(stack)
    deployed = stacks.read_template(context.clients.cloudformation(stack.region), root.id)
    body = {
        **deployed,
        "Parameters": {**deployed["Parameters"], KEY_PARAMETER: new.section("Parameters")[KEY_PARAMETER]},
        "Resources": {**deployed["Resources"], STACK: new.resources[STACK]},
    }
    environment = context.environment
    artifacts = environment.artifacts[stack.template]
    environment = replace(
        environment,
        file=environment.file.override(f"{name}={value}" for name, value in root.parameters.items()),
        templates={**environment.templates, stack.template: Template.from_body(stack.template, body)},
        artifacts={stack.template: tuple(one for one in artifacts if one.parameter == KEY_PARAMETER)},
    )
    return replace(context, environment=environment)


def set_command(context: Context, secret: WorkloadSecret) -> str:
    """Return the command line that sets the value of a secret."""
    return f"deploy.py secrets set -e {context.environment.name} {secret.workload} {secret.variable}"


def find_retained(context: Context, secret: WorkloadSecret) -> str:
    """Return the name of a secret that an earlier environment of the same name left, or an empty text.

    CloudFormation refuses to create a second secret of this name.
    """
    name = secret.physical_name(context.environment.family)
    try:
        found = context.clients.secretsmanager(context.home).describe_secret(SecretId=name)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == "ResourceNotFoundException":
            return ""
        raise
    return found["Name"]


def set_value(context: Context, state: SecretState, value: str) -> None:
    """Store a value as the current version of a secret. The version before stays as AWSPREVIOUS.

    The SDK repeats a request with the same token, so a lost reply stores no second version.
    """
    context.clients.secretsmanager(context.home).put_secret_value(SecretId=state.arn, SecretString=value)


def _find_arns(context: Context, root: StackState | None) -> dict[str, str]:
    """Return the ARN of each secret of the stack ``stores`` by logical id; empty before it is deployed."""
    if root is None:
        return {}
    client = context.clients.cloudformation(context.home)
    nested = next((one for one in stacks.list_resources(client, root.id) if one.logical_id == STACK), None)
    if nested is None or not nested.physical_id:
        return {}
    return {one.logical_id: one.physical_id for one in stacks.list_resources(client, nested.physical_id)}


def _describe(client: SecretsManagerClient, secret: WorkloadSecret, arn: str) -> SecretState:
    found = client.describe_secret(SecretId=arn)
    has_value = any(_CURRENT in stages for stages in found.get("VersionIdsToStages", {}).values())
    return SecretState(secret, arn, has_value, found.get("LastChangedDate"))
