"""Gates, saved plans, drift and placeholder images, as a user runs them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import small_project

Command = Callable[..., Any]
NAMES = ("--allow-delete", "Operations/Data")


def without_data(project: Path) -> None:
    body = small_project.templates()["operations.json"]
    del body["Resources"]["Data"]
    small_project.write(project, changed={"operations.json": body})


def test_data_loss_requires_the_name_of_the_resource(command: Command, project: Path) -> None:
    assert command("deploy", "-e", "dev", "--yes").code == 0
    without_data(project)
    plan = command("plan", "-e", "dev", "--detailed-exitcode")
    assert plan.code == 2
    lines = plan.out.splitlines()
    assert "refused without --allow-delete Operations/Data" in lines[1]
    assert lines[-1].endswith("1 of them loses data")

    refused = command("deploy", "-e", "dev", "--yes")
    assert refused.code == 3, "--yes opens no gate"
    assert "to allow it, add: --allow-delete Operations/Data" in refused.err
    assert command("deploy", "-e", "dev", "--yes", "--allow-replace", "Operations/Data").code == 3
    slip = command("deploy", "-e", "dev", "--yes", "--allow-delete", "Operations/Dat")
    assert slip.code == 64
    assert 'did you mean "Operations/Data"?' in slip.err

    done = command("deploy", "-e", "dev", "--yes", *NAMES)
    assert done.code == 0, done.err
    again = command("plan", "-e", "dev", "--allow-delete", "Operations/Topic")
    assert (again.code, again.err) == (
        0,
        "--allow-delete Operations/Topic has no effect: the plan does not contain this change\n",
    )


def test_fail_on_refuses_its_kind_of_change(command: Command, project: Path) -> None:
    assert command("deploy", "-e", "dev", "--yes").code == 0
    nothing = command("plan", "-e", "dev", "--fail-on", "any-change", "--fail-on", "destructive")
    assert nothing.code == 0, nothing.err
    changed = ("-e", "dev", "--set", "Note=changed")
    assert command("plan", *changed, "--fail-on", "destructive", "--fail-on", "broadening").code == 0
    assert command("plan", *changed, "--fail-on", "never").code == 0
    any_change = command("plan", *changed, "--fail-on", "any-change")
    assert (any_change.code, any_change.err) == (3, "refused: --fail-on any-change: the plan contains changes\n")
    refused = command("deploy", *changed, "--yes", "--fail-on", "any-change")
    assert refused.code == 3
    assert command("plan", *changed, "--detailed-exitcode").code == 2, "nothing was deployed"
    without_data(project)
    lossy = command("deploy", "-e", "dev", "--yes", *NAMES, "--fail-on", "destructive")
    assert lossy.code == 3, "what is named is refused where nothing may be lost at all"


def test_wider_permissions_fail_on_request(command: Command, project: Path) -> None:
    def grant(*actions: str) -> None:
        body = small_project.templates()["workload-frontend.json"]
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        document = {"Version": "2012-10-17", "Statement": [statement]}
        body["Resources"]["Grant"] = {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": document}}
        small_project.write(project, changed={"workload-frontend.json": body})

    grant("s3:GetObject", "s3:PutObject")
    first = command("deploy", "-e", "dev", "--yes", "--fail-on", "broadening")
    assert first.code == 0, first.err
    grant("s3:GetObject", "s3:*")
    broader = command("plan", "-e", "dev", "--fail-on", "broadening")
    assert broader.code == 3
    assert broader.err.endswith("refused: --fail-on broadening: FrontendServiceStack/Grant (permissions)\n")
    assert "new action s3:*" in broader.out
    grant("s3:GetObject")
    narrower = command("plan", "-e", "dev", "--fail-on", "broadening")
    assert narrower.code == 0
    assert "change without widening" in narrower.out


def test_production_requires_a_confirmation_and_is_protected(command: Command, project: Path) -> None:
    silent = command("deploy", "-e", "prod")
    assert silent.code == 64
    assert "stdin is not a terminal. Use --yes" in silent.err
    first = command("deploy", "-e", "prod", "--yes")
    assert first.code == 0, first.err
    assert "shop-prod (ap-northeast-1): 2 stack policies deny losing data now" in first.err
    assert "shop-prod (ap-northeast-1): termination protection is on now" in first.err
    assert command("deploy", "-e", "prod", "--yes").err == "Nothing to change.\n"
    without_data(project)
    done = command("deploy", "-e", "prod", "--yes", *NAMES)
    assert done.code == 0, done.err
    opened = done.err.index("the stack policy is open for Operations/Data")
    assert opened < done.err.index("2 stack policies deny losing data now"), "root protected what is gone, too"


def test_the_next_deployment_restores_an_open_stack_policy(command: Command, aws: Callable[..., Any]) -> None:
    assert command("deploy", "-e", "prod", "--yes").code == 0
    client = aws("cloudformation")
    (child,) = [one["StackId"] for one in client.describe_stacks()["Stacks"] if "OperationsS" in one["StackName"]]
    allow = {"Statement": [{"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}]}
    client.set_stack_policy(StackName=child, StackPolicyBody=json.dumps(allow))
    assert (
        "shop-prod (ap-northeast-1): 1 stack policy denies losing data now"
        in command("deploy", "-e", "prod", "--yes").err
    )
    assert "Deny" in client.get_stack_policy(StackName=child)["StackPolicyBody"]


def test_a_saved_plan_is_executed_exactly(command: Command, project: Path, tmp_path: Path) -> None:
    file = tmp_path / "x.plan"
    nothing_yet = command("plan", "-e", "dev", "--out", str(file))
    assert nothing_yet.code == 0, nothing_yet.err
    assert "shop-dev, shop-dev-edge-monitoring cannot be planned yet" in nothing_yet.err
    partly = command("deploy", str(file), "--yes")
    assert partly.code == 2, partly.err
    assert "Not deployed yet: shop-dev, shop-dev-edge-monitoring." in partly.err
    assert command("deploy", "-e", "dev", "--yes").code == 0

    assert command("plan", "-e", "dev", "--set", "Note=approved", "--out", str(file)).code == 0
    assert command("deploy", str(file)).code == 64, "it asks as well"
    assert command("deploy", str(file), "--yes", "--set", "Note=other").code == 64
    assert command("deploy", str(file), "--yes", "-e", "prod").code == 64
    done = command("deploy", str(file), "--yes")
    assert done.code == 0, done.err
    assert "Note" not in done.out
    assert "DisplayName: hello -> approved" in done.err
    again = command("deploy", str(file), "--yes")
    assert again.code == 3
    assert "has changed since the plan was saved" in again.err

    file.write_text(file.read_text()[:300])
    broken = command("deploy", str(file), "--yes")
    assert (broken.code, len(broken.err.splitlines())) == (64, 1)


def test_a_plan_that_would_be_refused_is_not_saved(command: Command, project: Path, tmp_path: Path) -> None:
    file = tmp_path / "x.plan"
    assert command("deploy", "-e", "dev", "--yes").code == 0
    empty = command("plan", "-e", "dev", "--out", str(file))
    assert (empty.code, file.exists()) == (0, False)
    assert "The plan has no changes" in empty.err
    without_data(project)
    refused = command("plan", "-e", "dev", "--out", str(file))
    assert (refused.code, file.exists()) == (3, False)
    assert command("plan", "-e", "dev", "--out", str(file), *NAMES).code == 0
    assert command("deploy", str(file), "--yes", *NAMES).code == 64, "what is allowed was approved with the plan"
    done = command("deploy", str(file), "--yes")
    assert done.code == 0, done.err


def test_drift_is_listed_with_both_values(command: Command, aws: Callable[..., Any]) -> None:
    assert command("drift", "-e", "dev").code == 1
    assert command("deploy", "-e", "dev", "--yes").code == 0
    clean = command("drift", "-e", "dev")
    assert (clean.code, clean.out.splitlines()[-1].split(": ")[1]) == (0, "no drift")
    sns = aws("sns")
    (topic,) = [one["TopicArn"] for one in sns.list_topics()["Topics"] if "OperationsStack" in one["TopicArn"]]
    sns.set_topic_attributes(TopicArn=topic, AttributeName="DisplayName", AttributeValue="by hand")
    found = command("drift", "-e", "dev")
    assert found.code == 2
    assert "DisplayName: template hello, actual by hand" in found.out
    document = json.loads(command("drift", "-e", "dev", "--output", "json").out)
    assert document["schema"] == "hosting-platform/drift/1"
    (drifted,) = [one for stack in document["stacks"] for one in stack["drifted"]]
    assert drifted["name"] == "Operations/Topic"


def test_a_first_deployment_uses_the_placeholder_image(command: Command, project: Path, account: str) -> None:
    missing = f"{account}.dkr.ecr.ap-northeast-1.amazonaws.com/shop/web@{small_project.DIGEST}"
    small_project.write(project, FrontendImage=missing)
    assert "is not in the registry" in command("deploy", "-e", "dev", "--yes").err
    stand_in = f"public.ecr.aws/stand/in@{small_project.DIGEST}"
    assert command("plan", "-e", "dev", "--placeholder-image", "stand-in:latest").code == 64
    done = command("deploy", "-e", "dev", "--yes", "--placeholder-image", stand_in)
    assert done.code == 0, done.err
    assert f"PLACEHOLDER  FrontendImage: {missing} is not in the registry" in done.err
    assert command("deploy", "-e", "dev", "--yes").code == 64, "and only as long as it is asked for"


@pytest.mark.parametrize("arguments", [("deploy",), ("deploy", "-e", "dev", "--yes", "--fail-on", "everything")])
def test_contradictory_options_are_wrong_input(command: Command, arguments: tuple[str, ...]) -> None:
    assert command(*arguments).code == 64
