"""Our commits that the endpoint has not answered: which answer is whose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rt_cli.protocol.server_events import ErrorInfo
    from rt_cli.protocol.session.turn_list import Turn

_EMPTY = "input_audio_buffer_commit_empty"


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of ours."""

    event_id: str
    end: int
    """Timeline position it stands at."""
    wire: int
    """Samples sent on this connection before it."""
    turn: Turn | None
    """The turn it closes; None for a commit that only asks whether everything was read."""
    at: float
    """When it was sent, seconds."""

    @staticmethod
    def is_empty(error: ErrorInfo) -> bool:
        """Whether an error says that there was nothing to commit, which is no failure."""
        return error.code == _EMPTY


class PendingCommits:
    """In the order in which they were sent."""

    def __init__(self) -> None:
        self.pending: list[Commit] = []

    def answered(self, turn: Turn | None) -> Commit | None:
        """The commit that a ``committed`` answers, taken off the list; None if the endpoint committed by itself.

        Args:
            turn: The one that is committed, where it is known.
        """
        if turn is not None and any(commit.turn is turn for commit in self.pending):
            return self._take(next(commit for commit in self.pending if commit.turn is turn))
        first = self.pending[0] if self.pending else None
        if first is None or (turn is not None and (first.turn is not None or turn.end is not None)):
            return None
        return self._take(first)

    def refused(self, error: ErrorInfo, *, anonymous: bool) -> Commit | None:
        """The commit that an error refuses, taken off the list.

        Args:
            error: What the endpoint says.
            anonymous: An error that names no event is the answer to the oldest commit, whatever it says.
        """
        for commit in self.pending:
            if error.event_id == commit.event_id:
                return self._take(commit)
        if self.pending and (Commit.is_empty(error) or (anonymous and error.event_id is None)):
            return self._take(self.pending[0])
        return None

    def forget_done(self) -> None:
        """Where a turn has its outcome, nobody asks any more whether its commit was answered."""
        self.pending = [commit for commit in self.pending if commit.turn is None or not commit.turn.done]

    def _take(self, commit: Commit) -> Commit:
        self.pending.remove(commit)
        return commit
