"""Functions of a project in the emulator: deployed with the platform, invoked by an event, and their failures kept."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config

from generator.config import load_config
from generator.render import render_all
from hosting.deployer import context as contexts
from hosting.deployer import environment as environments
from hosting.deployer import pipeline
from hosting.deployer.context import Context
from hosting.deployer.reporter import SilentReporter
from hosting.model.stack_order import StackRole
from hosting.rehearsal.emulator import Emulator
from hosting.rehearsal.prerequisites import Prerequisites
from tests.support.project import copy_project
from tests.support.waiting import eventually

FUNCTIONS = """
from generator.workloads import PER_ENVIRONMENT, Function

FUNCTIONS = (
    Function(
        "OrderReport",
        event={"source": ["shop.orders"]},
        variables={"LEVEL": "info", "TEAM": PER_ENVIRONMENT},
    ),
    Function("Cleanup", schedule="cron(0 18 * * ? *)"),
    Function("Consumer", queue="arn:aws:sqs:ap-northeast-1:222233334444:orders"),
)
"""
REPORT = '''
"""Reports an order."""
import os


def handler(event, context):
    if event["detail"]["total"] < 0:
        raise ValueError("negative total")
    print(f"order of {os.environ['TEAM']}: {event['detail']['total']} ({os.environ['LEVEL']})")
'''


pytestmark = pytest.mark.slow(reason="deploys an environment")

CLEANUP = "def handler(event, context):\n    pass\n"
CONSUMER = 'def handler(event, context):\n    print([record["body"] for record in event["Records"]])\n'


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copy_project(tmp_path_factory.mktemp("functions"))
    with (folder / "workloads.py").open("a", encoding="utf-8") as file:
        file.write(FUNCTIONS)
    for name, code in (("order_report", REPORT), ("cleanup", CLEANUP), ("consumer", CONSUMER)):
        (folder / "functions" / name).mkdir(parents=True)
        (folder / "functions" / name / "index.py").write_text(code, encoding="utf-8")
    path = folder / "params" / "lab.json"
    body = json.loads(path.read_text(encoding="utf-8"))
    body["Parameters"]["OrderReportVarTeam"] = "sales"
    path.write_text(json.dumps(body), encoding="utf-8")
    (folder / "templates").mkdir()
    for name, text in render_all(load_config(folder)).items():
        (folder / "templates" / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def deployed(project: Path) -> Iterator[Context]:
    with Emulator() as emulator:
        environment = environments.prepare(project, "lab")
        clients = emulator.clients(environment.file.account or "123456789012")
        context = contexts.connect(environment, clients, sleep=lambda seconds: time.sleep(min(seconds, 0.05)))
        values = environment.file.values
        seeding = Prerequisites(emulator, context.identity.account, context.home)
        seeding.prepare(values)
        pipeline.deploy_stacks(context, SilentReporter(), through=StackRole.BOOTSTRAP)
        seeding.push_images(values)
        context.clients.sqs(context.home).create_queue(QueueName="orders")
        pipeline.deploy_stacks(context, SilentReporter())
        yield context


def send(context: Context, total: int) -> None:
    entry = {"Source": "shop.orders", "DetailType": "Order", "Detail": json.dumps({"total": total})}
    events: Any = context.clients.create("events", context.home, Config())
    events.put_events(Entries=[entry])


def lines(context: Context, group: str) -> list[str]:
    logs: Any = context.clients.logs(context.home)
    found = logs.filter_log_events(logGroupName=group)["events"]
    return [event["message"] for event in found]


def test_an_event_invokes_a_function_with_its_variables(deployed: Context) -> None:
    send(deployed, 12)
    group = "/aws/lambda/atlas-lab-order-report"
    eventually(lambda: any("order of sales: 12 (info)" in line for line in lines(deployed, group)))


def test_an_event_that_fails_is_kept(deployed: Context) -> None:
    send(deployed, -1)
    sqs: Any = deployed.clients.sqs(deployed.home)
    (queue,) = (url for url in sqs.list_queues().get("QueueUrls", []) if "FailedEvents" in url)
    (message,) = eventually(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"))
    kept = json.loads(message["Body"])
    assert kept["requestPayload"]["detail"] == {"total": -1}
    assert kept["responsePayload"]["errorMessage"] == "negative total"


def test_a_message_of_a_queue_invokes_a_function(deployed: Context) -> None:
    sqs: Any = deployed.clients.sqs(deployed.home)
    sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName="orders")["QueueUrl"], MessageBody="order 7")
    eventually(lambda: any("order 7" in line for line in lines(deployed, "/aws/lambda/atlas-lab-consumer")))
