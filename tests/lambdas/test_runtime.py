"""Lambda's limits in the harness, on which the other tests of this folder rely."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator

import pytest

from generator.resources.lambda_functions import RUNTIME
from tests.lambdas.runtime import PLATFORM, Function, FunctionError, Interpreter

Start = Callable[..., Function]


@pytest.fixture
def start(python: Interpreter) -> Iterator[Start]:
    running: list[Function] = []

    def started(code: str, *, timeout: float = 5.0, memory_mb: int = 128) -> Function:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("index.py", code)
        running.append(
            Function(buffer.getvalue(), {"GIVEN": "yes"}, timeout=timeout, memory_mb=memory_mb, python=python)
        )
        return running[-1]

    yield started
    for function in running:
        function.__exit__(None, None, None)


def test_the_interpreter_is_the_functions_runtime(python: Interpreter) -> None:
    if python.minor != PLATFORM.python:
        pytest.skip(f"no {RUNTIME} on this machine: the functions ran with {python.version}")


def test_the_environment_contains_only_variables_of_lambda_and_the_function(start: Start) -> None:
    code = "import os\ndef handler(event, context): return dict(os.environ)"
    answer = start(code).invoke({}).payload
    assert answer["GIVEN"] == "yes"
    assert answer["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "128"
    own = {name for name in answer if not name.startswith(("AWS_", "LAMBDA_", "_"))}
    assert own <= {"GIVEN", "LANG", "LC_CTYPE", "PATH", "TMPDIR", "TZ"}


def test_the_task_root_is_read_only_and_tmp_is_not(start: Start) -> None:
    code = """
import os, pathlib, tempfile
def handler(event, context):
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"x")
    try:
        pathlib.Path("new.txt").write_text("x")
    except OSError as error:
        first = error.strerror
    try:
        os.mkdir("new")
    except OSError as error:
        return [first, error.strerror, os.listdir(".")]
"""
    assert start(code).invoke({}).payload == ["Read-only file system", "Read-only file system", ["index.py"]]


def test_a_function_reaches_this_machine_only(start: Start) -> None:
    code = """
import socket
def handler(event, context):
    try:
        socket.create_connection(("192.0.2.1", 443))
    except BaseException as error:
        return repr(error)
"""
    assert "tests must not leave this machine" in start(code).invoke({}).payload


def test_a_function_can_import_boto3_and_no_other_package_of_the_tests(start: Start) -> None:
    code = """
import importlib.util
def handler(event, context):
    return [bool(importlib.util.find_spec(name)) for name in ("boto3", "urllib3", "click", "pytest", "troposphere")]
"""
    assert start(code).invoke({}).payload == [True, True, False, False, False]


def test_a_process_serves_further_events_until_it_ends(start: Start) -> None:
    code = """
import os
count = 0
def handler(event, context):
    global count
    count += 1
    if event == "die":
        os._exit(3)
    if event == "fail":
        raise ValueError("as asked")
    return count
"""
    function = start(code)
    assert [function.invoke(1).payload, function.invoke(2).payload] == [1, 2]
    with pytest.raises(FunctionError, match="as asked") as failed:
        function.invoke("fail")
    assert failed.value.kind == "ValueError"
    assert function.invoke(4).payload == 4
    with pytest.raises(FunctionError, match="exit code 3"):
        function.invoke("die")
    assert function.invoke(5).payload == 1
    assert function.starts == 2


def test_the_function_knows_its_deadline_and_is_killed_after_it(start: Start) -> None:
    code = """
import time
def handler(event, context):
    time.sleep(event)
    return context.get_remaining_time_in_millis()
"""
    function = start(code, timeout=3.0)
    assert 0 < function.invoke(0.1).payload <= 2900
    with pytest.raises(FunctionError) as failed:
        function.invoke(30)
    assert failed.value.kind == "Sandbox.Timedout"


def test_a_process_that_exceeds_its_memory_is_killed(start: Start) -> None:
    code = """
import time
def handler(event, context):
    kept = b"x" * 200_000_000
    time.sleep(1)
"""
    with pytest.raises(FunctionError) as failed:
        start(code).invoke({})
    assert failed.value.kind == "Runtime.OutOfMemory"


def test_a_payload_above_six_megabytes_is_refused(start: Start) -> None:
    function = start("def handler(event, context): return 'x' * event")
    assert len(function.invoke(6_200_000).payload) == 6_200_000
    with pytest.raises(FunctionError) as failed:
        function.invoke(6_400_000)
    assert failed.value.kind == "Function.ResponseSizeTooLarge"
    with pytest.raises(FunctionError) as too_large:
        function.invoke("x" * 6_400_000)
    assert too_large.value.kind == "RequestTooLarge"


def test_a_module_that_does_not_import_is_an_init_error(start: Start) -> None:
    with pytest.raises(FunctionError) as failed:
        start("import nowhere\ndef handler(event, context): return 1").invoke({})
    assert failed.value.kind == "Runtime.ImportModuleError"
