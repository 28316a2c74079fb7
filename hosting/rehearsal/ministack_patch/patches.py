"""The table of everything that is patched in MiniStack: what it does unpatched, and what AWS does instead.

`install.install_all` compares this table with what was patched. The emulator does not start if a patch has no row here,
or a row has no patch. docs/emulator.md is written from it.
"""

from __future__ import annotations

from dataclasses import dataclass

_CFN = "AWS CloudFormation API Reference"
_GUIDE = "AWS CloudFormation User Guide"
_TYPES = "AWS CloudFormation Template Reference"


@dataclass(frozen=True)
class Patch:
    """One deviation of MiniStack from AWS, and the patch that removes it."""

    # Resource types, API operations, or names inside ministack.services that the patch replaces.
    subjects: tuple[str, ...]
    # The module of this package that holds the patch.
    module: str
    # What MiniStack does without the patch, and why that matters to a rehearsal.
    ministack: str
    # What AWS does, and so the patched emulator.
    aws: str
    # Where AWS documents it; empty for operations that exist only in the emulator.
    document: str


PATCHES: tuple[Patch, ...] = (
    # --- CloudFormation: before an operation starts ---------------------------------------------------------
    Patch(
        ("cloudformation.engine._resolve_parameters",),
        "templates",
        "It accepts parameters that the template does not declare, and words violated constraints in its own way.",
        "CloudFormation rejects undeclared, missing and invalid parameters with a ValidationError.",
        f"{_GUIDE}, Parameters",
    ),
    Patch(
        ("cloudformation.engine._evaluate_conditions",),
        "templates",
        "It evaluates conditions over a subset of the intrinsic functions.",
        "Every function that AWS allows in conditions is evaluated.",
        f"{_TYPES}, Condition functions",
    ),
    Patch(
        ("cloudformation.engine.validate_template_support",),
        "templates",
        "It resolves a reference to a missing resource to the name itself.",
        "The operation is rejected: `Unresolved resource dependencies [...]`.",
        f"{_GUIDE}, Troubleshooting CloudFormation",
    ),
    Patch(
        ("cloudformation.helpers._resolve_document",),
        "templates",
        "It fetches templates from path-style addresses only.",
        "TemplateURL may be a virtual-hosted address; a missing object is reported as an S3 error.",
        "Amazon S3 User Guide, Virtual hosting of buckets",
    ),
    Patch(
        ("cloudformation.handlers._capabilities_enforced",),
        "templates",
        "It requires capabilities only with `AUTH=true`.",
        "A template with IAM resources always requires CAPABILITY_IAM or CAPABILITY_NAMED_IAM.",
        f"{_CFN}, CreateStack, Capabilities",
    ),
    # --- CloudFormation: stacks -----------------------------------------------------------------------------
    Patch(
        ("AWS::CloudFormation::Stack",),
        "stacks",
        "A nested stack keeps dynamic references literal, loses exports, and fails to update around an unchanged "
        "bucket. A template that changed behind an unchanged URL is not deployed.",
        "A nested stack is a stack of its own with the same engine, whose failure fails its parent.",
        f"{_GUIDE}, Nested stacks",
    ),
    Patch(
        ("cloudformation.stacks._add_event", "cloudformation.stacks._update_resource"),
        "stacks",
        "It sends update events for unchanged resources, UPDATE events for resources that an update creates, and "
        "the physical id only at the end. It ignores stack policies.",
        "An unchanged resource has no event, a new one has CREATE events, and the first event of an update names the "
        "physical id. A denied replacement fails the resource.",
        f"{_GUIDE}, Prevent updates to stack resources",
    ),
    Patch(
        ("cloudformation.stacks._provision_resource", "cloudformation.provisioners._CUSTOM_NAME_REPLACEMENT"),
        "refusals",
        "It creates resources that conflict with another resource by name, priority, range or load balancer, and "
        "replaces resources with a fixed name or under DisableRollback.",
        "The resource handler refuses; the table of refusals lists the texts.",
        f"{_GUIDE}, Troubleshooting CloudFormation; Stack failure options",
    ),
    Patch(
        ("cloudformation.handlers._describe_events",),
        "refusals",
        "It has no events of change sets.",
        "DescribeEvents with a change set returns what early validation found, while the change set exists.",
        f"{_CFN}, DescribeEvents",
    ),
    Patch(
        ("cloudformation.stacks._resolve_stack_outputs",),
        "stacks",
        "It deletes a resource that left the template although a stack policy denies `Update:Delete`.",
        "The update fails and is rolled back.",
        f"{_GUIDE}, Prevent updates to stack resources",
    ),
    Patch(
        ("cloudformation.stacks._delete_resource",),
        "stacks",
        "It deletes replaced resources without status and events of their own.",
        "After an update the stack is in UPDATE_COMPLETE_CLEANUP_IN_PROGRESS until old resources are deleted.",
        f"{_GUIDE}, Understand CloudFormation stack creation events",
    ),
    Patch(
        ("cloudformation.stacks._deploy_stack_async",),
        "stacks",
        "It does not record DisableRollback for updates, and reports created resources as updated.",
        "Nested stacks inherit DisableRollback; a resource that an update creates is CREATE_COMPLETE.",
        f"{_GUIDE}, Stack failure options",
    ),
    Patch(
        ("cloudformation.stacks._roll_back_operation",),
        "stacks",
        "It gives a rollback a reason of its own.",
        "The reason is `The following resource(s) failed to create: [...]`.",
        f"{_GUIDE}, Troubleshooting CloudFormation",
    ),
    Patch(
        ("cloudformation.handlers._create_stack",),
        "stacks",
        "It overwrites a stack in ROLLBACK_COMPLETE, and forgets a deleted stack when its name is used again.",
        "The name is in use until the stack is deleted. A deleted stack can be described by its id for 90 days.",
        f"{_CFN}, CreateStack; DescribeStacks",
    ),
    Patch(
        ("cloudformation.handlers._update_stack",),
        "stacks",
        "It updates a stack in any status, ROLLBACK_COMPLETE included.",
        "CloudFormation rejects the update: `Stack:... is in ROLLBACK_COMPLETE state and can not be updated.`",
        f"{_GUIDE}, Stack status codes",
    ),
    Patch(
        ("cloudformation.handlers._delete_stack",),
        "stacks",
        "It deletes a nested stack whose root has termination protection, and a stack that is being updated. "
        "A repeated request deletes twice.",
        "The root's protection holds for nested stacks. A stack that is being updated cannot be deleted.",
        f"{_GUIDE}, Protect CloudFormation stacks from being deleted",
    ),
    Patch(
        ("cloudformation.handlers._cancel_update_stack",),
        "stacks",
        "It cancels the parent only; the nested stack continues.",
        "The nested stack that is being updated is cancelled too.",
        f"{_CFN}, CancelUpdateStack",
    ),
    Patch(
        ("cloudformation.handlers._continue_update_rollback",),
        "stacks",
        "It does not understand `<nested stack>.<logical id>` in ResourcesToSkip.",
        "Resources inside nested stacks are skipped by that form.",
        f"{_CFN}, ContinueUpdateRollback, ResourcesToSkip",
    ),
    Patch(
        ("cloudformation.handlers._describe_stacks",),
        "stacks",
        "It omits ParentId and RootId.",
        "A nested stack has both.",
        f"{_CFN}, Stack",
    ),
    Patch(
        (
            "cloudformation.handlers._describe_stack_events",
            "cloudformation.handlers._describe_stack_resources",
            "cloudformation.handlers._get_template",
            "cloudformation.handlers._list_stack_resources",
        ),
        "stacks",
        "It answers for a deleted stack by its name.",
        "A deleted stack is found by its id only; its name gives `Stack [...] does not exist`.",
        f"{_CFN}, DescribeStackEvents, StackName",
    ),
    # --- CloudFormation: change sets ------------------------------------------------------------------------
    Patch(
        (
            "cloudformation.changesets._create_change_set",
            "cloudformation.changesets._delete_change_set",
            "cloudformation.changesets._describe_change_set",
            "cloudformation.changesets._execute_change_set",
            "cloudformation.changesets._list_change_sets",
            "cloudformation.changesets._track_change_set_execution",
        ),
        "changesets",
        "It ignores IncludeNestedStacks, has no property values, and compares templates without resolving them.",
        "A change set contains those of its nested stacks. Values known only after execution are placeholders. "
        "An answer has pages, and a nested change set cannot be executed alone.",
        f"{_GUIDE}, Change sets for nested stacks",
    ),
    Patch(
        ("cloudformation.provisioners._REPLACING_PROPERTIES",),
        "registry",
        "Without a list of replacing properties it reports every change as a conditional replacement.",
        "Each property has `Update requires: Replacement` or not.",
        f"{_TYPES}, Update requires of each property",
    ),
    # --- EC2 ------------------------------------------------------------------------------------------------
    Patch(
        (
            "AWS::EC2::EIP",
            "AWS::EC2::FlowLog",
            "AWS::EC2::NatGateway",
            "AWS::EC2::SecurityGroupEgress",
            "AWS::EC2::SecurityGroupIngress",
        ),
        "ec2",
        "It refuses these resource types.",
        "They exist. A missing subnet, address, group or log group fails the resource, and the first egress rule "
        "replaces the default one.",
        f"{_TYPES}, AWS::EC2",
    ),
    Patch(
        ("AWS::EC2::Subnet", "AWS::EC2::VPC", "AWS::EC2::VPCEndpoint"),
        "ec2",
        "GetAtt of CidrBlock fails, and booleans remain strings.",
        "Fn::GetAtt returns CidrBlock; booleans are booleans.",
        f"{_TYPES}, AWS::EC2::VPC, Return values",
    ),
    Patch(
        ("ec2:DescribeFlowLogs", "ec2:DescribeNatGateways", "ec2:DescribeVpcEndpoints"),
        "ec2",
        "It omits addresses of NAT gateways, private DNS and policy of endpoints, and the destination of flow logs.",
        "The answers contain them, and DescribeVpcEndpoints applies filters.",
        "Amazon EC2 API Reference, DescribeNatGateways; DescribeVpcEndpoints; DescribeFlowLogs",
    ),
    # --- ECS and sessions -----------------------------------------------------------------------------------
    Patch(
        (
            "AWS::ECS::Cluster",
            "AWS::ECS::ClusterCapacityProviderAssociations",
            "AWS::ECS::Service",
            "AWS::ECS::TaskDefinition",
        ),
        "ecs",
        "It refuses capacity provider associations, fails on numbers that are strings, drops properties, and "
        "deploys a service whose tasks cannot start or whose deployment alarm is in ALARM.",
        "Numbers may be strings. A missing cluster or a target group without load balancer fails the service. So does "
        "a secret without a value. An alarm of DeploymentConfiguration that changes to ALARM during an update fails "
        "the update and the old version stays; a name without an alarm is ignored.",
        f"{_TYPES}, AWS::ECS::Service",
    ),
    Patch(
        ("ecs._create_service", "ecs._register_task_definition", "ecs._update_service"),
        "ecs_rules",
        "It stores requests that ECS refuses.",
        "ECS refuses them; the table of refusals lists the texts.",
        "Amazon ECS API Reference, RegisterTaskDefinition; CreateService; UpdateService",
    ),
    Patch(
        ("ecs._run_task",),
        "tasks",
        "A task without a container has no network interface, so no target is registered. A task never ends. It "
        "ignores clientToken, and accepts any startedBy, subnet and override.",
        "A task in awsvpc mode has a network interface in one of its subnets. The command of a task that no service "
        "started ends: the essential container with its exit code, the other containers with 137. A secret without a "
        "value fails the start: `ResourceInitializationError`. So does a volume without a mount target in the zone, "
        "without a rule for NFS, or without permission of the task role; a file in it outlives the task. A repeated "
        "clientToken returns the first tasks.",
        "Amazon ECS API Reference, RunTask; Amazon ECS Developer Guide, Stopped task error messages",
    ),
    Patch(
        ("ecs._mark_task_stopped",),
        "tasks",
        "It sends no events of tasks, and reports that a user stopped the tasks of a service.",
        "EventBridge receives `ECS Task State Change`. ECS stops tasks of a service as ServiceSchedulerInitiated.",
        "Amazon ECS Developer Guide, Amazon ECS task state change events",
    ),
    Patch(
        ("ecs._sync_service_targets",),
        "discovery",
        "It stores service registries and registers nothing.",
        "ECS registers running tasks as instances, and Cloud Map keeps an A record for each.",
        "Amazon ECS Developer Guide, Service discovery",
    ),
    Patch(
        (
            "AWS::ServiceDiscovery::PrivateDnsNamespace",
            "AWS::ServiceDiscovery::Service",
            "servicediscovery._create_service",
            "servicediscovery._delete_service",
        ),
        "discovery",
        "It accepts a namespace without VPC and a second service of a name, and deletes a service with instances.",
        "The VPC exists, a name is unique in its namespace, and a service with instances cannot be deleted.",
        "AWS Cloud Map API Reference, CreateService; DeleteService",
    ),
    Patch(
        (
            "AWS::Scheduler::Schedule",
            "scheduler._create_schedule",
            "scheduler._tick_schedules",
            "scheduler._update_schedule",
        ),
        "schedules",
        "It ignores time zones, accepts any expression and role, and cannot run ECS tasks.",
        "Scheduler refuses an invalid expression or time zone and a role that does not trust it. It runs the task with "
        "that role, which needs ecs:RunTask and iam:PassRole. A failure is sent to the dead-letter queue.",
        "Amazon EventBridge Scheduler User Guide, Managing targets; Configuring a dead-letter queue",
    ),
    Patch(
        ("ecs._ts_to_epoch",),
        "ecs",
        "It cuts times to whole seconds, which changes the order of events.",
        "ECS reports milliseconds.",
        "Amazon ECS API Reference, Task",
    ),
    Patch(
        (
            "AmazonEC2ContainerServiceV20141113.DescribeTasks",
            "AmazonEC2ContainerServiceV20141113.ExecuteCommand",
            "AmazonSSM.DescribeSessions",
            "AmazonSSM.StartSession",
            "AmazonSSM.TerminateSession",
        ),
        "sessions",
        "It has no sessions and no agent in containers.",
        "ECS Exec and Session Manager open a session only to a running container of a task with ECS Exec.",
        "Amazon ECS Developer Guide, Monitor Amazon ECS containers with ECS Exec",
    ),
    # --- Load balancing, CloudFront, WAF --------------------------------------------------------------------
    Patch(
        ("AWS::ElasticLoadBalancingV2::ListenerRule",),
        "edge",
        "It associates a target group with a load balancer for default actions only.",
        "A rule associates its target groups too, which ECS requires of a service.",
        "Elastic Load Balancing API Reference, CreateRule",
    ),
    Patch(
        ("AWS::ElasticLoadBalancingV2::LoadBalancer",),
        "edge",
        "It deletes a load balancer that has deletion protection.",
        "The deletion fails.",
        "Elastic Load Balancing API Reference, DeleteLoadBalancer",
    ),
    Patch(
        ("AWS::CloudFront::Distribution",),
        "edge",
        "It accepts the ARN of a web ACL that does not exist.",
        "CloudFront rejects it.",
        "Amazon CloudFront API Reference, CreateDistribution",
    ),
    Patch(
        ("AWS::WAFv2::IPSet", "AWS::WAFv2::LoggingConfiguration", "AWS::WAFv2::WebACL"),
        "edge",
        "It refuses the first two types, and drops properties of a web ACL.",
        "A log destination exists and its name begins with aws-waf-logs-.",
        "AWS WAF Developer Guide, Logging AWS WAF web ACL traffic",
    ),
    Patch(
        (
            "AWSWAF_20190729.GetLoggingConfiguration",
            "AWSWAF_20190729.ListLoggingConfigurations",
            "AWSWAF_20190729.ListResourcesForWebACL",
        ),
        "edge",
        "It has no logging configurations, and lists no distributions of a web ACL.",
        "WAF returns them.",
        "AWS WAF API Reference, GetLoggingConfiguration; ListResourcesForWebACL",
    ),
    # --- Databases and secrets ------------------------------------------------------------------------------
    Patch(
        ("AWS::RDS::DBCluster", "AWS::RDS::DBInstance"),
        "data",
        "It drops key, log exports and tags, has no managed master user secret, accepts a missing subnet group, "
        "and deletes a protected cluster or one with instances.",
        "RDS stores them, manages the secret, and rejects such a deletion.",
        f"{_TYPES}, AWS::RDS::DBCluster; Amazon Aurora User Guide, Deleting Aurora DB clusters",
    ),
    Patch(
        ("AWS::RDS::EventSubscription", "rds:DescribeEventSubscriptions"),
        "data",
        "It refuses the type and does not have the operation.",
        "RDS has event subscriptions.",
        "Amazon RDS API Reference, DescribeEventSubscriptions",
    ),
    Patch(
        (
            "AWS::SecretsManager::RotationSchedule",
            "cloudformation.stacks._runs_on_worker_thread",
        ),
        "rotation",
        "It has no rotation schedules, and rotates a secret without calling its function.",
        "Secrets Manager calls the four steps of the function, which has to admit it for this secret. Without an "
        "immediate rotation it calls testSecret when the rotation is set up, and the resource fails if that fails.",
        "AWS Secrets Manager User Guide, Rotation by Lambda function; AWS Secrets Manager API Reference, RotateSecret",
    ),
    Patch(
        ("ministack.app._handle_rds_data_request",),
        "rotation",
        "It executes SQL in a container of Docker.",
        "The cluster needs EnableHttpEndpoint, and the secret has to be that of the master user. The patched emulator "
        "keeps schemas, users and privileges, and refuses every other statement.",
        "Amazon RDS Data API Reference, ExecuteStatement",
    ),
    Patch(
        ("Rehearsal.DatabaseUsers",),
        "rotation",
        "Not applicable",
        "Operations that exist only in the emulator: the schemas and users of a cluster, for tests.",
        "",
    ),
    Patch(
        ("AWS::SecretsManager::Secret", "cloudformation.drift._DRIFT_READERS"),
        "data",
        "Ref of a secret is its name.",
        "Ref of a secret is its ARN.",
        f"{_TYPES}, AWS::SecretsManager::Secret, Return values",
    ),
    Patch(
        ("secretsmanager._create_secret",),
        "data",
        "A secret without a value has a version AWSCURRENT.",
        "It has no version until a value is written; GetSecretValue answers ResourceNotFoundException.",
        "AWS Secrets Manager API Reference, CreateSecret; GetSecretValue",
    ),
    Patch(
        ("cloudformation.provisioners._sm_secret_string",),
        "data",
        "It ignores most properties of GenerateSecretString.",
        "Excluded characters, classes, length and template are applied.",
        f"{_TYPES}, AWS::SecretsManager::Secret GenerateSecretString",
    ),
    Patch(
        ("secretsmanager.DescribeSecret", "secretsmanager.RotateSecret"),
        "data",
        "A rotation copies the old password, and DescribeSecret omits owner and date of the rotation.",
        "RDS sets a new password in a secret that it manages, unless RotateImmediately is false.",
        "AWS Secrets Manager API Reference, RotateSecret",
    ),
    # --- Scaling --------------------------------------------------------------------------------------------
    Patch(
        (
            "AWS::ApplicationAutoScaling::ScalableTarget",
            "AWS::ApplicationAutoScaling::ScalingPolicy",
            "AnyScaleFrontendService.DescribeScalableTargets",
            "AnyScaleFrontendService.DescribeScalingActivities",
            "AnyScaleFrontendService.DescribeScalingPolicies",
        ),
        "scaling",
        "It has no Application Auto Scaling.",
        "A target requires an active ECS service. The patched emulator records targets and policies; it never scales.",
        "Application Auto Scaling API Reference, RegisterScalableTarget",
    ),
    # --- Logs, alarms, messages -----------------------------------------------------------------------------
    Patch(
        ("AWS::Logs::Delivery", "AWS::Logs::DeliveryDestination", "AWS::Logs::DeliverySource"),
        "observation",
        "It has the API but refuses the resource types.",
        "CloudFormation creates vended log deliveries.",
        f"{_TYPES}, AWS::Logs::Delivery",
    ),
    Patch(
        ("cloudwatch_logs._fanout_to_subscription_filters",),
        "observation",
        "It delivers subscriptions to Lambda functions only.",
        "A subscription filter also delivers to a Firehose stream.",
        "Amazon CloudWatch Logs User Guide, Subscription filters",
    ),
    Patch(
        ("cloudwatch_logs._filter_log_events",),
        "observation",
        "It ignores logStreamNamePrefix.",
        "FilterLogEvents returns events of streams with that prefix.",
        "Amazon CloudWatch Logs API Reference, FilterLogEvents",
    ),
    Patch(
        ("AWS::CloudWatch::CompositeAlarm", "cloudformation.provisioners._cw_metric_alarm_record"),
        "observation",
        "It refuses composite alarms, and fails on alarms with metric math.",
        "Both exist.",
        f"{_TYPES}, AWS::CloudWatch::Alarm; AWS::CloudWatch::CompositeAlarm",
    ),
    Patch(
        ("cloudwatch._dispatch_alarm_actions",),
        "deliveries",
        "The message of an alarm has no ARN, and names dimensions and statistics as the API does.",
        "The message has the fields and names of the document that CloudWatch publishes.",
        "Amazon CloudWatch User Guide, Notifying users on alarm changes",
    ),
    Patch(
        ("sns._deliver_to_lambda",),
        "deliveries",
        "SNS calls a function once, and drops the message of a function that does not exist.",
        "The invocation is asynchronous. An undelivered message is sent to the redrive queue.",
        "Amazon SNS Developer Guide, Dead-letter queues",
    ),
    Patch(
        ("eventbridge._dispatch_to_lambda",),
        "deliveries",
        "EventBridge calls a function once.",
        "The invocation is asynchronous with retries and destinations.",
        "AWS Lambda Developer Guide, Asynchronous invocation",
    ),
    Patch(
        ("lambda_svc._route_async_failure",),
        "deliveries",
        "A function that is the destination of failures is called once, and has no destination of its own.",
        "The invocation of a destination is asynchronous too.",
        "AWS Lambda Developer Guide, Capturing records of Lambda asynchronous invocations",
    ),
    Patch(
        ("AWS::SNS::Subscription",),
        "deliveries",
        "It creates a subscription to a topic that does not exist, and ignores Region.",
        "The topic must exist in the region of the stack, or in Region.",
        f"{_TYPES}, AWS::SNS::Subscription",
    ),
    Patch(
        ("AWS::Budgets::Budget",),
        "observation",
        "It has the API but refuses the resource type.",
        "CloudFormation creates budgets. Amounts are numbers in a template and strings in the API.",
        f"{_TYPES}, AWS::Budgets::Budget",
    ),
    Patch(
        ("AWS::Chatbot::SlackChannelConfiguration", "chatbot:POST /describe-slack-channel-configurations"),
        "observation",
        "It has no AWS Chatbot (Amazon Q Developer in chat applications).",
        "A configuration requires existing topics and a role. The patched emulator sends nothing to Slack.",
        f"{_TYPES}, AWS::Chatbot::SlackChannelConfiguration",
    ),
    # --- S3, Lambda, IAM, ECR -------------------------------------------------------------------------------
    Patch(
        ("AWS::S3::Bucket",),
        "s3",
        "It drops encryption, lifecycle, ownership, access logging and tags, and deletes a bucket with objects.",
        "S3 stores the configuration. The deletion of a bucket with objects or versions fails.",
        "Amazon S3 API Reference, DeleteBucket",
    ),
    Patch(
        ("AWS::S3::BucketPolicy",),
        "s3",
        "It accepts a policy for a bucket that does not exist.",
        "The resource fails: `The specified bucket does not exist`.",
        "Amazon S3 API Reference, PutBucketPolicy",
    ),
    Patch(
        ("AWS::Lambda::Function",),
        "functions",
        "It creates a function whose package is not in S3.",
        "The resource fails: `Error occurred while GetObject. S3 Error Code: NoSuchKey`.",
        "AWS Lambda API Reference, CreateFunction",
    ),
    Patch(
        ("iam:CreateServiceLinkedRole",),
        "roles",
        "It derives a role name from the service's first word.",
        "Each service has a fixed name, such as AWSServiceRoleForECS.",
        "IAM User Guide, AWS services that work with IAM",
    ),
    Patch(
        ("AmazonEC2ContainerRegistry_V20150921.DescribeImages",),
        "seeding",
        "It returns an empty list for an image that does not exist.",
        "ECR answers ImageNotFoundException.",
        "Amazon ECR API Reference, DescribeImages",
    ),
    Patch(
        ("AmazonEC2ContainerRegistry_V20150921.BatchDeleteImage",),
        "seeding",
        "It deletes an image if one of its tags is removed.",
        "ECR removes the tag. It deletes an image with its digest or its last tag.",
        "Amazon ECR API Reference, BatchDeleteImage",
    ),
    # --- The emulator itself --------------------------------------------------------------------------------
    Patch(
        ("ministack.app._dispatch_service_request",),
        "api",
        "It has no hook for operations of another package.",
        "Not applicable: the operations in this table are answered here.",
        "",
    ),
    Patch(
        (
            "Rehearsal.Certificate",
            "Rehearsal.Command",
            "Rehearsal.EndTask",
            "Rehearsal.HostedZone",
            "Rehearsal.Image",
            "Rehearsal.Schedules",
            "Rehearsal.Secret",
            "Rehearsal.Session",
        ),
        "schedules, seeding, sessions, tasks",
        "Its API chooses ids and digests itself, but parameter files name those of the real account. It runs no "
        "containers, and schedules only when their minute comes.",
        "Not applicable: these operations exist only in the emulator. They create prerequisites, decide how commands "
        "end, and run the schedules of an interval.",
        "",
    ),
)


