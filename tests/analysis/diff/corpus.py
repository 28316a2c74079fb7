"""Single edits of the frozen project's templates, and how well each is predicted.

Three opinions about every edit: the prediction, the change set that the emulator computes over the deployed chain, and,
for the edited resource, what the template reference states ("Update requires"), written down here by hand. Where the
emulator is known to be wrong, the edit states the reason; nothing else may differ.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hosting.analysis.diff.prediction import Prediction, predict
from hosting.analysis.diff.prediction_comparison import Comparison, compare_with_change_set
from hosting.cli.support.prediction_check import PredictionCheck, check_prediction
from hosting.cli.support.revisions import ProjectRevision, current_revision, resolve_environment
from hosting.deployer import deployment, pipeline
from hosting.deployer.aws.stacks import StackState
from hosting.deployer.reporter import SilentReporter
from hosting.model.stack_order import Stack, StackRole
from hosting.rehearsal.emulator import Emulator
from hosting.rehearsal.prerequisites import Prerequisites
from tests.support.project import PROJECT

# The one with every condition on: a domain, a reader, archived logs, Slack, a budget.
ENVIRONMENT = "live"
COMPANIONS = {"bootstrap": StackRole.BOOTSTRAP, "edge": StackRole.EDGE, "edge-monitoring": StackRole.EDGE_MONITORING}

Body = dict[str, Any]
Mutate = Callable[[Body, str], None]


@dataclass(frozen=True)
class Edit:
    """One change of one template; `effect` is the documented effect on `resource`."""

    name: str
    template: str
    resource: str
    effect: str
    mutate: Mutate
    # Resources about which the emulator is known to be wrong, and the reason.
    disputed: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Result:
    """One edit as all three see it."""

    edit: Edit
    prediction: Prediction
    against_emulator: Comparison
    as_documented: bool
    seconds: float

    def undisputed(self) -> Comparison:
        """The comparison without the resources about which the emulator is known to be wrong."""
        found, known = self.against_emulator, set(self.edit.disputed)
        return replace(
            found,
            missed=tuple(path for path in found.missed if path[-1] not in known),
            extra=tuple(path for path in found.extra if path[-1] not in known),
            different={path: pair for path, pair in found.different.items() if path[-1] not in known},
        )


# --- ways to edit: each takes a template's body and the logical id that the edit names


def put(path: str, value: Any) -> Mutate:
    """Set a property by its dotted path; digits are places in a list, `+` puts at its end."""

    def change(body: Body, resource: str) -> None:
        *way, last = path.split(".")
        node: Any = body["Resources"][resource].setdefault("Properties", {})
        for step in way:
            node = node[int(step)] if isinstance(node, list) else node.setdefault(step, {} if last != "+" else [])
        if last == "+":
            node.append(value)
        elif isinstance(node, list):
            node[int(last)] = value
        else:
            node[last] = value

    return change


def remove(path: str) -> Mutate:
    def change(body: Body, resource: str) -> None:
        *way, last = path.split(".")
        node: Any = body["Resources"][resource]["Properties"]
        for step in way:
            node = node[int(step)] if isinstance(node, list) else node[step]
        if isinstance(node, list):
            del node[int(last)]
        else:
            del node[last]

    return change


def attribute(name: str, value: Any) -> Mutate:
    def change(body: Body, resource: str) -> None:
        body["Resources"][resource][name] = value

    return change


def drop() -> Mutate:
    def change(body: Body, resource: str) -> None:
        del body["Resources"][resource]

    return change


def add(kind: str, **properties: Any) -> Mutate:
    def change(body: Body, resource: str) -> None:
        body["Resources"][resource] = {"Type": kind, "Properties": properties}

    return change


def rename(known: str) -> Mutate:
    """Another logical id, also in every reference to the old one."""

    def change(body: Body, resource: str) -> None:
        text = json.dumps(body)
        for form in ('"{}"', "${{{}}}", "${{{}."):
            text = text.replace(form.format(known), form.format(resource))
        body.clear()
        body.update(json.loads(text))

    return change


def output(name: str, value: Any) -> Mutate:
    def change(body: Body, _resource: str) -> None:
        body["Outputs"][name] = {"Value": value}

    return change


def tag() -> Mutate:
    return put("Tags", [{"Key": "Team", "Value": "platform"}])


# Why the emulator, or `plan`'s review of its answer, is wrong about a resource.
CERTAIN = "a nested change set takes its input for changed even when the source only may be replaced"
PORT = "plan takes an endpoint's port for part of its identity, and this edit changes it"
TABLE = "MiniStack keeps its own list of what replaces, by whole properties; it differs from the schema here"

ANYWHERE = "0.0.0.0/0"
ALLOW_ALL = {"Sid": "Everything", "Effect": "Allow", "Action": "*", "Resource": "*"}
OPEN_DATABASE: dict[str, Any] = {
    "GroupId": {"Ref": "DatabaseSecurityGroupId"},
    "IpProtocol": "tcp",
    "FromPort": 3306,
    "ToPort": 3306,
    "CidrIp": ANYWHERE,
}

EDITS: tuple[Edit, ...] = (
    Edit(
        "another address range for the VPC",
        "network",
        "Vpc",
        "replace",
        put("CidrBlock", "10.9.0.0/16"),
    ),
    Edit("DNS names off in the VPC", "network", "Vpc", "modify", put("EnableDnsHostnames", False)),
    Edit("another range for a subnet", "network", "AppSubnet1", "replace", put("CidrBlock", "10.0.200.0/23")),
    Edit("public addresses in a subnet", "network", "AppSubnet1", "modify", put("MapPublicIpOnLaunch", True)),
    Edit("another zone for a subnet", "network", "DbSubnet1", "replace", put("AvailabilityZone", "ap-northeast-1d")),
    Edit(
        "a route to another network",
        "egress",
        "AppDefaultRoute1",
        "replace",
        put("DestinationCidrBlock", "10.50.0.0/16"),
    ),
    Edit(
        "a route through the other NAT gateway",
        "egress",
        "AppDefaultRoute1",
        "modify",
        put("NatGatewayId", {"Ref": "NatGateway2"}),
    ),
    Edit(
        "a NAT gateway in another subnet",
        "egress",
        "NatGateway1",
        "replace",
        put("SubnetId", {"Ref": "PublicSubnet2Id"}),
    ),
    Edit("tags of a NAT gateway", "egress", "NatGateway1", "modify", tag()),
    Edit(
        "an endpoint of another service",
        "egress",
        "LogsEndpoint",
        "replace",
        put("ServiceName", "com.amazonaws.ap-northeast-1.kms"),
    ),
    Edit("private names off at an endpoint", "egress", "LogsEndpoint", "modify", put("PrivateDnsEnabled", False)),
    Edit(
        "endpoints open to the internet",
        "network",
        "EndpointSecurityGroup",
        "modify",
        put("SecurityGroupIngress.0.CidrIp", ANYWHERE),
    ),
    Edit("no endpoint for logs", "egress", "LogsEndpoint", "delete", drop()),
    Edit("a route table without its route", "egress", "AppDefaultRoute2", "delete", drop()),
    Edit(
        "a group's description",
        "security",
        "AlbSecurityGroup",
        "replace",
        put("GroupDescription", "Another text"),
    ),
    Edit(
        "a port opened to the internet",
        "security",
        "AlbSecurityGroup",
        "modify",
        put("SecurityGroupIngress.+", {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": ANYWHERE}),
    ),
    Edit("a rule closed", "security", "AlbSecurityGroup", "modify", remove("SecurityGroupIngress.0")),
    Edit("key rotation off", "security", "DataKey", "modify", put("EnableKeyRotation", False)),
    Edit(
        "a key for all accounts",
        "security",
        "DataKey",
        "modify",
        put(
            "KeyPolicy.Statement.+",
            {"Sid": "Everybody", "Effect": "Allow", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*"},
        ),
    ),
    Edit("the key under another name", "security", "DataKeyTwo", "add", rename("DataKey")),
    Edit("another alias", "security", "DataKeyAlias", "replace", put("AliasName", "alias/another")),
    Edit(
        "archived logs expire sooner",
        "security",
        "ArchiveBucket",
        "modify",
        put("LifecycleConfiguration.Rules.0.ExpirationInDays", 90),
    ),
    Edit(
        "another archive bucket", "security", "ArchiveBucket", "replace", put("BucketName", "another-archive-of-logs")
    ),
    Edit(
        "public policies possible",
        "security",
        "ArchiveBucket",
        "modify",
        put("PublicAccessBlockConfiguration.BlockPublicPolicy", False),
    ),
    Edit("the flow log keeps less", "security", "FlowLog", "replace", put("TrafficType", "REJECT")),
    Edit(
        "another length of the origin's secret",
        "security",
        "OriginSecret",
        "modify",
        put("GenerateSecretString.PasswordLength", 32),
    ),
    Edit("a named secret", "security", "OriginSecret", "replace", put("Name", "origin")),
    Edit("another display name of a topic", "security", "AlarmTopic", "modify", put("DisplayName", "Alarms")),
    Edit("a named topic", "security", "AlarmTopic", "replace", put("TopicName", "alarms")),
    Edit(
        "a role trusts all accounts",
        "security",
        "FlowLogRole",
        "modify",
        put("AssumeRolePolicyDocument.Statement.0.Principal", {"AWS": "*"}),
    ),
    Edit(
        "a role's condition removed",
        "security",
        "FlowLogRole",
        "modify",
        remove("AssumeRolePolicyDocument.Statement.0.Condition"),
    ),
    Edit("a named role", "security", "FlowLogRole", "replace", put("RoleName", "flow-log")),
    Edit("another path of a policy", "security", "FlowLogPolicy", "replace", put("Path", "/platform/")),
    Edit(
        "a delivery that waits less",
        "archive",
        "ArchiveStream",
        "modify",
        put("ExtendedS3DestinationConfiguration.BufferingHints.IntervalInSeconds", 300),
    ),
    Edit("a named delivery stream", "archive", "ArchiveStream", "replace", put("DeliveryStreamName", "archive")),
    Edit("a function's memory", "archive", "LogProcessorFunction", "modify", put("MemorySize", 2048)),
    Edit("a named function", "archive", "LogProcessorFunction", "replace", put("FunctionName", "log-processor")),
    Edit("a role for everything", "archive", "DeliveryPolicy", "modify", put("PolicyDocument.Statement.+", ALLOW_ALL)),
    Edit(
        "administrators in containers",
        "access",
        "TaskRole",
        "modify",
        put("ManagedPolicyArns.+", "arn:aws:iam::aws:policy/AdministratorAccess"),
    ),
    Edit("a service open to the internet", "access", "FromAlbIngress", "replace", put("CidrIp", ANYWHERE)),
    Edit("the description of a rule", "access", "FromAlbIngress", "modify", put("Description", "Another text")),
    Edit("no way to the database", "access", "ToDatabaseEgress", "delete", drop()),
    Edit(
        "a service's group in another way",
        "access",
        "ServiceSecurityGroup",
        "replace",
        put("GroupDescription", "Another text"),
    ),
    Edit("storage that is not encrypted", "database", "Cluster", "replace", put("StorageEncrypted", False)),
    Edit("another database name", "database", "Cluster", "replace", put("DatabaseName", "shop")),
    Edit("another cluster name", "database", "Cluster", "replace", put("DBClusterIdentifier", "another")),
    Edit("longer backups", "database", "Cluster", "modify", put("BackupRetentionPeriod", 30)),
    Edit(
        "another master user",
        "database",
        "Cluster",
        "may replace",
        put("MasterUsername", "root2"),
        ("TaskDefinition", "ReaderInstance"),
        CERTAIN,
    ),
    Edit(
        "another port of the database",
        "database",
        "Cluster",
        "modify",
        put("Port", 3307),
        ("TaskDefinition", "Service"),
        PORT,
    ),
    Edit("protection of the database off", "database", "Cluster", "modify", put("DeletionProtection", False)),
    Edit("a snapshot is no longer kept", "database", "Cluster", "modify", attribute("DeletionPolicy", "Delete")),
    Edit(
        "the writer in another zone",
        "database",
        "WriterInstance",
        "may replace",
        put("AvailabilityZone", "ap-northeast-1d"),
    ),
    Edit("the writer promoted later", "database", "WriterInstance", "modify", put("PromotionTier", 5)),
    Edit(
        "minor upgrades by themselves",
        "database",
        "WriterInstance",
        "may replace",
        put("AutoMinorVersionUpgrade", True),
    ),
    Edit(
        "another parameter of the database",
        "database",
        "ParameterGroup",
        "modify",
        put("Parameters.long_query_time", "5"),
    ),
    Edit("another family of parameters", "database", "ParameterGroup", "replace", put("Family", "aurora-mysql8.4")),
    Edit(
        "the reader in another zone",
        "reader",
        "ReaderInstance",
        "may replace",
        put("AvailabilityZone", "ap-northeast-1a"),
    ),
    Edit("a reader that takes over later", "reader", "ReaderInstance", "modify", put("PromotionTier", 5)),
    Edit("audit logs kept longer", "database", "DatabaseAuditLogGroup", "modify", put("RetentionInDays", 365)),
    Edit(
        "the database open to the internet",
        "database",
        "OpenIngress",
        "add",
        add("AWS::EC2::SecurityGroupIngress", **OPEN_DATABASE),
    ),
    Edit(
        "an internal load balancer",
        "application",
        "LoadBalancer",
        "replace",
        put("Scheme", "internal"),
    ),
    Edit(
        "another timeout of the load balancer",
        "application",
        "LoadBalancer",
        "modify",
        put("LoadBalancerAttributes.4.Value", "120"),
    ),
    Edit("a listener on another port", "application", "HttpsListener", "modify", put("Port", 8443)),
    Edit("another cluster name for tasks", "application", "Cluster", "replace", put("ClusterName", "another")),
    Edit(
        "another certificate name",
        "application",
        "OriginCertificate",
        "replace",
        put("DomainName", "origin2.example.com"),
    ),
    Edit("another name in DNS", "application", "OriginRecord", "replace", put("Name", "origin2.example.com")),
    Edit(
        "a log group under another name", "application", "ExecLogGroup", "replace", put("LogGroupName", "/another/exec")
    ),
    Edit("another health check", "workload-orders", "TargetGroup", "modify", put("HealthCheckIntervalSeconds", 30)),
    Edit("another protocol of targets", "workload-orders", "TargetGroup", "replace", put("ProtocolVersion", "HTTP2")),
    Edit(
        "another variable of a container",
        "workload-orders",
        "TaskDefinition",
        "replace",
        put("ContainerDefinitions.0.Environment.+", {"Name": "MODE", "Value": "fast"}),
    ),
    Edit("tags of a task definition", "workload-orders", "TaskDefinition", "modify", tag()),
    Edit("commands in containers off", "workload-orders", "Service", "modify", put("EnableExecuteCommand", False)),
    Edit("a named service", "workload-orders", "Service", "replace", put("ServiceName", "web")),
    Edit(
        "another way to launch",
        "workload-orders",
        "Service",
        "may replace",
        put("LaunchType", "EC2"),
        ("Service", "CpuScalingPolicy", "MemoryScalingPolicy", "ScalableTarget"),
        TABLE,
    ),
    Edit(
        "another target of scaling",
        "workload-orders",
        "CpuScalingPolicy",
        "modify",
        put("TargetTrackingScalingPolicyConfiguration.TargetValue", 50),
    ),
    Edit("another name of a policy", "workload-orders", "CpuScalingPolicy", "replace", put("PolicyName", "cpu")),
    Edit("an alarm's threshold", "workload-orders", "CpuAlarm", "modify", put("Threshold", 95)),
    Edit("an alarm's name", "workload-orders", "CpuAlarm", "replace", put("AlarmName", "cpu")),
    Edit("other priorities of a rule", "workload-orders", "ListenerRule", "modify", put("Priority", 77)),
    Edit(
        "another price class",
        "distribution",
        "Distribution",
        "modify",
        put("DistributionConfig.PriceClass", "PriceClass_All"),
    ),
    Edit(
        "another function at the edge",
        "distribution",
        "IndexFunction",
        "modify",
        put("FunctionCode", "function handler(e) { return e.request; }"),
    ),
    Edit("another name of the edge's function", "distribution", "IndexFunction", "replace", put("Name", "index")),
    Edit(
        "files of the site for all accounts",
        "distribution",
        "StaticBucketPolicy",
        "modify",
        put("PolicyDocument.Statement.1.Principal", "*"),
    ),
    Edit("the site's content again", "distribution", "SiteContent", "may replace", put("ContentHash", "another")),
    Edit(
        "another schedule", "operations", "CredentialsWatchRule", "modify", put("ScheduleExpression", "rate(5 minutes)")
    ),
    Edit("a rule's name", "operations", "CredentialsWatchRule", "replace", put("Name", "watch")),
    Edit("anything may invoke a function", "operations", "CredentialsWatchPermission", "replace", remove("SourceArn")),
    Edit("messages kept shorter", "operations", "FailureQueue", "modify", put("MessageRetentionPeriod", 3600)),
    Edit("a named queue", "operations", "FailureQueue", "replace", put("QueueName", "failures")),
    Edit(
        "another budget's name",
        "operations",
        "Budget",
        "replace",
        put("Budget.BudgetName", "another"),
        ("Budget",),
        TABLE,
    ),
    Edit("another budget's unit", "operations", "Budget", "modify", put("Budget.BudgetLimit.Amount", 10)),
    Edit("no alarm for slow answers", "operations", "SlowAnswersAlarm", "delete", drop()),
    Edit(
        "the web ACL counts only",
        "edge",
        "WebAcl",
        "modify",
        put("Rules.0.Action", {"Count": {}}),
    ),
    Edit("another name of the web ACL", "edge", "WebAcl", "replace", put("Name", "another")),
    Edit(
        "other fields of access logs",
        "edge-monitoring",
        "AccessLogDelivery",
        "modify",
        put("RecordFields", ["date", "time"]),
    ),
    Edit(
        "another form of access logs",
        "edge-monitoring",
        "AccessLogDestination",
        "replace",
        put("OutputFormat", "plain"),
        ("AccessLogDestination", "AccessLogDelivery"),
        TABLE,
    ),
    Edit(
        "repositories that overwrite", "bootstrap", "OrdersRepository", "modify", put("ImageTagMutability", "MUTABLE")
    ),
    Edit(
        "another key of a repository",
        "bootstrap",
        "OrdersRepository",
        "replace",
        put("EncryptionConfiguration.EncryptionType", "AES256"),
    ),
    Edit("an output only", "database", "", "", output("Extra", "x")),
)


# --- the stage


@dataclass
class Stage:
    """The chain, deployed once to an emulator; every edit gets its change sets from it."""

    emulator: Emulator
    folder: Path
    context: deployment.Context = field(init=False)
    states: dict[Stack, StackState | None] = field(init=False)
    reporter: SilentReporter = field(default_factory=SilentReporter)

    def deploy(self) -> Stage:
        """Deploy the chain and return this stage."""
        # Everything is compared with one state, even if a file is saved meanwhile.
        self.base = self.folder / "base"
        _copy(PROJECT, self.base)
        environment = deployment.prepare(self.base, ENVIRONMENT)
        account = environment.file.account or ""
        region = environment.file.region or ""
        clients = self.emulator.clients(account, region)
        self.context = deployment.connect(environment, clients, sleep=lambda seconds: time.sleep(min(seconds, 0.05)))
        world = Prerequisites(self.emulator, account, self.context.home)
        world.prepare(environment.file.values)
        pipeline.deploy_stacks(self.context, self.reporter, through=StackRole.BOOTSTRAP)
        world.push_images(environment.file.values)
        pipeline.deploy_stacks(self.context, self.reporter)
        # ServiceIsNew is true in the first deployment and false in later ones, which would be a second change
        # beside every edit.
        later = deployment.with_parameters(environment, self.baseline_overrides)
        self.context = replace(self.context, environment=later)
        self.states = pipeline.deploy_stacks(self.context, self.reporter)
        return self

    baseline_overrides: Sequence[str] = ("PortalMaxTasks=9",)

    def edited(self, edit: Edit) -> Path:
        """The project with one edit, as a folder of its own."""
        target = Path(tempfile.mkdtemp(dir=self.folder))
        _copy(self.base, target)
        path = target / "templates" / f"{edit.template}.json"
        body = json.loads(path.read_text(encoding="utf-8"))
        edit.mutate(body, edit.resource)
        path.write_text(json.dumps(body, indent=1), encoding="utf-8")
        return target

    def measure(self, edit: Edit) -> Result:
        """One edit predicted, and computed by the emulator."""
        edited = self.edited(edit)
        began = time.perf_counter()
        prediction = self.predict(edited)
        seconds = time.perf_counter() - began
        role = COMPANIONS.get(edit.template, StackRole.ROOT)
        actual = self.computed(edited, role)
        # A later stack of the chain sees an edit only when the earlier one is deployed, so one stack is compared.
        predicted = {
            change.path: change.effect
            for stack in prediction.stacks
            if stack.path == str(role)
            for change in stack.changes
        }
        comparison = compare_with_change_set(predicted, actual)
        found = {effect for path, effect in predicted.items() if path[-1:] == (edit.resource,)}
        documented = found == ({edit.effect} if edit.effect else set())
        return Result(edit, prediction, comparison, documented, seconds)

    def predict(self, edited: Path) -> Prediction:
        services = self.context.template(self.context.stack(StackRole.ROOT)).services
        cache = self.folder / "archives"

        def side(at: ProjectRevision) -> Any:
            return resolve_environment(
                at, ENVIRONMENT, services=services, cache=cache, overrides=self.baseline_overrides
            )

        return predict(side(current_revision(self.base)), side(current_revision(edited)))

    def check_prediction(self, edit: Edit) -> PredictionCheck:
        """The review by `plan` of an edit: its change sets, and a prediction from the deployed stacks."""
        edited = self.edited(edit)
        environment = deployment.prepare(edited, ENVIRONMENT, overrides=self.baseline_overrides)
        context = replace(self.context, environment=environment)
        plans = pipeline.plan_stacks(context, self.states, self.reporter, verb="plan")
        try:
            return check_prediction(context, self.states, plans)
        finally:
            for plan in plans:
                deployment.discard(context, plan)
            shutil.rmtree(edited)

    def computed(self, edited: Path, role: StackRole) -> Mapping[tuple[str, ...], str]:
        """Effects by path, as `plan` would show them."""
        environment = deployment.prepare(edited, ENVIRONMENT, overrides=self.baseline_overrides)
        context = replace(self.context, environment=environment)
        stack = next(item for item in context.chain if item.role is role)
        pipeline.prepare_artifacts(context, self.states, self.reporter, [stack])
        plan = deployment.plan_stack(context, stack, self.states, verb="plan")
        try:
            if plan.change_set is None:
                return {}
            return {(*path, change.logical_id): change.effect for path, change in plan.change_set.walk()}
        finally:
            deployment.discard(context, plan)
            shutil.rmtree(edited)


def _copy(source: Path, target: Path) -> None:
    for name in ("templates", "params", "lambda"):
        shutil.copytree(source / name, target / name)


def measure(edits: Sequence[Edit] = EDITS) -> Iterator[Result]:
    """Every edit on one stage."""
    with Emulator() as emulator, tempfile.TemporaryDirectory() as name:
        stage = Stage(emulator, Path(name)).deploy()
        for edit in edits:
            yield stage.measure(edit)
