"""The table of commands, and what becomes of an error: one message and an exit code."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click

from hosting.cli.support.exit_codes import Exit


@dataclass(frozen=True)
class Entry:
    """A command that is imported when it is run; `help` stands in the overview without importing it."""

    target: str
    help: str


SECTIONS: Mapping[str, Mapping[str, Entry]] = {
    "Offline": {
        "generate": Entry("generate:generate", "Write templates/ from generator/, or --check them."),
        "new-service": Entry("new_service:new_service", "Add a service: entry, templates, parameters."),
        "validate": Entry("validate:validate", "Lint and guard the templates with each environment's values."),
        "security": Entry("security:security", "Judge the templates with checkov, parliament and the guards."),
        "diff": Entry("diff:diff", "Predict what a deployment would change, without AWS."),
        "reach": Entry("reach:reach", "Prove from the templates who can reach whom."),
        "graph": Entry("graph:graph", "Draw the architecture from the templates: SVG, Mermaid, PNG."),
        "cost": Entry("cost:cost", "Estimate what an environment costs in a month."),
        "timeline": Entry("timeline:timeline", "Show what decides how long a first deployment takes."),
        "policy": Entry("policy:policy", "Write the IAM policies that planning and deploying need."),
        "params": Entry("params:params", "Check parameter files against the templates."),
        "package": Entry("package:package", "Build the Lambda archives; upload them with the templates."),
    },
    "Rehearse": {
        "rehearse": Entry("rehearse:rehearse", "Deploy a whole environment to an emulator, without AWS."),
    },
    "Deploy": {
        "preflight": Entry("preflight:preflight", "Find out what is missing before the first deployment."),
        "plan": Entry("plan:plan", "Show what a deployment would change."),
        "deploy": Entry("deploy:deploy", "Bring an environment to what the files say."),
    },
    "Operate": {
        "tunnel": Entry("tunnel:tunnel", "Open a tunnel to the database through a running task."),
        "exec": Entry("exec:execute", "Run a command or a shell in a container of a running task."),
        "run": Entry("run:run", "Run a command in a one-off task of a service, for migrations and the like."),
        "status": Entry("status:status", "Show an environment on one screen."),
        "logs": Entry("logs:logs", "Print what containers, database, firewall and functions write."),
        "events": Entry("events:events", "Print what happened to an environment lately."),
        "site": Entry("site:site", "Bring a directory to the static site, and viewers' caches up to date."),
        "invalidate": Entry("invalidate:invalidate", "Make CloudFront forget addresses."),
        "drift": Entry("drift:drift", "Compare what there is with the templates, in all nested stacks."),
        "outputs": Entry("outputs:outputs", "Print the outputs of an environment's stacks."),
        "watch": Entry("watch:watch", "Attach to what is running, and follow it to its end."),
        "cancel": Entry("cancel:cancel", "Have a running update go back to how it was."),
        "diagnose": Entry("diagnose:diagnose", "Say why a deployment failed, from its record; offline."),
        "recover": Entry("recover:recover", "Continue a rollback that failed, and name what blocks a stack."),
        "destroy": Entry("destroy:destroy", "Delete an environment; what holds data is kept."),
    },
    "Shell": {
        "completion": Entry("completion:completion", "Print what bash, zsh or fish needs to complete."),
    },
}

COMMANDS: Mapping[str, Entry] = {name: entry for section in SECTIONS.values() for name, entry in section.items()}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports only the one that is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.target.partition(":")
        command: click.Command = getattr(importlib.import_module(f"hosting.cli.commands.{module}"), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f' Did you mean "{near[0]}"?' if near else ""
            raise click.UsageError(f'There is no command "{args[0]}".{hint}', ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        for section, entries in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name, entry.help) for name, entry in entries.items()])


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    import tomllib
    from pathlib import Path

    project = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    click.echo(f"{project['name']} {project['version']}")
    ctx.exit()


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Show the version and exit."
)
def cli() -> None:
    """Deploy the hosting platform: nested CloudFormation through change sets.

    \b
    deploy.py rehearse -e dev     try everything without an AWS account
    deploy.py plan -e dev         see what would change
    deploy.py deploy -e dev       change it

    Exit codes: 0 done or nothing to change, 1 error, 2 changes (plan --detailed-exitcode), 3 refused by a
    gate, 4 failed and rolled back or stopped, 5 needs recovery, 64 wrong input, 130 interrupted.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code. Errors of ours become a message; bugs stay tracebacks."""
    try:
        result = cli.main(
            args=list(arguments) if arguments is not None else None, prog_name="deploy.py", standalone_mode=False
        )
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.UsageError as error:
        error.show()
        return Exit.USAGE
    except click.ClickException as error:
        error.show()
        return Exit.ERROR
    except (click.Abort, KeyboardInterrupt):
        _say("interrupted")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # Somebody piped into `head`. Python would complain again when it closes stdout.
        sys.stderr.close()
        return Exit.DONE
    except Exception as error:
        code = _code(error)
        if code is None:
            raise
        _say(_message(error))
        return code
    return int(result) if isinstance(result, int) else Exit.DONE


def _say(message: str) -> None:
    click.echo(f"{click.style('error:', fg='red', bold=True)} {message}", err=True)


def _code(error: Exception) -> Exit | None:
    """The exit code of an error that is somebody's to act on; None for a bug.

    Looks among the modules that are loaded: an error's class has been imported by whoever raised it.
    """
    for module, name, code in _CODES:
        loaded = sys.modules.get(module)
        if loaded is not None and isinstance(error, getattr(loaded, name)):
            return _needs_recovery(error) or code
    return None


def _needs_recovery(error: Exception) -> Exit | None:
    status = getattr(error, "status", "")
    return Exit.RECOVERY_REQUIRED if isinstance(status, str) and status.endswith("ROLLBACK_FAILED") else None


# The first match counts, so the special ones stand before their base class.
_CODES = (
    ("hosting.deployer.errors", "InputError", Exit.USAGE),
    ("hosting.deployer.errors", "RefusedError", Exit.REFUSED),
    ("hosting.deployer.errors", "GuardError", Exit.REFUSED),
    ("hosting.deployer.errors", "RecoverError", Exit.RECOVERY_REQUIRED),
    ("hosting.deployer.errors", "DeploymentFailedError", Exit.FAILED),
    ("hosting.deployer.errors", "DeployerError", Exit.ERROR),
    ("hosting.analysis.errors", "ParameterFileError", Exit.USAGE),
    ("hosting.analysis.errors", "AnalysisError", Exit.ERROR),
    ("hosting.rehearsal.errors", "RehearsalError", Exit.ERROR),
    ("generator.errors", "GeneratorError", Exit.ERROR),
    ("botocore.exceptions", "ClientError", Exit.ERROR),
    ("botocore.exceptions", "BotoCoreError", Exit.ERROR),
)


def _message(error: Exception) -> str:
    if type(error).__module__.startswith("botocore."):
        from hosting.deployer.aws.session import explain

        return str(explain(error))
    return str(error)
