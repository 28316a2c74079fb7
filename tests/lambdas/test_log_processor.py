"""Firehose transformation with events in Firehose's format. The tests unpack each answer and compare its lines."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hosting.deployer.packaging.lambda_packages import Archive
from tests.lambdas.runtime import Answer, Function, FunctionError, Interpreter
from tests.support.project import TEMPLATES

Start = Callable[..., Function]

# Default format, version 2, of the VPC User Guide. A careless pattern of card numbers would match its columns.
FLOW_LINES = [
    "2 123456789012 eni-1235b8ca123456789 172.31.16.139 172.31.16.2 2064 22 6 20 4249 1418530010 1418530070 ACCEPT OK",
    "2 123456789012 eni-1235b8ca123456789 172.31.9.69 172.31.9.12 49761 3389 6 20 4249 1418530010 1418530070 REJECT OK",
    "2 123456789012 eni-1235b8ca123456789 - - - - - - - 1431280876 1431280934 - NODATA",
    "2 411111111111 eni-4111111111111111 10.0.3.24 10.0.4.11 4111 1111 6 1111 1111 1418530010 1418530070 ACCEPT OK",
]
SLOW_QUERY = (
    "# Time: 2026-11-22T11:31:15.123456Z\n# User@Host: app[app] @  [10.0.2.17]  Id:  4211\n"
    "# Query_time: 2.000185  Lock_time: 0.000000 Rows_sent: 1  Rows_examined: 100000\n"
    "SET timestamp=1795347075;\nSELECT * FROM 注文 WHERE 顧客名 = '山田太郎';"
)
JAPANESE = "注文を受け付けました。お客様番号１２３４－５６７８、合計¥12,800（税込）🎉"  # noqa: RUF001 - real text


def event(message: str, timestamp: int = 1_795_347_075_123) -> dict[str, Any]:
    return {"id": "3" * 56, "timestamp": timestamp, "message": message}


def document(events: Iterable[Mapping[str, Any]], kind: str = "DATA_MESSAGE", **other: Any) -> dict[str, Any]:
    """Return a message of a subscription (CloudWatch Logs User Guide, Subscriptions)."""
    return {
        "messageType": kind,
        "owner": "123456789012",
        "logGroup": "/ecs/shop-prod/backend",
        "logStream": "app/app/0123456789abcdef",
        "subscriptionFilters": ["archive"],
        "logEvents": list(events),
        **other,
    }


def packed(content: object) -> bytes:
    return gzip.compress(json.dumps(content).encode())


def request(*contents: bytes) -> dict[str, Any]:
    """Return an event of Firehose (Amazon Data Firehose Developer Guide, Data transformation)."""
    return {
        "invocationId": "7b2a1c3d-0000-4000-8000-000000000000",
        "deliveryStreamArn": "arn:aws:firehose:ap-northeast-1:123456789012:deliverystream/archive",
        "region": "ap-northeast-1",
        "records": [
            {
                "recordId": f"4967{number:052d}",
                "approximateArrivalTimestamp": 1_795_347_080_000 + number,
                "data": base64.b64encode(content).decode(),
            }
            for number, content in enumerate(contents)
        ],
    }


def results(answer: Answer) -> list[str]:
    return [record["result"] for record in answer.payload["records"]]


def lines(answer: Answer) -> list[dict[str, Any]]:
    """Concatenate all kept records, as Firehose does, and return the lines of this gzip file."""
    whole = b"".join(
        base64.b64decode(record["data"]) for record in answer.payload["records"] if record["result"] == "Ok"
    )
    text = gzip.decompress(whole).decode()
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.split("\n")[:-1]]


def messages(answer: Answer) -> list[str]:
    return [line["message"] for line in lines(answer)]


def test_every_event_becomes_a_line_with_its_origin(function: Start) -> None:
    events = [event("first", 1_795_347_075_000), event('second\twith\nbreaks"', 1_795_347_075_999)]
    answer = function("log_processor").invoke(request(packed(document(events))))
    origin = {"id": "3" * 56, "group": "/ecs/shop-prod/backend", "stream": "app/app/0123456789abcdef"}
    assert lines(answer) == [
        {"time": "2026-11-22T11:31:15.000Z", **origin, "message": "first"},
        {"time": "2026-11-22T11:31:15.999Z", **origin, "message": 'second\twith\nbreaks"'},
    ]


def test_each_record_is_answered_once_and_none_fails_the_others(function: Start) -> None:
    good = packed(document([event("kept")]))
    plain = json.dumps(document([event("came decompressed")])).encode()
    contents = {
        "Ok": [good, plain, gzip.compress(good[:0]) + good, packed(document([]))],
        "Dropped": [packed(document([event("CWL CONTROL MESSAGE: Checking health")], kind="CONTROL_MESSAGE"))],
        "ProcessingFailed": [
            b"",
            b"not gzip, not JSON",
            good[:-20],
            good[:12],
            good[:30] + b"\xff\xff\xff" + good[33:],
            gzip.compress(b"not JSON"),
            gzip.compress(b'{"messageType": "DATA_MESSAGE", "logEvents": ['),
            gzip.compress(b'["a", "list"]'),
            gzip.compress(json.dumps(document([event("x")])).encode() + b"{}"),
            gzip.compress(b'{"messageType": "\xff"}'),
            packed({"some": "other document"}),
            packed(document([event("x")], kind="SOMETHING_NEW")),
            packed(document([event("x")], logGroup=None)),
            gzip.compress(b'{"logEvents":' + b"[" * 100_000),
        ],
    }
    sent = request(*(content for group in contents.values() for content in group))
    answer = function("log_processor").invoke(sent)
    assert [record["recordId"] for record in answer.payload["records"]] == [r["recordId"] for r in sent["records"]]
    assert results(answer) == [result for result, group in contents.items() for _ in group]
    assert messages(answer) == ["kept", "came decompressed", "kept"]
    failed = [record for record in answer.payload["records"] if record["result"] != "Ok"]
    assert all("data" not in record for record in failed)


def test_an_event_of_another_shape_is_archived_as_json_beside_the_other_ones(function: Start) -> None:
    odd = [
        {"id": "1", "message": "without a time"},
        {"id": "1", "timestamp": "text", "message": "x"},
        {"id": "1", "timestamp": 10**20, "message": "x"},
        {"id": "1", "timestamp": 1, "message": None},
        {"timestamp": 1, "message": "without an id"},
        "not an object",
        {"message": {"password": "hunter2", "text": "注文"}},
    ]
    answer = function("log_processor").invoke(request(packed(document([event("first"), *odd, event("last")]))))  # type: ignore[list-item]
    assert results(answer) == ["Ok"]
    archived = lines(answer)
    assert [line["message"] for line in archived if line["id"]] == ["first", "last"]
    kept = [line for line in archived if not line["id"]]
    assert [json.loads(line["message"]) for line in kept[:-1]] == odd[:-1]
    assert kept[-1]["message"] == '{"message": {"password": "[redacted:password]", "text": "注文"}}'
    assert {line["time"] for line in kept} == {None}
    assert f"9 lines archived ({len(odd)} of an unexpected shape)" in answer.logs


@pytest.mark.parametrize("character", ["\0", "\x1b", '"', "🎉"], ids=["NUL", "escape", "quote", "emoji"])
def test_an_event_of_one_megabyte_is_archived_however_json_escapes_it(function: Start, character: str) -> None:
    """CloudWatch Logs accepts events of 1 MB, measured in UTF-8. JSON needs up to six characters for one."""
    text = character * (1024 * 1024 // len(character.encode()))
    answer = function("log_processor", memory_mb=128).invoke(request(packed(document([event(text)]))))
    assert messages(answer) == [text]


def test_the_lines_of_a_private_key_are_redacted_although_each_is_an_event(function: Start) -> None:
    key = [
        "-----BEGIN EC PRIVATE KEY-----",
        "MHcCAQEEIIrYSSNQFaA2" * 3,
        "oAoGCCqGSM49==",
        "-----END EC PRIVATE KEY-----",
    ]
    texts = ["MHcCAQEEIIrYSSNQFaA2", *key[:2], "GET / 200", *key[2:], "MHcCAQEEIIrYSSNQFaA2"]
    masked = "[redacted:private_key]"
    content = packed(document(event(text) for text in texts))
    answer = function("log_processor").invoke(request(content, packed(document([event(key[1])]))))
    assert messages(answer) == [texts[0], key[0], masked, "GET / 200", masked, key[3], texts[6], key[1]]
    assert messages(function("log_processor", {"REDACT": "email"}).invoke(request(content))) == texts


def test_the_log_has_the_id_of_a_failed_record_and_not_its_content(function: Start) -> None:
    damaged = gzip.compress(json.dumps(document([event("secret-of-a-customer")])).encode()[:-9])
    sent = request(damaged, damaged)
    answer = function("log_processor").invoke(sent)
    assert results(answer) == ["ProcessingFailed"] * 2
    assert all(record["recordId"] in answer.logs for record in sent["records"])
    assert "secret" not in answer.logs
    # The metric filter counts the lines with this term.
    operations = json.loads((TEMPLATES / "operations.json").read_text(encoding="utf-8"))["Resources"]
    term = operations["RejectedRecordsFilter"]["Properties"]["FilterPattern"].strip('"')
    assert sum(term in line for line in answer.logs.splitlines()) == len(sent["records"])


def test_flow_logs_slow_queries_and_japanese_are_archived_unchanged(function: Start) -> None:
    texts = [*FLOW_LINES, SLOW_QUERY, JAPANESE, "\u0000\u001b[31mred\u001b[0m", '🏳️‍🌈 \\ " / \u2028', ""]
    content = document(event(text) for text in texts)
    # The text is escaped once, as CloudWatch Logs may send it, and UTF-8 once.
    raw = gzip.compress(json.dumps(content, ensure_ascii=False).encode())
    answer = function("log_processor").invoke(request(packed(content), raw))
    assert messages(answer) == texts * 2
    archived = gzip.decompress(base64.b64decode(answer.payload["records"][0]["data"]))
    assert "山田太郎".encode() in archived, "Japanese stays readable, at a third of its escaped size"


def test_a_lone_surrogate_is_kept_as_json_writes_it(function: Start) -> None:
    answer = function("log_processor").invoke(request(packed(document([event("cut \ud83d off")]))))
    assert messages(answer) == ["cut \ud83d off"]


def test_the_origin_may_follow_the_events(function: Start) -> None:
    turned = dict(reversed(document([event("one"), event("two")]).items()))
    answer = function("log_processor").invoke(request(packed(turned)))
    assert [(line["group"], line["message"]) for line in lines(answer)] == [
        ("/ecs/shop-prod/backend", "one"),
        ("/ecs/shop-prod/backend", "two"),
    ]


LUHN = ["4111 1111 1111 1111", "5555-5555-5555-4444", "3782 822463 10005", "2223-0031-2200-3222", "3056 930902 5904"]
ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"

REDACTED = {
    "email": [
        ("from taro.yamada+shop@mail.example.co.jp to", "from [redacted:email] to"),
        ("連絡先taro@example.comです", "連絡先[redacted:email]です"),
        ("GET /?mail=taro%40example.com&x=1", "GET /?mail=[redacted:email]&x=1"),
        # JSON inside the message: the text before the address is the end of an escape and stays complete.
        (
            r'{"text": "\u9023\u7d61taro@example.com\u3067\nhana@example.com"}',
            r'{"text": "\u9023\u7d61[redacted:email]\u3067\n[redacted:email]"}',
        ),
        (r"SHOP\yamada@example.com", r"SHOP\[redacted:email]"),
    ],
    "bearer": [
        ("Authorization: Bearer abc123DEF456._-~+/==", "Authorization: Bearer [redacted:bearer]"),
        ('{"authorization":"Basic dXNlcjpwYXNz"}', '{"authorization":"Basic [redacted:bearer]"}'),
        (f"token {JWT}, next", "token [redacted:bearer], next"),
        (rf"\u3067{JWT}\n{JWT}", r"\u3067[redacted:bearer]\n[redacted:bearer]"),
        (r"\nBearer abc123DEF456", r"\nBearer [redacted:bearer]"),
        # The whole value of the header is a credential, also without a digit and with another scheme.
        ("authorization: bearer AbCdEfGhIjKlMnOp", "authorization: bearer [redacted:bearer]"),
        ('"Authorization":["Token AbCdEfGhIjKlMnOp"]', '"Authorization":["Token [redacted:bearer]"]'),
        ("Authorization:[Basic dXNlcjpwYXNz]", "Authorization:[Basic [redacted:bearer]]"),
        ("authorization=Bearer%20AbCdEfGhIjKlMnOp&x=1", "authorization=Bearer%20[redacted:bearer]&x=1"),
        ("GET /cb?access_token=ya29.a0Af-B_c&x=1", "GET /cb?access_token=[redacted:bearer]&x=1"),
        ('{"refreshToken": "1//0gAbcDEF_456"}', '{"refreshToken": "[redacted:bearer]"}'),
    ],
    "card": [(f"card {number}.", "card [redacted:card].") for number in LUHN]
    + [
        (
            r'{"text": "\u30ab\u30fc\u30c94111 1111 1111 1111\n4111-1111-1111-1111"}',
            r'{"text": "\u30ab\u30fc\u30c9[redacted:card]\n[redacted:card]"}',
        ),
        ("カード4111 1111 1111 1111で500円", "カード[redacted:card]で500円"),
        ("2 x 4111 1111 1111 1111 1226 123", "2 x [redacted:card] 1226 123"),
    ],
    "aws_key": [
        (f"key {ACCESS_KEY} used", "key [redacted:aws_key] used"),
        (f'"SecretAccessKey": "{SECRET_KEY}"', '"SecretAccessKey": "[redacted:aws_key]"'),
        (f"aws_secret_access_key = {SECRET_KEY}", "aws_secret_access_key = [redacted:aws_key]"),
        (f'{{\\"secretAccessKey\\":\\"{SECRET_KEY}\\"}}', '{\\"secretAccessKey\\":\\"[redacted:aws_key]\\"}'),
        (f"AWS_SESSION_TOKEN={'Q' * 120} end", "AWS_SESSION_TOKEN=[redacted:aws_key] end"),
        (f"?X-Amz-Signature={'0a' * 32}&b=1", "?X-Amz-Signature=[redacted:aws_key]&b=1"),
        (f"AWS_SECRET_KEY={SECRET_KEY}", "AWS_SECRET_KEY=[redacted:aws_key]"),
        (f'"SecretAccessKey":"{SECRET_KEY}"'.replace("/", r"\/"), '"SecretAccessKey":"[redacted:aws_key]"'),
        (rf"\u3042{ACCESS_KEY}\n{ACCESS_KEY}", r"\u3042[redacted:aws_key]\n[redacted:aws_key]"),
        # A signed request in the debug log of an SDK.
        (
            f"Authorization: AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20261122/ap-northeast-1/s3/aws4_request, "
            f"SignedHeaders=host;x-amz-date, Signature={'0a' * 32}",
            "Authorization: AWS4-HMAC-SHA256 Credential=[redacted:aws_key]/20261122/ap-northeast-1/s3/aws4_request, "
            "SignedHeaders=host;x-amz-date, Signature=[redacted:aws_key]",
        ),
    ],
    "password": [
        ("mysql://app:s3cr3t!x@db.example.com:3306/shop", "mysql://app:[redacted:password]@db.example.com:3306/shop"),
        ("mysql+pymysql://app:p%40ss@10.0.2.17/shop", "mysql+pymysql://app:[redacted:password]@10.0.2.17/shop"),
        ("redis://:s3cr3t@cache:6379, retrying", "redis://:[redacted:password]@cache:6379, retrying"),
    ],
}
UNTOUCHED = [
    "# User@Host: app[app] @  [10.0.2.17]",
    "root@localhost and @mentions and a@b",
    "bearer authentication failed for the bearer of this",
    "order 4111111111111111 without groups",
    "order A4111-1111-1111-1111 and 4111-1111-1111-1111-0007 and 12-4111-1111-1111-1111",
    "GET /static/logo@2x.png and express@4.18.2 and @aws-sdk/client-s3@3.1.0",
    r"C:\new\users and \u3042\u3044@ and \n@",
    "http://example.com:8080/a@b and https://example.com/ and mysql://app@db.example",
    'WWW-Authenticate: Bearer realm="shop2", error="invalid_token"',
    "no authorization: the access_token is missing, authorization: denied",
    "com.shop.monkeyJourneyManager.resolverOfNames.apply",
    "card 4111 1111 1111 1112 with a wrong check digit",
    "2000 000000 00008 is grouped like a card of a kind that starts with 34 or 37",
    "1111 1111 1111 1111 starts like no card; 24111 1111 1111 1111 is longer",
    "AKIA is a prefix, MAKIAIOSFODNN7EXAMPLE a word, and eyJ two letters and a J",
    "sha256:0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9",
]


@pytest.mark.parametrize("category", REDACTED)
def test_each_secret_is_redacted_and_counted(function: Start, category: str) -> None:
    cases = REDACTED[category]
    content = packed(document(event(before) for before, _ in cases))
    for chosen in ("", "all", category, f" {category} , {category}"):
        answer = function("log_processor", {"REDACT": chosen}).invoke(request(content))
        assert messages(answer) == [after for _, after in cases]
        assert f"{sum(after.count('[redacted:') for _, after in cases)} values redacted" in answer.logs


def test_text_that_resembles_a_secret_is_kept(function: Start) -> None:
    answer = function("log_processor").invoke(request(packed(document(event(text) for text in UNTOUCHED))))
    assert messages(answer) == UNTOUCHED


def test_only_the_selected_categories_are_redacted(function: Start) -> None:
    texts = [before for cases in REDACTED.values() for before, _ in cases]
    content = request(packed(document(event(text) for text in texts)))
    assert messages(function("log_processor", {"REDACT": "none"}).invoke(content)) == texts
    only = messages(function("log_processor", {"REDACT": "card"}).invoke(content))
    assert sum("[redacted:card]" in text for text in only) == len(REDACTED["card"])
    cards = {before for before, _ in REDACTED["card"]}
    assert [text for text in only if "[redacted" not in text] == [text for text in texts if text not in cards]


def test_an_unknown_category_fails_the_init_of_the_function(function: Start) -> None:
    with pytest.raises(
        FunctionError,
        match="unknown emial; use all, none or a list of password, email, bearer, card, aws_key, private_key,",
    ):
        function("log_processor", {"REDACT": "emial,card"}).invoke(request())


@pytest.mark.parametrize("shape", [12, 1], ids=["12 records", "1 record"])
def test_fifteen_megabytes_in_one_request_are_archived_within_64_mb(function: Start, shape: int) -> None:
    texts = [
        f"2026-11-22T11:31:{number % 60:02d}Z INFO order {number * 7919 % 10**9} of user{number % 97}@example.com "
        f"で受付 status=200 took {number * 31 % 900} ms " + "GET /api/orders HTTP/1.1 Mozilla/5.0 " * 4
        for number in range(48_000)
    ]
    share = len(texts) // shape
    contents = [packed(document(map(event, texts[at : at + share]))) for at in range(0, len(texts), share)]
    sent = request(*contents)
    unpacked = sum(len(gzip.decompress(content)) for content in contents)
    assert unpacked > 15_000_000
    assert len(json.dumps(sent)) < 6 * 1024 * 1024
    processor = function("log_processor", memory_mb=64)
    answer = processor.invoke(sent)
    assert results(answer) == ["Ok"] * shape
    assert answer.size < 6_000_000
    assert messages(answer) == [
        text.replace(f"user{number % 97}@example.com", "[redacted:email]") for number, text in enumerate(texts)
    ]
    assert processor.peak_mb < 64


def test_a_record_that_exceeds_the_answer_fails_and_the_other_ones_are_archived(
    packaged: Mapping[str, Archive], python: Interpreter
) -> None:
    """No real request reaches the limit, because both sides are compressed. So another adapter sets a small limit."""
    other_adapter = "import records, redact\ndef handler(event, context):\n    " + (
        "return {'records': records.transform(event['records'], redact.Redactor(), limit=2000).records}"
    )
    noise = document(event(hashlib.sha512(bytes([number])).hexdigest()) for number in range(100))
    sent = request(packed(document([event("first")])), packed(noise), packed(document([event("last")])))
    with Function(with_index(packaged["log_processor"].data, other_adapter), {}, python=python) as function:
        answer = function.invoke(sent)
    assert results(answer) == ["Ok", "ProcessingFailed", "Ok"]
    assert messages(answer) == ["first", "last"]


def with_index(archive: bytes, code: str) -> bytes:
    """Return the package with another index.py."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as source, zipfile.ZipFile(target, "w") as changed:
        for name in source.namelist():
            changed.writestr(name, code if name == "index.py" else source.read(name))
    return target.getvalue()


