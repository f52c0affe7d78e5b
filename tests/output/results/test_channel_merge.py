"""Two channels, one transcript by start time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rt_cli.events import Event, Final, Ledger, Partial, Progress, Summary
from rt_cli.output.results.channel_merge import ChannelMerge
from tests.summaries import summary_of

SIDES = ("left", "right")


def settled(ms: int) -> Progress:
    """Return the progress of a channel that has settled up to ``ms``."""
    return Progress(ms, ms, ms, 0, -96.0, -96.0, None, "ready")


def summary(finals: int = 0) -> Summary:
    """Return the end of a channel."""
    ledger = Ledger(0, 0, 0, 0, 0, 0, 0)
    return summary_of("a", 0, complete=True, rate_hz=24_000, ledger=ledger, finals=finals, reconnects=0, wall_ms=1)


def test_a_final_waits_for_the_other_channel() -> None:
    """It waits until the other channel has settled up to its start."""
    merge = ChannelMerge(SIDES)
    late = Final(1, "late", start_ms=5_000, end_ms=6_000)
    assert merge.take("left", late) == []
    assert merge.take("right", settled(4_999)) == [("right", settled(4_999))]
    early = Final(1, "early", start_ms=4_999, end_ms=7_000)
    assert merge.take("right", early) == [("right", early)]
    assert merge.take("right", settled(5_000)) == [("left", late), ("right", settled(5_000))]


def test_the_end_of_a_channel_releases_the_other() -> None:
    """The summary of a channel comes after its finals."""
    merge = ChannelMerge(SIDES)
    final = Final(1, "x", start_ms=5_000, end_ms=6_000)
    assert merge.take("left", final) == []
    assert merge.take("left", summary(1)) == []
    assert merge.take("right", summary()) == [("right", summary()), ("left", final), ("left", summary(1))]


def test_only_finals_with_a_start_wait() -> None:
    """Other events wait only for earlier finals of their own channel."""
    merge = ChannelMerge(SIDES)
    assert merge.take("left", Partial(1, "x")) == [("left", Partial(1, "x"))]
    assert merge.take("left", Final(1, "x")) == [("left", Final(1, "x"))]
    waiting = Final(2, "y", start_ms=10)
    assert merge.take("left", waiting) == []
    assert merge.take("left", Partial(3, "z")) == []
    assert merge.take("right", settled(10)) == [
        ("left", waiting),
        ("left", Partial(3, "z")),
        ("right", settled(10)),
    ]


TURNS = st.lists(st.tuples(st.integers(0, 400), st.integers(1, 900)), max_size=12)
"""Silence before each turn and its length."""


@given(TURNS, TURNS, st.randoms())
def test_any_two_channels(left: list[tuple[int, int]], right: list[tuple[int, int]], random: object) -> None:
    """For any interleaving: all finals, once, by start time; nothing waits at the end."""
    scripts = {side: script(turns) for side, turns in zip(SIDES, (left, right), strict=True)}
    expected = sorted(
        (each.start_ms or 0 for steps in scripts.values() for each in steps if isinstance(each, Final)),
    )
    merge, heard = ChannelMerge(SIDES), []
    while any(scripts.values()):
        side = random.choice([side for side, steps in scripts.items() if steps])  # type: ignore[attr-defined]  # Random
        heard += merge.take(side, scripts[side].pop(0))
    assert [each.start_ms for _, each in heard if isinstance(each, Final)] == expected
    assert sum(isinstance(each, Summary) for _, each in heard) == len(SIDES)
    for side in SIDES:
        turns = [each.turn for owner, each in heard if owner == side and isinstance(each, Final)]
        assert turns == sorted(turns)


def script(turns: list[tuple[int, int]]) -> list[Event]:
    """Return the events of a channel: each final, then its settled mark; sometimes silence settles, too."""
    steps: list[Event] = []
    at = 0
    for number, (gap, length) in enumerate(turns, 1):
        start, at = at + gap, at + gap + length
        if gap % 3 == 0:
            steps.append(settled(start))
        steps += [Final(number, "x", start_ms=start, end_ms=at), settled(at)]
    return [*steps, summary(len(turns))]
