"""Sandbox of a function: runs in the function's process before AWS's runtime client, with Lambda's restrictions.

The command is `python -S start_function.py TASK_ROOT RUNTIME_DIRECTORY HANDLER PACE`. PACE is a factor of the
function's own pauses. A read-only file system needs privileges, and modes of files do not restrict root. So an audit
hook refuses the calls that a read-only file system refuses. Unlike in Lambda, the process reaches only this machine.
"""

import errno
import os
import sys
import time
from typing import Any

task_root, runtime_directory, handler, pace = sys.argv[1:5]
writable = (os.path.realpath(os.environ["TMPDIR"]) + os.sep, "/dev/", "/proc/self/")
changes_paths = {"os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.link", "os.chmod", "os.truncate"}


def read_only(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open":
        path, _, flags = arguments
        if not isinstance(flags, int) or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND):
            return
    elif event in changes_paths:
        path = arguments[0]
    else:
        return
    # The separator allows opening the directory itself, and no directory whose name begins with the same text.
    if isinstance(path, str | bytes) and not (os.path.realpath(os.fsdecode(path)) + os.sep).startswith(writable):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)


sys.path[0] = os.path.join(os.path.dirname(__file__), os.pardir, "support", "offline")  # noqa: PTH118, PTH120
__import__("sitecustomize")  # because of the option -S the interpreter has not imported it

# Lambda's search path: the function first, then the runtime with its own boto3.
sys.path[0:1] = [task_root, runtime_directory]
sys.argv = ["bootstrap", handler]
os.chdir(task_root)

sys.addaudithook(read_only)
if pace != "1.0":
    time.sleep = lambda seconds, _sleep=time.sleep: _sleep(seconds * float(pace))  # type: ignore[misc]

from awslambdaric.__main__ import main  # noqa: E402 - the sandbox is complete before the runtime is imported

main(sys.argv)  # type: ignore[no-untyped-call]  # AWS's client ships without annotations
