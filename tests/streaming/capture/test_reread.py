"""Acknowledged audio that left the tape comes back from its file after a lost connection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_cli.audio.source import Block, SourceInfo
from rt_cli.clock import SystemClock
from rt_cli.errors import AudioError
from rt_cli.streaming.capture.capture import TapeFeeder
from rt_cli.streaming.timing.change_signal import ChangeSignal
from rt_cli.timeline.tape import Hole, Tape
from tests.fakes import run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

RATE = 1000
LENGTH = 60 * RATE


def numbered(start: int, end: int) -> bytes:
    """Samples with the value of their position."""
    return b"".join(at.to_bytes(2, "little") for at in range(start, end))


class NumberedFile:
    """A file whose samples are their positions; it fails at ``broken_at``, if that is before its end."""

    def __init__(self, *, broken_at: int = LENGTH, sizes: Sequence[int] = (700,), lost: range = range(0)) -> None:
        self.info = SourceInfo("numbers", "file", live=False, rate_hz=RATE, channels=1)
        self.closed = False
        self._broken_at = broken_at
        self._sizes = sizes
        self._lost = lost

    async def blocks(self) -> AsyncIterator[Block]:
        """Yield the audio in blocks of the sizes, in turns."""
        at, number = 0, 0
        while at < LENGTH:
            if at >= self._broken_at:
                raise AudioError("broken")
            if at == self._lost.start and self._lost:
                at = self._lost.stop
                yield Block(b"", len(self._lost), "overflow")
            end = min(LENGTH, at + self._sizes[number % len(self._sizes)])
            if at < self._lost.start < end:
                end = self._lost.start
            yield Block(numbered(at, end))
            at, number = end, number + 1
            await asyncio.sleep(0)

    def stop(self) -> None:
        """Nothing to stop."""

    async def aclose(self) -> None:
        """Note it."""
        self.closed = True


class Delivery:
    """A feeder with a tape that has room for ten seconds, and an endpoint that acknowledges all it is sent."""

    def __init__(self, *files: NumberedFile) -> None:
        self.tape = Tape(RATE, limit_bytes=2 * 10 * RATE)
        self.changed = ChangeSignal()
        self.holes: list[Hole] = []
        self.files = list(files)
        self.opened = iter(files[1:])
        self.feeder = TapeFeeder(
            files[0],
            self.tape,
            SystemClock(),
            self.changed,
            speed=float("inf"),
            piece_s=1,
            limit_s=None,
            on_hole=self.holes.append,
            reopen=self.reopen if len(files) > 1 else None,
        )

    async def reopen(self) -> NumberedFile:
        """Open the next file."""
        return next(self.opened)

    async def send(self, upto: int) -> bytes:
        """Send and acknowledge the audio up to a position; give up what the tape gives up. Return what was sent."""
        sent = b""
        tape = self.tape
        while tape.sent < upto:
            await self.changed.wait_until(lambda: tape.readable > tape.sent)
            end = min(upto, tape.readable)
            if tape.sent < tape.oldest:
                end = min(end, tape.oldest)
            else:
                sent += tape.read(tape.sent, end)
            tape.mark_sent(end)
            tape.mark_acknowledged(end)
            self.changed.notify()
            await asyncio.sleep(0)
        return sent


def test_a_file_is_read_again_without_a_hole() -> None:
    """Twice: all of it is sent again from settled on, and each file is closed."""

    async def scenario() -> Delivery:
        delivery = Delivery(NumberedFile(), NumberedFile(sizes=(1, 5000, 33)), NumberedFile())
        capturing = asyncio.create_task(delivery.feeder.run())
        rereading = asyncio.create_task(delivery.feeder.reread())
        assert await delivery.send(40 * RATE) == numbered(0, 40 * RATE)
        assert delivery.tape.ledger().dropped == 0
        delivery.tape.settle(3210)
        delivery.feeder.rewind()
        assert await delivery.send(20 * RATE) == numbered(3210, 20 * RATE)
        delivery.feeder.rewind()
        assert await delivery.send(LENGTH) == numbered(3210, LENGTH)
        delivery.tape.settle(LENGTH)
        await capturing
        rereading.cancel()
        await asyncio.wait((rereading,))
        return delivery

    delivery = run(scenario())
    assert (delivery.holes, delivery.tape.dropped) == ([], 0)
    assert all(file.closed for file in delivery.files[1:])


@pytest.mark.parametrize("files", [1, 2])
def test_what_cannot_be_read_again_is_a_hole(files: int) -> None:
    """A pipe from settled on, a file that is broken now from there on; both are reported."""

    async def scenario() -> Delivery:
        delivery = Delivery(NumberedFile(), *[NumberedFile(broken_at=7000)] * (files - 1))
        capturing = asyncio.create_task(delivery.feeder.run())
        rereading = asyncio.create_task(delivery.feeder.reread())
        await delivery.send(40 * RATE)
        delivery.tape.settle(1000)
        delivery.feeder.rewind()
        await delivery.send(LENGTH)
        await capturing
        rereading.cancel()
        await asyncio.wait((rereading,))
        return delivery

    delivery = run(scenario())
    (hole,) = delivery.holes
    assert hole.reason == "full"
    assert hole.start == (1000 if files == 1 else 7000)
    assert 29_000 <= hole.end <= 40_000
    assert delivery.tape.ledger().dropped == hole.end - hole.start
    assert delivery.tape.ledger().balanced


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 9000), min_size=1, max_size=4),
    settled=st.integers(0, 39_999),
    lost=st.integers(1, 20_000),
    again=st.lists(st.integers(0, 30_000), max_size=2),
)
def test_any_blocks_gaps_and_losses(sizes: list[int], settled: int, lost: int, again: list[int]) -> None:
    """What is sent again is what was sent before, whatever the blocks and wherever the connections are lost."""
    gap = range(lost, lost + 500)

    async def scenario() -> None:
        more = [NumberedFile(sizes=sizes, lost=gap) for _ in range(3)]
        delivery = Delivery(NumberedFile(lost=gap), *more)
        expected = numbered(0, gap.start) + bytes(2 * len(gap)) + numbered(gap.stop, LENGTH)
        capturing = asyncio.create_task(delivery.feeder.run())
        rereading = asyncio.create_task(delivery.feeder.reread())
        assert await delivery.send(40 * RATE) == expected[: 80 * RATE]
        delivery.tape.settle(settled)
        for further in again:
            delivery.feeder.rewind()
            upto = min(LENGTH, settled + further)
            assert await delivery.send(upto) == expected[2 * settled : 2 * upto]
        delivery.feeder.rewind()
        assert await delivery.send(LENGTH) == expected[2 * settled :]
        await capturing
        rereading.cancel()
        await asyncio.wait((rereading,))
        assert [hole.reason for hole in delivery.holes] == ["overflow"]

    run(scenario(), seconds=60)
