"""A microphone that goes away and comes back, with one from memory and a clock that jumps."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_cli.audio.microphone.input_health import InputHealth
from rt_cli.audio.microphone.reconnecting import MARGIN_S, TICK_S, Gap, ReconnectingMicrophone
from rt_cli.audio.source import Block, SourceInfo
from rt_cli.errors import AudioError
from tests.fakes import FakeClock, run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

RATE_HZ = 24_000
BLOCK = b"\1\0" * 960
"""40 ms."""


class OrderedClock(FakeClock):
    """Of several sleepers the one with the first deadline wakes first."""

    def __init__(self) -> None:
        super().__init__()
        self._deadlines: list[float] = []
        self._sleeps = 0

    async def sleep_until(self, deadline: float) -> None:
        """Jump to the deadline, once all that comes before it has happened."""
        self._deadlines.append(deadline)
        self._sleeps += 1
        try:
            while self.time < deadline:
                before = self._sleeps, self.time
                for _ in range(10):
                    await asyncio.sleep(0)
                if deadline == min(self._deadlines) and before == (self._sleeps, self.time):
                    self.time = max(self.time, deadline)
        finally:
            self._deadlines.remove(deadline)


class Scripted:
    """A microphone that gives so many blocks of 40 ms, and then is lost, or goes on until it is stopped."""

    def __init__(self, clock: FakeClock, blocks: int, *, lost: bool = True, sounds: bool = True) -> None:
        self.info = SourceInfo("test microphone", "microphone", live=True, rate_hz=RATE_HZ, channels=1)
        self.began_at = clock.now() if sounds else None
        self.last_at = clock.now()
        self.closed = 0
        self.stopped = asyncio.Event()
        self._clock = clock
        self._blocks = blocks
        self._lost = lost

    async def blocks(self) -> AsyncIterator[Block]:
        """Yield them."""
        for _ in range(self._blocks):
            self.last_at += 0.04
            self._clock.time = max(self._clock.time, self.last_at)
            yield Block(BLOCK)
        if self._lost:
            self._clock.time += 1.0
            raise AudioError("no callbacks", "plug it in", code="device_lost")
        await self.stopped.wait()

    def stop(self) -> None:
        """End it."""
        self.stopped.set()

    async def aclose(self) -> None:
        """Count."""
        self.closed += 1


@dataclass
class Story:
    """A microphone with a script, and what came of it."""

    clock: FakeClock = field(default_factory=OrderedClock)
    attempts: list[float] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)
    devices: list[Scripted] = field(default_factory=list)
    yielded: list[Block] = field(default_factory=list)
    error: AudioError | None = None

    def device(self, blocks: int, *, lost: bool = True, sounds: bool = True) -> Scripted:
        """One that is there."""
        self.devices.append(Scripted(self.clock, blocks, lost=lost, sounds=sounds))
        return self.devices[-1]

    def source(
        self, answers: list[Callable[[], Scripted] | None], *, retry_for_s: float = 600
    ) -> ReconnectingMicrophone:
        """The source under test, which captured two blocks before it is lost; ``None`` is an attempt that fails."""
        answers = list(answers)

        async def reopen() -> Scripted:
            self.attempts.append(self.clock.now())
            answer = answers.pop(0) if answers else None
            await asyncio.sleep(0)
            if answer is None:
                raise AudioError("not there", code="no_such_device")
            return answer()

        return ReconnectingMicrophone(
            self.device(2),
            reopen,
            rate_hz=RATE_HZ,
            warn=lambda *warning: self.told.append(warning),
            health=InputHealth(RATE_HZ, "Linux"),
            clock=self.clock,
            retry_for_s=retry_for_s,
        )

    async def read(self, source: ReconnectingMicrophone, *, stop: Callable[[Block], bool] = lambda _: False) -> None:
        """Read to the end; stop at the first block for which ``stop`` says so."""
        try:
            async for block in source.blocks():
                self.yielded.append(block)
                if stop(block):
                    source.stop()
        except AudioError as error:
            self.error = error
        finally:
            await source.aclose()

    @property
    def lost(self) -> int:
        """Samples."""
        return sum(block.lost for block in self.yielded)

    @property
    def codes(self) -> list[str]:
        """Of what was told."""
        return [code for code, _ in self.told]


def third(block: Block) -> bool:
    """The block that only the second device gives."""
    return block.pcm == BLOCK * 2


def back(story: Story, blocks: int = 3) -> Callable[[], Scripted]:
    """A device that is back and stays; it is stopped by its own end."""

    def opened() -> Scripted:
        device = story.device(blocks, lost=False)
        device.stopped.set()
        return device

    return opened


def test_back_after_failures() -> None:
    """Sound, gap, sound: the gap is exactly the time between the last sample and the first new one."""
    story = Story()
    run(story.read(story.source([None, None, back(story)])))

    first, second = story.devices
    assert second.began_at is not None
    assert story.lost == round((second.began_at - 100.08) * RATE_HZ)
    assert [block.pcm for block in story.yielded if block.pcm] == [BLOCK] * 5
    assert {block.reason for block in story.yielded if block.lost} == {"device_lost"}
    assert (first.closed, second.closed) == (1, 1)


def test_gap_grows_in_real_time() -> None:
    """While the device is away, silence comes in pieces of a fraction of a second."""
    story = Story()
    run(story.read(story.source([None] * 30 + [back(story)])))
    holes = [block.lost / RATE_HZ for block in story.yielded if block.lost]

    # The first also holds what passed before the loss was noticed.
    assert holes[0] == pytest.approx(1.0 - MARGIN_S)
    assert max(holes[1:]) <= 2 * TICK_S


def test_tried_every_second() -> None:
    """The first attempt is at once, the next ones a second apart."""
    story = Story()
    run(story.read(story.source([None] * 9 + [back(story)])))
    steps = [after - before for before, after in pairwise(story.attempts)]

    assert story.attempts[0] == pytest.approx(101.08)
    assert steps == pytest.approx([1.0] * 9)


def test_told() -> None:
    """People hear that it is gone, and that it is back after how long."""
    story = Story()
    run(story.read(story.source([None, back(story)])))

    assert story.codes == ["device_lost", "device_back"]
    assert story.told[0][1] == 'the microphone "test microphone" is gone: waiting for it'
    assert f"is back after {story.lost / RATE_HZ:.1f} s" in story.told[1][1]


def test_gives_up() -> None:
    """A device that stays away ends the source, after its gap."""
    story = Story()
    run(story.read(story.source([], retry_for_s=5)))

    assert story.error is not None
    assert (story.error.code, story.error.exit_code) == ("device_lost", 3)
    assert story.lost / RATE_HZ == pytest.approx(6)


def test_no_patience() -> None:
    """Without a budget the loss is the end, at once."""
    story = Story()
    run(story.read(story.source([back(story)], retry_for_s=0)))

    assert story.error is not None
    assert (story.error.code, story.lost, story.told) == ("device_lost", 0, [])


def test_other_errors_pass() -> None:
    """What is no lost device is not waited for."""

    class Broken(Scripted):
        async def blocks(self) -> AsyncIterator[Block]:
            yield Block(BLOCK)
            raise AudioError("broken")

    story = Story()
    source = story.source([back(story)])
    source._device = Broken(story.clock, 0)
    run(story.read(source))

    assert story.error is not None
    assert (story.error.code, story.attempts) == ("audio_input", [])


def test_lost_again() -> None:
    """Each outage has a gap and a budget of its own."""
    story = Story()
    answers = [*[None] * 4, lambda: story.device(1), *[None] * 4, back(story)]
    run(story.read(story.source(answers, retry_for_s=8)))

    assert story.error is None
    assert story.codes == ["device_lost", "device_back"] * 2
    assert len([block for block in story.yielded if block.pcm]) == 2 + 1 + 3


def test_silent_device_is_not_back() -> None:
    """One that opens and never sounds is closed, and tried again."""
    story = Story()
    run(story.read(story.source([lambda: story.device(0, sounds=False), back(story)])))

    assert [device.closed for device in story.devices] == [1, 1, 1]
    assert story.codes == ["device_lost", "device_back"]


def test_stop_while_away() -> None:
    """Stopped while the device is away, the source ends with the gap so far, and searches no more."""
    story = Story()
    run(story.read(story.source([]), stop=lambda block: block.lost > 0))
    tried = len(story.attempts)

    assert story.error is None
    assert story.lost / RATE_HZ == pytest.approx(1.0)
    assert tried <= 1


def test_stop_while_there() -> None:
    """Stopped while the second device gives sound, the source ends when that device does."""
    story = Story()

    async def scenario() -> None:
        source = story.source([lambda: story.device(1, lost=False)])
        await story.read(source, stop=lambda block: bool(block.pcm) and len(story.devices) > 1)

    run(scenario())
    assert story.error is None
    assert story.devices[1].stopped.is_set()
    assert story.devices[1].closed == 1


def test_close_while_opening() -> None:
    """A device that is just being opened when the reader goes is not left open, and nothing waits for it."""
    story = Story()

    async def scenario() -> None:
        source = story.source([])
        opening = asyncio.Event()

        async def for_ever() -> Scripted:
            opening.set()
            await asyncio.Event().wait()
            raise AssertionError

        source._reopen = for_ever
        reading = asyncio.create_task(story.read(source))
        await opening.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await source.aclose()
        assert len(asyncio.all_tasks()) == 1

    run(scenario())


def test_health_is_told() -> None:
    """What the sound is like is told the same way."""
    story = Story()

    async def scenario() -> None:
        device = story.device(0, lost=False)
        device.stopped.set()
        source = story.source([])
        source._device = device
        source._health.take(bytes(9_600))
        await story.read(source)

    run(scenario())
    assert story.codes == ["silent_input"]


@given(st.lists(st.floats(0, 600), max_size=30), st.floats(0, 1e6))
def test_gap_is_exact(moments: list[float], began_at: float) -> None:
    """In however many pieces a gap is told, in any order, it is as long as its last moment says."""
    gap = Gap(began_at, RATE_HZ)
    lost = sum(block.lost for moment in moments for block in gap.until(began_at + moment - MARGIN_S))

    assert lost == max([0, *(round((began_at + moment - MARGIN_S - began_at) * RATE_HZ) for moment in moments)])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), max_size=5))
def test_timeline_stays_true(outages: list[tuple[int, int]]) -> None:
    """After any outages, the timeline is as long as the time from the first sample to the last."""
    story = Story()
    answers: list[Callable[[], Scripted] | None] = []
    for failures, blocks in outages:
        answers += [None] * failures
        answers.append(partial(story.device, blocks))
    run(story.read(story.source([*answers, back(story)])))

    captured = sum(len(block.pcm) // 2 + block.lost for block in story.yielded)
    assert story.error is None
    assert captured == pytest.approx((story.devices[-1].last_at - 100) * RATE_HZ, abs=10)
