"""Apply the events of one connection to its turns: speech, commits, transcripts. Pure.

Item ids and offsets are valid only on their own connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from rt_cli.audio.format import to_samples
from rt_cli.events import Partial, Withdrawn
from rt_cli.protocol.error_policy import is_empty_buffer
from rt_cli.protocol.sanitize import printable
from rt_cli.protocol.server_events import (
    Committed,
    SpeechStarted,
    SpeechStopped,
    TranscriptCompleted,
    TranscriptDelta,
    TranscriptFailed,
    TranscriptSegment,
    TranscriptSnapshot,
)
from rt_cli.protocol.session.effects import Acknowledge, Effect, Report
from rt_cli.protocol.session.outcomes import TurnReports
from rt_cli.protocol.session.pending_commits import Commit, PendingCommits
from rt_cli.protocol.session.reading import Reading
from rt_cli.protocol.session.turn_list import REMEMBERED_CHARS, Turn, TurnList
from rt_cli.protocol.session.wire_map import WireMap
from rt_cli.protocol.translation.events import TranslatedTurn, TranslationPartial

if TYPE_CHECKING:
    from rt_cli.events import SpeechBegan, SpeechEnded
    from rt_cli.protocol.server_events import ErrorInfo, ServerEvent
    from rt_cli.protocol.session.offsets import Offsets

_FIRST_HALVES = "".join(map(chr, range(0xD800, 0xDC00)))
"""Of surrogate pairs."""
_LEAST_CHARS, _CHARS_PER_S = 200, 50
"""The text of a turn is plausible up to so many characters, and so many more for each second of it."""
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
        offsets: The offsets of this connection.
    """

    def __init__(
        self,
        *,
        rate_hz: int,
        own_turns: bool,
        silence: int,
        start: int,
        next_number: int = 1,
        detected: bool = False,
        offsets: Offsets,
    ) -> None:
        self.wire = WireMap(start)
        self.offsets = offsets
        self.turns = TurnList(start, next_number)
        self.commits = PendingCommits()
        self._reports = TurnReports(self.turns, rate_hz)
        self.detected = detected
        self.ends_turns = False
        """The endpoint has ended a turn without a commit of ours."""
        self.reading = Reading(start, rate_hz)
        """How far the endpoint has come with the audio."""
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

    def speech_opens(self, at: int, now: float) -> SpeechBegan | None:
        """Our own detector found speech from ``at`` on (timeline)."""
        turn = self.turns.current() or self.turns.append(Turn(now))
        if turn.start is not None:
            return None
        turn.start = at
        return self._reports.start(turn)

    def committing(self, event_id: str, now: float, *, speech: bool, tail: bool) -> SpeechEnded | None:
        """Note that our commit is about to be sent; see :meth:`rt_cli.protocol.session.session.Session.committing`."""
        end = self.wire.position
        turn = event = None
        if self._own_turns:
            turn = self.turns.current() or self.turns.append(Turn(now, speech=speech))
            turn.close(end, now, speech_end=end if tail else end - self._silence)
            turn.committed = True
            event = self._reports.stop(turn, end)
        self.commits.pending.append(
            Commit(event_id, end, self.wire.wire, turn, now, speech=speech and not self._own_turns)
        )
        return event

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
            case TranscriptSnapshot():
                return self._snapshot(event, now)
            case TranscriptSegment():
                return self._segment(event, now)
            case TranscriptCompleted():
                return self._completed(event, now)
            case TranscriptFailed():
                return self._failed(event, now)
            case TranslationPartial() | TranslatedTurn():
                return self._made(event, now)
            case _:
                return None

    def commit_refused(self, commit: Commit, error: ErrorInfo, now: float) -> list[Effect]:
        """Apply the refusal of our commit: an empty buffer means silence, any other error fails the turn."""
        turn, empty = commit.turn, is_empty_buffer(error)
        if turn is not None and not turn.done:
            turn.done, turn.updated_at = True, now
            turn.parts.clear()
            # Our detector heard speech: an "empty buffer" means that the endpoint has lost the audio.
            turn.failure = None if empty and not turn.speech else error
        return [Acknowledge(commit.wire)]

    def _speech_started(self, event: SpeechStarted, now: float) -> list[Effect] | None:
        turns, name = self.turns, event.item_id
        if self._own_turns or turns.is_full:
            return None
        turn = self._uncommitted(name) or self._current_turn(name)
        if turn is not None and turn.end is not None:
            turn.reopen(now)  # the endpoint takes its stop back
            return []
        if turn is not None and (turn.start is not None or not name):
            return None
        # Known servers that send an offset without an id send wall clock time.
        offset_ms = event.audio_start_ms if name else None
        repeated = self._repeats_start(name, offset_ms)
        if repeated and not self.has_audio_without_turn:
            return None
        self.detected = True
        # A repeated event looks like a new turn of an endpoint whose offsets restart: only speech proves the turn.
        turn = turn or Turn(now, speech=not repeated)
        turn.start_ms = offset_ms
        wire = None if offset_ms is None else self.offsets.start(offset_ms, self.wire.wire, now)
        turn.start = None if wire is None else self.wire.timeline(wire)
        placed = self._place(turn, name)
        started = [] if repeated else self._started(turn)
        return [*placed, *started, *([] if wire is None else [Acknowledge(wire)])]

    def _repeats_start(self, name: str | None, offset_ms: int | None) -> bool:
        """Return whether a turn with this id and this start has begun before."""
        finished = self.turns.finished(name)
        if offset_ms is None or name is None:
            return False
        starts = [turn.start_ms for turn in self.turns.having(name)]
        return offset_ms in starts or (finished is not None and finished.start_ms == offset_ms)

    def _speech_stopped(self, event: SpeechStopped, now: float) -> list[Effect] | None:
        name = event.item_id
        turn = self._uncommitted(name) or self._current_turn(name)
        if self._own_turns or turn is None or turn.end is not None:
            return None
        turn.speech = True
        if name:
            turn.ids.add(name)
        # An offset without an id counts if the start of the turn was known.
        believed = event.audio_end_ms if name or turn.start is not None else None
        wire = None if believed is None else self.offsets.end(believed, self.wire.wire, now)
        if wire is None:
            turn.guess(self.wire.position, self.reading.processed, now)
            return self._stopped(turn)
        end = self.wire.end(wire)
        turn.close(end, now, speech_end=end - self._silence if event.after_silence else end)
        return [*self._stopped(turn), Acknowledge(wire)]

    def _started(self, turn: Turn) -> list[Effect]:
        event = self._reports.start(turn)
        return [] if event is None else [Report(event)]

    def _stopped(self, turn: Turn) -> list[Effect]:
        event = self._reports.stop(turn, self.wire.position)
        return [] if event is None else [Report(event)]

    def _committed(self, event: Committed, now: float) -> list[Effect] | None:
        turns, name = self.turns, event.item_id
        known = turns.having(name)
        turn = next((each for each in known if not each.answered), None)
        if turns.is_full or (turn is None and (known or turns.finished(name) is not None)):
            return self._committed_again(name)
        if turn is None and not self._own_turns:
            turn = turns.find_without_id() if name else turns.find_uncommitted()
        if turn is not None and name == turn.alias:
            turns.matched = True
        commit = self.commits.take_answered(turn)
        if self._own_turns and commit is None and (turn is None or not turn.committed):
            return None  # rt has made no such commit
        self.ends_turns = self.ends_turns or (commit is None and not self._own_turns)
        turn = (
            (commit.turn if commit else None)
            or turn
            or turns.find_without_id()
            or Turn(now, speech=commit is None or commit.speech)
        )
        # With own turns, rt knows the order itself. Some servers name an item as its own predecessor: ignore that.
        turn.previous = None if self._own_turns or event.previous_item_id == name else event.previous_item_id
        turn.speech = turn.speech or (commit is not None and commit.speech)
        moved = self._place(turn, name)
        if turn.end is None and commit is not None:
            turn.close(commit.end, now, speech_end=commit.end)
        elif turn.end is None:
            turn.guess(self.wire.position, self.reading.processed, now)
        turn.committed = turn.answered = True
        turn.updated_at = now
        self.offsets.committed(None if commit is None else commit.wire)
        return [*moved, *([Acknowledge(commit.wire)] if commit else [])]

    def _committed_again(self, name: str | None) -> list[Effect] | None:
        """Handle a ``committed`` for an id that is used up: a repeated event, or an endpoint with one id for all items.

        The oldest commit of ours without an id gets it, and keeps waiting for an answer: a repeated event does no harm.
        """
        committed = (commit.turn for commit in self.commits.pending if commit.turn is not None)
        turn = next((each for each in committed if not each.ids and not each.done), None)
        if turn is not None and name:
            turn.ids.add(name)
        return None

    def _delta(self, event: TranscriptDelta, now: float) -> list[Effect] | None:
        turn = self._speaking_turn(event.item_id, now) if event.delta else None
        if turn is None:
            return None
        if len(turn.text) < _LONGEST_PARTIAL:
            turn.add_text(event.delta, event.content_index)
            self._note_growth(turn, now)
        return self._partial(turn)

    def _snapshot(self, event: TranscriptSnapshot, now: float) -> list[Effect] | None:
        turn = self._speaking_turn(event.item_id, now) if event.text else None
        if turn is None:
            return None
        grows = len(event.text) > len(turn.parts.get(event.content_index, ""))
        turn.replace_text(event.text[:_LONGEST_PARTIAL], event.content_index, final=False)
        if grows:
            self._note_growth(turn, now)
        return self._partial(turn)

    def _note_growth(self, turn: Turn, now: float) -> None:
        """Restart the timer of a turn whose text grows, as long as a human can have said so much in its time."""
        end = self.turns.end_of(turn, self.wire.position)
        seconds = max(0, end - max(turn.start or 0, self.turns.covered)) / self._rate_hz
        if len(turn.text) <= _LEAST_CHARS + _CHARS_PER_S * seconds:
            turn.updated_at = turn.grew_at = now

    def _speaking_turn(self, item_id: str | None, now: float) -> Turn | None:
        """Return the turn of an interim transcript, perhaps a new one."""
        turns = self.turns
        if turns.is_repeated(item_id):
            return None
        turn = turns.find_by_transcript(item_id)
        if turn is None and turns.current() is None and not turns.is_full and self._may_be_new(item_id):
            turn = turns.append(Turn(now))
        if turn is None or turn.done:
            return None
        turn.note_transcript(item_id)
        return turn

    def _partial(self, turn: Turn) -> list[Effect]:
        # The second half of a surrogate pair is still to come.
        text = turn.text.rstrip(_FIRST_HALVES) if not turn.text.isascii() else turn.text
        start_ms = self._reports.start_ms(turn)
        return [Report(Partial(self.turns.number(turn), printable(text), start_ms, item_id=turn.item_id or UNSET))]

    def _segment(self, event: TranscriptSegment, now: float) -> list[Effect] | None:
        turn = self._speaking_turn(event.item_id, now) if event.text else None
        return None if turn is None else [Report(self._reports.segment(turn, event))]

    def _completed(self, event: TranscriptCompleted, now: float) -> list[Effect] | None:
        effects: list[Effect] = []
        if self.turns.is_repeated(event.item_id) and event.transcript:
            effects = self._another_turn(event, now)
        turn = self._transcribed_turn(event.item_id)
        if turn is None:
            return effects or None
        if event.transcript is None and event.other_text and not turn.parts:
            turn.replace_text(event.other_text, event.content_index, final=True)
        elif event.transcript is None:
            turn.unfinished_parts.discard(event.content_index)
        else:
            self._merge_part(turn, event.transcript, event.content_index)
        turn.language = event.language or turn.language
        turn.usage = event.usage or turn.usage
        turn.confidence = event.confidence if turn.confidence is None else turn.confidence
        if not turn.unfinished_parts:
            self._finish(turn, event.item_id, now)
        return effects

    @staticmethod
    def _merge_part(turn: Turn, transcript: str, index: int) -> None:
        """Set the final text of a part; deltas under another index are the same part if the text begins with them."""
        if index not in turn.parts:
            for other in turn.unfinished_parts & {0}:
                if transcript.strip().startswith(turn.parts[other].strip()):
                    del turn.parts[other]
                    turn.unfinished_parts.discard(other)
        turn.replace_text(transcript, index, final=True)

    def _another_turn(self, event: TranscriptCompleted, now: float) -> list[Effect]:
        """Make a turn for a transcript whose id is used up: a further content part, or one id for all items.

        Returns an empty list for a repeated event: it has the text of the turn before.
        """
        turns, text = self.turns, event.transcript or ""
        before = turns.finished(event.item_id)
        if before is None:
            return []
        if event.content_index not in before.parts:
            # The range of the item is printed; its further text stands at the end of it.
            turn = Turn(now, start=turns.covered, ids={event.item_id} if event.item_id else set())
            turn.guess(turns.covered, turns.covered, now)
            turn.committed = turn.answered = True
            return [Report(Withdrawn(number)) for number in turns.insert_before_all(turn)]
        if text[:REMEMBERED_CHARS] == before.text or turns.distinct_ids:
            return []
        if not self._own_turns and not turns.open and self.has_audio_without_turn:
            turns.append(Turn(now, ids={event.item_id} if event.item_id else set()))
        elif self._own_turns and (unnamed := self._unnamed_commit()) is not None and event.item_id:
            unnamed.ids.add(event.item_id)
        return []

    def _unnamed_commit(self) -> Turn | None:
        """Return the oldest turn that rt committed and that no event has named."""
        return next((turn for turn in self.turns.open if turn.committed and turn.has_no_id and not turn.done), None)

    def _made(self, event: TranslationPartial | TranslatedTurn, now: float) -> list[Effect]:
        """Apply an event of a turn that is made of a stream of words. Its range is inside the audio that was sent."""
        turn = self.turns.find(event.turn_id) or self.turns.append(Turn(now, ids={event.turn_id}, made=True))
        if isinstance(event, TranslationPartial):
            turn.replace_text(event.text[:_LONGEST_PARTIAL], final=False)
            self._note_growth(turn, now)
            return self._partial(turn)
        start, end = (min(to_samples(ms, self._rate_hz), self.wire.wire) for ms in (event.start_ms, event.end_ms))
        turn.start = self.wire.timeline(start)
        turn.close(self.wire.end(end), now)
        turn.replace_text(event.text, final=True)
        turn.translation, turn.done = event.translation, True
        # Silence behind it is settled by its age: whoever translates speech has heard it.
        self.ends_turns = True
        return []

    def _failed(self, event: TranscriptFailed, now: float) -> list[Effect] | None:
        turn = self._transcribed_turn(event.item_id)
        if turn is None:
            return None
        self._finish(turn, event.item_id, now)
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
            self.turns.note_id(name)
        return [Report(Withdrawn(number)) for number in self.turns.place(turn)]

    def _may_be_new(self, item_id: str | None) -> bool:
        """Return whether a transcript without a turn can belong to a new turn."""
        return self.has_audio_without_turn and not (item_id and self.turns.matched)

    def _transcribed_turn(self, item_id: str | None) -> Turn | None:
        """Return the turn that an outcome ends; None without a match or for a repeated event."""
        turns = self.turns
        if turns.is_repeated(item_id):
            return None
        turn = turns.find_by_transcript(item_id)
        if turn is None and not self._own_turns and not turns.open and self._may_be_new(item_id):
            turn = turns.append(Turn(0.0))
        if turn is None or turn.done or (self._own_turns and turn.end is None):
            return None  # a turn that rt has not committed has no outcome yet
        return turn

    def _finish(self, turn: Turn, item_id: str | None, now: float) -> None:
        self.ends_turns = self.ends_turns or not (turn.committed or self.commits.pending)
        if turn.end is None:
            turn.guess(self.turns.end_of(turn, self.wire.position), self.reading.processed, now)
        turn.note_transcript(item_id)
        turn.updated_at = now
        turn.speech = turn.speech or bool(turn.text.strip() and not turn.committed)
        turn.done = True

    def _uncommitted(self, name: str | None) -> Turn | None:
        """Return the last turn with this id that has neither a commit nor an outcome."""
        open_turns = [turn for turn in self.turns.having(name) if not turn.committed and not turn.done]
        return open_turns[-1] if open_turns else None
