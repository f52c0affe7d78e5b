"""The turns of one connection: which event speaks of which turn, in which order they stand, what they are called.

Servers differ in what they tell: some give ids and offsets, some ids that match nothing, some neither. What is known is
used; what is not is filled in by the order of arrival, so that nothing unknown can stall the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rt_cli.protocol.server_events import ErrorInfo

_REMEMBERED_IDS = 2048
"""Of turns that are over; a repetition that comes later than so many turns is taken for news."""
_LONGEST_ID = 200
_MOST_OPEN = 1000
"""Turns that an endpoint may begin and never end."""


@dataclass(slots=True, eq=False)
class Turn:
    """A half-open range of the timeline that becomes one final."""

    touched: float
    """When anything was last heard of it, seconds."""
    start: int | None = None
    end: int | None = None
    """Both as they were told, which may overlap the neighbours; clipped when the turn is taken."""
    ids: set[str] = field(default_factory=set)
    """As the endpoint named it when it began or was committed."""
    alias: str | None = None
    """The id under which its words come, where that is none of ``ids``."""
    previous: str | None = None
    """The id of the turn before it, as the endpoint says."""
    number: int | None = None
    shown: bool = False
    """Whether anybody was told of it by its number."""
    text: str = ""
    """The deltas so far, or the final text once it is done."""
    speech: bool = True
    """Whether somebody detected speech in it."""
    committed: bool = False
    """By us or by the endpoint."""
    answered: bool = False
    """The endpoint has said that it is committed."""
    speech_end: int | None = None
    """The last sample with speech; None if nobody knows."""
    language: str | None = None
    approx: bool = False
    """Its end is a guess: some of what lies before it may belong to the next turn."""
    sure: int = 0
    """Where the end is a guess: it lies not before this."""
    done: bool = False
    failure: ErrorInfo | None = None
    """Set with ``done``: what the endpoint said instead of a text."""
    missing: bool = False
    """Set with ``done``: no final came in time."""

    def close(self, end: int, now: float, *, speech_end: int | None = None) -> None:
        """Its end is told."""
        self.end, self.speech_end, self.touched = end, speech_end, now

    def guess(self, end: int, sure: int, now: float) -> None:
        """Its end is guessed."""
        self.end, self.sure, self.approx, self.touched = end, sure, True, now

    def words(self, item_id: str | None, now: float) -> None:
        """Some of its words came, under this id."""
        self.touched = now
        if item_id and item_id not in self.ids:
            self.alias = item_id

    def goes_by(self, item_id: str) -> bool:
        """Whether an event with this id speaks of it."""
        return item_id in self.ids or item_id == self.alias

    @property
    def nameless(self) -> bool:
        """Whether no event has named it yet."""
        return not self.ids and self.alias is None


class TurnList:
    """Turns in timeline order, from the oldest that is not printed.

    Args:
        covered: Timeline position at which the first can begin.
        next_number: Of the next turn that is shown.
    """

    def __init__(self, covered: int, next_number: int = 1) -> None:
        self.open: list[Turn] = []
        """Not yet printed; the first one holds the others back."""
        self.covered = covered
        """Everything before it is settled or in a turn that was taken."""
        self.sure = covered
        """Everything before it is so even if the ends that were guessed lie as early as they may."""
        self.next_number = next_number
        self.matched = False
        """Whether words have ever come under an id that was told before; then one without a match is a stranger's."""
        self._finished: dict[str, None] = {}

    # -- which one ----------------------------------------------------------------------------------------------------

    def find(self, item_id: str | None) -> Turn | None:
        """The turn that goes by this id."""
        return next((turn for turn in self.open if turn.goes_by(item_id)), None) if item_id else None

    def finished(self, item_id: str | None) -> bool:
        """Whether a turn with this id was already printed or given up."""
        return item_id in self._finished

    def speaking(self) -> Turn | None:
        """The last turn, if it is still being spoken."""
        last = self.open[-1] if self.open else None
        return last if last is not None and last.end is None and not last.committed and not last.done else None

    def unnamed_speech(self) -> Turn | None:
        """The oldest turn that was spoken, and that no id and no commit has been told of."""
        return next((turn for turn in self.open if not turn.committed and not turn.done and not turn.ids), None)

    def of_words(self, item_id: str | None) -> Turn | None:
        """The turn whose words come under this id, or under none; None if they are a stranger's.

        Without a match they are those of the oldest turn that waits for words, committed ones first; where ids have
        been of use, only of one that was never named.
        """
        turn = self.find(item_id)
        if turn is not None:
            self.matched = self.matched or item_id in turn.ids
            return turn
        waiting = [turn for turn in self.open if not turn.done]
        if not item_id:
            return next(iter(waiting), None)
        committed = (turn for turn in waiting if turn.committed and turn.alias is None)
        return next(
            (turn for turn in committed if not turn.ids or not self.matched),
            next((turn for turn in waiting if turn.nameless), None),
        )

    # -- where it stands ----------------------------------------------------------------------------------------------

    @property
    def crowded(self) -> bool:
        """Whether the endpoint has begun more turns than anybody speaks."""
        return len(self.open) >= _MOST_OPEN

    def append(self, turn: Turn) -> Turn:
        """A new turn begins behind all others."""
        self.open.append(turn)
        return turn

    def place(self, turn: Turn) -> list[int]:
        """Put a turn, new or known, where it belongs; returns the numbers that were shown and are void by that.

        That is behind the one that ``previous`` names; else before those that start later; else where it is, or the
        first that names it; a new one at the end. Those that name it come with it.
        """
        moved = self._with_followers(turn)
        others = [each for each in self.open if each not in moved]
        at = self._place_among(others, turn)
        if at is None:
            first = next((index for index, each in enumerate(self.open) if each in moved), len(others))
            at = min(first, len(others))
        order = [*others[:at], *moved, *others[at:]]
        stays = sum(1 for _ in _while_same(order, self.open))
        self.open = order
        return self.withdraw(stays)

    def _with_followers(self, turn: Turn) -> list[Turn]:
        """The turn, the one that follows it as the endpoint says, the one that follows that, and so on."""
        followers = {each.previous: each for each in self.open if each.previous is not None}
        chain, last = [turn], turn
        while (follower := next((followers.pop(name) for name in last.ids if name in followers), turn)) is not turn:
            chain.append(follower)
            last = follower
        return chain

    def _place_among(self, others: list[Turn], turn: Turn) -> int | None:
        for index, other in enumerate(others):
            if turn.previous in other.ids:
                return index + 1
        for index, other in enumerate(others):
            if turn.start is not None and other.start is not None and other.start > turn.start:
                return index
        return None

    def end_of(self, turn: Turn, position: int) -> int:
        """Where a turn ends: as it was told, else where a later one is known to be, else at ``position``."""
        if turn.end is not None:
            return turn.end
        later = self.open[self.open.index(turn) + 1 :]
        return next((at for each in later for at in (each.start, each.end) if at is not None), position)

    def touch_unread(self, acknowledged: int, position: int, now: float) -> None:
        """Of what the endpoint has not read it cannot say anything: its time has not begun."""
        for turn in self.open:
            if self.end_of(turn, position) > acknowledged:
                turn.touched = now

    def take_done(self, position: int) -> list[Turn]:
        """Remove and return the turns at the head that are done, each clipped to the end of the one before."""
        taken = []
        while self.open and self.open[0].done:
            turn = self.open[0]
            turn.start = max(turn.start or 0, self.covered)
            turn.end = self.covered = max(turn.start, self.end_of(turn, position))
            # What is sure of a guess is sure of the next turn only: this one may end a little before.
            turn.sure, self.sure = self.sure, max(self.sure, turn.sure if turn.approx else turn.end)
            taken.append(self.open.pop(0))
            self._remember(turn)
        return taken

    def _remember(self, turn: Turn) -> None:
        ids = turn.ids if turn.alias is None else {*turn.ids, turn.alias}
        self._finished.update(dict.fromkeys(each for each in ids if len(each) <= _LONGEST_ID))
        while len(self._finished) > _REMEMBERED_IDS:
            del self._finished[next(iter(self._finished))]

    # -- what it is called --------------------------------------------------------------------------------------------

    def number(self, turn: Turn) -> int:
        """The number by which a turn is shown; earlier ones get theirs first, so that numbers stand in order."""
        before = self.open[: self.open.index(turn)] if turn in self.open else []
        for each in [*before, turn]:
            if each.number is None:
                each.number, self.next_number = self.next_number, self.next_number + 1
        turn.shown = True
        return turn.number or 0

    def withdraw(self, index: int = 0) -> list[int]:
        """Take back the numbers from the turn at ``index`` on; returns those that were shown."""
        numbered = [turn for turn in self.open[index:] if turn.number is not None]
        shown = [turn.number for turn in numbered if turn.number is not None and turn.shown]
        for turn in numbered:
            self.next_number = min(self.next_number, turn.number or self.next_number)
            turn.number, turn.shown = None, False
        return shown


def _while_same(order: list[Turn], before: list[Turn]) -> list[Turn]:
    same = []
    for now, then in zip(order, before, strict=False):
        if now is not then:
            break
        same.append(now)
    return same
