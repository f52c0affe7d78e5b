"""One stereo source read as two mono sources, each with its own reader."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from rt_cli.audio.source import Block

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from rt_cli.audio.source import Source, SourceInfo, Warn

_MAX_LEAD = 2
"""For a source that is not live: blocks by which the faster reader may be ahead of the slower one."""
_MAX_LIVE_QUEUE = 2_000
"""For a live source: most queued blocks of one side (over a minute); further blocks are lost."""


class Split:
    """Reads a source of two interleaved channels once and passes each channel to its side.

    Args:
        open_source: Opens the source: takes the wire rate in Hz and the callback for warnings.
    """

    def __init__(self, open_source: Callable[[int, Warn], Awaitable[Source]]) -> None:
        self.sides = (Side(self), Side(self))
        """Left and right."""
        self.opened = asyncio.Event()
        """Set when the source is open, or when opening it has failed."""
        self.source: Source | None = None
        self.failure: Exception | None = None
        """The error of opening the source, if any."""
        self._open_source = open_source
        self._room = asyncio.Event()

    async def run(self, rate_hz: int, warn: Warn) -> None:
        """Open the source, read it to its end or until both sides have stopped, then close it.

        This method raises no error of the source. Both sides raise it instead, so that each keeps its results.
        Cancelling closes the source and ends both sides.
        """
        try:
            self.source = source = await self._open_source(rate_hz, warn)
        except Exception as exc:  # noqa: BLE001 - both sides raise it
            self.failure = exc
            return
        finally:
            self.opened.set()
        error: Exception | None = None
        try:
            self.check_sides()
            async for block in source.blocks():
                await self._distribute(block, live=source.info.live)
        except Exception as exc:  # noqa: BLE001 - both sides raise it
            error = exc
        finally:
            for side in self.sides:
                side.end(error)
            await source.aclose()

    def check_sides(self) -> None:
        """Continue reading if a side has space; stop the source if both sides have stopped. Called by the sides."""
        self._room.set()
        if self.source is not None and all(side.stopped for side in self.sides):
            self.source.stop()

    async def _distribute(self, block: Block, *, live: bool) -> None:
        import numpy as np

        while not live and any(side.full for side in self.sides):
            self._room.clear()
            await self._room.wait()
        frames = np.frombuffer(block.pcm, "<i2").reshape(-1, len(self.sides))
        for channel, side in enumerate(self.sides):
            side.take(Block(frames[:, channel].tobytes(), block.lost, block.reason))


class Side:
    """One channel of a :class:`Split`; a :class:`~rt_cli.audio.source.Source`.

    Args:
        split: The split that this side belongs to.
    """

    def __init__(self, split: Split) -> None:
        self.stopped = False
        """True after :meth:`stop`."""
        self._split = split
        self._queue: deque[Block] = deque()
        self._lost_samples = 0
        self._changed = asyncio.Event()
        self._closed = False
        self._ended = False
        self._error: Exception | None = None

    async def open(self, _rate_hz: int, _warn: Warn) -> Side:
        """Wait until the source is open.

        Raises:
            RtError: The source cannot be opened.
        """
        await self._split.opened.wait()
        if self._split.failure is not None:
            raise self._split.failure
        return self

    @property
    def info(self) -> SourceInfo:
        """The info of the whole source."""
        if self._split.source is None:
            raise RuntimeError("not open yet")
        return self._split.source.info

    @property
    def full(self) -> bool:
        """True if the other side has to wait for this one."""
        return len(self._queue) >= _MAX_LEAD and not self._closed

    async def blocks(self) -> AsyncIterator[Block]:
        """Yield the audio of the channel, until the end of the source or :meth:`stop`. Iterate once; safe to cancel.

        Raises:
            AudioError: The source failed. All audio before the failure has been yielded.
        """
        while True:
            while self._queue:
                block = self._queue.popleft()
                self._split.check_sides()
                yield block
            if self._ended or (self.stopped and not self.info.live):
                break
            self._changed.clear()
            await self._changed.wait()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Stop this side: the iterator yields the queued audio, then ends. Idempotent.

        A live source goes on until both sides have stopped.
        """
        self.stopped = True
        self._changed.set()
        self._split.check_sides()

    async def aclose(self) -> None:
        """Drop the queued audio and stop this side. :meth:`Split.run` closes the source. Idempotent."""
        self._closed = True
        self._queue.clear()
        self.stop()

    def take(self, block: Block) -> None:
        """Queue the next block without waiting; count it as lost if the queue is full."""
        if self._closed:
            return
        if len(self._queue) >= _MAX_LIVE_QUEUE:
            self._lost_samples += block.lost + len(block.pcm) // 2
            return
        lost_samples, self._lost_samples = self._lost_samples, 0
        self._queue.append(Block(block.pcm, block.lost + lost_samples, block.reason))
        self._changed.set()

    def end(self, error: Exception | None) -> None:
        """End the iterator after the queued blocks. ``error`` is raised at its end."""
        if self._lost_samples:
            self._queue.append(Block(b"", self._lost_samples))
            self._lost_samples = 0
        self._ended, self._error = True, error
        self._changed.set()
