"""The spoken turns of the user: which event is about which, and which sound was sent before. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.protocol.conversation.history import UserTurn

if TYPE_CHECKING:
    from rt_cli.protocol.conversation.history import History

_SAME_TURN_S = 0.5
"""Turns of the same sound on two connections end within so much."""


class UserTurns:
    """Finds and makes the turns of a history.

    Args:
        history: Gets the new turns.
        rate_hz: Of the timeline.
    """

    def __init__(self, history: History, rate_hz: int) -> None:
        self._history = history
        self._slack = round(_SAME_TURN_S * rate_hz)
        self._starts: dict[str, int | None] = {}
        self._ends: dict[str, int | None] = {}
        self._speaking = False
        self.stopped_last = False
        """The end of the present turn's speech was told, before its commit."""
        self.last_stopped: str | None = None
        """The item of the last speech that has ended."""

    @property
    def speaking(self) -> bool:
        """Whether speech is under way."""
        return self._speaking

    def lost(self) -> None:
        """Note that the connection is gone, with the turn that was under way."""
        self._starts.clear()
        self._ends.clear()
        self._speaking = self.stopped_last = False

    def started(self, item_id: str | None, at: int | None) -> None:
        """Note the start of speech, on the timeline."""
        self._speaking, self.stopped_last = True, False
        self._starts[item_id or ""] = at

    def stopped(self, item_id: str | None, at: int | None) -> None:
        """Note the end of speech, on the timeline."""
        self._speaking, self.stopped_last, self.last_stopped = False, True, item_id
        self._ends[item_id or ""] = at

    def sent_again(self, at: int | None) -> bool:
        """Return whether speech that starts at a position was heard before, on an earlier connection."""
        ends = [turn.end for turn in self._history.turns if turn.again]
        return at is not None and any(end is None or at < end for end in ends)

    def committed(self, item_id: str | None) -> tuple[UserTurn, list[UserTurn], bool]:
        """Return the turn of a new item, the turns of earlier connections that it holds, too, and whether it is new.

        A turn that holds the sound of an earlier one, and little more, is the earlier one.
        """
        self._speaking = self.stopped_last = False
        # Our own detector knows no ids.
        start = self._starts.pop(item_id or "", self._starts.pop("", None))
        end = self._ends.pop(item_id or "", self._ends.pop("", None))
        known = next((turn for turn in self._history.turns if item_id is not None and turn.item_id == item_id), None)
        if known is not None:  # its words came first
            known.start = known.start if start is None else start
            known.end = known.end if end is None else end
            return known, [], False
        again = [turn for turn in self._history.turns if turn.again and self._holds(turn, end)]
        if not again:
            turn = UserTurn(item_id, start, end)
            self._history.add(turn)
            return turn, [], True
        *others, turn = again
        if not self._is_same(turn, end):
            turn.answered = False  # the user has said more than a reply knows
        turn.again, turn.item_id, turn.end = False, item_id, end if end is not None else turn.end
        for other in others:
            other.again, other.ended = False, True
        return turn, others, False

    def ended(self, item_ids: frozenset[str], number: int | None, text: str) -> tuple[UserTurn, bool]:
        """Return the turn that has its words, or will have none, and whether it is new."""
        waiting = [turn for turn in self._history.turns if not turn.ended]
        named = [turn for turn in waiting if turn.item_id in item_ids]
        turn = next(iter(named or waiting), None)
        new = turn is None
        if turn is None:
            turn = UserTurn(next(iter(item_ids), None))
            self._history.add(turn)
        turn.ended, turn.again, turn.number, turn.text = True, False, number, text
        return turn, new

    def _holds(self, turn: UserTurn, end: int | None) -> bool:
        return end is None or turn.start is None or turn.start < end

    def _is_same(self, turn: UserTurn, end: int | None) -> bool:
        return end is None or turn.end is None or end <= turn.end + self._slack
