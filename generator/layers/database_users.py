"""Database users: for each own schema its secret, its two users in turn, and the rotation.

Root nests this template only if a workload has a schema of its own. The function calls the RDS Data API, so that only
tasks of ECS reach port 3306.
"""

from __future__ import annotations

from functools import partial

from awacs import kms as kms_actions
from awacs import rds_data as rds_data_actions
from awacs import secretsmanager as secretsmanager_actions
from awacs.aws import Statement, StringEquals
from troposphere import Ref, Sub, Tags, Template
from troposphere.awslambda import Permission
from troposphere.secretsmanager import GenerateSecretString, RotationRules, RotationSchedule, Secret
from troposphere.validators.cloudformation import AWSCustomObject

from generator import value_types as v
from generator.interfaces import LogArchive
from generator.platform_parts import COMPLETE, Parts
from generator.resources import iam
from generator.resources.alarms import alarm
from generator.resources.deletion_policies import deletion_policy
from generator.resources.lambda_functions import AddedFunction, FunctionInputs, Size, add_function
from generator.resources.logs import add_archive_filter
from generator.wiring import FrozenConfig, Layer, StackInterface, StackValue
from generator.workloads import OwnSchema, Workload

PASSWORD_LENGTH = 40


class Config(FrozenConfig):
    """``rotation_days`` is the time between two rotations. Times of the function are in seconds."""

    parts: Parts = COMPLETE
    rotation_days: int = 30
    function: Size = Size(memory=256, timeout=240)
    # A little longer than the timeout of the function. CloudFormation's default is one hour.
    service_timeout: int = 300


class Inputs(FunctionInputs):
    """Parameters of the nested stack."""

    environment: v.EnvironmentName
    database_user_code_key: v.DatabaseUserCodeKey
    db_cluster_id: v.DbClusterId
    database_secret_arn: v.DatabaseSecretArn
    data_key_arn: v.DataKeyArn
    alarm_topic_arn: v.AlarmTopicArn
    log_archive: LogArchive


class Outputs(StackInterface):
    """Outputs of the nested stack. A project has one for each schema."""


class DatabaseUser(AWSCustomObject):
    """Custom resource that creates a schema and its user. lambda/database_user handles it."""

    resource_type = "Custom::DatabaseUser"

    props = {  # noqa: RUF012 -- troposphere's way
        "ServiceToken": (str, True),
        "ServiceTimeout": (int, True),
        "Cluster": (str, True),
        "MasterSecret": (str, True),
        "Schema": (str, True),
        "Secret": (str, True),
    }


def build(schemas: tuple[OwnSchema, ...], t: Template, config: Config, inputs: Inputs) -> Outputs:
    """Add the function, and for each schema its secret, its users and the rotation."""
    secrets = {schema: t.add_resource(user_secret(schema, inputs)) for schema in schemas}
    added = add_user_function(t, config, inputs, list(secrets.values()))
    for schema, secret in secrets.items():
        user = t.add_resource(database_user(config, inputs, schema, secret, added))
        add_rotation(t, config, schema, secret, added, user)
    return outputs_of(schemas)(
        **{schema.arn_output: v.DatabaseUserSecretArn(secret.ref()) for schema, secret in secrets.items()}
    )


def user_secret(schema: OwnSchema, inputs: Inputs) -> Secret:
    """Return the secret of a schema. Its first user is the first of the two.

    A change of GenerateSecretString would create a new password, so it contains nothing that can change.
    """
    return Secret(
        schema.secret_id,
        Description=f"User of the schema {schema.name}. Two users take turns with each rotation.",
        KmsKeyId=inputs.data_key_arn,
        GenerateSecretString=GenerateSecretString(
            SecretStringTemplate=f'{{"username": "{schema.first_user}"}}',
            GenerateStringKey="password",
            PasswordLength=PASSWORD_LENGTH,
            ExcludePunctuation=True,
        ),
        # The rotation reads the schema from this tag.
        Tags=Tags(Schema=schema.name),
        **deletion_policy("generated secret"),
    )


