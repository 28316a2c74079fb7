"""Failures that most services report in the same words.

They are consulted when no specific signature matches. The first match counts.
"""

from __future__ import annotations

from hosting.deployer.failures.signature import Cause, Source, signature

SIGNATURES = (
    signature(
        "deletion-protected",
        Cause.DATA,
        r"deletion protection is (?:enabled|active|on)|TerminationProtection is enabled|Cannot delete protected",
        meaning="The resource is protected against deletion.",
        remedy="`deploy.py destroy -e ENV --unprotect` removes the protection, when the data may go.",
        document="Amazon Aurora User Guide, Deletion protection",
        source=Source.REPORT,
        general=True,
    ),
    signature(
        "key-unusable",
        Cause.KEY,
        r"Service: (?:AWS)?Kms\b.*(?:NotFound|AccessDenied|Disabled|InvalidState)|"
        r"customer master key that does not exist|can't decrypt .*KMS key|"
        r"KMS key (?:is invalid|\S+ does not exist|is not accessible)|"
        r"arn:aws[\w-]*:kms:\S+ (?:does not exist|is not (?:enabled|accessible))",
        meaning="The KMS key does not exist, is disabled, or its policy does not allow the caller.",
        remedy="aws kms describe-key --key-id KEY shows the state; the key policy has to allow the service and the "
        "role that deploys.",
        document="AWS KMS Developer Guide, Troubleshooting key access",
        source=Source.REPORT,
        general=True,
    ),
    signature(
        "access-denied",
        Cause.PERMISSION,
        r"Access ?Denied|Unauthorized(?:Operation|Exception)|is not authorized to|not authorized to perform|"
        r"(?:doesn't|does not|do not|don't) have (?:the )?permissions?|pass role is not allowed|"
        r"Access to the resource \S+ is denied",
        meaning="AWS denies a call of the deployment. The message names the action or the service.",
        remedy="Find the denied call with aws cloudtrail lookup-events, and allow it to the role that deploys; "
        "`deploy.py policy deploy` writes the policy. For a bucket policy, look at Block Public Access of the account.",
        document="IAM User Guide, Troubleshoot access denied error messages",
        source=Source.REPORT,
        general=True,
    ),
    signature(
        "service-quota",
        Cause.QUOTA,
        r"LimitExceeded|QuotaExceeded|StorageExceeded|\bTooMany(?!Requests)\w+|"
        r"(?:maximum|max) (?:number|amount) of .{1,80}?(?:reached|exceeded)|"
        r"exceed(?:s|ed)? (?:the |your |an? )?(?:account |service )?(?:limit|quota|maximum number)|"
        r"Cannot exceed quota|reached (?:the|your) (?:limit|quota|maximum)|"
        r"limit (?:of|for|on) .{1,60} (?:reached|exceeded)|limit exceeded|quota .{0,40}(?:exceeded|used up)\b(?! by)",
        meaning="A quota of the account or a fixed limit of the service is reached; the message names it.",
        remedy="Search the quota in Service Quotas (aws service-quotas list-service-quotas --service-code CODE) and "
        "request an increase, or delete resources that no stack uses.",
        document="AWS General Reference, AWS service quotas",
        source=Source.REPORT,
        general=True,
    ),
    signature(
        "not-empty",
        Cause.DATA,
        r"(?:is not|isn't) empty|NotEmpty\b|(?:still )?contains (?:images|objects|non-required)",
        meaning="The resource still has content, so it cannot be deleted.",
        remedy="Save what is needed, delete the content, then repeat the command.",
        document="AWS CloudFormation User Guide, Troubleshooting: Delete stack fails",
        source=Source.REPORT,
        general=True,
    ),
    signature(
        "resource-busy",
        Cause.THROTTLING,
        r"concurrent (?:update|modification|operation|request)|ConcurrentModification|"
        r"^(?!.*already exist).*ResourceConflict|Another operation of type|"
        r"(?:operation|update|deployment|modification) (?:is |already )?(?:currently )?in progress|"
        r"OperationInProgress|PriorRequestNotComplete|You must wait \d+|DeletedRecently|try again later|"
        r"(?:isn't|is not) complete\b|is a replicated function",
        meaning="The service is still at work on this resource or on one of the same name.",
        remedy="Wait some minutes, then deploy again. Replicas of an edge function take some hours.",
        document="AWS CloudFormation User Guide, Troubleshooting",
        source=Source.REPORT,
        general=True,
    ),
    signature(
        "resource-state",
        Cause.IN_USE,
        r"Invalid\w*State\b|IncorrectState|is currently (?:creating|deleting|modifying|updating|rebooting|stopp)|"
        r"(?:is|are) not (?:in|currently in) (?:an? |the )?(?:valid |available |active )?state|"
        r"is in (?:an? )?(?:invalid|incorrect|\w+ing|failed|inactive) state|has not been disabled|"
        r"while (?:it|the \w+) is (?:in|being)\b|(?:isn't|is not) available for modification|"
        r"is still (?:Draining|DRAINING|being)",
        meaning="The resource is in a state that does not allow this change.",
        remedy="Wait until it is available (`deploy.py status -e ENV`), then deploy again.",
        document="AWS CloudFormation User Guide, Troubleshooting",
        source=Source.REPORT,
        general=True,
    ),
    signature(
        "name-taken",
        Cause.NAME,
        r"already exist|AlreadyExists|same name '\S+' exists|already been used|already (?:has|uses) this name|"
        r"already (?:been )?(?:configured|associated|registered|defined|assigned|attached)|"
        r"(?:name|identifier|alias) (?:\S+ )?(?:is|has been) (?:already )?(?:taken|in use|used)|"
        r"Duplicate(?:\w*Exception| names)",
        meaning="A resource of this name exists, and this stack does not own it. If the update replaces a resource "
        "with a fixed name, the old one still has the name.",
        remedy="aws cloudformation describe-stack-resources --physical-resource-id NAME names the stack that owns it. "
        "Delete, rename or import the resource, then deploy again.",
        document="AWS CloudFormation User Guide, Import existing resources into a stack",
        source=Source.REPORT,
        general=True,
    ),
    signature(
        "still-in-use",
        Cause.IN_USE,
        r"\bin use\b|ResourceInUse|still (?:using|used|attached|associated|referenced|contains)|DependencyViolation|"
        r"DeleteConflict|cannot be (?:deleted|removed|detached)|has (?:a )?dependen(?:t|cies)|"
        r"must (?:detach|disassociate|remove) ",
        meaning="Another resource still uses this one, so it cannot be deleted or changed.",
        remedy="The message names the user, or its console page does. Remove the reference, then repeat the command.",
        document="AWS CloudFormation User Guide, Troubleshooting: Delete stack fails",
        source=Source.REPORT,
        general=True,
    ),
    signature(
        "policy-malformed",
        Cause.INPUT,
        r"MalformedPolicy|Syntax errors? in policy|failed legacy parsing|Policy has invalid|"
        r"polic(?:y|ies) (?:document )?(?:is|are) (?:malformed|invalid|not valid)|"
        r"(?:value for the parameter|Invalid parameter:) Policy|invalid (?:elements|actions?|resources?)\b|"
        r"condition block must be present|Invalid policy",
        meaning="The service cannot read the policy: an element, action, resource or condition is invalid.",
        remedy="`deploy.py security` checks policies offline. An unresolved ${...} or an empty ARN in the policy is a "
        "frequent cause.",
        document="IAM User Guide, IAM JSON policy elements reference",
        source=Source.REPORT,
        general=True,
    ),
    signature(
        "tag-value",
        Cause.INPUT,
        r"Invalid tags?\b|Tag parameters are invalid|tags?\.\d+\.member|"
        r"[Tt]ag (?:key|value|name)s? .{0,60}(?:invalid|not valid|not allowed|only contain|pattern)",
        meaning="A tag has a character or a length that this service does not allow.",
        remedy="Use letters, digits, spaces and _ . : / = + - @ in the tags of the parameter file.",
        document="AWS Tagging AWS Resources User Guide, Tag naming limits",
        source=Source.REPORT,
        general=True,
    ),
    signature(
        "not-found",
        Cause.INPUT,
        r"(?:does|do|did) not exist|(?:doesn't|don't|didn't) exist|\bnot found\b|NotFound|NoSuch\w+|NonExistent\w+|"
        r"(?:cannot|can't|could not|couldn't) (?:be found|find)|Unable to (?:find|locate)|no ACTIVE \w+|"
        r"No \w+(?: \w+)? (?:found|registered|named)|is not attachable",
        meaning="A resource that this one names does not exist in this account and region.",
        remedy="`deploy.py drift -e ENV` shows resources that were deleted outside CloudFormation. Otherwise correct "
        "the id or ARN: account, region and spelling.",
        document="AWS CloudFormation User Guide, Detect unmanaged configuration changes",
        source=Source.REPORT,
        general=True,
    ),
    signature(
        "no-reason-given",
        Cause.INPUT,
        r"Error occurred during operation '(?!ECS Deployment)(?P<operation>[^']+)'|"
        r"Internal error reported from downstream service|status FAILED: null|"
        r'returned message: "(?:null)?" \(RequestToken',
        meaning="The service gave no reason. A missing or invalid property is the usual cause; throttling is another.",
        remedy="CloudTrail has the error of the call: aws cloudtrail lookup-events --lookup-attributes "
        "AttributeKey=ResourceType,AttributeValue=TYPE. Deploy again once if it shows a throttling.",
        document="AWS CloudTrail User Guide, Viewing CloudTrail events",
        source=Source.REPORT,
        general=True,
    ),
    signature(
        "value-refused",
        Cause.INPUT,
        r"failed to satisfy constraint|validation errors? detected|\bInvalid (?!request)\w+|"
        r"(?:is|are|was|isn't|aren't) (?:not )?(?:an? )?(?:invalid|valid|supported|permitted|allowed|"
        r"compatible|unavailable)\b|incompatible with|"
        r"can ?not (?:be (?:null|empty|blank|used|greater|less|smaller|larger|longer|shorter|specified|attached|"
        r"combined|set|enabled|disabled)|contain|end|start|begin|exceed|have)\b|"
        r"can't (?:contain|be (?:empty|used|set))|"
        r"\bmust (?:not )?\w+|(?:is|are) required\b|(?:doesn't|does not|don't|do not|isn't|not) support(?:ed)?\b|"
        r"(?:supported|allowed|available) only|no longer supported|"
        r"(?:is|are) too (?:large|long|big|small|short|many)|exceeds? the (?:maximum|allowed)|"
        r"expected (?:max|min)Length|(?:does|do) not (?:belong|match)|At least one of|reserved word|"
        r"can only (?:be|have|contain|use)|[Oo]nly (?:the )?\S+ .{0,60}can be|"
        r"requires? (?:both|task|at least|that|an? )|is (?:less|greater) than|(?:did|does) not (?:have|refer)|"
        r"syntax error|belong to different|not in the same VPC|Cannot attach|exceed(?:s|ed) the \d+|Unable to update|"
        r"Unexpected number of|[Cc]annot (?!be\b|find\b)\w+|(?:is|are) not (?:associated|available|enabled|configured|"
        r"defined|registered|an?|in|within|part|equal|unique)\b|\b(?:at least|at most|no more than|limited to|"
        r"between) \d|"
        r"(?:should|needs? to|has to|have to) (?:be|have|match)\b|"
        r"Error Code: (?:Invalid(?:Parameter|Input|Argument|Config|Value)\w*|ValidationException)",
        meaning="The service refuses a value or a combination of values; the message names the rule.",
        remedy="Correct the parameter in params/, or the property in the generator, as the message demands. "
        "`deploy.py validate` checks the result offline.",
        document="AWS CloudFormation User Guide, Resource and property types reference",
        source=Source.REPORT,
        general=True,
    ),
    signature(
        "timed-out",
        Cause.AWS,
        r"\btimed out\b|\btime-?out\b(?! ?[:=])",
        meaning="The operation did not finish in the time that the service or CloudFormation waits.",
        remedy="Look at the resource in the console of its service, then deploy again.",
        document="AWS CloudFormation CLI User Guide, Handler error codes",
        source=Source.REPORT,
        general=True,
    ),
)
