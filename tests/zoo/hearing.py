"""What ``rt send`` hears, and what ffmpeg does: each in a process of its own."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.zoo.formats import FFMPEG
from tests.zoo.sound import WIRE_HZ

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tests.zoo.formats import Format

_DEADLINE_S = 15
"""A hundred times what a run takes."""


@dataclass(frozen=True)
class Heard:
    """What a decoder made of a file."""

    samples: NDArray[np.float64]
    """The timeline at the wire rate, holes as silence."""
    exit: int
    """A negative number is the signal that ended the process."""
    said: tuple[str, ...] = ()
    """Lines of warnings and errors."""
    holes: tuple[tuple[float, float], ...] = ()
    """Reported holes, seconds."""

    @property
    def seconds(self) -> float:
        """Length of the timeline."""
        return len(self.samples) / WIRE_HZ


def by_ffmpeg(path: Path, form: Format) -> Heard:
    """Decode with ffmpeg. Everything on its stderr counts as said."""
    command = [*FFMPEG, *form.probe, "-i", path, "-map", "0:a:0", "-ac", "1", "-ar", str(WIRE_HZ), "-f", "f32le", "-"]
    done = subprocess.run(command, capture_output=True, timeout=_DEADLINE_S, check=False)
    samples = np.nan_to_num(np.frombuffer(done.stdout[: len(done.stdout) // 4 * 4], "<f4")).astype(float)
    return Heard(samples, done.returncode, tuple(done.stderr.decode(errors="replace").splitlines()))


class RtProcesses:
    """Runs ``rt`` in copies of this process, which has loaded the modules of ``rt`` and started nothing.

    Args:
        url: Endpoint.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._folder = tempfile.TemporaryDirectory(prefix="rt-zoo-")
        self._path = Path(self._folder.name)
        self._loaded = False

    def hear(self, path: Path, options: Sequence[str] = (), *, pipe: bool) -> Heard:
        """Run ``rt send`` on a file or on a pipe with the bytes of the file."""
        out, err, wav = (self._path / name for name in ("out", "err", "heard.wav"))
        wav.unlink(missing_ok=True)
        arguments = [
            "send",
            "--json",
            "--url",
            self._url,
            "--speed",
            "max",
            "--status",
            "off",
            "--save-audio",
            str(wav),
        ]
        arguments += [*options, "-" if pipe else str(path)]
        with contextlib.ExitStack() as stack:
            source = stack.enter_context(_piped(path if pipe else Path(os.devnull)))
            files = (source, stack.enter_context(out.open("wb")), stack.enter_context(err.open("wb")))
            exit_code = self._run(arguments, [file.fileno() for file in files])
        return _heard(out.read_text(), err.read_text(), wav, exit_code)

    def _run(self, arguments: list[str], streams: list[int]) -> int:
        if not self._loaded:
            self._load(arguments)
        child = os.fork()
        if child == 0:
            _be_rt(arguments, streams)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def _load(self, arguments: list[str]) -> None:
        """Import what a run imports, so that the copies need not."""
        self._loaded = True
        names = self._path / "modules"
        child = os.fork()
        if child == 0:
            _be_rt([*arguments[:-1], os.devnull], [os.open(os.devnull, os.O_RDWR)] * 3, names)
        os.waitpid(child, 0)
        for name in names.read_text().split():
            with contextlib.suppress(ImportError):
                importlib.import_module(name)


def _piped(path: Path) -> Any:
    """Return the reading end of a pipe that a process of its own fills."""
    return subprocess.Popen(["cat", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


def _be_rt(arguments: list[str], streams: list[int], modules: Path | None = None) -> None:
    """Become ``rt`` in this process; does not return."""
    code = 1
    try:
        signal.alarm(_DEADLINE_S)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        sys.argv = ["rt", *arguments]
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115  # closed with the process
        from rt_cli.__main__ import main

        try:
            code = main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        if modules is not None:
            modules.write_text(
                "\n".join(name for name in sys.modules if name.startswith(("rt_cli", "soundfile", "av", "soxr")))
            )
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _heard(out: str, err: str, wav: Path, exit_code: int) -> Heard:
    events: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]
    samples = np.zeros(0)
    if wav.exists():
        with wav.open("rb") as file:
            samples = np.frombuffer(file.read()[44:], "<i2") / 32768
    captured = sum(event["ledger"]["captured"] for event in events if event["type"] == "summary")
    assert captured == len(samples), f"the ledger has {captured} samples, the saved sound {len(samples)}: {err}"
    said = [line for line in err.splitlines() if line.startswith(("rt:", "warning:"))]
    said += [event["message"] for event in events if event["type"] in {"warning", "error"}]
    # A warning about a busy machine says nothing about the sound.
    said = [line for line in said if "the program was held up" not in line]
    holes = [(event["start_ms"] / 1000, event["end_ms"] / 1000) for event in events if event["type"] == "dropped"]
    return Heard(samples, exit_code, tuple(dict.fromkeys(said)), tuple(holes))
