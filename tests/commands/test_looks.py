"""What goes to stdout and to stderr, byte for byte, under every kind of terminal, pipe and environment.

pytest -s tests/commands/test_looks.py            # the table
"""

from __future__ import annotations

import os
import re
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if sys.platform == "win32":
    pytest.skip("no pseudo-terminals here", allow_module_level=True)

import fcntl
import struct
import subprocess
import termios

from tests.program import DEADLINE_S, ROOT, RT, noise, write_wav
from tests.servers import polite, scripted

if TYPE_CHECKING:
    from pathlib import Path

COLOR = re.compile(rb"\x1b\[[0-9;]*\b(?:3[0-7]|9[0-7])m")
STYLE = re.compile(rb"\x1b\[[0-9;]*m")
PLAIN = {"TERM": "xterm-256color"}


@dataclass(frozen=True)
class Look:
    """Output of a run: whether stderr is a terminal, and its content."""

    terminal: bool
    moves: bool
    colors: bool


CASES = {
    "terminal": (PLAIN, (), Look(terminal=True, moves=True, colors=True)),
    "terminal, NO_COLOR": (PLAIN | {"NO_COLOR": "1"}, (), Look(terminal=True, moves=True, colors=False)),
    "terminal, FORCE_COLOR": (PLAIN | {"FORCE_COLOR": "1"}, (), Look(terminal=True, moves=True, colors=True)),
    "terminal, TERM=dumb": ({"TERM": "dumb"}, (), Look(terminal=True, moves=False, colors=False)),
    "terminal, --status plain": (PLAIN, ("--status", "plain"), Look(terminal=True, moves=False, colors=False)),
    "terminal, CI": (PLAIN | {"CI": "true"}, (), Look(terminal=True, moves=False, colors=False)),
    "terminal, CI, FORCE_COLOR": (
        PLAIN | {"CI": "true", "FORCE_COLOR": "1"},
        (),
        Look(terminal=True, moves=False, colors=True),
    ),
    "pipe": (PLAIN, (), Look(terminal=False, moves=False, colors=False)),
    "pipe, --status live": (PLAIN, ("--status", "live"), Look(terminal=False, moves=False, colors=False)),
    "pipe, CI": (PLAIN | {"CI": "true"}, (), Look(terminal=False, moves=False, colors=False)),
    "pipe, FORCE_COLOR": (PLAIN | {"FORCE_COLOR": "1"}, (), Look(terminal=False, moves=False, colors=True)),
    "pipe, FORCE_COLOR, NO_COLOR": (
        PLAIN | {"FORCE_COLOR": "1", "NO_COLOR": "1"},
        (),
        Look(terminal=False, moves=False, colors=False),
    ),
    "pipe, -q": (PLAIN, ("-q",), Look(terminal=False, moves=False, colors=False)),
}


def written(command: list[str], environ: dict[str, str], *, terminal: bool) -> tuple[int, bytes, bytes]:
    """The exit code of a command, its stdout through a pipe, and its stderr through a pipe or a terminal."""
    reader, writer = os.openpty() if terminal else os.pipe()
    if terminal:
        fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    errors: list[bytes] = []

    def read() -> None:
        try:
            while part := os.read(reader, 65536):
                errors.append(part)
        except OSError:
            pass  # Linux: EIO at the end of a terminal

    process = subprocess.Popen(
        command, cwd=ROOT, env=os.environ | environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=writer
    )
    os.close(writer)
    thread = threading.Thread(target=read)
    thread.start()
    try:
        out, _ = process.communicate(timeout=DEADLINE_S)
    finally:
        process.kill()
        process.wait()
        thread.join(DEADLINE_S)
        os.close(reader)
    return process.returncode, out, b"".join(errors)


@pytest.mark.parametrize("case", CASES)
def test_streams(case: str, tmp_path: Path) -> None:
    """Stdout is always the same; stderr redraws on a terminal alone, and has colours only if enabled."""
    environ, more, look = CASES[case]
    sound = write_wav(tmp_path / "sound.wav", noise(24_000))
    speed = "1" if look.moves else "max"  # time for the live view to be drawn
    with scripted(polite("hello")) as server:
        command = [*RT, "send", "--url", server.url, "-m", "gpt-4o-transcribe", "--speed", speed, *more, str(sound)]
        code, out, err = written(command, environ, terminal=look.terminal)
    print(f"\n| {case} | {len(out)} | {len(err)} | {len(STYLE.findall(err))} |")

    assert (code, out) == (0, b"hello\n")
    assert (b"\x1b" in STYLE.sub(b"", err)) == look.moves
    assert bool(COLOR.search(err)) == look.colors
    if not look.moves and not look.colors:
        assert b"\x1b" not in err
    if "-q" in more:
        assert err == b""


def test_failure_begins_its_line(tmp_path: Path) -> None:
    """The cause of a failure begins its line, with colours, too."""
    missing = str(tmp_path / "missing.wav")
    command = [*RT, "send", "--url", "ws://127.0.0.1:9", missing]
    code, out, err = written(command, PLAIN | {"FORCE_COLOR": "1"}, terminal=False)
    (cause,) = (line for line in err.splitlines() if line.startswith(b"rt: "))

    assert (code, out) == (3, b"")
    assert COLOR.search(cause)
    assert missing.encode() in STYLE.sub(b"", cause)
