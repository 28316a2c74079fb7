"""Property changes of a resource at any depth, with secrets masked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hosting.cli.support.plan_properties import (
    PropertyChange,
    list_property_changes,
    list_replacement_causes,
    mask_value,
)
from hosting.deployer.change_sets import Change, Detail

SECRET = "s3cr3t-value"


def detail(name: str, before: str | None = None, after: str | None = None, **more: Any) -> Detail:
    given = {"recreation": "Never", "evaluation": "Static", "source": "", "cause": "", **more}
    return Detail("Properties", f"/Properties/{name}", before, after, **given)


def modified(before: dict[str, Any], after: dict[str, Any], *details: Detail) -> Change:
    old, new = (json.dumps({"Properties": side}) for side in (before, after))
    return Change("Modify", "X", "", "AWS::X", details=details, before=old, after=new)


def told(change: Change, **more: Any) -> list[tuple[str, str | None, str | None]]:
    return [(one.name, one.before, one.after) for one in list_property_changes(change, **more)]


def containers(image: str, **environment: str) -> dict[str, Any]:
    pairs = [{"Name": name, "Value": value} for name, value in environment.items()]
    return {"ContainerDefinitions": [{"Name": "bastion"}, {"Name": "app", "Image": image, "Environment": pairs}]}


def test_a_container_is_compared_down_to_its_variables() -> None:
    old, new = containers("app@1", MODE="blue", SIZE="1"), containers("app@2", NEW="x", MODE="green", SIZE="1")
    assert told(modified(old, new, detail("ContainerDefinitions/1/Image"))) == [
        ("ContainerDefinitions[app].Image", "app@1", "app@2"),
        ("ContainerDefinitions[app].Environment[MODE].Value", "blue", "green"),
        ("ContainerDefinitions[app].Environment[NEW]", None, '{"Name": "NEW", "Value": "x"}'),
    ]


def test_json_inside_a_text_is_compared() -> None:
    old, new = ({"DashboardBody": json.dumps({"widgets": [{"width": width}]})} for width in (6, 12))
    assert told(modified(old, new, detail("DashboardBody"))) == [("DashboardBody.widgets[0].width", "6", "12")]


def test_a_change_set_without_contexts_lists_the_named_paths() -> None:
    change = Change("Modify", "X", "", "AWS::X", details=(detail("Rules", '[{"Port": 1}]', '[{"Port": 2}]'),))
    assert told(change) == [("Rules[0].Port", "1", "2")]
    deeper = Change("Modify", "X", "", "AWS::X", details=(detail("Rules/0/Port", "1", "2"), detail("Rules/0/To")))
    assert told(deeper) == [("Rules.0/Port", "1", "2")]
    silent = Change("Modify", "X", "", "AWS::X", details=(detail("Rules"),))
    assert told(silent) == [("Rules", None, None)]


def test_tags_and_other_attributes_are_listed() -> None:
    tags = Detail("Tags", "", None, None, "Never", "Static", "", "")
    assert told(Change("Modify", "X", "", "AWS::X", details=(tags,))) == [("Tags", None, None)]


def test_derived_values_are_listed_on_request() -> None:
    change = modified({"A": "1", "B": "v"}, {"A": "2", "B": "{{x}}"}, detail("A"), detail("B", derived=True))
    assert told(change) == [("A", "1", "2")]
    assert [one.derived for one in list_property_changes(change, derived=True)] == [False, True]


def test_the_causes_are_the_values_that_require_a_replacement() -> None:
    change = modified({"A": "1", "B": "1"}, {"A": "2", "B": "2"}, detail("A", recreation="Always"), detail("B"))
    assert list_replacement_causes(change) == [PropertyChange("A", "1", "2", "always")]


def test_a_value_known_after_deployment_is_marked() -> None:
    later = "{{IntrinsicFunction:shop/DatabaseStack.Outputs.Arn/Fn::GetAtt}}"
    assert told(modified({"Arn": "arn:x"}, {"Arn": f"{later}/*"}, detail("Arn"))) == [
        ("Arn", "arn:x", "(known after deployment)/*")
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"MasterUserPassword": SECRET}, {"MasterUserPassword": "other-" + SECRET}),
        ({"SecretString": SECRET}, {"SecretString": json.dumps({"password": SECRET})}),
        (containers("i", API_TOKEN=SECRET), containers("i", API_TOKEN="x" + SECRET)),
        (containers("i"), containers("i", DB_PASSWORD=SECRET)),
        ({"Environment": {"Variables": {"CLIENT_SECRET": SECRET}}}, {"Environment": {"Variables": {}}}),
        ({"Headers": [{"HeaderName": "x-origin", "HeaderValue": SECRET}]}, {"Headers": []}),
        ({"Note": f"a {SECRET} b"}, {"Note": "c"}),
    ],
    ids=["password", "secret", "variable", "new variable", "function", "header", "NoEcho anywhere"],
)
def test_no_secret_is_shown(before: dict[str, Any], after: dict[str, Any]) -> None:
    names = {*before, *after}
    found = list_property_changes(modified(before, after, *(detail(name) for name in names)), hidden=[SECRET])
    assert found
    assert SECRET not in str(found)
    assert "(hidden" in str(found)


def test_a_changed_secret_is_shown_as_changed() -> None:
    change = modified({"Password": "one"}, {"Password": "two"}, detail("Password"))
    assert told(change) == [("Password", "(hidden)", "(hidden, different)")]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("SecretArn",), "arn:aws:secretsmanager:x"),
        (("ServiceToken",), "arn:aws:lambda:x"),
        (("ContainerDefinitions", "[app]", "Secrets", "[DB_PASSWORD]", "ValueFrom"), "arn:aws:x:password::"),
        (("HeaderValue",), "{{resolve:secretsmanager:arn:x}}"),
        (("ManageMasterUserPassword",), "true"),
        (("GenerateSecretString", "PasswordLength"), "32"),
        (("PasswordPolicyName",), "strict"),
    ],
)
def test_metadata_of_a_secret_is_shown(path: tuple[str, ...], value: str) -> None:
    assert mask_value(value, path) == value
