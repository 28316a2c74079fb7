"""IAM, KMS and Secrets Manager."""

from __future__ import annotations

from hosting.deployer.failures.signature import Cause, Source, signature

SIGNATURES = (
    signature(
        "permission-denied",
        Cause.PERMISSION,
        r"(?P<who>arn:aws[\w-]*:(?:sts|iam)::\S+) is not authorized to perform:? (?P<action>[\w-]+:\w+)"
        r"(?: on resource:? (?P<resource>\S+))?",
        meaning="{who} may not do {action} on {resource}.",
        remedy="Allow {action} on that resource to the role that deploys (or to the role of --role-arn). `deploy.py "
        "policy deploy` writes the whole policy.",
        document="IAM User Guide, Troubleshoot access denied error messages",
        source=Source.REPORT,
        general=True,
    ),
    signature(
        "permission-encoded",
        Cause.PERMISSION,
        r"You are not authorized to perform this operation\.?.*Encoded authorization failure message",
        meaning="EC2 refused the call. The reason is encoded in the message.",
        remedy="aws sts decode-authorization-message --encoded-message ... shows the action and the resource.",
        document="AWS STS API Reference, DecodeAuthorizationMessage",
        source=Source.DOCUMENT,
    ),
    signature(
        "permission-tagging",
        Cause.PERMISSION,
        r"Unauthori[sz]edTaggingOperation|permissions error performing a tagging operation|"
        r"not authorized to perform \w+ with Tags",
        meaning="The role that deploys may create the resource, but not tag it.",
        remedy="Allow the service's TagResource and UntagResource actions (AddTagsToResource for RDS, AddTags for "
        "ELB).",
        document="AWS CloudFormation User Guide, Resource tags",
        source=Source.REPORT,
    ),
    signature(
        "pass-role-denied",
        Cause.PERMISSION,
        r"is not authorized to perform:? iam:PassRole(?: on resource:? (?P<resource>\S+))?",
        meaning="The role that deploys may not pass the role {resource} to a service.",
        remedy="Allow iam:PassRole on that role, with the condition iam:PassedToService naming the service.",
        document="IAM User Guide, Granting permissions to pass a role",
        source=Source.DOCUMENT,
    ),
    signature(
        "service-linked-role-missing",
        Cause.ROLE,
        r"Unable to assume the service[- ]linked role|service[- ]linked role .*(?:does not exist|"
        r"exists\.)(?!.*has been taken)",
        meaning="The service-linked role did not exist yet; in a new account the first use creates it.",
        remedy="Deploy again: the first try created it. Otherwise: aws iam create-service-linked-role "
        "--aws-service-name ecs.amazonaws.com",
        document="Amazon ECS Developer Guide, Service-linked roles",
        source=Source.REPORT,
    ),
    signature(
        "service-linked-role-denied",
        Cause.ROLE,
        r"is not authorized to perform:? iam:CreateServiceLinkedRole|"
        r"(?:not authorized|permissions?) to create (?:a |the )?service[- ]linked role",
        meaning="The role that deploys may not create the service-linked role.",
        remedy="Allow iam:CreateServiceLinkedRole, or ask an administrator to create the role once.",
        document="IAM User Guide, Service-linked roles",
        source=Source.DOCUMENT,
    ),
    signature(
        "iam-name-taken",
        Cause.NAME,
        r"(?:Role|Policy|A policy called|EntityAlreadyExists).*?(?:with name|"
        r"called)? ?(?P<name>\S+)? (?:already exists|\(Service: (?:Amazon)?I(?:AM|am|"
        r"dentityManagement).*EntityAlreadyExists)",
        meaning="An IAM name is taken; IAM's names are one space for all regions.",
        remedy="Rename or delete the role or policy that no stack owns, then deploy again.",
        document="IAM User Guide, IAM identifiers",
        source=Source.REPORT,
        types="AWS::IAM::*",
        general=True,
    ),
    signature(
        "role-in-use",
        Cause.IN_USE,
        r"Cannot delete (?:entity|a policy).*(?:must (?:detach|delete|remove)|attached to entities)|DeleteConflict",
        meaning="The role or policy has an attachment that was added outside CloudFormation.",
        remedy="Detach it in the IAM console, then run the command again.",
        document="IAM User Guide, Deleting roles",
        source=Source.DOCUMENT,
        types="AWS::IAM::*",
    ),
    signature(
        "trust-not-ready",
        Cause.ORDER,
        r"role (?:defined|provided) .*cannot be assumed|(?<!ECS was )unable to assume (?:the )?(?:role|provided)|"
        r"(?:is invalid or|service role) cannot be assumed|trust policy .{0,60}allows \w+ to assume|"
        r"not authorized to assume role|must allow .{0,60} to assume the role|"
        r"Caught ServiceAccessDenied\w* for \w*Role",
        meaning="IAM has not propagated the new role yet, or the role trusts another service.",
        remedy="Deploy again; when it fails the same way, its trust policy has to name the service that uses it.",
        document="IAM User Guide, Changes that I make are not always immediately visible",
        source=Source.REPORT,
    ),
    signature(
        "key-policy-lockout",
        Cause.KEY,
        r"The new key policy will not allow you to update the key policy",
        meaning="With this key policy the role that deploys could no longer change the key.",
        remedy="The policy has to allow kms:* to the account's root principal.",
        document="AWS KMS Developer Guide, Default key policy",
        source=Source.DOCUMENT,
        types="AWS::KMS::Key",
    ),
    signature(
        "key-logs-not-allowed",
        Cause.KEY,
        r"specified KMS [Kk]ey does not exist or is not allowed to be used with",
        meaning="CloudWatch Logs may not use the key for this log group.",
        remedy="The key policy has to allow logs.<region>.amazonaws.com, with the encryption context aws:logs:arn of "
        "these log groups; the group takes the key's ARN.",
        document="Amazon CloudWatch Logs User Guide, Encrypt log data using AWS KMS",
        source=Source.REPORT,
        types="AWS::Logs::LogGroup",
    ),
    signature(
        "key-pending-deletion",
        Cause.KEY,
        r"(?:key|arn:aws[\w-]*:kms:\S+) is (?:pending deletion|pending import|disabled)|KMSInvalidStateException|"
        r"KMSKeyNotAccessible",
        meaning="The key is disabled or about to be deleted. The data that it encrypts would be lost with it.",
        remedy="aws kms cancel-key-deletion and enable-key, now; then deploy again.",
        document="AWS KMS Developer Guide, Key states",
        source=Source.DOCUMENT,
        general=True,
    ),
    signature(
        "key-alias-taken",
        Cause.NAME,
        r"(?P<alias>alias/\S+) already exists|An alias with the name .* already exists",
        meaning="The alias belongs to a key that an earlier environment kept.",
        remedy="Delete the alias (not the key: kept data may need it), then deploy again.",
        document="AWS KMS Developer Guide, Aliases",
        source=Source.DOCUMENT,
        types="AWS::KMS::Alias",
    ),
    signature(
        "secret-not-found",
        Cause.SECRET,
        r"Secrets Manager can't find the specified secret|The task can.t retrieve the secret with ARN",
        meaning="A secret that is referred to does not exist, or not with this name, region or version.",
        remedy="Secrets are named by their ARN in this region. One that was deleted a short while ago can be brought "
        "back with aws secretsmanager restore-secret.",
        document="AWS CloudFormation User Guide, Dynamic references: Secrets Manager",
        source=Source.DOCUMENT,
        seen="event and task",
    ),
    signature(
        "secret-scheduled",
        Cause.SECRET,
        r"secret with this name is already scheduled for deletion",
        meaning="A deleted secret keeps its name until its days of grace are over.",
        remedy="aws secretsmanager restore-secret, or delete-secret --force-delete-without-recovery.",
        document="AWS Secrets Manager User Guide, Delete a secret",
        source=Source.DOCUMENT,
    ),
    signature(
        "task-secret-denied",
        Cause.SECRET,
        r"(?:unable to (?:pull|retrieve) secrets?|failed to fetch secret|unable to retrieve secret from asm)"
        r"(?!.*Access to KMS)(?!.*can't find)(?!.*\becr\b).*(?:AccessDenied|is not authorized)",
        meaning="The task's execution role may not read the secret.",
        remedy="The role needs secretsmanager:GetSecretValue on the secret's ARN (ending in -* for its random part).",
        document="Amazon ECS Developer Guide, Sensitive data",
        source=Source.REPORT,
        seen="event and task",
    ),
    signature(
        "task-secret-key-denied",
        Cause.KEY,
        r"(?:unable to (?:pull|retrieve) secrets?|failed to fetch secret).*Access to KMS is not allowed",
        meaning="The task's execution role may read the secret, but not use the key that encrypts it.",
        remedy="Allow kms:Decrypt on the secret's key to the execution role.",
        document="Amazon ECS Developer Guide, Sensitive data",
        source=Source.REPORT,
        seen="event and task",
    ),
    signature(
        "task-secret-unreachable",
        Cause.NETWORK,
        r"(?:unable to (?:pull|retrieve) secrets?|failed to fetch secret)(?!.*(?:AccessDenied|not authorized|"
        r"can't find|json key|"
        r"ResourceNotFound|\becr\b|dial tcp))(?!.*registry auth(?:: \.\.\.|"
        r" from Amazon ECR)).*(?:context deadline exceeded|RequestCanceled|"
        r"check your task network configuration|from (?:asm|ssm): service call has been retried)",
        meaning="The task does not reach Secrets Manager.",
        remedy="The connection uses the NAT gateways. Look at the app route tables and the tasks' egress rules "
        "(`deploy.py reach`).",
        document="Amazon ECS Developer Guide, ResourceInitializationError",
        source=Source.REPORT,
        seen="event and task",
    ),
    signature(
        "permission-explicit-deny",
        Cause.PERMISSION,
        r"is not authorized to perform:? (?P<action>[\w-]+:\w+)(?!.*(?:unable to pull|"
        r"failed to fetch)).*(?:explicit deny|no (?:permissions boundary|service control policy|"
        r"resource control policy|session policy|VPC endpoint policy) allows)",
        meaning="A service control policy, a permissions boundary or an explicit deny forbids {action}. A broader "
        "policy of the role does not help.",
        remedy="Ask the administrator of the organization or of the boundary to allow {action} for the role that "
        "deploys.",
        document="IAM User Guide, Policy evaluation logic",
        source=Source.REPORT,
    ),
    signature(
        "credentials-rejected",
        Cause.PERMISSION,
        r"security token included in the request is (?:expired|invalid)|ExpiredToken|InvalidClientTokenId|"
        r"UnrecognizedClientException|Credential should be scoped to a valid region|SignatureDoesNotMatch|"
        r"Signature (?:expired|not yet current)|RequestExpired",
        meaning="AWS rejects the credentials: they are expired, invalid or for another region.",
        remedy="Log in again (aws sso login, aws sts get-caller-identity shows the result), correct the clock and "
        "AWS_REGION, then repeat the command.",
        document="AWS General Reference, Common errors: ExpiredToken",
        source=Source.REPORT,
    ),
    signature(
        "service-linked-role-exists",
        Cause.ROLE,
        r"SLR \[\S+\] already exists|Service role name \S+ has been taken in this account",
        meaning="The account has this service-linked role already; it is shared by all stacks.",
        remedy="Remove AWS::IAM::ServiceLinkedRole from the template. AWS creates the role on first use.",
        document="IAM User Guide, Service-linked roles",
        source=Source.REPORT,
    ),
    signature(
        "function-role-permission",
        Cause.PERMISSION,
        r"execution role (?:you provided )?does not have permissions? to call (?P<action>\w+)",
        meaning="The function's execution role may not call {action}.",
        remedy="Add the action to the role in the generator; for a function in a VPC attach "
        "AWSLambdaVPCAccessExecutionRole.",
        document="AWS Lambda Developer Guide, Attaching functions to a VPC",
        source=Source.REPORT,
    ),
    signature(
        "policy-too-long",
        Cause.QUOTA,
        r"Maximum policy size of \d+ bytes exceeded|Cannot exceed quota for (?:\w*PolicySize|ACLSizePer\w+)",
        meaning="The policy is longer than IAM allows: 6,144 characters for a managed policy, 10,240 for all inline "
        "policies of a role, 2,048 for a trust policy.",
        remedy="Divide the policy into two managed policies, or merge statements with the same resources.",
        document="IAM User Guide, IAM and AWS STS quotas",
        source=Source.REPORT,
    ),
    signature(
        "policy-principal",
        Cause.INPUT,
        r"invalid principals?\b|Policy Error: (?:PrincipalNotFound|null)",
        meaning="A principal of the policy does not exist: a deleted role, a role of another account or a misspelled "
        "service.",
        remedy="Correct the principal in the generator. A role that this deployment creates needs a second try: "
        "deploy again. For a service-linked role: aws iam create-service-linked-role.",
        document="AWS KMS Developer Guide, Key policies: principals",
        source=Source.REPORT,
    ),
    signature(
        "account-not-ready",
        Cause.ACCOUNT,
        r"accessing resources in this region is being validated|"
        r"account is (?:currently |still )?being (?:verified|validated|activated)|PendingVerification|"
        r"account (?:is not|has not been) (?:verified|activated|subscribed)",
        meaning="AWS has not finished the verification of this account for the region.",
        remedy="Wait for the e-mail of AWS, usually within four hours, then deploy again. After that, open a support "
        "case (account and billing, free of charge).",
        document="AWS General Reference, AWS account management",
        source=Source.REPORT,
    ),
)
