"""Templates, parameters, exports and stack states: what CloudFormation itself refuses."""

from __future__ import annotations

from hosting.deployer.failures.signature import Cause, Source, signature

SIGNATURES = (
    signature(
        "parameters-missing",
        Cause.INPUT,
        r"Parameters: \[(?P<names>[^\]]+)\] must have values|"
        r"Parameters: \[(?P<unknown>[^\]]+)\] do not exist in the template",
        meaning="The parameters that a stack receives differ from those of its template: {names}.",
        remedy="`deploy.py generate` writes parent and nested templates together; `deploy.py params check` names what "
        "a parameter file lacks.",
        document="AWS CloudFormation User Guide, Parameters",
        source=Source.REPORT,
    ),
    signature(
        "template-invalid",
        Cause.INPUT,
        r"Template (?:format |validation )?error:(?! ?Number of)|Transform \S+ failed with|"
        r"Unresolved resource dependencies|Circular dependency between resources|Unresolved condition dependency",
        meaning="The template itself is wrong; the message names the resource, output or function.",
        remedy="`deploy.py validate` finds the place. Correct it in the generator and run `deploy.py generate`.",
        document="AWS CloudFormation User Guide, Troubleshooting: Template validation error",
        source=Source.REPORT,
    ),
    signature(
        "template-too-large",
        Cause.QUOTA,
        r"Template (?:may|must) not exceed|is greater than maximum allowed|"
        r"Limit on the number of (?:resources|outputs|parameters|mappings)|'templateBody' failed to satisfy",
        meaning="The template exceeds a limit of CloudFormation: 1 MB, 500 resources, 200 parameters or 200 outputs.",
        remedy="Move resources of the layer to a nested stack of their own in the generator.",
        document="AWS CloudFormation User Guide, AWS CloudFormation quotas",
        source=Source.DOCUMENT,
    ),
    signature(
        "parameter-invalid",
        Cause.INPUT,
        r"Parameter '?(?P<name>\w+)'? (?:must|failed|does not)|Parameter validation failed",
        meaning="A parameter does not satisfy its type, pattern or list of allowed values.",
        remedy="`deploy.py params check` names the parameter and the rule. Correct it in the parameter file.",
        document="AWS CloudFormation User Guide, Parameters",
        source=Source.DOCUMENT,
    ),
    signature(
        "hook-refused",
        Cause.PERMISSION,
        r"hook\(s\)(?:/validation)? failed: \[(?!AWS::EarlyValidation)(?P<hooks>[^\]]+)",
        meaning="A hook of the account or organization refuses the change: {hooks}.",
        remedy="aws cloudformation describe-events --change-set-name ARN gives the reason of the hook. Satisfy the "
        "rule, or ask the owner of the hook.",
        document="AWS CloudFormation User Guide, AWS CloudFormation Hooks",
        source=Source.DOCUMENT,
    ),
    signature(
        "property-schema",
        Cause.INPUT,
        r"[Uu]nsupported property|(?:Properties|Model) validation failed|extraneous key \[|"
        r"failed validation constraint for keyword \[|required key \[\S+\] not found",
        meaning="A property does not match the schema of the resource type; the message gives its path.",
        remedy="Compare the value with the resource's page: allowed keys, type, pattern and length. Correct the "
        "parameter, or the property in the generator.",
        document="AWS CloudFormation User Guide, Resource and property types reference",
        source=Source.REPORT,
    ),
    signature(
        "capabilities-missing",
        Cause.PERMISSION,
        r"Requires capabilities ?: ?\[(?P<names>[^\]]+)\]",
        meaning="The deployment does not acknowledge {names}, which the template needs.",
        remedy="Deploy with `deploy.py deploy`, which acknowledges IAM resources and nested stacks; aws "
        "cloudformation needs --capabilities {names}.",
        document="AWS CloudFormation User Guide, Acknowledging IAM resources in templates",
        source=Source.REPORT,
    ),
    signature(
        "ssm-parameter-missing",
        Cause.INPUT,
        r"Unable to fetch parameters \[(?P<names>[^\]]+)\] from parameter store|"
        r"SSM parameter\S* (?P<path>/\S+) (?:does not exist|not found)",
        meaning="The Systems Manager parameter {names} does not exist in this account and region.",
        remedy="Create it with aws ssm put-parameter, or correct its name in the parameter file.",
        document="AWS CloudFormation User Guide, Systems Manager parameter types",
        source=Source.DOCUMENT,
    ),
    signature(
        "export-in-use",
        Cause.IN_USE,
        r"Export (?P<name>\S+) cannot be (?:deleted|updated) as it is in use by (?P<stack>[\w-]+)|"
        r"Cannot delete export (?P<other>\S+)",
        meaning="The stack {stack} imports the exported value, so the value cannot change.",
        remedy="aws cloudformation list-imports --export-name NAME lists the stacks. Deploy them without the import "
        "first.",
        document="AWS CloudFormation User Guide, Get exported outputs from a deployed stack",
        source=Source.REPORT,
    ),
    signature(
        "export-taken",
        Cause.NAME,
        r"Export with name (?P<name>\S+) is already exported by stack (?P<stack>[\w-]+)",
        meaning="The stack {stack} exports {name} already; the names of exports are unique in a region.",
        remedy="Choose another export name, or delete the stack that has it.",
        document="AWS CloudFormation User Guide, Outputs",
        source=Source.REPORT,
    ),
    signature(
        "custom-name-replaced",
        Cause.NAME,
        r"custom-named resource requires replacing(?:\. Rename (?P<name>\S+) and)?",
        meaning="The change replaces {name}. CloudFormation creates the new resource first, and its fixed name is "
        "taken by the old one.",
        remedy="Take the change back, or change the name in the same deployment. `deploy.py diff` marks a replacement "
        "with a fixed name.",
        document="AWS CloudFormation User Guide, Name type",
        source=Source.REPORT,
    ),
    signature(
        "replacement-without-rollback",
        Cause.INPUT,
        r"Replacement type updates not supported on stack with disable-rollback",
        meaning="The stack keeps failed resources (rollback is off), and CloudFormation replaces no resource in this "
        "mode.",
        remedy="`deploy.py recover -e ENV` rolls the stack back; then deploy again.",
        document="AWS CloudFormation User Guide, Choose how to handle failures when provisioning resources",
        source=Source.REPORT,
    ),
    signature(
        "not-updatable",
        Cause.INPUT,
        r"Updates are not allowed (?:for|on) (?:property|\S+)|HandlerErrorCode: NotUpdatable|Updat(?:e|"
        r"ing)(?: of)? \S+ is not supported|is not updatable|Cannot update \S+'s|"
        r"cannot be (?:changed|modified|updated) after (?:creation|the)|[Cc]reate-?[Oo]nly propert",
        meaning="The property can be set at creation only.",
        remedy="Take the change back. Otherwise create the resource under a new logical id and move its data first.",
        document="AWS CloudFormation CLI User Guide, Handler error codes: NotUpdatable",
        source=Source.REPORT,
    ),
    signature(
        "stack-not-updatable",
        Cause.IN_USE,
        r"is in (?P<status>\w+_FAILED|ROLLBACK_COMPLETE|DELETE_COMPLETE|REVIEW_\w+) state and can ?not be updated",
        meaning="The stack is in the state {status}, in which CloudFormation accepts no update.",
        remedy="`deploy.py recover -e ENV` shows the way out of this state.",
        document="AWS CloudFormation User Guide, Stack status codes",
        source=Source.REPORT,
    ),
)
