"""Imported self-signed certificate for the origin of an environment without a domain.

No client verifies it: CloudFront connects to such an origin on port 80, and port 443 only needs any certificate. The
private key is sent to ACM and is never stored or printed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from hosting.deployer.aws.retryable import is_transient
from hosting.deployer.errors import DeployerError

if TYPE_CHECKING:
    from mypy_boto3_acm import ACMClient

# ACM has no name for an imported certificate, so a tag identifies it.
TAG = "hosting-platform:origin-of"

_VALID = timedelta(days=825)
_RENEW_BEFORE = timedelta(days=30)
_ATTEMPTS = 5


def find(client: ACMClient, family: str) -> str | None:
    """Return the ARN of the certificate that was imported for this environment, or None."""
    return next(_all(client, family), None)


def _all(client: ACMClient, family: str) -> Iterator[str]:
    # Without a filter ACM lists only RSA 2048, which is the key type of `_generate`.
    for page in client.get_paginator("list_certificates").paginate():
        for summary in page["CertificateSummaryList"]:
            if summary.get("Type", "IMPORTED") != "IMPORTED":
                continue
            arn = summary["CertificateArn"]
            tags = client.list_tags_for_certificate(CertificateArn=arn).get("Tags", [])
            if any(tag["Key"] == TAG and tag.get("Value") == family for tag in tags):
                yield arn


def ensure(
    client: ACMClient,
    family: str,
    now: datetime | None = None,
    *,
    once: ACMClient | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Return the ARN of a certificate that is valid for at least 30 days. Import or renew it if necessary.

    A renewal keeps the ARN. `once` is a client that never repeats a request, for the import.
    """
    now = now or datetime.now(UTC)
    arn = find(client, family)
    if arn is None:
        return _import(client, once or client, family, now, sleep)
    expires = client.describe_certificate(CertificateArn=arn)["Certificate"].get("NotAfter")
    if expires is not None and expires - now < _RENEW_BEFORE:
        certificate, key = _generate(family, now)
        client.import_certificate(CertificateArn=arn, Certificate=certificate, PrivateKey=key)
    return arn


def delete(client: ACMClient, family: str, *, sleep: Callable[[float], None] = time.sleep) -> str | None:
    """Delete the certificate that `ensure` imported. Return its ARN, or None."""
    arns = list(_all(client, family))
    for arn in arns:
        _delete(client, arn, sleep)
    return arns[0] if arns else None


def _delete(client: ACMClient, arn: str, sleep: Callable[[float], None]) -> None:
    """Delete one certificate. ACM needs some seconds to notice that the load balancer was deleted."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            client.delete_certificate(CertificateArn=arn)
        except ClientError as error:
            match error.response.get("Error", {}).get("Code"):
                case "ResourceNotFoundException":
                    return  # the reply to an earlier request was lost
                case "ResourceInUseException" if attempt < _ATTEMPTS:
                    sleep(2.0**attempt)
                case "ResourceInUseException":
                    hint = "run `deploy.py destroy` again in some minutes"
                    raise DeployerError(
                        "the certificate cannot be deleted: ACM reports that it is still in use", where=arn, hint=hint
                    ) from error
                case _:
                    raise
        else:
            return


def _import(client: ACMClient, once: ACMClient, family: str, now: datetime, sleep: Callable[[float], None]) -> str:
    """Import a new certificate and return its ARN.

    ImportCertificate has no idempotency token: a repeated request would import a second certificate. So before each
    retry the list of certificates shows whether the previous request succeeded.
    """
    certificate, key = _generate(family, now)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            answer = once.import_certificate(
                Certificate=certificate, PrivateKey=key, Tags=[{"Key": TAG, "Value": family}]
            )
            return answer["CertificateArn"]
        except (BotoCoreError, ClientError) as error:
            if not is_transient(error) or attempt == _ATTEMPTS:
                raise
        # The list of certificates is eventually consistent.
        sleep(2.0**attempt)
        if arn := find(client, family):
            return arn
    raise AssertionError("the last attempt returns or raises")


def _generate(family: str, now: datetime) -> tuple[bytes, bytes]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.x509.oid import NameOID

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    host = f"{family}.internal"
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A client whose clock is slow must not see a certificate that is not valid yet.
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
