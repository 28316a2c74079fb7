"""The failure catalogue against texts as AWS writes them: each finds its own, and none finds another's."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from hosting.deployer.failures import catalogue
from hosting.deployer.failures.signature import Cause, Seen, Source, signature

CORPUS = json.loads(Path(__file__).with_name("corpus.json").read_text(encoding="utf-8"))
KNOWN: list[dict[str, str]] = CORPUS["known"]
UNKNOWN: list[dict[str, str]] = CORPUS["unknown"]


def found(case: dict[str, str]) -> list[str]:
    return [
        match.name
        for match in catalogue.find_matches(case["text"], resource_type=case["type"], seen=Seen(case["seen"]))
    ]


@pytest.mark.parametrize("case", KNOWN, ids=[f"{case['signature']}-{number}" for number, case in enumerate(KNOWN)])
def test_each_text_is_found_by_its_own_signature_alone(case: dict[str, str]) -> None:
    assert found(case) == [case["signature"]]


@pytest.mark.parametrize("case", UNKNOWN, ids=[case["text"][:30] for case in UNKNOWN])
def test_unknown_texts_stay_unknown(case: dict[str, str]) -> None:
    assert found(case) == []


def test_precision_and_recall_over_the_whole_corpus() -> None:
    right: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for case in [*KNOWN, *UNKNOWN]:
        for name in found(case):
            (right if name == case.get("signature") else wrong)[name] += 1
    assert sum(right.values()) / (sum(right.values()) + sum(wrong.values())) == 1.0, wrong
    assert sum(right.values()) / len(KNOWN) == 1.0
    assert {one.name for one in catalogue.SIGNATURES} == set(right), "every signature has a text of its own"


def test_types_keep_a_text_to_where_it_belongs() -> None:
    """The same words about another type mean another thing, so they mean nothing here."""
    assert catalogue.classify("shop-dev-logs already exists", resource_type="AWS::S3::Bucket") is not None
    assert catalogue.classify("shop-dev-logs already exists", resource_type="AWS::SNS::Topic") is None


def test_the_table_is_complete() -> None:
    names = [one.name for one in catalogue.SIGNATURES]
    assert len(names) == len(set(names)) >= 40
    for one in catalogue.SIGNATURES:
        assert one.meaning.endswith("."), one.name
        assert one.remedy, one.name
        assert one.document.startswith(("Amazon", "AWS", "Elastic", "IAM")), one.name
        assert (one.meaning + one.remedy + one.document).isascii(), one.name


def test_what_the_text_names_is_named_in_the_remedy() -> None:
    text = (
        "User: arn:aws:sts::123456789012:assumed-role/deployer/ci is not authorized to perform: rds:CreateDBCluster "
        "on resource: arn:aws:rds:eu-west-1:123456789012:cluster:shop because no identity-based policy allows it"
    )
    match = catalogue.classify(text, resource_type="AWS::RDS::DBCluster")
    assert match is not None
    assert match.cause is Cause.PERMISSION
    assert "may not do rds:CreateDBCluster on arn:aws:rds:eu-west-1:123456789012:cluster:shop" in match.meaning
    assert "Allow rds:CreateDBCluster" in match.remedy


def test_braces_of_aws_are_data(monkeypatch: pytest.MonkeyPatch) -> None:
    table: Any = (
        signature(
            "x",
            Cause.INPUT,
            r"bad (?P<what>\S+)",
            meaning="Bad {what}.",
            remedy="{other}",
            document="AWS",
            source=Source.KNOWN,
        ),
    )
    monkeypatch.setattr(catalogue, "SIGNATURES", table)
    match = catalogue.classify("bad {0.__class__}")
    assert match is not None
    assert (match.meaning, match.remedy) == ("Bad {0.__class__}.", "{other}")
