"""A shared template keeps what only the deployed one declares, exactly as deployed."""

from __future__ import annotations

import json
from typing import Any

from hosting.model.shared_template import keep_deployed
from hosting.model.templates import Template


def template(**sections: Any) -> Template:
    return Template("bootstrap.json", json.dumps({"Resources": {}, **sections}, indent=1))


def test_a_template_that_has_everything_is_returned_byte_for_byte() -> None:
    own = template(Resources={"A": {"Type": "T", "Properties": {"Size": 2}}})
    shared = keep_deployed(own, template(Resources={"A": {"Type": "T", "Properties": {"Size": 1}}}).body)
    assert shared.template is own
    assert shared.kept == {}


def test_what_only_the_deployed_template_has_is_kept_and_the_rest_is_that_of_the_checkout() -> None:
    own = template(Resources={"A": {"Type": "T", "Properties": {"Size": 2}}}, Conditions={"C": True})
    deployed: dict[str, Any] = {
        "Parameters": {"Owner": {"Type": "String"}},
        "Mappings": {"M": {"k": {"v": "1"}}},
        "Conditions": {"C": False, "D": True},
        "Resources": {"A": {"Type": "T", "Properties": {"Size": 1}}, "B": {"Type": "T", "Condition": "D"}},
        "Outputs": {"O": {"Value": {"Ref": "B"}}},
        "Metadata": {"Tool": "other"},
    }
    shared = keep_deployed(own, deployed)
    assert shared.kept == {
        "Parameters": ("Owner",), "Mappings": ("M",), "Conditions": ("D",), "Resources": ("B",), "Outputs": ("O",),
    }  # fmt: skip
    assert shared.template.body["Resources"] == {"A": own.resources["A"], "B": deployed["Resources"]["B"]}
    assert shared.template.body["Conditions"] == {"C": True, "D": True}
    assert "Metadata" not in shared.template.body
