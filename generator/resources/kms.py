"""KMS keys, and the statements that AWS services need in their policies."""

from __future__ import annotations

from awacs import kms as kms_actions
from awacs.aws import Action, ArnLike, BoolIfExists, Condition, Deny, Principal, Statement
from troposphere import Sub, Tags, Template
from troposphere.kms import Alias, Key

from generator.resources import iam
from generator.resources.deletion_policies import deletion_policy
from generator.resources.suppressions import suppress

ADMINISTERED = (
    "The account must be able to administer its key: KMS rejects a policy that no principal could change (AWS KMS "
    "Developer Guide, Default key policy). Identity policies decide which principals may. Grants are denied."
)
LOGS_CONTEXT = (
    "The statement is the one that CloudWatch Logs prescribes, with its encryption context as an ARN pattern (Amazon "
    "CloudWatch Logs User Guide, Encrypt log data in CloudWatch Logs using AWS KMS)."
)


def add_key(
    t: Template, subject: str, protects: str, *statements: Statement, prefix: str = "${Prefix}", **reasons: str
) -> Key:
    """Add a key with rotation, and its alias.

    ``prefix`` is the text of Fn::Sub in front of names. ``reasons`` suppress findings of scanners about the statements.
    """
    key = t.add_resource(
        Key(
            f"{subject}Key",
            Description=Sub(f"{prefix}: {protects}"),
            EnableKeyRotation=True,
            PendingWindowInDays=30,
            KeyPolicy=iam.policy_document(account_administration(), deny_grants_to_others(), *statements),
            Tags=Tags(Name=Sub(f"{prefix}-{subject.lower()}")),
            **deletion_policy("key"),
            **suppress(PERMISSIONS_MANAGEMENT_ACTIONS=ADMINISTERED, **reasons),
        )
    )
    t.add_resource(
        Alias(f"{subject}KeyAlias", AliasName=Sub(f"alias/{prefix}-{subject.lower()}"), TargetKeyId=key.ref())
    )
    return key


def account_administration() -> Statement:
    """Allow the account to administer the key. KMS requires it (KMS Developer Guide, "Default key policy").

    Without this statement no principal could change the policy again.
    """
    return iam.allow(
        "AdministerByAccount",
        [Action("kms", "*")],
        ["*"],
        principal=Principal("AWS", Sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:root")),
    )


def deny_grants_to_others() -> Statement:
    """Deny grants, except to AWS services for resources that the key encrypts.

    A grant has the effect of a second key policy, which no review shows. The statement is that of AWS Control Tower,
    control CT.KMS.PV on kms:CreateGrant.
    """
    return Statement(
        Sid="DenyGrantsToOthers",
        Effect=Deny,
        Principal=Principal("AWS", "*"),
        Action=[kms_actions.CreateGrant],
        Resource=["*"],
        # Both keys are under one operator, so both must be false: the caller is no AWS service, and the grant is not
        # for an AWS resource.
        Condition=Condition(BoolIfExists({"kms:GrantIsForAWSResource": "false", "aws:PrincipalIsAWSService": "false"})),
    )


def add_telemetry_key(t: Template, protects: str, *, prefix: str = "${Prefix}") -> Key:
    """Add the key of logs and notifications."""
    return add_key(
        t,
        "Telemetry",
        protects,
        *telemetry_statements(),
        prefix=prefix,
        MISMATCHED_TYPE=LOGS_CONTEXT,
        UNKNOWN_CONDITION_FOR_ACTION=LOGS_CONTEXT,
    )


def telemetry_statements() -> list[Statement]:
    """Return the statements for CloudWatch Logs, CloudWatch, Budgets, SNS and EventBridge."""
    return [encrypt_log_groups(), publish_encrypted("cloudwatch", "budgets", "sns"), publish_events_encrypted()]


def encrypt_log_groups() -> Statement:
    """Allow CloudWatch Logs to encrypt log groups (CloudWatch Logs User Guide, "Encrypt log data").

    The principal contains the region, and the encryption context the ARN of the log group.
    """
    return iam.allow(
        "EncryptLogGroups",
        [
            kms_actions.Encrypt,
            kms_actions.Decrypt,
            kms_actions.ReEncryptFrom,
            kms_actions.ReEncryptTo,
            kms_actions.GenerateDataKey,
            kms_actions.GenerateDataKeyWithoutPlaintext,
            kms_actions.DescribeKey,
        ],
        ["*"],
        ArnLike(
            "kms:EncryptionContext:aws:logs:arn",
            Sub("arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:*"),
        ),
        principal=iam.service_principal(Sub("logs.${AWS::Region}.amazonaws.com")),
    )


def publish_encrypted(*services: str) -> Statement:
    """Allow services to publish to encrypted topics (SNS Developer Guide, "Encrypting messages").

    Without it alarms change their state, but SNS drops the messages.
    """
    return iam.allow(
        "PublishEncrypted",
        [kms_actions.Decrypt, kms_actions.GenerateDataKey],
        ["*"],
        iam.source_account_condition(),
        principal=Principal("Service", [f"{name}.amazonaws.com" for name in services]),
    )


def publish_events_encrypted() -> Statement:
    """Allow EventBridge to publish to encrypted topics, without a condition on the source.

    EventBridge sends no source to KMS (EventBridge User Guide, "Encrypting Amazon SNS topics").
    """
    return iam.allow(
        "PublishEventsEncrypted",
        [kms_actions.Decrypt, kms_actions.GenerateDataKey],
        ["*"],
        principal=iam.service_principal("events"),
    )
