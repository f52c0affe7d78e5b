"""The program as a user has it: its own process, its exit code, its output."""

from __future__ import annotations

import json
import os
import re
import select
import struct
import subprocess
import sys
import wave
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest

from rt_cli.server.recognition.registry import unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[1]
DATA = ROOT / "tests" / "data"
RT = (sys.executable, "-W", "default", "-m", "rt_cli")
"""With warnings: coroutines without await and unclosed files are reported on stderr."""
DEADLINE_S = 30.0
needs_words = pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))
"""Marks a test that needs the embedded recogniser, which not every Python and machine has."""


@dataclass(frozen=True)
class Ran:
    """A completed run."""

    exit: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The NDJSON on stdout."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def summary(self) -> dict[str, Any]:
        """The last line of the NDJSON."""
        return self.events[-1]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return the events of a type."""
        return [event for event in self.events if event["type"] == kind]

    @property
    def warning_codes(self) -> list[str]:
        """The codes of the warnings, without how busy the machine was."""
        return [event["code"] for event in self.of("warning") if event["code"] != "loop_lag"]

    @property
    def causes(self) -> list[str]:
        """Return the lines on stderr that name the cause of a failure: if there is no other, what is missing."""
        lines = self.err.splitlines()
        errors = [line for line in lines if line.startswith("rt:")]
        return errors or [line for line in lines if line.startswith("incomplete:")]


def start(
    *args: str,
    stdin: int | BinaryIO | None = subprocess.DEVNULL,
    stdout: int | BinaryIO = subprocess.PIPE,
    env: Mapping[str, str] | None = None,
    session: bool = False,
) -> subprocess.Popen[bytes]:
    """Start ``rt``; see :func:`ended`."""
    return subprocess.Popen(
        [*RT, *args],
        cwd=ROOT,
        stdin=stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**os.environ, **(env or {})},
        start_new_session=session,
    )


def ended(process: subprocess.Popen[bytes], *, stdin: bytes | None = None, seconds: float = DEADLINE_S) -> Ran:
    """Wait for the end of a process; kill it at the deadline."""
    try:
        out, err = process.communicate(stdin, timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        _, err = process.communicate()
        raise AssertionError(f"still running after {seconds:g} s; stderr: {err.decode(errors='replace')}") from None
    return Ran(process.returncode, (out or b"").decode(), err.decode())


def rt(
    *args: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None, seconds: float = DEADLINE_S
) -> Ran:
    """Run ``rt`` to its end."""
    process = start(*args, stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE, env=env)
    return ended(process, stdin=stdin, seconds=seconds)


def bytes_taken(*args: str, at_most: int) -> int:
    """Return the bytes that a run reads from stdin until it stops reading for two seconds; then kill it."""
    with start(*args, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        pipe = process.stdin.fileno()
        os.set_blocking(pipe, False)
        taken = 0
        while taken < at_most and select.select([], [pipe], [], 2)[1]:
            taken += os.write(pipe, bytes(32_768))
        process.kill()
        ended(process)
    return taken


def assert_accounted(summary: dict[str, Any]) -> None:
    """The ledger of a summary balances."""
    ledger = summary["ledger"]
    parts = ("settled", "acknowledged", "in_flight", "waiting", "dropped")
    assert ledger["captured"] == sum(ledger[part] for part in parts), ledger


@contextmanager
def served(*args: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run a real ``rt serve --port 0``: its URL and its process."""
    with start("serve", "--port", "0", *args) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().decode().strip(), process
        finally:
            process.terminate()
            ended(process)


def peak_mib(pid: int) -> float:
    """The largest memory of a process so far (Linux)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def write_wav(path: Path, pcm: bytes, rate_hz: int = 24_000) -> Path:
    """A mono WAV file of PCM16."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(pcm)
    return path


def read_wav(path: Path) -> tuple[bytes, int]:
    """The frames and the rate of a mono WAV file of PCM16."""
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return file.readframes(file.getnframes()), file.getframerate()


def noise(samples: int) -> bytes:
    """Loud PCM16 that is neither silence nor speech."""
    return struct.pack(f"<{samples}h", *(((at * 2531) % 8000) - 4000 for at in range(samples)))
