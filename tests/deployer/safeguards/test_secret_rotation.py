"""The rotation schedule of the database's password."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from hosting.deployer.safeguards import secret_rotation

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds!cluster-1"


@pytest.mark.parametrize("rules", [{}, {"AutomaticallyAfterDays": 7}, {"ScheduleExpression": "rate(7 days)"}])
def test_the_schedule_is_set_without_rotating(rules: dict[str, Any]) -> None:
    client = boto3.client("secretsmanager", "eu-west-1", aws_access_key_id="x", aws_secret_access_key="y")
    with Stubber(client) as stub:
        stub.add_response("describe_secret", {"ARN": ARN, "RotationRules": rules}, {"SecretId": ARN})
        asked = {
            "SecretId": ARN,
            "RotationRules": {"ScheduleExpression": "rate(30 days)"},
            "RotateImmediately": False,
        }
        stub.add_response("rotate_secret", {"ARN": ARN}, asked)
        assert secret_rotation.set_rotation_schedule(client, ARN)
        stub.assert_no_pending_responses()


def test_the_schedule_is_set_once(aws: Callable[..., Any]) -> None:
    rds, secrets = aws("rds"), aws("secretsmanager")
    cluster = rds.create_db_cluster(
        DBClusterIdentifier="c", Engine="aurora-mysql", MasterUsername="u", ManageMasterUserPassword=True
    )["DBCluster"]
    arn = cluster["MasterUserSecret"]["SecretArn"]
    before = secrets.get_secret_value(SecretId=arn)["SecretString"]
    assert secret_rotation.set_rotation_schedule(secrets, arn)
    assert not secret_rotation.set_rotation_schedule(secrets, arn)
    found = secrets.describe_secret(SecretId=arn)
    assert found["RotationRules"] == {"ScheduleExpression": secret_rotation.SCHEDULE}
    assert secrets.get_secret_value(SecretId=arn)["SecretString"] == before
