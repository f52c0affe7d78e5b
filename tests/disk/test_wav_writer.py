"""A recording is a whole WAV file at any time."""

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


def test_whole_at_any_time(tmp_path: Path) -> None:
    """After each write, before any close, the file holds what was written."""
    recording = WavWriter(tmp_path / "a.wav")
    for count in range(1, 4):
        recording.write(b"\x01\x02" * 100, 24_000)

        assert (24_000, b"\x01\x02" * 100 * count) == frames_of(recording.path)
    recording.close()


def test_no_audio_no_file(tmp_path: Path) -> None:
    """A session that sends nothing leaves nothing."""
    recording = WavWriter(tmp_path / "a.wav")
    recording.close()
    recording.close()

    assert not recording.path.exists()


def test_directory_gone(tmp_path: Path) -> None:
    """What cannot be written is an OSError, and closing is still fine."""
    recording = WavWriter(tmp_path / "missing" / "a.wav")

    with pytest.raises(OSError, match="missing"):
        recording.write(b"\0\0", 24_000)
    recording.close()


def test_created_before_any_sound(tmp_path: Path) -> None:
    """A whole file of no samples."""
    recording = WavWriter(tmp_path / "a.wav")
    recording.create(16_000, replace=False)

    assert frames_of(recording.path) == (16_000, b"")
    recording.close()


def test_sound_has_its_place(tmp_path: Path) -> None:
    """Silence takes the room of what was lost before it, and at the end, too."""
    recording = WavWriter(tmp_path / "a.wav")
    recording.write(b"\x01\x02" * 3, 24_000, at=2)
    recording.write(b"\x03\x04", 24_000)
    recording.write(b"", 24_000, at=8)
    recording.close()

    assert frames_of(recording.path) == (24_000, bytes(4) + b"\x01\x02" * 3 + b"\x03\x04" + bytes(4))


def test_an_older_file_is_kept(tmp_path: Path) -> None:
    """Unless it is empty, as mktemp leaves it, or may be replaced."""
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
    """Its beginning cannot be written again; and nobody waits for a reader."""
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(UsageError, match="is a pipe"):
        WavWriter(tmp_path / "pipe").create(24_000, replace=True)
