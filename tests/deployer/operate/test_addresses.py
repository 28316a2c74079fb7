"""`addresses`: operators block and allow addresses without a deployment, and no deployment forgets them."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hosting.deployer import context as contexts
from hosting.deployer import environment as environments
from hosting.deployer import pipeline
from hosting.deployer.reporter import SilentReporter
from hosting.model.stack_order import StackRole
from tests.deployer.operate import parts
from tests.support.project import PROJECT

Run = Callable[..., "subprocess.CompletedProcess[str]"]
ADDRESSES = ("203.0.113.7", "198.51.100.0/24", "2001:db8::/32")


@pytest.fixture
def no_addresses(deploy_py: Run) -> Iterator[None]:
    """The sets are empty before and after a test."""
    yield
    deploy_py("addresses", "-e", "lab", *(option for one in ADDRESSES for option in ("--remove", one)))


def deploy_an_update_of_the_sets(deployed: parts.Deployed, project: Path) -> None:
    """Deploy the edge stack with another description of each set. CloudFormation then writes the template's addresses.

    A change of the stack's tags has the same effect on AWS. The emulator updates no resource for it.
    """
    shutil.copytree(PROJECT, project)
    template = project / "templates" / "edge.json"
    template.write_text(template.read_text().replace("deploy.py addresses changes them.", "Changed."))
    environment = environments.prepare(project, "lab")
    clients = deployed.emulator.clients(deployed.account)
    context = contexts.connect(environment, clients, sleep=lambda seconds: time.sleep(min(seconds, 0.05)))
    pipeline.deploy_stacks(context, SilentReporter(), through=StackRole.EDGE)


@pytest.mark.usefixtures("no_addresses")
def test_addresses_are_blocked_and_allowed_and_survive_a_deployment(
    deploy_py: Run, deployed: parts.Deployed, tmp_path: Path
) -> None:
    ipv4, network, ipv6 = ADDRESSES
    done = deploy_py("addresses", "-e", "lab", "--block", ipv4, "--block", ipv6, "--allow", network)
    assert done.returncode == 0, done.stderr
    expected = [f"blocked  {ipv4}/32", f"blocked  {ipv6}", f"allowed  {network}"]
    assert done.stdout.splitlines() == expected
    deploy_an_update_of_the_sets(deployed, tmp_path / "project")
    assert deploy_py("addresses", "-e", "lab").stdout.splitlines() == expected
    assert deploy_py("addresses", "-e", "lab", "--remove", ipv4).stdout.splitlines() == expected[1:]


@pytest.mark.usefixtures("no_addresses")
def test_a_value_that_is_no_address_changes_nothing(deploy_py: Run, deployed: parts.Deployed) -> None:
    for wrong, message in (
        ("203.0.113.300", "does not appear to be"),
        ("0.0.0.0/0", "every address"),
        ("203.0.113.7/24", "host bits"),
    ):
        done = deploy_py("addresses", "-e", "lab", "--block", ADDRESSES[0], "--allow", wrong)
        assert done.returncode == 64
        assert message in done.stderr
    assert deploy_py("addresses", "-e", "lab").stdout == ""
