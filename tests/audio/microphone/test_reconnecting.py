"""ReconnectingMicrophone with scripted devices and a fake clock."""

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
    from collections.abc import AsyncIterator, Awaitable, Callable

RATE_HZ = 24_000
BLOCK = b"\1\0" * 960
"""40 ms."""


class OrderedClock(FakeClock):
    """A fake clock that wakes several sleepers in the order of their deadlines."""

    def __init__(self) -> None:
        super().__init__()
        self._deadlines: list[float] = []
        self._sleeps = 0

    def wall(self) -> float:
        """Unix time, seconds."""
        return self.now()

    async def sleep_until(self, deadline: float) -> None:
        """Jump to the deadline after all earlier events."""
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
    """A microphone that yields a number of 40 ms blocks and then is lost or ends."""

    def __init__(
        self, clock: FakeClock, blocks: int, *, lost: bool = True, sounds: bool = True, pcm: bytes = BLOCK
    ) -> None:
        self.info = SourceInfo("test microphone", "microphone", live=True, rate_hz=RATE_HZ, channels=1)
        self.began_at = clock.now() if sounds else None
        self.last_at = clock.now()
        self.closed = 0
        self.overflows = 0
        self.stopped = asyncio.Event()
        self._clock = clock
        self._blocks = blocks
        self._lost = lost
        self._pcm = pcm

    async def blocks(self) -> AsyncIterator[Block]:
        """Yield the scripted blocks."""
        for _ in range(self._blocks):
            self.last_at += 0.04
            self._clock.time = max(self._clock.time, self.last_at)
            yield Block(self._pcm)
        if self._lost:
            self._clock.time += 1.0
            raise AudioError("no callbacks", "plug it in", code="device_lost")
        await self.stopped.wait()

    def stop(self) -> None:
        """End the blocks."""
        self.stopped.set()

    async def aclose(self) -> None:
        """Count the calls."""
        self.closed += 1


@dataclass
class Story:
    """A scripted microphone and its results."""

    clock: FakeClock = field(default_factory=OrderedClock)
    attempts: list[float] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)
    devices: list[Scripted] = field(default_factory=list)
    yielded: list[Block] = field(default_factory=list)
    error: AudioError | None = None

    def device(self, blocks: int, *, lost: bool = True, sounds: bool = True, pcm: bytes = BLOCK) -> Scripted:
        """A device that can be opened."""
        self.devices.append(Scripted(self.clock, blocks, lost=lost, sounds=sounds, pcm=pcm))
        return self.devices[-1]

    def source(
        self,
        answers: list[Callable[[], Scripted] | None],
        *,
        first: Scripted | None = None,
        reopen: Callable[[], Awaitable[Scripted]] | None = None,
        retry_for_s: float = 600,
    ) -> ReconnectingMicrophone:
        """The source under test, lost after two blocks or as ``first`` is; a reopening of None is a failed attempt."""
        answers = list(answers)

        async def reopened() -> Scripted:
            self.attempts.append(self.clock.now())
            answer = answers.pop(0) if answers else None
            await asyncio.sleep(0)
            if answer is None:
                raise AudioError("not there", code="no_such_device")
            return answer()

        return ReconnectingMicrophone(
            first or self.device(2),
            reopen or reopened,
            rate_hz=RATE_HZ,
            warn=lambda *warning: self.warnings.append(warning),
            health=InputHealth(RATE_HZ, "Linux"),
            clock=self.clock,
            retry_for_s=retry_for_s,
        )

    async def read(self, source: ReconnectingMicrophone, *, stop: Callable[[Block], bool] = lambda _: False) -> None:
        """Read to the end; call stop() at the first block for which ``stop`` is true."""
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
        """Number of lost samples."""
        return sum(block.lost for block in self.yielded)

    @property
    def codes(self) -> list[str]:
        """Codes of the warnings."""
        return [code for code, _ in self.warnings]


def third(block: Block) -> bool:
    """True for blocks of the second device."""
    return block.pcm == BLOCK * 2


def back(story: Story, blocks: int = 3) -> Callable[[], Scripted]:
    """Opens a returned device that yields its blocks and ends."""

    def opened() -> Scripted:
        device = story.device(blocks, lost=False)
        device.stopped.set()
        return device

    return opened


def test_back_after_failures() -> None:
    """The gap is exactly the time between the last sample and the first new one."""
    story = Story()
    run(story.read(story.source([None, None, back(story)])))

    first, second = story.devices
    assert second.began_at is not None
    assert story.lost == round((second.began_at - 100.08) * RATE_HZ)
    assert [block.pcm for block in story.yielded if block.pcm] == [BLOCK] * 5
    assert {block.reason for block in story.yielded if block.lost} == {"device_lost"}
    assert (first.closed, second.closed) == (1, 1)


def test_gap_grows_in_real_time() -> None:
    """During an outage the gap is reported in parts of a fraction of a second."""
    story = Story()
    run(story.read(story.source([None] * 30 + [back(story)])))
    holes = [block.lost / RATE_HZ for block in story.yielded if block.lost]

    # The first also holds what passed before the loss was noticed.
    assert holes[0] == pytest.approx(1.0 - MARGIN_S)
    assert max(holes[1:]) <= 2 * TICK_S


def test_retry_every_second() -> None:
    """The first attempt is immediate, the next ones follow every second."""
    story = Story()
    run(story.read(story.source([None] * 9 + [back(story)])))
    steps = [after - before for before, after in pairwise(story.attempts)]

    assert story.attempts[0] == pytest.approx(101.08)
    assert steps == pytest.approx([1.0] * 9)


