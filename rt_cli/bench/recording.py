"""Recordings: read once, sent by many sessions at the pace of a microphone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rt_cli.audio.decode.files import open_file
from rt_cli.audio.format import BYTES_PER_SAMPLE
from rt_cli.audio.source import Block, SourceInfo
from rt_cli.errors import AudioError, UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from rt_cli.audio.source import Warn
    from rt_cli.clock import Clock

LONGEST_S = 600.0
"""Longest recording: all sessions share it in memory, 29 MB for ten minutes at 24 kHz."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording in memory."""

    name: str
    pcm: bytes
    """Mono s16le."""
    rate_hz: int
    reference: str | None = None
    """The words of the recording, if known."""

    @property
    def samples(self) -> int:
        """Length in samples."""
        return len(self.pcm) // BYTES_PER_SAMPLE

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.samples / self.rate_hz


async def load(name: str, rate_hz: int, warn: Warn, *, limit_s: float | None, reference: str | None) -> Recording:
    """Read a recording at a wire rate.

    Args:
        name: Path of the file.
        rate_hz: Rate to resample to.
        warn: Called with its warnings, also from another thread.
        limit_s: Read at most this long.
        reference: The words of the recording.

    Raises:
        AudioError: The file is unreadable or empty.
        UsageError: The recording is too long for memory.
    """
    source = await asyncio.to_thread(open_file, name, wire_rate_hz=rate_hz, warn=warn)
    limit_bytes = round(min(limit_s or LONGEST_S, LONGEST_S) * rate_hz) * BYTES_PER_SAMPLE
    pcm = bytearray()
    try:
        async for block in source.blocks():
            pcm += block.pcm
            if len(pcm) > limit_bytes:
                break
    finally:
        await source.aclose()
    if not pcm:
        raise AudioError(f"no audio in {name}", "check the file", code="empty")
    if len(pcm) > limit_bytes and (limit_s is None or limit_s > LONGEST_S):
        raise UsageError(f"{name} is longer than {LONGEST_S / 60:g} minutes", "use the first of it: --duration 60")
    return Recording(name, bytes(pcm[:limit_bytes]), rate_hz, reference)


class RecordingSource:
    """A recording as a live source. It starts at :meth:`begin`, and then keeps its pace without back-pressure.

    Each block comes when its last sample is due. Deadlines are absolute, so that a slow endpoint or machine does not
    slow down the schedule that measures it.

    Args:
        recording: The recording.
        clock: The clock of the pace.
        piece: Length of the blocks in samples.
    """

    def __init__(self, recording: Recording, clock: Clock, piece: int) -> None:
        self.began_at: float | None = None
        """Due time of the first sample, seconds."""
        self._recording = recording
        self._clock = clock
        self._piece = piece
        self._begin = asyncio.Event()
        self._stopped = False

    @property
    def info(self) -> SourceInfo:
        """Return the properties of the source: live, like a microphone."""
        return SourceInfo(self._recording.name, "file", True, self.rate_hz, 1, self._recording.seconds)

    @property
    def rate_hz(self) -> int:
        """Samples per second."""
        return self._recording.rate_hz

    def begin(self) -> None:
        """Start the source. Idempotent."""
        self._begin.set()

    def due(self, position: int) -> float | None:
        """Return the due time of the sample at a position, seconds; None before the start."""
        return None if self.began_at is None else self.began_at + position / self._recording.rate_hz

    def dues(self, start: int, end: int) -> Iterator[float]:
        """Yield the due time of each block that ends in (start, end], seconds."""
        whole = range(start - start % self._piece + self._piece, end + 1, self._piece)
        last = (end,) if start < end == self._recording.samples and end % self._piece else ()
        for position in (*whole, *last):
            if (due := self.due(position)) is not None:
                yield due

    async def blocks(self) -> AsyncIterator[Block]:
        """Yield the recording once. Safe to cancel."""
        await self._begin.wait()
        began = self.began_at = self._clock.now()
        for start in range(0, self._recording.samples, self._piece):
            end = min(start + self._piece, self._recording.samples)
            await self._clock.sleep_until(began + end / self._recording.rate_hz)
            if self._stopped:
                return
            yield Block(self._recording.pcm[start * BYTES_PER_SAMPLE : end * BYTES_PER_SAMPLE])

    def stop(self) -> None:
        """End the source after the current block, or at once before the start."""
        self._stopped = True
        self._begin.set()

    async def aclose(self) -> None:
        """Do nothing: nothing is open."""
