"""Exit code, error, and completeness of a run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from rt_cli.errors import AudioError, EndpointError, RefusedError, RtError, UnreachableError
from rt_cli.events import Latency, Ledger
from rt_cli.streaming.outcome import RunOutcome, percentiles

ALL = Ledger(captured=100, settled=100, acknowledged=0, in_flight=0, waiting=0, dropped=0, padding=0)
HOLE = replace(ALL, settled=90, dropped=10)
HALF = replace(ALL, settled=50, waiting=50)
NOTHING = replace(ALL, captured=0, settled=0)
CROOKED = replace(ALL, settled=99)


def outcome(ledger: Ledger = ALL, *errors: RtError, **known: int) -> RunOutcome:
    """A run with this end."""
    return RunOutcome("x.wav", 1000, ledger, known.pop("suspended", 0), errors, **known)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("end", "exit_code", "complete", "code"),
    [
        (outcome(), 0, True, None),
        (outcome(HOLE), 7, False, "incomplete"),
        (outcome(HOLE, suspended=10), 0, True, None),
        (outcome(NOTHING), 3, False, "empty"),
        (outcome(NOTHING, signals=1, signal_exit=130), 0, True, None),
        (outcome(CROOKED), 1, False, "internal"),
        (outcome(HALF, UnreachableError("gone")), 5, False, "unreachable"),
        (outcome(HALF, UnreachableError("gone"), RefusedError("no")), 4, False, "refused"),
        (outcome(ALL, AudioError("corrupt")), 3, False, "audio_input"),
        (outcome(HALF, EndpointError("odd"), AudioError("corrupt")), 3, False, "audio_input"),
        (outcome(signals=1, signal_exit=130), 0, True, None),
        (outcome(signals=1, signal_exit=130, truncated=True), 130, False, None),
        (outcome(signals=1, signal_exit=143, truncated=True), 143, False, None),
        (outcome(HALF, signals=2, signal_exit=130), 130, False, None),
        (outcome(HALF, UnreachableError("gone"), stdout_closed=True), 0, False, "unreachable"),
        (outcome(stdout_closed=True, unwritten=1), 0, True, None),
        (outcome(unwritten=1, signals=1, signal_exit=130), 7, False, "unwritten"),
        (outcome(stdout_closed=True, unwritten=2, signals=1, signal_exit=130), 7, False, "unwritten"),
        (outcome(unwritten=1, signals=1, signal_exit=130, truncated=True), 130, False, None),
    ],
    ids=[
        "all delivered",
        "a hole",
        "the machine slept",
        "no sound",
        "stopped before any sound",
        "a crooked ledger",
        "lost",
        "the cause wins",
        "delivered what could be read",
        "the source before the endpoint",
        "a live source ended by Ctrl-C",
        "a file cut short",
        "by SIGTERM",
        "a second Ctrl-C",
        "nobody reads",
        "words that nobody reads",
        "words that nobody reads after Ctrl-C",
        "Ctrl-C after the reader left, with words",
        "a file cut short, and words that nobody reads",
    ],
)
def test_outcome(end: RunOutcome, exit_code: int, complete: bool, code: str | None) -> None:  # noqa: FBT001 - a column
    """Each way to end has its exit code and its one error."""
    assert (end.exit_code, end.complete) == (exit_code, complete)
    assert (end.error.code if end.error else None) == code


@given(values=st.lists(st.integers(0, 10_000), min_size=1))
def test_percentiles_are_values_that_occurred(values: list[int]) -> None:
    """Nearest rank: every percentile is one of the values, and they are in order."""
    found = percentiles(values)

    assert found is not None
    assert {found.p50, found.p95, found.max} <= set(values)
    assert found.p50 <= found.p95 <= found.max


def test_percentiles_of_a_hundred() -> None:
    """Of the numbers from 1 to 100."""
    assert percentiles(list(range(1, 101))) == Latency(p50=50, p95=95, max=100)
