"""What one connection's events say of its turns: which begins, which is committed, whose words these are. Pure.

A connection is a generation: its item ids and its offsets mean nothing on the next one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.audio.format import to_ms, to_samples
from rt_cli.events import Partial, Withdrawn
from rt_cli.protocol.sanitize import printable
from rt_cli.protocol.server_events import (
    Committed,
    SpeechStarted,
    SpeechStopped,
    TranscriptCompleted,
    TranscriptDelta,
    TranscriptFailed,
)
from rt_cli.protocol.session.effects import Acknowledge, Effect, Report
from rt_cli.protocol.session.pending_commits import Commit, PendingCommits
from rt_cli.protocol.session.turn_list import Turn, TurnList
from rt_cli.protocol.session.wire_map import WireMap

if TYPE_CHECKING:
    from rt_cli.protocol.server_events import ErrorInfo, ServerEvent

_HASTE_S = 1.0
"""So much may an endpoint have taken in that it has not looked at: a chunk at its largest."""
_LONGEST_PARTIAL = 20_000
"""Characters; the final has them all."""


class ConnectionTurns:
    """The turns of one connection.

    What an event speaks of is found by its id, else by what was told before, else by order: an endpoint that gives no
    ids, or ids that match nothing, is understood all the same. A range without offsets is a guess, and says so.

    Args:
        rate_hz: The wire rate.
        own_turns: ``rt`` commits the turns itself; else the endpoint finds them.
        silence: Samples of silence that end a turn.
        start: Timeline position at which the connection begins to send.
        next_number: Of the next turn that is shown.
        detected: Whether anybody is known to listen for speech.
    """

    def __init__(
        self, *, rate_hz: int, own_turns: bool, silence: int, start: int, next_number: int = 1, detected: bool = False
    ) -> None:
        self.wire = WireMap(start)
        self.turns = TurnList(start, next_number)
        self.commits = PendingCommits()
        self.detected = detected
        self.read = start
        """Timeline position up to which the endpoint has read."""
        self._rate_hz = rate_hz
        self._own_turns = own_turns
        self._silence = silence

    @property
    def uncovered(self) -> bool:
        """Whether anything was sent that is in no turn."""
        last = self.turns.open[-1] if self.turns.open else None
        end = self.turns.covered if last is None else self.turns.end_of(last, self.wire.position)
        return self.wire.position > end

    # -- what we do ---------------------------------------------------------------------------------------------------

    def speech_opens(self, at: int, now: float) -> None:
        """Our own detector heard speech from ``at`` on."""
        turn = self.turns.speaking() or self.turns.append(Turn(now))
        turn.start = at if turn.start is None else turn.start

    def committing(self, event_id: str, now: float, *, speech: bool, tail: bool) -> None:
        """Our commit goes out; see :meth:`rt_cli.protocol.session.session.Session.committing`."""
        end = self.wire.position
        turn = None
        if self._own_turns:
            turn = self.turns.speaking() or self.turns.append(Turn(now, speech=speech))
            turn.close(end, now, speech_end=end if tail else end - self._silence)
            turn.committed = True
        self.commits.pending.append(Commit(event_id, end, self.wire.wire, turn, now))

    # -- what the endpoint says ---------------------------------------------------------------------------------------

    def hear(self, event: ServerEvent, now: float) -> list[Effect] | None:
        """Take in an event about turns; None if it is about nothing we know, or a repetition."""
        match event:
            case SpeechStarted():
                return self._speech_started(event, now)
            case SpeechStopped():
                return self._speech_stopped(event, now)
            case Committed():
                return self._committed(event, now)
            case TranscriptDelta():
                return self._delta(event, now)
            case TranscriptCompleted():
                return self._completed(event, now)
            case TranscriptFailed():
                return self._failed(event, now)
            case _:
                return None

    def commit_refused(self, commit: Commit, error: ErrorInfo, now: float) -> list[Effect]:
        """An error answered a commit of ours; an empty buffer is silence, anything else fails the turn."""
        turn, empty = commit.turn, commit.is_empty(error)
        if turn is not None and not turn.done:
            turn.done, turn.touched, turn.text = True, now, ""
            turn.speech = turn.speech and not empty
            turn.failure = None if empty else error
        return [Acknowledge(commit.wire)]

    def _speech_started(self, event: SpeechStarted, now: float) -> list[Effect] | None:
        turns, name = self.turns, event.item_id
        if self._own_turns or turns.finished(name) or turns.crowded:
            return None
        turn = turns.find(name) or self._speaking(name)
        if turn is not None and (turn.start is not None or turn.end is not None or not name):
            return None
        self.detected = True
        turn = turn or Turn(now)
        # An offset without an id is a wall clock's, as far as is known.
        believed = event.audio_start_ms if name else None
        turn.start = None if believed is None else self._position(believed)
        return [*self._place(turn, name), *self._heard(believed)]

    def _speech_stopped(self, event: SpeechStopped, now: float) -> list[Effect] | None:
        name = event.item_id
        turn = self.turns.find(name) or self._speaking(name)
        if self._own_turns or turn is None or turn.committed or turn.end is not None:
            return None
        if name:
            turn.ids.add(name)
        if not name or event.audio_end_ms is None:
            turn.guess(self.wire.position, self._sure, now)
            return []
        end = self.wire.end(to_samples(event.audio_end_ms, self._rate_hz))
        turn.close(end, now, speech_end=end - self._silence)
        return self._heard(event.audio_end_ms)

    def _committed(self, event: Committed, now: float) -> list[Effect] | None:
        turns, name = self.turns, event.item_id
        turn = turns.find(name) or (None if self._own_turns else turns.unnamed_speech())
        if turns.finished(name) or turns.crowded or (turn is not None and turn.answered):
            return None
        if turn is not None and name == turn.alias:
            turns.matched = True
        commit = self.commits.answered(turn)
        turn = (commit.turn if commit else None) or turn or turns.unnamed_speech() or Turn(now, speech=commit is None)
        # With own turns ours is the order; an id that follows itself would say nothing.
        turn.previous = None if self._own_turns or event.previous_item_id == name else event.previous_item_id
        moved = self._place(turn, name)
        if turn.end is None and commit is not None:
            turn.close(commit.end, now, speech_end=commit.end)
        elif turn.end is None:
            turn.guess(self.wire.position, self._sure, now)
        turn.committed = turn.answered = True
        turn.touched = now
        return [*moved, *([Acknowledge(commit.wire)] if commit else [])]

    def _delta(self, event: TranscriptDelta, now: float) -> list[Effect] | None:
        turns = self.turns
        if turns.finished(event.item_id):
            return None
        turn = turns.of_words(event.item_id)
        if turn is None and turns.speaking() is None and not turns.crowded and self._news(event.item_id):
            turn = turns.append(Turn(now))
        if turn is None or turn.done:
            return None
        turn.words(event.item_id, now)
        if not event.delta:
            return []
        if len(turn.text) < _LONGEST_PARTIAL:
            turn.text += event.delta
        start = None if turn.start is None else to_ms(max(turn.start, turns.covered), self._rate_hz)
        return [Report(Partial(turns.number(turn), printable(turn.text), start))]

    def _completed(self, event: TranscriptCompleted, now: float) -> list[Effect] | None:
        turn = self._over(event.item_id, now)
        if turn is None:
            return None
        turn.text, turn.language = event.transcript, event.language
        return []

    def _failed(self, event: TranscriptFailed, now: float) -> list[Effect] | None:
        turn = self._over(event.item_id, now)
        if turn is None:
            return None
        turn.failure = event.error
        return []

    # -- which turn, and where ----------------------------------------------------------------------------------------

    def _speaking(self, name: str | None) -> Turn | None:
        """The turn that is being spoken, if this can be its name."""
        turn = self.turns.speaking()
        return turn if turn is not None and (not name or not turn.ids) else None

    def _place(self, turn: Turn, name: str | None) -> list[Effect]:
        if name:
            turn.ids.add(name)
        return [Report(Withdrawn(number)) for number in self.turns.place(turn)]

    def _news(self, item_id: str | None) -> bool:
        """Whether words that belong to no turn can be those of a new one, and not a stranger's."""
        return self.uncovered and not (item_id and self.turns.matched)

    def _over(self, item_id: str | None, now: float) -> Turn | None:
        """The turn whose outcome an event with this id is; None if it is nobody's, or a repetition."""
        turns = self.turns
        if turns.finished(item_id):
            return None
        turn = turns.of_words(item_id)
        if turn is None and not self._own_turns and not turns.open and self._news(item_id):
            turn = turns.append(Turn(now))
        if turn is None or turn.done or (self._own_turns and turn.end is None):
            return None  # what we have not committed has no outcome
        if turn.end is None:
            turn.guess(turns.end_of(turn, self.wire.position), self._sure, now)
        turn.words(item_id, now)
        turn.done = True
        return turn

    @property
    def _sure(self) -> int:
        """What ends now ends not before this. What is sent, but not known to be read, may be of later turns."""
        return self.read - round(_HASTE_S * self._rate_hz)

    def _position(self, audio_ms: int) -> int:
        return self.wire.timeline(to_samples(audio_ms, self._rate_hz))

    def _heard(self, audio_ms: int | None) -> list[Effect]:
        return [] if audio_ms is None else [Acknowledge(to_samples(audio_ms, self._rate_hz))]
