"""A recording is a valid WAV file after every write."""

from __future__ import annotations

import os
import wave
from typing import TYPE_CHECKING

import pytest

from rt_cli.disk.wav_writer import WavWriter
from rt_cli.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def frames_of(path: Path) -> tuple[int, bytes]:
    """Rate and samples of a WAV file."""
    with wave.open(str(path)) as file:
        return file.getframerate(), file.readframes(file.getnframes())


def test_the_file_is_valid_after_every_write(tmp_path: Path) -> None:
    """After each write and before close() the file contains all written samples."""
    recording = WavWriter(tmp_path / "a.wav")
    for count in range(1, 4):
        recording.write(b"\x01\x02" * 100, 24_000)

        assert (24_000, b"\x01\x02" * 100 * count) == frames_of(recording.path)
    recording.close()


def test_no_audio_no_file(tmp_path: Path) -> None:
    """A writer without any write creates no file."""
    recording = WavWriter(tmp_path / "a.wav")
    recording.close()
    recording.close()

    assert not recording.path.exists()


def test_directory_gone(tmp_path: Path) -> None:
    """A write to a missing directory raises OSError; close() still works."""
    recording = WavWriter(tmp_path / "missing" / "a.wav")

    with pytest.raises(OSError, match="missing"):
        recording.write(b"\0\0", 24_000)
    recording.close()


def test_create_writes_a_valid_empty_file(tmp_path: Path) -> None:
    """create() writes a WAV header with a length of zero."""
    recording = WavWriter(tmp_path / "a.wav")
    recording.create(16_000, replace=False)

    assert frames_of(recording.path) == (16_000, b"")
    recording.close()


def test_gaps_are_filled_with_silence(tmp_path: Path) -> None:
    """Silence fills a gap before the audio, and a gap at the end of the file."""
    recording = WavWriter(tmp_path / "a.wav")
    recording.write(b"\x01\x02" * 3, 24_000, at=2)
    recording.write(b"\x03\x04", 24_000)
    recording.write(b"", 24_000, at=8)
    recording.close()

    assert frames_of(recording.path) == (24_000, bytes(4) + b"\x01\x02" * 3 + b"\x03\x04" + bytes(4))


def test_an_older_file_is_kept(tmp_path: Path) -> None:
    """create() raises if the file has data, unless ``replace`` is true. An empty file, as mktemp makes it, is fine."""
    path = tmp_path / "a.wav"
    path.touch()
    for replace in (False, True):
        recording = WavWriter(path)
        recording.create(24_000, replace=replace)
        recording.close()
    assert path.stat().st_size == 44

    with pytest.raises(UsageError, match=r"a\.wav exists.*--force"):
        WavWriter(path).create(24_000, replace=False)
    with pytest.raises(UsageError, match="cannot write"):
        WavWriter(tmp_path).create(24_000, replace=True)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no such pipes here")
def test_a_pipe_is_refused(tmp_path: Path) -> None:
    """create() on a FIFO raises at once, because a FIFO cannot seek; create() does not wait for a reader."""
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(UsageError, match="is a pipe"):
        WavWriter(tmp_path / "pipe").create(24_000, replace=True)
