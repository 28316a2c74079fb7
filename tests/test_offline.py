"""The suite's own guard: a test and the processes that it starts reach this machine only."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import boto3
import pytest

from tests.support.offline import sitecustomize as network
from tests.support.offline.sitecustomize import NetworkForbiddenError

# Reserved for documentation (RFC 5737): no host has it.
PUBLIC = "192.0.2.1"


@pytest.fixture(autouse=True)
def forgotten(offline: None) -> Iterator[None]:
    """Let the attempts of these tests not fail them."""
    yield
    network.attempts.clear()


def test_a_connection_to_a_public_address_fails_at_once() -> None:
    message = r"tests must not leave this machine: socket.connect .*192\.0\.2\.1"
    with socket.socket() as client, pytest.raises(NetworkForbiddenError, match=message):
        client.connect((PUBLIC, 443))


def test_a_datagram_to_a_public_address_fails_at_once() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender, pytest.raises(NetworkForbiddenError):
        sender.sendto(b"x", (PUBLIC, 53))


def test_a_name_is_not_resolved() -> None:
    with pytest.raises(NetworkForbiddenError, match="getaddrinfo"):
        socket.getaddrinfo("aws.amazon.com", 443)


def test_a_client_of_aws_fails_without_a_second_attempt() -> None:
    client = boto3.client("sts", "eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
    with pytest.raises(NetworkForbiddenError):
        client.get_caller_identity()
    assert len(network.attempts) == 1


def test_an_attempt_in_a_thread_is_noted() -> None:
    def attempt() -> None:
        with pytest.raises(NetworkForbiddenError):
            socket.create_connection((PUBLIC, 443))

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    assert len(network.attempts) == 1


def test_loopback_and_unix_sockets_are_allowed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
        socket.create_connection(("localhost", server.getsockname()[1])).close()
    one, other = socket.socketpair()
    one.close()
    other.close()


@pytest.mark.parametrize(
    "program",
    [
        f"import socket; socket.create_connection(({PUBLIC!r}, 443))",
        "import urllib.request; urllib.request.urlopen('https://aws.amazon.com')",
    ],
)
def test_a_python_process_of_a_test_fails_at_once(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert "NetworkForbiddenError: tests must not leave this machine" in done.stderr


def test_another_program_gets_a_proxy_that_refuses() -> None:
    command = [sys.executable, "-I", "-c", "import urllib.request; urllib.request.urlopen('https://aws.amazon.com')"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Connection refused" in done.stderr


def test_credentials_of_the_user_are_out_of_reach() -> None:
    found = network.environment({"AWS_PROFILE": "production", "AWS_ACCESS_KEY_ID": "AKIA", "HOME": "/root"})
    assert "AWS_PROFILE" not in found
    assert "AWS_ACCESS_KEY_ID" not in found
    assert found["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull
    assert boto3.Session().get_credentials() is None
