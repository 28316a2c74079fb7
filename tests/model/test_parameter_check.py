"""Input errors, found in one go and before any call."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hosting.model import constraints, parameter_check
from hosting.model.errors import InputError
from hosting.model.parameter_file import ParameterFile
from hosting.model.stack_order import StackRole
from hosting.model.templates import Parameter, Template
from tests import small_project

TEMPLATES = {name: Template(name, json.dumps(body)) for name, body in small_project.templates().items()}


def problems(environment: str = "dev", **values: str) -> list[str]:
    given = {"FrontendImage": small_project.IMAGE, "Environment": environment, **values}
    file = ParameterFile("params/x.json", {key: value for key, value in given.items() if value != "ABSENT"})
    return [str(problem) for problem in parameter_check.find_problems(file, environment, TEMPLATES)]


def test_a_right_file_has_no_problems() -> None:
    assert problems() == []
    assert problems("prod", DomainName="shop.example.com") == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"DomianName": "x"}, 'unknown key "DomianName"; did you mean "DomainName"?'),
        ({"Zebra": "x"}, 'unknown key "Zebra"; no stack declares it'),
        ({"ArtifactBucket": "x"}, '"ArtifactBucket" is supplied by deploy.py'),
        ({"NetworkTemplateKey": "x"}, '"NetworkTemplateKey" is supplied by deploy.py'),
        ({"FrontendImage": "ABSENT"}, 'missing "FrontendImage"; templates/root.json requires it'),
        (
            {"FrontendImage": "ABSENT", "FrontendImag": "x"},
            'missing "FrontendImage"; "FrontendImag" may be a misspelling of it',
        ),
        ({"Size": "10"}, 'Size: "10" is more than 9; a number from 1 to 9'),
        ({"Size": "many"}, 'Size: "many" is not a number'),
        ({"SlackWorkspaceId": "T0", "SlackChannelId": "c"}, 'SlackChannelId: "c" does not match'),
        ({"SlackWorkspaceId": "T0"}, "Slack needs both ids or neither"),
        ({"DeletionProtection": "yes"}, 'DeletionProtection: "yes" is not one of true, false'),
        ({"FrontendImage": "nginx:latest"}, 'FrontendImage: "nginx:latest" is not pinned by digest'),
        ({"Environment": "prod"}, '"Environment" is "prod", but this is the parameter file of "dev"'),
    ],
)
def test_problems(values: dict[str, str], expected: str) -> None:
    assert any(expected in problem for problem in problems(**values)), problems(**values)


def test_a_redirected_name_is_not_that_of_a_workload() -> None:
    """CloudFront refuses a name twice, and the redirect would take all requests of the workload."""
    body = small_project.templates()["root.json"]
    body["Metadata"]["Workloads"] = {"Frontend": {"Host": "www"}}
    body["Parameters"]["RedirectDomainName"] = {"Type": "String", "Default": ""}
    templates = {**TEMPLATES, "root.json": Template("root.json", json.dumps(body))}

    def found(redirected: str) -> list[str]:
        values = {"FrontendImage": small_project.IMAGE, "DomainName": "example.com", "RedirectDomainName": redirected}
        file = ParameterFile("params/dev.json", {**values, "Environment": "dev"})
        return [problem.what for problem in parameter_check.find_problems(file, "dev", templates)]

    assert found("www.example.com") == ["RedirectDomainName: www.example.com is the host name of Frontend"]
    assert found("shop.example.com") == []


def test_production_without_domain_or_certificate_is_refused() -> None:
    """Although the deployer could fill in a certificate of its own: that one is for dev."""
    assert any("prod needs a domain or a certificate" in problem for problem in problems("prod"))


def test_all_problems_are_reported_together() -> None:
    file = ParameterFile("params/x.json", {"Environment": "dev", "Sise": "1", "Size": "0", "SlackWorkspaceId": "T0"})
    with pytest.raises(InputError) as caught:
        parameter_check.require_valid(file, "dev", TEMPLATES)
    assert len(caught.value.problems) == 4  # unknown, missing image, too small, one id of two


def test_stacks_that_are_not_deployed_need_no_values() -> None:
    """`new-service` writes FILL-IN as digest, and its next step is `deploy --through bootstrap`."""
    values = {"Environment": "prod", "FrontendImage": "example.com/app@sha256:FILL-IN", "Size": "0", "Sise": "1"}
    file = ParameterFile("params/prod.json", values)

    def names(through: StackRole | None) -> set[str]:
        found = parameter_check.find_problems(file, "prod", TEMPLATES, through)
        return {
            name
            for problem in found
            for name in ("FrontendImage", "Size", "Sise", "prod needs")
            if name in str(problem)
        }

    unknown = {"Size", "Sise"}  # the suggestion for the unknown key names the known one
    assert names(StackRole.BOOTSTRAP) == names(StackRole.EDGE) == unknown
    assert names(StackRole.ROOT) == names(None) == {*unknown, "FrontendImage", "prod needs"}


def test_wired_values_are_not_missing() -> None:
    """EdgeTopicArn and SiteUrl come from earlier stacks, so the file need not have them."""
    assert not any("EdgeTopicArn" in problem or "SiteUrl" in problem for problem in problems())


def parameter(**spec: Any) -> Parameter:
    return Parameter("P", **spec)


@pytest.mark.parametrize(
    ("declared", "value", "expected"),
    [
        (parameter(allowed_pattern="[a-z]+"), "abc", None),
        (parameter(allowed_pattern="[a-z]+"), "abc1", '"abc1" does not match [a-z]+'),
        (parameter(allowed_pattern="\\p{Alpha}+"), "abc1", None),  # Java's, not Python's: AWS checks
        (parameter(allowed_values=("a", "b")), "c", '"c" is not one of a, b'),
        (parameter(type="CommaDelimitedList", allowed_values=("a", "b")), "a, b", None),
        (parameter(type="CommaDelimitedList", allowed_values=("a", "b")), "a,c", '"a,c" is not one of a, b'),
        (parameter(min_length=2), "a", '"a" is shorter than 2 characters'),
        (parameter(max_length=2), "abc", '"abc" is longer than 2 characters'),
        (parameter(type="Number", min_value=1, max_value=2), "1.5", None),
        (parameter(type="Number", min_value=1), "0", '"0" is less than 1'),
        (parameter(type="Number"), "", '"" is not a number'),
        (parameter(type="List<Number>", max_value=2), "1,3", '"1,3" is more than 2'),
        (parameter(type="AWS::EC2::VPC::Id"), "vpc-12345678", None),
        (parameter(type="AWS::EC2::VPC::Id"), "subnet-12345678", '"subnet-12345678" is not of type AWS::EC2::VPC::Id'),
        (parameter(type="List<AWS::EC2::Subnet::Id>"), "subnet-12345678,x", "is not of type AWS::EC2::Subnet::Id"),
        (parameter(), "x" * 4097, "4096 bytes"),
        (parameter(no_echo=True, min_length=9), "secret", "the value is shorter than 9 characters"),
    ],
)
def test_constraints_of_the_template_are_checked(declared: Parameter, value: str, expected: str | None) -> None:
    found = constraints.find_violation(declared, value)
    assert found is None if expected is None else found is not None and expected in found
