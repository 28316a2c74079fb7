"""The schema of a workload: its secret, its user, and who reads them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from generator.config import Config
from generator.errors import ConfigError
from generator.platform_parts import Parts
from generator.render import render_all
from generator.workloads import Fact, Job, WebService, Worker, Workload

SHOP = WebService("Shop", paths=("/*",), priority=900, schema="my_shop", variables={"NAME": Fact.DATABASE_NAME})
OTHER = WebService("Other", paths=("/other",), priority=100)


def rendered(*workloads: Workload) -> dict[str, Any]:
    return {name: json.loads(text) for name, text in render_all(Config(workloads=workloads)).items()}


def app(templates: dict[str, Any], slug: str) -> Any:
    task = templates[f"workload-{slug}.json"]["Resources"]["TaskDefinition"]
    return task["Properties"]["ContainerDefinitions"][0]


def readable(templates: dict[str, Any], slug: str) -> list[Any]:
    document = templates[f"workload-{slug}.json"]["Resources"]["ExecutionGrants"]["Properties"]["PolicyDocument"]
    statements = [one for one in document["Statement"] if "secretsmanager:GetSecretValue" in one["Action"]]
    return [resource for one in statements for resource in one["Resource"]]


def test_a_workload_has_the_name_and_the_user_of_its_schema_and_cannot_read_the_master() -> None:
    templates = rendered(SHOP, OTHER)
    assert app(templates, "shop")["Environment"] == [{"Name": "NAME", "Value": "my_shop"}]
    assert {one["ValueFrom"]["Fn::Sub"] for one in app(templates, "shop")["Secrets"]} == {
        "${MyShopUserSecretArn}:username::",
        "${MyShopUserSecretArn}:password::",
    }
    assert readable(templates, "shop") == [{"Ref": "MyShopUserSecretArn"}]
    assert readable(templates, "other") == [{"Ref": "DatabaseSecretArn"}]


def test_the_data_api_is_on_only_for_a_schema() -> None:
    cluster = rendered(SHOP)["database.json"]["Resources"]["Cluster"]["Properties"]
    assert cluster["EnableHttpEndpoint"] is True
    templates = rendered(OTHER)
    assert "EnableHttpEndpoint" not in templates["database.json"]["Resources"]["Cluster"]["Properties"]
    assert "database-users.json" not in templates
    assert "DatabaseUserCodeKey" not in templates["root.json"]["Parameters"]


def test_workloads_that_are_like_another_share_its_schema() -> None:
    templates = rendered(
        SHOP, Worker("Mail", like="Shop"), Job("Own", like="Shop", schedule="rate(1 day)", schema="own")
    )
    assert app(templates, "mail")["Secrets"] == app(templates, "shop")["Secrets"]
    assert readable(templates, "own") == [{"Ref": "OwnUserSecretArn"}]
    users = templates["database-users.json"]["Resources"]
    assert {one["Properties"]["Schema"] for one in users.values() if one["Type"] == "Custom::DatabaseUser"} == {
        "my_shop",
        "own",
    }


def test_the_rotation_waits_for_the_user_and_the_permission() -> None:
    rotation = rendered(SHOP)["database-users.json"]["Resources"]["MyShopRotation"]
    assert rotation["DependsOn"] == ["MyShopRotationPermission", "MyShopUser"]
    assert rotation["Properties"]["RotateImmediatelyOnUpdate"] is False


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("Shop", 'schema "Shop", give up to 30 small letters'),
        ("a" * 31, "give up to 30 small letters"),
        ("my-shop", "give up to 30 small letters"),
        ("mysql", "the schema mysql exists already"),
        ("app", "the schema app exists already"),
    ],
)
def test_a_name_that_mysql_does_not_accept_is_refused(schema: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        WebService("Shop", paths=("/*",), priority=900, schema=schema)


def test_a_schema_has_one_owner_and_needs_a_database() -> None:
    second = Worker("Second", schema="my_shop")
    with pytest.raises(ConfigError, match=r"worker Second: the schema my_shop belongs to Shop\. Share it with like"):
        Config(workloads=(SHOP, second))
    only = WebService("Only", paths=("/*",), priority=9, schema="only", variables={}, secrets={})
    with pytest.raises(ConfigError, match="schema is only, but DATABASE = None leaves out the database"):
        Config(workloads=(only,), parts=Parts(database=False))
