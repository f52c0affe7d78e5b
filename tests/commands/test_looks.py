"""What goes to stdout and to stderr, byte for byte, under every kind of terminal, pipe and environment.

pytest -s tests/commands/test_looks.py            # the table
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import threading
import time
from contextlib import ExitStack
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
    """What stderr holds after a run in which all went well."""

    silent: bool = False
    moves: bool = False
    """Something is redrawn."""
    colors: bool = False


SILENT, BARE, COLORED = Look(silent=True), Look(), Look(colors=True)
LIVE = Look(moves=True, colors=True)
DUMB, CI, FORCE, NO = {"TERM": "dumb"}, {"CI": "true"}, {"FORCE_COLOR": "1"}, {"NO_COLOR": "1"}

CASES: dict[str, tuple[str, str, dict[str, str], tuple[str, ...], Look]] = {
    # stdout, stderr, variables, options
    "both on one terminal": ("terminal", "terminal", {}, (), LIVE),
    "both on one terminal, NO_COLOR": ("terminal", "terminal", NO, (), Look(moves=True)),
    "both on one terminal, TERM=dumb": ("terminal", "terminal", DUMB, (), BARE),
    "both on one terminal, CI": ("terminal", "terminal", CI, (), COLORED),
    "both on one terminal, plain": ("terminal", "terminal", {}, ("--status", "plain"), COLORED),
    "both on one terminal, -q": ("terminal", "terminal", {}, ("-q",), SILENT),
    "stdout a file": ("file", "terminal", {}, (), LIVE),
    "stdout a file, NO_COLOR": ("file", "terminal", NO, (), Look(moves=True)),
    "stdout a file, FORCE_COLOR": ("file", "terminal", FORCE, (), LIVE),
    "stdout a pipe": ("pipe", "terminal", {}, (), COLORED),
    "stdout a pipe, NO_COLOR": ("pipe", "terminal", NO, (), BARE),
    "stdout a pipe, live": ("pipe", "terminal", {}, ("--status", "live"), LIVE),
    "stdout a pipe, off": ("pipe", "terminal", {}, ("--status", "off"), SILENT),
    "two pipes": ("pipe", "pipe", {}, (), SILENT),
    "two pipes, TERM=dumb": ("pipe", "pipe", DUMB, (), SILENT),
    "two pipes, CI": ("pipe", "pipe", CI, (), SILENT),
    "two pipes, FORCE_COLOR": ("pipe", "pipe", FORCE, (), SILENT),
    "two pipes, NDJSON": ("pipe", "pipe", {}, ("--json",), SILENT),
    "two pipes, -q": ("pipe", "pipe", {}, ("-q",), SILENT),
    "two pipes, -v": ("pipe", "pipe", {}, ("-v",), BARE),
    "two pipes, plain": ("pipe", "pipe", {}, ("--status", "plain"), BARE),
    "two pipes, live": ("pipe", "pipe", {}, ("--status", "live"), BARE),
    "two files": ("file", "file", {}, (), SILENT),
}


def written(
    command: list[str], environ: dict[str, str], *, stdout: str, stderr: str, folder: Path
) -> tuple[int, bytes, bytes]:
    """The exit code of a command, and what it wrote to each stream; all is on stderr if both are one terminal."""
    environment = {name: value for name, value in os.environ.items() if name not in {"CI", *FORCE, *NO}}
    with ExitStack() as stack:
        out = _Reader(stack, stdout, folder / "out")
        err = out if stdout == stderr == "terminal" else _Reader(stack, stderr, folder / "err")
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment | PLAIN | environ, stdin=out.slave, stdout=out.writer, stderr=err.writer
        )
        try:
            code = process.wait(DEADLINE_S)
        finally:
            process.kill()
            process.wait()
        return code, b"" if err is out else out.read(), err.read()


class _Reader:
    """Reads what a program writes to a pipe, a terminal or a file."""

    def __init__(self, stack: ExitStack, kind: str, path: Path) -> None:
        self.slave: int = subprocess.DEVNULL
        self._path = path if kind == "file" else None
        self._parts: list[bytes] = []
        self._thread: threading.Thread | None = None
        if kind == "file":
            self.writer = os.open(path, os.O_WRONLY | os.O_CREAT)
            stack.callback(os.close, self.writer)
            return
        self._reader, self.writer = os.openpty() if kind == "terminal" else os.pipe()
        stack.callback(os.close, self._reader)
        if kind == "terminal":
            fcntl.ioctl(self.writer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def read(self) -> bytes:
        """Everything, after the end of the program."""
        if self._path is not None:
            return self._path.read_bytes()
        os.close(self.writer)
        assert self._thread is not None
        self._thread.join(DEADLINE_S)
        return b"".join(self._parts)

    def _run(self) -> None:
        try:
            while part := os.read(self._reader, 65536):
                self._parts.append(part)
        except OSError:
            pass  # Linux: EIO at the end of a terminal


@pytest.mark.parametrize("case", CASES)
def test_streams(case: str, tmp_path: Path) -> None:
    """A run without a fault: stderr is empty where nobody watches, and redraws only what nobody else writes to."""
    stdout, stderr, environ, more, look = CASES[case]
    sound = write_wav(tmp_path / "sound.wav", noise(24_000))
    speed = "1" if look.moves else "max"  # time for the live view to be drawn
    with scripted(polite("hello")) as server:
        command = [*RT, "send", "--url", server.url, "-m", "gpt-4o-transcribe", "--speed", speed, *more, str(sound)]
        code, out, err = written(command, environ, stdout=stdout, stderr=stderr, folder=tmp_path)
    print(f"\n| {case} | {len(out)} | {len(err)} | {len(STYLE.findall(err))} |")

    assert code == 0
    if stdout == stderr == "terminal":
        assert b"hello\r\n" in err
        err = b"" if look.silent and err == b"hello\r\n" else err
    else:
        assert b"hello" in out if "--json" in more else out == b"hello\n"
    assert (err == b"") == look.silent
    assert (b"\x1b" in STYLE.sub(b"", err)) == look.moves
    assert bool(STYLE.search(err)) == (look.colors or look.moves)
    assert bool(COLOR.search(err)) <= look.colors


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux not installed")
def test_beside_a_pipe_no_line_is_torn(tmp_path: Path) -> None:
    """``rt ... | jq`` on a terminal: the lines of both programs stand whole, one below the other."""
    sound = write_wav(tmp_path / "sound.wav", noise(24_000))
    program = tmp_path / "program.sh"
    tmux = ["tmux", "-S", str(tmp_path / "socket")]
    with scripted(polite("hello")) as server:
        command = [*RT, "send", "--url", server.url, "-m", "gpt-4o-transcribe", "--speed", "1", str(sound)]
        program.write_text(f"cd {shlex.quote(str(ROOT))}\n{shlex.join(command)} | sed 's/^/heard: /'\necho the end\n")
        shell = f"env -u CI -u NO_COLOR sh {shlex.quote(str(program))}; exec cat"
        try:
            subprocess.run([*tmux, "-f", os.devnull, "new-session", "-d", "-x", "90", "-y", "24", shell], check=True)
            until = time.monotonic() + DEADLINE_S
            while "the end" not in (rows := _rows(tmux)):
                assert time.monotonic() < until, rows
                time.sleep(0.1)  # tmux sends no notification
        finally:
            subprocess.run([*tmux, "kill-server"], check=False)

    heads = [row.split(":")[0] for row in rows if row not in _BRIEF]
    assert sorted(heads) == sorted(["endpoint", "source", "ready", "heard", "done", "the end"]), rows


_BRIEF = ("connecting", "waiting for the last words")
"""States that a fast run may leave before anybody looks."""


def _rows(tmux: list[str]) -> list[str]:
    done = subprocess.run([*tmux, "capture-pane", "-p", "-J"], check=True, capture_output=True, text=True, timeout=10)
    return [row.rstrip() for row in done.stdout.splitlines() if row.strip()]


def test_failure_begins_its_line(tmp_path: Path) -> None:
    """The cause of a failure begins its line, with colours, too."""
    missing = str(tmp_path / "missing.wav")
    command = [*RT, "send", "--url", "ws://127.0.0.1:9", missing]
    code, out, err = written(command, FORCE, stdout="pipe", stderr="pipe", folder=tmp_path)
    (cause,) = (line for line in err.splitlines() if line.startswith(b"rt: "))

    assert (code, out) == (3, b"")
    assert COLOR.search(cause)
    assert missing.encode() in STYLE.sub(b"", cause)
