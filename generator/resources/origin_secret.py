"""The secret header by which the load balancer knows our own CloudFront distribution: one name for both sides.

The prefix list in front of the load balancer admits everybody's distributions, so the header decides.
"""

from __future__ import annotations

HEADER = "X-Origin-Verify"


def secret_reference(parameter: str) -> str:
    """A dynamic reference, for Fn::Sub: the value is read when the resource is written, and stands nowhere.

    ``parameter`` is the name of the template parameter that holds the secret's ARN.
    """
    return f"{{{{resolve:secretsmanager:${{{parameter}}}:SecretString}}}}"
