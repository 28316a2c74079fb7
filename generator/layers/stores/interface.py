"""Contents, configuration, inputs and outputs of the layer ``stores``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from generator import value_types as v
from generator.interfaces import RoutedAppSubnets, store_values
from generator.wiring import FrozenConfig, StackInterface, StackValue
from generator.workloads import Store, StoredSecret, Workload
from generator.workloads.stores import access_point_output


class Config(FrozenConfig):
    """The layer has no configuration."""


class Inputs(StackInterface):
    """Parameters of the nested stack."""

    prefix: v.NamePrefix
    environment: v.EnvironmentName
    domain_name: v.DomainName
    data_key_arn: v.DataKeyArn
    access_log_bucket_name: v.AccessLogBucketName
    alarm_topic_arn: v.AlarmTopicArn
    vpc_id: v.VpcId
    app_subnets: RoutedAppSubnets


class Outputs(StackInterface):
    """Outputs of the nested stack: those that ``Contents`` names."""


@dataclass(frozen=True)
class Contents:
    """The content of the layer: the stores that the project declares, and the secrets of its workloads."""

    stores: tuple[Store, ...]
    workloads: tuple[Workload, ...]

    @cached_property
    def secrets(self) -> tuple[StoredSecret, ...]:
        """Return the secrets, each once."""
        return tuple(dict.fromkeys(secret for entry in self.workloads for secret in entry.stored_secrets))

    @property
    def outputs(self) -> dict[str, type[StackValue]]:
        """Return the type of each output by its name."""
        types: dict[str, type[StackValue]] = {secret.arn_output: v.AppSecretArn for secret in self.secrets}
        for store in self.stores:
            types |= store_values(store.values, store.logical_id)
        for entry in self.workloads:
            types |= {access_point_output(entry.name, use.store): v.StoreAddress for use in entry.mounts}
        return types
