"""Permissions of a service's execution role."""

from awacs import ecr as ecr_actions
from awacs import kms as kms_actions
from awacs import logs as logs_actions
from awacs import secretsmanager as secretsmanager_actions
from awacs.aws import StringEquals
from troposphere import Sub
from troposphere.iam import ManagedPolicy
from troposphere.logs import LogGroup

from generator.layers.service.interface import Inputs
from generator.resources import iam
from generator.resources.suppressions import suppress


def execution_grants(inputs: Inputs, logs: LogGroup) -> ManagedPolicy:
    """Return the permissions to pull images, write logs and read the database secret."""
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
            [logs.get_att("Arn"), own_bastion_streams()],
        ),
        iam.allow("ReadDatabaseSecret", [secretsmanager_actions.GetSecretValue], [inputs.database.database_secret_arn]),
        iam.allow(
            "DecryptDatabaseSecret",
            [kms_actions.Decrypt],
            [inputs.data_key_arn],
            StringEquals("kms:ViaService", Sub("secretsmanager.${AWS::Region}.${AWS::URLSuffix}")),
        ),
        description="Pull the service's images, open its logs, read the database's secret.",
        **suppress(
            CREDENTIALS_EXPOSURE="The credentials are the login to the image registry, which every image pull needs. "
            "They are valid for 12 hours and for the images that this role may pull."
        ),
    )


def own_bastion_streams() -> Sub:
    """Return the ARN of the service's log streams in the log group that all bastions share."""
    return Sub(
        "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:${BastionLogGroupName}"
        ":log-stream:${ServiceSlug}/*"
    )
