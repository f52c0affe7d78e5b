"""The turns of one connection: match events to turns, keep timeline order, assign numbers.

Servers differ: some send ids and offsets, some send ids that match nothing, some send neither. The order of arrival
replaces missing data, so that an unknown turn cannot block the others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from rt_cli.protocol.sanitize import printable_id

if TYPE_CHECKING:
    from rt_cli.events import TurnUsage
    from rt_cli.protocol.server_events import ErrorInfo

_REMEMBERED_IDS = 2048
"""Ids of finished turns; a repeated event for an older id counts as a new turn."""
_MAX_ID_CHARS = 200
REMEMBERED_CHARS = 200
"""Of the text of a finished turn, to recognise a repeated transcript."""
_MAX_OPEN = 1000
"""Limit for open turns, against an endpoint that begins turns and never ends them."""


@dataclass(slots=True, eq=False)
class Turn:
    """A half-open range of the timeline that becomes one final."""

    updated_at: float
    """Time of the last event about the turn, seconds."""
    grew_at: float = 0.0
    """When its text last grew, seconds."""
    start: int | None = None
    end: int | None = None
    """``start`` and ``end`` as reported, possibly overlapping the neighbours; ``take_done`` clips them."""
    ids: set[str] = field(default_factory=set)
    """Item ids of the events that began, ended or committed the turn."""
    alias: str | None = None
    """The item id of its transcript events, if that is not in ``ids``."""
    previous: str | None = None
    """``previous_item_id`` of the endpoint: the turn before this one."""
    number: int | None = None
    reported: bool = False
    """An event with its number was reported."""
    parts: dict[int, str] = field(default_factory=dict)
    """Text by content index: the deltas so far, or the final text of a part."""
    unfinished_parts: set[int] = field(default_factory=set)
    """Content indices with a partial text and no final one."""
    speech: bool = True
    """Speech was detected in the turn."""
    start_ms: int | None = None
    """The offset that the endpoint gave for the start, milliseconds."""
    committed: bool = False
    """``rt`` or the endpoint has committed the turn."""
    answered: bool = False
    """The endpoint has sent ``committed`` for the turn."""
    usage: TurnUsage | None = None
    """What the endpoint charges, as it says."""
    confidence: float | None = None
    """How sure the endpoint is of the text, 0 to 1."""
    speakers: set[str | None] = field(default_factory=set)
    """Speakers of its segments; None: a segment without one."""
    speech_end: int | None = None
    """Position after the last speech; None if unknown."""
    language: str | None = None
    translation: str | None = None
    """Its translation; None if the session does not translate."""
    made: bool = False
    """``rt`` has made it of a stream of words: the endpoint has no name for it, and no offsets of its speech."""
    approx: bool = False
    """The end is a guess: audio before it may belong to the next turn."""
    earliest_end: int = 0
    """Lower bound of a guessed end."""
    start_guessed: bool = False
    """The start is the guessed end of the turn before."""
    done: bool = False
    failure: ErrorInfo | None = None
    """Set with ``done``: the error that the endpoint sent instead of a text."""
    missing: bool = False
    """Set with ``done``: no final came in time."""

    @property
    def item_id(self) -> str | None:
        """The endpoint's own name of the turn, printable; None if it has none."""
        return None if self.made else printable_id(self.alias or min(self.ids, default=None))

    @property
    def text(self) -> str:
        """The text of all parts, in the order of their content index."""
        return " ".join(text for _, text in sorted(self.parts.items()) if text)

    def add_text(self, delta: str, index: int = 0) -> None:
        """Append a delta to a part; joins a surrogate pair that two deltas split."""
        text = self.parts.get(index, "") + delta
        self.parts[index] = text if delta.isascii() else _joined(text)
        self.unfinished_parts.add(index)

    def replace_text(self, text: str, index: int = 0, *, final: bool) -> None:
        """Set the text of a part."""
        self.parts[index] = text
        if final:
            self.unfinished_parts.discard(index)
        else:
            self.unfinished_parts.add(index)

    def reopen(self, now: float) -> None:
        """Speech goes on: the end was not the end."""
        self.end, self.speech_end, self.approx, self.earliest_end, self.updated_at = None, None, False, 0, now

    def close(self, end: int, now: float, *, speech_end: int | None = None) -> None:
        """Set a known end."""
        self.end, self.speech_end, self.updated_at = end, speech_end, now

    def guess(self, end: int, earliest_end: int, now: float) -> None:
        """Set a guessed end and its lower bound."""
        self.end, self.earliest_end, self.approx, self.updated_at = end, earliest_end, True, now

    def give_up(self) -> None:
        """Expect no more of it: its finished parts are its text; without one its final is missing."""
        self.done, self.missing = True, not (self.parts.keys() - self.unfinished_parts)
        for part in self.unfinished_parts:
            self.parts.pop(part, None)
        self.unfinished_parts.clear()

    def note_transcript(self, item_id: str | None) -> None:
        """Note a transcript event with this item id."""
        if item_id and item_id not in self.ids:
            self.alias = item_id

    def has_id(self, item_id: str) -> bool:
        """Return whether an event with this item id is about this turn."""
        return item_id in self.ids or item_id == self.alias

    @property
    def has_no_id(self) -> bool:
        """Whether no event about this turn had an item id yet."""
        return not self.ids and self.alias is None


