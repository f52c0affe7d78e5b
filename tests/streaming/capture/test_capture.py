"""TapeFeeder: pace, end, limits, and room on the tape."""

from __future__ import annotations

import asyncio
import math
import struct
from typing import TYPE_CHECKING

import pytest

from rt_cli.audio.source import Block, SourceInfo
from rt_cli.errors import AudioError
from rt_cli.streaming.capture.capture import LEAD_S, TapeFeeder
from rt_cli.streaming.timing.change_signal import ChangeSignal
from rt_cli.timeline.tape import Hole, Tape
from tests.fakes import FakeClock, run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

RATE = 24_000
SOUND = struct.pack("<24000h", *(at % 20_000 - 10_000 for at in range(RATE)))
"""A second."""


class Blocks:
    """A source of fixed blocks, optionally with an error at its end."""

    def __init__(self, *blocks: Block, live: bool = False, error: AudioError | None = None) -> None:
        self.info = SourceInfo("test", "microphone" if live else "file", live, RATE, 1)
        self.stopped = False
        self._blocks = blocks
        self._error = error

    async def blocks(self) -> AsyncIterator[Block]:
        """Yield them."""
        for block in self._blocks:
            if self.stopped:
                return
            yield block
            await asyncio.sleep(0)
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """End it."""
        self.stopped = True

    async def aclose(self) -> None:
        """Nothing to close."""


class Setting:
    """A feeder with its source, tape and clock."""

    def __init__(
        self,
        source: Blocks,
        *,
        speed: float = math.inf,
        limit_s: float | None = None,
        allowance: Callable[[], float] | None = None,
    ) -> None:
        self.clock = FakeClock()
        self.changed = ChangeSignal()
        self.tape = Tape(RATE)
        self.holes: list[Hole] = []
        self.capture = TapeFeeder(
            source,
            self.tape,
            self.clock,
            self.changed,
            speed=speed,
            piece_s=0.1,
            limit_s=limit_s,
            on_hole=self.holes.append,
            allowance=allowance,
        )

    async def settle(self) -> None:
        """Run the loop until no task can go on."""
        before = -1
        while before != self.tape.captured:
            before = self.tape.captured
            for _ in range(20):
                await asyncio.sleep(0)


async def captured(source: Blocks, *, speed: float = math.inf, limit_s: float | None = None) -> Setting:
    """Capture to the end."""
    setting = Setting(source, speed=speed, limit_s=limit_s)
    await setting.capture.run()
    return setting


def test_everything_in_order() -> None:
    """The tape holds every sample of every block, then the feeder ends."""
    setting = run(captured(Blocks(Block(SOUND[: 4001 * 2]), Block(b""), Block(SOUND[4001 * 2 :]))))
    assert setting.tape.read(0, setting.tape.captured) == SOUND
    assert setting.capture.ended
    assert not setting.capture.truncated


@pytest.mark.parametrize(("speed", "seconds"), [(1, 2.0), (2, 1.0), (0.5, 4.0), (math.inf, 0.0)])
def test_pace(speed: float, seconds: float) -> None:
    """Two seconds of audio take the time that the speed demands, to the tick."""
    setting = run(captured(Blocks(Block(SOUND), Block(SOUND)), speed=speed))
    assert setting.clock.now() - 100.0 == pytest.approx(seconds)


def test_pace_is_kept_against_absolute_deadlines() -> None:
    """The feeder catches up after a late block; delays do not add up."""

    class Late(Blocks):
        async def blocks(self) -> AsyncIterator[Block]:
            async for block in super().blocks():
                setting.clock.time += 0.7
                yield block

    setting = Setting(Late(*[Block(SOUND)] * 3), speed=1)
    run(setting.capture.run())
    assert setting.clock.now() - 100.0 == pytest.approx(3.0)


def test_live_source_has_its_own_pace() -> None:
    """Audio of a live source is appended on arrival, whatever the speed."""
    setting = run(captured(Blocks(Block(SOUND), live=True), speed=1))
    assert setting.clock.now() == 100.0


@pytest.mark.parametrize("live", [False, True])
def test_limit(*, live: bool) -> None:
    """``--duration`` is exact to the sample, and the source does not count as truncated."""
    setting = run(captured(Blocks(Block(SOUND), Block(SOUND), live=live), limit_s=1.3))
    assert setting.tape.captured == 31_200
    assert setting.capture.ended
    assert not setting.capture.truncated


def test_source_that_can_wait_waits() -> None:
    """Capture pauses while more than a few seconds are unsent, and goes on afterwards."""

    async def scenario() -> tuple[int, int]:
        setting = Setting(Blocks(*[Block(SOUND)] * 20))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(setting.capture.run())
            await setting.settle()
            full = setting.tape.captured
            while not setting.capture.ended:
                setting.tape.mark_sent(setting.tape.captured)
                setting.changed.notify()
                await setting.settle()
        return full, setting.tape.captured

    full, everything = run(scenario())
    assert LEAD_S * RATE <= full <= (LEAD_S + 1) * RATE
    assert everything == 20 * RATE


def test_live_source_never_waits() -> None:
    """A live source loses no audio while nothing is sent."""
    setting = run(captured(Blocks(*[Block(SOUND)] * 20, live=True)))
    assert setting.tape.captured == 20 * RATE