@pytest.mark.parametrize(("head", "filling"), [(b"{", b" "), (b'{"logEvents": ["', b"a")], ids=["blanks", "a string"])
def test_a_decompression_bomb_fails_alone_and_quickly(function: Start, head: bytes, filling: bytes) -> None:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    piece = filling * 1024 * 1024
    bomb = packer.compress(head) + b"".join(packer.compress(piece) for _ in range(300)) + packer.flush()
    processor = function("log_processor", memory_mb=64, timeout=30)
    answer = processor.invoke(request(bomb, packed(document([event("next")]))))
    assert results(answer) == ["ProcessingFailed", "Ok"]
    assert processor.peak_mb < 64


@pytest.mark.parametrize(
    "text",
    [
        "a" * 250_000 + " @",
        "a." * 100_000 + "@",
        "a@" + "b." * 100_000,
        "eyJ" + "a" * 250_000,
        "Bearer " + "a" * 250_000,
        "1111 " * 50_000,
        "secret_access_key" * 15_000,
        "authorization: " * 15_000,
        "://a:" * 50_000 + "@",
        "access_token=" + "a" * 250_000,
        "4111-" * 50_000,
        "password=" * 25_000,
        "password='" * 25_000,
        'token="' * 30_000,
        "cookie: a=" * 25_000,
        "mysql " * 40_000,
        "curl " * 50_000,
        "-----BEGIN PRIVATE KEY-----\n" * 8_000,
        "-" * 250_000,
        "_.-" * 80_000,
        "set password " * 20_000,
        "パスワード" * 50_000,
    ],
    ids=lambda text: str(text)[:12],
)
def test_a_hostile_line_is_redacted_within_two_seconds(function: Start, text: str) -> None:
    """An attacker can write log lines. With a pattern of quadratic time he could stop the archive."""
    processor = function("log_processor", timeout=10)
    processor.invoke(request())
    answer = processor.invoke(request(packed(document([event(text)]))))
    assert results(answer) == ["Ok"]
    assert answer.seconds < 2


