"""Rendering gives the same bytes on every machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.project import FIXTURE

PROJECT = Path(__file__).parents[2]


def test_a_render_in_another_environment_gives_the_same_bytes(rendered: dict[str, str], tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from generator.config import load_config; from generator.render import render_all\n"
        "sys.stdout.write(''.join(render_all(load_config(Path(sys.argv[1]))).values()))"
    )
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(PROJECT),
        "PYTHONHASHSEED": "7",
        "TZ": "Asia/Tokyo",
        "AWS_REGION": "eu-west-1",
    }
    command = [sys.executable, "-c", script, str(FIXTURE)]
    again = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert again.stdout == "".join(rendered.values())


def test_a_template_is_sorted_ascii_with_a_final_newline(rendered: dict[str, str]) -> None:
    for name, text in rendered.items():
        assert text.isascii(), name
        assert text == json.dumps(json.loads(text), indent=1, sort_keys=True) + "\n", name
