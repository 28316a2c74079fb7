"""Values that each parameter allows and that AWS refuses together, with their region, their account or as tags."""

from __future__ import annotations

import pytest

from hosting.model.parameter_relations import Input, find_conflicts, known_regions

REGION, ACCOUNT = "ap-northeast-1", "123456789012"
SERVERLESS = {"DbInstanceClass": "db.serverless"}
CERTIFICATE = "arn:aws:acm:{}:{}:certificate/12345678-1234-1234-1234-123456789012"


def conflicts(
    values: dict[str, str] | None = None, tags: dict[str, str] | None = None, region: str = REGION
) -> list[tuple[str, str]]:
    """Return the first key and the text of each conflict."""
    return [(one.keys[0], one.what) for one in find_conflicts(Input(values or {}, tags or {}, region, ACCOUNT))]


@pytest.mark.parametrize(
    ("values", "key", "text"),
    [
        ({**SERVERLESS, "DbMinCapacity": "10", "DbMaxCapacity": "9.5"}, "DbMinCapacity", "10 is more than"),
        ({"BackendMinTasks": "10", "BackendMaxTasks": "9"}, "BackendMinTasks", "10 is more than BackendMaxTasks 9"),
        ({"OrdersMinTasks": "3", "OrdersMaxTasks": "2"}, "OrdersMinTasks", "3 is more than OrdersMaxTasks 2"),
        ({"ArchiveGlacierDays": "400", "ArchiveExpireDays": "400"}, "ArchiveGlacierDays", "is not less than"),
        ({"FirstZone": "eu-west-1a"}, "FirstZone", "eu-west-1a is not a zone of ap-northeast-1"),
        ({"SecondZone": "ap-northeast-2c"}, "SecondZone", "is not a zone of ap-northeast-1"),
        ({"OriginCertificateArn": CERTIFICATE.format("us-east-1", ACCOUNT)}, "OriginCertificateArn", "is in us-east-1"),
        ({"ViewerCertificateArn": CERTIFICATE.format(REGION, ACCOUNT)}, "ViewerCertificateArn", "not in us-east-1"),
        (
            {"OriginCertificateArn": CERTIFICATE.format(REGION, "9" * 12)},
            "OriginCertificateArn",
            "account 999999999999",
        ),
    ],
)
def test_values_that_contradict_each_other_are_found(values: dict[str, str], key: str, text: str) -> None:
    (found,) = conflicts(values)
    assert found[0] == key
    assert text in found[1]


@pytest.mark.parametrize(
    "values",
    [
        {**SERVERLESS, "DbMinCapacity": "9.5", "DbMaxCapacity": "10"},
        {"DbInstanceClass": "db.r7g.large", "DbMinCapacity": "4", "DbMaxCapacity": "2"},
        {"BackendMinTasks": "10", "BackendMaxTasks": "10"},
        {"BackendMinTasks": "many", "BackendMaxTasks": "2"},
        {"MinOnly": "3"},
        {"FirstZone": "ap-northeast-1a", "SecondZone": "ap-northeast-1c"},
        {"OriginCertificateArn": CERTIFICATE.format(REGION, ACCOUNT), "ViewerCertificateArn": "none"},
    ],
)
def test_values_that_fit_are_accepted(values: dict[str, str]) -> None:
    assert conflicts(values) == []


@pytest.mark.parametrize(
    "region", ["tokyo", "ap-northeast1", "ap-notheast-1", "ap-northeast-1a", "AP-NORTHEAST-1", "aws-global"]
)
def test_a_region_that_does_not_exist_is_found(region: str) -> None:
    assert conflicts(region=region)[0] == ("Region", f'"{region}" is not a region of AWS')


def test_regions_of_every_partition_are_accepted() -> None:
    assert {"ap-northeast-1", "us-gov-west-1", "cn-north-1"} <= known_regions()
    assert not [found for region in sorted(known_regions()) for found in conflicts(region=region)]


@pytest.mark.parametrize(
    ("tags", "text"),
    [
        ({"aws:team": "x"}, "reserves the prefix"),
        ({"AWS:team": "x"}, "reserves the prefix"),
        ({"": "x"}, "the key has 0 characters"),
        ({"Team": ""}, "the value has 0 characters"),
        ({"k" * 129: "x"}, "the key has 129 characters"),
        ({"Team": "v" * 257}, "the value has 257 characters"),
        ({"Team": "a;b"}, 'the value contains ";"'),
        ({"Te*m": "a"}, 'the key contains "*"'),
        ({"Team": "a\nb"}, r'the value contains "\n"'),
        ({f"key-{number}": "x" for number in range(49)}, "51 tags"),
        ({"team": "a", "Team": "b"}, "differ only in upper and lower case"),
        ({"environment": "a"}, '"Environment" and "environment" differ only'),
    ],
)
def test_a_tag_that_aws_refuses_is_found(tags: dict[str, str], text: str) -> None:
    found = conflicts(tags=tags)
    assert [what for _, what in found if text in what], found
    assert len(found) == 1
    assert found[0][0].startswith("Tags.")


@pytest.mark.parametrize(
    "tags",
    [
        {"k" * 128: "v" * 256},
        {"Équipe 1": "Zahlung + Versand: a/b=c@d_e.f-g"},
        {"部署": "開発"},
        {"Project": "shop", "Environment": "dev", **{f"key-{number}": "x" for number in range(48)}},
    ],
)
def test_tags_within_the_limits_are_accepted(tags: dict[str, str]) -> None:
    assert conflicts(tags=tags) == []
