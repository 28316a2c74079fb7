"""Builds statements for commands of operation: sessions, logs, standalone tasks, the static site.

Each grant names the commands that need it, so a role can be restricted to some commands. No grant contains actions of
CloudFormation's handlers, because these commands change no stack.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from hosting.analysis.errors import AnalysisError
from hosting.analysis.iam_policies.actions import resource_types
from hosting.analysis.iam_policies.arns import Names, build_names
from hosting.analysis.iam_policies.grants import Condition, PolicyStatement
from hosting.analysis.resolve import ResolvedEnvironment, Resource
from hosting.analysis.rules.values import follow, follow_all
from hosting.model.stack_order import EDGE_REGION
from hosting.model.workload_secrets import STACK as SECRETS_STACK

# Roles that `ecs:RunTask` and `ecs:RegisterTaskDefinition` pass to ECS.
_PASSED = ("TaskRoleArn", "ExecutionRoleArn")
DOCUMENT = "AWS-StartPortForwardingSession"
ROTATE = "rotate-origin-secret"
COMMANDS = (
    "status",
    "events",
    "logs",
    "tunnel",
    "exec",
    "run",
    "secrets",
    "site",
    "invalidate",
    "restart",
    "addresses",
    ROTATE,
)


@dataclass(frozen=True)
class Scope:
    """The environment that grants are restricted to."""

    env: ResolvedEnvironment
    names: Names
    containers: tuple[str, ...]  # containers for `exec`; empty means all

    def arns(self, *patterns: str) -> tuple[str, ...]:
        """Return ARNs of the home region, from patterns without "arn:<partition>:"."""
        given = {"home": self.names.home, "account": self.names.account, "name": self.names.family}
        return tuple(f"arn:{self.names.partition}:{pattern.format(**given)}" for pattern in patterns)

    def known(self, action: str, *, edge: bool = False) -> tuple[str, ...]:
        """Return the ARNs of an action from the table of ARNs; with `edge` also those in us-east-1."""
        regions = dict.fromkeys((self.names.home, EDGE_REGION) if edge else (self.names.home,))
        return tuple(
            arn
            for region in regions
            for arn in self.names.for_action(action, resource_types(action), region, self.names.family)
        )

    @property
    def cluster(self) -> tuple[str, ...]:
        return self.arns("ecs:{home}:{account}:cluster/{name}")

    @property
    def tasks(self) -> tuple[str, ...]:
        return self.arns("ecs:{home}:{account}:task/{name}/*")

    def in_cluster(self) -> Condition:
        return {"ArnEquals": {"ecs:cluster": list(self.cluster)}}

    def aliased(self, holder: str, path: str) -> Condition | None:
        """Return a condition on the alias of a key, because KMS generates key ids (AWS KMS, kms:ResourceAliases)."""
        keys = [
            key for item in self.env.of_type(holder) for key in follow_all(self.env, item.get(path), "AWS::KMS::Key")
        ]
        aliases = [
            str(alias.get("AliasName"))
            for alias in self.env.of_type("AWS::KMS::Alias")
            if follow(self.env, alias.get("TargetKeyId")) in keys
        ]
        return {"ForAnyValue:StringEquals": {"kms:ResourceAliases": sorted(aliases)}} if aliases else None

    def task_roles(self) -> tuple[str, ...]:
        return tuple(sorted({self._role(role) for role in self._roles()}))

    def _roles(self) -> Iterator[Resource]:
        for task in self.env.of_type("AWS::ECS::TaskDefinition"):
            for path in _PASSED:
                yield from follow_all(self.env, task.get(path), "AWS::IAM::Role")

    def _role(self, role: Resource) -> str:
        return self.names.role(role.stack.partition("/")[2], role.logical_id)

    def site(self) -> tuple[str, ...]:
        """Return the bucket of the static site, which the root names in its outputs."""
        (root,) = (stack for stack in self.env.chain if stack.path == "root")
        bucket = follow(self.env, root.outputs.get("StaticBucketName"), "AWS::S3::Bucket")
        if bucket is None:
            raise AnalysisError("root.json has no output StaticBucketName", hint="run `deploy.py generate`")
        return (self.names.bucket(bucket.stack.partition("/")[2], bucket.logical_id),)

    def pages(self) -> tuple[str, ...]:
        (bucket,) = self.site()
        static = self.env.stacks["root"].template.static_path
        return f"{bucket}/sorry/*", *([f"{bucket}{static}*"] if static else [])


@dataclass(frozen=True)
class Grant:
    """Permissions that some commands need."""

    why: str
    commands: tuple[str, ...]
    actions: tuple[str, ...]
    resources: Callable[[Scope], tuple[str, ...]] = lambda _: ("*",)
    condition: Callable[[Scope], Condition | None] = lambda _: None
    # Whether it serves only environments with a database, or with jobs.
    database: bool = False
    jobs: bool = False


def _stacks(scope: Scope) -> tuple[str, ...]:
    """Return the ARNs of all stacks of the chain, for `status`."""
    found = [
        arn
        for region in dict.fromkeys((scope.names.home, EDGE_REGION))
        for stack in (scope.names.family, scope.names.bootstrap)
        for arn in scope.names.arns("cloudformation", "stack", region, stack)
    ]
    return tuple(sorted(found))


def _enterable(scope: Scope) -> Condition | None:
    return {"StringEquals": {"ecs:container-name": list(scope.containers)}} if scope.containers else None


GRANTS: tuple[Grant, ...] = (
    Grant("FindStacks", COMMANDS, ("cloudformation:DescribeStacks",), _stacks),
    Grant(
        "FindServices",
        ("addresses", "events", "exec", "logs", "restart", "run", "secrets", "status", "tunnel", ROTATE),
        ("cloudformation:ListStackResources",), _stacks,
    ),
    Grant("ReadStackEvents", ("events", "status"), ("cloudformation:DescribeStackEvents",), _stacks),
    Grant(
        "ReadServices", ("events", "exec", "restart", "run", "status"), ("ecs:DescribeServices",),
        lambda scope: scope.known("ecs:DescribeServices"),
    ),
    Grant("RestartServices", ("restart",), ("ecs:UpdateService",), lambda scope: scope.known("ecs:UpdateService")),
    Grant("ReadTargets", ("status",), ("elasticloadbalancing:DescribeTargetHealth",)),
    Grant(
        "ReadDatabase", ("status",), ("rds:DescribeDBClusters",), lambda scope: scope.known("rds:DescribeDBClusters"),
        database=True,
    ),
    # The request names the cluster by a filter, for which RDS accepts no narrower resource.
    Grant(
        "ReadInstances", ("status",), ("rds:DescribeDBInstances",),
        lambda scope: scope.arns("rds:{home}:{account}:db:*"), database=True,
    ),
    Grant("ReadDatabaseEvents", ("events", "status"), ("rds:DescribeEvents",), database=True),
    # For composite alarms CloudWatch accepts no narrower resource (CloudWatch API Reference, DescribeAlarms).
    Grant("ReadAlarms", ("status",), ("cloudwatch:DescribeAlarms",)),
    Grant("ReadAlarmHistory", ("events", "status"), ("cloudwatch:DescribeAlarmHistory",)),
    Grant(
        "ReadDistribution", ("status",), ("cloudfront:GetDistribution",),
        lambda scope: scope.known("cloudfront:GetDistribution"),
    ),
    Grant(
        "ReadLogs", ("logs", "run"), ("logs:FilterLogEvents",),
        lambda scope: scope.known("logs:FilterLogEvents", edge=True),
    ),
    # How a job starts, its runs, and the time of its last line.
    Grant(
        "ReadSchedules", ("exec", "run", "status"), ("scheduler:GetSchedule",),
        lambda scope: scope.known("scheduler:GetSchedule"), jobs=True,
    ),
    Grant(
        "ReadLogTimes", ("status",), ("logs:DescribeLogStreams",),
        lambda scope: scope.known("logs:DescribeLogStreams"), jobs=True,
    ),
    # Starts of jobs that ECS refused. Without sqs:DeleteMessage the messages stay.
    Grant(
        "ReadRefusedStarts", ("events", "status"), ("sqs:ReceiveMessage",),
        lambda scope: scope.known("sqs:ReceiveMessage"), jobs=True,
    ),
    Grant(
        "DecryptRefusedStarts", ("events", "status"), ("kms:Decrypt",),
        lambda scope: scope.arns("kms:{home}:{account}:key/*"),
        lambda scope: {
            **(scope.aliased("AWS::SQS::Queue", "KmsMasterKeyId") or {}),
            "StringEquals": {"kms:ViaService": [f"sqs.{scope.names.home}.amazonaws.com"]},
        },
        jobs=True,
    ),
    Grant("ReadRunsOfJobs", ("status",), ("ecs:DescribeTasks",), lambda scope: scope.tasks, jobs=True),
    Grant("ListRunsOfJobs", ("status",), ("ecs:ListTasks",), condition=lambda scope: scope.in_cluster(), jobs=True),
    Grant("ReadTasks", ("exec", "logs", "run", "tunnel"), ("ecs:DescribeTasks",), lambda scope: scope.tasks),
    Grant(
        "ListTasks", ("exec", "logs", "tunnel"), ("ecs:ListTasks",), condition=lambda scope: scope.in_cluster()
    ),
    Grant("ReadTaskDefinitions", ("exec", "logs", "run", "tunnel"), ("ecs:DescribeTaskDefinition",)),
    # Without the condition a caller could omit the document and would get a shell without a transcript
    # (AWS Systems Manager User Guide, Enforce a session document permission check).
    Grant(
        "ForwardPort", ("tunnel",), ("ssm:StartSession",),
        lambda scope: (*scope.tasks, *scope.arns(f"ssm:{{home}}:*:document/{DOCUMENT}")),
        lambda _: {"BoolIfExists": {"ssm:SessionDocumentAccessCheck": "true"}},
    ),
    # Only the secret that RDS manages for this cluster: RDS tags it with the cluster's ARN.
    Grant(
        "ReadDatabaseLogin", ("tunnel",), ("secretsmanager:GetSecretValue",),
        lambda scope: scope.arns("secretsmanager:{home}:{account}:secret:rds!cluster-*"),
        lambda scope: {
            "StringEquals": {
                "aws:ResourceTag/aws:rds:primaryDBClusterArn": list(scope.arns("rds:{home}:{account}:cluster:{name}"))
            }
        },
        database=True,
    ),
    Grant(
        "DecryptDatabaseLogin", ("tunnel",), ("kms:Decrypt",), lambda scope: scope.arns("kms:{home}:{account}:key/*"),
        lambda scope: {
            **(scope.aliased("AWS::RDS::DBCluster", "MasterUserSecret.KmsKeyId") or {}),
            "StringEquals": {"kms:ViaService": [f"secretsmanager.{scope.names.home}.amazonaws.com"]},
        },
        database=True,
    ),
    # CloudFormation tags the secrets that workloads.py declares with their stack. Nothing here reads a value.
    Grant(
        "SetSecrets", ("secrets",), ("secretsmanager:DescribeSecret", "secretsmanager:PutSecretValue"),
        lambda scope: scope.arns("secretsmanager:{home}:{account}:secret:*"),
        lambda scope: {
            "StringLike": {"aws:ResourceTag/aws:cloudformation:stack-name": [f"{scope.names.family}-{SECRETS_STACK}-*"]}
        },
    ),
    Grant(
        "EncryptSecrets", ("secrets",), ("kms:Decrypt", "kms:GenerateDataKey"),
        lambda scope: scope.arns("kms:{home}:{account}:key/*"),
        lambda scope: {
            **(scope.aliased("AWS::SecretsManager::Secret", "KmsKeyId") or {}),
            "StringEquals": {"kms:ViaService": [f"secretsmanager.{scope.names.home}.amazonaws.com"]},
        },
    ),
    Grant("Execute", ("exec",), ("ecs:ExecuteCommand",), lambda scope: (*scope.cluster, *scope.tasks), _enterable),
    Grant(
        "EncryptSession", ("exec",), ("kms:GenerateDataKey",), lambda scope: scope.arns("kms:{home}:{account}:key/*"),
        lambda scope: scope.aliased("AWS::ECS::Cluster", "Configuration.ExecuteCommandConfiguration.KmsKeyId"),
    ),
    # Permissions of the plugin. ECS names the sessions of exec, Session Manager all others after the user that started
    # them (AWS Systems Manager User Guide, Sample IAM policies for Session Manager).
    Grant(
        "UseSession", ("exec", "tunnel"), ("ssm:ResumeSession", "ssm:TerminateSession", "ssmmessages:OpenDataChannel"),
        lambda scope: scope.arns(
            "ssm:{home}:{account}:session/${{aws:userid}}-*", "ssm:{home}:{account}:session/ecs-execute-command-*"
        ),
    ),
    # For `exec --check`.
    Grant("ReadCluster", ("exec",), ("ecs:DescribeClusters",), lambda scope: scope.cluster),
    Grant("AskOfTaskRoles", ("exec",), ("iam:SimulatePrincipalPolicy",), lambda scope: scope.task_roles()),
    Grant("ReadNetwork", ("exec",), ("ec2:DescribeSubnets", "ec2:DescribeVpcEndpoints")),
    Grant(
        "RunTask", ("run",), ("ecs:RunTask",), lambda scope: scope.known("ecs:RunTask"),
        lambda scope: scope.in_cluster(),
    ),
    Grant("StopTask", ("run",), ("ecs:StopTask",), lambda scope: scope.tasks),
    # `run --image` registers a definition for one run, in a family of its own. ECS accepts no narrower resource for
    # deregistering it.
    Grant(
        "DefineTask", ("run",), ("ecs:RegisterTaskDefinition",),
        lambda scope: tuple(f"{arn.removesuffix(':*')}-run:*" for arn in scope.known("ecs:RegisterTaskDefinition")),
    ),
    Grant("ForgetDefinition", ("run",), ("ecs:DeregisterTaskDefinition",)),
    Grant(
        "TagTasks", ("run",), ("ecs:TagResource",),
        lambda scope: (*scope.tasks, *scope.known("ecs:RunTask")),
        lambda _: {"StringEquals": {"ecs:CreateAction": ["RegisterTaskDefinition", "RunTask"]}},
    ),
    Grant(
        "PassTaskRoles", ("run",), ("iam:PassRole",), lambda scope: scope.task_roles(),
        lambda _: {"StringEquals": {"iam:PassedToService": ["ecs-tasks.amazonaws.com"]}},
    ),
    Grant("ListPages", ("site",), ("s3:ListBucket",), lambda scope: scope.site()),
    Grant("WritePages", ("site",), ("s3:DeleteObject", "s3:GetObject", "s3:PutObject"), lambda scope: scope.pages()),
    Grant(
        "Invalidate", ("invalidate", "site"), ("cloudfront:CreateInvalidation", "cloudfront:GetInvalidation"),
        lambda scope: scope.known("cloudfront:CreateInvalidation"),
    ),
    Grant(
        "ChangeAddresses", ("addresses",), ("wafv2:GetIPSet", "wafv2:UpdateIPSet"),
        lambda scope: scope.known("wafv2:UpdateIPSet", edge=True),
    ),
    Grant(
        "RotateOriginSecret", (ROTATE,), ("secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"),
        # CloudFormation names a secret after the logical id. The emulator puts the name of the stack before it.
        lambda scope: scope.arns(
            *(
                f"secretsmanager:{{home}}:{{account}}:secret:{name}-*"
                for name in ("OriginSecret", "NextOriginSecret", "{name}-*OriginSecret")
            )
        ),
    ),
    Grant("CreateOriginSecret", (ROTATE,), ("secretsmanager:GetRandomPassword",)),
    Grant(
        "EncryptOriginSecret", (ROTATE,), ("kms:Decrypt", "kms:GenerateDataKey"),
        lambda scope: scope.arns("kms:{home}:{account}:key/*"),
        lambda scope: {
            **(scope.aliased("AWS::SecretsManager::Secret", "KmsKeyId") or {}),
            "StringEquals": {"kms:ViaService": [f"secretsmanager.{scope.names.home}.amazonaws.com"]},
        },
    ),
    Grant(
        "ReadListenerRules", (ROTATE,),
        ("elasticloadbalancing:DescribeListeners", "elasticloadbalancing:DescribeRules"),
    ),
    Grant(
        "AcceptOriginSecret", (ROTATE,), ("elasticloadbalancing:ModifyRule",),
        lambda scope: scope.known("elasticloadbalancing:ModifyRule"),
    ),
    Grant(
        "SendOriginSecret", (ROTATE,),
        ("cloudfront:GetDistribution", "cloudfront:GetDistributionConfig", "cloudfront:UpdateDistribution"),
        lambda scope: scope.known("cloudfront:UpdateDistribution"),
    ),
)  # fmt: skip


def operate_statements(
    env: ResolvedEnvironment, commands: Collection[str] = COMMANDS, containers: Collection[str] = ()
) -> list[PolicyStatement]:
    """Return the statements of a role for these commands. `exec` is restricted to `containers` if there are any."""
    known = {
        str(item.get("Name"))
        for task in env.of_type("AWS::ECS::TaskDefinition")
        for item in task.get("ContainerDefinitions")
    }
    if strangers := sorted(set(containers) - known):
        raise AnalysisError(
            f"no task has a container {', '.join(strangers)}", hint=f"known: {', '.join(sorted(known))}"
        )
    has_database = bool(env.of_type("AWS::RDS::DBCluster"))
    # A tunnel leads to the database only.
    needed = set(commands) - ({"tunnel"} if not has_database else set())
    if not needed:
        raise AnalysisError(
            "the environment has no database, so there is no tunnel",
            hint="DATABASE = None in workloads.py leaves it out",
        )
    has_jobs = bool(env.of_type("AWS::Scheduler::Schedule"))
    scope = Scope(env, build_names(env), tuple(sorted(containers)))
    return [
        PolicyStatement(grant.why, grant.actions, grant.resources(scope), grant.condition(scope))
        for grant in GRANTS
        if needed & set(grant.commands) and (has_database or not grant.database) and (has_jobs or not grant.jobs)
    ]
