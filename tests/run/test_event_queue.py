"""Events for a program that fetches them: nothing but obsolete snapshots is left out, and the bytes have a limit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rt_cli.events import Event, Final, Partial
from rt_cli.run.event_queue import EventQueue
from tests.fakes import run


def drain(queue: EventQueue) -> list[Event]:
    """Close the queue and take all its events."""

    async def scenario() -> list[Event]:
        queue.close()
        return [event async for event in queue]

    return run(scenario())


def test_a_newer_partial_takes_the_place_of_one_that_waits() -> None:
    """Only of the same turn."""
    queue = EventQueue()
    for event in (Partial(1, "a"), Partial(2, "b"), Partial(1, "a c"), Final(1, "a c d"), Partial(2, "b e")):
        assert queue.put(event)
    assert drain(queue) == [Partial(1, "a c"), Partial(2, "b e"), Final(1, "a c d")]


def test_the_limit_counts_bytes() -> None:
    """The event beyond it is kept, and the caller is told; snapshots need no more room than one."""
    queue = EventQueue(limit_bytes=5000)
    assert all(queue.put(Partial(1, "x" * 1000)) for _ in range(100))
    assert not queue.put(Final(1, "x" * 1000))
    assert drain(queue) == [Partial(1, "x" * 1000), Final(1, "x" * 1000)]


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 3), st.text(max_size=3))))
def test_finals_are_never_left_out(made: list[tuple[bool, int, str]]) -> None:
    """And the last partial of each turn before its final is there."""
    events: list[Event] = [Final(turn, text) if final else Partial(turn, text) for final, turn, text in made]
    queue = EventQueue()
    for event in events:
        queue.put(event)
    got = drain(queue)
    assert [event for event in got if isinstance(event, Final)] == [
        event for event in events if isinstance(event, Final)
    ]
    assert {event.turn: event for event in got if isinstance(event, Partial)} == {
        event.turn: event for event in events if isinstance(event, Partial)
    }