def _joined(text: str) -> str:
    """Join surrogate pairs; a half without its other half stays."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


class Finished(NamedTuple):
    """What is remembered of a finished turn, to recognise a repeated event."""

    text: str
    start_ms: int | None
    parts: frozenset[int]
    """Content indices of its transcripts."""


class TurnList:
    """Turns in timeline order, starting with the oldest that has no printed outcome.

    Args:
        covered: Timeline position at which the first turn can begin.
        next_number: Number of the next reported turn.
    """

    def __init__(self, covered: int, next_number: int = 1) -> None:
        self.open: list[Turn] = []
        """Turns without a printed outcome; the first one delays the others."""
        self.covered = covered
        """End of the last turn that ``take_done`` returned; everything before it is covered."""
        self.min_covered = covered
        """Like ``covered``, with each guessed end at its lower bound."""
        self._end_guessed = False
        """``covered`` is a guess."""
        self.next_number = next_number
        self.matched = False
        """A transcript event has matched an id of a turn; from then on, unmatched ids belong to no turn."""
        self._finished: dict[str, Finished] = {}
        self._only_id: str | None = None
        self.distinct_ids = False
        """The endpoint has used two different item ids: a used id means a repeated event."""

    # -- find ---------------------------------------------------------------------------------------------------------

    def note_id(self, item_id: str) -> None:
        """Note an item id of the endpoint."""
        self.distinct_ids = self.distinct_ids or self._only_id not in {None, item_id}
        self._only_id = item_id

    def find(self, item_id: str | None) -> Turn | None:
        """Return the first turn with this id that has no outcome yet."""
        return next((turn for turn in self.having(item_id) if not turn.done), None)

    def having(self, item_id: str | None) -> list[Turn]:
        """Return the open turns with this id: more than one where an endpoint gives several turns one id."""
        return [turn for turn in self.open if turn.has_id(item_id)] if item_id else []

    def finished(self, item_id: str | None) -> Finished | None:
        """Return what is remembered of the last turn with this id that is printed or given up."""
        return self._finished.get(item_id) if item_id else None

    def is_repeated(self, item_id: str | None) -> bool:
        """Return whether every turn with this id has its outcome, and there is one."""
        if self.find(item_id) is not None:
            return False
        return bool(self.having(item_id)) or self.finished(item_id) is not None

    def current(self) -> Turn | None:
        """Return the last turn, if its speech has not ended."""
        last = self.open[-1] if self.open else None
        return last if last is not None and last.end is None and not last.committed and not last.done else None

    def find_without_id(self) -> Turn | None:
        """Return the oldest turn that has no commit, no outcome and no item id."""
        return next((turn for turn in self.open if not turn.committed and not turn.done and not turn.ids), None)

    def find_uncommitted(self) -> Turn | None:
        """Return the oldest turn that has no commit and no outcome, whatever its ids."""
        return next((turn for turn in self.open if not turn.committed and not turn.done), None)

    def find_by_transcript(self, item_id: str | None) -> Turn | None:
        """Return the turn of a transcript event with this id or without an id; None if it belongs to no turn.

        Without a match, take the oldest turn that waits for a transcript, committed turns first. Once ids have
        matched, take only a turn without an id.
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
            next((turn for turn in waiting if turn.has_no_id), None),
        )

    # -- order --------------------------------------------------------------------------------------------------------

    @property
    def is_full(self) -> bool:
        """Whether the endpoint has begun too many turns without ending them."""
        return len(self.open) >= _MAX_OPEN

    def append(self, turn: Turn) -> Turn:
        """Add a new turn after all others."""
        self.open.append(turn)
        return turn

    def insert_before_all(self, turn: Turn) -> list[int]:
        """Put a new turn before all open ones; returns the numbers that were reported and are void now."""
        self.open.insert(0, turn)
        return self.withdraw()

    def place(self, turn: Turn) -> list[int]:
        """Move a turn, new or known, to its place in the order, together with the turns that follow it by ``previous``.

        The place is after the turn that ``previous`` names; else before the first turn that starts later; else its
        present place, or that of the first turn that follows it; else the end.

        Returns:
            Numbers that were reported and are void now.
        """
        chain = self._with_followers(turn)
        others = [each for each in self.open if each not in chain]
        at = self._place_among(others, turn)
        if at is None:
            first = next((index for index, each in enumerate(self.open) if each in chain), len(others))
            at = min(first, len(others))
        order = [*others[:at], *chain, *others[at:]]
        stays = sum(1 for _ in _common_head(order, self.open))
        self.open = order
        return self.withdraw(stays)

    def _with_followers(self, turn: Turn) -> list[Turn]:
        """Return the turn and the chain of turns that follow it by ``previous``."""
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

    @property
    def last_end(self) -> int:
        """End of the last turn that has one (timeline)."""
        return max([self.covered, *(turn.end for turn in self.open if turn.end is not None)])

    @property
    def min_last_end(self) -> int:
        """Like :attr:`last_end`, with each guessed end at its lower bound."""
        return max([self.min_covered, *(turn.end for turn in self.open if turn.end is not None and not turn.approx)])

    def begin_at(self, position: int) -> None:
        """Note that no turn begins before ``position``."""
        self.covered, self.min_covered = max(self.covered, position), max(self.min_covered, position)

    def end_of(self, turn: Turn, position: int) -> int:
        """Return the end of a turn: its own, else the first known position of a later turn, else ``position``."""
        if turn.end is not None:
            return turn.end
        later = self.open[self.open.index(turn) + 1 :]
        return next((at for each in later for at in (each.start, each.end) if at is not None), position)

    def restart_unread_timers(self, acknowledged: int, position: int, now: float) -> None:
        """Turns that the endpoint has not received completely cannot time out yet: restart their timers."""
        for turn in self.open:
            if self.end_of(turn, position) > acknowledged:
                turn.updated_at = now

    def take_done(self, position: int) -> list[Turn]:
        """Remove and return the finished turns at the head, each clipped to the end of the turn before."""
        taken = []
        while self.open and self.open[0].done:
            turn = self.open[0]
            turn.start_guessed = self._end_guessed and (turn.start or 0) <= self.covered
            self._end_guessed = turn.approx
            turn.start = max(turn.start or 0, self.covered)
            turn.end = self.covered = max(turn.start, self.end_of(turn, position))
            # The lower bound of a guessed end counts from the next turn on: this turn may end before it.
            turn.earliest_end, self.min_covered = (
                self.min_covered,
                max(self.min_covered, turn.earliest_end if turn.approx else turn.end),
            )
            taken.append(self.open.pop(0))
            self._remember(turn)
        return taken

    def _remember(self, turn: Turn) -> None:
        ids = turn.ids if turn.alias is None else {*turn.ids, turn.alias}
        remembered = Finished(turn.text[:REMEMBERED_CHARS], turn.start_ms, frozenset(turn.parts))
        self._finished.update(dict.fromkeys((each for each in ids if len(each) <= _MAX_ID_CHARS), remembered))
        while len(self._finished) > _REMEMBERED_IDS:
            del self._finished[next(iter(self._finished))]

    # -- numbers ------------------------------------------------------------------------------------------------------

    def number(self, turn: Turn) -> int:
        """Return the number of a turn. Earlier turns get their numbers first, so that numbers follow the order."""
        before = self.open[: self.open.index(turn)] if turn in self.open else []
        for each in [*before, turn]:
            if each.number is None:
                each.number, self.next_number = self.next_number, self.next_number + 1
        turn.reported = True
        return turn.number or 0

    def withdraw(self, index: int = 0) -> list[int]:
        """Remove the numbers of the turns from ``index`` on.

        Returns:
            The removed numbers that were reported.
        """
        numbered = [turn for turn in self.open[index:] if turn.number is not None]
        reported = [turn.number for turn in numbered if turn.number is not None and turn.reported]
        for turn in numbered:
            self.next_number = min(self.next_number, turn.number or self.next_number)
            turn.number, turn.reported = None, False
        return reported


def _common_head(order: list[Turn], before: list[Turn]) -> list[Turn]:
    same = []
    for now, then in zip(order, before, strict=False):
        if now is not then:
            break
        same.append(now)
    return same
