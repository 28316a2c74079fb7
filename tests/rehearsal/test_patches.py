"""Table of patches: it has exactly one row for each patch, and docs/emulator.md is generated from it."""

from __future__ import annotations

import subprocess

from hosting.rehearsal.__main__ import DOCUMENT
from hosting.rehearsal.emulator import INTERPRETER, ROOT
from hosting.rehearsal.ministack_patch import SUPPORTED_VERSION
from hosting.rehearsal.ministack_patch.patches import PATCHES, render_document


def test_the_document_is_generated_from_the_table() -> None:
    expected = render_document(SUPPORTED_VERSION)
    assert DOCUMENT.read_text(encoding="utf-8") == expected, "run `python -m hosting.rehearsal --write-docs`"


def test_every_row_is_complete_and_every_subject_has_one_row() -> None:
    subjects = [subject for patch in PATCHES for subject in patch.subjects]
    assert len(subjects) == len(set(subjects))
    for patch in PATCHES:
        assert all((patch.subjects, patch.ministack, patch.aws)), patch
        assert patch.document or "exist only in the emulator" in patch.aws or "Not applicable" in patch.aws, patch


def start_with(change: str) -> str:
    """Apply all patches in the emulator's interpreter after a change of the table. Return the output."""
    code = (
        "from hosting.rehearsal.ministack_patch import install, patching\n"
        f"patching.PATCHES = {change}\n"
        "try:\n    install.install_all()\nexcept patching.IncompatibleError as error:\n    print(error)\n"
    )
    done = subprocess.run([str(INTERPRETER), "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def test_a_patch_without_a_row_prevents_the_start() -> None:
    assert start_with("patching.PATCHES") == ""
    printed = start_with("[patch for patch in patching.PATCHES if 'AWS::EC2::EIP' not in patch.subjects]")
    assert "patches.py does not describe: AWS::EC2::EIP" in printed


def test_a_row_without_a_patch_prevents_the_start() -> None:
    printed = start_with(
        "(*patching.PATCHES, type(patching.PATCHES[0])(('AWS::SQS::Queue',), 'queues', 'It has.', 'It has.', ''))"
    )
    assert "patches.py describes what is not patched: AWS::SQS::Queue" in printed
