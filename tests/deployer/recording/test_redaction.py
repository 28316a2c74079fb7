"""What looks like a secret does not reach a file, and what only sounds like one does."""

from __future__ import annotations

import pytest

from hosting.deployer.recording.redaction import MASK, redact

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
        ("https://hooks.slack.com/services/T0/B0/XXXX", "XXXX"),
        ("token xoxb-123456789012-abcdef", "xoxb-123456789012-abcdef"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "MIIE"),
        ("api_key=abc123&x=1", "abc123"),
        ("aws_session_token=FwoGZXIvYXdzEJr", "FwoGZXIvYXdzEJr"),
    ],
)
def test_secrets_go(text: str, secret: str) -> None:
    assert secret not in redact(text)
    assert MASK in redact(text)


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
def test_words_stay(text: str) -> None:
    assert redact(text) == text


def test_redacting_twice_changes_nothing() -> None:
    once = redact("password=hunter2 token: 'x'")
    assert redact(once) == once
