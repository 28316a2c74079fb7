"""workloads.py: what a service may declare, and how each error in the file is reported."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from generator import workloads
from generator.config import Config, load_config
from generator.edge_settings import Edge
from generator.errors import ConfigError
from generator.render import render_all
from generator.workloads import (
    PER_ENVIRONMENT,
    AddressOf,
    DatabasePassword,
    Egress,
    Existing,
    Fact,
    Generated,
    InternalService,
    Job,
    Scaling,
    Supplied,
    Text,
    WebService,
    Worker,
    Workload,
)

IMPORT = "from generator.workloads import WebService\n"


def project(folder: Path, text: str) -> Path:
    (folder / "workloads.py").write_text(IMPORT + text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "search"}, "in CamelCase"),
        ({"name": "Bastion"}, "there is Bastion already"),
        ({"user": "10001"}, "as numbers"),
        ({"user": "node"}, "as numbers"),
        ({"writable_paths": ("/a", "/b", "/a")}, '"/a" is given twice'),
        ({"writable_paths": ("/managed-agents",)}, "of the app itself"),
        ({"writable_paths": ("tmp",)}, "of the app itself"),
        ({"writable_paths": ("/",)}, "of the app itself"),
        ({"paths": ()}, "no paths, give at least one"),
        ({"paths": ("api",)}, "give a pattern"),
        ({"host": "auth.example.com"}, 'host "auth.example.com", give one label'),
        ({"host": "origin"}, "origin.<DomainName> is the name of the load balancer"),
        ({"errors_per_minute": 0}, "errors_per_minute is 0, give 1 to"),
        ({"port": 80}, "port 80 is for root, but the user is 10001:10001"),
        ({"stop_seconds": 121}, "stop_seconds is 121, give 2 to 120"),
        ({"ephemeral_gib": 10}, "ephemeral_gib is 10, give 21 to 200"),
        ({"variables": {"AWS_REGION": "x"}}, "variable AWS_REGION is reserved"),
        ({"variables": {"A B": "x"}}, 'variable "A B", give a name'),
        ({"variables": {"DB_PASSWORD": "x"}}, "DB_PASSWORD is a variable and a secret"),
        ({"variables": {"LOG_LEVEL": "x", "LogLevel": "y"}}, "LOG_LEVEL and LogLevel differ too little"),
        ({"variables": {f"V{n}": "x" for n in range(99)}}, "101 variables and secrets, give at most 100"),
        ({"variables": {"A": 1}}, "give a value of type Mapping"),
        ({"paths": "/a"}, r"paths is '/a': give a value of type tuple\[str, \.\.\.\]"),
        ({"paths": ("/a", 1)}, r"give a value of type tuple\[str, \.\.\.\]"),
        ({"priority": "1"}, "priority is '1': give a value of type int"),
        ({"port": True}, "port is True: give a value of type int"),
        ({"own_size": 1}, "own_size is 1: give a value of type bool"),
    ],
)
def test_a_service_that_cannot_run_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(WebService("Search", paths=("/search",), priority=1), **change)  # type: ignore[arg-type] # one field of the case


def test_an_app_is_neither_root_nor_free_to_write_unless_its_entry_says_so() -> None:
    entry = WebService("Search", paths=("/search",), priority=1)
    assert entry.read_only
    assert not entry.user.startswith("0")


def test_a_project_is_loaded_by_its_path_and_leaves_no_module_behind(tmp_path: Path) -> None:
    project(tmp_path, 'WORKLOADS = (WebService("Search", paths=("/*",), priority=7),)\n')
    assert load_config(tmp_path).workloads == (WebService("Search", paths=("/*",), priority=7),)
    project(tmp_path, 'WORKLOADS = (WebService("Other", paths=("/*",), priority=7),)\n')
    assert [entry.name for entry in load_config(tmp_path).workloads] == ["Other"], "a change is seen at once"
    assert "workloads" not in sys.modules


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\nWORKLOADS = (\n", r"^workloads\.py:3: '\(' was never closed$"),
        ("import missing_module\n", r"^workloads\.py:2: ModuleNotFoundError: No module named 'missing_module'$"),
        ('WORKLOADS = (\n    WebService("A", paths=("/*",)),\n)\n', r"^workloads\.py:3: TypeError: .*'priority'$"),
        (
            'WORKLOADS = (\n    WebService("A", paths="/*", priority=1),\n)\n',
            r"^workloads\.py:3: web service A: paths is ",
        ),
        ("\nworkloads = ()\n", r"^workloads\.py:1: WORKLOADS has to be a tuple"),
        (
            '\nWORKLOADS = [WebService("A", paths=("/*",), priority=1)]\n',
            r"^workloads\.py:3: WORKLOADS has to be a tuple",
        ),
        ('\nWORKLOADS = ("A",)\n', r"^workloads\.py:3: WORKLOADS has to be a tuple"),
        ("\nWORKLOADS: tuple[WebService, ...] = ()\n", r"^workloads\.py:3: no workload"),
        (
            '\nWORKLOADS = (WebService("A", paths=("/",), priority=1),\n WebService("B", paths=("/b",), priority=1))\n',
            r"^workloads\.py:4: two workloads with priority 1: A and B",
        ),
        (
            '\nWORKLOADS = (WebService("We", paths=("/*",), priority=1), WebService("WE", paths=("/",), priority=2))\n',
            r"^workloads\.py:3: two workloads with name WE: give each its own$",
        ),
    ],
)
def test_an_error_in_the_file_is_one_message_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        workloads.load(project(tmp_path, text))


def test_an_error_of_the_file_in_a_helper_of_python_names_the_line_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^workloads\.py:4: JSONDecodeError"):
        workloads.load(project(tmp_path, "import json\n\nWORKLOADS = json.loads('{')\n"))


def test_a_project_without_the_file_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"workloads\.py: the file is missing"):
        workloads.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sorry_codes": (500,)}, "some of 502, 503 and 504"),
        ({"sorry_codes": 503}, r"sorry_codes is 503: give a value of type tuple\[int, \.\.\.\]"),
        ({"frame_options": "ALLOWALL"}, "DENY, SAMEORIGIN or nothing"),
        ({"csp_report_only": True}, "requires content_security_policy"),
        ({"hsts_subdomains": 1}, "give a value of type bool"),
        ({"response_timeout": 121}, "give 1 to 120"),
        ({"idle_timeout": 29}, "idle_timeout 29 is below response_timeout 30"),
        ({"connection_attempts": 4}, "give 1 to 3"),
    ],
)
def test_settings_of_the_edge_that_cloudfront_refuses_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^edge: .*{message}"):
        Edge(**change)  # type: ignore[arg-type] # one field of the case


def test_a_project_may_declare_the_edge(tmp_path: Path) -> None:
    text = 'from generator.edge_settings import Edge\nWORKLOADS = (WebService("Search", paths=("/*",), priority=7),)\n'
    assert load_config(project(tmp_path, text)).edge == Edge()
    declared = load_config(project(tmp_path, f"{text}EDGE = Edge(idle_timeout=600)\n"))
    assert declared.edge == Edge(idle_timeout=600)
    assert declared.application.edge is declared.distribution.edge is declared.edge
    with pytest.raises(ConfigError, match=r"^workloads\.py:4: EDGE has to be Edge\(\.\.\.\)"):
        load_config(project(tmp_path, f"{text}EDGE = None\n"))
    with pytest.raises(ConfigError, match=r"^workloads\.py:4: edge: idle_timeout"):
        load_config(project(tmp_path, f"{text}EDGE = Edge(idle_timeout=1)\n"))


def rendered(*entries: Workload) -> dict[str, Any]:
    return {name: json.loads(text) for name, text in render_all(Config(workloads=entries)).items()}


def app(templates: dict[str, Any], slug: str) -> dict[str, Any]:
    definition = templates[f"workload-{slug}.json"]["Resources"]["TaskDefinition"]["Properties"]
    container: dict[str, Any] = definition["ContainerDefinitions"][0]
    return container


WEB = WebService("Web", paths=("/*",), priority=900)
API = WebService(
    "Api",
    paths=("/api/*",),
    priority=100,
    command=("serve",),
    variables={
        "LOG_LEVEL": PER_ENVIRONMENT,
        "URL": Text("mysql://", Fact.DATABASE_HOST, "/${x}/", Fact.DATABASE_NAME),
        "SITE": Fact.SITE_URL,
        "LISTEN": Fact.PORT,
    },
    secrets={
        "PASSWORD": DatabasePassword(),
        "APP_KEY": Generated(32),
        "SMTP": Supplied(),
        "STRIPE": Existing(PER_ENVIRONMENT, key="live"),
    },
)


def test_a_container_receives_exactly_what_its_entry_declares() -> None:
    templates = rendered(WEB, API)
    container = app(templates, "api")
    assert container["Command"] == ["serve"]
    assert {item["Name"]: item["Value"] for item in container["Environment"]} == {
        "LOG_LEVEL": {"Ref": "ApiVarLogLevel"},
        "URL": {
            "Fn::Sub": [
                "mysql://${DatabaseHost}/${!x}/${DatabaseName}",
                {"DatabaseHost": {"Ref": "WriterEndpoint"}, "DatabaseName": {"Ref": "DatabaseName"}},
            ]
        },
        "SITE": {"Ref": "SiteUrl"},
        "LISTEN": "8080",
    }
    assert {item["Name"]: item["ValueFrom"] for item in container["Secrets"]} == {
        "PASSWORD": {"Fn::Sub": "${DatabaseSecretArn}:password::"},
        "APP_KEY": {"Ref": "ApiAppKeySecretArn"},
        "SMTP": {"Ref": "ApiSmtpSecretArn"},
        "STRIPE": {"Fn::Sub": "${ApiSecretStripe}:live::"},
    }
    root = templates["root.json"]["Parameters"]
    assert {"ApiVarLogLevel", "ApiSecretStripe"} <= set(root)
    unused = {"DomainName", "SiteUrl", "VpcId"} - set(templates["workload-web.json"]["Parameters"])
    assert unused == {"DomainName", "SiteUrl"}, "a template has no parameter that its workload does not use"


def test_secrets_of_an_app_are_kept_and_those_of_people_are_created_empty() -> None:
    templates = rendered(WEB, API)
    secrets = templates["stores.json"]["Resources"]
    assert set(secrets) == {"ApiAppKeySecret", "ApiSmtpSecret"}
    assert all(one["DeletionPolicy"] == "RetainExceptOnCreate" for one in secrets.values())
    assert secrets["ApiAppKeySecret"]["Properties"]["GenerateSecretString"]["PasswordLength"] == 32
    assert not {"GenerateSecretString", "SecretString"} & set(secrets["ApiSmtpSecret"]["Properties"])
    assert templates["stores.json"]["Metadata"]["Secrets"]["ApiSmtpSecret"] == {
        "Workload": "Api",
        "Variable": "SMTP",
        "Source": "supplied",
    }
    assert "stores.json" not in rendered(WEB)


def test_the_execution_role_reads_the_secrets_of_its_own_workload_alone() -> None:
    def read(slug: str) -> list[Any]:
        grants = templates[f"workload-{slug}.json"]["Resources"]["ExecutionGrants"]["Properties"]["PolicyDocument"]
        statements = [one for one in grants["Statement"] if "secretsmanager:GetSecretValue" in one["Action"]]
        return [resource for one in statements for resource in one["Resource"]]

    templates = rendered(WEB, API)
    assert read("web") == [{"Ref": "DatabaseSecretArn"}]
    assert read("api") == [
        {"Ref": "DatabaseSecretArn"},
        {"Ref": "ApiAppKeySecretArn"},
        {"Ref": "ApiSmtpSecretArn"},
        {"Ref": "ApiSecretStripe"},
    ]


def test_like_shares_image_variables_and_secrets_and_differs_where_its_entry_says_so() -> None:
    more = WebService("Admin", like="Api", paths=("/admin/*",), priority=200, variables={"SITE": "x", "ROLE": "admin"})
    templates = rendered(WEB, API, more)
    container, original = app(templates, "admin"), app(templates, "api")
    assert (container["Command"], container["Secrets"]) == (original["Command"], original["Secrets"])
    variables = {item["Name"]: item["Value"] for item in container["Environment"]}
    assert variables["LOG_LEVEL"] == {"Ref": "ApiVarLogLevel"}
    assert (variables["SITE"], variables["ROLE"]) == ("x", "admin")
    root = templates["root.json"]
    assert "AdminImage" not in root["Parameters"]
    for name in ("Api", "Admin"):
        nested = root["Resources"][f"{name}ServiceStack"]["Properties"]["Parameters"]
        assert nested["Image"] == {"Ref": "ApiImage"}
        assert nested["ApiAppKeySecretArn"] == {"Fn::GetAtt": ["StoresStack", "Outputs.ApiAppKeySecretArn"]}
    assert not [name for name in templates["bootstrap.json"]["Resources"] if "Admin" in name]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ((replace(WEB, like="Portal"),), 'like="Portal", but there is no workload Portal'),
        ((replace(WEB, like="Web"),), "like has a cycle: Web -> Web"),
        ((replace(WEB, like="Api"), replace(API, like="Web")), "like has a cycle: Web -> Api -> Web"),
        ((WEB, replace(API, priority=900)), "two workloads with priority 900: Web and Api"),
        ((replace(WEB, priority=101), replace(API, paths=("/a", "/b", "/c", "/d"))), "priority 101: .* Api needs 2"),
        ((WEB, replace(API, paths=("/*",))), r"path /\* belongs to Web and Api"),
        (
            (replace(WEB, priority=5), replace(API, host="api", priority=7)),
            "Web has priority 5 and receives its paths of every",
        ),
        ((replace(WEB, host="a-1"), replace(API, host="a1")), "the hosts a-1 and a1 differ too little"),
        (
            tuple(replace(WEB, name=f"W{n}", host=f"w{n}", priority=n) for n in range(1, 9)),
            "8 hosts of web services: a certificate has room for 7",
        ),
    ],
)
def test_workloads_that_contradict_each_other_are_refused(entries: tuple[Workload, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Config(workloads=entries)


def test_more_paths_than_a_rule_holds_become_more_rules() -> None:
    templates = rendered(replace(WEB, paths=("/a", "/b", "/c", "/d"), priority=7))
    found = {
        name: resource["Properties"]
        for name, resource in templates["workload-web.json"]["Resources"].items()
        if resource["Type"] == "AWS::ElasticLoadBalancingV2::ListenerRule"
    }
    assert {name: one["Priority"] for name, one in found.items()} == {"ListenerRule": 7, "ListenerRule2": 8}
    for one in found.values():
        values = [
            value
            for condition in one["Conditions"]
            for config in condition.values()
            if isinstance(config, dict)
            for value in config["Values"]
        ]
        assert len(values) <= 5


SEARCH = InternalService("Search", called_by=("Web", "Nightly"))
NIGHTLY = Job(
    "Nightly", schedule="cron(0 18 * * ? *)", timezone="Asia/Tokyo", variables={"SEARCH": AddressOf("Search")}
)
MAILER = Worker("Mailer", like="Api", command=("mail",), one_task=True, spot=True)


def resources(templates: dict[str, Any], slug: str) -> dict[str, Any]:
    found: dict[str, Any] = templates[f"workload-{slug}.json"]["Resources"]
    return found


def test_a_worker_has_no_load_balancer_and_one_task_is_stopped_before_the_next_starts() -> None:
    templates = rendered(WEB, API, MAILER)
    kinds = {one["Type"] for one in resources(templates, "mailer").values()}
    assert not any("ElasticLoadBalancing" in kind or "AutoScaling" in kind for kind in kinds)
    service = resources(templates, "mailer")["Service"]["Properties"]
    deployment = service["DeploymentConfiguration"]
    assert (deployment["MinimumHealthyPercent"], deployment["MaximumPercent"]) == (0, 100)
    assert (service["AvailabilityZoneRebalancing"], service["DesiredCount"]) == ("DISABLED", 1)
    assert service["CapacityProviderStrategy"] == [{"CapacityProvider": "FARGATE_SPOT", "Weight": 1}]
    assert "LaunchType" not in service
    assert "PortMappings" not in app(templates, "mailer")
    root = templates["root.json"]["Parameters"]
    assert {"MailerCpu", "MailerMemory"} <= set(root)
    assert not {"MailerMinTasks", "MailerMaxTasks", "MailerImage"} & set(root)
    access = templates["root.json"]["Resources"]["MailerAccessStack"]["Properties"]["Parameters"]
    assert access["ContainerPort"] == "", "the load balancer does not reach the worker"


def test_an_internal_service_has_a_name_and_admits_its_callers_alone() -> None:
    templates = rendered(WEB, SEARCH, NIGHTLY)
    names = templates["discovery.json"]["Resources"]
    assert names["Namespace"]["Properties"]["Name"] == {"Fn::Sub": "${Prefix}.internal"}
    assert names["SearchRegistry"]["Properties"]["Name"] == "search"
    found = resources(templates, "search")
    sources = {
        name: one["Properties"]["SourceSecurityGroupId"]
        for name, one in found.items()
        if one["Type"] == "AWS::EC2::SecurityGroupIngress"
    }
    assert sources == {
        "FromWebIngress": {"Ref": "WebSecurityGroupId"},
        "FromNightlyIngress": {"Ref": "NightlySecurityGroupId"},
    }
    assert found["Service"]["Properties"]["ServiceRegistries"] == [{"RegistryArn": {"Ref": "RegistryArn"}}]
    assert app(templates, "nightly")["Environment"] == [
        {"Name": "SEARCH", "Value": {"Fn::Sub": "search.${Prefix}.internal"}}
    ]
    assert templates["root.json"]["Metadata"]["Workloads"]["Search"]["CalledBy"] == ["Web", "Nightly"]


def test_declared_ports_become_rules_before_the_tasks_start_and_a_like_takes_them_over() -> None:
    smtp = (Egress(587, "SMTP"), Egress(5432, "Partner", cidr="203.0.113.0/24"))
    templates = rendered(WEB, replace(API, egress=smtp, migrate=("migrate",)), MAILER)
    for slug, starts in (("api", ("Service", "Migration")), ("mailer", ("Service",))):
        found = resources(templates, slug)
        rules = {
            name: one["Properties"] for name, one in found.items() if one["Type"] == "AWS::EC2::SecurityGroupEgress"
        }
        assert {
            name: (one["FromPort"], one["ToPort"], one["CidrIp"], one["Description"]) for name, one in rules.items()
        } == {
            "Port587Egress": (587, 587, "0.0.0.0/0", "SMTP"),
            "Port5432To203x0x113x0x24Egress": (5432, 5432, "203.0.113.0/24", "Partner"),
        }
        assert all(set(rules) <= set(found[name]["DependsOn"]) for name in starts)
    assert "Egress" not in templates["root.json"]["Metadata"]["Workloads"]["Web"]


@pytest.mark.parametrize(
    ("create", "message"),
    [
        (lambda: Egress(0, "SMTP"), "port is 0, give 1 to 65535"),
        (lambda: Egress(443, "API"), "port 443 is open to every address"),
        (lambda: Egress(587, ""), "description"),
        (lambda: Egress(587, "E-Mail für alle"), "description"),
        (lambda: Egress(587, "SMTP", cidr="mail.example.com"), "is not valid"),
        (lambda: Egress(587, "SMTP", cidr="203.0.113.7/24"), "has host bits set"),
        (lambda: Egress(587, "SMTP", cidr="203.0.113.7"), "write it as 203.0.113.7/32"),
        (lambda: Egress(587, "SMTP", cidr="10.1.0.0/16"), "contains private addresses"),
        (lambda: Egress(587, "SMTP", cidr="128.0.0.0/1"), "contains private addresses"),
        (lambda: replace(API, egress=(Egress(25, "a"), Egress(25, "b"))), "egress has port 25 to 0.0.0.0/0 twice"),
        (
            lambda: replace(API, egress=tuple(Egress(port, "Range") for port in range(2000, 2031))),
            "egress has 31 rules, give at most 30",
        ),
        (lambda: replace(API, egress=cast("Any", (587,))), "egress is"),
    ],
)
def test_egress_that_a_security_group_cannot_have_is_refused(create: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        create()


def test_a_schedule_runs_every_revision_of_its_job_with_the_roles_of_the_job_alone() -> None:
    templates = rendered(WEB, SEARCH, NIGHTLY)
    found = resources(templates, "nightly")
    schedule = found["Schedule"]["Properties"]
    assert (schedule["ScheduleExpression"], schedule["ScheduleExpressionTimezone"]) == (
        "cron(0 18 * * ? *)",
        "Asia/Tokyo",
    )
    assert schedule["Target"]["EcsParameters"]["TaskDefinitionArn"] == {"Ref": "TaskDefinition"}
    assert schedule["State"] == {"Fn::If": ["IsEnabled", "ENABLED", "DISABLED"]}
    family = found["TaskDefinition"]["Properties"]["Family"]["Fn::Sub"]
    statements = {one["Sid"]: one for one in found["ScheduleGrants"]["Properties"]["PolicyDocument"]["Statement"]}
    (run,) = statements["RunJob"]["Resource"]
    assert run["Fn::Sub"].endswith(f":task-definition/{family}:*")
    assert statements["PassTaskRoles"]["Resource"] == [{"Ref": "TaskRoleArn"}, {"Ref": "ExecutionRoleArn"}]
    assert templates["root.json"]["Parameters"]["NightlyEnabled"]["Default"] == "true"


def test_a_web_service_may_be_sticky_and_scale_by_requests() -> None:
    templates = rendered(replace(WEB, sticky_seconds=3600, scaling=Scaling(memory_percent=0, requests_per_task=500)))
    found = resources(templates, "web")
    attributes = {one["Key"]: one["Value"] for one in found["TargetGroup"]["Properties"]["TargetGroupAttributes"]}
    assert attributes["stickiness.lb_cookie.duration_seconds"] == "3600"
    policies = {name for name, one in found.items() if one["Type"].endswith("ScalingPolicy")}
    assert policies == {"CpuScalingPolicy", "RequestsScalingPolicy"}


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("cron(0 0 31 2 ? *)", "never fires: there is no such date"),
        ("cron(0 0 29 2 ? 2027)", "never fires: there is no such date"),
        ("cron(0 0 1 1 ? 2020)", "never fires: there is no such date"),
        ("cron(61 0 * * ? *)", 'minutes "61" is not valid: give 0 to 59'),
        ("cron(0 0 * * * *)", "one of day of month and day of week has to be"),
        ("rate(1 hours)", r"write rate\(1 hour\)"),
        ("every day", "give cron"),
    ],
)
def test_a_schedule_that_never_fires_is_refused(schedule: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"job Nightly: schedule .*{message}"):
        replace(NIGHTLY, schedule=schedule)


@pytest.mark.parametrize(
    "schedule",
    [
        "cron(0 0 29 2 ? 2028)",
        "cron(0/15 8-17 ? * MON-FRI *)",
        "cron(0 0 L * ? *)",
        "cron(0 0 30 2,4 ? *)",
        "rate(5 minutes)",
    ],
)
def test_a_schedule_that_fires_is_accepted(schedule: str) -> None:
    assert replace(NIGHTLY, schedule=schedule).schedule == schedule


@pytest.mark.parametrize(
    ("create", "message"),
    [
        (lambda: Config(workloads=(WEB, replace(SEARCH, called_by=("Api",)))), 'called_by contains "Api"'),
        (
            lambda: Config(workloads=(WEB, NIGHTLY)),
            r'AddressOf\("Search"\) needs an internal service Search',
        ),
        (lambda: replace(SEARCH, scaling=Scaling(requests_per_task=5)), "requests_per_task is for web services"),
        (lambda: replace(WEB, one_task=True, scaling=Scaling(cpu_percent=5)), "one_task has no scaling"),
        (lambda: Scaling(cpu_percent=0, memory_percent=0), "every target is 0"),
        (lambda: replace(NIGHTLY, variables={"PORT": Fact.PORT}), "contains Fact.PORT, but a job has no port"),
        (lambda: replace(NIGHTLY, timezone="5"), 'timezone "5"'),
    ],
)
def test_a_workload_that_cannot_work_is_refused(create: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        create()


def test_one_fact_of_the_port_is_not_taken_over_by_a_workload_without_a_port() -> None:
    templates = rendered(WEB, API, MAILER)
    assert "LISTEN" not in {item["Name"] for item in app(templates, "mailer")["Environment"]}


def test_the_example_of_the_document_is_valid_and_uses_every_kind() -> None:
    text = (Path(__file__).parents[2] / "docs" / "workloads.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec(text.split("```python\n")[1].split("```")[0], names)  # noqa: S102 -- the text is a file of the repository
    templates = rendered(*names["WORKLOADS"])
    kinds = {one["Kind"] for one in templates["root.json"]["Metadata"]["Workloads"].values()}
    assert kinds == {"web service", "internal service", "worker", "job"}
