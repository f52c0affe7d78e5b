"""A recording is a whole WAV file at any time."""

from __future__ import annotations

import wave
from typing import TYPE_CHECKING

import pytest

from rt_cli.local.recording import Recording

if TYPE_CHECKING:
    from pathlib import Path


def frames_of(path: Path) -> tuple[int, bytes]:
    """Rate and samples of a WAV file."""
    with wave.open(str(path)) as file:
        return file.getframerate(), file.readframes(file.getnframes())


def test_whole_at_any_time(tmp_path: Path) -> None:
    """After each write, before any close, the file holds what was written."""
    recording = Recording(tmp_path / "a.wav")
    for count in range(1, 4):
        recording.write(b"\x01\x02" * 100, 24_000)

        assert (24_000, b"\x01\x02" * 100 * count) == frames_of(recording.path)
    recording.close()


def test_no_audio_no_file(tmp_path: Path) -> None:
    """A session that sends nothing leaves nothing."""
    recording = Recording(tmp_path / "a.wav")
    recording.close()
    recording.close()

    assert not recording.path.exists()


def test_directory_gone(tmp_path: Path) -> None:
    """What cannot be written is an OSError, and closing is still fine."""
    recording = Recording(tmp_path / "missing" / "a.wav")

    with pytest.raises(OSError, match="missing"):
        recording.write(b"\0\0", 24_000)
    recording.close()