def test_warnings_of_an_outage() -> None:
    """The warnings are ``device_lost`` and ``device_back`` with the length of the outage."""
    story = Story()
    run(story.read(story.source([None, back(story)])))

    assert story.codes == ["device_lost", "device_back"]
    assert story.warnings[0][1] == 'the microphone "test microphone" is gone: waiting for it'
    assert f"is back after {story.lost / RATE_HZ:.1f} s" in story.warnings[1][1]


def test_gives_up() -> None:
    """After retry_for_s without the device the source yields the gap and raises."""
    story = Story()
    run(story.read(story.source([], retry_for_s=5)))

    assert story.error is not None
    assert (story.error.code, story.error.exit_code) == ("device_lost", 3)
    assert story.lost / RATE_HZ == pytest.approx(6)


def test_no_retry() -> None:
    """With retry_for_s=0 a loss raises at once."""
    story = Story()
    run(story.read(story.source([back(story)], retry_for_s=0)))

    assert story.error is not None
    assert (story.error.code, story.lost, story.warnings) == ("device_lost", 0, [])


def test_other_errors_pass() -> None:
    """Errors other than ``device_lost`` are raised at once."""

    class Broken(Scripted):
        async def blocks(self) -> AsyncIterator[Block]:
            yield Block(BLOCK)
            raise AudioError("broken")

    story = Story()
    source = story.source([back(story)], first=Broken(story.clock, 0))
    run(story.read(source))

    assert story.error is not None
    assert (story.error.code, story.attempts) == ("audio_input", [])


def test_lost_again() -> None:
    """Each outage has its own gap and its own deadline."""
    story = Story()
    answers = [*[None] * 4, lambda: story.device(1), *[None] * 4, back(story)]
    run(story.read(story.source(answers, retry_for_s=8)))

    assert story.error is None
    assert story.codes == ["device_lost", "device_back"] * 2
    assert len([block for block in story.yielded if block.pcm]) == 2 + 1 + 3


def test_silent_device_is_not_back() -> None:
    """A reopened device without audio is closed and tried again."""
    story = Story()
    run(story.read(story.source([lambda: story.device(0, sounds=False), back(story)])))

    assert [device.closed for device in story.devices] == [1, 1, 1]
    assert story.codes == ["device_lost", "device_back"]


def test_stop_while_away() -> None:
    """stop() during an outage ends the source with the gap so far and ends the search."""
    story = Story()
    run(story.read(story.source([]), stop=lambda block: block.lost > 0))
    tried = len(story.attempts)

    assert story.error is None
    assert story.lost / RATE_HZ == pytest.approx(1.0)
    assert tried <= 1


def test_stop_after_reopening() -> None:
    """stop() after a reopening ends the source when the second device ends."""
    story = Story()

    async def scenario() -> None:
        source = story.source([lambda: story.device(1, lost=False)])
        await story.read(source, stop=lambda block: bool(block.pcm) and len(story.devices) > 1)

    run(scenario())
    assert story.error is None
    assert story.devices[1].stopped.is_set()
    assert story.devices[1].closed == 1


def test_close_while_opening() -> None:
    """aclose() while the device is being opened closes it and does not wait."""
    story = Story()

    async def scenario() -> None:
        opening = asyncio.Event()

        async def never() -> Scripted:
            opening.set()
            await asyncio.Event().wait()
            raise AssertionError

        source = story.source([], reopen=never)
        reading = asyncio.create_task(story.read(source))
        await opening.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await source.aclose()
        assert len(asyncio.all_tasks()) == 1

    run(scenario())


def test_overflows_are_reported() -> None:
    """Each overflow of unknown length is a warning, also on a device that has been reopened."""

    class Overflowing(Scripted):
        async def blocks(self) -> AsyncIterator[Block]:
            async for block in super().blocks():
                self.overflows += 1
                yield block
                yield block

    story = Story()
    first = Overflowing(story.clock, 2)
    source = story.source([lambda: Overflowing(story.clock, 1), back(story)], first=first)
    run(story.read(source))

    assert story.codes == [
        "overflow",
        "overflow",
        "device_lost",
        "device_back",
        "overflow",
        "device_lost",
        "device_back",
    ]
    assert 'microphone "test microphone" lost sound' in story.warnings[0][1]


def test_health_warnings() -> None:
    """Warnings of InputHealth go to ``warn``."""
    story = Story()

    async def scenario() -> None:
        device = story.device(1, lost=False, pcm=bytes(2 * 48_000))
        device.stopped.set()
        await story.read(story.source([], first=device))

    run(scenario())
    assert story.codes == ["silent_input"]


@given(st.lists(st.floats(0, 600), max_size=30), st.floats(0, 1e6))
def test_gap_is_exact(moments: list[float], began_at: float) -> None:
    """The reported length of a gap is that of its latest time, for any times in any order."""
    gap = Gap(began_at, RATE_HZ)
    lost = sum(block.lost for moment in moments for block in gap.until(began_at + moment - MARGIN_S))

    assert lost == max([0, *(round((began_at + moment - MARGIN_S - began_at) * RATE_HZ) for moment in moments)])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), max_size=5))
def test_length_of_the_timeline_is_exact(outages: list[tuple[int, int]]) -> None:
    """After any outages the timeline is as long as the time from the first to the last sample."""
    story = Story()
    answers: list[Callable[[], Scripted] | None] = []
    for failures, blocks in outages:
        answers += [None] * failures
        answers.append(partial(story.device, blocks))
    run(story.read(story.source([*answers, back(story)])))

    captured = sum(len(block.pcm) // 2 + block.lost for block in story.yielded)
    assert story.error is None
    assert captured == pytest.approx((story.devices[-1].last_at - 100) * RATE_HZ, abs=10)
