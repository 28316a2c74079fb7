"""Stores: what workloads keep when their stacks are replaced or deleted: buckets, queues, volumes and own secrets.

Root nests this template only if the project declares a store, or a workload an own secret.
"""

from __future__ import annotations

from functools import partial

from troposphere import Template

from generator import value_types as v
from generator.layers.stores.buckets import add_bucket
from generator.layers.stores.interface import Config, Contents, Inputs, Outputs
from generator.layers.stores.queues import add_queue
from generator.layers.stores.secrets import app_secret, describe_secret
from generator.layers.stores.volumes import add_volume
from generator.wiring import Layer, StackValue
from generator.workloads import Bucket, Queue, Volume

__all__ = ["Config", "Contents", "Inputs", "Outputs", "layer_of"]


def build(
    contents: Contents,
    t: Template,
    config: Config,  # noqa: ARG001 -- every layer's build looks alike
    inputs: Inputs,
) -> Outputs:
    """Add the secrets and the stores."""
    if contents.secrets:
        # Tools learn here which secrets a person supplies.
        t.set_metadata({"Secrets": {secret.logical_id: describe_secret(secret) for secret in contents.secrets}})
    found: dict[str, StackValue] = {
        secret.arn_output: v.AppSecretArn(t.add_resource(app_secret(secret, inputs)).ref())
        for secret in contents.secrets
    }
    for store in contents.stores:
        match store:
            case Bucket():
                found |= add_bucket(t, store, inputs)
            case Queue():
                found |= add_queue(t, store, inputs)
            case Volume():
                found |= add_volume(t, store, inputs, contents.workloads)
    return outputs_type(contents)(**found)


def outputs_type(contents: Contents) -> type[Outputs]:
    """Return the outputs of a project."""
    return type("Outputs", (Outputs,), {"__annotations__": contents.outputs, "__module__": __name__})


def layer_of(contents: Contents) -> Layer[Config, Inputs, Outputs] | None:
    """Return the layer for the stores and secrets of a project, or None if it has neither."""
    if not (contents.stores or contents.secrets):
        return None
    description = "Stores: what the workloads keep." if contents.stores else "Stores: secrets of the workloads."
    return Layer("Stores", description, Inputs, outputs_type(contents), partial(build, contents))
