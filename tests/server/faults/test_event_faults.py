"""Faults of events with a simulated clock: which frames are sent, in which order, and when."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.server.faults.event_faults import REORDER_S, Chance, OutgoingFrame, OutgoingQueue, failed_event
from rt_cli.server.faults.event_names import COMPLETED, FAILED
from rt_cli.server.faults.grammar import parse
from rt_cli.server.faults.values import Span
from tests.memory import held

if TYPE_CHECKING:
    from collections.abc import Sequence

A, B = "session.updated", "input_audio_buffer.committed"
TimedEvent = tuple[float, str, bytes]
"""Time, type and text of an event."""


class Queue:
    """The event queue of one connection, with its faults."""

    def __init__(self, *specs: str, connection: int = 1) -> None:
        plan = parse(specs)
        chance = Chance(plan)
        self.touched: list[str] = []
        self.outgoing = OutgoingQueue(
            lambda index, type_: chance.fires(index, connection) and not self.touched.append(type_),  # type: ignore[func-returns-value]
            lambda span, index: chance.seconds(span, index, connection),
        )
        self.outgoing.active.update(enumerate(plan.faults))

    def run(self, numbered: Sequence[TimedEvent]) -> list[TimedEvent]:
        """All frames with the times at which they are due."""
        left: list[TimedEvent] = []
        for now, type_, text in numbered:
            self._leave(now, left)
            self.outgoing.push(now, type_, text)
        self._leave(float("inf"), left)
        return left

    def _leave(self, until: float, left: list[TimedEvent]) -> None:
        while (due := self.outgoing.due) is not None and due <= until:
            if leaving := self.outgoing.pop(due):
                left.append((due, leaving.type, leaving.data))


def texts(left: Sequence[TimedEvent]) -> str:
    """The frames in order."""
    return b" ".join(text for _, _, text in left).decode()


@pytest.mark.parametrize(
    ("specs", "expected"),
    [
        pytest.param([], "a1 b1 a2 b2 a3", id="none"),
        pytest.param(["omit=session.updated"], "b1 b2", id="omit"),
        pytest.param(["omit=session.updated%2"], "a1 b1 b2 a3", id="every second"),
        pytest.param(["omit=session.updatedx2"], "b1 b2 a3", id="twice"),
        pytest.param(["omit=session.updated%2x1", "omit=committedx1"], "a1 b2 a3", id="two faults"),
        pytest.param(["omit=committed#2"], "a1 b1 a2 b2 a3", id="another connection"),
        pytest.param(["dup=committedx1"], "a1 b1 b1 a2 b2 a3", id="dup"),
        pytest.param(["dup=committed", "dup=committed"], "a1 b1 b1 b1 a2 b2 b2 b2 a3", id="thrice"),
        pytest.param(["corrupt=committed"], "a1 b a2 b a3", id="corrupt"),
        pytest.param(["reorder=committed"], "a1 a2 b2 b1 a3", id="reorder"),
        pytest.param(["reorder=session.updated"], "b1 a2 a1 b2 a3", id="the last has no neighbour"),
        pytest.param(["delay=session.updated:500ms"], "b1 a1 b2 a2 a3", id="late type"),
        pytest.param(["delay=500ms"], "a1 b1 a2 b2 a3", id="all late"),
        pytest.param(["delay=session.updated:500ms%2"], "a1 b1 b2 a2 a3", id="a gap within a type keeps its order"),
        pytest.param(["omit=session.*"], "b1 b2", id="omit a group"),
        pytest.param(["dup=session.*%2"], "a1 b1 a2 a2 b2 a3", id="dup in a group"),
        pytest.param(["delay=input_audio_buffer.*:700ms"], "a1 a2 b1 a3 b2", id="late group"),
    ],
)
def test_frames_and_times(specs: list[str], expected: str) -> None:
    """Five events of two types, 0.3 s apart."""
    numbered = [(0.3 * n, B if n % 2 else A, f"{'ab'[n % 2]}{n // 2 + 1}".encode()) for n in range(5)]

    assert texts(Queue(*specs).run(numbered)) == expected


def test_reorder_waits_a_limited_time() -> None:
    """Without a second event of the type, the event is sent after REORDER_S."""
    assert Queue("reorder=committed").run([(1.0, B, b"b1")]) == [(1.0 + REORDER_S, B, b"b1")]


def test_reorder_in_a_group() -> None:
    """Neighbours of a group are swapped, even of different types; other events are not touched."""
    numbered = [(0.1 * n, type_, type_[0].encode()) for n, type_ in enumerate([COMPLETED, B, FAILED, B, COMPLETED])]
    order = [type_ for _, type_, _ in Queue("reorder=conversation.item.*").run(numbered)]
    assert order == [B, FAILED, COMPLETED, B, COMPLETED]


def test_delay_is_latency() -> None:
    """A delay shifts each event; delays do not add up."""
    numbered = [(0.1 * n, A, b"") for n in range(10)]

    assert [due for due, _, _ in Queue("delay=3s").run(numbered)] == pytest.approx([3 + 0.1 * n for n in range(10)])


def test_put_keeps_the_order() -> None:
    """A frame of put() comes after earlier events, even delayed ones."""
    line = Queue("delay=5s")
    line.outgoing.push(1.0, A, b"a1")
    line.outgoing.put(2.0, OutgoingFrame("close", b"reason", code=1001))
    assert line.outgoing.pop(5.9) is None
    assert line.outgoing.pop(6.0) == OutgoingFrame("text", b"a1", A)
    assert line.outgoing.pop(6.0) == OutgoingFrame("close", b"reason", code=1001)
    assert line.outgoing.due is None


def test_put_first_comes_before_delayed_events() -> None:
    """Frames of put_first() come before delayed events, in their own order."""
    line = Queue("delay=5s")
    line.outgoing.push(1.0, A, b"a1")
    line.outgoing.put_first(OutgoingFrame("text", b"error"))
    line.outgoing.put_first(OutgoingFrame("close", b"", code=1011))
    assert [line.outgoing.pop(1.0), line.outgoing.pop(1.0)] == [
        OutgoingFrame("text", b"error"),
        OutgoingFrame("close", b"", code=1011),
    ]
    assert line.outgoing.due == 6.0


EVENTS = st.lists(st.tuples(st.floats(0, 0.5), st.sampled_from([A, B, COMPLETED])), min_size=1, max_size=30)
HARMLESS = st.lists(
    st.sampled_from(["delay=50ms..900ms", f"delay={A}:1s", f"reorder={B}", f"reorder={COMPLETED}%2", "seed=3"]),
    unique=True,
)


def numbered(events: Sequence[tuple[float, str]]) -> list[TimedEvent]:
    """Numbered events, some time apart."""
    now, result = 0.0, []
    for number, (pause, type_) in enumerate(events):
        now += pause
        result.append((now, type_, str(number).encode()))
    return result


@given(EVENTS, HARMLESS)
def test_delay_and_reorder_lose_nothing(events: Sequence[tuple[float, str]], specs: list[str]) -> None:
    """Each event is sent once, not before its time, and pop() returns frames in order of time."""
    said = numbered(events)
    left = Queue(*specs).run(said)

    assert Counter(text for _, _, text in left) == Counter(text for _, _, text in said)
    began = {text: now for now, _, text in said}
    assert all(due >= began[text] for due, _, text in left)
    assert [due for due, _, _ in left] == sorted(due for due, _, _ in left)


@given(EVENTS, st.sampled_from([[], ["delay=50ms..900ms"], ["delay=1ms..2s", f"omit={A}~0.5"]]))
def test_delay_of_all_keeps_the_order(events: Sequence[tuple[float, str]], specs: list[str]) -> None:
    """With a random delay of all events the order stays."""
    numbers = [int(text) for _, _, text in Queue(*specs).run(numbered(events))]

    assert numbers == sorted(numbers)


@given(EVENTS, st.integers(1, 4), st.integers(1, 5))
def test_counts(events: Sequence[tuple[float, str]], every: int, times: int) -> None:
    """Each fault is reported, as often as ``%`` and ``x`` allow."""
    line = Queue(f"dup={A}%{every}x{times}")
    occasions = sum(type_ == A for _, type_ in events)
    left = line.run(numbered(events))

    happened = min(occasions // every, times)
    assert line.touched == [A] * happened
    assert len(left) == len(events) + happened


def test_failed() -> None:
    """The transcript is removed; the item id stays."""
    completed = {
        "type": COMPLETED,
        "event_id": "e",
        "item_id": "i",
        "content_index": 0,
        "transcript": "secret",
        "usage": {"type": "duration", "seconds": 1},
    }
    [(_, type_, text)] = Queue("failed").run([(0.0, COMPLETED, json.dumps(completed).encode())])

    assert type_ == FAILED
    assert text == failed_event(json.dumps(completed).encode())
    event = json.loads(text)
    assert event["error"].pop("message")
    assert event == {
        "type": FAILED,
        "event_id": "e",
        "item_id": "i",
        "content_index": 0,
        "error": {"type": "server_error", "code": "server_error", "param": None},
    }


def test_half_an_event_is_text() -> None:
    """Half an event is invalid JSON but valid UTF-8."""
    text = json.dumps({"type": B, "words": "äöü" * 9}, ensure_ascii=False).encode()
    for shift in range(3):
        [(_, _, cut)] = Queue("corrupt=committed").run([(0.0, B, text + b" " * shift)])
        assert text.startswith(cut)
        with pytest.raises(json.JSONDecodeError):
            json.loads(cut.decode())


def draws(seed: int, order: Sequence[int]) -> dict[int, list[float | bool]]:
    """The random numbers of connections that overlap in this order."""
    chance = Chance(parse(["drop@1s..9s~0.5", f"seed={seed}"]))
    drawn: dict[int, list[float | bool]] = {number: [] for number in set(order)}
    for number in order:
        drawn[number] += [chance.seconds(Span(1000, 9000), 0, number), chance.fires(0, number)]
    return drawn


def test_chance_repeats() -> None:
    """The same seed gives each connection the same numbers, however connections overlap; another seed does not."""
    one_by_one = draws(7, [1] * 20 + [2] * 20)

    assert draws(7, [2, 1] * 20) == one_by_one
    assert draws(8, [1, 2] * 20) != one_by_one
    assert one_by_one[1] != one_by_one[2]
    assert {True, False} <= set(one_by_one[1][1::2])


def test_chance_of_an_ended_connection_is_removed() -> None:
    """The state does not grow with the number of past connections."""
    chance = Chance(parse(["drop@1s..9s~0.5"]))
    before = len(held(chance))
    for number in range(100):
        chance.fires(0, number)
        chance.forget(number)

    assert len(held(chance)) <= before + 5
