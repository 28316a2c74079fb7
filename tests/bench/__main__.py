"""`make bench`: print the cost of commands and functions beside their budgets, measured on this machine.

The time of a process is its user and system time, which a busy machine changes less than elapsed time. The figures do
not fail a build.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.support import scale

PROJECT = Path(__file__).parents[2]
RUNS = 7
PYTHON = sys.executable


@dataclass(frozen=True)
class Row:
    """One line of the table. A budget of None means that the figure is shown for comparison only."""

    subject: str
    measured: str
    against: str
    figure: float
    unit: str
    budget: float | None = None

    @property
    def verdict(self) -> str:
        if self.budget is None:
            return ""
        return "within" if self.figure <= self.budget else "OVER"


def cpu_seconds(arguments: list[str]) -> float:
    """Run a process, and return the user and system time of it and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(arguments, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def alternate(one: list[str], other: list[str], runs: int = RUNS) -> tuple[float, float, float]:
    """Run two processes alternately. Return the median time of each, and the median ratio of the pairs."""
    cpu_seconds(one), cpu_seconds(other)
    pairs = [(cpu_seconds(one), cpu_seconds(other)) for _ in range(runs)]
    return (
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
        statistics.median(a / b for a, b in pairs),
    )


def wall_seconds(action: Callable[[], object], runs: int = RUNS) -> float:
    """Return the median of an action's elapsed seconds, after one run that is not counted."""
    action()
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        action()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def generation() -> list[Row]:
    """Compare with starting Python and importing the modules of other packages that `generate` imports."""
    listed = subprocess.run(
        [
            PYTHON,
            "-c",
            "import sys; from hosting.cli.main import main; main(['generate']); print('\\n'.join(sys.modules))",
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    modules = [name for name in listed if name.split(".")[0] in {"troposphere", "awacs", "click"}]
    imports = [PYTHON, "-c", "import " + ", ".join(modules)]
    generate, bare, ratio = alternate([PYTHON, "deploy.py", "generate", "--check"], imports)
    return [Row("generate", f"{generate:.2f} s", f"imports alone {bare:.2f} s", ratio, "x", 1.5)]


def start() -> list[Row]:
    runs = [cpu_seconds([PYTHON, "deploy.py", "--help"]) for _ in range(RUNS)]
    return [Row("deploy.py --help", "CPU time", "", statistics.median(runs), "s", 0.15)]


def packaging() -> list[Row]:
    from hosting.deployer.packaging.lambda_packages import package_functions
    from tests.lambdas.runtime import PLATFORM

    seconds = wall_seconds(lambda: package_functions(PROJECT / "lambda", PLATFORM))
    return [Row("package, nothing changed", "six functions", "", seconds, "s", 0.1)]


def services() -> list[Row]:
    """Compare rendering all templates for many services with rendering them for two."""
    from generator.config import Config
    from generator.render import render_all
    from generator.workloads import WebService

    def render(count: int) -> float:
        entries = tuple(
            WebService(f"Service{number}", paths=(f"/{number}/*",), priority=number, own_size=number <= 2)
            for number in range(1, count + 1)
        )
        return wall_seconds(lambda: render_all(Config(workloads=entries)), runs=5)

    two = render(2)
    rows = []
    # Each workload has a template of its own, so the time grows with their number: about 10 with 100 workloads.
    for count, budget in ((10, None), (50, None), (100, 15.0)):
        seconds = render(count)
        rows.append(
            Row(f"generate {count} services", f"{seconds:.2f} s", f"2 services {two:.2f} s", seconds / two, "x", budget)
        )
    return rows


def validation() -> list[Row]:
    """Compare with cfn-lint alone on the same files. `validate` also lints them resolved, twice, and runs rules."""
    main_region = [
        str(path) for path in sorted((PROJECT / "templates").glob("*.json")) if not path.name.startswith("edge")
    ]
    bare = [
        str(Path(PYTHON).with_name("cfn-lint")),
        "--include-checks",
        "I",
        "-r",
        "ap-northeast-1",
        "-t",
        *main_region,
    ]
    forgetful = "Path('build/cfn-lint.json').unlink(missing_ok=True); main(['validate'])"
    first = [PYTHON, "-c", f"from pathlib import Path; from hosting.cli.main import main; {forgetful}"]
    validate, lint, ratio = alternate(first, bare, runs=3)
    again = statistics.median(cpu_seconds([PYTHON, "deploy.py", "validate"]) for _ in range(RUNS))
    return [
        Row("validate -e all", f"{validate:.1f} s", f"cfn-lint once {lint:.1f} s", ratio, "x"),
        Row("validate, nothing changed", f"{again:.2f} s", "CPU time", again, "s", 0.5),
    ]


def rehearsal() -> list[Row]:
    """Measure the rehearsal of an environment, emulator included, and count its calls of AWS."""
    counter = (
        "import botocore.endpoint as e, atexit, sys\n"
        "made = [0]\nsend = e.Endpoint.make_request\n"
        "def count(self, *a, **k):\n    made[0] += 1\n    return send(self, *a, **k)\n"
        "e.Endpoint.make_request = count\n"
        "atexit.register(lambda: print('calls', made[0], file=sys.stderr))\n"
        "from hosting.cli.main import main\nsys.argv = ['deploy.py', 'rehearse', '-e', 'dev']\nmain()\n"
    )
    begun = time.perf_counter()
    run = subprocess.run(
        [PYTHON, "-c", counter],
        cwd=PROJECT,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - begun
    calls = next((line.split()[1] for line in run.stderr.splitlines() if line.startswith("calls ")), "unknown")
    return [Row("rehearse -e dev", f"{calls} calls of AWS", f"exit code {run.returncode}", seconds, "s", 30)]


def many_services() -> list[Row]:
    """Measure generation and rehearsal of an environment with a hundred services."""
    with tempfile.TemporaryDirectory() as folder:
        scale.write(PROJECT, Path(folder), 100)
        made = once("deploy.py", "generate", "--root", folder)
        rehearsed = once("deploy.py", "rehearse", "-e", "dev", "--root", folder)
    return [
        Row("generate 100 services", "with tables and pictures", "", made, "s", 5),
        Row("rehearse 100 services", "all checks pass", "", rehearsed, "s", 180),
    ]


def once(*arguments: str) -> float:
    """Return the seconds of one run of a slow command. Raises CalledProcessError if it fails."""
    begun = time.perf_counter()
    subprocess.run([PYTHON, *arguments], cwd=PROJECT, capture_output=True, check=True)
    return time.perf_counter() - begun


def functions() -> list[tuple[str, str, str, str]]:
    from tests.bench.lambdas import measure

    def text(value: float | None, unit: str) -> str:
        return f"{value:.3g} {unit}" if unit and value is not None else ""

    return [(row.subject, row.what, text(row.value, row.unit), text(row.plain, row.unit)) for row in measure()]


def prediction() -> list[tuple[str, float, str]]:
    from tests.bench.diff import measure

    return [(row.what, row.value, row.unit) for row in measure()]


def main() -> None:
    console = Console()
    table = Table("what", "measured", "beside", "figure", "budget", "", title="Budgets")
    with console.status("measuring") as status:
        for part in (generation, start, packaging, services, validation, rehearsal, many_services):
            status.update(f"measuring {part.__name__}")
            for row in part():
                budget = f"{row.budget:g} {row.unit}" if row.budget is not None else ""
                figure = f"{row.figure:.2f} {row.unit}"
                table.add_row(row.subject, row.measured, row.against, figure, budget, row.verdict)
    console.print(table)
    with console.status("measuring functions"):
        lambdas = Table("function", "what", "figure", "plain implementation", title="Functions")
        for cells in functions():
            lambdas.add_row(*cells)
    console.print(lambdas)
    with console.status("measuring predictions"):
        predictions = Table("what", "figure", title="deploy.py diff, compared with the emulator's change sets")
        for what, value, unit in prediction():
            predictions.add_row(what, f"{value:.4g} {unit}")
    console.print(predictions)


if __name__ == "__main__":
    main()
