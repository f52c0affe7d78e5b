"""Finals as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.events import Errored, Event, Final, Partial, Translation, Warned
from rt_cli.output.results.text import TextOutput

if TYPE_CHECKING:
    from collections.abc import Callable


def lines(*events: Event) -> list[str]:
    """Return the printed lines for ``events``."""
    printed: list[str] = []
    output = TextOutput(lambda line, **_: printed.append(line))
    for event in events:
        output.on_event(event)
    return printed


def test_a_final_is_a_line() -> None:
    """The line has the text and nothing else."""
    assert lines(Final(1, "hello there"), Final(2, "bye")) == ["hello there", "bye"]


@pytest.mark.parametrize("text", ["", "   ", "\n", "\x1b[2J"], ids=["nothing", "spaces", "newline", "escape"])
def test_an_empty_final_prints_nothing(text: str) -> None:
    """An empty final settles its turn but has no text."""
    assert lines(Final(1, text)) == []


def test_nothing_but_finals() -> None:
    """Partials, warnings and errors belong to stderr."""
    assert lines(Partial(1, "he"), Warned("x", "y"), Errored("x", "y")) == []


@given(st.text() | st.text("\x1b[]\x9b\x07\r\n0123;mHJK\u202eab"))
def test_text_has_no_control_characters(text: str) -> None:
    """For any text, a final is at most one line without control characters."""
    for line in lines(Final(1, text)):
        assert not any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in line)


def test_on_printed_gets_the_turn_of_each_final() -> None:
    """It is called after the line was written, not when the line is queued."""
    waiting: list[Callable[[], None] | None] = []
    printed: list[int] = []

    def write_line(_line: str, *, droppable: bool = False, on_written: Callable[[], None] | None = None) -> None:
        assert not droppable
        waiting.append(on_written)

    TextOutput(write_line, printed.append).on_event(Final(turn=7, text="words"))

    assert printed == []
    (on_written,) = waiting
    assert on_written is not None
    on_written()
    assert printed == [7]


def test_of_a_translation_only_the_other_language_is_printed() -> None:
    """It counts as the print of its turn; an empty one is no line."""
    lines: list[str] = []
    printed: list[int] = []

    def write(line: str, *, on_written: Any = None, **_: Any) -> None:
        lines.append(line)
        on_written()

    output = TextOutput(write, printed.append, timestamps=True, words=Translation)
    for turn, text in ((1, "hola"), (2, " "), (3, "adiós")):
        output.on_event(Final(turn, "said", turn * 1000, turn * 1000 + 500))
        output.on_event(
            Translation(turn=turn, text=text, language="es", start_ms=turn * 1000, end_ms=turn * 1000 + 500)
        )
    assert lines == ["[00:00:01.000] hola", "[00:00:03.000] adiós"]
    assert printed == [1, 3]


def test_timestamps() -> None:
    """A line has the start of the turn; without a start, the end of the previous turn."""
    printed: list[str] = []
    output = TextOutput(lambda line, **_: printed.append(line), timestamps=True)
    for final in (Final(1, "one", 1_230, 3_004), Final(2, "two"), Final(3, ""), Final(4, "four", 3_600_000, 3_601_000)):
        output.on_event(final)

    assert printed == ["[00:00:01.230] one", "[00:00:03.004] two", "[01:00:00.000] four"]
