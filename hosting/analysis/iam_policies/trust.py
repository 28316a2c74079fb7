"""Builds the identity provider and the trust policies for roles that GitHub Actions or CloudFormation assume."""

from __future__ import annotations

import re
from typing import Any

from hosting.analysis.errors import AnalysisError

_HOST = "token.actions.githubusercontent.com"
_AUDIENCE = "sts.amazonaws.com"

_REPOSITORY = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/[A-Za-z0-9._-]{1,100}")
_BRANCH = re.compile(r"[A-Za-z0-9._/-]{1,200}")
_ENVIRONMENT = re.compile(r"[A-Za-z0-9._-]{1,255}")


def build_provider() -> dict[str, Any]:
    """Return the input for `aws iam create-open-id-connect-provider --cli-input-json`; once per account."""
    return {"Url": f"https://{_HOST}", "ClientIDList": [_AUDIENCE]}


def build_cloudformation_trust(account: str) -> dict[str, Any]:
    """Return the trust policy for the role of `--role-arn`: CloudFormation assumes it for stacks of this account."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "TakeForStacks",
                "Effect": "Allow",
                "Principal": {"Service": "cloudformation.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"aws:SourceAccount": account}},
            }
        ],
    }


def build_trust_policy(
    account: str, partition: str, repository: str, *, branch: str, environment: str
) -> dict[str, Any]:
    """Return the trust policy of a role for one repository, restricted to a branch or to a GitHub environment.

    The subject is compared as a whole, without wildcards. A pattern such as `repo:owner/*` would admit every person
    who can create a repository, a pull request or a branch (GitHub Docs, Configuring OpenID Connect in Amazon Web
    Services).
    """
    if not _REPOSITORY.fullmatch(repository):
        raise AnalysisError(f'"{repository}" is not owner/name of a repository')
    if bool(branch) == bool(environment):
        raise AnalysisError(
            "a role is for a branch or for an environment of GitHub", hint="give either a branch or an environment"
        )
    if branch and not _BRANCH.fullmatch(branch):
        raise AnalysisError(f'"{branch}" is not the name of one branch', hint="wildcards are not allowed")
    if environment and not _ENVIRONMENT.fullmatch(environment):
        raise AnalysisError(f'"{environment}" is not the name of one environment', hint="wildcards are not allowed")
    scope = f"ref:refs/heads/{branch}" if branch else f"environment:{environment}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "TakeFromGitHub",
                "Effect": "Allow",
                "Principal": {"Federated": f"arn:{partition}:iam::{account}:oidc-provider/{_HOST}"},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    "StringEquals": {f"{_HOST}:aud": _AUDIENCE, f"{_HOST}:sub": f"repo:{repository}:{scope}"}
                },
            }
        ],
    }
