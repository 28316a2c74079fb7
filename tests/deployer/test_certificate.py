"""Self-signed certificate of the origin: created once, renewed before its end, without a stored private key."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber
from cryptography import x509

from hosting.deployer import certificate
from hosting.deployer.errors import DeployerError
from hosting.rehearsal.emulator import Emulator
from hosting.rehearsal.fault_proxy import Fault, FaultProxy, FaultRule


def test_the_certificate_is_imported_once_and_found_again(aws: Callable[..., Any]) -> None:
    client = aws("acm")
    first = certificate.ensure(client, "shop-dev")
    assert certificate.ensure(client, "shop-dev") == first
    assert certificate.ensure(client, "shop-prod") != first
    body = client.get_certificate(CertificateArn=first)["Certificate"]
    parsed = x509.load_pem_x509_certificate(body.encode())
    assert parsed.subject == parsed.issuer
    names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["shop-dev.internal"]


@pytest.mark.parametrize(("days", "renewed"), [(400, False), (29, True)])
def test_the_certificate_is_renewed_under_the_same_arn(days: int, renewed: bool) -> None:
    arn = "arn:aws:acm:eu-west-1:123456789012:certificate/1"
    now = datetime(2026, 1, 1, tzinfo=UTC)
    session: Any = boto3.Session(aws_access_key_id="x", aws_secret_access_key="x", region_name="eu-west-1")
    client = session.client("acm")
    tag = {"Key": certificate.TAG, "Value": "shop-dev"}
    with Stubber(client) as stub:
        stub.add_response(
            "list_certificates", {"CertificateSummaryList": [{"CertificateArn": arn, "Type": "IMPORTED"}]}
        )
        stub.add_response("list_tags_for_certificate", {"Tags": [tag]})
        stub.add_response("describe_certificate", {"Certificate": {"NotAfter": now + timedelta(days=days)}})
        if renewed:
            expected = {"CertificateArn": arn, "Certificate": ANY, "PrivateKey": ANY}
            stub.add_response("import_certificate", {"CertificateArn": arn}, expected)
        assert certificate.ensure(client, "shop-dev", now=now) == arn
        stub.assert_no_pending_responses()


@pytest.mark.parametrize(("fault", "imports"), [(Fault.LOSE, 1), (Fault.RESET, 2), (Fault.THROTTLE, 2)])
def test_a_failed_import_request_imports_no_second_certificate(
    emulator: Emulator, account: str, fault: Fault, imports: int
) -> None:
    """ACM cannot detect a repeated import. So after a lost reply the certificate is looked up instead."""
    with FaultProxy(emulator.endpoint) as proxy:
        clients = emulator.clients(account, endpoint_url=proxy.endpoint)
        acm, once = clients.acm("us-east-1"), clients.acm_once("us-east-1")
        with proxy.injecting(FaultRule(fault, account, "acm:ImportCertificate")):
            arn = certificate.ensure(acm, "shop-dev", once=once, sleep=lambda _seconds: None)
        found = [item["CertificateArn"] for item in acm.list_certificates()["CertificateSummaryList"]]
    assert found == [arn]
    assert [call.operation for call in proxy.calls].count("ImportCertificate") == imports


def test_the_certificate_is_deleted_with_the_environment(aws: Callable[..., Any]) -> None:
    client = aws("acm")
    arn = certificate.ensure(client, "shop-dev")
    other = certificate.ensure(client, "shop-prod")
    assert certificate.delete(client, "shop-dev") == arn
    assert certificate.delete(client, "shop-dev") is None
    assert certificate.find(client, "shop-prod") == other


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, "DeleteCertificate")


@pytest.mark.parametrize(
    ("answers", "raised"),
    [
        (["ResourceNotFoundException"], None),
        (["ResourceInUseException", "ResourceInUseException", ""], None),
        (["ResourceInUseException"] * 9, DeployerError),
        (["AccessDeniedException"], ClientError),
    ],
    ids=["its reply was lost", "ACM is late", "another resource uses it", "any other error"],
)
def test_errors_of_the_deletion_are_handled(
    aws: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, answers: list[str], raised: type[Exception] | None
) -> None:
    client = aws("acm")
    arn = certificate.ensure(client, "shop-dev")
    left = iter(answers)

    def delete(**_: str) -> None:
        if code := next(left):
            raise refused(code)

    monkeypatch.setattr(client, "delete_certificate", delete)
    if raised is None:
        assert certificate.delete(client, "shop-dev", sleep=lambda _: None) == arn
    else:
        with pytest.raises(raised):
            certificate.delete(client, "shop-dev", sleep=lambda _: None)
