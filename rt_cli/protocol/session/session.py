"""The session: takes server events, returns effects. Pure: no I/O; times are arguments.

A session lives as long as the run. Item ids and offsets belong to one connection; the settled mark and the number of
the next turn survive a reconnect. Settled is a prefix of the timeline: the session holds a final while an earlier turn
is open, so that each instant is in at most one printed final.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from rt_cli.audio.format import to_samples
from rt_cli.errors import ConnectionLost
from rt_cli.events import Warned, Withdrawn
from rt_cli.protocol.error_policy import is_empty_buffer, refuses_audio
from rt_cli.protocol.server_events import (
    BufferCleared,
    ErrorEvent,
    Ignored,
    Malformed,
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    StreamEnded,
    TranscriptFailed,
)
from rt_cli.protocol.session import outcomes
from rt_cli.protocol.session.clear import Clear
from rt_cli.protocol.session.connection_turns import ConnectionTurns
from rt_cli.protocol.session.deadlines import OldSilence, TurnDeadlines
from rt_cli.protocol.session.effects import Acknowledge, Drop, Effect, Fail, Report, Settle, TurnFinished
from rt_cli.protocol.session.offsets import USUAL_PREFIX_MS, Offsets
from rt_cli.protocol.session.readback import MAKES_TURNS
from rt_cli.protocol.session.refusals import Refusals, without_foreign_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.events import Final, SpeechBegan, SpeechEnded
    from rt_cli.protocol.server_events import ErrorInfo, ServerEvent
    from rt_cli.protocol.session.turn_list import Turn
    from rt_cli.protocol.session.wire_map import WireMap

_TURNS_COUNT = Report(Warned("endpoint_makes_turns", MAKES_TURNS))


class Session:
    """The turns of one run.

    Args:
        rate_hz: Sample rate on the wire.
        own_turns: True if ``rt`` commits the turns itself; False if the endpoint detects them.
        patience_s: Seconds without an event about a committed turn after which its final counts as missing.
        silence_ms: Silence that ends a turn; the end that an endpoint reports includes it.
        prefix_ms: Prefix padding that the endpoint is asked for.
        heard_at: Returns when the sample at a timeline position was captured, seconds; None if unknown.
        is_quiet: Returns whether the audio up to a timeline position is not louder than noise.
        own_detector: With ``own_turns``: True if ``rt`` detects speech. If False, audio outside turns may be speech.
        turn_ends: Whether to return a ``TurnFinished`` for each turn.
        translate: Language of the translations, if the session translates.
    """

    def __init__(
        self,
        *,
        rate_hz: int,
        own_turns: bool,
        patience_s: float,
        silence_ms: int,
        prefix_ms: int = USUAL_PREFIX_MS,
        heard_at: Callable[[int], float | None] = lambda _at: None,
        is_quiet: Callable[[int], bool] = lambda _upto: True,
        own_detector: bool = True,
        turn_ends: bool = False,
        translate: str | None = None,
    ) -> None:
        self.rate_hz = rate_hz
        self.settled = 0
        self.finals = 0
        self.translations = 0
        """Count of translations with words."""
        self.ignored = 0
        """Count of events that were unknown, malformed, or matched no turn."""
        self.latencies = outcomes.Latencies(heard_at)
        """Latencies of the finals."""
        self.endpoint_silence_ms = 0.0
        """Silence that ends a turn at the endpoint, as it says; 0 if unknown."""
        self.last_error: ErrorInfo | None = None
        """The last error of the endpoint; None after the next successful event."""
        self.own_turns = own_turns
        """``rt`` commits the turns itself; False from the moment on at which the endpoint shows that it makes them."""
        self._no_detector = own_turns and not own_detector
        self._turn_ends = turn_ends
        self._translate = translate
        self._patience_s = patience_s
        self._silence = to_samples(silence_ms, rate_hz)
        self._is_quiet = is_quiet
        self._replayed = 0
        self._offsets = Offsets(rate_hz, max(prefix_ms, USUAL_PREFIX_MS))
        self._begin(next_number=1, detected=own_turns and own_detector)

    def _begin(self, next_number: int, *, detected: bool) -> None:
        self._offsets = self._offsets.next_connection()
        self._connection = ConnectionTurns(
            rate_hz=self.rate_hz,
            own_turns=self.own_turns,
            silence=self._silence,
            start=self.settled,
            next_number=next_number,
            detected=detected,
            offsets=self._offsets,
        )
        self._refusals = Refusals()
        self._clear = Clear()
        self._deadlines = TurnDeadlines(self._patience_s)
        self._old_silence = OldSilence(self.rate_hz)
        self.held_up_s = 0.0
        """Time so far that is no delay of the endpoint."""
        self.news_at = 0.0
        """When the endpoint last sent an event about a turn, seconds."""
        self.last_error = None
        self._read = self.settled

    def restore(self, settled: int, replayed: int, next_number: int) -> None:
        """Continue the run of an earlier process.

        Args:
            settled: Timeline position up to which that process had settled.
            replayed: Timeline position up to which that process had captured.
            next_number: Number of the next turn.
        """
        self.settled, self._replayed = settled, replayed
        self._begin(next_number, detected=self._connection.detected)

    @property
    def wire(self) -> WireMap:
        """Wire map of the present connection; ``Marks`` notes everything that is sent there."""
        return self._connection.wire

    @property
    def drained(self) -> bool:
        """Whether, after ``drain``, every turn has its outcome and every commit its answer."""
        return self._deadlines.draining and not self._connection.commits.pending and not self._connection.turns.open

    @property
    def awaits_commit(self) -> bool:
        """Whether the last thing sent is a commit of ours without an answer."""
        pending = self._connection.commits.pending
        return bool(pending) and pending[-1].wire == self.wire.wire

    @property
    def awaits_answer(self) -> bool:
        """Whether a commit of ours has no answer yet."""
        return bool(self._connection.commits.pending)

    @property
    def last_commit(self) -> Literal["pending", "answered", "refused"]:
        """What became of the last commit of ours."""
        return self._connection.commits.last

    def ignore_commits(self) -> None:
        """Expect no answer to commits of ours that close no turn: the endpoint ignores them."""
        self._connection.commits.ignore()

    @property
    def committed_turns(self) -> int:
        """Number of turns that have ended and have no outcome yet."""
        return sum(turn.end is not None and not turn.done for turn in self._connection.turns.open)

    @property
    def between_turns(self) -> bool:
        """Whether no speech is known to be under way: a connection can end here without a loss."""
        return self._connection.turns.current() is None and not (
            self._no_detector and self._connection.has_audio_without_turn
        )

    # -- own actions --------------------------------------------------------------------------------------------------

    def connect(self) -> list[Effect]:
        """Start a new connection: discard the turns of the old one, withdraw its partials, send from ``settled`` on."""
        withdrawn = self._connection.turns.withdraw()
        self._replayed = max(self._replayed, self.wire.position)
        ends_turns = self._connection.ends_turns
        self._begin(self._connection.turns.next_number, detected=self._connection.detected)
        self._connection.ends_turns = ends_turns
        return [Report(Withdrawn(number)) for number in withdrawn]

    def prefix_padding(self, prefix_ms: float) -> None:
        """Note the prefix padding that the endpoint says it uses, milliseconds."""
        self._offsets.prefix_ms = prefix_ms

    def speech_opens(self, at: int, now: float) -> SpeechBegan | None:
        """Note that our own detector found speech from ``at`` on (timeline), about to be sent; returns its event."""
        return self._connection.speech_opens(at, now)

    def committing(self, event_id: str, now: float, *, speech: bool = True, tail: bool = False) -> SpeechEnded | None:
        """Note that our commit is about to be sent after all audio so far; with own turns it closes a turn.

        Args:
            event_id: Event id of the commit.
            now: Seconds.
            speech: False for a last part in which our detector found no speech.
            tail: True if the audio ends here, so that speech may last to the end.

        Returns:
            The event that the speech of the turn has ended; None if there is no such turn.
        """
        return self._connection.committing(event_id, now, speech=speech, tail=tail)

    def begins(self, at: int) -> None:
        """Note that audio before ``at`` is not sent on this connection, so none of its turns begins there."""
        self._connection.turns.begin_at(at)

    def reads(self, to: int) -> list[Effect]:
        """Note that the endpoint has read everything before ``to`` (timeline)."""
        reading = self._connection.reading
        reading.note_read(to, awaits_words=self.committed_turns > 0)
        return self._refusals.note_read(reading.read)

    def clearing(self, event_id: str) -> None:
        """Note that our ``clear``, or the end of the stream, is about to be sent after all audio so far."""
        self._clear.send(event_id, self.wire.wire)

    def give_up_tail(self, speech_end: int) -> list[Effect]:
        """Note that the endpoint has not shown in time that it read the last of the audio: its words are lost.

        Args:
            speech_end: Where the last speech ends that our own detector found (timeline).
        """
        return [Drop(self.covered, self.wire.position, "no_final")] if speech_end > self.covered else []

    def drain(self) -> list[Effect]:
        """Note that everything is sent and committed; only answers are missing."""
        self._deadlines.drain(len(self._connection.turns.open))
        return self._settle_silence()

    # -- the end of the audio -----------------------------------------------------------------------------------------

    @property
    def cleared(self) -> bool:
        """Whether the endpoint has answered our ``clear``: it has processed everything before it."""
        return self._clear.answered

    @property
    def grew_at(self) -> float:
        """When the text of an open turn last grew, seconds."""
        return max((turn.grew_at for turn in self._connection.turns.open), default=0.0)

    @property
    def tells_of_speech(self) -> bool:
        """Whether the endpoint has told of speech in this run."""
        return self._connection.detected

    @property
    def ends_turns(self) -> bool:
        """Whether the endpoint has shown in this run that it ends turns by itself."""
        return self._connection.detected or self._connection.ends_turns

    @property
    def speaking(self) -> bool:
        """Whether the endpoint has told of speech, and not of its end."""
        return self._connection.turns.current() is not None

    @property
    def covered(self) -> int:
        """End of the last turn that the endpoint told of, or of what is settled (timeline)."""
        return max(self.settled, self._connection.turns.last_end)

    @property
    def surely_covered(self) -> int:
        """Like :attr:`covered`, with each guessed end at its lower bound."""
        return max(self.settled, self._connection.turns.min_last_end)

    # -- events of the endpoint ---------------------------------------------------------------------------------------

    def receive(self, event: ServerEvent, now: float) -> list[Effect]:
        """Apply one event; returns its effects in order."""
        match event:
            case ErrorEvent():
                effects = [*self._error(event.error, now), *self._flush(now)]
                # Nothing behind a failure is executed: the marks would stay behind the session.
                return sorted(effects, key=lambda effect: isinstance(effect, Fail))
            case Ignored() | Malformed():
                self.ignored += 1
                return []
            case SessionCreated() | SessionUpdated():
                return []
            case SpeechStarted() if self.own_turns:
                return self.turns_of_the_endpoint()
            case BufferCleared() | StreamEnded():
                return self._clear.answer()
        self.last_error = None
        match event:
            case TranscriptFailed():
                self.last_error = event.error
        applied = self._connection.receive(event, now)
        self.ignored += applied is None
        refused: list[Effect] = []
        if applied is not None:
            self.news_at = now
            self._refusals.note_turn()
            refused = self._answered(applied)
            self._deadlines.note_event(self._connection.turns.open, now)
        return [*(applied or []), *refused, *self._flush(now), *outcomes.fatal_effects(self.last_error)]

    def _answered(self, applied: list[Effect]) -> list[Effect]:
        """Note how far an event shows that everything before it is answered; returns the hole of what was refused."""
        to = max((self.wire.timeline(each.wire) for each in applied if isinstance(each, Acknowledge)), default=0)
        self._connection.reading.note_answered(to)
        return self._refusals.note_answered(to)

    def tick(self, now: float, acknowledged: int) -> list[Effect]:
        """Check timeouts: finals that are overdue, silence that is old enough to settle.

        Args:
            now: Seconds.
            acknowledged: Timeline position up to which the endpoint has read the audio.
        """
        moved, self._read = acknowledged > self._read, max(acknowledged, self._read)
        self._connection.reading.note_check()
        refused = self.reads(acknowledged)
        if not self._deadlines.draining:
            self._connection.turns.restart_unread_timers(acknowledged, self.wire.position, now)
        self._deadlines.note_tick(now, read_more=moved)
        given_up = [*self._give_up_turns(now), *self._give_up_commit(now)]
        return [*refused, *given_up, *self._settle_silence(), *self._settle_old(now)]

    def note_held_up(self, seconds: float) -> None:
        """Note time that is no delay of the endpoint: this program did not run, or the network brings nothing."""
        self.held_up_s += seconds
        self._deadlines.note_held_up(seconds)

    def _error(self, error: ErrorInfo, now: float) -> list[Effect]:
        if fatal := outcomes.fatal_effects(error):
            self.last_error = error
            return fatal
        error = without_foreign_id(error)
        # Once all is sent, only the last commit and then the clear can be refused.
        commits = self._connection.commits
        if not commits.pending and self._clear.is_refused_by(error):
            return self._clear.answer()
        draining = self._deadlines.draining
        # A commit of speech waits for its own answer.
        last = draining and not self.own_turns and bool(commits.pending) and not commits.pending[0].speech
        commit = commits.take_refused(error, anonymous=last and refuses_audio(error))
        if commit is None:
            self.last_error = error
            perhaps_commit = commits.may_be_refused and not self.own_turns
            refused = self._refusals.receive(
                error, self._connection.reading, self.wire.position, perhaps_commit=perhaps_commit
            )
            self._offsets.refused = self._refusals.any
            return refused
        refused = self._connection.commit_refused(commit, error, now)
        if commit.turn is None and commit.speech and draining and self.covered < commit.end:
            return [outcomes.warning(error), *refused, Drop(self.covered, commit.end, "refused")]
        return refused if commit.turn or is_empty_buffer(error) else [outcomes.warning(error), *refused]

    def make_turns(self) -> None:
        """Note, between two connections, that ``rt`` makes the turns from now on: the endpoint refuses to."""
        self.own_turns, self._no_detector = True, False
        self._begin(self._connection.turns.next_number, detected=True)

    def leave_turns_to_endpoint(self) -> list[Effect]:
        """Note, before any audio is sent on this connection, that the endpoint makes the turns whatever rt asks."""
        self.own_turns, self._no_detector = False, False
        self._begin(self._connection.turns.next_number, detected=False)
        return [_TURNS_COUNT]

    def turns_of_the_endpoint(self) -> list[Effect]:
        """Note that the endpoint detects turns although rt makes them: its turns count, on a new connection."""
        self.own_turns, self._no_detector = False, False
        return [_TURNS_COUNT, Fail(ConnectionLost(MAKES_TURNS, code="endpoint_makes_turns"))]

    # -- settling -----------------------------------------------------------------------------------------------------

    def _settle(self, to: int) -> list[Effect]:
        if to <= self.settled:
            return []
        self.settled = to
        self._connection.turns.covered = max(self._connection.turns.covered, to)
        self.wire.forget(to)
        return [Settle(to)]

    def _settle_silence(self) -> list[Effect]:
        """Settle the silence before the first open turn; when drained, settle everything."""
        if self._connection.turns.open:
            start = self._connection.turns.open[0].start
            # Our own detector runs ahead of the endpoint: settle only what the endpoint has read.
            known = self._read if self.own_turns else self.wire.position
            return [] if start is None else self._settle(min(start, known))
        return self._settle(self.wire.position) if self.drained else []

    def _settle_old(self, now: float) -> list[Effect]:
        """Settle old silence.

        That an endpoint would have reported speech in it is known only of one that has reported a turn in this run;
        until then the audio must be quiet, too: behind a proxy that answers pings, nobody may be listening.
        """
        turns = self._connection.turns
        busy = bool(turns.open) or self._deadlines.draining or self._no_detector
        old = self._old_silence.end(now, turns.covered, busy=busy)
        if old is None:
            return []
        to = min(self._read, old)
        return self._settle(to) if self.ends_turns or self._is_quiet(to) else []

    # -- outcomes -----------------------------------------------------------------------------------------------------

    def _flush(self, now: float) -> list[Effect]:
        """Return the outcomes of the finished turns that no earlier open turn delays."""
        effects: list[Effect] = []
        for turn in self._connection.turns.take_done(self.wire.position):
            if not turn.missing:
                self._deadlines.note_outcome(turn, now)
            effects += self._outcome(turn, now)
        self._connection.commits.forget_done()
        return [*effects, *self._settle_silence()]

    def _outcome(self, turn: Turn, now: float) -> list[Effect]:
        settled = self._settle(outcomes.settled_position(turn))
        if outcomes.is_silence(turn, detected=self._connection.detected):
            warned = [outcomes.warning(turn.failure)] if turn.failure else []
            return [*warned, *settled, *self._turn_end(turn, None)]
        if turn.failure is not None or turn.missing:
            failed = outcomes.failure_effects(turn, self._connection.turns.number, self.rate_hz)
            return [*failed, *settled, *self._turn_end(turn, None)]
        self.finals += 1
        number, latency_ms = self._connection.turns.number(turn), self.latencies.measure(turn, now)
        resumed = (turn.start or 0) < self._replayed
        # Settle first: the spool must store the final before the final is printed.
        final = outcomes.final(turn, number, self.rate_hz, latency_ms=latency_ms, resumed=resumed)
        return [*settled, *self._turn_end(turn, number), Report(final), *self._translation(turn, final)]

    def _translation(self, turn: Turn, final: Final) -> list[Effect]:
        if self._translate is None:
            return []
        translation = outcomes.translation(turn, final, self._translate)
        self.translations += bool(translation.text)
        return [Report(translation), *outcomes.untranslated(final, translation)]

    def _turn_end(self, turn: Turn, number: int | None) -> list[Effect]:
        if not self._turn_ends:
            return []
        return [TurnFinished(frozenset(turn.ids), number, "" if number is None else turn.text)]

    def _give_up_turns(self, now: float) -> list[Effect]:
        """Give up the finals of the oldest turns that are overdue; at the end, of all turns together."""
        effects: list[Effect] = []
        while self._deadlines.is_overdue(self._connection.turns.open, now):
            self._connection.turns.open[0].give_up()
            effects += self._flush(now)
        return outcomes.join_drops(effects)

    def _give_up_commit(self, now: float) -> list[Effect]:
        """Give up the last commit: a commit without an answer must not delay the end of the run."""
        pending = self._connection.commits.pending
        if not self._deadlines.draining or self._connection.turns.open or not pending:
            return []
        commit = pending[-1]
        if not self._deadlines.is_commit_overdue(commit, now):
            return []
        pending.clear()
        silent = self._connection.detected and commit.end <= self._read and not commit.speech
        return [outcomes.unanswered(self.settled, commit.end, silent=silent)]