# What the emulator refuses as AWS does, from the live state of the account, and the text of AWS.
REFUSALS: tuple[tuple[str, str], ...] = (
    (
        "A resource whose fixed name exists: in another stack, retained by a deleted one, or created by hand",
        "Resource of type '...' with identifier '...' already exists. (HandlerErrorCode: AlreadyExists)",
    ),
    (
        "A cache, origin request or response headers policy of CloudFront whose name another one has",
        "Invalid request provided: AWS::CloudFront::...: Another ... policy with the same name already exists",
    ),
    (
        "A record that the hosted zone has",
        "Tried to create resource record set [name='...', type='...'] but it already exists",
    ),
    (
        "Other notifications of a budget whose fixed name stays",
        "Error creating budget: ... - the budget already exists.",
    ),
    (
        "A change set that would create a resource whose fixed name exists",
        "[AWS::EarlyValidation::ResourceExistenceCheck]; DescribeEvents names resource, property and reason",
    ),
    (
        "A replacement of a resource whose fixed name stays",
        "CloudFormation cannot update a stack when a custom-named resource requires replacing.",
    ),
    ("A replacement during an operation with DisableRollback", "Replacement type updates not supported on stack ..."),
    (
        "An update of a stack in CREATE_FAILED or UPDATE_FAILED without DisableRollback",
        "This stack is currently in a non-terminal [CREATE_FAILED] state.",
    ),
    ("A listener rule whose priority another rule of the listener has", "Priority '...' is currently in use"),
    (
        "A target group behind listeners of two load balancers",
        "The following target groups cannot be associated with more than one load balancer: ...",
    ),
    (
        "A second listener on a port of a load balancer",
        "A listener already exists on this port for this load balancer",
    ),
    (
        "A NAT gateway with the Elastic IP address of another one, such as the one that it replaces",
        "Elastic IP address [...] is already associated",
    ),
    (
        "Backtracking of a cluster that was created without it",
        "Backtrack cannot currently be enabled for this cluster",
    ),
    (
        "Another key spec, key usage, origin or multi-region of a KMS key",
        "The update of the key fails (AWS CloudFormation Template Reference, AWS::KMS::Key)",
    ),
    (
        "A route whose destination the route table has, such as one that moves to another layer",
        "The route identified by ... already exists.",
    ),
    (
        "A second gateway endpoint of a service for a route table",
        "route table ... already has a route with destination-prefix-list-id ...",
    ),
    (
        "A second interface endpoint of a service with private DNS in a VPC",
        "private-dns-enabled cannot be set because there is already a conflicting DNS domain for ...",
    ),
    ("A subnet whose range overlaps another one of the VPC", "The CIDR '...' conflicts with another subnet"),
    ("A record or a validated certificate in a hosted zone that is not there", "No hosted zone found with ID: ..."),
    ("A task definition of more than 64 KiB", "Actual length: '...'. Max allowed length is '65536' bytes."),
    (
        "A task definition whose size Fargate does not offer",
        "No Fargate configuration exists for given values: ... CPU, ... memory.",
    ),
    ("Ephemeral storage of less than 21 or more than 200 GiB", "EphemeralStorage size should be at least 21"),
    (
        "A volume with an access point and another root directory",
        'When using an EFS access point, the root directory must either be set to "/" or be omitted.',
    ),
    ("A volume with an access point or IAM, and without transit encryption", "The emulator has a text of its own"),
    (
        "A container that waits for the end of an essential one",
        "A dependency container with SUCCESS or COMPLETE condition cannot be an essential container",
    ),
    (
        "A host port that differs from the container port in awsvpc mode",
        "When networkMode=awsvpc, the host ports and container ports in port mappings must match.",
    ),
    (
        "More than 10 containers, a dependency on an unknown or untested container, a cycle of dependencies, and a "
        "system control outside `net.` on Fargate",
        "The emulator has texts of its own",
    ),
    (
        "A service with MaximumPercent 100 whose AvailabilityZoneRebalancing is not DISABLED",
        "AvailabilityZoneRebalancing does not support maximumPercent <= 100",
    ),
    (
        "A service or task with launch type and capacity provider strategy",
        "Specifying both a launch type and capacity provider strategy is not supported.",
    ),
    (
        "A capacity provider that the cluster does not have",
        "The specified capacity provider strategy cannot contain a capacity provider that is not associated with the "
        "cluster.",
    ),
    (
        "A Fargate task without launch type and strategy, in a cluster without a default strategy",
        "No Container Instances were found in your cluster.",
    ),
    (
        "A service or task in awsvpc mode without subnets, or with missing subnets or security groups",
        "Network Configuration must be provided ...; Error retrieving subnet information for [...]",
    ),
    ("A service registry that does not exist", "The emulator has a text of its own"),
    (
        "An override for a container that the task definition does not have",
        "Override for container named ... is not a container in the TaskDefinition.",
    ),
    ("Overrides of more than 8192 characters", "Container Overrides length must be at most 8192"),
    ("A service of Cloud Map whose name the namespace has", "Service already exists."),
    (
        "The deletion of a service of Cloud Map with instances",
        "Service contains registered instances; delete the instances before deleting the service",
    ),
    (
        "The deletion of a namespace with services",
        "Namespace has associated services; delete the services before deleting the namespace",
    ),
    ("A schedule with an invalid expression", "Invalid Schedule Expression ..."),
    (
        "A schedule whose role does not trust Scheduler",
        "The execution role you provide must allow AWS EventBridge Scheduler to assume the role.",
    ),
)
# What only AWS can know. A rehearsal that is green shows nothing about these.
UNKNOWN: tuple[str, ...] = (
    "Property values that only the service checks: cfn-lint and the rules check them against schemas instead.",
    "Names that are unique beyond one account: S3 buckets, CloudFront aliases, Slack channels.",
    "Early validation of properties and of buckets that are not empty. Only the check of names is emulated.",
    "Quotas, permissions and service control policies of the real account.",
    "Whether images start, pass health checks and reach the database.",
    "Durations: every operation ends within seconds.",
)


