"""What faults make of events, with a clock that is told: what leaves, in which order, and when."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.server.faults.event_faults import REORDER_S, Chance, OutgoingFrame, OutgoingQueue, failed_event
from rt_cli.server.faults.event_names import COMPLETED, FAILED
from rt_cli.server.faults.grammar import Span, parse

if TYPE_CHECKING:
    from collections.abc import Sequence

A, B = "session.updated", "input_audio_buffer.committed"
Told = tuple[float, str, bytes]
"""When an event is said, its type, its text."""


class Line:
    """Events through the faults of a connection."""

    def __init__(self, *specs: str, connection: int = 1) -> None:
        plan = parse(specs)
        chance = Chance(plan)
        self.touched: list[str] = []
        self.outgoing = OutgoingQueue(
            lambda index, type_: chance.fires(index, connection) and not self.touched.append(type_),  # type: ignore[func-returns-value]
            lambda span, index: chance.seconds(span, index, connection),
        )
        self.outgoing.active.update(enumerate(plan.faults))

    def run(self, told: Sequence[Told]) -> list[Told]:
        """What leaves, and when, if it is asked for as soon as it is due."""
        left: list[Told] = []
        for now, type_, text in told:
            self._leave(now, left)
            self.outgoing.push(now, type_, text)
        self._leave(float("inf"), left)
        return left

    def _leave(self, until: float, left: list[Told]) -> None:
        while (due := self.outgoing.due) is not None and due <= until:
            if leaving := self.outgoing.pop(due):
                left.append((due, leaving.type, leaving.data))


def texts(left: Sequence[Told]) -> str:
    """What left, in its order."""
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
    ],
)
def test_what_leaves(specs: list[str], expected: str) -> None:
    """Five events of two types, 0.3 s apart."""
    told = [(0.3 * n, B if n % 2 else A, f"{'ab'[n % 2]}{n // 2 + 1}".encode()) for n in range(5)]

    assert texts(Line(*specs).run(told)) == expected


def test_a_neighbour_is_waited_for_so_long() -> None:
    """An event whose neighbour never comes leaves all the same."""
    assert Line("reorder=committed").run([(1.0, B, b"b1")]) == [(1.0 + REORDER_S, B, b"b1")]


def test_lateness_is_a_latency() -> None:
    """Events are late one by one, not one after the other."""
    told = [(0.1 * n, A, b"") for n in range(10)]

    assert [due for due, _, _ in Line("delay=3s").run(told)] == pytest.approx([3 + 0.1 * n for n in range(10)])


def test_what_a_fault_says_leaves_in_its_turn() -> None:
    """After what was said before it, however late that is."""
    line = Line("delay=5s")
    line.outgoing.push(1.0, A, b"a1")
    line.outgoing.put(2.0, OutgoingFrame("close", b"reason", code=1001))
    assert line.outgoing.pop(5.9) is None
    assert line.outgoing.pop(6.0) == OutgoingFrame("text", b"a1", A)
    assert line.outgoing.pop(6.0) == OutgoingFrame("close", b"reason", code=1001)
    assert line.outgoing.due is None


def test_what_happens_to_a_connection_does_not_wait() -> None:
    """It leaves before all that does, in its own order."""
    line = Line("delay=5s")
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


def told(events: Sequence[tuple[float, str]]) -> list[Told]:
    """Events some time apart, numbered."""
    now, result = 0.0, []
    for number, (pause, type_) in enumerate(events):
        now += pause
        result.append((now, type_, str(number).encode()))
    return result


@given(EVENTS, HARMLESS)
def test_nothing_is_lost_that_is_only_late_or_swapped(events: Sequence[tuple[float, str]], specs: list[str]) -> None:
    """Every event leaves once, none before it was said, and what is taken out is in order of time."""
    said = told(events)
    left = Line(*specs).run(said)

    assert Counter(text for _, _, text in left) == Counter(text for _, _, text in said)
    began = {text: now for now, _, text in said}
    assert all(due >= began[text] for due, _, text in left)
    assert [due for due, _, _ in left] == sorted(due for due, _, _ in left)


@given(EVENTS, st.sampled_from([[], ["delay=50ms..900ms"], ["delay=1ms..2s", f"omit={A}~0.5"]]))
def test_all_late_is_in_order(events: Sequence[tuple[float, str]], specs: list[str]) -> None:
    """However much lateness varies, nothing overtakes."""
    numbers = [int(text) for _, _, text in Line(*specs).run(told(events))]

    assert numbers == sorted(numbers)


@given(EVENTS, st.integers(1, 4), st.integers(1, 5))
def test_counts(events: Sequence[tuple[float, str]], every: int, times: int) -> None:
    """Each time that a fault happens is told, and there are as many as ``%`` and ``x`` allow."""
    line = Line(f"dup={A}%{every}x{times}")
    occasions = sum(type_ == A for _, type_ in events)
    left = line.run(told(events))

    happened = min(occasions // every, times)
    assert line.touched == [A] * happened
    assert len(left) == len(events) + happened


def test_failed() -> None:
    """The words are gone, the item is the same."""
    completed = {
        "type": COMPLETED,
        "event_id": "e",
        "item_id": "i",
        "content_index": 0,
        "transcript": "secret",
        "usage": {"type": "duration", "seconds": 1},
    }
    [(_, type_, text)] = Line("failed").run([(0.0, COMPLETED, json.dumps(completed).encode())])

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
    """Cut JSON is no JSON, but it is still UTF-8."""
    text = json.dumps({"type": B, "words": "äöü" * 9}, ensure_ascii=False).encode()
    for shift in range(3):
        [(_, _, cut)] = Line("corrupt=committed").run([(0.0, B, text + b" " * shift)])
        assert text.startswith(cut)
        with pytest.raises(json.JSONDecodeError):
            json.loads(cut.decode())


def draws(seed: int, order: Sequence[int]) -> dict[int, list[float | bool]]:
    """The luck of connections that take turns in an order."""
    chance = Chance(parse(["drop@1s..9s~0.5", f"seed={seed}"]))
    drawn: dict[int, list[float | bool]] = {number: [] for number in set(order)}
    for number in order:
        drawn[number] += [chance.seconds(Span(1000, 9000), 0, number), chance.fires(0, number)]
    return drawn


def test_chance_repeats() -> None:
    """The same seed, the same luck for each connection, however they overlap; another seed, another luck."""
    one_by_one = draws(7, [1] * 20 + [2] * 20)

    assert draws(7, [2, 1] * 20) == one_by_one
    assert draws(8, [1, 2] * 20) != one_by_one
    assert one_by_one[1] != one_by_one[2]
    assert {True, False} <= set(one_by_one[1][1::2])


def test_chance_of_an_ended_connection_is_removed() -> None:
    """A server of many connections does not grow."""
    chance = Chance(parse(["drop@1s..9s~0.5"]))
    for number in range(100):
        chance.fires(0, number)
        chance.forget(number)

    assert chance._chances == {}
