"""Concurrent sources, printed one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from rt_cli.events import Event, Final, Label, Partial, Progress
from rt_cli.output.results.source_order import SourceOrder, memory_bytes
from rt_cli.output.results.source_output import SourceOutput

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.output.results.write_receipts import WriteReceipts

PROGRESS = Progress(0, 0, 0, 0, -96.0, -96.0, None, "ready")


@given(st.lists(st.lists(st.sampled_from(["final", "progress"]), max_size=5), min_size=1, max_size=6), st.randoms())
def test_any_interleaving_is_printed_in_order(sources: list[list[str]], random: object) -> None:
    """Any interleaving prints the same as one source after the other; nothing stays held."""
    order, printed = SourceOrder(), []
    lanes = [order.open(lambda each, _: printed.append(each)) for _ in sources]
    said: list[list[Event]] = [
        [Final(turn, f"{number} {turn}") if kind == "final" else PROGRESS for turn, kind in enumerate(kinds)]
        for number, kinds in enumerate(sources)
    ]
    left = [(number, list(each)) for number, each in enumerate(said)]
    while left:
        at = random.randrange(len(left))  # type: ignore[attr-defined]  # hypothesis's Random
        number, rest = left[at]
        if rest:
            lanes[number].take(rest.pop(0), Label(str(number)))
        else:
            lanes[number].end()
            del left[at]
    assert [each for each in printed if isinstance(each, Final)] == [
        each for source in said for each in source if isinstance(each, Final)
    ]
    assert order.held_bytes == 0


def test_the_first_source_is_printed_at_once_with_its_partials() -> None:
    """Partials of the other sources are dropped: their finals have the same text."""
    printed: list[Event] = []
    order = SourceOrder()
    first, second = (order.open(lambda each, _: printed.append(each)) for _ in range(2))
    second.take(Partial(1, "th"), Label("b"))
    second.take(Final(1, "that"), Label("b"))
    assert order.held_bytes == memory_bytes(Final(1, "that"))
    first.take(Partial(1, "th"), Label("a"))
    assert printed == [Partial(1, "th")]
    first.end()
    second.take(Partial(2, "mo"), Label("b"))
    assert printed[1:] == [Final(1, "that"), Partial(2, "mo")]


def test_a_later_source_may_end_first() -> None:
    """The third source is printed only after the first has ended."""
    printed: list[str] = []
    order = SourceOrder()
    lanes = [order.open(lambda _, label: printed.append(label.source)) for _ in range(3)]
    for name, lane in zip("abc", lanes, strict=True):
        lane.take(Final(1, "x"), Label(name))
    lanes[1].end()
    assert printed == ["a"]
    lanes[0].end()
    assert printed == ["a", "b", "c"]


class Desk:
    """Collects printed lines, and writes them only in write()."""

    def __init__(self) -> None:
        self.order = SourceOrder()
        self.waiting: list[Callable[[], None]] = []

    def place(self, name: str) -> SourceOutput:
        """Open the output of a source."""
        return SourceOutput(name, (), self.order, self._show, lambda *_: None)

    def _show(self, _observation: Event, _label: Label, receipts: WriteReceipts) -> None:
        self.waiting.append(receipts.expect())

    def write(self) -> None:
        """Write all queued lines."""
        while self.waiting:
            self.waiting.pop(0)()


def test_a_source_counts_as_written_when_its_last_line_is() -> None:
    """``on_written`` waits for the last line to be written, not only queued."""
    desk, told = Desk(), []
    first, second = desk.place("a"), desk.place("b")
    for place in (first, second):
        place.handler()(Final(1, "x"))
        place.handler()(Final(2, "y"))
    second.end(lambda: told.append("b"))
    desk.write()
    assert told == []
    first.end(lambda: told.append("a"))
    assert told == ["a"]
    desk.waiting.pop(0)()
    assert told == ["a"]
    desk.write()
    assert told == ["a", "b"]


def test_a_source_without_lines_counts_as_written() -> None:
    """``on_written`` is called at once."""
    desk, told = Desk(), []
    desk.place("a").end(lambda: told.append("a"))
    assert told == ["a"]
