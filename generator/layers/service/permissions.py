"""Permissions of the two roles of a workload: what ECS does to start its tasks, and what the app uses."""

from collections.abc import Iterator

from awacs import ecr as ecr_actions
from awacs import elasticfilesystem as efs_actions
from awacs import kms as kms_actions
from awacs import logs as logs_actions
from awacs import s3 as s3_actions
from awacs import secretsmanager as secretsmanager_actions
from awacs import sqs as sqs_actions
from awacs.aws import Action, Statement, StringEquals
from troposphere import Sub
from troposphere.iam import ManagedPolicy
from troposphere.logs import LogGroup

from generator.layers.service.interface import Inputs, store_value, stored_secret_arn
from generator.layers.service.variables import existing_arn
from generator.resources import iam
from generator.resources.suppressions import suppress
from generator.workloads import (
    DatabasePassword,
    DatabaseUsername,
    Existing,
    Mount,
    OwnSchema,
    Read,
    ReadWrite,
    Receive,
    Send,
    Use,
    Workload,
)
from generator.workloads.stores import access_point_output


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
        if entry.schema:
            arn = store_value(inputs, OwnSchema(entry.schema).arn_output)
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


def task_grants(entry: Workload, inputs: Inputs) -> ManagedPolicy:
    """Return the permissions of the app for the stores that the workload uses, and for no others."""
    return iam.attach_policy(
        "TaskGrants",
        inputs.access.task_role_name,
        *(statement for use in entry.uses for statement in use_statements(entry, use, inputs)),
        *key_statements(entry, inputs),
        description="Use the stores of one workload.",
    )


def use_statements(entry: Workload, use: Use, inputs: Inputs) -> Iterator[Statement]:
    """Yield the statements for one use of a store. Raises TypeError for a use that is not known."""
    arn = store_value(inputs, f"{use.logical_id}Arn")
    match use:
        case Read() | ReadWrite():
            writes = isinstance(use, ReadWrite)
            objects = [s3_actions.GetObject, *(_WRITE_OBJECTS if writes else [])]
            bucket = [s3_actions.ListBucket, *(_WRITE_BUCKET if writes else [])]
            name = f"{'Write' if writes else 'Read'}{use.store}"
            yield iam.allow(f"{name}Objects", objects, [Sub(f"${{{use.logical_id}Arn}}/*")])
            yield iam.allow(f"{name}Bucket", bucket, [arn])
        case Send():
            yield iam.allow(f"SendTo{use.store}", [sqs_actions.SendMessage, *_SEE_QUEUE], [arn])
        case Receive():
            yield iam.allow(f"ReceiveFrom{use.store}", [*_TAKE_MESSAGES, *_SEE_QUEUE], [arn])
        case Mount():
            yield iam.allow(
                f"Mount{use.store}",
                [efs_actions.ClientMount, *([] if use.read_only else [efs_actions.ClientWrite])],
                [arn],
                StringEquals("elasticfilesystem:AccessPointArn", access_point_arn(entry, use)),
            )
        case _:
            raise TypeError(f"{entry.name}: {use!r} is not known")


_WRITE_OBJECTS = [
    s3_actions.PutObject,
    s3_actions.DeleteObject,
    s3_actions.AbortMultipartUpload,
    s3_actions.ListMultipartUploadParts,
]
_WRITE_BUCKET = [s3_actions.ListBucketMultipartUploads]
_SEE_QUEUE = [sqs_actions.GetQueueUrl, sqs_actions.GetQueueAttributes]
_TAKE_MESSAGES = [sqs_actions.ReceiveMessage, sqs_actions.DeleteMessage, sqs_actions.ChangeMessageVisibility]


def access_point_arn(entry: Workload, use: Mount) -> Sub:
    """Return the ARN of the access point with which a workload mounts a volume."""
    point = access_point_output(entry.name, use.store)
    return Sub(
        f"arn:${{AWS::Partition}}:elasticfilesystem:${{AWS::Region}}:${{AWS::AccountId}}:access-point/${{{point}}}"
    )


def key_statements(entry: Workload, inputs: Inputs) -> Iterator[Statement]:
    """Yield the permission to use the key of the queues (Amazon SQS Developer Guide, "Key management")."""
    actions: list[Action] = []
    if any(isinstance(use, (Send, Receive)) for use in entry.uses):
        actions.append(kms_actions.Decrypt)
    if any(isinstance(use, Send) for use in entry.uses):
        actions.append(kms_actions.GenerateDataKey)
    if actions:
        by_queues = StringEquals("kms:ViaService", Sub("sqs.${AWS::Region}.${AWS::URLSuffix}"))
        yield iam.allow("UseKeyOfQueues", actions, [inputs.data_key_arn], by_queues)
