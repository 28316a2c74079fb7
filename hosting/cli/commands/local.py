"""`deploy.py local`: run the apps of an environment on this machine, behind the simulated edge."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import Options, environment_options, is_interactive, load_without_validation

if TYPE_CHECKING:
    from hosting.analysis.resolve import ResolvedEnvironment
    from hosting.local.run import LocalRun
    from hosting.local.settings import ExpectedRequest, Settings

# Seconds between two looks at the files and at the containers.
_PAUSE = 0.5


@click.command()
@environment_options
@click.option(
    "--service", "commands", metavar="NAME=COMMAND", multiple=True,
    help="Command that replaces the image of a workload. Repeatable. local.toml can contain it too.",
)  # fmt: skip
@click.option("--port", type=click.IntRange(1, 65535), default=8443, show_default=True, help="Port of the edge.")
@click.option(
    "--secret-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
    help="File with lines WORKLOAD.VARIABLE=VALUE, for secrets that people supply.",
)  # fmt: skip
@click.option("--job", "jobs", metavar="NAME", multiple=True, help="Run this job once after the start. Repeatable.")
@click.option("--check", is_flag=True, help="Check health and requests, stop everything, and exit 0 or 1.")
@click.option(
    "--wait", type=float, default=60.0, show_default=True, metavar="SECONDS", help="Time until all must be healthy."
)
def local(
    commands: tuple[str, ...],
    port: int,
    secret_file: Path | None,
    jobs: tuple[str, ...],
    check: bool,
    wait: float,
    **given: Any,
) -> int:
    """Run the apps of an environment on this machine, with the contract of its resolved task definitions.

    Starts MariaDB in place of Aurora, the migrations, the containers of all services and workers, and the edge
    of the templates. Requires no AWS account. Ctrl-C stops everything; the data of the database stays.
    """
    from hosting.local.run import LocalRun

    options = Options(**given)
    folder = options.root / "build" / "local" / options.environment
    signal.signal(signal.SIGTERM, _interrupt)
    run = LocalRun(folder, port, _show)
    try:
        resolved, settings = _load(options, commands)
        secrets = _read_secrets(secret_file)
        _start(run, resolved, settings, secrets)
        click.echo(f"The site is at {run.site} (the browser has to accept its certificate once).", err=True)
        healthy = run.wait_until_healthy(wait)
        _print_health(run)
        codes = [_run_job(run, name) for name in jobs]
        if check:
            return Exit.DONE if _check(run, port, settings) and healthy and not any(codes) else Exit.ERROR
        _print_job_times(run)
        click.echo("Ctrl-C stops everything. A change of templates/, params/ or local.toml takes effect.", err=True)
        _follow(run, options, commands, secrets)
    except KeyboardInterrupt:
        click.echo("stopping", err=True)
    finally:
        run.stop()
    return Exit.DONE


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _show(name: str, line: str) -> None:
    click.echo(f"{click.style(f'{name:<12}', dim=True)} | {line}")


def _load(options: Options, commands: tuple[str, ...]) -> tuple[ResolvedEnvironment, Settings]:
    """Return the resolved environment and the settings of this machine."""
    from hosting.analysis.resolve import resolve
    from hosting.local.settings import load_settings
    from hosting.model.parameter_file import Environment

    environment = load_without_validation(options)
    resolved = resolve(environment.templates, Environment.from_file(environment.name, environment.file))
    return resolved, load_settings(options.root, commands, os.environ.get("PATH", os.defpath))


def _read_secrets(file: Path | None) -> dict[str, str]:
    from hosting.model.errors import InputError, Problem

    secrets = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines() if file else [], start=1):
        name, found, value = line.partition("=")
        if found:
            secrets[name.strip()] = value
        elif line.strip() and not line.startswith("#"):
            raise InputError([Problem(f"{file}:{number}", "the line is not NAME=VALUE")])
    return secrets


def _start(run: LocalRun, resolved: ResolvedEnvironment, settings: Settings, secrets: dict[str, str]) -> None:
    """Start everything. On a terminal, ask for secrets without a value."""
    from hosting.local.workloads import MissingSecretsError

    try:
        run.start(resolved, settings, secrets)
    except MissingSecretsError as missing:
        if not is_interactive():
            raise
        for name in missing.names:
            secrets[name] = click.prompt(f"{name} (a value for this machine)", hide_input=True, err=True)
        run.start(resolved, settings, secrets)
    for container in run.containers.values():
        if container.not_enforced:
            what = ", ".join(container.not_enforced)
            click.echo(f"{container.container.name}: not as on Fargate without bubblewrap: {what}", err=True)


def _run_job(run: LocalRun, name: str) -> int:
    code = run.run_job(name)
    _report_job(name, code)
    return code


def _report_job(name: str, code: int) -> None:
    click.echo(f"job {name} ended with exit code {code}", err=True)


def _print_job_times(run: LocalRun) -> None:
    for name, moment in run.next_job_times.items():
        text = f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "not computed here: run it with --job"
        click.echo(f"{name:<12} next start: {text}", err=True)


def _print_health(run: LocalRun) -> None:
    explained = run.explain()
    for name, state in run.health().items():
        click.echo(f"{name:<12} {state}", err=True)
        for text in explained.get(name, []):
            click.echo(f"  {text}", err=True)


def _check(run: LocalRun, port: int, settings: Settings) -> bool:
    """Send the requests, print a table, and return whether every response is right."""
    from hosting.local.request_table import check_requests

    results = check_requests("localhost", port, settings.requests or _default_requests(run))
    for result in results:
        verdict = f"wrong: {result.wrong}" if result.wrong else "ok"
        click.echo(f"{result.request.method:<6} {result.request.path:<40} {result.status:<4} {verdict}")
    return not any(result.wrong for result in results)


def _default_requests(run: LocalRun) -> Iterator[ExpectedRequest]:
    """Yield a request for the first path of each service behind the load balancer."""
    from hosting.local.settings import ExpectedRequest

    for path in run.first_paths():
        yield ExpectedRequest(path)


def _follow(run: LocalRun, options: Options, commands: tuple[str, ...], secrets: dict[str, str]) -> None:
    """Print changes of health, start jobs at their times, and start again with changed files, until Ctrl-C."""
    from datetime import UTC, datetime

    from hosting.model.errors import PlatformError

    files, states = _modified(options.root), run.health()
    while True:
        time.sleep(_PAUSE)
        run.start_due_jobs(datetime.now(UTC), _report_job)
        if (now := _modified(options.root)) != files:
            files = now
            try:
                resolved, settings = _load(options, commands)
                click.echo("the configuration has changed: starting the containers again", err=True)
                run.stop_containers()
                _start(run, resolved, settings, secrets)
            except PlatformError as error:
                click.echo(f"the configuration is not used: {error}", err=True)
        if (current := run.health()) != states:
            states = current
            _print_health(run)
            sys.stderr.flush()


def _modified(root: Path) -> Mapping[Path, int]:
    """Return the times of the files that decide what runs."""
    files = [*(root / "templates").glob("*.json"), *(root / "params").glob("*.json"), root / "local.toml"]
    return {file: file.stat().st_mtime_ns for file in files if file.exists()}