def add_user_function(t: Template, config: Config, inputs: Inputs, secrets: list[Secret]) -> AddedFunction:
    """Add the function that creates users and rotates their secrets, with its alarm."""
    added = add_function(
        t,
        "DatabaseUser",
        inputs,
        does="creates the schemas and users of workloads, and rotates their passwords",
        code=inputs.database_user_code_key,
        size=config.function,
        statements=user_statements(inputs, secrets),
        environment={"CLUSTER": cluster_arn(), "MASTER_SECRET_ARN": inputs.database_secret_arn},
        retries=1,
        without_queue="CloudFormation and Secrets Manager wait for the function, and repeat a failed call.",
    )
    if config.parts.archive:
        add_archive_filter(t, "DatabaseUser", added.log_group, inputs.log_archive)
    t.add_resource(
        alarm(
            "DatabaseUserErrorsAlarm",
            "database-user-errors",
            inputs.alarm_topic_arn,
            description="A rotation of the secret of a database user failed. The current password stays valid.",
            command="logs lambda database-user --since 3h",
            section="database-user-rotation",
            namespace="AWS/Lambda",
            metric="Errors",
            dimensions={"FunctionName": added.function.ref()},
            statistic="Sum",
            threshold=1,
            period=300,
            periods=1,
        )
    )
    return added


def cluster_arn() -> Sub:
    """Return the ARN of the cluster, for the Data API."""
    return Sub("arn:${AWS::Partition}:rds:${AWS::Region}:${AWS::AccountId}:cluster:${DbClusterId}")


def user_statements(inputs: Inputs, secrets: list[Secret]) -> list[Statement]:
    """Return the permissions of the function: statements as the master user, and the secrets of the schemas."""
    own = [secret.ref() for secret in secrets]
    by_secrets = StringEquals("kms:ViaService", Sub("secretsmanager.${AWS::Region}.${AWS::URLSuffix}"))
    return [
        iam.allow("ExecuteStatements", [rds_data_actions.ExecuteStatement], [cluster_arn()]),
        iam.allow("ReadMaster", [secretsmanager_actions.GetSecretValue], [inputs.database_secret_arn]),
        iam.allow(
            "RotateSecrets",
            [
                secretsmanager_actions.DescribeSecret,
                secretsmanager_actions.GetSecretValue,
                secretsmanager_actions.PutSecretValue,
                secretsmanager_actions.UpdateSecretVersionStage,
            ],
            own,
        ),
        iam.allow("UseKey", [kms_actions.Decrypt, kms_actions.GenerateDataKey], [inputs.data_key_arn], by_secrets),
    ]


def database_user(
    config: Config, inputs: Inputs, schema: OwnSchema, secret: Secret, added: AddedFunction
) -> DatabaseUser:
    """Return the resource that creates a schema and the current user of its secret."""
    return DatabaseUser(
        f"{schema.subject}User",
        ServiceToken=added.function.get_att("Arn"),
        ServiceTimeout=config.service_timeout,
        Cluster=cluster_arn(),
        MasterSecret=inputs.database_secret_arn,
        Schema=schema.name,
        Secret=secret.ref(),
        DependsOn=[added.policy],
    )


def add_rotation(
    t: Template, config: Config, schema: OwnSchema, secret: Secret, added: AddedFunction, user: DatabaseUser
) -> None:
    """Add the rotation of a secret. The first one is a month after the creation."""
    permission = t.add_resource(
        Permission(
            f"{schema.subject}RotationPermission",
            FunctionName=added.function.get_att("Arn"),
            Action="lambda:InvokeFunction",
            Principal="secretsmanager.amazonaws.com",
            SourceAccount=Ref("AWS::AccountId"),
            SourceArn=secret.ref(),
        )
    )
    t.add_resource(
        RotationSchedule(
            f"{schema.subject}Rotation",
            SecretId=secret.ref(),
            RotationLambdaARN=added.function.get_att("Arn"),
            RotationRules=RotationRules(AutomaticallyAfterDays=config.rotation_days),
            # Secrets Manager tests the current password instead, so that the user has to exist.
            RotateImmediatelyOnUpdate=False,
            DependsOn=[permission.title, user.title],
        )
    )


def outputs_of(schemas: tuple[OwnSchema, ...]) -> type[Outputs]:
    """Return the outputs: the ARN of the secret of each schema."""
    own: dict[str, type[StackValue]] = {schema.arn_output: v.DatabaseUserSecretArn for schema in schemas}
    return type("Outputs", (Outputs,), {"__annotations__": own, "__module__": __name__})


def layer_of(workloads: tuple[Workload, ...]) -> Layer[Config, Inputs, Outputs] | None:
    """Return the layer for the schemas of these workloads, or None if all use the schema of the platform."""
    schemas = tuple(dict.fromkeys(OwnSchema(entry.schema) for entry in workloads if entry.schema))
    if not schemas:
        return None
    return Layer(
        "DatabaseUsers",
        "Database users: schemas of workloads, their users and secrets.",
        Inputs,
        outputs_of(schemas),
        partial(build, schemas),
    )
