"""Permissions of a workload's execution role."""

from collections.abc import Iterator

from awacs import ecr as ecr_actions
from awacs import kms as kms_actions
from awacs import logs as logs_actions
from awacs import secretsmanager as secretsmanager_actions
from awacs.aws import Statement, StringEquals
from troposphere import Sub
from troposphere.iam import ManagedPolicy
from troposphere.logs import LogGroup

from generator.layers.service.interface import Inputs, stored_secret_arn
from generator.layers.service.variables import existing_arn
from generator.resources import iam
from generator.resources.suppressions import suppress
from generator.workloads import DatabasePassword, DatabaseUsername, Existing, Workload


def execution_grants(entry: Workload, inputs: Inputs, logs: LogGroup) -> ManagedPolicy:
    """Return the permissions to pull images, write logs and read the secrets of the workload."""
    return iam.attach_policy(
        "ExecutionGrants",
        inputs.access.execution_role_name,
        # The token is for the whole registry: the action supports no resource (Service Authorization Reference).
        iam.allow("SignInToRegistry", [ecr_actions.GetAuthorizationToken], ["*"]),
        iam.allow(
            "PullImages",
            [ecr_actions.BatchCheckLayerAvailability, ecr_actions.BatchGetImage, ecr_actions.GetDownloadUrlForLayer],
            [Sub("arn:${AWS::Partition}:ecr:${AWS::Region}:${AWS::AccountId}:repository/${Project}/*")],
        ),
        iam.allow(
            "WriteOwnLogs",
            [logs_actions.CreateLogStream, logs_actions.PutLogEvents],
            [logs.get_att("Arn"), own_bastion_streams(entry)],
        ),
        *secret_statements(entry, inputs),
        description="Pull the images, open the logs, read the secrets of one workload.",
        **suppress(
            CREDENTIALS_EXPOSURE="The credentials are the login to the image registry, which every image pull needs. "
            "They are valid for 12 hours and for the images that this role may pull."
        ),
    )


def secret_statements(entry: Workload, inputs: Inputs) -> Iterator[Statement]:
    """Yield the statements for the secrets that the workload receives, and for the keys that encrypt them."""
    by_service = StringEquals("kms:ViaService", Sub("secretsmanager.${AWS::Region}.${AWS::URLSuffix}"))
    secrets = entry.secrets.values()
    reads_database = any(isinstance(secret, (DatabaseUsername, DatabasePassword)) for secret in secrets)
    if reads_database:
        arn = inputs.database.database_secret_arn
        yield iam.allow("ReadDatabaseSecret", [secretsmanager_actions.GetSecretValue], [arn])
    if entry.stored_secrets:
        stored = [stored_secret_arn(inputs, secret) for secret in dict.fromkeys(entry.stored_secrets)]
        yield iam.allow("ReadOwnSecrets", [secretsmanager_actions.GetSecretValue], stored)
    if reads_database or entry.stored_secrets:
        yield iam.allow("DecryptSecrets", [kms_actions.Decrypt], [inputs.data_key_arn], by_service)
    existing = [secret for secret in secrets if isinstance(secret, Existing)]
    if resources := list({secret.arn: existing_arn(secret, inputs) for secret in existing}.values()):
        yield iam.allow("ReadExistingSecrets", [secretsmanager_actions.GetSecretValue], resources)
    if keys := sorted({secret.kms_key_arn for secret in existing if secret.kms_key_arn}):
        yield iam.allow("DecryptExistingSecrets", [kms_actions.Decrypt], keys, by_service)


def own_bastion_streams(entry: Workload) -> Sub:
    """Return the ARN of the workload's log streams in the log group that all bastions share."""
    return Sub(
        "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:${BastionLogGroupName}"
        f":log-stream:{entry.slug}/*"
    )
