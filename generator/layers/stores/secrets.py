"""The secrets that are the workloads' own."""

from __future__ import annotations

from typing import Any

from troposphere import Sub, Tags
from troposphere.secretsmanager import GenerateSecretString, Secret

from generator.layers.stores.interface import Inputs
from generator.resources.deletion_policies import deletion_policy
from generator.workloads import Generated, StoredSecret


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
