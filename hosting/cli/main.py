"""Define the table of commands and turn errors into one message and an exit code."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click

from hosting.cli.support.exit_codes import Exit


@dataclass(frozen=True)
class Entry:
    """A command that is imported only when it runs. `help` is its line in the overview."""

    target: str
    help: str


SECTIONS: Mapping[str, Mapping[str, Entry]] = {
    "Offline": {
        "generate": Entry("generate:generate", "Write templates, tables and pictures, or --check them."),
        "new-service": Entry("new_service:new_service", "Add a service: its entry, parameters and generated files."),
        "validate": Entry("validate:validate", "Check templates with cfn-lint and the project's rules."),
        "security": Entry("security:security", "Scan templates and policies with checkov and parliament."),
        "diff": Entry("diff:diff", "Predict the changes of a deployment, without AWS."),
        "reach": Entry("reach:reach", "Prove which network paths the templates open."),
        "graph": Entry("graph:graph", "Draw the architecture as SVG, Mermaid or PNG."),
        "cost": Entry("cost:cost", "Estimate the monthly cost of an environment."),
        "timeline": Entry("timeline:timeline", "Show the critical path of a first deployment."),
        "policy": Entry("policy:policy", "Write IAM policies for planning, deploying and operating."),
        "params": Entry("params:params", "Check parameter files, or show their values with origins."),
        "package": Entry("package:package", "Build the Lambda packages; upload them with the templates."),
    },
    "Rehearse": {
        "rehearse": Entry("rehearse:rehearse", "Deploy a whole environment to an emulator, without AWS."),
        "local": Entry("local:local", "Run the apps on this machine, behind the simulated edge."),
    },
    "Deploy": {
        "preflight": Entry("preflight:preflight", "Check the prerequisites of a first deployment."),
        "plan": Entry("plan:plan", "Show the changes of a deployment."),
        "deploy": Entry("deploy:deploy", "Create or update the stacks of an environment."),
        "releases": Entry("releases:releases", "List the deployments of an environment, or show one."),
        "rollback": Entry("rollback:rollback", "Deploy an earlier release again."),
    },
    "Operate": {
        "tunnel": Entry("tunnel:tunnel", "Open a tunnel to the database through a running task."),
        "exec": Entry("exec:execute", "Run a command or a shell in a container of a running task."),
        "run": Entry("run:run", "Run a command in a standalone task, such as a migration."),
        "secrets": Entry("secrets:secrets", "List the secrets of workloads; set the values that people supply."),
        "restart": Entry("restart:restart", "Replace all tasks of a service, such as after a new secret."),
        "status": Entry("status:status", "Show the health of an environment on one screen."),
        "logs": Entry("logs:logs", "Print logs of containers, database, WAF and functions."),
        "events": Entry("events:events", "Print recent events of an environment."),
        "site": Entry("site:site", "Upload a directory to the static site; invalidate its paths."),
        "invalidate": Entry("invalidate:invalidate", "Invalidate CloudFront paths."),
        "addresses": Entry("addresses:addresses", "Block or allow addresses at the web ACL, without a deployment."),
        "rotate-origin-secret": Entry(
            "rotate_origin_secret:rotate_origin_secret", "Replace the secret between CloudFront and the load balancer."
        ),
        "drift": Entry("drift:drift", "Detect drift in all nested stacks."),
        "outputs": Entry("outputs:outputs", "Print the outputs of an environment's stacks."),
        "watch": Entry("watch:watch", "Follow running stack operations to their end."),
        "cancel": Entry("cancel:cancel", "Cancel a running stack update and roll it back."),
        "diagnose": Entry("diagnose:diagnose", "Explain a failed deployment from its record, offline."),
        "recover": Entry("recover:recover", "Continue a failed rollback; list what blocks a stack."),
        "destroy": Entry("destroy:destroy", "Delete an environment; stateful resources are retained."),
    },
    "Shell": {
        "completion": Entry("completion:completion", "Print the completion script for bash, zsh or fish."),
    },
}

COMMANDS: Mapping[str, Entry] = {name: entry for section in SECTIONS.values() for name, entry in section.items()}


# Names of other tools, and the command or option of this one.
_COMMAND_HINTS: Mapping[str, str] = {
    "apply": "Use `deploy`.",
    "up": "Use `deploy`.",
    "delete": "Use `destroy`.",
    "preview": "Use `plan`.",
}
_OPTION_HINTS: Mapping[str, str] = {
    "--dry-run": "Use `deploy.py plan -e ENV`.",
    "--auto-approve": "Use --yes.",
    "--require-approval": "Use --yes.",
    "--force": "Use --yes to skip the confirmation, and --allow-replace or --allow-delete to name a stateful resource.",
}


class LazyGroup(click.Group):
    """A command group that imports only the command that runs."""

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
        """Return the command that is named in `args`. An unknown name is an error with the nearest known name."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = _COMMAND_HINTS.get(args[0]) or (f'Did you mean "{near[0]}"?' if near else "")
            raise click.UsageError(f'There is no command "{args[0]}". {hint}'.rstrip(), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        for section, entries in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name, entry.help) for name, entry in entries.items()])


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    import tomllib
    from pathlib import Path

    project = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    click.echo(f"{project['name']} {project['version']}")
    ctx.exit()


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Show the version and exit.",
)
def cli() -> None:
    """Deploy and operate the hosting platform, which consists of nested CloudFormation stacks.

    \b
    deploy.py rehearse -e dev     deploy to an emulator, without an AWS account
    deploy.py plan -e dev         show the changes
    deploy.py deploy -e dev       deploy the changes

    Commands that use an environment or an AWS account require -e ENV. Offline checks cover every environment
    of params/ without -e.

    \b
    Exit codes
      0    success, or nothing to change
      1    error, or findings of a check
      2    there are changes (--detailed-exitcode, drift), or stacks left to plan (deploy FILE)
      3    refused by a gate
      4    operation failed and was rolled back, or was cancelled
      5    a stack needs recovery
      64   wrong input
      130  interrupted or declined
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code. Known errors become one message; a bug remains a traceback."""
    try:
        result = cli.main(
            args=list(arguments) if arguments is not None else None, prog_name="deploy.py", standalone_mode=False
        )
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.UsageError as error:
        _with_hint(error, sys.argv[1:] if arguments is None else arguments).show()
        return Exit.USAGE
    except click.ClickException as error:
        error.show()
        return Exit.ERROR
    except (click.Abort, KeyboardInterrupt):
        _print_error("interrupted")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # The reader, such as `head`, closed the pipe. Python would report it again when it closes stdout.
        sys.stderr.close()
        return Exit.DONE
    except Exception as error:
        code = _find_exit_code(error)
        if code is None:
            raise
        _print_error(_format_error(error))
        return code
    return int(result) if isinstance(result, int) else Exit.DONE