def render_document(version: str) -> str:
    """Return docs/emulator.md: the patches for one version of MiniStack, the refusals, and what cannot be known."""
    rows = [
        f"| {', '.join(f'`{subject}`' for subject in patch.subjects)} | {patch.ministack} | {patch.aws} "
        f"| {patch.document or '-'} | `{patch.module}` |"
        for patch in PATCHES
    ]
    refusals = [f"| {what} | {text} |" for what, text in REFUSALS]
    unknown = [f"- {text}" for text in UNKNOWN]
    return "\n".join([_HEAD.format(version=version), *rows, _REFUSALS_HEAD, *refusals, _UNKNOWN_HEAD, *unknown, ""])


_HEAD = """\
# Patches of the emulator

`deploy.py rehearse` and the tests deploy to MiniStack {version}, which runs in `.venv-emulator`. The package
`hosting/rehearsal/ministack_patch` changes it inside its own process, so that it behaves like AWS where a deployment
depends on it. The emulator refuses to start with another version, or if this table and the patches differ.

To move to another version: change `hosting/rehearsal/requirements.in` and `SUPPORTED_VERSION`, read each row of this
table, remove the patches that are no longer necessary, and run `tests/rehearsal`. This file is written by
`python -m hosting.rehearsal --write-docs`; edit `ministack_patch/patches.py` instead.

| Patched | MiniStack without the patch | AWS, and the patched emulator | AWS document | Module |
| --- | --- | --- | --- | --- |"""

_REFUSALS_HEAD = """
## What the emulator refuses as AWS does

Rollbacks are never refused.

| Refused | Text of AWS |
| --- | --- |"""
_UNKNOWN_HEAD = """
## What the emulator cannot know
"""
