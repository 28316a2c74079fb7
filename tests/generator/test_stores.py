"""STORES and the uses of workloads: what a project may declare, and what the templates contain for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from generator.config import Config, load_config
from generator.errors import ConfigError
from generator.render import render_all
from generator.workloads import (
    Bucket,
    BucketName,
    Function,
    Mount,
    Queue,
    QueueUrl,
    Read,
    ReadWrite,
    Receive,
    Send,
    Store,
    Volume,
    WebService,
    Worker,
    Workload,
)

IMPORT = "from generator.workloads import Bucket, Mount, Queue, Read, ReadWrite, Receive, Send, Volume, WebService\n"
STORES: tuple[Store, ...] = (Bucket("Uploads"), Queue("Orders"), Volume("Files"))


def web(**settings: Any) -> WebService:
    return WebService("Web", paths=("/*",), priority=900, **settings)


def rendered(workloads: tuple[Workload, ...], stores: tuple[Store, ...] = STORES) -> dict[str, Any]:
    return {name: json.loads(text) for name, text in render_all(Config(workloads=workloads, own_stores=stores)).items()}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('STORES = (Bucket("uploads"),)', r'^workloads\.py:2: store "uploads": give it a name in CamelCase'),
        ('STORES = [Bucket("A")]', r"^workloads\.py:2: STORES has to be a tuple"),
        ('STORES = (Bucket("A", expire_days=-1),)', r"^workloads\.py:2: bucket A: expire_days is -1, give 0 to"),
        ('STORES = (Queue("A", attempts=0),)', r"^workloads\.py:2: queue A: attempts is 0, give 1 to 1000"),
        ('STORES = (Queue("A", late_minutes=9999),)', r"queue A: late_minutes is 9999, give 0 to 5760"),
        ('STORES = (Queue("A", retention_days="4"),)', r"retention_days is '4': give a value of type int"),
        ('STORES = (Queue("A"),\n Volume("a1"), Volume("A"))', r'store "a1"'),
        (
            'STORES = (Queue("A"),\n Queue("AFailed"))',
            r"^workloads\.py:3: queue AFailed: the queue of failed messages of A has this name",
        ),
        ('STORES = (Volume("A", owner="0:0"),)', r'volume A: owner "0:0", give a user other than root'),
        ('STORES = (Queue("A"),\n Volume("A"))', r"^workloads\.py:3: two stores with name A"),
    ],
)
def test_a_store_that_cannot_exist_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    web = 'WORKLOADS = (WebService("Web", paths=("/*",), priority=900),)\n'
    (tmp_path / "workloads.py").write_text(f"{IMPORT}{text}\n{web}", encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load_config(tmp_path)


@pytest.mark.parametrize(
    ("workloads", "message"),
    [
        ((web(uses=(Read("Other"),)),), r'web service Web: Read\("Other"\) needs a bucket Other in STORES'),
        ((web(uses=(Read("Orders"),)),), r'Read\("Orders"\) needs a bucket Orders in STORES'),
        ((web(uses=(Send("Uploads"),)),), r"needs a queue Uploads in STORES"),
        ((web(variables={"B": BucketName("Uploads")}),), r'BucketName\("Uploads"\) needs a use of the bucket Uploads'),
        (
            (web(uses=(Read("Uploads"),), variables={"Q": QueueUrl("Orders")}),),
            r'QueueUrl\("Orders"\) needs a use of the queue Orders',
        ),
        (
            (web(uses=(Mount("Files", "/data"),)), Worker("Mail", uses=(Mount("Files", "/data"),), user="33:33")),
            r"worker Mail: its user is 33:33, but that of Web is 10001:10001.* Give the volume Files an owner",
        ),
        ((web(uses=(Mount("Files", "/data"),), user="0:0"),), "root cannot own the files of a volume. Give the volume"),
    ],
)
def test_a_use_without_its_store_is_refused(workloads: tuple[Workload, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Config(workloads=workloads, own_stores=STORES)


@pytest.mark.parametrize(
    ("uses", "message"),
    [
        ((Read("Uploads"), Read("Uploads")), r"uses contains Read\(Uploads\) twice"),
        ((Mount("Files", "/tmp"),), r'writable path "/tmp" is given twice'),
        ((Mount("Files", "/managed-agents"),), "of the app itself"),
    ],
)
def test_a_use_that_the_container_cannot_have_is_refused(uses: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        web(uses=uses)


def test_a_mount_needs_a_folder() -> None:
    with pytest.raises(ConfigError, match='path "data", give a folder'):
        Mount("Files", "data")


def test_stores_are_kept_and_have_no_fixed_names() -> None:
    resources = rendered((web(),))["stores.json"]["Resources"]
    kept = {name for name, one in resources.items() if one.get("DeletionPolicy") == "RetainExceptOnCreate"}
    assert kept == {"UploadsBucket", "OrdersQueue", "OrdersFailedQueue", "FilesVolume"}
    fixed = {"BucketName", "QueueName", "CreationToken"}
    assert not [name for name in kept if fixed & set(resources[name]["Properties"])]


def test_a_workload_that_is_like_another_uses_the_same_stores_unless_its_entry_has_its_own() -> None:
    first = web(uses=(ReadWrite("Uploads"),))
    same, other = Worker("Same", like="Web"), Worker("Other", like="Web", uses=(Receive("Orders"),))
    templates = rendered((first, same, other))
    policies = {
        slug: templates[f"workload-{slug}.json"]["Resources"]["TaskGrants"]["Properties"]["PolicyDocument"]
        for slug in ("web", "same", "other")
    }
    assert policies["web"] == policies["same"]
    assert [statement["Sid"] for statement in policies["other"]["Statement"]] == [
        "ReceiveFromOrders",
        "UseKeyOfQueues",
    ]


def test_a_project_without_stores_has_neither_their_template_nor_the_name_of_the_role() -> None:
    templates = rendered((web(),), stores=())
    assert "stores.json" not in templates
    assert "TaskRoleName" not in templates["access.json"]["Outputs"]


def test_a_template_receives_only_the_values_that_it_uses() -> None:
    templates = rendered((web(),), stores=(Bucket("Uploads"),))
    given = templates["root.json"]["Resources"]["StoresStack"]["Properties"]["Parameters"]
    assert set(given) == set(templates["stores.json"]["Parameters"]) == {"AccessLogBucketName"}


def test_browsers_may_send_files_from_the_site_only_where_the_project_says_so() -> None:
    stores = (Bucket("Uploads", browser_uploads=True), Bucket("Exports"))
    resources = rendered((web(),), stores=stores)["stores.json"]["Resources"]
    (rule,) = resources["UploadsBucket"]["Properties"]["CorsConfiguration"]["CorsRules"]
    assert rule["AllowedOrigins"] == [
        {"Fn::If": ["HasDomain", {"Fn::Sub": "https://${DomainName}"}, "https://*.cloudfront.net"]}
    ]
    assert "CorsConfiguration" not in resources["ExportsBucket"]["Properties"]


def test_a_queue_without_a_limit_of_age_has_one_alarm() -> None:
    resources = rendered((web(),), stores=(Queue("Orders", late_minutes=0),))["stores.json"]["Resources"]
    alarms = [name for name, one in resources.items() if one["Type"] == "AWS::CloudWatch::Alarm"]
    assert alarms == ["OrdersFailedQueueAlarm"]


def test_a_function_receives_the_messages_of_a_queue_with_the_key_that_encrypts_them() -> None:
    queue = Queue("Orders", visibility_seconds=360)
    config = Config(workloads=(web(),), own_stores=(queue,), own_functions=(Function("Consumer", queue="Orders"),))
    templates = {name: json.loads(text) for name, text in render_all(config).items()}
    resources = templates["functions.json"]["Resources"]
    assert resources["ConsumerSource"]["Properties"]["EventSourceArn"] == {"Ref": "OrdersQueueArn"}
    policy = resources["ConsumerPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    granted = {statement["Sid"]: statement["Resource"] for statement in policy}
    assert granted["ReceiveMessages"] == [{"Ref": "OrdersQueueArn"}]
    assert granted["DecryptMessages"] == [{"Ref": "DataKeyArn"}]
    given = templates["root.json"]["Resources"]["FunctionsStack"]["Properties"]["Parameters"]
    assert set(given) == set(templates["functions.json"]["Parameters"])


@pytest.mark.parametrize(
    ("queue", "message"),
    [
        ("Other", 'function Consumer: queue "Other" is not in STORES'),
        ("Uploads", 'function Consumer: queue "Uploads" is not in STORES'),
        ("Orders", "its timeout is 61, but visibility_seconds of the queue Orders is 60"),
    ],
)
def test_a_function_without_its_queue_is_refused(queue: str, message: str) -> None:
    function = Function("Consumer", queue=queue, timeout=61)
    with pytest.raises(ConfigError, match=message):
        Config(workloads=(web(),), own_stores=STORES, own_functions=(function,))
