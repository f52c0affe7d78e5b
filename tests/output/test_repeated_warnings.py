"""A flood of warnings becomes a few lines with counts; what happens once, or once in a while, is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.events import Ledger, Summary, Warned
from rt_cli.output.repeated_warnings import AGAIN_S, MAX_CHARS, MAX_CODES, MAX_MESSAGES, RepeatedWarnings
from tests.summaries import summary_of

if TYPE_CHECKING:
    from rt_cli.events import Event


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        """Return the time, seconds."""
        return self.now


def texts(events: list[Event]) -> list[str]:
    """The messages of warnings, and the names of other events."""
    return [event.message if isinstance(event, Warned) else type(event).__name__ for event in events]


def ended() -> Summary:
    """The last event of a source."""
    ledger = Ledger(0, 0, 0, 0, 0, 0, 0)
    return summary_of("x", 0, complete=True, rate_hz=24_000, ledger=ledger, finals=0, reconnects=0, wall_ms=0)


def shown(warnings: RepeatedWarnings, count: int, code: str = "c", message: str = "m") -> list[str]:
    """The messages shown for a number of equal warnings."""
    return [text for _ in range(count) for text in texts(warnings.take(Warned(code, message)))]


def test_first_then_powers_of_ten_then_the_total() -> None:
    """The total comes before the summary, which stays last."""
    warnings = RepeatedWarnings(Clock())
    assert shown(warnings, 1234) == ["m", "m (10 times so far)", "m (100 times so far)", "m (1000 times so far)"]
    assert texts(warnings.take(ended())) == ["m (1234 times in all)", "Summary"]
    assert texts(warnings.take(ended())) == ["Summary"]
    assert shown(warnings, 1) == ["m"]


def test_no_total_for_what_was_shown() -> None:
    """Once, or ten times."""
    for count in (1, 10):
        warnings = RepeatedWarnings(Clock())
        shown(warnings, count)
        assert texts(warnings.take(ended())) == ["Summary"]


def test_after_a_while_it_is_shown_again() -> None:
    """What happens at minute 3 and at minute 50 is two things."""
    clock = Clock()
    warnings = RepeatedWarnings(clock)
    assert shown(warnings, 2) == ["m"]
    clock.now = AGAIN_S
    assert shown(warnings, 2) == ["m (3 times so far)"]


def test_kinds_are_apart() -> None:
    """By code and message; other events pass."""
    warnings = RepeatedWarnings(Clock())
    assert shown(warnings, 2, "a", "m") + shown(warnings, 2, "b", "m") + shown(warnings, 2, "b", "n") == ["m", "m", "n"]


def test_messages_that_all_differ_are_merged() -> None:
    """An endpoint numbers its errors, in message or code."""
    warnings = RepeatedWarnings(Clock())
    by_message = [text for n in range(10_000) for text in texts(warnings.take(Warned("c", f"m {n}")))]
    assert len(by_message) <= MAX_MESSAGES + 5
    assert by_message[0] == "m 0"
    by_code = [text for n in range(10_000) for text in texts(warnings.take(Warned(f"c{n}", "m")))]
    assert len(by_code) <= MAX_CODES + 5
    assert texts(warnings.take(ended())) == [
        "m 5, and others like it (9995 times in all)",
        "m, and others like it (9951 times in all)",
        "Summary",
    ]


def test_a_message_is_bounded() -> None:
    """A warning of megabytes is a few lines."""
    (text,) = shown(RepeatedWarnings(Clock()), 1, message="x" * 10_000_000)
    assert len(text) <= MAX_CHARS + 3


@given(st.lists(st.sampled_from("ab").flatmap(lambda code: st.tuples(st.just(code), st.sampled_from("mn")))))
def test_nothing_is_lost(pairs: list[tuple[str, str]]) -> None:
    """Every kind is shown, and its last count is the number of its warnings."""
    warnings = RepeatedWarnings(Clock())
    events = [event for code, message in pairs for event in warnings.take(Warned(code, message))]
    events += warnings.take(ended())
    for code, message in set(pairs):
        lines = [
            each.message
            for each in events
            if isinstance(each, Warned) and (each.code, each.message[0]) == (code, message)
        ]
        count = pairs.count((code, message))
        assert lines[0] == message
        assert lines[-1].startswith(message if count == 1 else f"{message} ({count} times")


@pytest.mark.parametrize("event", [ended()])
def test_without_warnings_events_pass(event: Event) -> None:
    """As they are."""
    assert RepeatedWarnings(Clock()).take(event) == [event]
