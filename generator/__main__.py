"""``python -m generator [--check]``: write templates/ and the README's tables, or say what in them is stale.

``--services N --out DIR`` renders another structure into a folder of its own, to try it.
"""

from __future__ import annotations

import gc

# A short run that keeps what it makes: collecting garbage would only walk through it again and again.
gc.disable()

import argparse  # noqa: E402
import sys  # noqa: E402
from os import _exit  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import NoReturn  # noqa: E402

from generator import render  # noqa: E402
from generator.config import load_config  # noqa: E402
from generator.errors import GeneratorError  # noqa: E402
from generator.resources import limits  # noqa: E402
from generator.tooling import readme_tables  # noqa: E402

PROJECT = Path(__file__).resolve().parent.parent
TEMPLATES = PROJECT / "templates"
README = PROJECT / "README.md"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m generator", description="Write templates/*.json and the tables of README.md."
    )
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when something is stale")
    parser.add_argument("--services", type=int, metavar="N", help="render N services instead; needs --out")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to, with parameter files: a --root of deploy.py")
    options = parser.parse_args()
    try:
        return run(parser, options)
    except GeneratorError as error:
        print(error, file=sys.stderr)
        return 1


def run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    if (options.services is None) != (options.out is None):
        parser.error("--services and --out belong together")
    if options.services is not None:
        if options.check:
            parser.error("--check is about templates/: it goes with neither --services nor --out")
        return try_out(parser, options.services, options.out)
    return check() if options.check else write()


def within_limits(texts: dict[str, str]) -> bool:
    """Say what is too large for CloudFormation; whether nothing is, apart from what AWS raises on request."""
    found = limits.check(texts)
    for excess in found:
        print(f"{'note: ' if excess.adjustable else ''}{excess}", file=sys.stderr)
    return all(excess.adjustable for excess in found)


def check() -> int:
    templates = render.build_all(load_config(PROJECT))
    texts = render.as_texts(templates)
    fits = within_limits(texts)
    findings = [f"templates/{finding}" for finding in render.stale(TEMPLATES, texts)]
    if readme_tables.is_stale(README, templates):
        findings.append("README.md: its tables differ from the contracts")
    for finding in findings:
        print(finding, file=sys.stderr)
    if findings:
        print("Run `python -m generator` and commit what it changed.", file=sys.stderr)
    return 0 if fits and not findings else 1


def write() -> int:
    templates = render.build_all(load_config(PROJECT))
    texts = render.as_texts(templates)
    if not within_limits(texts):
        print("Nothing is written: CloudFormation would refuse it.", file=sys.stderr)
        return 1
    touched = [f"templates/{name}" for name in render.write(TEMPLATES, texts)]
    if readme_tables.write(README, templates):
        touched.append("README.md")
    for name in touched:
        print(name)
    if not touched:
        print("templates/ and README.md are up to date.", file=sys.stderr)
    return 0


def try_out(parser: argparse.ArgumentParser, services: int, folder: Path) -> int:
    """A structure that is only tried is written even where CloudFormation would refuse it: that is worth a look."""
    from generator.tooling import trial

    if folder.resolve() == PROJECT:
        parser.error("--out is this project: give another folder")
    try:
        config = trial.config_with(load_config(PROJECT), services)
    except ValueError as error:
        parser.error(str(error))
    texts = render.render_all(config)
    if not within_limits(texts):
        print("It can be linted and rehearsed, but CloudFormation would refuse it.", file=sys.stderr)
    for name in trial.write(PROJECT, folder, config, texts):
        print(folder / name)
    return 0


def leave(code: int) -> NoReturn:
    """End at once: the interpreter would take everything apart first, which takes longer than writing the templates."""
    sys.stdout.flush()
    sys.stderr.flush()
    _exit(code)


if __name__ == "__main__":
    leave(main())
