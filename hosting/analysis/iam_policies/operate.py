"""What the commands for operating ask of AWS, bound to the environment: sessions, logs, one-off tasks, the static site.

Each grant names the commands that need it, so that a role can be given some of them. Actions that CloudFormation's
handlers would need are not among them: whoever operates changes no stack.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from hosting.analysis.errors import AnalysisError
from hosting.analysis.iam_policies.actions import bound_to
from hosting.analysis.iam_policies.arns import Names, names_of
from hosting.analysis.iam_policies.grants import Condition, Statement
from hosting.analysis.resolve import ResolvedEnvironment, Resource
from hosting.analysis.rules.values import all_behind, behind
from hosting.model.stack_order import EDGE_REGION

# What `ecs:RunTask` and `ecs:RegisterTaskDefinition` pass on to ECS.
_PASSED = ("TaskRoleArn", "ExecutionRoleArn")
DOCUMENT = "AWS-StartPortForwardingSession"
COMMANDS = ("status", "events", "logs", "tunnel", "exec", "run", "site", "invalidate")


@dataclass(frozen=True)
class Scope:
    """What grants are bound to."""

    env: ResolvedEnvironment
    names: Names
    containers: tuple[str, ...]  # that `exec` may enter; empty: each

    def arns(self, *patterns: str) -> tuple[str, ...]:
        """ARNs of the home region, written without "arn:<partition>:"."""
        given = {"home": self.names.home, "account": self.names.account, "name": self.names.family}
        return tuple(f"arn:{self.names.partition}:{pattern.format(**given)}" for pattern in patterns)

    def known(self, action: str, *, edge: bool = False) -> tuple[str, ...]:
        """What the table of ARNs has for an action; `edge`: in us-east-1 too."""
        regions = dict.fromkeys((self.names.home, EDGE_REGION) if edge else (self.names.home,))
        return tuple(
            arn for region in regions for arn in self.names.of(action, bound_to(action), region, self.names.family)
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
        """KMS gives keys ids; the alias that a template gives a key can be asked for (AWS KMS, kms:ResourceAliases)."""
        keys = [
            key for item in self.env.of_type(holder) for key in all_behind(self.env, item.get(path), "AWS::KMS::Key")
        ]
        aliases = [
            str(alias.get("AliasName"))
            for alias in self.env.of_type("AWS::KMS::Alias")
            if behind(self.env, alias.get("TargetKeyId")) in keys
        ]
        return {"ForAnyValue:StringEquals": {"kms:ResourceAliases": sorted(aliases)}} if aliases else None

    def task_roles(self) -> tuple[str, ...]:
        return tuple(sorted({self._role(role) for role in self._roles()}))

    def _roles(self) -> Iterator[Resource]:
        for task in self.env.of_type("AWS::ECS::TaskDefinition"):
            for path in _PASSED:
                yield from all_behind(self.env, task.get(path), "AWS::IAM::Role")

    def _role(self, role: Resource) -> str:
        return self.names.role(role.stack.partition("/")[2], role.logical_id)

    def site(self) -> tuple[str, ...]:
        """The bucket of the static site: the one that the root names in its outputs."""
        (root,) = (stack for stack in self.env.chain if stack.path == "root")
        bucket = behind(self.env, root.outputs.get("StaticBucketName"), "AWS::S3::Bucket")
        if bucket is None:
            raise AnalysisError("root.json has no output StaticBucketName", hint="run `deploy.py generate`")
        return (self.names.bucket(bucket.stack.partition("/")[2], bucket.logical_id),)

    def pages(self) -> tuple[str, ...]:
        (bucket,) = self.site()
        return f"{bucket}/sorry/*", f"{bucket}/static/*"


@dataclass(frozen=True)
class Grant:
    """Permissions that some commands need."""

    why: str
    commands: tuple[str, ...]
    actions: tuple[str, ...]
    resources: Callable[[Scope], tuple[str, ...]] = lambda _: ("*",)
    condition: Callable[[Scope], Condition | None] = lambda _: None


def _stacks(scope: Scope) -> tuple[str, ...]:
    """Of the whole chain: `status` shows where each stack stands."""
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
        "FindServices", ("events", "exec", "logs", "run", "status", "tunnel"), ("cloudformation:ListStackResources",),
        _stacks,
    ),
    Grant("ReadStackEvents", ("events", "status"), ("cloudformation:DescribeStackEvents",), _stacks),
    Grant(
        "ReadServices", ("events", "exec", "run", "status"), ("ecs:DescribeServices",),
        lambda scope: scope.known("ecs:DescribeServices"),
    ),
    Grant("ReadTargets", ("status",), ("elasticloadbalancing:DescribeTargetHealth",)),
    Grant(
        "ReadDatabase", ("status",), ("rds:DescribeDBClusters",), lambda scope: scope.known("rds:DescribeDBClusters"),
    ),
    Grant("ReadDatabaseEvents", ("events", "status"), ("rds:DescribeEvents",)),
    # Where composite alarms are to be seen, CloudWatch takes nothing narrower (CloudWatch API, DescribeAlarms).
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
    Grant("ReadTasks", ("exec", "logs", "run", "tunnel"), ("ecs:DescribeTasks",), lambda scope: scope.tasks),
    Grant(
        "ListTasks", ("exec", "logs", "tunnel"), ("ecs:ListTasks",), condition=lambda scope: scope.in_cluster()
    ),
    Grant("ReadTaskDefinitions", ("exec", "logs", "run", "tunnel"), ("ecs:DescribeTaskDefinition",)),
    # Without the condition anybody with the task could leave the document out, and would get a shell without a
    # transcript (AWS Systems Manager User Guide, Enforce a session document permission check).
    Grant(
        "ForwardPort", ("tunnel",), ("ssm:StartSession",),
        lambda scope: (*scope.tasks, *scope.arns(f"ssm:{{home}}:*:document/{DOCUMENT}")),
        lambda _: {"BoolIfExists": {"ssm:SessionDocumentAccessCheck": "true"}},
    ),
    # Only the secret that RDS keeps for this cluster: RDS tags it with the cluster's ARN.
    Grant(
        "ReadDatabaseLogin", ("tunnel",), ("secretsmanager:GetSecretValue",),
        lambda scope: scope.arns("secretsmanager:{home}:{account}:secret:rds!cluster-*"),
        lambda scope: {
            "StringEquals": {
                "aws:ResourceTag/aws:rds:primaryDBClusterArn": list(scope.arns("rds:{home}:{account}:cluster:{name}"))
            }
        },
    ),
    Grant(
        "DecryptDatabaseLogin", ("tunnel",), ("kms:Decrypt",), lambda scope: scope.arns("kms:{home}:{account}:key/*"),
        lambda scope: {
            **(scope.aliased("AWS::RDS::DBCluster", "MasterUserSecret.KmsKeyId") or {}),
            "StringEquals": {"kms:ViaService": [f"secretsmanager.{scope.names.home}.amazonaws.com"]},
        },
    ),
    Grant("Execute", ("exec",), ("ecs:ExecuteCommand",), lambda scope: (*scope.cluster, *scope.tasks), _enterable),
    Grant(
        "EncryptSession", ("exec",), ("kms:GenerateDataKey",), lambda scope: scope.arns("kms:{home}:{account}:key/*"),
        lambda scope: scope.aliased("AWS::ECS::Cluster", "Configuration.ExecuteCommandConfiguration.KmsKeyId"),
    ),
    # The plugin's half of a session. ECS names the sessions of exec itself, Session Manager all others after whoever
    # started them (AWS Systems Manager User Guide, Sample IAM policies for Session Manager).
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
    # `run --image` makes a definition for the one run, in a family of its own. ECS takes nothing narrower for
    # forgetting it.
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
)  # fmt: skip


def operate_statements(
    env: ResolvedEnvironment, commands: Collection[str] = COMMANDS, containers: Collection[str] = ()
) -> list[Statement]:
    """For a role that uses these commands; `containers` are those that `exec` may enter, all where none is named."""
    known = {
        str(item.get("Name"))
        for task in env.of_type("AWS::ECS::TaskDefinition")
        for item in task.get("ContainerDefinitions")
    }
    if strangers := sorted(set(containers) - known):
        raise AnalysisError(
            f"no task has a container {', '.join(strangers)}", hint=f"known: {', '.join(sorted(known))}"
        )
    scope = Scope(env, names_of(env), tuple(sorted(containers)))
    return [
        Statement(grant.why, grant.actions, grant.resources(scope), grant.condition(scope))
        for grant in GRANTS
        if set(grant.commands) & set(commands)
    ]
