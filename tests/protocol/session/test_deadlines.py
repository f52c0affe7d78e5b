"""What is overdue when: before the end of the audio, and after it."""

from __future__ import annotations

import pytest

from rt_cli.protocol.session.deadlines import TurnDeadlines
from rt_cli.protocol.session.pending_commits import Commit
from rt_cli.protocol.session.turn_list import Turn

PATIENCE_S = 10.0


def ended(at: float) -> Turn:
    """A turn whose last event came at a time."""
    return Turn(at, start=0, end=100)


@pytest.mark.parametrize(
    ("turns", "now", "overdue"),
    [
        pytest.param([], 1000.0, False, id="no turn"),
        pytest.param([ended(5.0)], 14.9, False, id="in time"),
        pytest.param([ended(5.0)], 15.0, True, id="too late"),
        pytest.param([Turn(5.0, start=0)], 1000.0, False, id="its speech has not ended"),
        pytest.param([Turn(5.0, start=0), ended(20.0)], 15.0, True, id="a later turn has begun"),
    ],
)
def test_a_turn_has_its_own_time(turns: list[Turn], now: float, *, overdue: bool) -> None:
    """From its last event on, as long as audio is sent."""
    assert TurnDeadlines(PATIENCE_S).is_overdue(turns, now) is overdue


@pytest.mark.parametrize("read_more", [True, False])
def test_an_endpoint_that_reads_makes_progress(*, read_more: bool) -> None:
    """The time of a turn begins anew; the first check counts as progress, too."""
    deadlines = TurnDeadlines(PATIENCE_S)
    deadlines.note_tick(1.0, read_more=False)
    deadlines.note_tick(6.0, read_more=read_more)
    assert deadlines.is_overdue([ended(0.0)], 11.0) is not read_more


def test_at_the_end_only_progress_counts() -> None:
    """Not the age of a turn; an outcome is progress."""
    deadlines, turn = TurnDeadlines(PATIENCE_S), Turn(0.0, start=0)
    deadlines.note_tick(100.0, read_more=True)
    deadlines.drain(1)
    assert not deadlines.is_overdue([turn], 109.0)
    deadlines.note_outcome(ended(104.0), 105.0)
    assert not deadlines.is_overdue([turn], 114.9)
    assert deadlines.is_overdue([turn], 115.0)


@pytest.mark.parametrize("open_turns", [0, 1, 5])
def test_a_flood_of_events_ends_the_patience(open_turns: int) -> None:
    """At the end four events count, and three for each open turn; text that grows always counts."""
    deadlines, turn = TurnDeadlines(PATIENCE_S), ended(0.0)
    deadlines.drain(open_turns)
    steps = 4 + 3 * open_turns
    for second in range(1, 100):
        deadlines.note_event([turn], second)
    assert deadlines.is_overdue([turn], steps + PATIENCE_S)
    assert not deadlines.is_overdue([turn], steps + PATIENCE_S - 0.1)
    turn.grew_at = 100.0
    deadlines.note_event([turn], 101.0)
    assert not deadlines.is_overdue([turn], 109.9)


def test_before_the_end_events_are_no_progress() -> None:
    """Each turn has its own time, which its own events restart."""
    deadlines = TurnDeadlines(PATIENCE_S)
    deadlines.note_event([ended(0.0)], 9.0)
    assert deadlines.is_overdue([ended(0.0)], 10.0)


def test_a_commit_has_time_from_its_sending_or_the_last_progress_on() -> None:
    """Whichever is later."""
    deadlines, commit = TurnDeadlines(PATIENCE_S), Commit("rt_commit_1", 100, 100, None, 5.0)
    assert not deadlines.is_commit_overdue(commit, 14.9)
    assert deadlines.is_commit_overdue(commit, 15.0)
    deadlines.note_tick(8.0, read_more=True)
    assert not deadlines.is_commit_overdue(commit, 15.0)


def test_time_in_which_this_program_did_not_run_is_no_delay_of_the_endpoint() -> None:
    """What was sent meanwhile waits to be read; with the next progress that time is over."""
    deadlines, late = TurnDeadlines(PATIENCE_S), ended(0.0)
    deadlines.note_tick(1.0, read_more=True)
    deadlines.note_held_up(7.0)
    assert not deadlines.is_overdue([late], 17.9)
    assert deadlines.is_overdue([late], 18.0)
    deadlines.note_tick(18.0, read_more=True)
    assert not deadlines.is_overdue([late], 27.9)
    assert deadlines.is_overdue([late], 28.0)
