"""The secret header with which the load balancer recognizes requests of this environment's CloudFront distribution.

The prefix list of the load balancer's security group admits the distributions of all accounts, so the header decides.
"""

from __future__ import annotations

from troposphere import Sub

from generator import value_types as v

HEADER = "X-Origin-Verify"
# Values of the header that a rule of the load balancer accepts.
VALUES = 1


def secret_reference(secret: v.OriginSecretArn) -> Sub:
    """Return a dynamic reference: CloudFormation reads the value when it writes the resource, and stores it nowhere.

    ``secret`` is a parameter of the template.
    """
    return Sub(f"{{{{resolve:secretsmanager:${{{secret.to_dict()['Ref']}}}:SecretString}}}}")
