"""Saves the captured audio to a file. A disk error is reported at once; the run continues."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from rt_cli.disk.serial_thread import SerialThread
from rt_cli.disk.wav_writer import WavWriter
from rt_cli.errors import UsageError
from rt_cli.events import Warned

if TYPE_CHECKING:
    from pathlib import Path

    from rt_cli.events import EventHandler

LIMIT_BYTES = 1 << 24
"""Limit of audio waiting for the disk: almost six minutes at 24 kHz."""
PATIENCE_S = 2.0
"""Longest wait for the disk in :meth:`AudioRecorder.close`."""


class AudioRecorder:
    """Saves the audio of one source on its timeline. Gaps, and the part before a resumed run, become silence.

    Args:
        path: Path of the WAV file.
        rate_hz: The wire rate, also the rate of the file.
        replace: Whether an existing file may be replaced.
        on_event: Receives a warning on the first disk error.
        limit_bytes: Limit of audio waiting for the disk.
        channels: Interleaved in the audio; positions count frames.

    Raises:
        UsageError: The file cannot be written, or exists already.
    """

    def __init__(
        self,
        path: Path,
        rate_hz: int,
        on_event: EventHandler,
        *,
        replace: bool,
        limit_bytes: int = LIMIT_BYTES,
        channels: int = 1,
    ) -> None:
        self._wav = WavWriter(path, channels=channels)
        self._wav.create(rate_hz, replace=replace)
        self._rate = rate_hz
        self._on_event = on_event
        self._limit = limit_bytes
        self._lock = threading.Lock()
        self._waiting = 0
        self._failure: str | None = None
        self._warned = False
        self._thread = SerialThread("rt-recorder")

    @property
    def error(self) -> UsageError | None:
        """Why the file is incomplete; None if it is complete."""
        if self._failure is None:
            return None
        message = f"{self._wav.path} does not hold all sound: {self._failure}"
        return UsageError(message, "make room, or save it elsewhere", code="save_audio")

    def sound(self, start: int, pcm: bytes) -> None:
        """Save audio captured at timeline position ``start``, in samples. Returns at once and never raises."""
        if self._failure is not None:
            self._warn()
        elif self._waiting + len(pcm) > self._limit:
            self._failure = "the disk is too slow"
            self._warn()
        else:
            with self._lock:
                self._waiting += len(pcm)
            self._thread.do(partial(self._write, start, pcm))

    def close(self, captured: int) -> None:
        """Write the queue, for two seconds at most, and close the file. Blocks.

        Args:
            captured: End of the timeline, samples: the file may end with a gap.
        """
        if self._failure is None:
            self._thread.do(partial(self._write, captured, b""))
        self._thread.do(self._close_file)
        if not self._thread.close(PATIENCE_S):
            self._failure = "the disk is too slow"

    def _warn(self) -> None:
        if not self._warned and (error := self.error) is not None:
            self._warned = True
            self._on_event(Warned("save_audio", error.message))

    # -- on the thread ------------------------------------------------------------------------------------------------

    def _write(self, start: int, pcm: bytes) -> None:
        if self._failure is None:
            try:
                self._wav.write(pcm, self._rate, at=start)
            except OSError as exc:
                self._failure = exc.strerror or str(exc)
        with self._lock:
            self._waiting -= len(pcm)

    def _close_file(self) -> None:
        try:
            self._wav.close()
        except OSError as exc:
            self._failure = self._failure or exc.strerror