def test_json_in_a_message_stays_valid_and_keeps_its_japanese(function: Start) -> None:
    """Most services log lines of JSON, in which Japanese is escaped by default."""
    logged = {
        "level": "ERROR",
        "text": "連絡先\ntaro@example.com、カード\t4111 1111 1111 1111\r鍵" + ACCESS_KEY,
        "ok": True,
    }
    kept = {**logged, "text": "連絡先\n[redacted:email]、カード\t[redacted:card]\r鍵[redacted:aws_key]"}
    texts = [json.dumps(logged), json.dumps(logged, ensure_ascii=False), json.dumps({"inner": json.dumps(logged)})]
    first, second, nested = messages(function("log_processor").invoke(request(packed(document(map(event, texts))))))
    assert json.loads(first) == json.loads(second) == json.loads(json.loads(nested)["inner"]) == kept


# Secrets, the names before them, and the separators between, in any combination.
named_secret = st.tuples(
    st.sampled_from(
        [
            "",
            "access_token",
            "Authorization",
            "secret_access_key",
            "sessionToken",
            "Bearer ",
            "mysql",
            "password",
            "pwd",
            "DB_PASSWORD",
            "api_key",
            "set-cookie",
            "Cookie",
            "IDENTIFIED BY",
            "パスワード",
            "card",
            "sessionid",
            "curl",
        ]
    ),
    st.sampled_from(
        ["", "=", ": ", ":[", '":"', "://", "/", "='", '="', "=>", " ", '","value":"', "'", "=a=", " -u a:"]
    ),
    st.sampled_from(["", *'\n\t\r\b\f\\" あ', "u3042"]),
    st.sampled_from(
        [
            "taro@example.com",
            LUHN[0],
            ACCESS_KEY,
            SECRET_KEY,
            JWT,
            "a:b@c",
            "Bearer a1b2c3d4",
            "Basic YTpi",
            "hunter2",
            "xoxb-" + "1a" * 20,
            "4" + "1" * 15,
            "-----BEGIN PRIVATE KEY-----\nMIIE" + "a" * 20,
            "a'b",
            'a"b2c3d4e5',
            "}",
        ]
    ),
)
log_text = st.lists(named_secret.map("".join), max_size=4).map("".join)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(texts=st.lists(log_text, min_size=1, max_size=20), escaped=st.booleans(), slashes=st.booleans())
def test_any_line_of_json_stays_valid_json(
    redacting_processor: Function, texts: list[str], escaped: bool, slashes: bool
) -> None:
    lines = [json.dumps({"text": text, "also": [1, text]}, ensure_ascii=escaped) for text in texts]
    lines = [line.replace("/", "\\/") for line in lines] if slashes else lines
    for line in messages(redacting_processor.invoke(request(packed(document(map(event, lines)))))):
        kept = json.loads(line)
        assert set(kept) == {"text", "also"}
        assert kept["also"] == [1, kept["text"]]


