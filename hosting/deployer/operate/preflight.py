"""Checks before the first deployment, which would otherwise fail after forty minutes. They only read from AWS.

Each check is independent: a check without permission has a result too, and the others continue.
"""

from __future__ import annotations

import urllib.error
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from botocore.exceptions import ClientError

from hosting.deployer import workload_secrets
from hosting.deployer.aws import lookups, stacks
from hosting.deployer.context import Context
from hosting.deployer.operate import images, quotas
from hosting.deployer.operate.checklist import (
    Check,
    create_check,
    ok,
    problem,
    run_check,
    unknown,
)
from hosting.deployer.operate.images import Fetch, ImageMissingError
from hosting.model.stack_order import EDGE_REGION, StackRole
from hosting.model.templates import Template
from hosting.model.workload_secrets import SecretSource

# AWS Chatbot has no endpoint in most regions. This one returns the data of the whole account.
_CHATBOT_REGION = "us-east-2"
_ENGINE = "aurora-mysql"


@dataclass(frozen=True)
class LinkedRole:
    """Service-linked role, which a service creates at its first use if the caller has the permission."""

    name: str
    service: str


DATABASE_ROLE = LinkedRole("AWSServiceRoleForRDS", "rds.amazonaws.com")
LINKED_ROLES = (
    LinkedRole("AWSServiceRoleForECS", "ecs.amazonaws.com"),
    LinkedRole("AWSServiceRoleForElasticLoadBalancing", "elasticloadbalancing.amazonaws.com"),
    DATABASE_ROLE,
    LinkedRole("AWSServiceRoleForApplicationAutoScaling_ECSService", "ecs.application-autoscaling.amazonaws.com"),
    LinkedRole("AWSServiceRoleForWAFV2Logging", "wafv2.amazonaws.com"),
)
SLACK_ROLE = LinkedRole("AWSServiceRoleForAWSChatbot", "management.chatbot.amazonaws.com")


def run_checks(context: Context, *, fetch: Fetch = images.fetch_over_https) -> Iterator[Check]:
    """Yield the result of every check as soon as it is known."""
    values = resolve_parameters(context)
    checks = [
        *_references(context, values),
        *_roles(context, values),
        *_images(context, values, fetch),
        ("secrets", "values", partial(check_secrets, context)),
    ]
    yield from _account(context)
    # The checks run at the same time, because each only waits for AWS. The results have a fixed order for the
    # reader.
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda one: list(run_check(*one)), [*checks, *_quotas(context, values)]):
            yield from found


Job = tuple[str, str, Callable[[], Iterable[Check]]]


def _references(context: Context, values: Mapping[str, str]) -> list[Job]:
    database: list[Job] = [
        ("database", "engine version", partial(_engine, context, values)),
        ("database", "exported logs", partial(_exports, context, values)),
    ]
    return [
        ("zones", "availability zones", partial(_zones, context, values)),
        ("network", "CloudFront's addresses", partial(_prefix_list, context)),
        *(database if _has_database(context) else []),
        ("domain", "certificates", partial(_certificates, context, values)),
        ("domain", "hosted zone", partial(_hosted_zone, context, values)),
        ("slack", "workspace", partial(_slack, context, values)),
    ]


def _roles(context: Context, values: Mapping[str, str]) -> list[Job]:
    wanted = (*LINKED_ROLES, *((SLACK_ROLE,) if values.get("SlackWorkspaceId") else ()))
    return [
        ("roles", role.name, partial(_linked_role, context, role))
        for role in wanted
        if role != DATABASE_ROLE or _has_database(context)
    ]


def _has_database(context: Context) -> bool:
    return "database" not in context.template(context.stack(StackRole.ROOT)).without


def _images(context: Context, values: Mapping[str, str], fetch: Fetch) -> list[Job]:
    return [
        ("images", name, partial(_image, context, name, image, values["CpuArchitecture"], fetch))
        for name, image in lookups.select_images(values, values).items()
    ]


def resolve_parameters(context: Context) -> dict[str, str]:
    """Return the values of the root's parameters from the parameter file and the template."""
    declared = context.template(context.stack(StackRole.ROOT)).parameters
    values = {name: one.default for name, one in declared.items() if one.default is not None}
    return values | dict(context.environment.file.values)


