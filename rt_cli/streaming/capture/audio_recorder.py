"""What was captured, into a file beside the run; what the disk refuses is said at once, and the run goes on."""

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
"""Sound that may wait for the disk: almost six minutes at 24 kHz."""
PATIENCE_S = 2.0


class AudioRecorder:
    """Saves the sound of one source on its timeline: gaps are silence, and so is what a resumed run does not hear.

    Args:
        path: Of the WAV file.
        rate_hz: The wire rate, which the file has, too.
        replace: Whether an older file may be replaced.
        on_event: Told when the disk takes no more.
        limit_bytes: What may wait for it.

    Raises:
        UsageError: The file cannot be written, or is there already.
    """

    def __init__(
        self, path: Path, rate_hz: int, on_event: EventHandler, *, replace: bool, limit_bytes: int = LIMIT_BYTES
    ) -> None:
        self._recording = WavWriter(path)
        self._recording.create(rate_hz, replace=replace)
        self._rate = rate_hz
        self._on_event = on_event
        self._limit = limit_bytes
        self._lock = threading.Lock()
        self._waiting = 0
        self._failure: str | None = None
        self._told = False
        self._thread = SerialThread("rt-recorder")

    @property
    def error(self) -> UsageError | None:
        """Why the file is not whole."""
        if self._failure is None:
            return None
        said = f"{self._recording.path} does not hold all sound: {self._failure}"
        return UsageError(said, "make room, or save it elsewhere", code="save_audio")

    def sound(self, start: int, pcm: bytes) -> None:
        """Sound was captured at a timeline position, in samples. Returns at once and never raises."""
        if self._failure is not None:
            self._tell()
        elif self._waiting + len(pcm) > self._limit:
            self._failure = "the disk is too slow"
            self._tell()
        else:
            with self._lock:
                self._waiting += len(pcm)
            self._thread.do(partial(self._write, start, pcm))

    def close(self, captured: int) -> None:
        """Write what waits, for two seconds at most, and let go of the file. Blocks.

        Args:
            captured: Where the timeline ends, samples: there may be a gap at its end.
        """
        if self._failure is None:
            self._thread.do(partial(self._write, captured, b""))
        self._thread.do(self._let_go)
        if not self._thread.close(PATIENCE_S):
            self._failure = "the disk is too slow"

    def _tell(self) -> None:
        if not self._told and (error := self.error) is not None:
            self._told = True
            self._on_event(Warned("save_audio", error.message))

    # -- on the thread ------------------------------------------------------------------------------------------------

    def _write(self, start: int, pcm: bytes) -> None:
        if self._failure is None:
            try:
                self._recording.write(pcm, self._rate, at=start)
            except OSError as exc:
                self._failure = exc.strerror or str(exc)
        with self._lock:
            self._waiting -= len(pcm)

    def _let_go(self) -> None:
        try:
            self._recording.close()
        except OSError as exc:
            self._failure = self._failure or exc.strerror