def _with_hint(error: click.UsageError, arguments: Sequence[str]) -> click.UsageError:
    """Return the error with the name in this tool for an option of another tool, or -e for a bare environment."""
    hint = _OPTION_HINTS.get(error.option_name, "") if isinstance(error, click.NoSuchOption) else ""
    if not hint and not {"-e", "--env"} & set(arguments) and "Use -e" not in error.message:
        from hosting.cli.support.options import ROOT
        from hosting.model.parameter_file import environments

        named = set(arguments[1:]) & set(environments(ROOT / "params"))
        hint = f"Use -e {min(named)}." if named else ""
    return click.UsageError(f"{error.format_message().rstrip('.')}. {hint}", error.ctx) if hint else error


def _print_error(message: str) -> None:
    click.echo(f"{click.style('error:', fg='red', bold=True)} {message}", err=True)


def _find_exit_code(error: Exception) -> Exit | None:
    """Return the exit code of a known error, or None for a bug.

    Only loaded modules are searched: the code that raised the error has imported its class.
    """
    for module, name, code in _EXIT_CODES:
        loaded = sys.modules.get(module)
        if loaded is not None and isinstance(error, getattr(loaded, name)):
            return _check_recovery(error) or code
    return None


def _check_recovery(error: Exception) -> Exit | None:
    status = getattr(error, "status", "")
    return Exit.RECOVERY_REQUIRED if isinstance(status, str) and status.endswith("ROLLBACK_FAILED") else None


# Error classes and their exit codes. The first match counts, so a subclass precedes its base class.
_EXIT_CODES: Sequence[tuple[str, str, Exit]] = (
    ("hosting.model.errors", "InputError", Exit.USAGE),
    ("hosting.deployer.errors", "RefusedError", Exit.REFUSED),
    ("hosting.deployer.errors", "GuardError", Exit.REFUSED),
    ("hosting.deployer.errors", "RecoverError", Exit.RECOVERY_REQUIRED),
    ("hosting.deployer.errors", "DeploymentFailedError", Exit.FAILED),
    ("hosting.analysis.graph.pictures", "RasterError", Exit.ERROR),
    ("hosting.analysis.errors", "AnalysisError", Exit.USAGE),
    ("hosting.model.errors", "ResolveError", Exit.USAGE),
    ("hosting.model.errors", "PlatformError", Exit.ERROR),
    ("hosting.rehearsal.errors", "RehearsalError", Exit.ERROR),
    ("generator.errors", "GeneratorError", Exit.ERROR),
    ("botocore.exceptions", "ClientError", Exit.ERROR),
    ("botocore.exceptions", "BotoCoreError", Exit.ERROR),
)


def _format_error(error: Exception) -> str:
    if type(error).__module__.startswith("botocore."):
        from hosting.deployer.aws.session import explain

        return str(explain(error))
    return str(error)