def test_stop_in_the_middle_of_a_file() -> None:
    """The captured audio stays, and the source counts as truncated."""

    async def scenario() -> Setting:
        setting = Setting(Blocks(*[Block(SOUND)] * 20))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(setting.capture.run())
            await setting.settle()
            setting.capture.stop()
            setting.capture.stop()
        return setting

    setting = run(scenario())
    assert setting.capture.ended
    assert setting.capture.truncated
    assert 0 < setting.tape.captured < 20 * RATE


def test_stop_of_a_live_source() -> None:
    """A live source cannot be truncated; audio that it still yields is captured."""

    async def scenario() -> Setting:
        setting = Setting(Blocks(Block(SOUND), Block(SOUND), live=True))
        setting.capture.stop()
        await setting.capture.run()
        return setting

    assert not run(scenario()).capture.truncated


def test_loss_is_a_hole() -> None:
    """Samples that a source lost keep their place on the timeline and are reported."""
    setting = run(captured(Blocks(Block(SOUND), Block(SOUND, lost=480, reason="overflow"), live=True)))
    assert setting.holes == [Hole(RATE, RATE + 480, "overflow")]
    assert setting.tape.captured == 2 * RATE + 480
    assert setting.tape.read(RATE + 480, 2 * RATE + 480) == SOUND


@pytest.mark.parametrize("live", [True, False])
def test_a_loss_ends_at_the_limit(*, live: bool) -> None:
    """What lies behind ``--duration`` was not asked for."""
    blocks = Blocks(Block(SOUND), Block(SOUND, lost=10 * RATE, reason="damaged"), live=live)
    setting = run(captured(blocks, limit_s=2.5))
    assert setting.holes == [Hole(RATE, 2 * RATE + RATE // 2, "damaged")]
    assert setting.tape.captured == 2 * RATE + RATE // 2


def test_a_loss_behind_a_suspend_beyond_the_limit_takes_nothing_back() -> None:
    """The machine was suspended for longer than ``--duration``, and the device lost sound before."""

    async def scenario() -> Setting:
        setting = Setting(Blocks(Block(SOUND), Block(b"", lost=480, reason="device_lost"), live=True), limit_s=2.5)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(setting.capture.run())
            await asyncio.sleep(0)
            setting.capture.add_suspend_gap(10)
        return setting

    setting = run(scenario())
    assert setting.holes == [Hole(RATE, 11 * RATE, "suspended")]
    assert setting.tape.captured == 11 * RATE


def test_a_long_gap_is_reported_at_its_start_and_at_its_end() -> None:
    """A missing device reports ten times a second, the feeder only twice."""
    away = [Block(b"", lost=2400, reason="device_lost")] * 50
    setting = run(captured(Blocks(Block(SOUND), *away, Block(SOUND), live=True)))
    end = RATE + 50 * 2400

    assert setting.holes == [Hole(RATE, RATE + 2400, "device_lost"), Hole(RATE + 2400, end, "device_lost")]
    assert setting.tape.dropped == 50 * 2400


def test_a_gap_at_the_end_is_reported() -> None:
    """The device never comes back."""
    away = [Block(b"", lost=2400, reason="device_lost")] * 3
    setting = run(captured(Blocks(*away, live=True)))

    assert setting.holes == [Hole(0, 2400, "device_lost"), Hole(2400, 7200, "device_lost")]


def test_source_that_fails() -> None:
    """The audio before the error stays and the error is kept; the source does not count as truncated."""
    error = AudioError("the device is gone")
    setting = run(captured(Blocks(Block(SOUND), error=error)))
    assert setting.capture.error is error
    assert setting.tape.captured == RATE
    assert not setting.capture.truncated


def test_levels_are_of_the_loudest_piece_since_the_last_call() -> None:
    """``take_levels`` resets the levels to silence."""
    loud = struct.pack("<h", 32_767) * 2400
    setting = run(captured(Blocks(Block(bytes(4800)), Block(loud), Block(bytes(4800)), live=True)))
    rms, peak = setting.capture.take_levels()
    assert rms == pytest.approx(0, abs=0.01)
    assert peak == pytest.approx(0, abs=0.01)
    assert setting.capture.take_levels()[1] < -90


def test_captured_at() -> None:
    """The capture time of a sample, to a tenth of a second; None for a sample that is not captured yet."""
    setting = run(captured(Blocks(*[Block(SOUND)] * 3), speed=1))
    for second in (0.5, 1.0, 2.9):
        assert setting.capture.captured_at(round(second * RATE)) == pytest.approx(100 + second, abs=0.11)
    assert setting.capture.captured_at(3 * RATE + 1) is None


def test_stop_does_not_wait_for_a_slow_pace() -> None:
    """A piece of 0.1 s takes 10 s at this speed; ``stop`` ends capture at once."""

    async def scenario() -> None:
        setting = Setting(Blocks(Block(SOUND)), speed=0.01)
        running = asyncio.create_task(setting.capture.run())
        for _ in range(5):
            await asyncio.sleep(0)
        setting.capture.stop()
        stopped = setting.clock.now()
        await running
        assert setting.capture.truncated
        assert stopped > 100  # in the middle of its pace
        assert setting.clock.now() - stopped < 1

    run(scenario())


def test_the_cost_limit_is_checked_again_after_a_wait() -> None:
    """Other sources use up the limit during the wait for the pace: nothing more is captured."""

    async def scenario() -> None:
        allowed = iter([RATE])
        setting = Setting(Blocks(Block(SOUND)), speed=1.0, allowance=lambda: next(allowed, -RATE / 20))
        await setting.capture.run()
        assert setting.capture.cost_limit_hit
        assert setting.tape.captured == 0

    run(scenario())
