"""The clock of a conversation: exact, never backwards, and not hurried by a machine that is late."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from rt_cli.talk.position import Position


class Hand:
    """A clock that is set by hand; its sleepers wake late."""

    def __init__(self, late: list[float] | None = None) -> None:
        self.time = 100.0
        self._late = late or []

    def now(self) -> float:
        """The time."""
        return self.time

    async def sleep_until(self, deadline: float) -> None:
        """Sleep, and oversleep."""
        self.time = max(self.time, deadline) + (self._late.pop(0) if self._late else 0.0)

    def call_at(self, deadline: float, callback: object) -> object:
        """Not needed."""
        raise NotImplementedError


def test_it_counts_samples_at_its_speed() -> None:
    """From its beginning on."""
    clock = Hand()
    position = Position(clock, 1000, speed=4)
    assert position.now() == 0

    position.begin(ago=20)
    clock.time += 0.5

    assert position.now() == 2020


def test_it_stands_still_where_its_user_is_late() -> None:
    """And goes on from there: what the machine took is no time of the conversation."""

    async def scenario() -> list[int]:
        clock = Hand([0.0, 0.3, 0.0])
        position = Position(clock, 1000)
        seen = []
        for target in (20, 40, 60):
            await position.reach(target)
            seen.append(position.now())
            clock.time += 0.005
        return seen

    assert asyncio.run(scenario()) == [20, 40, 60]


@given(st.lists(st.tuples(st.integers(1, 50), st.floats(0, 1), st.floats(0, 0.1)), max_size=30))
def test_it_never_goes_back(steps: list[tuple[int, float, float]]) -> None:
    """Whoever looks, whenever; and it is where it was waited for."""

    async def scenario() -> None:
        clock = Hand([late for _, late, _ in steps])
        position = Position(clock, 1000)
        target = before = 0
        for samples, _, work in steps:
            target += samples
            await position.reach(target)
            assert target - 1 <= position.now() <= target
            clock.time += work
            assert position.now() >= before
            before = position.now()

    asyncio.run(scenario())
