"""Commits of ``rt`` without an answer yet, and which answer belongs to which commit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rt_cli.protocol.error_policy import is_empty_buffer

if TYPE_CHECKING:
    from rt_cli.protocol.server_events import ErrorInfo
    from rt_cli.protocol.session.turn_list import Turn


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit sent by ``rt``."""

    event_id: str
    end: int
    """Timeline position of the commit."""
    wire: int
    """Samples sent on this connection before the commit."""
    turn: Turn | None
    """The turn that the commit closes; None for a commit that only asks for an acknowledgement."""
    at: float
    """When the commit was sent, seconds."""
    speech: bool = False
    """Our detector found speech that is in no turn; only with the endpoint's turns."""


class PendingCommits:
    """Commits without an answer, in the order in which they were sent."""

    def __init__(self) -> None:
        self.pending: list[Commit] = []
        self.last_refused = False
        """The endpoint has refused or ignored the last commit that was taken off."""
        self._ignored = False

    def take_answered(self, turn: Turn | None) -> Commit | None:
        """Remove and return the commit that a ``committed`` event answers; None if the endpoint committed by itself.

        Args:
            turn: The committed turn; None if unknown.
        """
        if turn is not None and any(commit.turn is turn for commit in self.pending):
            return self._take(next(commit for commit in self.pending if commit.turn is turn))
        first = self.pending[0] if self.pending else None
        if first is None or (turn is not None and (first.turn is not None or turn.end is not None)):
            return None
        return self._take(first)

    def take_refused(self, error: ErrorInfo, *, anonymous: bool) -> Commit | None:
        """Remove and return the commit that an error refuses.

        Args:
            error: Error of the endpoint.
            anonymous: If True, an error without an ``event_id`` refuses the oldest commit, whatever its code.
        """
        for commit in self.pending:
            if error.event_id == commit.event_id:
                return self._take(commit, refused=True)
        if self.pending and error.event_id is None and (is_empty_buffer(error) or anonymous):
            return self._take(self.pending[0], refused=True)
        return None

    @property
    def last(self) -> Literal["pending", "answered", "refused"]:
        """What became of the last commit."""
        return "pending" if self.pending else "refused" if self.last_refused else "answered"

    @property
    def may_be_refused(self) -> bool:
        """An error may be the answer to a commit, perhaps to one of which no answer is expected any more."""
        return bool(self.pending) or self._ignored

    def ignore(self) -> None:
        """Expect no answer to commits that close no turn: the endpoint ignores them."""
        if any(commit.turn is None for commit in self.pending):
            self.pending = [commit for commit in self.pending if commit.turn is not None]
            self.last_refused = self._ignored = True

    def forget_done(self) -> None:
        """Remove the commits of turns that have their outcome: their answers no longer matter."""
        self.pending = [commit for commit in self.pending if commit.turn is None or not commit.turn.done]

    def _take(self, commit: Commit, *, refused: bool = False) -> Commit:
        self.pending.remove(commit)
        self.last_refused = refused
        return commit