def create_linked_role(context: Context, service: str) -> None:
    """Create a service-linked role. One that exists already is no error."""
    try:
        context.clients.iam(context.home).create_service_linked_role(AWSServiceName=service)
    except ClientError as error:
        # The first use of the service may have created the role in the meantime.
        message = error.response.get("Error", {}).get("Message", "")
        if "has been taken in this account" not in message:
            raise


# --- account


def _account(context: Context) -> Iterator[Check]:
    identity, file = context.identity, context.environment.file
    yield ok("account", "credentials", identity.arn)
    if file.account:
        yield ok("account", "the environment's own account", identity.account)
    else:
        remedy = f'add "Account": "{identity.account}" to {file.path} to prevent a deployment to another account'
        yield problem("account", "the environment's own account", "the parameter file has no Account", remedy)
    yield from run_check("account", "regions", partial(_regions, context))


def _regions(context: Context) -> Iterator[Check]:
    wanted = list(dict.fromkeys((context.home, EDGE_REGION)))
    answer = context.clients.ec2(context.home).describe_regions(AllRegions=True, RegionNames=wanted)
    states = {one["RegionName"]: one.get("OptInStatus", "") for one in answer["Regions"]}
    for region in wanted:
        state = states.get(region, "unknown to AWS")
        usable = state in {"opt-in-not-required", "opted-in"}
        yield create_check("account", f"region {region}", usable, state, "enable the region in the account's settings")


def _linked_role(context: Context, role: LinkedRole) -> Iterator[Check]:
    try:
        context.clients.iam(context.home).get_role(RoleName=role.name)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "NoSuchEntity":
            raise
        remedy = f"aws iam create-service-linked-role --aws-service-name {role.service}  (or preflight --create-roles)"
        yield problem("roles", role.name, "does not exist yet", remedy, offer=role.service)
    else:
        yield ok("roles", role.name)


# --- resources that the parameters refer to


def _zones(context: Context, values: Mapping[str, str]) -> Iterator[Check]:
    answer = context.clients.ec2(context.home).describe_availability_zones()
    states = {one["ZoneName"]: one.get("State", "") for one in answer["AvailabilityZones"]}
    usable = ", ".join(sorted(name for name, state in states.items() if state == "available"))
    wanted = [values.get("FirstZone", ""), values.get("SecondZone", "")]
    for name in wanted:
        seen = states.get(name, f"not a zone of this account in {context.home}")
        yield create_check("zones", name, seen == "available", seen, f"use one of {usable}")
    if len(set(wanted)) < len(wanted):
        yield problem("zones", "two different zones", f"both are {wanted[0]}", f"use two of {usable}")


def _prefix_list(context: Context) -> Iterator[Check]:
    yield ok(
        "network",
        "CloudFront's addresses",
        lookups.find_prefix_list_id(context.clients.ec2(context.home), context.home),
    )


def _engine(context: Context, values: Mapping[str, str]) -> Iterator[Check]:
    version, kind = values["DbEngineVersion"], values["DbInstanceClass"]
    client = context.clients.rds(context.home)
    pages = client.get_paginator("describe_orderable_db_instance_options").paginate(
        Engine=_ENGINE, EngineVersion=version, DBInstanceClass=kind
    )
    try:
        offers = [offer for page in pages for offer in page["OrderableDBInstanceOptions"]]
    except ClientError as error:
        # This is the answer of RDS for an unknown version.
        if error.response.get("Error", {}).get("Code") != "InvalidParameterCombination":
            raise
        offers = []
    what = f"{kind} with {_ENGINE} {version}"
    if not offers:
        found = client.describe_db_engine_versions(Engine=_ENGINE)["DBEngineVersions"]
        major = version.rpartition(".")[0]
        known = sorted(one["EngineVersion"] for one in found if one["EngineVersion"].startswith(major))
        remedy = f"set DbEngineVersion to one of {', '.join(known)}" if known else "use another DbInstanceClass"
        yield problem("database", what, "not available in this region", remedy)
        return
    zones = {zone["Name"] for offer in offers for zone in offer.get("AvailabilityZones", ())}
    wanted = [values["FirstZone"]]
    if values.get("DbReader") == "true":
        wanted.append(values["SecondZone"])
    missing = [zone for zone in wanted if zones and zone not in zones]
    seen = f"not in {', '.join(missing)}" if missing else f"offered in {', '.join(wanted)}"
    yield create_check("database", what, not missing, seen, f"use zones of {', '.join(sorted(zones))}")


