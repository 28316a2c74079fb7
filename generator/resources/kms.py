"""KMS keys and what their policies must say for the services that encrypt with them."""

from __future__ import annotations

from awacs import kms as kms_actions
from awacs.aws import Action, ArnLike, BoolIfExists, Condition, Deny, Principal, Statement
from troposphere import Sub, Tags, Template
from troposphere.kms import Alias, Key

from generator.resources import iam
from generator.resources.deletion_policies import deletion_policy
from generator.resources.suppressions import suppress

ADMINISTERED = (
    "The account must be able to administer its key: KMS refuses a policy that would lock everybody out (AWS KMS "
    "Developer Guide, Default key policy). Who in the account may is said by identity policies; grants are denied."
)
LOGS_CONTEXT = (
    "The statement is the one that CloudWatch Logs prescribes, with its encryption context as an ARN pattern (Amazon "
    "CloudWatch Logs User Guide, Encrypt log data in CloudWatch Logs using AWS KMS)."
)


def add_key(
    t: Template, subject: str, protects: str, *statements: Statement, prefix: str = "${Prefix}", **reasons: str
) -> Key:
    """A key that rotates, and its alias. ``prefix`` is the text of Fn::Sub in front of names; ``reasons`` answer what
    judges say about the statements."""
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
    """Without it KMS refuses the policy: nobody could change it again (KMS Developer Guide, "Default key policy")."""
    return iam.allow(
        "AdministerByAccount",
        [Action("kms", "*")],
        ["*"],
        principal=Principal("AWS", Sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:root")),
    )


def deny_grants_to_others() -> Statement:
    """A grant is a second key policy that nobody reviews: only AWS services make them, for the resources that we
    encrypt (AWS Control Tower, control CT.KMS.PV on kms:CreateGrant, which denies it in these words)."""
    return Statement(
        Sid="DenyGrantsToOthers",
        Effect=Deny,
        Principal=Principal("AWS", "*"),
        Action=[kms_actions.CreateGrant],
        Resource=["*"],
        # One operator, so both must be false: the request is no service's own, nor made for somebody's resource.
        Condition=Condition(BoolIfExists({"kms:GrantIsForAWSResource": "false", "aws:PrincipalIsAWSService": "false"})),
    )


def add_telemetry_key(t: Template, protects: str, *, prefix: str = "${Prefix}") -> Key:
    """A key of logs and notifications."""
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
    return [encrypt_log_groups(), publish_encrypted("cloudwatch", "budgets", "sns"), publish_events_encrypted()]


def encrypt_log_groups() -> Statement:
    """CloudWatch Logs User Guide, "Encrypt log data": the principal names the region, the context the group."""
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
    """Without it alarms fire and their messages vanish (SNS Developer Guide, "Encrypting messages")."""
    return iam.allow(
        "PublishEncrypted",
        [kms_actions.Decrypt, kms_actions.GenerateDataKey],
        ["*"],
        iam.source_account_condition(),
        principal=Principal("Service", [f"{name}.amazonaws.com" for name in services]),
    )


def publish_events_encrypted() -> Statement:
    """EventBridge sends no source conditions to KMS (EventBridge User Guide, "Encrypting Amazon SNS topics")."""
    return iam.allow(
        "PublishEventsEncrypted",
        [kms_actions.Decrypt, kms_actions.GenerateDataKey],
        ["*"],
        principal=iam.service_principal("events"),
    )
