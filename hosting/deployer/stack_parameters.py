"""The value of every parameter of a stack, and the artifacts that the values refer to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from hosting.deployer import certificate
from hosting.deployer.aws import lookups
from hosting.deployer.aws.stacks import Next
from hosting.deployer.context import Context, States
from hosting.deployer.packaging import artifacts
from hosting.deployer.packaging.artifacts import Artifact, UploadResult
from hosting.model.errors import InputError, Problem
from hosting.model.operation_scope import OperationScope
from hosting.model.stack_order import Stack, StackRole, resolve_upstream_outputs, upstream_stacks
from hosting.model.templates import Template

ORIGIN_CERTIFICATE = "OriginCertificateArn"
BUCKET = "ArtifactBucket"
HOME_REGION = "HomeRegion"

# Placeholder value for a certificate that a plan must not import yet. CloudFormation does not check the ARN before it
# is used.
FUTURE_CERTIFICATE = "00000000-0000-0000-0000-000000000000"


def resolve_parameter_values(
    context: Context, stack: Stack, states: States, *, final: bool, scope: OperationScope
) -> dict[str, str]:
    """Return a value for every parameter of the template. Raises InputError if one is missing.

    With `final=True` the certificate is imported if it does not exist. `scope` selects the services that root deploys.
    """
    template = context.template(stack)
    given: dict[str, str] = {name: p.default for name, p in template.parameters.items() if p.default is not None}
    given |= context.environment.file.values
    given |= artifacts.parameter_values(context.environment.artifacts.get(stack.template, ()))
    given |= find_upstream_outputs(context, stack, states)
    given[HOME_REGION] = context.home
    if lookups.PREFIX_LIST_ID in template.parameters:
        given[lookups.PREFIX_LIST_ID] = lookups.find_prefix_list_id(context.clients.ec2(stack.region), stack.region)
    if _needs_certificate(template, given):
        given[ORIGIN_CERTIFICATE] = _certificate(context, stack, final=final)
    given |= scope.parameters(template)
    values = {name: given[name] for name in template.parameters if name in given}
    if lookups.SERVICE_IS_NEW in template.parameters:
        values.pop(lookups.SERVICE_IS_NEW, None)
        client = context.clients.cloudformation(stack.region)
        ecs = context.clients.ecs(stack.region)
        state = states[stack]
        present = state if state is not None and state.next is not Next.CREATE else None
        values[lookups.SERVICE_IS_NEW] = lookups.find_new_services(client, ecs, template, present, values)
    if missing := [name for name in template.parameters if name not in values]:
        file = context.environment.file.path
        raise InputError([Problem(file, f'missing "{name}" for {template.name}') for name in missing])
    return values


def find_upstream_outputs(context: Context, stack: Stack, states: States) -> dict[str, str]:
    """Return the outputs of earlier stacks that are parameters of this stack."""
    outputs = {one: state.outputs for one, state in states.items() if state is not None}
    return resolve_upstream_outputs(stack, context.chain, outputs)


def find_missing_upstream_stacks(context: Context, stack: Stack, states: States) -> tuple[Stack, ...]:
    """Return the earlier stacks that must be deployed before the parameters of this stack are known."""
    template = context.template(stack)
    needed = set(template.parameters) | ({BUCKET} if template.inline is None else set())
    available = find_upstream_outputs(context, stack, states)
    missing = needed - available.keys()
    return tuple(
        earlier for earlier in upstream_stacks(stack, context.chain) if missing & context.template(earlier).outputs
    )


def check_images(context: Context) -> None:
    """Raise InputError for every image of the account's own registry that does not exist."""
    if found := find_missing_images(context):
        raise InputError(found.values())


def check_hosted_zone(context: Context) -> None:
    """Raise InputError if the hosted zone is not in the account, is private, or is the zone of another domain."""
    file = context.environment.file
    zone = file.values.get("HostedZoneId", "")
    domains = [name for name in map(file.values.get, ("DomainName", "RedirectDomainName")) if name]
    if not zone:
        return
    found = lookups.find_hosted_zone(context.clients.route53(context.home), zone)
    if found is None:
        what, hint = f"hosted zone {zone} is not in account {context.identity.account}", "correct HostedZoneId"
    elif found.is_private:
        what, hint = f"hosted zone {zone} ({found.name}) is private", "write the public zone of this name"
    elif outside := [domain for domain in domains if not found.contains(domain)]:
        what = f"{outside[0]} does not belong to hosted zone {zone} ({found.name})"
        hint = "correct one of the two values"
    else:
        return
    raise InputError([Problem(file.where("HostedZoneId"), f"HostedZoneId: {what}", hint)])


def find_missing_images(context: Context) -> dict[str, Problem]:
    """Return the image parameters whose image is not in the account's own registry."""
    environment = context.environment
    values = dict(environment.file.values)
    root = context.template(context.stack(StackRole.ROOT))
    for name, parameter in root.parameters.items():
        values.setdefault(name, parameter.default or "")
    wanted = {
        name: (environment.file.where(name), image)
        for name, image in lookups.select_images(root.parameters, values).items()
    }
    client = context.clients.ecr(context.home)
    return dict(lookups.find_missing_images(client, context.identity.account, context.home, wanted))


def upload(context: Context, states: States, roles: Iterable[StackRole]) -> Iterator[UploadResult]:
    """Upload the artifacts of these stacks to the buckets of their regions. Skip regions without a bucket."""
    wanted: dict[tuple[str, str], list[Artifact]] = {}
    for stack in (stack for stack in context.chain if stack.role in set(roles)):
        bucket = find_upstream_outputs(context, stack, states).get(BUCKET)
        if bucket is not None:
            items = wanted.setdefault((stack.region, bucket), [])
            items += context.environment.artifacts.get(stack.template, ())
            template = context.template(stack)
            if template.inline is None:
                items.append(Artifact("", template.key, template.data))
    for (region, bucket), items in wanted.items():
        yield from artifacts.upload_artifacts(context.clients.s3(region), bucket, items)


def _needs_certificate(template: Template, given: Mapping[str, str]) -> bool:
    declares = ORIGIN_CERTIFICATE in template.parameters
    return declares and not given.get(ORIGIN_CERTIFICATE) and not given.get("DomainName")


def _certificate(context: Context, stack: Stack, *, final: bool) -> str:
    client = context.clients.acm(stack.region)
    family = context.environment.family
    if final:
        return certificate.ensure(client, family, once=context.clients.acm_once(stack.region), sleep=context.sleep)
    identity = context.identity
    future = f"arn:{identity.partition}:acm:{stack.region}:{identity.account}:certificate/{FUTURE_CERTIFICATE}"
    return certificate.find(client, family) or future
