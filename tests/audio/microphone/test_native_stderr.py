"""Native output on stderr goes to the debug log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PRELUDE = """
import ctypes, logging, os, sys
from rt_cli.audio.microphone import native_stderr
from rt_cli.audio.microphone.native_stderr import log_native_stderr, off_stderr
logging.basicConfig(stream=sys.stdout, level=logging.DEBUG, format="%(name)s|%(message)s")
libc = ctypes.CDLL(None)
def shout(text):
    libc.perror(text.encode())
"""
glibc_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs glibc")


def run(script: str) -> tuple[list[str], str]:
    """Run a program and return its log lines and its stderr."""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    return done.stdout.splitlines(), done.stderr


@glibc_only
def test_native_output_is_logged() -> None:
    """Native output inside the block is in the log and not on stderr."""
    log, stderr = run("with off_stderr(): shout('inside')")

    assert (len(log), log[0].partition(":")[0], stderr) == (1, "rt.portaudio|inside", "")


@glibc_only
def test_later_native_output_is_logged() -> None:
    """Native output after the block is not on stderr, and log_native_stderr() logs it."""
    log, stderr = run("with off_stderr(): pass\nshout('later')\nlog_native_stderr()")

    assert (len(log), log[0].partition(":")[0], stderr) == (1, "rt.portaudio|later", "")


@glibc_only
def test_python_keeps_its_stderr() -> None:
    """Python output inside the block is on stderr."""
    assert run("with off_stderr(): print('rt: hello', file=sys.stderr)") == ([], "rt: hello\n")


@glibc_only
def test_endless_native_output_never_blocks() -> None:
    """Endless native output does not block, and memory use is bounded."""
    _, stderr = run("with off_stderr():\n    for _ in range(20000): shout('again')")

    assert stderr == ""


ELSEWHERE = "native_stderr._is_glibc = lambda: False\n"


def test_without_glibc_descriptor_2_is_redirected() -> None:
    """Without glibc, descriptor 2 is redirected inside the block and restored after it."""
    log, stderr = run(ELSEWHERE + "with off_stderr(): os.write(2, b'inside\\nand more\\n')\nos.write(2, b'outside\\n')")

    assert (log, stderr) == (["rt.portaudio|inside", "rt.portaudio|and more"], "outside\n")


def test_descriptor_2_is_restored_after_an_error() -> None:
    """An error inside the block restores descriptor 2 and logs the output before it."""
    log, stderr = run(
        ELSEWHERE + "try:\n    with off_stderr():\n        os.write(2, b'inside\\n')\n        raise KeyError\n"
        "except KeyError: os.write(2, b'outside\\n')"
    )

    assert (log, stderr) == (["rt.portaudio|inside"], "outside\n")


@pytest.mark.parametrize("first", [0, 1], ids=["first out first", "last out first"])
def test_overlapping_blocks_restore_at_the_last(first: int) -> None:
    """After two overlapping blocks, ended in either order, descriptor 2 is restored."""
    script = (
        ELSEWHERE + "blocks = [off_stderr(), off_stderr()]\n"
        "for block in blocks: block.__enter__()\n"
        f"blocks.pop({first}).__exit__(None, None, None)\nos.write(2, b'between\\n')\n"
        "blocks.pop().__exit__(None, None, None)\nos.write(2, b'outside\\n')"
    )

    assert run(script) == (["rt.portaudio|between"], "outside\n")


def test_import_is_cheap() -> None:
    """The import of portaudio_stream loads neither numpy nor PortAudio nor ctypes."""
    log, _ = run(
        "del sys.modules['ctypes']\nimport json, rt_cli.audio.microphone.portaudio_stream\n"
        "print(json.dumps([name for name in ('numpy', 'sounddevice', 'soxr', 'ctypes') if name in sys.modules]))"
    )

    assert json.loads(log[0]) == []
