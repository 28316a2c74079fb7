"""`deploy.py diagnose`: explain a failed deployment from its record."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from hosting.cli.support.exit_codes import Exit
from hosting.cli.support.options import ROOT, environments_option, output_option, root_option
from hosting.model.parameter_file import ALL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from hosting.deployer.recording.runs import Record


@click.command()
@click.argument("run", required=False)
@environments_option
@output_option("text", "json")
@click.option("--list", "listed", is_flag=True, help="List the recorded runs.")
@root_option
def diagnose(run: str | None, environment: str, output: str, listed: bool, root: Path) -> int:
    """Explain why RUN failed: the first failure, its cause, the remedy, and the ECS events.

    RUN is the id of a recorded run; --list shows them. Without RUN the last one is used. Works offline: each
    deployment records its events in runs/.
    """
    from hosting.deployer.errors import DeployerError
    from hosting.deployer.recording import runs

    wanted = None if environment == ALL else environment
    if listed:
        _list_runs(root, wanted, output)
        return Exit.DONE
    if run:
        record = runs.find_record(root, run)
    else:
        found = next(runs.list_records(root, wanted), None)
        if found is None:
            of = f" of {wanted}" if wanted else ""
            raise DeployerError(
                f"no run{of} is recorded", where=str(root / "runs"), hint="`deploy.py deploy` records each run there"
            )
        record = found
    data = _build_document(record)
    click.echo(json.dumps(data, indent=2) if output == "json" else "\n".join(_format_document(data)))
    return Exit.DONE


def _list_runs(root: Path, environment: str | None, output: str) -> None:
    from hosting.deployer.recording import runs

    keys = ("id", "environment", "command", "result", "began", "ended")
    rows = [{key: record.summary.get(key) for key in keys} for record in runs.list_records(root, environment)]
    if output == "json":
        click.echo(json.dumps({"schema": 1, "runs": rows}, indent=2))
        return
    for row in rows:
        click.echo(f"{row['id']}  {_describe_result(row['result'])}")


def _build_document(record: Record) -> dict[str, Any]:
    from hosting.deployer.failures import report
    from hosting.deployer.recording import evidence

    services = record.services
    return {
        "schema": 1,
        "run": record.id,
        "directory": str(record.directory),
        **{key: record.summary.get(key) for key in ("command", "environment", "region", "result", "began", "ended")},
        "operations": [
            {
                **{key: one.get(key) for key in ("stack", "region", "verb", "status", "seconds", "diagnosis")},
                "unfinished": [item["name"] for item in one.get("resources", ()) if not item.get("ended")],
            }
            for one in record.operations
        ],
        "services": [
            {"name": one.name, "lines": list(one.lines), "match": report.match_as_data(one.match)}
            for one in evidence.collect_evidence(services)
        ],
        "ecs": services,
    }


def _format_document(data: Mapping[str, Any]) -> Iterator[str]:
    from hosting.cli.support.operation_state import format_duration

    yield f"{data['run']}: {data['command']} of {data['environment']}, {_describe_result(data['result'])}"
    for one in data["operations"]:
        took = f" in {format_duration(one['seconds'])}" if one["seconds"] is not None else ""
        yield f"{one['stack']} ({one['region']}): {one['verb']}, {one['status'] or 'not followed to its end'}{took}"
        if one["diagnosis"]:
            yield from _format_diagnosis(one["diagnosis"])
        elif one["unfinished"] and not one["status"]:
            yield f"  in progress when the monitor stopped: {', '.join(one['unfinished'])}"
    for service in data["services"]:
        yield f"{service['name']}, as reported by ECS:"
        yield from (f"  {line}" for line in service["lines"])
        yield from _format_cause(service["match"], "  ")


def _describe_result(result: object) -> object:
    """Return the result of a run. A killed run could not record its end."""
    return "running, or killed" if result == "running" else result


def _format_diagnosis(diagnosis: Mapping[str, Any]) -> Iterator[str]:
    yield from _format_finding("first failure", diagnosis["first"])
    if len(diagnosis["chain"]) > 1:
        yield f"  led to: {' -> '.join(diagnosis['chain'][1:])}"
    for other in diagnosis["others"]:
        yield from _format_finding("also failed", other)
    if diagnosis["cancelled"]:
        yield f"  cancelled as a consequence: {diagnosis['cancelled']}"
    for blocker in diagnosis["rollback"]:
        yield from _format_finding("the rollback failed at", blocker)


def _format_finding(title: str, finding: Mapping[str, Any]) -> Iterator[str]:
    yield f"  {title}: {finding['resource']} ({finding['type']})"
    yield f"    {finding['status']}: {finding['reason']}"
    if source := _find_source(finding):
        yield f"    created by: {source}"
    yield from _format_cause(finding["match"], "    ")


def _format_cause(match: Mapping[str, str] | None, indent: str) -> Iterator[str]:
    if match is not None:
        yield f"{indent}cause ({match['cause']}): {match['meaning']}"
        yield f"{indent}what to do: {match['remedy']}"
        yield f"{indent}see: {match['document']}"


def _find_source(finding: Mapping[str, Any]) -> str:
    """Return the line of the generator that creates the resource, or "" if it is not from a template here."""
    from generator.errors import GeneratorError
    from hosting.cli.support.sources import load_resource_sources

    *path, logical_id = str(finding["resource"]).split("/")
    try:
        sources = load_resource_sources(ROOT)
    except GeneratorError:
        # A project that cannot be generated now must not hide why a deployment failed.
        return ""
    for file, resources in sources.items():
        if logical_id in resources and _belongs_to(file, path):
            return str(resources[logical_id].get("", ""))
    return ""


def _belongs_to(file: str, path: list[str]) -> bool:
    """Return whether the stack path belongs to the template file: NetworkStack belongs to network.json."""
    kind = file.removesuffix(".json").replace("-", "")
    if file.startswith("workload-"):
        kind = f"{kind.removeprefix('workload')}service"
    if not path:
        return kind in {"root", "bootstrap", "edge", "edgemonitoring"}
    return path[-1].removesuffix("Stack").lower().endswith(kind)
