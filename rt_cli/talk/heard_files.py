"""What was heard and said, into files: ``--output-audio`` and ``--record-both``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from rt_cli.audio.format import BYTES_PER_SAMPLE, silence
from rt_cli.disk.wav_stream import WavStream
from rt_cli.streaming.capture.audio_recorder import AudioRecorder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from rt_cli.errors import UsageError
    from rt_cli.events import EventHandler
    from rt_cli.protocol.conversation.playback import Heard

_LAG_S = 1.0
"""A side that is so far behind the other is silent."""


class HeardFile(Protocol):
    """A file that gets what sounds. No method blocks or raises, but for ``close``, which may block for seconds."""

    @property
    def error(self) -> UsageError | None:
        """Why the file is incomplete; None if it is not."""
        ...

    def sound(self, at: int, pcm: bytes) -> None:
        """Take what the user says, at its position."""
        ...

    def heard(self, pieces: Sequence[Heard], upto: int) -> None:
        """Take what has sounded, all of it up to a position."""
        ...

    def close(self) -> None:
        """Write what is left, and close the file."""
        ...


class RepliesFile:
    """The replies as they were heard, one behind the other, in a WAV file that is whole at any time.

    Args:
        path: Of the file.
        rate_hz: Of the audio.
        on_event: Receives a warning on the first disk error.
        replace: Whether a file may be replaced.

    Raises:
        UsageError: The file cannot be written, or exists already.
    """

    def __init__(self, path: Path, rate_hz: int, on_event: EventHandler, *, replace: bool) -> None:
        self._recorder = AudioRecorder(path, rate_hz, on_event, replace=replace)
        self._samples = 0

    @property
    def error(self) -> UsageError | None:
        """Why the file is incomplete."""
        return self._recorder.error

    def sound(self, at: int, pcm: bytes) -> None:
        """Leave out the user."""

    def heard(self, pieces: Sequence[Heard], upto: int) -> None:
        """Append what has sounded."""
        del upto
        for piece in pieces:
            self._recorder.sound(self._samples, piece.pcm)
            self._samples += len(piece.pcm) // BYTES_PER_SAMPLE

    def close(self) -> None:
        """Close the file. Blocks for seconds at most."""
        self._recorder.close(self._samples)


class RepliesStream:
    """The replies as they were heard, as a WAV stream on stdout.

    Args:
        rate_hz: Of the audio.
        on_closed: Called on another thread when the reader is gone.
    """

    def __init__(self, rate_hz: int, on_closed: Callable[[], None]) -> None:
        self._stream = WavStream(rate_hz, "replies", on_closed)

    @property
    def error(self) -> UsageError | None:
        """The reader is too slow. One that leaves is no error."""
        return self._stream.error

    def sound(self, at: int, pcm: bytes) -> None:
        """Leave out the user."""

    def heard(self, pieces: Sequence[Heard], upto: int) -> None:
        """Append what has sounded."""
        del upto
        for piece in pieces:
            self._stream.write(piece.pcm)

    def close(self) -> None:
        """Write what is left, for two seconds at most. Blocks."""
        self._stream.close()


class BothSides:
    """Both sides on one timeline in a stereo WAV file: left what was sent, right what was heard.

    Args:
        path: Of the file.
        rate_hz: Of the audio.
        on_event: Receives a warning on the first disk error.
        replace: Whether a file may be replaced.

    Raises:
        UsageError: The file cannot be written, or exists already.
    """

    def __init__(self, path: Path, rate_hz: int, on_event: EventHandler, *, replace: bool) -> None:
        self._recorder = AudioRecorder(path, rate_hz, on_event, replace=replace, channels=2)
        self._lag = round(_LAG_S * rate_hz)
        self._written = 0
        self._left = _Track()
        self._right = _Track()

    @property
    def error(self) -> UsageError | None:
        """Why the file is incomplete."""
        return self._recorder.error

    def sound(self, at: int, pcm: bytes) -> None:
        """Take the left side."""
        self._left.add(at, pcm)

    def heard(self, pieces: Sequence[Heard], upto: int) -> None:
        """Take the right side, and write what both sides have."""
        for piece in pieces:
            self._right.add(piece.start, piece.pcm)
        self._right.extend(upto)
        both = min(self._left.end, self._right.end)
        self._write(max(both, max(self._left.end, self._right.end) - self._lag))

    def close(self) -> None:
        """Write what is left. Blocks for seconds at most."""
        end = max(self._left.end, self._right.end)
        self._write(end)
        self._recorder.close(end)

    def _write(self, upto: int) -> None:
        if upto <= self._written:
            return
        import numpy as np

        sides = [np.frombuffer(track.take(upto), "<i2") for track in (self._left, self._right)]
        self._recorder.sound(self._written, np.stack(sides, axis=1).tobytes())
        self._written = upto


class _Track:
    """One side: audio from a position on, with silence where there is none."""

    def __init__(self) -> None:
        self._start = 0
        self._pcm = bytearray()

    @property
    def end(self) -> int:
        return self._start + len(self._pcm) // BYTES_PER_SAMPLE

    def extend(self, end: int) -> None:
        if end > self.end:
            self._pcm += silence(end - self.end)

    def add(self, at: int, pcm: bytes) -> None:
        """Place audio; what is older than what was taken is left out."""
        late = max(0, self._start - at)
        pcm = pcm[late * BYTES_PER_SAMPLE :]
        at += late
        self.extend(at)
        start = (at - self._start) * BYTES_PER_SAMPLE
        self._pcm[start : start + len(pcm)] = pcm

    def take(self, end: int) -> bytes:
        self.extend(end)
        size = (end - self._start) * BYTES_PER_SAMPLE
        pcm, self._pcm = bytes(self._pcm[:size]), self._pcm[size:]
        self._start = end
        return pcm
