"""A virtual microphone through PulseAudio, ALSA and PortAudio, in a separate process."""

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
        self.events: dict[str, dict[str, Any]] = {}
        self.stderr = ""

    def until(self, event: str) -> dict[str, Any]:
        """Wait until the driver prints ``event``."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            data: dict[str, Any] = json.loads(line)
            self.events[data["event"]] = data
            if data["event"] == event:
                return data
        pytest.fail(f"the driver ended before {event!r}: {self.events} {self.end()}")

    def go_on(self) -> None:
        """Send the line that the driver waits for."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def end(self) -> int:
        """Wait for the end of the driver and return its exit code."""
        out, self.stderr = self._process.communicate(timeout=15)
        for line in out.splitlines():
            data = json.loads(line)
            self.events[data["event"]] = data
        return self._process.returncode

    def pcm(self, out: Path | None = None) -> NDArray[np.float64]:
        """The recorded samples, within [-1, 1]."""
        return np.fromfile(out or self._out, dtype="<i2") / 32768


@contextmanager
def recording(microphone: VirtualMicrophone, folder: Path, **order: object) -> Iterator[Recording]:
    """Start the driver, and end it with the block."""
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
    """The played audio at the wire rate, resampled independently of rt."""
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
class SpeechRecording:
    """A recording of speech, from first to last sample."""

    pcm: NDArray[np.float64]
    speech: NDArray[np.float64]
    events: dict[str, dict[str, Any]]
    stderr: str
    exit: int


@pytest.fixture(scope="module")
def speech_recording(
    virtual_microphone: VirtualMicrophone, tmp_path_factory: pytest.TempPathFactory
) -> SpeechRecording:
    """Speech that starts when the microphone is open, seconds before reading starts."""
    folder = tmp_path_factory.mktemp("speech_recording")
    log = folder / "debug.log"
    with recording(virtual_microphone, folder, wait_s=2.5, log=str(log)) as driver:
        driver.until("open")
        virtual_microphone.play(SPEECH).wait(20)
        driver.go_on()
        exit_code = driver.end()
        data = {**driver.events, "log": {"text": log.read_text()}}
        return SpeechRecording(driver.pcm(), reference(SPEECH), data, driver.stderr, exit_code)


@pytest.mark.microphone
class TestSpeech:
    """The captured audio is the played speech."""

    def test_same_sound(self, speech_recording: SpeechRecording) -> None:
        """The recording is complete and correlates with the played audio."""
        correlation = find(speech_recording.speech, speech_recording.pcm)[1]
        events = speech_recording.events
        print(f"correlation {correlation:.6f}, {events['end']}, open {events['open']['took_s']:.2f} s")

        assert correlation > 0.99

    def test_first_word(self, speech_recording: SpeechRecording) -> None:
        """The first second, from before reading started, is captured."""
        assert find(speech_recording.speech[:WIRE_RATE_HZ], speech_recording.pcm)[1] > 0.99

    def test_last_word(self, speech_recording: SpeechRecording) -> None:
        """The last half second, from just before stop(), is captured."""
        assert find(speech_recording.speech[-WIRE_RATE_HZ // 2 :], speech_recording.pcm)[1] > 0.99

    def test_nothing_dropped(self, speech_recording: SpeechRecording) -> None:
        """There are no lost samples and no overflows."""
        assert (speech_recording.events["read"]["lost"], speech_recording.events["end"]["overflows"]) == (0, 0)

    def test_as_long_as_it_was_open(self, speech_recording: SpeechRecording) -> None:
        """The recording is as long as the time between open and stop."""
        open_s = speech_recording.events["stop"]["at"] - speech_recording.events["open"]["at"]

        assert len(speech_recording.pcm) / WIRE_RATE_HZ > open_s

    def test_stderr_is_empty(self, speech_recording: SpeechRecording) -> None:
        """Stderr is empty; the native output is in the debug log."""
        assert (speech_recording.exit, speech_recording.stderr) == (0, "")
        assert "rt.portaudio" in speech_recording.events["log"]["text"]

    def test_closes_in_time(self, speech_recording: SpeechRecording) -> None:
        """Closing takes less than its deadline."""
        assert speech_recording.events["end"]["close_s"] < 2.2


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
    """Each second of long audio arrives one second after the previous one, without loss, repetition or drift."""
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
    latency = {key: driver.events["end"][key] for key in ("median_ms", "p99_ms")}
    print(f"correlation >= {correlation:.6f}, drift {drift_ppm:.1f} ppm over {seconds} s, ring to reader {latency}")

    assert correlation > 0.99
    assert max(offsets) - min(offsets) <= 1


@pytest.mark.microphone
def test_busy_interpreter_loses_nothing(virtual_microphone: VirtualMicrophone, tmp_path: Path) -> None:
    """Holding the GIL for 200 ms every second causes no loss, or a reported one."""
    sweep = chirps(tmp_path / "chirps.wav", 4)
    with recording(virtual_microphone, tmp_path, hog_s=0.2) as driver:
        driver.until("open")
        virtual_microphone.play(tmp_path / "chirps.wav").wait(20)
        driver.go_on()
        driver.end()

    correlation = find(np.tile(sweep, 4), driver.pcm())[1]
    assert correlation > 0.99 or driver.events["read"]["lost"] or driver.events["end"]["overflows"]


@pytest.mark.microphone
def test_device_lost_and_back(virtual_microphone: VirtualMicrophone, tmp_path: Path) -> None:
    """Unplugging raises an error after all captured audio, with empty stderr; the device can be reopened later."""
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
    """A device without callbacks is lost within 2.5 s; neither closing it nor the exit hangs."""
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
    """Opening raises at its deadline, and the program exits."""
    with virtual_microphone.frozen(), recording(virtual_microphone, tmp_path, open_deadline_s=1) as driver:
        error = driver.until("error")

        assert (driver.end(), error["code"], driver.stderr) == (3, "device_timeout", "")


@pytest.mark.microphone
def test_unknown_device(virtual_microphone: VirtualMicrophone, tmp_path: Path) -> None:
    """A device that does not exist is one error that lists the existing ones."""
    with recording(virtual_microphone, tmp_path, device="no such thing") as driver:
        error = driver.until("error")

        assert (driver.end(), error["code"], driver.stderr) == (3, "no_such_device", "")
    assert "ALSA:default" in error["message"]
