"""Recordings that are spoken again and again: read once, given to sessions at the pace of a microphone."""

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
"""All sessions share a recording in memory: 29 MB for ten minutes at 24 kHz."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Sound in memory."""

    name: str
    pcm: bytes
    """Mono s16le."""
    rate_hz: int
    reference: str | None = None
    """The words in it, if they are known."""

    @property
    def samples(self) -> int:
        """Its length."""
        return len(self.pcm) // BYTES_PER_SAMPLE

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.samples / self.rate_hz


async def load(name: str, rate_hz: int, warn: Warn, *, limit_s: float | None, reference: str | None) -> Recording:
    """Read a recording at a wire rate.

    Args:
        name: A file.
        rate_hz: To resample to.
        warn: Takes its warnings; called from another thread, too.
        limit_s: No more of it than this.
        reference: The words in it.

    Raises:
        AudioError: Unreadable or empty.
        UsageError: Too long to be kept in memory.
    """
    source = await asyncio.to_thread(open_file, name, wire_rate_hz=rate_hz, warn=warn)
    wanted = round(min(limit_s or LONGEST_S, LONGEST_S) * rate_hz) * BYTES_PER_SAMPLE
    pcm = bytearray()
    try:
        async for block in source.blocks():
            pcm += block.pcm
            if len(pcm) > wanted:
                break
    finally:
        await source.aclose()
    if not pcm:
        raise AudioError(f"no audio in {name}", "check the file", code="empty")
    if len(pcm) > wanted and (limit_s is None or limit_s > LONGEST_S):
        raise UsageError(f"{name} is longer than {LONGEST_S / 60:g} minutes", "use the first of it: --duration 60")
    return Recording(name, bytes(pcm[:wanted]), rate_hz, reference)


class Spoken:
    """A recording as a live source: it begins when it is told to, and then goes on whether or not it is read.

    Each piece comes when its last sample is due, against absolute deadlines, so that an endpoint or a machine that is
    slow cannot slow the schedule down that it is measured by.

    Args:
        recording: What is said.
        clock: For the pace.
        piece: Samples that come at a time.
    """

    def __init__(self, recording: Recording, clock: Clock, piece: int) -> None:
        self.began_at: float | None = None
        """When its first sample was due, seconds."""
        self._recording = recording
        self._clock = clock
        self._piece = piece
        self._begin = asyncio.Event()
        self._stopped = False

    @property
    def info(self) -> SourceInfo:
        """Live, like the microphone that it stands for."""
        rate = self._recording.rate_hz
        return SourceInfo(self._recording.name, "file", True, rate, 1, self._recording.seconds)

    def begin(self) -> None:
        """Speak from now on. Idempotent."""
        self._begin.set()

    def due(self, position: int) -> float | None:
        """When the sample at a position was or is spoken, seconds; None before it has begun."""
        return None if self.began_at is None else self.began_at + position / self._recording.rate_hz

    def dues(self, start: int, end: int) -> Iterator[float]:
        """When each of the pieces that end in (start, end] was due, seconds."""
        whole = range(start - start % self._piece + self._piece, end + 1, self._piece)
        last = (end,) if start < end == self._recording.samples and end % self._piece else ()
        for position in (*whole, *last):
            if (due := self.due(position)) is not None:
                yield due

    async def blocks(self) -> AsyncIterator[Block]:
        """The recording, once. Safe to cancel."""
        await self._begin.wait()
        began = self.began_at = self._clock.now()
        for start in range(0, self._recording.samples, self._piece):
            end = min(start + self._piece, self._recording.samples)
            await self._clock.sleep_until(began + end / self._recording.rate_hz)
            if self._stopped:
                return
            yield Block(self._recording.pcm[start * BYTES_PER_SAMPLE : end * BYTES_PER_SAMPLE])

    def stop(self) -> None:
        """Fall silent; at once, if it has not begun."""
        self._stopped = True
        self._begin.set()

    async def aclose(self) -> None:
        """Nothing is open."""
