"""From a source onto the tape: the pace, the end, the limit, and the room."""

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
    """A source of given blocks, and of an error at the end if there is one."""

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
        """Nothing to let go of."""


class Setting:
    """A capture and what it works with."""

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

    async def until_still(self) -> None:
        """Let everything happen that can."""
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
    """Every sample of every block, and then the end."""
    setting = run(captured(Blocks(Block(SOUND[: 4001 * 2]), Block(b""), Block(SOUND[4001 * 2 :]))))
    assert setting.tape.read(0, setting.tape.captured) == SOUND
    assert setting.capture.ended
    assert not setting.capture.truncated


@pytest.mark.parametrize(("speed", "seconds"), [(1, 2.0), (2, 1.0), (0.5, 4.0), (math.inf, 0.0)])
def test_pace(speed: float, seconds: float) -> None:
    """Two seconds of sound take as long as was asked for, to the tick."""
    setting = run(captured(Blocks(Block(SOUND), Block(SOUND)), speed=speed))
    assert setting.clock.now() - 100.0 == pytest.approx(seconds)


def test_pace_is_kept_against_absolute_deadlines() -> None:
    """A block that comes late is caught up with; lateness does not add up."""

    class Late(Blocks):
        async def blocks(self) -> AsyncIterator[Block]:
            async for block in super().blocks():
                setting.clock.time += 0.7
                yield block

    setting = Setting(Late(*[Block(SOUND)] * 3), speed=1)
    run(setting.capture.run())
    assert setting.clock.now() - 100.0 == pytest.approx(3.0)


def test_live_source_has_its_own_pace() -> None:
    """What is live is taken when it comes, whatever speed was asked for."""
    setting = run(captured(Blocks(Block(SOUND), live=True), speed=1))
    assert setting.clock.now() == 100.0


@pytest.mark.parametrize("live", [False, True])
def test_limit(*, live: bool) -> None:
    """``--duration`` is kept to the sample, and is no interruption."""
    setting = run(captured(Blocks(Block(SOUND), Block(SOUND), live=live), limit_s=1.3))
    assert setting.tape.captured == 31_200
    assert setting.capture.ended
    assert not setting.capture.truncated


def test_source_that_can_wait_waits() -> None:
    """While more than a few seconds are unsent, nothing more is taken; when they are sent, it goes on."""

    async def scenario() -> tuple[int, int]:
        setting = Setting(Blocks(*[Block(SOUND)] * 20))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(setting.capture.run())
            await setting.until_still()
            full = setting.tape.captured
            while not setting.capture.ended:
                setting.tape.mark_sent(setting.tape.captured)
                setting.changed.notify()
                await setting.until_still()
        return full, setting.tape.captured

    full, everything = run(scenario())
    assert LEAD_S * RATE <= full <= (LEAD_S + 1) * RATE
    assert everything == 20 * RATE


def test_live_source_never_waits() -> None:
    """Nothing that is live is lost because nobody sends."""
    setting = run(captured(Blocks(*[Block(SOUND)] * 20, live=True)))
    assert setting.tape.captured == 20 * RATE


def test_stop_in_the_middle_of_a_file() -> None:
    """What was captured stays; the source was cut short."""

    async def scenario() -> Setting:
        setting = Setting(Blocks(*[Block(SOUND)] * 20))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(setting.capture.run())
            await setting.until_still()
            setting.capture.stop()
            setting.capture.stop()
        return setting

    setting = run(scenario())
    assert setting.capture.ended
    assert setting.capture.truncated
    assert 0 < setting.tape.captured < 20 * RATE


def test_stop_of_a_live_source() -> None:
    """It has no end that could have been cut off; what it still yields is taken."""

    async def scenario() -> Setting:
        setting = Setting(Blocks(Block(SOUND), Block(SOUND), live=True))
        setting.capture.stop()
        await setting.capture.run()
        return setting

    assert not run(scenario()).capture.truncated


def test_loss_is_a_hole() -> None:
    """Samples that a source lost take their place on the timeline and are told."""
    setting = run(captured(Blocks(Block(SOUND), Block(SOUND, lost=480, reason="overflow"), live=True)))
    assert setting.holes == [Hole(RATE, RATE + 480, "overflow")]
    assert setting.tape.captured == 2 * RATE + 480
    assert setting.tape.read(RATE + 480, 2 * RATE + 480) == SOUND


def test_a_long_gap_is_told_at_its_beginning_and_at_its_end() -> None:
    """A device that is away reports ten times a second; nobody wants to hear that."""
    away = [Block(b"", lost=2400, reason="device_lost")] * 50
    setting = run(captured(Blocks(Block(SOUND), *away, Block(SOUND), live=True)))
    end = RATE + 50 * 2400

    assert setting.holes == [Hole(RATE, RATE + 2400, "device_lost"), Hole(RATE + 2400, end, "device_lost")]
    assert setting.tape.dropped == 50 * 2400


def test_a_gap_at_the_end_is_told() -> None:
    """A device that never comes back."""
    away = [Block(b"", lost=2400, reason="device_lost")] * 3
    setting = run(captured(Blocks(*away, live=True)))

    assert setting.holes == [Hole(0, 2400, "device_lost"), Hole(2400, 7200, "device_lost")]


def test_source_that_breaks() -> None:
    """What came before stays, and the reason is known; that is no interruption."""
    error = AudioError("the device is gone")
    setting = run(captured(Blocks(Block(SOUND), error=error)))
    assert setting.capture.error is error
    assert setting.tape.captured == RATE
    assert not setting.capture.truncated


def test_levels_are_of_the_loudest_since_the_last_look() -> None:
    """A look takes them; silence follows."""
    loud = struct.pack("<h", 32_767) * 2400
    setting = run(captured(Blocks(Block(bytes(4800)), Block(loud), Block(bytes(4800)), live=True)))
    rms, peak = setting.capture.take_levels()
    assert rms == pytest.approx(0, abs=0.01)
    assert peak == pytest.approx(0, abs=0.01)
    assert setting.capture.take_levels()[1] < -90


def test_heard_at() -> None:
    """When a sample was captured, to a tenth of a second; unknown for what is still to come."""
    setting = run(captured(Blocks(*[Block(SOUND)] * 3), speed=1))
    for second in (0.5, 1.0, 2.9):
        assert setting.capture.heard_at(round(second * RATE)) == pytest.approx(100 + second, abs=0.11)
    assert setting.capture.heard_at(3 * RATE + 1) is None


def test_stop_is_not_held_up_by_a_slow_pace() -> None:
    """A tenth of a second that takes ten: who stops does not wait for it."""

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


def test_what_others_have_spent_meanwhile_is_not_spent_again() -> None:
    """There was room before the wait for the pace, and less than none after it: nothing is captured."""

    async def scenario() -> None:
        allowed = iter([RATE])
        setting = Setting(Blocks(Block(SOUND)), speed=1.0, allowance=lambda: next(allowed, -RATE / 20))
        await setting.capture.run()
        assert setting.capture.spent
        assert setting.tape.captured == 0

    run(scenario())
