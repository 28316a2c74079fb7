"""``python -m generator [--check]``: write templates/ and the README's tables, or say what in them is stale."""

from __future__ import annotations

import gc

# A short run that keeps what it makes: collecting garbage would only walk through it again and again.
gc.disable()

import argparse  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

from generator import documentation, render  # noqa: E402

PROJECT = Path(__file__).resolve().parent.parent
TEMPLATES = PROJECT / "templates"
README = PROJECT / "README.md"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m generator", description="Write templates/*.json and the tables of README.md."
    )
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when something is stale")
    return check() if parser.parse_args().check else write()


def check() -> int:
    templates = render.build_all()
    findings = [f"templates/{finding}" for finding in render.stale(TEMPLATES, render.as_texts(templates))]
    if documentation.is_stale(README, templates):
        findings.append("README.md: its tables differ from the contracts")
    for finding in findings:
        print(finding, file=sys.stderr)
    if findings:
        print("Run `python -m generator` and commit what it changed.", file=sys.stderr)
    return 1 if findings else 0


def write() -> int:
    templates = render.build_all()
    touched = [f"templates/{name}" for name in render.write(TEMPLATES, render.as_texts(templates))]
    if documentation.write(README, templates):
        touched.append("README.md")
    for name in touched:
        print(name)
    if not touched:
        print("templates/ and README.md are up to date.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
