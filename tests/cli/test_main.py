"""The table of commands, errors as messages, exit codes; without AWS."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from hosting.cli import main as table
from hosting.cli.support.exit_codes import Exit
from hosting.deployer import errors
from hosting.model.errors import InputError, Problem
from tests import small_project

ROOT = Path(__file__).resolve().parents[2]


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert table.main(["--help"]) == Exit.DONE
    out = capsys.readouterr().out
    for name, entry in table.COMMANDS.items():
        assert f"  {name} " in out
        assert entry.help.split()[0] in out


@pytest.mark.parametrize("arguments", [["--help"], ["deploy", "--help"], ["plan", "--help"], ["destroy", "--help"]])
def test_help_imports_no_slow_package(arguments: list[str]) -> None:
    code = f"import sys; from hosting.cli.main import main; main({arguments!r}); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    slow = {"boto3", "botocore", "rich", "cfnlint", "troposphere", "awacs", "cryptography"}
    assert not slow & set(done.stderr.split())


@pytest.mark.parametrize("name", ["plan", "deploy", "outputs", "destroy", "package", "params", "generate", "validate"])
def test_every_command_has_a_help_text(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert table.main([name, "--help"]) == Exit.DONE
    assert f"deploy.py {name}" in capsys.readouterr().out


def test_an_unknown_command_suggests_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert table.main(["plam"]) == Exit.USAGE
    assert 'There is no command "plam". Did you mean "plan"?' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["rollback", "-e", "dev"], "Missing option '--to'"),
        (["apply"], "Use `deploy`."),
        (["deploy", "dev"], "dev is an environment, not the FILE of a saved plan. Use -e dev."),
        (["plan", "dev"], "Use -e dev."),
        (["deploy", "-e", "dev", "--dry-run"], "Use `deploy.py plan -e ENV`."),
        (["deploy", "-e", "dev", "--auto-approve"], "Use --yes."),
        (["destroy", "-e", "dev", "--force"], "--allow-replace or --allow-delete"),
        (["policy", "oidc", "-e", "dev"], "`policy oidc` requires --repository OWNER/NAME"),
    ],
)
def test_habits_of_other_tools_get_the_right_hint(
    arguments: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert table.main(arguments) == Exit.USAGE
    assert hint in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("command", ["deploy", "destroy"])
def test_an_error_of_the_input_comes_before_the_question(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """stdin of a test is no terminal, and --yes is not given."""
    assert table.main([command, "-e", "nowhere"]) == Exit.USAGE
    err = capsys.readouterr().err
    assert "nowhere" in err
    assert "--yes" not in err


def test_the_heading_of_a_step_fits_in_a_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from hosting.cli.commands import rehearse
    from hosting.cli.rendering import progress

    monkeypatch.setenv("CI", "true")
    with rehearse._step(progress.create_console(), "Deploy"):
        pass
    assert max(len(line) for line in capsys.readouterr().err.splitlines()) <= 100


# Offline checks cover every environment of params/ without -e. `deploy` takes -e or the FILE of a saved plan.
COVERS_EVERY_ENVIRONMENT = {"validate", "security", "diff", "reach", "cost", "timeline", "params check", "diagnose"}
WITHOUT_ENVIRONMENT = {"generate", "new-service", "completion"}


def find_options(name: str) -> dict[str, click.Parameter]:
    """Return parameter name -> parameter of a command such as "plan" or "params check"."""
    group, _, member = name.partition(" ")
    command = table.cli.get_command(click.Context(table.cli), group)
    if member:
        assert isinstance(command, click.Group)
        command = command.commands[member]
    assert command is not None
    return {str(parameter.name): parameter for parameter in command.params}


COMMANDS = [
    *(set(table.COMMANDS) - {"params", "secrets"}),
    "params check",
    "params show",
    "secrets list",
    "secrets set",
]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_takes_the_environment_by_one_rule(name: str) -> None:
    option = find_options(name).get("environment")
    if name in WITHOUT_ENVIRONMENT:
        assert option is None
        return
    assert option is not None
    assert option.opts == ["-e", "--env"]
    assert option.required == (name not in {*COVERS_EVERY_ENVIRONMENT, "deploy"})
    if name in COVERS_EVERY_ENVIRONMENT:
        assert option.default == "all"


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_names_format_and_folder_alike(name: str) -> None:
    shown = {
        opt for option in find_options(name).values() if not getattr(option, "hidden", False) for opt in option.opts
    }
    assert shown.isdisjoint({"--format", "--json", "--templates", "--params"})
    assert "--root" in shown or name == "completion"


@pytest.mark.parametrize("name", ["plan", "deploy", "outputs", "destroy"])
def test_a_command_without_its_environment_is_wrong_input(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert table.main([name, "--yes"] if name in {"deploy", "destroy"} else [name]) == Exit.USAGE
    assert "--env" in capsys.readouterr().err


INPUT = InputError([Problem("params/dev.json:3", "unknown key", "remove it")])
FAILURE = errors.Failure("shop-dev/NetworkStack", "Vpc", "AWS::EC2::VPC", "CREATE_FAILED", "Quota exceeded")
FAILED = errors.DeploymentFailedError("shop-dev", "UPDATE_ROLLBACK_COMPLETE", FAILURE)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (INPUT, 64, "params/dev.json:3: unknown key; remove it"),
        (errors.GuardError("other account"), 3, "other account"),
        (errors.RefusedError("protected"), 3, "protected"),
        (errors.StateError("busy", where="shop-dev"), 1, "shop-dev: busy"),
        (errors.RecoverError("stuck"), 5, "stuck"),
        (FAILED, 4, "Vpc (AWS::EC2::VPC) in shop-dev/NetworkStack"),
        (errors.DeploymentFailedError("shop-dev", "UPDATE_ROLLBACK_FAILED", None), 5, "no resource failed by itself"),
        (errors.CredentialsError("no credentials", hint="log in"), 1, "no credentials\n  log in"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (click.Abort(), 130, "interrupted"),
    ],
)  # fmt: skip
def test_errors_become_a_message_and_a_code(
    error: BaseException, code: int, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(table.cli, "main", fail)
    assert table.main([]) == code
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.out == ""


def test_a_bug_remains_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr(table.cli, "main", fail)
    with pytest.raises(KeyError):
        table.main([])


def test_stale_templates_are_reported_with_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = small_project.write(tmp_path, Size="99")
    monkeypatch.setattr(
        "hosting.cli.support.options.find_stale_templates",
        lambda _: ["templates/root.json: differs from what is rendered"],
    )
    assert table.main(["params", "check", "-e", "dev", "--root", str(root)]) == Exit.USAGE
    err = capsys.readouterr().err
    assert 'Size: "99" is more than 9' in err
    assert "templates/root.json: differs from what is rendered; run `deploy.py generate`" in err


def test_deploy_py_without_the_projects_packages_names_make_install() -> None:
    """Started as `./deploy.py` outside the virtual environment it has no click."""
    done = subprocess.run(
        [sys.executable, "-S", "-E", str(ROOT / "deploy.py"), "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Run `make install`" in done.stderr
    assert "Traceback" not in done.stderr
