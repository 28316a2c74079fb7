"""Runs one emulator in the foreground, to try it with the AWS CLI: `python -m hosting.rehearsal`."""

from __future__ import annotations

import argparse
import signal
import sys
import time

from hosting.rehearsal.emulator import DEFAULT_ACCOUNT, DEFAULT_REGION, ROOT, Emulator
from hosting.rehearsal.errors import EmulatorError
from hosting.rehearsal.ministack_patch import SUPPORTED_VERSION
from hosting.rehearsal.ministack_patch.patches import render_document

DOCUMENT = ROOT / "docs" / "emulator.md"


def main() -> int:
    """Run an emulator until Ctrl-C and print the environment variables for it, or write docs/emulator.md."""
    parser = argparse.ArgumentParser(prog="python -m hosting.rehearsal", description=__doc__)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds every resource takes")
    parser.add_argument("--account", default=DEFAULT_ACCOUNT, help="twelve digits")
    parser.add_argument("--region", default=DEFAULT_REGION)
    parser.add_argument("--write-docs", action="store_true", help="write docs/emulator.md and exit")
    arguments = parser.parse_args()
    if arguments.write_docs:
        DOCUMENT.write_text(render_document(SUPPORTED_VERSION), encoding="utf-8")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with Emulator(delay=arguments.delay) as emulator:
            for name, value in emulator.environment(arguments.account, arguments.region).items():
                sys.stdout.write(f"export {name}={value}\n")
            sys.stdout.flush()
            sys.stderr.write(f"The emulator runs until Ctrl-C; its log is {emulator.log}\n")
            while True:
                time.sleep(1)
                emulator.raise_if_dead()
    except KeyboardInterrupt:
        return 130
    except EmulatorError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
