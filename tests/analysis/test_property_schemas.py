"""A template with a wrong type anywhere gives one message, for the proof and for the policies."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import pytest

from hosting.analysis.iam_policies.grants import deploy_statements
from hosting.analysis.property_schemas import PROPERTY_SCHEMAS, check_property_types
from hosting.analysis.reachability.proof import prove
from hosting.analysis.resolve import ResolvedEnvironment, resolve
from hosting.model.errors import PlatformError, ResolveError
from hosting.model.parameter_file import Environment
from hosting.model.templates import Template
from tests.analysis.rules.conftest import Bench

WRONG: list[Any] = ["x", 5, None, [], {}, ["x"], {"a": 1}, True, [{"Ref": "AWS::Region"}]]


def resolved(bench: Bench) -> ResolvedEnvironment:
    templates = {name: Template.from_body(name, body) for name, body in bench.bodies.items()}
    given = bench.environment
    return resolve(templates, Environment(given.name, bench.parameters, given.account))


@pytest.mark.parametrize("environment", ["lab", "live"])
def test_the_committed_templates_are_in_shape(environment: str) -> None:
    env = resolved(Bench(environment))
    check_property_types(env)
    assert (
        set(PROPERTY_SCHEMAS) - {item.type for stack in env.stacks.values() for item in stack.resources.values()}
        == set()
    )


@pytest.mark.parametrize(
    ("kind", "path", "value", "says"),
    [
        ("EC2::SecurityGroup", "SecurityGroupEgress", ["all"], "Properties.SecurityGroupEgress.0 is not an object"),
        (
            "ElasticLoadBalancingV2::Listener",
            "DefaultActions",
            "redirect",
            "Properties.DefaultActions is not an object",
        ),
        ("CloudFront::Distribution", "DistributionConfig.Origins.0.Id", {}, "Origins.0.Id is not a string"),
        ("S3::BucketPolicy", "PolicyDocument.Statement.0.Action", 5, "Statement.0.Action is not a string"),
    ],
)
def test_what_is_wrong_is_said(kind: str, path: str, value: Any, says: str) -> None:
    bench = Bench("lab")
    bench.put(kind, path, value)
    with pytest.raises(ResolveError, match=says):
        prove(resolved(bench), {})


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Everything that can be damaged, but for what is inside an intrinsic function: that is the resolver's."""
    inner: list[Any] = []
    if isinstance(value, dict):
        inner = [(key, item) for key, item in value.items() if key != "Ref" and not key.startswith("Fn::")]
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return [found for key, item in inner for found in ((*path, key), *paths(item, (*path, key)))]


@pytest.mark.parametrize("seed", range(60))
def test_no_damage_is_a_traceback(seed: int) -> None:
    choose = random.Random(seed)  # noqa: S311 - the same damage in every run
    bench = Bench(choose.choice(["lab", "live"]))
    resources = [
        item["Properties"]
        for body in bench.bodies.values()
        for item in body["Resources"].values()
        if item["Type"] in PROPERTY_SCHEMAS and item.get("Properties")
    ]
    target: Any = choose.choice(resources)
    *steps, last = choose.choice(paths(target))
    for step in steps:
        target = target[step]
    target[last] = choose.choice(WRONG)
    with contextlib.suppress(PlatformError):
        env = resolved(bench)
        prove(env, {})
        deploy_statements(env)
