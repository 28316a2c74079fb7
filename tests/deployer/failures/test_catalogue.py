"""The failure catalogue against texts as AWS writes them.

Each text of `corpus.json` has a source. The causes were written down before the patterns. The sha256 of a text puts it
into the half "train" or "held". The patterns were written from "train"; "held" is only measured. Texts that are added
with a new pattern belong to "train".
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hosting.deployer.failures import catalogue
from hosting.deployer.failures.signature import Cause, Seen, Source, signature

CORPUS = json.loads(Path(__file__).with_name("corpus.json").read_text(encoding="utf-8"))
KNOWN: list[dict[str, str]] = CORPUS["known"]
UNKNOWN: list[dict[str, str]] = CORPUS["unknown"]
TRAIN = [case for case in KNOWN if case["half"] == "train"]


def found(case: dict[str, str]) -> list[str]:
    return [
        match.name
        for match in catalogue.find_matches(case["text"], resource_type=case["type"], seen=Seen(case["seen"]))
    ]


def figures(half: str) -> tuple[float, float, list[str]]:
    """Return precision and recall of a half, and what is wrong or missing."""
    right, explained, faults = 0, 0, []
    known = [case for case in KNOWN if case["half"] == half]
    for case in [*known, *(case for case in UNKNOWN if case["half"] == half)]:
        names, expected = found(case), [case["signature"]] if "signature" in case else []
        explained += len(names)
        right += bool(names) and names == expected
        if names != expected:
            faults.append(f"{expected} <- {names}: {case['text']}")
    return right / explained, right / len(known), faults


@pytest.mark.parametrize("case", TRAIN, ids=[f"{case['signature']}-{number}" for number, case in enumerate(TRAIN)])
def test_each_text_is_found_by_its_own_signature_alone(case: dict[str, str]) -> None:
    assert found(case) == [case["signature"]]


@pytest.mark.parametrize("case", UNKNOWN, ids=[case["text"][:30] for case in UNKNOWN])
def test_unknown_texts_stay_unknown(case: dict[str, str]) -> None:
    assert found(case) == []


def test_the_catalogue_explains_the_texts_from_which_it_was_written(
    record_property: Callable[[str, object], None],
) -> None:
    precision, recall, faults = figures("train")
    record_property("summary", f"catalogue, train: {len(TRAIN)} texts, precision {precision:.3f}, recall {recall:.3f}")
    assert precision >= 0.95, faults
    assert recall >= 0.9, faults


def test_the_catalogue_explains_texts_that_its_patterns_were_not_written_from(
    record_property: Callable[[str, object], None],
) -> None:
    precision, recall, faults = figures("held")
    record_property(
        "summary",
        f"catalogue, held: {len(KNOWN) - len(TRAIN)} texts, precision {precision:.3f}, recall {recall:.3f}",
    )
    assert precision >= 0.95, faults
    assert recall >= 0.9, faults


def test_each_signature_has_a_text_of_its_own() -> None:
    assert {one.name for one in catalogue.SIGNATURES} <= {case["signature"] for case in KNOWN}


def test_the_corpus_is_large_and_each_text_has_a_source_and_a_half() -> None:
    assert len({case["text"] for case in KNOWN}) >= 250
    assert len({case["text"] for case in UNKNOWN}) >= 30
    for case in [*KNOWN, *UNKNOWN]:
        assert case["source"], case
        assert case["half"] in {"train", "held"}, case
        assert case["seen"] in set(Seen), case


def test_a_type_of_its_own_gives_the_more_exact_cause() -> None:
    text = "shop-dev-logs already exists"
    bucket = catalogue.classify(text, resource_type="AWS::S3::Bucket")
    topic = catalogue.classify(text, resource_type="AWS::SNS::Topic")
    assert bucket is not None
    assert topic is not None
    assert (bucket.name, topic.name) == ("bucket-exists", "name-taken")


def test_a_specific_signature_comes_before_a_general_one_wherever_they_are_in_the_table() -> None:
    text = "Could not deliver test message to specified Firehose stream. (HandlerErrorCode: InternalFailure)"
    case = {"text": text, "type": "AWS::Logs::SubscriptionFilter", "seen": "event"}
    assert found(case) == ["filter-delivery"]
    assert found({**case, "type": "AWS::Logs::LogGroup"}) == ["internal-failure"]


def test_general_signatures_never_explain_a_line_of_an_application() -> None:
    for one in catalogue.SIGNATURES:
        assert not one.general or Seen.TASK not in one.seen, one.name


def test_change_sets_are_looked_up_in_the_same_table_as_events() -> None:
    text = "Resource of type 'AWS::S3::Bucket' with identifier 'shop-dev-site' already exists."
    for seen in (Seen.EVENT, Seen.CHANGE_SET):
        match = catalogue.classify(text, resource_type="AWS::S3::Bucket", seen=seen)
        assert match is not None
        assert match.name == "name-taken"


def test_the_table_is_complete() -> None:
    names = [one.name for one in catalogue.SIGNATURES]
    assert len(names) == len(set(names)) > 160
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
