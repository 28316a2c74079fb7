"""CloudFormation itself, functions, custom resources, buckets, and throttling."""

from __future__ import annotations

from hosting.deployer.failures.signature import Cause, Source, signature

_CUSTOM = "Custom::* AWS::CloudFormation::CustomResource"

SIGNATURES = (
    signature(
        "early-validation",
        Cause.INPUT,
        r"AWS::EarlyValidation::(?P<check>\w+)",
        meaning="CloudFormation found the fault before it touched anything ({check}).",
        remedy="Nothing was changed. aws cloudformation describe-events --change-set-name ... names the property.",
        document="AWS CloudFormation User Guide, Validate stack deployments",
        source=Source.DOCUMENT,
    ),
    signature(
        "template-unreadable",
        Cause.PERMISSION,
        r"S3 error: |TemplateURL must (?:be|reference)",
        meaning="CloudFormation could not read a template from the artifact bucket.",
        remedy="It reads with the role that deploys, or with the role of --role-arn: that role needs s3:GetObject on "
        "the bucket. `deploy.py deploy` uploads what is missing.",
        document="AWS CloudFormation API Reference, CreateChangeSet",
        source=Source.REPORT,
    ),
    signature(
        "stack-busy",
        Cause.IN_USE,
        r"is in (?P<status>\w+_IN_PROGRESS) state and can ?not be updated",
        meaning="The nested stack is still doing something else ({status}).",
        remedy="`deploy.py watch` follows it; deploy again when it has ended.",
        document="AWS CloudFormation User Guide, Stack status codes",
        source=Source.REPORT,
        types="AWS::CloudFormation::Stack",
    ),
    signature(
        "stack-quota",
        Cause.QUOTA,
        r"Limit for stack has been exceeded|(?:Limit|quota) .*(?:number of )?(?:stacks|resources per (?:stack|"
        r"template)).*exceeded",
        meaning="The account's quota of stacks, or of resources in one, is used up.",
        remedy="Raise the quota L-0485CB21 (CloudFormation stack count), or delete stacks that nothing uses.",
        document="AWS CloudFormation User Guide, Quotas",
        source=Source.REPORT,
    ),
    signature(
        "stack-policy",
        Cause.DATA,
        r"Action denied by stack policy",
        meaning="The stack policy protects this resource against replacement and deletion. This is meant to hold.",
        remedy="Name the resource with --allow-replace or --allow-delete when its data really may go.",
        document="AWS CloudFormation User Guide, Stack policies",
        source=Source.DOCUMENT,
    ),
    signature(
        "custom-resource-timeout",
        Cause.CODE,
        r"did not receive a response from your Custom Resource|Custom Resource failed to stabilize in expected time",
        meaning="The function behind the custom resource did not answer in time.",
        remedy="Read its log group (`deploy.py logs`): a failed import, no network path to S3 for the answer, or a "
        "bucket too large to empty in one run. Deploy again afterwards.",
        document="AWS CloudFormation User Guide, Custom resources",
        source=Source.REPORT,
        types=_CUSTOM,
    ),
    signature(
        "custom-resource-failed",
        Cause.CODE,
        r"Received response status \[FAILED\] from custom resource(?!.*migration of \w+ `)",
        meaning="The function behind the custom resource reported a failure.",
        remedy="Its reason is in the message; more is in the function's log group.",
        document="AWS CloudFormation User Guide, Custom resource response objects",
        source=Source.REPORT,
        types=_CUSTOM,
    ),
    # The texts of lambda/migration.
    signature(
        "migration-failed",
        Cause.APPLICATION,
        r"migration of (?P<workload>\w+) (?P<command>`[^`]*`) (?P<end>ended with exit code \d+|is stopped: "
        r"it ran longer than \d+ s|was stopped)",
        meaning="The migration of {workload}, {command}, failed: it {end}. The service was not changed.",
        remedy="Read its last lines: `deploy.py diagnose`, or `deploy.py logs app --service {workload} --since 1h`. "
        "Correct the command, the image or the database, and deploy again: the migration "
        "runs again (docs/workloads.md).",
        document="AWS CloudFormation User Guide, Custom resource response objects",
        source=Source.DOCUMENT,
        types="Custom::Migration",
    ),
    signature(
        "migration-not-started",
        Cause.APPLICATION,
        r"migration of (?P<workload>\w+) (?P<command>`[^`]*`) did not start: (?P<reason>.{1,300})",
        meaning="ECS could not start the migration of {workload}, {command}: {reason}.",
        remedy="Correct what the reason names, such as the image, a secret or the capacity, and deploy again. The "
        "service was not changed.",
        document="AWS CloudFormation User Guide, Custom resource response objects",
        source=Source.DOCUMENT,
        types="Custom::Migration",
        general=True,
    ),
    signature(
        "custom-resource-function-missing",
        Cause.CODE,
        r"(?:Lambda function|Function) not found:? ?(?P<function>arn:\S+|\S+:function:\S+)|"
        r"ServiceToken .* (?:does not exist|not found)|"
        r"Invalid ServiceToken|Lambda function not found",
        meaning="The custom resource names a function that does not exist in this region.",
        remedy="The function's stack has to be deployed first and in the same region; look at the ServiceToken.",
        document="AWS CloudFormation User Guide, Custom resources",
        source=Source.REPORT,
        types=_CUSTOM,
    ),
    signature(
        "function-code-missing",
        Cause.ORDER,
        r"Error occurred while GetObject\. S3 Error Code: (?P<code>NoSuchKey|NoSuchBucket|PermanentRedirect|"
        r"AccessDenied)|specified key does not exist\. \(Service: Lambda",
        meaning="Lambda cannot read the function's archive ({code}).",
        remedy="`deploy.py deploy` uploads archives before it deploys. Run it again: this one was deleted, or the "
        "bucket is in another region.",
        document="AWS Lambda API Reference, FunctionCode",
        source=Source.REPORT,
        types="AWS::Lambda::Function AWS::Lambda::LayerVersion",
    ),
    signature(
        "lambda-concurrency",
        Cause.QUOTA,
        r"decreases account's UnreservedConcurrentExecution below its minimum",
        meaning="The account's concurrency is too low to reserve any for one function; new accounts begin with 10.",
        remedy="Raise the quota L-B99A9384 (Lambda concurrent executions), or reserve none.",
        document="AWS Lambda Developer Guide, Reserved concurrency",
        source=Source.REPORT,
        types="AWS::Lambda::Function",
    ),
    signature(
        "lambda-permission-exists",
        Cause.NAME,
        r"statement id \(?\S+\)? provided already exists",
        meaning="The function has this permission already, from an earlier try or from outside CloudFormation.",
        remedy="aws lambda remove-permission with that statement id, then deploy again.",
        document="AWS Lambda API Reference, AddPermission",
        source=Source.REPORT,
        types="AWS::Lambda::Permission",
    ),
    signature(
        "bucket-not-empty",
        Cause.DATA,
        r"bucket you tried to delete is not empty|BucketNotEmpty|must delete all versions in the bucket",
        meaning="The bucket still holds objects, perhaps old versions only.",
        remedy="Save what is worth it and empty the bucket, versions included; then run `deploy.py destroy` again. "
        "EmptyBucketOnDelete=true does it for the site's own bucket.",
        document="Amazon S3 User Guide, Emptying a bucket",
        source=Source.REPORT,
        types="AWS::S3::Bucket",
    ),
    signature(
        "bucket-exists",
        Cause.NAME,
        r"BucketAlreadyExists|BucketAlreadyOwnedByYou|requested bucket name is not available|"
        r"(?P<bucket>[a-z0-9][a-z0-9.-]{2,62}) already exists(?: in stack)?",
        meaning="The bucket's name is taken; bucket names are one space for all accounts.",
        remedy="When it is yours, kept by an earlier environment: save its data and delete it, or import it into the "
        "stack.",
        document="Amazon S3 User Guide, Bucket naming rules",
        source=Source.REPORT,
        types="AWS::S3::Bucket",
    ),
    signature(
        "bucket-conflict",
        Cause.THROTTLING,
        r"conflicting conditional operation is currently in progress|OperationAborted",
        meaning="S3 is still busy with a bucket of the same name, mostly one deleted a moment ago.",
        remedy="Wait a few minutes and deploy again.",
        document="Amazon S3 API Reference, Error responses",
        source=Source.REPORT,
        types="AWS::S3::*",
    ),
    signature(
        "bucket-quota",
        Cause.QUOTA,
        r"TooManyBuckets|attempted to create more buckets than allowed",
        meaning="The account's quota of buckets is used up.",
        remedy="Raise the quota L-DC2B2D3D (General purpose buckets).",
        document="Amazon S3 User Guide, Bucket restrictions and limitations",
        source=Source.DOCUMENT,
        types="AWS::S3::Bucket",
    ),
    signature(
        "repository-not-empty",
        Cause.DATA,
        r"repository with name '?"
        r"(?P<name>\S+?)'? in registry with id '?\d+'? cannot be deleted because it still contains images",
        meaning="The repository {name} still holds images.",
        remedy="Bootstrap is shared and meant to stay. When it has to go, delete the images first.",
        document="Amazon ECR User Guide, Deleting a repository",
        source=Source.DOCUMENT,
        types="AWS::ECR::Repository",
    ),
    signature(
        "throttled",
        Cause.THROTTLING,
        r"Rate exceeded|exceeded the rate|HandlerErrorCode: Throttling|RequestLimitExceeded|ThrottlingException|"
        r"Too Many Requests",
        meaning="The account sends more requests to a service than the service accepts.",
        remedy="Deploy again; the deployment continues from here. If it happens often, look for other tools that "
        "poll the account.",
        document="AWS General Reference, API throttling",
        source=Source.REPORT,
        general=True,
    ),
    signature(
        "internal-failure",
        Cause.AWS,
        r'^(?!.*message: "null").*'
        r"(?:Internal ?Failure|HandlerErrorCode: (?:InternalFailure|ServiceInternalError|NetworkFailure)|"
        r"ServiceUnavailable|"
        r"internal error (?:has )?occurred)",
        meaning="The service reports an error of its own.",
        remedy="Deploy again; when it fails the same way, look at the AWS Health Dashboard.",
        document="AWS CloudFormation CLI User Guide, Handler error codes",
        source=Source.DOCUMENT,
        general=True,
    ),
    signature(
        "not-stabilized",
        Cause.AWS,
        r"HandlerErrorCode: (?:NotStabilized|ServiceTimeout)|did not stabilize|Exceeded attempts to wait|"
        r"failed to stabilize",
        meaning="The resource was created, but did not become ready in the time that CloudFormation waits.",
        remedy="Look at the resource in its own console, then deploy again: the deployment continues from here.",
        document="AWS CloudFormation CLI User Guide, Handler error codes",
        source=Source.DOCUMENT,
        general=True,
    ),
    signature(
        "cancelled-by-request",
        Cause.INPUT,
        r"(?:Update|Operation) cancel+ed by (?:user|request)|User Initiated cancel",
        meaning="The update was cancelled on request.",
        remedy="Nothing has to be corrected: CloudFormation rolls the update back.",
        document="AWS CloudFormation User Guide, Cancel a stack update",
        source=Source.KNOWN,
    ),
    signature(
        "function-package",
        Cause.INPUT,
        r"must be a non-empty zip|Could not unzip|(?:Unzipped size must be|combined with layers exceeds)|"
        r"Source image \S+ is not valid|due to InvalidImage",
        meaning="Lambda refuses the code package or image of the function: empty, too large or of an unsupported "
        "format.",
        remedy="`deploy.py package` builds the packages and prints their sizes; the limit is 250 MB unzipped. Build "
        "images with docker buildx build --provenance=false.",
        document="AWS Lambda Developer Guide, Lambda quotas",
        source=Source.REPORT,
        types="AWS::Lambda::*",
    ),
    signature(
        "custom-resource-answer",
        Cause.CODE,
        r"Vendor response doesn't contain|Response (?:object is too long|is not valid|format is)|"
        r"Invalid PhysicalResourceId",
        meaning="The function of the custom resource sent an answer that CloudFormation cannot use.",
        remedy="The answer needs Status, PhysicalResourceId, StackId, RequestId and LogicalResourceId within 4 KB. "
        "Read the function's log: `deploy.py logs`.",
        document="AWS CloudFormation User Guide, Custom resource response objects",
        source=Source.DOCUMENT,
    ),
    signature(
        "bucket-notification",
        Cause.PERMISSION,
        r"Unable to validate the following destination configurations",
        meaning="S3 may not send events to the queue, topic or function of the notification.",
        remedy="The policy of the destination has to allow s3.amazonaws.com and has to exist before the bucket: add a "
        "DependsOn to the bucket.",
        document="Amazon S3 User Guide, Granting permissions to publish event notifications",
        source=Source.REPORT,
    ),
    signature(
        "bucket-acl",
        Cause.INPUT,
        r"bucket does not allow ACLs|AccessControlListNotSupported|Bucket cannot have ACLs",
        meaning="The bucket has ACLs disabled, which is the default.",
        remedy="Replace the ACL with a bucket policy, or set ObjectOwnership to BucketOwnerPreferred.",
        document="Amazon S3 User Guide, Controlling ownership of objects",
        source=Source.REPORT,
        types="AWS::S3::* AWS::CloudFront::*",
    ),
)
