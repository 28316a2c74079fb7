"""``python -m generator [--check]``: write templates/, or say what in it is stale."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from generator.render import stale, write

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m generator", description="Write templates/*.json.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when a template is stale")
    if parser.parse_args().check:
        findings = stale(TEMPLATES)
        for finding in findings:
            print(f"templates/{finding}", file=sys.stderr)
        if findings:
            print("Run `python -m generator` and commit templates/.", file=sys.stderr)
        return 1 if findings else 0
    touched = write(TEMPLATES)
    for name in touched:
        print(f"templates/{name}")
    if not touched:
        print("templates/ is up to date.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
