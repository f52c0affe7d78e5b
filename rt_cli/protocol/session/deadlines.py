"""When the finals and answers of an endpoint are overdue. Pure.

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

    def drain(self, open_turns: int) -> None:
        """Note the end of the audio, with so many turns without an outcome."""
        self.draining = True
        self._steps_left = _MORE_STEPS + _STEPS_PER_TURN * open_turns

    def note_tick(self, now: float, *, read_more: bool) -> None:
        """Note a regular check, and whether the endpoint has read more audio since the one before."""
        if read_more or not self._progress_at:
            self._progress_at = now

    def note_event(self, turns: Sequence[Turn], now: float) -> None:
        """Note an event about one of the open turns."""
        if turns and turns[0].grew_at > self._progress_at:
            self._progress_at = turns[0].grew_at
        elif self.draining and self._steps_left:
            self._steps_left -= 1
            self._progress_at = now

    def note_outcome(self, turn: Turn, now: float) -> None:
        """Note that the endpoint has ended a turn."""
        self._progress_at = max(self._progress_at, turn.updated_at, now)

    def is_overdue(self, turns: Sequence[Turn], now: float) -> bool:
        """Return whether the outcome of the first open turn is overdue; False without one."""
        if not turns:
            return False
        if self.draining:
            return now - self._progress_at >= self._patience_s
        if turns[0].end is None and len(turns) == 1:
            return False  # its speech has not ended
        return self._has_passed(turns[0].updated_at, now)

    def is_commit_overdue(self, commit: Commit, now: float) -> bool:
        """Return whether the answer to a commit is overdue."""
        return self._has_passed(commit.at, now)

    def _has_passed(self, since: float, now: float) -> bool:
        return now - max(since, self._progress_at) >= self._patience_s