anything = st.text(max_size=200) | st.sampled_from([JAPANESE, SLOW_QUERY, *FLOW_LINES])
shaped = {"suppress_health_check": [HealthCheck.function_scoped_fixture], "deadline": None}


@settings(max_examples=60, **shaped)  # type: ignore[arg-type]
@given(batches=st.lists(st.lists(st.tuples(anything, st.integers(0, 4_000_000_000_000)), max_size=5), max_size=4))
def test_any_log_event_is_archived_unchanged_without_redaction(
    shared_processor: Function, batches: list[list[tuple[str, int]]]
) -> None:
    contents = [packed(document(event(text, time) for text, time in batch)) for batch in batches]
    answer = shared_processor.invoke(request(*contents))
    assert results(answer) == ["Ok"] * len(batches)
    assert messages(answer) == [text for batch in batches for text, _ in batch]


@settings(max_examples=60, **shaped)  # type: ignore[arg-type]
@given(contents=st.lists(st.binary(max_size=80) | st.binary(max_size=80).map(gzip.compress), max_size=5))
def test_no_record_fails_the_invocation(shared_processor: Function, contents: list[bytes]) -> None:
    assert set(results(shared_processor.invoke(request(*contents)))) <= {"Ok", "Dropped", "ProcessingFailed"}


@pytest.fixture
def shared_processor(function: Start) -> Function:
    """A warm function, so that an example takes milliseconds."""
    return function("log_processor", {"REDACT": "none"})


@pytest.fixture
def redacting_processor(function: Start) -> Function:
    return function("log_processor")
