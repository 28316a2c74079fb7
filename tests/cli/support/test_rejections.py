"""The error of a rejected change set is shown also if no prediction is possible."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import create_autospec

import pytest
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError

from hosting.cli.support import gates, prediction_check
from hosting.cli.support.rejections import locate_rejections
from hosting.deployer.change_set_rejections import RejectedChangeSetError
from hosting.deployer.deployment import Context

DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "not authorized"}}, "GetTemplate")
UNREACHABLE = EndpointConnectionError(endpoint_url="https://cloudformation.eu-west-1.amazonaws.com")


@pytest.mark.parametrize("failure", [DENIED, UNREACHABLE], ids=["denied", "unreachable"])
def test_a_prediction_that_aws_refuses_does_not_hide_the_rejection(
    failure: ClientError | BotoCoreError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_context: Context) -> None:
        raise failure

    monkeypatch.setattr(prediction_check, "predict_rejected", fail)
    monkeypatch.setattr(gates, "find_secret_values", lambda _context: frozenset())
    context = create_autospec(Context, instance=True)
    with pytest.raises(RejectedChangeSetError, match="the name exists"), locate_rejections(tmp_path, context):
        raise RejectedChangeSetError("the name exists", (), {}, where="shop")
