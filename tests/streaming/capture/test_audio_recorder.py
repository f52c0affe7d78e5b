"""AudioRecorder: captured audio in a WAV file (``--save-audio``)."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from rt_cli.disk.serial_thread import SerialThread
from rt_cli.disk.wav_writer import WavWriter
from rt_cli.errors import UsageError
from rt_cli.events import Event, Warned
from rt_cli.streaming.capture.audio_recorder import AudioRecorder
from tests.memory import part_of
from tests.program import read_wav

if TYPE_CHECKING:
    from pathlib import Path


RATE = 24_000


def test_gaps_become_silence(tmp_path: Path) -> None:
    """Gaps in the middle, at the end, and before a resumed run become silence."""
    path = tmp_path / "a.wav"
    recorder = AudioRecorder(path, RATE, lambda _: None, replace=False)
    recorder.sound(2, b"\x01\x02\x03\x04")
    recorder.sound(4, b"\x05\x06")
    recorder.sound(8, b"\x07\x08")
    recorder.close(10)

    assert read_wav(path) == (bytes(4) + b"\1\2\3\4\5\6" + bytes(6) + b"\7\x08" + bytes(2), RATE)
    assert recorder.error is None


def test_a_run_without_audio_makes_a_valid_file(tmp_path: Path) -> None:
    """The file has no samples."""
    recorder = AudioRecorder(tmp_path / "a.wav", RATE, lambda _: None, replace=False)
    recorder.close(0)

    assert read_wav(tmp_path / "a.wav") == (b"", RATE)


def test_an_unwritable_path_raises_at_once(tmp_path: Path) -> None:
    """Before the recorder starts its thread."""
    before = threading.active_count()
    with pytest.raises(UsageError, match="cannot write"):
        AudioRecorder(tmp_path / "none" / "a.wav", RATE, lambda _: None, replace=False)

    assert threading.active_count() == before


class Slow:
    """A WAV writer that blocks until it is released, and then fails on request."""

    def __init__(self, recording: WavWriter) -> None:
        self.go = threading.Event()
        self.failure: OSError | None = None
        self._write = recording.write
        recording.write = self.write  # type: ignore[method-assign]  # a planted fault

    def write(self, pcm: bytes, rate_hz: int, *, at: int | None = None) -> None:
        """Wait, then write."""
        assert self.go.wait(30)
        if self.failure is not None:
            raise self.failure
        self._write(pcm, rate_hz, at=at)


def test_a_full_disk_is_reported_once_and_at_the_end(tmp_path: Path) -> None:
    """The file stays valid and the run continues."""
    events: list[Event] = []
    recorder = AudioRecorder(tmp_path / "a.wav", RATE, events.append, replace=False)
    recorder.sound(0, b"\1\2")
    written = threading.Event()
    part_of(recorder, SerialThread).do(written.set)
    assert written.wait(30)
    disk = Slow(part_of(recorder, WavWriter))
    disk.failure = OSError(28, "No space left on device")
    disk.go.set()
    at = 1
    while not events:
        recorder.sound(at, b"\3\4")
        at += 1
        os.sched_yield()
    recorder.sound(at, b"\5\6")
    recorder.close(at + 1)

    reason = f"{tmp_path / 'a.wav'} does not hold all sound: No space left on device"
    assert events == [Warned("save_audio", reason)]
    assert recorder.error is not None
    assert (recorder.error.message, recorder.error.exit_code) == (reason, 2)
    assert read_wav(tmp_path / "a.wav")[0] == b"\1\2"


def test_a_slow_disk_does_not_fill_the_memory(tmp_path: Path) -> None:
    """Beyond a limit the recording ends with a warning; capture never waits."""
    events: list[Event] = []
    recorder = AudioRecorder(tmp_path / "a.wav", RATE, events.append, replace=False, limit_bytes=8)
    disk = Slow(part_of(recorder, WavWriter))
    for at in range(6):
        recorder.sound(at, b"\1\2")
    disk.go.set()
    recorder.close(6)

    assert events == [Warned("save_audio", f"{tmp_path / 'a.wav'} does not hold all sound: the disk is too slow")]
    assert recorder.error is not None
