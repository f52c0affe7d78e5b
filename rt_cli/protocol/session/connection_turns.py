"""Apply the events of one connection to its turns: speech, commits, transcripts. Pure.

Item ids and offsets are valid only on their own connection.
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

_MAX_UNREAD_S = 1.0
"""Audio that an endpoint may have received but not processed: one chunk of the largest size."""
_LONGEST_PARTIAL = 20_000
"""Characters of a partial; the final has the whole text."""


class ConnectionTurns:
    """The turns of one connection.

    An event is matched to a turn by its id, else by earlier events, else by order, so that endpoints without ids, or
    with ids that match nothing, work too. A turn without offsets gets a guessed range (``approx``).

    Args:
        rate_hz: Sample rate on the wire.
        own_turns: True if ``rt`` commits the turns itself; False if the endpoint detects them.
        silence: Samples of silence that end a turn.
        start: Timeline position at which the connection begins to send.
        next_number: Number of the next reported turn.
        detected: True if a speech detector is known to run.
    """

    def __init__(
        self, *, rate_hz: int, own_turns: bool, silence: int, start: int, next_number: int = 1, detected: bool = False
    ) -> None:
        self.wire = WireMap(start)
        self.turns = TurnList(start, next_number)
        self.commits = PendingCommits()
        self.detected = detected
        self.read = start
        """Timeline position up to which the endpoint has read the audio."""
        self._rate_hz = rate_hz
        self._own_turns = own_turns
        self._silence = silence

    @property
    def has_audio_without_turn(self) -> bool:
        """Whether audio after the last turn was sent."""
        last = self.turns.open[-1] if self.turns.open else None
        end = self.turns.covered if last is None else self.turns.end_of(last, self.wire.position)
        return self.wire.position > end

    # -- own actions --------------------------------------------------------------------------------------------------

    def speech_opens(self, at: int, now: float) -> None:
        """Our own detector found speech from ``at`` on (timeline)."""
        turn = self.turns.current() or self.turns.append(Turn(now))
        turn.start = at if turn.start is None else turn.start

    def committing(self, event_id: str, now: float, *, speech: bool, tail: bool) -> None:
        """Note that our commit is about to be sent; see :meth:`rt_cli.protocol.session.session.Session.committing`."""
        end = self.wire.position
        turn = None
        if self._own_turns:
            turn = self.turns.current() or self.turns.append(Turn(now, speech=speech))
            turn.close(end, now, speech_end=end if tail else end - self._silence)
            turn.committed = True
        self.commits.pending.append(Commit(event_id, end, self.wire.wire, turn, now))

    # -- events of the endpoint ---------------------------------------------------------------------------------------

    def receive(self, event: ServerEvent, now: float) -> list[Effect] | None:
        """Apply an event about turns; None if the event matches no turn or repeats an earlier one."""
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
        """Apply the refusal of our commit: an empty buffer means silence, any other error fails the turn."""
        turn, empty = commit.turn, commit.is_empty(error)
        if turn is not None and not turn.done:
            turn.done, turn.updated_at, turn.text = True, now, ""
            turn.speech = turn.speech and not empty
            turn.failure = None if empty else error
        return [Acknowledge(commit.wire)]

    def _speech_started(self, event: SpeechStarted, now: float) -> list[Effect] | None:
        turns, name = self.turns, event.item_id
        if self._own_turns or turns.is_finished(name) or turns.is_full:
            return None
        turn = turns.find(name) or self._current_turn(name)
        if turn is not None and (turn.start is not None or turn.end is not None or not name):
            return None
        self.detected = True
        turn = turn or Turn(now)
        # Known servers that send an offset without an id send wall clock time.
        offset_ms = event.audio_start_ms if name else None
        turn.start = None if offset_ms is None else self._position(offset_ms)
        return [*self._place(turn, name), *self._acknowledge(offset_ms)]

    def _speech_stopped(self, event: SpeechStopped, now: float) -> list[Effect] | None:
        name = event.item_id
        turn = self.turns.find(name) or self._current_turn(name)
        if self._own_turns or turn is None or turn.committed or turn.end is not None:
            return None
        if name:
            turn.ids.add(name)
        if not name or event.audio_end_ms is None:
            turn.guess(self.wire.position, self._earliest_end, now)
            return []
        end = self.wire.end(to_samples(event.audio_end_ms, self._rate_hz))
        turn.close(end, now, speech_end=end - self._silence)
        return self._acknowledge(event.audio_end_ms)

    def _committed(self, event: Committed, now: float) -> list[Effect] | None:
        turns, name = self.turns, event.item_id
        turn = turns.find(name) or (None if self._own_turns else turns.find_without_id())
        if turns.is_finished(name) or turns.is_full or (turn is not None and turn.answered):
            return None
        if turn is not None and name == turn.alias:
            turns.matched = True
        commit = self.commits.take_answered(turn)
        turn = (commit.turn if commit else None) or turn or turns.find_without_id() or Turn(now, speech=commit is None)
        # With own turns, rt knows the order itself. Some servers name an item as its own predecessor: ignore that.
        turn.previous = None if self._own_turns or event.previous_item_id == name else event.previous_item_id
        moved = self._place(turn, name)
        if turn.end is None and commit is not None:
            turn.close(commit.end, now, speech_end=commit.end)
        elif turn.end is None:
            turn.guess(self.wire.position, self._earliest_end, now)
        turn.committed = turn.answered = True
        turn.updated_at = now
        return [*moved, *([Acknowledge(commit.wire)] if commit else [])]

    def _delta(self, event: TranscriptDelta, now: float) -> list[Effect] | None:
        turns = self.turns
        if turns.is_finished(event.item_id):
            return None
        turn = turns.find_by_transcript(event.item_id)
        if turn is None and turns.current() is None and not turns.is_full and self._may_be_new(event.item_id):
            turn = turns.append(Turn(now))
        if turn is None or turn.done:
            return None
        turn.note_transcript(event.item_id, now)
        if not event.delta:
            return []
        if len(turn.text) < _LONGEST_PARTIAL:
            turn.text += event.delta
        start = None if turn.start is None else to_ms(max(turn.start, turns.covered), self._rate_hz)
        return [Report(Partial(turns.number(turn), printable(turn.text), start))]

    def _completed(self, event: TranscriptCompleted, now: float) -> list[Effect] | None:
        turn = self._finish_turn(event.item_id, now)
        if turn is None:
            return None
        turn.text, turn.language = event.transcript, event.language
        return []

    def _failed(self, event: TranscriptFailed, now: float) -> list[Effect] | None:
        turn = self._finish_turn(event.item_id, now)
        if turn is None:
            return None
        turn.failure = event.error
        return []

    # -- matching -----------------------------------------------------------------------------------------------------

    def _current_turn(self, name: str | None) -> Turn | None:
        """Return the current turn, if ``name`` can be its item id."""
        turn = self.turns.current()
        return turn if turn is not None and (not name or not turn.ids) else None

    def _place(self, turn: Turn, name: str | None) -> list[Effect]:
        if name:
            turn.ids.add(name)
        return [Report(Withdrawn(number)) for number in self.turns.place(turn)]

    def _may_be_new(self, item_id: str | None) -> bool:
        """Return whether a transcript without a turn can belong to a new turn."""
        return self.has_audio_without_turn and not (item_id and self.turns.matched)

    def _finish_turn(self, item_id: str | None, now: float) -> Turn | None:
        """Mark the turn of an outcome as done and return it; None without a match or for a repeated event."""
        turns = self.turns
        if turns.is_finished(item_id):
            return None
        turn = turns.find_by_transcript(item_id)
        if turn is None and not self._own_turns and not turns.open and self._may_be_new(item_id):
            turn = turns.append(Turn(now))
        if turn is None or turn.done or (self._own_turns and turn.end is None):
            return None  # a turn that rt has not committed has no outcome yet
        if turn.end is None:
            turn.guess(turns.end_of(turn, self.wire.position), self._earliest_end, now)
        turn.note_transcript(item_id, now)
        turn.done = True
        return turn

    @property
    def _earliest_end(self) -> int:
        """Lower bound for the end of a turn that ends now: unread audio may belong to later turns."""
        return self.read - round(_MAX_UNREAD_S * self._rate_hz)

    def _position(self, audio_ms: int) -> int:
        return self.wire.timeline(to_samples(audio_ms, self._rate_hz))

    def _acknowledge(self, audio_ms: int | None) -> list[Effect]:
        return [] if audio_ms is None else [Acknowledge(to_samples(audio_ms, self._rate_hz))]
