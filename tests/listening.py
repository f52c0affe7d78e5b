"""A running ``rt stream --mic``, and the comparison of played and received sound."""

from __future__ import annotations

import json
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile
import soxr

from tests.program import Ran, read_wav, start

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

RATE_HZ = 24_000
Event = dict[str, Any]


class Live:
    """A running ``rt stream --mic --json``; its output is read continuously."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.lines: list[str] = []
        self.err = b""
        self._news = threading.Condition()
        self._over = False
        self._readers = [threading.Thread(target=self._read_out), threading.Thread(target=self._read_err)]
        for reader in self._readers:
            reader.start()

    def until(self, wanted: Callable[[Event], bool], seconds: float = 30) -> Event:
        """Wait for an event."""

        def found() -> list[Event]:
            return [event for event in map(json.loads, self.lines) if wanted(event)]

        with self._news:
            self._news.wait_for(lambda: found() or self._over, seconds)
            assert found(), (self.lines, self.err)
            return found()[0]

    def warned(self, code: str, seconds: float = 30) -> Event:
        """Wait for a warning."""
        return self.until(lambda event: event.get("code") == code, seconds)

    def interrupt(self) -> Ran:
        """Send Ctrl-C, and return the completed run."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(60)
        finally:
            self._process.kill()
        self.join()
        return Ran(self._process.returncode, "".join(self.lines), self.err.decode())

    def join(self) -> None:
        """Wait for the reader threads of an ended process."""
        for reader in self._readers:
            reader.join(10)

    def _read_out(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._news:
                self.lines.append(line.decode())
                self._news.notify_all()
        with self._news:
            self._over = True
            self._news.notify_all()

    def _read_err(self) -> None:
        assert self._process.stderr is not None
        self.err = self._process.stderr.read()


@contextmanager
def live(env: Mapping[str, str], *args: str) -> Iterator[Live]:
    """Stream the microphone; the process ends with the block."""
    with start("stream", "--mic", "--json", "--drain-timeout", "30", *args, env=env) as process:
        running = Live(process)
        try:
            running.until(lambda event: event.get("state") == "ready")
            yield running
        finally:
            process.kill()
            running.join()


def played(wav: Path) -> NDArray[np.float64]:
    """Return a recording at the wire rate."""
    sound, rate_hz = soundfile.read(wav)
    resampled: NDArray[np.float64] = soxr.resample(sound, rate_hz, RATE_HZ, quality="VHQ")
    return resampled


def recorded(folder: Path) -> NDArray[np.float64]:
    """Return the received sound of the only session."""
    (wav,) = folder.rglob("*.wav")
    pcm, rate_hz = read_wav(wav)
    assert rate_hz == RATE_HZ
    return np.frombuffer(pcm, dtype="<i2") / 32768


def find(needle: NDArray[np.float64], hay: NDArray[np.float64]) -> tuple[int, float]:
    """Return the position of ``needle`` in ``hay``, in samples, and the best correlation within half a sample."""
    size = 1 << (len(needle) + len(hay)).bit_length()
    product = np.fft.rfft(hay, size) * np.conj(np.fft.rfft(needle, size))
    at = int(np.fft.irfft(product, size)[: len(hay)].argmax())
    found = hay[at : at + len(needle)]
    if len(found) < len(needle):
        return at, 0.0
    shifts = np.arange(-8, 9) / 16
    spectrum, turns = np.fft.rfft(needle, size), np.fft.rfftfreq(size)
    moved = [np.fft.irfft(spectrum * np.exp(-2j * np.pi * turns * by), size)[: len(needle)] for by in shifts]
    return at, max(float(np.corrcoef(found, each)[0, 1]) for each in moved)


def tone(path: Path, seconds: float) -> Path:
    """Write a loud tone."""
    soundfile.write(path, 0.5 * np.sin(np.arange(round(48_000 * seconds)) * 2 * np.pi * 440 / 48_000), 48_000)
    return path
