"""The secret header with which the load balancer recognizes requests of this environment's CloudFront distribution.

The prefix list of the load balancer's security group admits the distributions of all accounts, so the header decides.
"""

from __future__ import annotations

from troposphere import Sub

from generator import value_types as v
from generator.interfaces import OriginSecrets

HEADER = "X-Origin-Verify"
# The values of the header that a rule accepts. During a rotation CloudFront sends the second one before it replaces the
# first one, so that the load balancer refuses no request (`deploy.py rotate-origin-secret`).
VALUES = 2


def accepted_values(secrets: OriginSecrets) -> list[Sub]:
    """Return the values of the header that a rule accepts."""
    return [secret_reference(secrets.origin_secret_arn), secret_reference(secrets.next_origin_secret_arn)]


def secret_reference(secret: v.OriginSecretArn | v.NextOriginSecretArn) -> Sub:
    """Return a dynamic reference: CloudFormation reads the value when it writes the resource, and stores it nowhere.

    ``secret`` is a parameter of the template.
    """
    return Sub(f"{{{{resolve:secretsmanager:${{{secret.to_dict()['Ref']}}}:SecretString}}}}")
