"""Split: one source with two readers, without loss; the slower reader sets the pace."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
import pytest

from rt_cli.audio.source import Block, SourceInfo
from rt_cli.audio.split import Split
from rt_cli.errors import AudioError
from tests.fakes import run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rt_cli.audio.source import Warn
    from rt_cli.audio.split import Side

FRAMES = np.random.default_rng(3).integers(-9000, 9000, (20_000, 2), dtype=np.int16)
PIECE = 1_000
BLOCKS = 2_100


class Two:
    """A source of two interleaved channels."""

    def __init__(self, *, live: bool = False, error: Exception | None = None, endless: bool = False) -> None:
        self.info = SourceInfo("two", "pipe" if live else "file", live, 24_000, 2)
        self.given = 0
        self.closed = False
        self.all_given = asyncio.Event()
        self._error = error
        self._endless = endless
        self._stopped = asyncio.Event()

    async def blocks(self) -> AsyncIterator[Block]:
        """Yield the audio, with a hole of seven frames in the middle."""
        for at in range(0, len(FRAMES), PIECE):
            if self._stopped.is_set():
                return
            self.given += 1
            yield Block(FRAMES[at : at + PIECE].tobytes(), 7 if at == 10 * PIECE else 0)
        self.all_given.set()
        if self._error is not None:
            raise self._error
        if self._endless:
            await self._stopped.wait()

    def stop(self) -> None:
        """End the blocks."""
        self._stopped.set()

    async def aclose(self) -> None:
        """Record the call."""
        self.closed = True


class Flood(Two):
    """A live source with more blocks than the queue of a side holds."""

    async def blocks(self) -> AsyncIterator[Block]:
        """Yield one frame per block."""
        for _ in range(BLOCKS):
            yield Block(FRAMES[:1].tobytes())
        self.all_given.set()


def split(source: Two) -> tuple[Split, asyncio.Task[None]]:
    """A running split over an open source."""

    async def opened(_rate_hz: int, _warn: Warn) -> Two:
        return source

    both = Split(opened)
    return both, asyncio.create_task(both.run(24_000, lambda *_: None))


async def read(side: Side) -> list[Block]:
    """All blocks of a side."""
    await side.open(24_000, lambda *_: None)
    return [block async for block in side.blocks()]


def whole(blocks: list[Block], channel: int) -> bool:
    """True if the blocks are the complete channel with the hole at its position."""
    pcm = b"".join(block.pcm for block in blocks)
    return pcm == FRAMES[:, channel].tobytes() and [block.lost for block in blocks if block.lost] == [7]


@pytest.mark.parametrize("live", [False, True])
def test_each_side_has_its_channel(*, live: bool) -> None:
    """Each side yields its channel exactly, holes included; the source is closed at the end."""

    async def test() -> None:
        source = Two(live=live)
        both, running = split(source)
        heard = await asyncio.gather(*(read(side) for side in both.sides))
        await running
        assert [whole(blocks, channel) for channel, blocks in enumerate(heard)] == [True, True]
        assert source.closed

    run(test())


def test_a_file_waits_for_the_slower_side() -> None:
    """A side that is not read blocks the other one after a few blocks."""

    async def test() -> None:
        source = Two()
        both, running = split(source)
        left, right = both.sides
        fast = asyncio.create_task(read(left))
        for _ in range(100):
            await asyncio.sleep(0)
        assert 2 <= source.given <= 4
        assert not fast.done()
        slow = await read(right)
        assert whole(await fast, 0)
        assert whole(slow, 1)
        await running

    run(test())


def test_a_closed_side_does_not_block_the_other() -> None:
    """After aclose() of one side the other one still yields everything."""

    async def test() -> None:
        both, running = split(Two())
        left, right = both.sides
        await left.open(24_000, lambda *_: None)
        async for _ in left.blocks():
            break
        await left.aclose()
        assert whole(await read(right), 1)
        await running

    run(test())


def test_a_reader_that_is_cancelled_does_not_break_the_source() -> None:
    """After a reader is cancelled while it waits, the other side still yields everything."""

    async def test() -> None:
        source = Two(live=True, endless=True)
        both, running = split(source)
        left, right = both.sides
        waiting, going_on = asyncio.create_task(read(left)), asyncio.create_task(read(right))
        await source.all_given.wait()
        waiting.cancel()
        await asyncio.wait([waiting])
        await left.aclose()
        right.stop()
        assert whole(await going_on, 1)
        await running

    run(test())


def test_a_live_source_stops_when_both_sides_do() -> None:
    """A stopped side yields the audio of a live source until both sides are stopped."""

    async def test() -> None:
        source = Two(live=True, endless=True)
        both, running = split(source)
        reading = [asyncio.create_task(read(side)) for side in both.sides]
        both.sides[0].stop()
        await source.all_given.wait()
        assert not any(task.done() for task in reading)
        both.sides[1].stop()
        heard = await asyncio.gather(*reading)
        assert [whole(blocks, channel) for channel, blocks in enumerate(heard)] == [True, True]
        await running

    run(test())


def test_loss_at_the_end_is_reported() -> None:
    """A reader that is too late: every frame is in a block or counted as lost."""

    async def test() -> None:
        source = Flood(live=True)
        both, running = split(source)
        await running
        for side in both.sides:
            blocks = await read(side)
            lost = sum(block.lost for block in blocks)
            assert lost
            assert sum(len(block.pcm) // 2 for block in blocks) + lost == BLOCKS

    run(test())


@pytest.mark.parametrize("error", [AudioError("broken"), ValueError("a bug")])
def test_a_source_that_breaks(error: Exception) -> None:
    """Both sides yield all audio before the error, then raise it."""

    async def test() -> None:
        both, running = split(Two(error=error))
        for result in await asyncio.gather(*(read(side) for side in both.sides), return_exceptions=True):
            assert result is error
        await running

    run(test())


def test_a_source_that_does_not_open() -> None:
    """Both sides raise the error of opening the source."""

    async def refused(_rate_hz: int, _warn: Warn) -> Two:
        raise AudioError("no such device")

    async def test() -> None:
        both = Split(refused)
        running = asyncio.create_task(both.run(24_000, lambda *_: None))
        for side in both.sides:
            with pytest.raises(AudioError, match="no such device"):
                await side.open(24_000, lambda *_: None)
        await running

    run(test())


def test_cancelling_ends_everything() -> None:
    """Cancelling run() closes the source and ends both readers."""

    async def test() -> None:
        source = Two(live=True, endless=True)
        both, running = split(source)
        reading = [asyncio.create_task(read(side)) for side in both.sides]
        await source.all_given.wait()
        running.cancel()
        await asyncio.wait([running])
        assert source.closed
        await asyncio.gather(*reading)

    run(test())
