"""When the finals and answers of an endpoint are overdue, and when silence is old. Pure.

Before the end of the audio each turn has its own time. Afterwards the endpoint has time as long as it makes progress
with the turns; but not for ever: floods of items must not delay the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rt_cli.protocol.session.pending_commits import Commit
    from rt_cli.protocol.session.turn_list import Turn

_MORE_STEPS, _STEPS_PER_TURN = 4, 3
"""Events about turns that count as progress at the end: for each open turn, and more."""

OLD_SILENCE_S = 30
"""Acknowledged audio without detected speech is settled at this age: even an endpoint half a minute behind would have
reported speech in it."""


class TurnDeadlines:
    """The deadlines of one connection.

    Args:
        patience_s: Seconds without progress after which something is overdue.
    """

    def __init__(self, patience_s: float) -> None:
        self.draining = False
        """Everything is sent and committed; only answers are missing."""
        self._patience_s = patience_s
        self._steps_left = 0
        self._progress_at = 0.0
        """When the endpoint last made progress with the turns, seconds."""
        self._held_up_s = 0.0
        """Time since then that is no delay of the endpoint."""

    def drain(self, open_turns: int) -> None:
        """Note the end of the audio, with so many turns without an outcome."""
        self.draining = True
        self._steps_left = _MORE_STEPS + _STEPS_PER_TURN * open_turns

    def note_tick(self, now: float, *, read_more: bool) -> None:
        """Note a regular check, and whether the endpoint has read more audio since the one before."""
        if read_more or not self._progress_at:
            self._note_progress(now)

    def note_held_up(self, seconds: float) -> None:
        """Note time that is no delay of the endpoint: this program did not run, or the network brings nothing."""
        self._held_up_s += seconds

    def note_event(self, turns: Sequence[Turn], now: float) -> None:
        """Note an event about one of the open turns."""
        if turns and turns[0].grew_at > self._progress_at:
            self._note_progress(turns[0].grew_at)
        elif self.draining and self._steps_left:
            self._steps_left -= 1
            self._note_progress(now)

    def note_outcome(self, turn: Turn, now: float) -> None:
        """Note that the endpoint has ended a turn."""
        self._note_progress(max(self._progress_at, turn.updated_at, now))

    def is_overdue(self, turns: Sequence[Turn], now: float) -> bool:
        """Return whether the outcome of the first open turn is overdue; False without one.

        A turn that ``rt`` makes of a stream of words is never overdue: its maker ends it.
        """
        if not turns or turns[0].made:
            return False
        if self.draining:
            return self._has_passed(self._progress_at, now)
        if turns[0].end is None and len(turns) == 1:
            return False  # its speech has not ended
        return self._has_passed(turns[0].updated_at, now)

    def is_commit_overdue(self, commit: Commit, now: float) -> bool:
        """Return whether the answer to a commit is overdue."""
        return self._has_passed(commit.at, now)

    def _note_progress(self, at: float) -> None:
        self._progress_at, self._held_up_s = at, 0.0

    def _has_passed(self, since: float, now: float) -> bool:
        return now - max(since, self._progress_at) - self._held_up_s >= self._patience_s


class OldSilence:
    """The time without an open turn on one connection.

    Args:
        rate_hz: Sample rate of the timeline.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._since: tuple[float, int] | None = None
        """Time (seconds) and position at which it began; None before the first check."""

    def end(self, now: float, covered: int, *, busy: bool) -> int | None:
        """Return the timeline position before which silence is old; None if nobody can say that it is silence.

        Args:
            now: Seconds.
            covered: Timeline position before which everything is in turns.
            busy: A turn is open, or answers are awaited.
        """
        if self._since is None or busy:
            self._since = (now, covered)
            return None
        since, at = self._since
        return at + round((now - since - OLD_SILENCE_S) * self._rate_hz)
