"""Stores: what workloads keep when their stacks are replaced or deleted: the secrets that are theirs alone.

Root nests this template only if a workload declares such a secret.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from troposphere import Sub, Tags, Template
from troposphere.secretsmanager import GenerateSecretString, Secret

from generator import value_types as v
from generator.resources.deletion_policies import deletion_policy
from generator.wiring import FrozenConfig, Layer, StackInterface
from generator.workloads import Generated, StoredSecret, Workload


class Config(FrozenConfig):
    """The layer has no configuration."""


class Inputs(StackInterface):
    """Parameters of the nested stack."""

    prefix: v.NamePrefix
    data_key_arn: v.DataKeyArn


class Outputs(StackInterface):
    """Outputs of the nested stack. A project has one for each secret."""


def build(
    secrets: tuple[StoredSecret, ...],
    t: Template,
    config: Config,  # noqa: ARG001 -- every layer's build looks alike
    inputs: Inputs,
) -> Outputs:
    """Add the secrets."""
    # Tools learn here which secrets a person supplies.
    t.set_metadata({"Secrets": {secret.logical_id: describe_secret(secret) for secret in secrets}})
    arns = {secret.arn_output: v.AppSecretArn(t.add_resource(app_secret(secret, inputs)).ref()) for secret in secrets}
    return outputs_of(secrets)(**arns)


def describe_secret(secret: StoredSecret) -> dict[str, str]:
    """Return the workload, the variable and the source of a secret."""
    source = "generated" if isinstance(secret.source, Generated) else "supplied"
    return {"Workload": secret.workload, "Variable": secret.variable, "Source": source}


def app_secret(secret: StoredSecret, inputs: Inputs) -> Secret:
    """Return a secret with a generated value, or without a value until a person supplies one."""
    slug = secret.workload.lower()
    generated: dict[str, Any] = {}
    if isinstance(secret.source, Generated):
        generated["GenerateSecretString"] = GenerateSecretString(
            PasswordLength=secret.source.length, ExcludePunctuation=True
        )
    return Secret(
        secret.logical_id,
        # People and a new environment of the same name find a retained secret by its name.
        Name=Sub(f"${{Prefix}}/{slug}/{secret.variable}"),
        Description=f"{secret.variable} of {secret.workload}.",
        KmsKeyId=inputs.data_key_arn,
        Tags=Tags(Service=slug),
        **generated,
        **deletion_policy("app secret"),
    )


def outputs_of(secrets: tuple[StoredSecret, ...]) -> type[Outputs]:
    """Return the outputs: the ARN of each secret."""
    own = {secret.arn_output: v.AppSecretArn for secret in secrets}
    return type("Outputs", (Outputs,), {"__annotations__": own, "__module__": __name__})


def layer_of(workloads: tuple[Workload, ...]) -> Layer[Config, Inputs, Outputs] | None:
    """Return the layer for the secrets of these workloads, or None if they have none."""
    secrets = tuple(dict.fromkeys(secret for entry in workloads for secret in entry.stored_secrets))
    if not secrets:
        return None
    return Layer("Stores", "Stores: secrets of the workloads.", Inputs, outputs_of(secrets), partial(build, secrets))
