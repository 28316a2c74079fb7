"""The origin's own certificate, for an environment without a domain.

Nobody can verify it and nobody has to: CloudFront reaches such an origin over port 80, and port 443 only needs
something to answer with. The private key goes straight to ACM; it is never written down or shown.
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

# Found again by tag: ACM gives no other name to an imported certificate.
TAG = "hosting-platform:origin-of"

_VALID = timedelta(days=825)
_RENEW_BEFORE = timedelta(days=30)
_ATTEMPTS = 5


def find(client: ACMClient, family: str) -> str | None:
    """The ARN of the certificate that was imported for this environment."""
    return next(_all(client, family), None)


def _all(client: ACMClient, family: str) -> Iterator[str]:
    # Without a filter ACM lists RSA 2048 only, which is what `_make` makes.
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
    """The ARN of a certificate that is valid for a while yet; imported once, renewed under the same ARN.

    `once` is a client that never repeats a request by itself, for the import.
    """
    now = now or datetime.now(UTC)
    arn = find(client, family)
    if arn is None:
        return _import(client, once or client, family, now, sleep)
    expires = client.describe_certificate(CertificateArn=arn)["Certificate"].get("NotAfter")
    if expires is not None and expires - now < _RENEW_BEFORE:
        certificate, key = _make(family, now)
        client.import_certificate(CertificateArn=arn, Certificate=certificate, PrivateKey=key)
    return arn


def delete(client: ACMClient, family: str, *, sleep: Callable[[float], None] = time.sleep) -> str | None:
    """Delete what `ensure` made; the ARN when there was one."""
    arns = list(_all(client, family))
    for arn in arns:
        _delete(client, arn, sleep)
    return arns[0] if arns else None


def _delete(client: ACMClient, arn: str, sleep: Callable[[float], None]) -> None:
    """ACM takes a moment to notice that the load balancer is gone."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            client.delete_certificate(CertificateArn=arn)
        except ClientError as error:
            match error.response.get("Error", {}).get("Code"):
                case "ResourceNotFoundException":
                    return  # asked twice because a reply got lost
                case "ResourceInUseException" if attempt < _ATTEMPTS:
                    sleep(2.0**attempt)
                case "ResourceInUseException":
                    hint = "run `deploy.py destroy` again in some minutes: it deletes what is left"
                    raise DeployerError("ACM says that the certificate is in use yet", where=arn, hint=hint) from error
                case _:
                    raise
        else:
            return


def _import(client: ACMClient, once: ACMClient, family: str, now: datetime, sleep: Callable[[float], None]) -> str:
    """Import a new one. The request has no token by which ACM would know it again: repeated because its reply got
    lost it makes a second certificate. So before each attempt but the first we look whether the last one arrived.
    """
    certificate, key = _make(family, now)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            answer = once.import_certificate(
                Certificate=certificate, PrivateKey=key, Tags=[{"Key": TAG, "Value": family}]
            )
            return answer["CertificateArn"]
        except (BotoCoreError, ClientError) as error:
            if not is_transient(error) or attempt == _ATTEMPTS:
                raise
        # The list lags behind a moment.
        sleep(2.0**attempt)
        if arn := find(client, family):
            return arn
    raise AssertionError("the last attempt returns or raises")


def _make(family: str, now: datetime) -> tuple[bytes, bytes]:
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
        # A clock that is a little behind must not see a certificate of the future.
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