def _exports(context: Context, values: Mapping[str, str]) -> Iterator[Check]:
    """Check the exported logs. A log type that the version does not support fails only when the cluster is created."""
    wanted = {
        log
        for template in context.environment.templates.values()
        for resource in template.resources.values()
        if resource["Type"] == "AWS::RDS::DBCluster"
        for log in resource["Properties"].get("EnableCloudwatchLogsExports", ())
    }
    version = values["DbEngineVersion"]
    client = context.clients.rds(context.home)
    found = client.describe_db_engine_versions(Engine=_ENGINE, EngineVersion=version)["DBEngineVersions"]
    if not found:
        return  # the check of the version reports this
    what = f"logs exported by {version}"
    missing = sorted(wanted - {log for one in found for log in one.get("ExportableLogTypes", ())})
    seen = f"not {', '.join(missing)}" if missing else ", ".join(sorted(wanted))
    yield create_check(
        "database", what, not missing, seen, "remove them from EXPORTED_LOGS in generator/layers/database.py"
    )


def _certificates(context: Context, values: Mapping[str, str]) -> Iterator[Check]:
    domain = values.get("DomainName", "")
    hosts = context.template(context.stack(StackRole.ROOT)).host_names(values)
    wanted = (
        # Documents differ on which of the two CloudFront compares with the origin's certificate.
        ("OriginCertificateArn", context.home, (f"origin.{domain}", *hosts)),
        ("ViewerCertificateArn", EDGE_REGION, hosts),
    )
    for name, region, names in wanted:
        arn = values.get(name, "")
        if not arn or arn == "none":
            continue
        if arn.split(":")[3] != region:
            yield problem("domain", name, f"it is in {arn.split(':')[3]}", f"use a certificate of {region}")
            continue
        try:
            found = context.clients.acm(region).describe_certificate(CertificateArn=arn)["Certificate"]
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ResourceNotFoundException":
                raise
            yield problem("domain", name, "the certificate does not exist", f"check ACM in {region}")
            continue
        status, covered = found.get("Status", ""), found.get("SubjectAlternativeNames", [])
        good = status == "ISSUED" and (not domain or all(is_covered(covered, host) for host in names))
        seen = f"{status}, for {', '.join(covered)}"
        remedy = f"use an issued certificate for {' and '.join(names)}" if domain else "use an issued certificate"
        yield create_check("domain", name, good, seen, remedy)
    if not domain:
        yield ok(
            "domain", "certificates", "no domain: the one of CloudFront, and a self-signed one that deploy.py imports"
        )


def is_covered(names: Sequence[str], host: str) -> bool:
    """Return whether a certificate's names include a host. A wildcard matches exactly one label."""
    parent = "*." + host.partition(".")[2]
    return any(name.lower() in {host.lower(), parent.lower()} for name in names)


def _hosted_zone(context: Context, values: Mapping[str, str]) -> Iterator[Check]:
    zone, domain = values.get("HostedZoneId", ""), values.get("DomainName", "")
    if not zone:
        return
    found = lookups.find_hosted_zone(context.clients.route53(context.home), zone)
    if found is None:
        yield problem("domain", f"hosted zone {zone}", "not in this account", "correct HostedZoneId")
        return
    what = f"hosted zone {zone}"
    if found.is_private:
        yield problem("domain", what, f"{found.name} is private", "use the public zone of this name")
        return
    hint = f"{domain} does not belong to it: correct HostedZoneId or DomainName"
    yield create_check("domain", what, found.contains(domain), found.name, hint)


def _slack(context: Context, values: Mapping[str, str]) -> Iterator[Check]:
    wanted = values.get("SlackWorkspaceId", "")
    if not wanted:
        yield ok("slack", "workspace", "Slack is not configured")
        return
    answer = context.clients.chatbot(_CHATBOT_REGION).describe_slack_workspaces()
    what = f"workspace {wanted}"
    found = next((one for one in answer.get("SlackWorkspaces", ()) if one["SlackTeamId"] == wanted), None)
    if found is None:
        remedy = "authorise it in the console: Amazon Q Developer in chat applications, Configure new client, Slack"
        yield problem("slack", what, "not authorised in this account", remedy)
        return
    if found.get("State") == "DISABLED":
        remedy = "allow it in the chat applications policy of the organization"
        yield problem("slack", what, found.get("StateReason") or "disabled", remedy)
        return
    yield ok("slack", what, found.get("SlackTeamName") or "authorised")


