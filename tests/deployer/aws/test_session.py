"""Who and where we are, and one clear message when that fails."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from botocore import exceptions as botocore

from hosting.deployer.aws import session
from hosting.deployer.aws.session import Clients, Identity
from hosting.deployer.errors import CredentialsError, DeployerError, GuardError, StateError
from hosting.rehearsal.emulator import Emulator
from hosting.rehearsal.fault_proxy import Fault, FaultProxy, FaultRule

ME = Identity("123456789012", "arn:aws:iam::123456789012:user/me", "aws")


def refused(code: str, message: str = "no") -> botocore.ClientError:
    return botocore.ClientError({"Error": {"Code": code, "Message": message}}, "GetCallerIdentity")


LATE = "Signature expired: 20261201T030000Z is now earlier than 20261201T040500Z (20261201T041000Z - 5 min.)"
EARLY = "Signature not yet current: 20261201T050000Z is still later than 20261201T041500Z (20261201T041000Z + 5 min.)"
WRONG = "The request signature we calculated does not match the signature you provided. Check your secret access key."
CLOCK = "the clock of this machine differs"


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (botocore.NoCredentialsError(), CredentialsError, "no AWS credentials found"),
        (botocore.PartialCredentialsError(provider="env", cred_var="x"), CredentialsError, "no AWS credentials found"),
        (botocore.ProfileNotFound(profile="x"), CredentialsError, "aws configure list-profiles"),
        (botocore.UnauthorizedSSOTokenError(), CredentialsError, "aws sso login"),
        (botocore.EndpointConnectionError(endpoint_url="http://x"), CredentialsError, "AWS_ENDPOINT_URL"),
        (refused("ExpiredToken"), CredentialsError, "have expired"),
        (refused("InvalidClientTokenId"), CredentialsError, "does not accept the credentials"),
        (refused("RequestExpired", "Request has expired."), CredentialsError, CLOCK),
        (refused("RequestTimeTooSkewed"), CredentialsError, CLOCK),
        (refused("SignatureDoesNotMatch", LATE), CredentialsError, CLOCK),
        (refused("InvalidSignatureException", EARLY), CredentialsError, CLOCK),
        (refused("SignatureDoesNotMatch", WRONG), CredentialsError, "check the profile and the access key"),
        (refused("OperationInProgressException"), StateError, "another deployment"),
        (refused("AccessDenied"), DeployerError, "permission for GetCallerIdentity"),
        (refused("Teapot"), DeployerError, "AWS refused GetCallerIdentity (Teapot): no"),
    ],
)
def test_every_failure_is_one_message(error: Exception, kind: type[DeployerError], words: str) -> None:
    found = session.explain(error)
    assert isinstance(found, kind)
    assert words in str(found)


def test_an_unknown_profile_is_found_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(CredentialsError, match="no-such-profile"):
        Clients("no-such-profile")


@pytest.mark.parametrize(
    ("said", "asked", "configured", "expected"),
    [("a", None, "b", "a"), ("a", "a", None, "a"), (None, "c", "b", "c"), (None, None, "b", "b")],
)
def test_the_home_region_is_resolved(
    said: str | None, asked: str | None, configured: str | None, expected: str
) -> None:
    assert session.resolve_home_region(said, asked, configured, "params/dev.json") == expected


def test_a_region_other_than_the_file_has_is_refused() -> None:
    with pytest.raises(GuardError, match="belongs to ap-northeast-1, not to us-west-2"):
        session.resolve_home_region("ap-northeast-1", "us-west-2", None, "params/dev.json")
    with pytest.raises(CredentialsError, match="no region is configured"):
        session.resolve_home_region(None, None, None, "params/dev.json")


def test_another_account_than_the_file_has_is_refused() -> None:
    session.require_account(ME, None, "params/dev.json")
    session.require_account(ME, "123456789012", "params/dev.json")
    with pytest.raises(GuardError, match=r"params/dev.json:2: .* account 999999999999, but .* 123456789012"):
        session.require_account(ME, "999999999999", "params/dev.json:2")


def test_identity_and_clients(clients: Clients, account: str, aws: Callable[..., object]) -> None:
    found = session.identify(clients, "ap-northeast-1")
    assert (found.account, found.partition, found.url_suffix) == (account, "aws", "amazonaws.com")
    assert clients.s3("us-east-1") is clients.s3("us-east-1")
    assert clients.s3("us-east-1") is not clients.s3("ap-northeast-1")


def test_clients_use_the_endpoint_of_the_environment(
    emulator: Emulator, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in emulator.environment(account).items():
        monkeypatch.setenv(name, value)
    assert session.identify(Clients(), "us-east-1").account == account


def test_an_explicit_endpoint_holds_for_clients_that_are_created_later(
    emulator: Emulator, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = emulator.clients(account)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "999999999999")
    assert session.identify(clients, "us-east-1").account == account


def test_a_reply_that_ends_too_early_is_asked_for_again(emulator: Emulator, account: str) -> None:
    """Without our check half of a JSON reply is an answer without its members: a KeyError somewhere else."""
    with FaultProxy(emulator.endpoint) as proxy:
        clients = emulator.clients(account, endpoint_url=proxy.endpoint)
        with proxy.injecting(FaultRule(Fault.TRUNCATE, account)):
            assert clients.acm("us-east-1").list_certificates()["CertificateSummaryList"] == []
        with proxy.injecting(FaultRule(Fault.TRUNCATE, account)):
            assert session.identify(clients, "us-east-1").account == account
    assert [call.name for call in proxy.calls] == ["acm:ListCertificates"] * 2 + ["sts:GetCallerIdentity"] * 2


def test_a_client_without_retries_sends_one_request(emulator: Emulator, account: str) -> None:
    with FaultProxy(emulator.endpoint) as proxy:
        clients = emulator.clients(account, endpoint_url=proxy.endpoint)
        with proxy.injecting(FaultRule(Fault.LOSE, account)), pytest.raises(botocore.ConnectionClosedError):
            clients.acm_once("us-east-1").list_certificates()
    assert len(proxy.calls) == 1
