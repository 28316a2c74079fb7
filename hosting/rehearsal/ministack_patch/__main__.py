"""Runs the emulator process: check the version, patch MiniStack, serve the socket that the parent has bound."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import shutil
import signal
import sys
import threading

from hosting.rehearsal.ministack_patch import SUPPORTED_VERSION


def die_with_parent() -> None:
    """End this process group when the parent's end of our standard input closes.

    That also works for a parent that was killed, where no signal handler runs. The signal ends the Lambda workers of
    the group too. Remove the temporary directory first, because no process knows it afterwards.
    """

    def watch() -> None:
        while os.read(0, 1024):
            pass
        if directory := os.environ.get("REHEARSAL_DIRECTORY"):
            shutil.rmtree(directory, ignore_errors=True)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True, name="parent-watch").start()


def refuse_other_versions() -> None:
    """Exit with a message if MiniStack has another version than the patches are written for."""
    try:
        version = importlib.metadata.version("ministack")
    except importlib.metadata.PackageNotFoundError:
        version = "none"
    if version != SUPPORTED_VERSION:
        sys.exit(
            f"hosting.rehearsal.ministack_patch is written against MiniStack {SUPPORTED_VERSION} and found {version}. "
            "Run `make clean install`; to move to another version, change hosting/rehearsal/requirements.in, "
            "SUPPORTED_VERSION, and make tests/rehearsal pass."
        )


def main() -> None:
    """Patch MiniStack and serve its application on the inherited socket until the parent ends."""
    refuse_other_versions()
    die_with_parent()
    from hypercorn.asyncio import serve  # type: ignore[import-not-found]  # only in the emulator's environment
    from hypercorn.config import Config  # type: ignore[import-not-found]
    from ministack import app

    from hosting.rehearsal.ministack_patch import install

    install.install_all()
    config = Config()
    config.bind = [f"fd://{os.environ['REHEARSAL_LISTENER']}"]
    config.keep_alive_timeout = 75
    config.loglevel = "WARNING"
    asyncio.run(serve(app.app, config))


if __name__ == "__main__":
    main()
