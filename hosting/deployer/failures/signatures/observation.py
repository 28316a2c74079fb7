"""Log groups, filters, topics, Firehose, Slack and budgets."""

from __future__ import annotations

from hosting.deployer.failures.signature import Cause, Source, signature

SIGNATURES = (
    signature(
        "log-group-exists",
        Cause.NAME,
        r"'AWS::Logs::LogGroup' with identifier .* already exists|specified log group already exists|"
        r"/\S+ already exists in stack (?P<stack>arn:\S+)",
        meaning="The log group is there already: kept by an earlier environment, or made by a late invocation.",
        remedy="Export what is worth keeping, delete the group (aws logs delete-log-group), and deploy again.",
        document="Amazon CloudWatch Logs User Guide, Log groups",
        source=Source.REPORT,
        types="AWS::Logs::LogGroup",
    ),
    signature(
        "log-group-missing",
        Cause.ORDER,
        r"specified log group does not exist",
        meaning="The filter or delivery was created before its log group, or the group was deleted outside "
        "CloudFormation.",
        remedy="Deploy again. If the group was deleted, create it with the same name first.",
        document="Amazon CloudWatch Logs User Guide, Log groups",
        source=Source.REPORT,
        types="AWS::Logs::*",
    ),
    signature(
        "log-resource-policies",
        Cause.QUOTA,
        r"Resource limit exceeded.*(?:resource polic|ResourcePolic)|LimitExceeded.*resource polic",
        meaning="CloudWatch Logs allows ten resource policies in a region that name no log group. They are used up.",
        remedy="aws logs describe-resource-policies shows them; delete those of services that are gone.",
        document="Amazon CloudWatch Logs API Reference, PutResourcePolicy",
        source=Source.DOCUMENT,
    ),
    signature(
        "filter-limit",
        Cause.QUOTA,
        r"Resource limit exceeded(?!.*polic)",
        meaning="A log group can have five subscription filters, and they are used up.",
        remedy="Delete a filter that no stack owns (aws logs describe-subscription-filters shows them).",
        document="Amazon CloudWatch Logs User Guide, Subscriptions",
        source=Source.DOCUMENT,
        types="AWS::Logs::SubscriptionFilter",
    ),
    signature(
        "filter-delivery",
        Cause.PERMISSION,
        r"Could not deliver test message to specified|Could not execute the lambda function",
        meaning="CloudWatch Logs may not write to the filter's destination; the role is often only not ready yet.",
        remedy="Deploy again. When it fails the same way: the role has to trust logs.amazonaws.com (with the "
        "condition arn:aws:logs:<region>:<account>:*), the function to allow it by a permission.",
        document="Amazon CloudWatch Logs User Guide, Subscription filters",
        source=Source.DOCUMENT,
        types="AWS::Logs::SubscriptionFilter",
    ),
    signature(
        "slack-not-authorized",
        Cause.ACCOUNT,
        r"Slack (?:workspace|team) \S+ is not authorized with AWS account|workspace .* (?:is )?not authorized",
        meaning="The Slack workspace has not been authorized in this account.",
        remedy="Authorize it once in the console: Amazon Q Developer in chat applications, Configure new client, "
        "Slack. Then deploy again.",
        document="Amazon Q Developer in chat applications Administrator Guide, Get started with Slack",
        source=Source.REPORT,
        types="AWS::Chatbot::SlackChannelConfiguration",
    ),
    signature(
        "slack-channel-taken",
        Cause.NAME,
        r"Slack channel with ID \S+ in Slack team \S+ has already been configured",
        meaning="A channel takes one configuration per account, and another environment has it.",
        remedy="Give each environment a channel of its own (SlackChannelId).",
        document="Amazon Q Developer in chat applications Administrator Guide, Get started with Slack",
        source=Source.REPORT,
        types="AWS::Chatbot::SlackChannelConfiguration",
    ),
    signature(
        "topic-policy",
        Cause.INPUT,
        r"Policy (?:statement )?action out of service scope",
        meaning="The policy names an action of another service.",
        remedy="List the actions of this service one by one; sns:* and sqs:* are not accepted in a Deny.",
        document="Amazon SNS Developer Guide, Access policies",
        source=Source.REPORT,
        types="AWS::SNS::* AWS::SQS::* AWS::S3::BucketPolicy AWS::KMS::Key",
    ),
    signature(
        "topic-key",
        Cause.KEY,
        r"(?:SNS|SQS|Firehose|firehose|sns).*(?:KMS|kms).*(?:Access ?Denied|is not authorized|not allowed)|"
        r"KMSAccessDenied",
        meaning="The service may not use the key of this topic, queue or stream.",
        remedy="The telemetry key's policy has to allow kms:Decrypt and kms:GenerateDataKey* to the publishing "
        "service.",
        document="Amazon SNS Developer Guide, Key management",
        source=Source.MODEL,
        types="AWS::SNS::* AWS::SQS::* AWS::KinesisFirehose::*",
    ),
    signature(
        "budget-duplicate",
        Cause.NAME,
        r"(?:the )?budget .* already exists|DuplicateRecordException",
        meaning="A budget of this name exists.",
        remedy="Delete it in the Billing console, then deploy again.",
        document="AWS Budgets API Reference, DuplicateRecordException",
        source=Source.MODEL,
        types="AWS::Budgets::Budget",
    ),
    signature(
        "alarm-or-dashboard-invalid",
        Cause.INPUT,
        r"dashboard body is invalid|DashboardInvalidInput|Period must (?:not be|be)|Invalid metrics list",
        meaning="CloudWatch does not accept the alarm or dashboard.",
        remedy="The message names the field; the generator's operations layer makes it.",
        document="Amazon CloudWatch API Reference, PutDashboard and PutMetricAlarm",
        source=Source.MODEL,
        types="AWS::CloudWatch::*",
    ),
    signature(
        "budgets-not-enabled",
        Cause.ACCOUNT,
        r"To enable budgets for your account, ask the payer account",
        meaning="The management account of the organization has not enabled budgets for this account. For a new "
        "account this takes about 24 hours.",
        remedy="Enable access in the Billing console of the management account, or set MonthlyBudget to 0, then "
        "deploy again.",
        document="AWS Cost Management User Guide, Controlling access for AWS Budgets",
        source=Source.REPORT,
        types="AWS::Budgets::*",
    ),
    signature(
        "alarm-action-invalid",
        Cause.INPUT,
        r"ValidationErrornull",
        meaning="CloudWatch refuses the alarm without a reason. An action with an ARN of another region or a "
        "malformed ARN is the usual cause.",
        remedy="Check AlarmActions and OKActions: each ARN has the region and account of the alarm.",
        document="Amazon CloudWatch API Reference, PutMetricAlarm",
        source=Source.REPORT,
        types="AWS::CloudWatch::*",
    ),
)
