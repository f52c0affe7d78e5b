"""A real microphone, through PulseAudio, ALSA and PortAudio, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile
import soxr

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tests.virtual_microphone import VirtualMicrophone

ROOT = Path(__file__).parents[3]
DRIVER = Path(__file__).with_name("microphone_driver.py")
SPEECH = ROOT / "tests" / "data" / "sense_0930.wav"
WIRE_RATE_HZ = 24_000


class Recording:
    """A running driver."""

    def __init__(self, process: subprocess.Popen[str], out: Path) -> None:
        self._process = process
        self._out = out
        self.told: dict[str, dict[str, Any]] = {}
        self.stderr = ""

    def until(self, event: str) -> dict[str, Any]:
        """Wait until the driver tells ``event``."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told: dict[str, Any] = json.loads(line)
            self.told[told["event"]] = told
            if told["event"] == event:
                return told
        pytest.fail(f"the driver ended before {event!r}: {self.told} {self.end()}")

    def go_on(self) -> None:
        """Send the line that the driver waits for."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def end(self) -> int:
        """Let the driver end; its exit code."""
        out, self.stderr = self._process.communicate(timeout=15)
        for line in out.splitlines():
            told = json.loads(line)
            self.told[told["event"]] = told
        return self._process.returncode

    def pcm(self, out: Path | None = None) -> NDArray[np.float64]:
        """What was recorded, within [-1, 1]."""
        return np.fromfile(out or self._out, dtype="<i2") / 32768


@contextmanager
def recording(microphone: VirtualMicrophone, folder: Path, **order: object) -> Iterator[Recording]:
    """Start the driver; it never outlives the block."""
    out = folder / "captured.raw"
    with subprocess.Popen(
        [sys.executable, str(DRIVER), json.dumps({"out": str(out), **order})],
        env={**os.environ, **microphone.environment, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        killer = threading.Timer(100, process.kill)
        killer.start()
        try:
            yield Recording(process, out)
        finally:
            killer.cancel()
            process.kill()


def reference(wav: Path) -> NDArray[np.float64]:
    """What was played, at the wire rate, resampled by nobody of ours."""
    sound, rate_hz = soundfile.read(wav)
    resampled: NDArray[np.float64] = soxr.resample(sound, rate_hz, WIRE_RATE_HZ, quality="VHQ")
    return resampled


def find(needle: NDArray[np.float64], hay: NDArray[np.float64]) -> tuple[float, float]:
    """Where ``needle`` lies in ``hay``, in samples and sixteenths of one, and the correlation there.

    What is played begins between two samples of what is captured; half a sample is a quarter turn at half the band.
    """
    size = 1 << (len(needle) + len(hay)).bit_length()
    product = np.fft.rfft(hay, size) * np.conj(np.fft.rfft(needle, size))
    whole = int(np.fft.irfft(product, size)[: len(hay)].argmax())
    tries = [(whole + part / 16, _correlation(needle, hay, whole, part / 16)) for part in range(-8, 9)]
    return max(tries, key=lambda found: found[1])


def _correlation(needle: NDArray[np.float64], hay: NDArray[np.float64], at: int, fraction: float) -> float:
    """Correlation of ``hay`` from ``at`` on with ``needle`` delayed by a fraction of a sample."""
    found = hay[at : at + len(needle)]
    if len(found) < len(needle):
        return 0.0
    size = 1 << (2 * len(needle)).bit_length()
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(size) * fraction)
    delayed = np.fft.irfft(np.fft.rfft(needle, size) * turn, size)[: len(needle)]
    return float(np.corrcoef(found, delayed)[0, 1])


@dataclass(frozen=True)
class Heard:
    """A recording of speech, from first to last sample."""

    pcm: NDArray[np.float64]
    said: NDArray[np.float64]
    told: dict[str, dict[str, Any]]
    stderr: str
    exit: int


@pytest.fixture(scope="module")
def heard(virtual_microphone: VirtualMicrophone, tmp_path_factory: pytest.TempPathFactory) -> Heard:
    """Speech that begins as soon as the microphone is open, seconds before anybody reads."""
    folder = tmp_path_factory.mktemp("heard")
    log = folder / "debug.log"
    with recording(virtual_microphone, folder, wait_s=2.5, log=str(log)) as driver:
        driver.until("open")
        virtual_microphone.play(SPEECH).wait(20)
        driver.go_on()
        exit_code = driver.end()
        told = {**driver.told, "log": {"text": log.read_text()}}
        return Heard(driver.pcm(), reference(SPEECH), told, driver.stderr, exit_code)


@pytest.mark.microphone
class TestSpeech:
    """What was said is what was captured."""

    def test_same_sound(self, heard: Heard) -> None:
        """The whole recording is there, and correlates with what was played."""
        correlation = find(heard.said, heard.pcm)[1]
        print(f"correlation {correlation:.6f}, {heard.told['end']}, open {heard.told['open']['took_s']:.2f} s")

        assert correlation > 0.99

    def test_first_word(self, heard: Heard) -> None:
        """The first second, spoken while nobody read yet, is there."""
        assert find(heard.said[:WIRE_RATE_HZ], heard.pcm)[1] > 0.99

    def test_last_word(self, heard: Heard) -> None:
        """The last half second, spoken just before the stop, is there."""
        assert find(heard.said[-WIRE_RATE_HZ // 2 :], heard.pcm)[1] > 0.99

    def test_nothing_dropped(self, heard: Heard) -> None:
        """No sample was lost, and no overflow reported."""
        assert (heard.told["read"]["lost"], heard.told["end"]["overflows"]) == (0, 0)

    def test_as_long_as_it_was_open(self, heard: Heard) -> None:
        """All the time between open and stop was captured."""
        open_s = heard.told["stop"]["at"] - heard.told["open"]["at"]

        assert len(heard.pcm) / WIRE_RATE_HZ > open_s

    def test_quiet(self, heard: Heard) -> None:
        """Nothing is on stderr, whatever the native libraries think of this machine; the debug log has it."""
        assert (heard.exit, heard.stderr) == (0, "")
        assert "rt.portaudio" in heard.told["log"]["text"]

    def test_closes_soon(self, heard: Heard) -> None:
        """Closing takes less than its deadline."""
        assert heard.told["end"]["close_s"] < 2.2


def chirps(path: Path, seconds: int) -> NDArray[np.float64]:
    """Write a WAV that sweeps from 100 to 7000 Hz each second, and return one sweep at the wire rate."""
    t = np.arange(48_000) / 48_000
    sweep = 0.5 * np.sin(2 * np.pi * (100 * t + (7000 - 100) / 2 * t * t)) * np.hanning(len(t))
    soundfile.write(path, np.tile(sweep, seconds), 48_000, subtype="PCM_16")
    resampled: NDArray[np.float64] = soxr.resample(sweep, 48_000, WIRE_RATE_HZ, quality="VHQ")
    return resampled


@pytest.mark.microphone
@pytest.mark.parametrize("seconds", [10, pytest.param(60, marks=pytest.mark.long)], ids="{} s".format)
def test_no_drift(virtual_microphone: VirtualMicrophone, tmp_path: Path, seconds: int) -> None:
    """Each second of a long sound arrives one second after the one before: nothing dropped, doubled or stretched."""
    sweep = chirps(tmp_path / "chirps.wav", seconds)
    with recording(virtual_microphone, tmp_path) as driver:
        driver.until("open")
        virtual_microphone.play(tmp_path / "chirps.wav").wait(seconds + 20)
        driver.go_on()
        assert driver.end() == 0
        pcm = driver.pcm()

    start = round(find(np.tile(sweep, seconds), pcm)[0])
    places = [start + second * WIRE_RATE_HZ for second in range(seconds)]
    found = [find(sweep, pcm[max(0, at - 4800) : at + WIRE_RATE_HZ + 4800]) for at in places]
    offsets = [at - min(4800, place) for (at, _), place in zip(found, places, strict=True)]
    correlation = min(correlation for _, correlation in found)
    drift_ppm = (offsets[-1] - offsets[0]) / (WIRE_RATE_HZ * (seconds - 1)) * 1e6
    latency = {key: driver.told["end"][key] for key in ("median_ms", "p99_ms")}
    print(f"correlation >= {correlation:.6f}, drift {drift_ppm:.1f} ppm over {seconds} s, ring to reader {latency}")

    assert correlation > 0.99
    assert max(offsets) - min(offsets) <= 1


@pytest.mark.microphone
def test_busy_interpreter_loses_nothing(virtual_microphone: VirtualMicrophone, tmp_path: Path) -> None:
    """The interpreter held for 200 ms every second delays sound and loses none, or the loss is reported."""
    sweep = chirps(tmp_path / "chirps.wav", 4)
    with recording(virtual_microphone, tmp_path, hog_s=0.2) as driver:
        driver.until("open")
        virtual_microphone.play(tmp_path / "chirps.wav").wait(20)
        driver.go_on()
        driver.end()

    correlation = find(np.tile(sweep, 4), driver.pcm())[1]
    assert correlation > 0.99 or driver.told["read"]["lost"] or driver.told["end"]["overflows"]


@pytest.mark.microphone
def test_device_lost_and_back(virtual_microphone: VirtualMicrophone, tmp_path: Path) -> None:
    """Pulled out: an error soon, all sound before it kept, stderr quiet; plugged in again: it can be reopened."""
    again = tmp_path / "again.raw"
    with recording(virtual_microphone, tmp_path, reopen=str(again)) as driver:
        driver.until("open")
        virtual_microphone.play(SPEECH).wait(20)
        pulled = time.monotonic()
        virtual_microphone.unload_source()
        try:
            error = driver.until("error")
            driver.until("reopen")
        finally:
            virtual_microphone.load_source()
        driver.go_on()
        exit_code = driver.end()

    assert (error["code"], error["exit"]) == ("device_lost", 3)
    assert error["at"] - pulled < 2.5
    assert find(reference(SPEECH), driver.pcm())[1] > 0.99
    assert (exit_code, driver.stderr) == (0, "")
    assert len(driver.pcm(again)) > WIRE_RATE_HZ


@pytest.mark.microphone
def test_silent_driver(virtual_microphone: VirtualMicrophone, tmp_path: Path) -> None:
    """A device that is there and never calls again is lost within 2.5 s; closing it and the exit do not hang."""
    with recording(virtual_microphone, tmp_path) as driver:
        driver.until("open")
        with virtual_microphone.frozen():
            frozen = time.monotonic()
            error = driver.until("error")
            end = driver.until("end")
            driver.go_on()
            exit_code = driver.end()
            ended = time.monotonic()

    assert (exit_code, driver.stderr) == (0, "")
    assert error["code"] == "device_lost"
    assert error["at"] - frozen < 2.5
    assert end["close_s"] < 2.2
    assert ended - frozen < 6


@pytest.mark.microphone
def test_server_that_never_answers(virtual_microphone: VirtualMicrophone, tmp_path: Path) -> None:
    """Opening ends at its deadline, and so does the program."""
    with virtual_microphone.frozen(), recording(virtual_microphone, tmp_path, open_deadline_s=1) as driver:
        error = driver.until("error")

        assert (driver.end(), error["code"], driver.stderr) == (3, "device_timeout", "")


@pytest.mark.microphone
def test_unknown_device(virtual_microphone: VirtualMicrophone, tmp_path: Path) -> None:
    """A device that does not exist is one error that names those that do."""
    with recording(virtual_microphone, tmp_path, device="no such thing") as driver:
        error = driver.until("error")

        assert (driver.end(), error["code"], driver.stderr) == (3, "no_such_device", "")
    assert "ALSA:default" in error["message"]
