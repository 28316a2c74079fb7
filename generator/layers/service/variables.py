"""The variables and secrets of the app container, from the declarations of its workload."""

from __future__ import annotations

from troposphere import AWSHelperFn, If, Ref, Sub
from troposphere.ecs import Environment
from troposphere.ecs import Secret as SecretVariable

from generator import value_types as v
from generator.layers.service.interface import Inputs, environment_value, store_value, stored_secret_arn
from generator.resources.dns import PRIVATE_ZONE
from generator.workloads import (
    AddressOf,
    BucketName,
    DatabasePassword,
    DatabaseUsername,
    Existing,
    Fact,
    OwnSchema,
    QueueUrl,
    RootParameter,
    Secret,
    StoredSecret,
    Text,
    Variable,
    WebService,
    Workload,
)
from generator.workloads.stores import Bucket, Queue, logical_id
from generator.workloads.values import Part


def variables(entry: Workload, inputs: Inputs) -> list[Environment]:
    """Return the variables of the app container: those that the workload declares, and no other."""
    return [
        Environment(Name=name, Value=variable_value(value, entry, inputs)) for name, value in entry.variables.items()
    ]


def secret_variables(entry: Workload, inputs: Inputs) -> list[SecretVariable]:
    """Return the variables whose values ECS reads from Secrets Manager when it starts a task."""
    return [
        SecretVariable(Name=name, ValueFrom=value_from(secret, entry, inputs)) for name, secret in entry.secrets.items()
    ]


def variable_value(value: Variable, entry: Workload, inputs: Inputs) -> str | AWSHelperFn:
    """Return the value of a variable. Raises TypeError for a value that `resolve` has not replaced."""
    match value:
        case str():
            return value
        case Fact() | AddressOf() | BucketName() | QueueUrl():
            return fact_value(value, entry, inputs)
        case Text():
            return text_value(value, entry, inputs)
        case RootParameter():
            return environment_value(inputs, value)
    raise TypeError(f"{entry.name}: {value!r} is not resolved")


def text_value(text: Text, entry: Workload, inputs: Inputs) -> Sub:
    """Return a text with the values of its facts and addresses."""
    body, given = "", {}
    for part in text.parts:
        if isinstance(part, str):
            body += part.replace("${", "${!")
        else:
            name = name_in_text(part)
            body += f"${{{name}}}"
            given[name] = fact_value(part, entry, inputs)
    return Sub(body, given)


def name_in_text(part: Part) -> str:
    """Return the name that Fn::Sub replaces by the value of a part."""
    match part:
        case Fact():
            return part.value
        case AddressOf():
            return f"{part.workload}Address"
    return output_of(part)


def output_of(value: BucketName | QueueUrl) -> str:
    """Return the name of the output of the layer ``stores`` that has a value of a store."""
    if isinstance(value, BucketName):
        return f"{logical_id(Bucket, value.store)}Name"
    return f"{logical_id(Queue, value.store)}Url"


def fact_value(fact: Part, entry: Workload, inputs: Inputs) -> str | AWSHelperFn:
    """Return the value of a fact or of a store, or the host name of an internal service."""
    if isinstance(fact, AddressOf):
        return Sub(f"{fact.workload.lower()}.{PRIVATE_ZONE}")
    if isinstance(fact, (BucketName, QueueUrl)):
        value: AWSHelperFn = store_value(inputs, output_of(fact))
        return value
    values: dict[Fact, str | AWSHelperFn] = {
        Fact.DATABASE_HOST: inputs.database.writer_endpoint,
        Fact.DATABASE_READER_HOST: inputs.database.reader_endpoint,
        Fact.DATABASE_PORT: inputs.database.database_port,
        Fact.DATABASE_NAME: entry.schema or inputs.database.database_name,
        Fact.SITE_URL: inputs.site_url,
        Fact.OWN_URL: own_url(entry, inputs),
        Fact.DOMAIN_NAME: inputs.domain_name,
        Fact.PROJECT: inputs.project,
        Fact.ENVIRONMENT: inputs.environment,
        Fact.REGION: Ref("AWS::Region"),
        Fact.PORT: str(entry.container_port),
    }
    return values[fact]


def own_url(entry: Workload, inputs: Inputs) -> str | AWSHelperFn:
    """Return the address of a web service with a host name of its own, or that of the site."""
    if not isinstance(entry, WebService) or not entry.host:
        return inputs.site_url
    return If("HasDomain", Sub(f"https://{entry.host}.${{DomainName}}"), inputs.site_url)


def database_secret(entry: Workload) -> str:
    """Return the name of the parameter with the secret of the workload's user in the database."""
    return OwnSchema(entry.schema).arn_output if entry.schema else "DatabaseSecretArn"


def value_from(secret: Secret, entry: Workload, inputs: Inputs) -> str | AWSHelperFn:
    """Return the reference to a secret, or to one key of it (Amazon ECS Developer Guide, "Secrets Manager").

    Raises TypeError for a secret that `resolve` has not replaced.
    """
    match secret:
        case DatabaseUsername():
            return Sub(f"${{{database_secret(entry)}}}:username::")
        case DatabasePassword():
            return Sub(f"${{{database_secret(entry)}}}:password::")
        case StoredSecret():
            return stored_secret_arn(inputs, secret)
        case Existing(arn=RootParameter(name=name), key=key) if key:
            return Sub(f"${{{name}}}:{key}::")
        case Existing(arn=str() as arn, key=key) if key:
            return f"{arn}:{key}::"
        case Existing():
            return existing_arn(secret, inputs)
    raise TypeError(f"{secret!r} is not resolved")


def existing_arn(secret: Existing, inputs: Inputs) -> str | v.EnvironmentValue:
    """Return the ARN of an existing secret."""
    return environment_value(inputs, secret.arn) if isinstance(secret.arn, RootParameter) else str(secret.arn)