# --- images


def _image(context: Context, name: str, image: str, architecture: str, fetch: Fetch) -> Iterator[Check]:
    reference = images.parse_image(image)
    if reference is None:
        yield problem("images", name, f"{image} is not registry/name@sha256:...", "write the digest of the image")
        return
    try:
        if reference.account:
            platforms = images.read_ecr_platforms(context.clients.ecr(reference.region), reference, fetch)
        else:
            platforms = images.read_public_platforms(reference, fetch)
    except ImageMissingError as error:
        first = f"deploy.py deploy -e {context.environment.name} --through bootstrap"
        remedy = f"push it and write its digest to the parameter file; this creates the repositories: {first}"
        yield problem("images", name, error.what, remedy if reference.account else "correct its digest")
        return
    except (urllib.error.URLError, OSError, ValueError, KeyError) as error:
        yield unknown("images", name, f"{reference.registry} does not answer like a registry ({error})")
        return
    wanted = f"linux/{images.ARCHITECTURES.get(architecture, architecture)}"
    seen = ", ".join(sorted(platforms))
    yield create_check("images", name, wanted in platforms, seen, f"build it for {wanted}, or change CpuArchitecture")


# --- secrets


def check_secrets(context: Context) -> Iterator[Check]:
    """Yield one check for each secret of a workload. Before the platform is deployed there is none to set."""
    root = context.stack(StackRole.ROOT)
    state = stacks.describe_stack(context.clients.cloudformation(root.region), root.name)
    for secret in workload_secrets.describe_secrets(context, state):
        name, declared = secret.declared.name, secret.declared
        if secret.has_value:
            yield ok("secrets", name, "generated" if declared.source is SecretSource.GENERATED else "has a value")
        elif secret.arn:
            yield problem("secrets", name, "no value", workload_secrets.set_command(context, declared))
        elif retained := workload_secrets.find_retained(context, declared):
            remedy = workload_secrets.replace_retained(context, declared, retained)
            yield problem("secrets", name, f"{retained} exists from an earlier environment", remedy)
        elif declared.source is SecretSource.GENERATED:
            yield ok("secrets", name, "`deploy.py deploy` creates it with a value")
        else:
            command = workload_secrets.set_command(context, declared)
            yield ok("secrets", name, f"`deploy.py deploy` creates it without a value, and asks for: {command}")


# --- quotas


def _quotas(context: Context, values: Mapping[str, str]) -> list[Job]:
    root = context.template(context.stack(StackRole.ROOT))
    needed = quotas.count_demand(root, context.environment.templates)
    return [
        *(
            ("quotas", quota.name, partial(_quota, context, quota, -(-needed[quota.type] // quota.zones)))
            for quota in quotas.QUOTAS
            if needed[quota.type]
        ),
        ("quotas", "Fargate vCPUs", partial(_fargate, context, root, values)),
    ]


def _quota(context: Context, quota: quotas.Quota, needed: int) -> Iterator[Check]:
    region = quota.region or context.home
    limit = quotas.read_quota(context.clients.service_quotas(region), quota.service, quota.code)
    used = quotas.count_used(context.clients, region, quota.type)
    # Resources of a deployed environment are already in use.
    root = context.stack(StackRole.ROOT)
    counted = (
        used is not None and stacks.describe_stack(context.clients.cloudformation(root.region), root.name) is not None
    )
    wanted = (used or 0) + (0 if counted else needed)
    there = "" if used is None else f", {used} in use"
    seen = f"{needed} needed{there}, {limit:.0f} allowed"
    remedy = f"request {wanted} in Service Quotas ({quota.service} {quota.code}, {region})"
    yield create_check("quotas", quota.name, wanted <= limit, seen, remedy)


def _fargate(context: Context, root: Template, values: Mapping[str, str]) -> Iterator[Check]:
    """Check the vCPU quota. New accounts have a low one, and a deployment beyond it waits without a message."""
    needed = quotas.calculate_vcpus(root, values)
    limit = quotas.read_quota(context.clients.service_quotas(context.home), *quotas.FARGATE)
    seen = f"{needed:g} needed while all services are deployed at once and each job runs, {limit:g} allowed"
    remedy = f"request at least {needed:g} in Service Quotas ({' '.join(quotas.FARGATE)}, {context.home})"
    yield create_check("quotas", "Fargate vCPUs", needed <= limit, seen, remedy)
