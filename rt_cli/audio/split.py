"""Two sources out of one: the channels of a sound, each with a reader of its own."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from rt_cli.audio.source import Block

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from rt_cli.audio.source import Source, SourceInfo, Warn

_AHEAD = 2
"""Blocks of a source that can wait, which the faster reader may be ahead of the slower one."""
_MOST = 2_000
"""Blocks of a live source that may wait for a reader which is always reading, before they are lost: over a minute."""


class Split:
    """Reads a source of two interleaved channels once, and hands each channel to its side without loss.

    Args:
        open_source: Opens it at a wire rate, Hz; its warnings go to the second argument.
    """

    def __init__(self, open_source: Callable[[int, Warn], Awaitable[Source]]) -> None:
        self.sides = (Side(self), Side(self))
        """Left and right."""
        self.opened = asyncio.Event()
        """Or failed to."""
        self.source: Source | None = None
        self.failure: Exception | None = None
        """Why it could not be opened."""
        self._open_source = open_source
        self._room = asyncio.Event()

    async def run(self, rate_hz: int, warn: Warn) -> None:
        """Open the source and read it to its end, or until neither side wants more; then close it.

        Errors of the source, of any kind, are raised by both sides: each of them has results that are worth keeping.
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
            self.look()
            async for block in source.blocks():
                await self._hand_over(block, live=source.info.live)
        except Exception as exc:  # noqa: BLE001 - both sides raise it
            error = exc
        finally:
            for side in self.sides:
                side.end(error)
            await source.aclose()

    def look(self) -> None:
        """A side has changed its mind, or has read: stop where nobody wants more."""
        self._room.set()
        if self.source is not None and all(side.stopped for side in self.sides):
            self.source.stop()

    async def _hand_over(self, block: Block, *, live: bool) -> None:
        import numpy as np

        while not live and any(side.full for side in self.sides):
            self._room.clear()
            await self._room.wait()
        frames = np.frombuffer(block.pcm, "<i2").reshape(-1, len(self.sides))
        for channel, side in enumerate(self.sides):
            side.take(Block(frames[:, channel].tobytes(), block.lost, block.reason))


class Side:
    """One channel; a :class:`~rt_cli.audio.source.Source`.

    Args:
        split: What it is a side of.
    """

    def __init__(self, split: Split) -> None:
        self.stopped = False
        """It wants no more."""
        self._split = split
        self._waiting: deque[Block] = deque()
        self._missed = 0
        self._more = asyncio.Event()
        self._closed = False
        self._ended = False
        self._error: Exception | None = None

    async def open(self, _rate_hz: int, _warn: Warn) -> Side:
        """Wait until the source is open.

        Raises:
            RtError: It cannot be opened.
        """
        await self._split.opened.wait()
        if self._split.failure is not None:
            raise self._split.failure
        return self

    @property
    def info(self) -> SourceInfo:
        """Of the whole source."""
        if self._split.source is None:
            raise RuntimeError("not open yet")
        return self._split.source.info

    @property
    def full(self) -> bool:
        """Whether the other side has to wait for this one."""
        return len(self._waiting) >= _AHEAD and not self._closed

    async def blocks(self) -> AsyncIterator[Block]:
        """The sound of the channel, until the end of the source or :meth:`stop`. Read it once; safe to cancel.

        Raises:
            AudioError: The source broke, after all there was has been yielded.
        """
        while True:
            while self._waiting:
                block = self._waiting.popleft()
                self._split.look()
                yield block
            if self._ended or (self.stopped and not self.info.live):
                break
            self._more.clear()
            await self._more.wait()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End capture: what waits is still yielded; a live source is stopped when both sides are. Idempotent."""
        self.stopped = True
        self._more.set()
        self._split.look()

    async def aclose(self) -> None:
        """Let go of the source, which is closed by :meth:`Split.run`. Idempotent."""
        self._closed = True
        self._waiting.clear()
        self.stop()

    def take(self, block: Block) -> None:
        """Take the next block; never waits."""
        if self._closed:
            return
        if len(self._waiting) >= _MOST:
            self._missed += block.lost + len(block.pcm) // 2
            return
        missed, self._missed = self._missed, 0
        self._waiting.append(Block(block.pcm, block.lost + missed, block.reason))
        self._more.set()

    def end(self, error: Exception | None) -> None:
        """No more will come."""
        if self._missed:
            self._waiting.append(Block(b"", self._missed))
            self._missed = 0
        self._ended, self._error = True, error
        self._more.set()
