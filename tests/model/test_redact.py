"""Secrets are redacted in texts for people, and words about secrets are not."""

from __future__ import annotations

import pytest

from hosting.model.lambda_shared.redact import CATEGORIES, Redactor, is_secret_path, redact

KEY = "AKIA" + "ABCDEFGHIJKLMNOP"
JWT = "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0.abcdefghijk"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("password=hunter2", "hunter2"),
        ('{"db_password": "hun\\"ter2", "user": "x"}', "hun"),
        ("DB_PASSWORD: 'hunter2'", "hunter2"),
        ("Authorization: Bearer abcdefgh12345", "abcdefgh12345"),
        (f"key {KEY} leaked", KEY),
        (f"jwt {JWT}", JWT),
        ("mysql://app:hunter2@db:3306/shop", "hunter2"),
        ("mysql://app:hun#ter2@db:3306/shop", "ter2"),
        ("https://hooks.slack.com/services/T0/B0/XXXX", "XXXX"),
        ("token xoxb-123456789012-abcdef", "xoxb-123456789012-abcdef"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "MIIE"),
        ("api_key=abc123&x=1", "abc123"),
        ("aws_session_token=FwoGZXIvYXdzEJr", "FwoGZXIvYXdzEJr"),
    ],
)
def test_a_secret_is_redacted_from_a_record(text: str, secret: str) -> None:
    assert secret not in redact(text)
    assert "[redacted:" in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "failed to fetch secret arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop-AbCdEf from secrets manager",
        "(RequestToken: 11aa22bb-1111, HandlerErrorCode: InvalidRequest)",
        "The password policy was not found",
        "GET /health 200 1.2ms",
        "secret=arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop",
        "Encoded authorization failure message",
    ],
)
def test_a_text_without_secrets_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "password=hunter2 token: 'x'",
        "Authorization: Bearer abcdefgh12345",
        "mysql://app:hunter2@db:3306/shop",
        f'{{"AWS_ACCESS_KEY_ID": "{KEY}", "access_token": "{JWT}"}}',
    ],
)
def test_a_redacted_text_does_not_change_when_it_is_redacted_again(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


def test_the_categories_of_the_functions_do_not_grow_with_the_rules_for_records() -> None:
    assert CATEGORIES == ("password", "email", "bearer", "card", "aws_key")
    text = "password=hunter2 of taro@example.com"
    assert Redactor.named("all")(text) == ("password=hunter2 of [redacted:email]", 1)
    assert Redactor.named("card,aws_key")(text) == (text, 0)
    assert redact(text) == "password=[redacted:secret] of taro@example.com"


@pytest.mark.parametrize(
    ("path", "is_secret"),
    [
        (("MasterUserPassword",), True),
        (("Environment", "Variables", "API_KEY"), True),
        (("CustomHeaders", "[0]", "HeaderValue"), True),
        (("MasterUserSecret", "SecretArn"), False),
        (("GenerateSecretString", "PasswordLength"), False),
        (("Engine",), False),
        ((), False),
    ],
)
def test_the_names_of_a_property_tell_whether_its_value_is_secret(path: tuple[str, ...], is_secret: bool) -> None:
    assert is_secret_path(path) is is_secret
