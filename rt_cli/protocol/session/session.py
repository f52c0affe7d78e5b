"""The session: server events in, decisions out. Pure: no I/O, and no clock but the times passed in.

It lives as long as the run. Each connection is a generation with its own item ids and offsets; what outlives it is the
settled mark and the number of the next turn. Settled is a prefix of the timeline: a final that comes while an earlier
turn is open is held, so each instant is in at most one printed final.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.audio.format import to_samples
from rt_cli.events import Warned, Withdrawn
from rt_cli.protocol.error_policy import classify_error
from rt_cli.protocol.server_events import (
    ErrorEvent,
    Ignored,
    Malformed,
    SessionCreated,
    SessionUpdated,
    TranscriptFailed,
)
from rt_cli.protocol.session.connection_turns import ConnectionTurns
from rt_cli.protocol.session.effects import Drop, Effect, Fail, Report, Settle
from rt_cli.protocol.session.outcomes import final, is_silence, lost, settled_by, warning

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.protocol.server_events import ErrorInfo, ServerEvent
    from rt_cli.protocol.session.turn_list import Turn
    from rt_cli.protocol.session.wire_map import WireMap

OLD_SILENCE_S = 30
"""Acknowledged audio in which nobody heard speech is settled when it is this old."""
_MOST_LATENCIES = 20_000


class Session:
    """What is known of the turns of one run.

    Args:
        rate_hz: The wire rate.
        own_turns: ``rt`` commits the turns itself; else the endpoint finds them.
        patience_s: Silence about a committed turn after which its final is given up.
        silence_ms: The silence that ends a turn; part of what the endpoint calls its end.
        heard_at: When the sample at a timeline position was captured, seconds; None if unknown.
        own_detector: With own turns: ``rt`` listens for speech; without, sound that is in no turn may be anything.
    """

    def __init__(
        self,
        *,
        rate_hz: int,
        own_turns: bool,
        patience_s: float,
        silence_ms: int,
        heard_at: Callable[[int], float | None] = lambda _at: None,
        own_detector: bool = True,
    ) -> None:
        self.rate_hz = rate_hz
        self.settled = 0
        self.finals = 0
        self.ignored = 0
        """Events that were unknown, malformed, or about nothing we know."""
        self.latencies_ms: list[int] = []
        """Of the newest finals."""
        self.last_error: ErrorInfo | None = None
        """What the endpoint complained of, if nothing went well since."""
        self._own_turns = own_turns
        self._deaf = own_turns and not own_detector
        self._patience_s = patience_s
        self._silence = to_samples(silence_ms, rate_hz)
        self._heard_at = heard_at
        self._replayed = 0
        self._begin(next_number=1, detected=own_turns and own_detector)

    def _begin(self, next_number: int, *, detected: bool) -> None:
        self._now = ConnectionTurns(
            rate_hz=self.rate_hz,
            own_turns=self._own_turns,
            silence=self._silence,
            start=self.settled,
            next_number=next_number,
            detected=detected,
        )
        self._draining = False
        self.last_error = None
        self._read = self.settled
        self._progress = 0.0
        """When the endpoint last got on with the turns, seconds."""
        self._quiet: tuple[float, int] | None = None
        """Since when no turn is open, and from which position on."""

    def restore(self, settled: int, replayed: int, next_number: int) -> None:
        """Begin where an earlier process came to.

        Args:
            settled: Timeline position.
            replayed: Position up to which that process had captured.
            next_number: Of the next turn.
        """
        self.settled, self._replayed = settled, replayed
        self._begin(next_number, detected=self._now.detected)

    @property
    def wire(self) -> WireMap:
        """Of the present connection: told of all that is sent."""
        return self._now.wire

    @property
    def drained(self) -> bool:
        """Whether every turn has its outcome and our last commit its answer."""
        return self._draining and not self._now.commits.pending and not self._now.turns.open

    @property
    def committed_turns(self) -> int:
        """How many turns are closed and have no outcome yet."""
        return sum(turn.end is not None and not turn.done for turn in self._now.turns.open)

    @property
    def between_turns(self) -> bool:
        """Whether nobody is speaking, as far as is known: a moment at which a connection can end without a loss."""
        return self._now.turns.speaking() is None and not (self._deaf and self._now.uncovered)

    # -- what we do ---------------------------------------------------------------------------------------------------

    def connect(self) -> list[Effect]:
        """A new connection: nothing of the old one counts, its partials are void, sending starts at *settled*."""
        void = self._now.turns.withdraw()
        self._replayed = max(self._replayed, self.wire.position)
        self._begin(self._now.turns.next_number, detected=self._now.detected)
        return [Report(Withdrawn(number)) for number in void]

    def speech_opens(self, at: int, now: float) -> None:
        """Our own detector heard speech from ``at`` on, which is about to be sent."""
        self._now.speech_opens(at, now)

    def committing(self, event_id: str, now: float, *, speech: bool = True, tail: bool = False) -> None:
        """Our commit goes out behind everything sent so far; with own turns it closes one.

        Args:
            event_id: Of the commit.
            now: Seconds.
            speech: False for the tail in which our detector heard nothing.
            tail: The sound ends here, so speech may go on to the end.
        """
        self._now.committing(event_id, now, speech=speech, tail=tail)

    def begins(self, at: int) -> None:
        """What lies before ``at`` is not sent on this connection: none of its turns begins there."""
        turns = self._now.turns
        turns.covered, turns.sure = max(turns.covered, at), max(turns.sure, at)

    def reads(self, to: int) -> None:
        """The endpoint has read everything before ``to`` (timeline)."""
        self._now.read = max(self._now.read, to)

    def drain(self) -> list[Effect]:
        """Everything is sent and committed; what is missing now are answers."""
        self._draining = True
        return self._settle_silence()

    # -- what the endpoint says ---------------------------------------------------------------------------------------

    def receive(self, event: ServerEvent, now: float) -> list[Effect]:
        """Take one event in; returns what follows from it, in order."""
        match event:
            case ErrorEvent():
                return [*self._error(event.error, now), *self._flush(now)]
            case Ignored() | Malformed():
                self.ignored += 1
                return []
            case SessionCreated() | SessionUpdated():
                return []
        self.last_error = None
        match event:
            case TranscriptFailed():
                self.last_error = event.error
        steps = self._now.hear(event, now)
        self.ignored += steps is None
        return [*(steps or []), *self._flush(now), *self._fatal(self.last_error)]

    def tick(self, now: float, acknowledged: int) -> list[Effect]:
        """Let time pass: finals that nobody waits for any longer, silence that has grown old.

        Args:
            now: Seconds.
            acknowledged: Timeline position up to which the endpoint has read.
        """
        moved, self._read = acknowledged > self._read, max(acknowledged, self._read)
        self.reads(acknowledged)
        if not self._draining:
            self._now.turns.touch_unread(acknowledged, self.wire.position, now)
        elif moved:
            self._progress = now
        given_up = [*self._give_up_turns(now), *self._give_up_commit(now)]
        return [*given_up, *self._settle_silence(), *self._settle_old(now)]

    def _error(self, error: ErrorInfo, now: float) -> list[Effect]:
        fatal = self._fatal(error)
        if fatal:
            self.last_error = error
            return fatal
        # At the end nothing of ours but the commit is left to complain of.
        commit = self._now.commits.refused(error, anonymous=self._draining and not self._own_turns)
        if commit is None:
            self.last_error = error
            return [warning(error)]
        refused = self._now.commit_refused(commit, error, now)
        return refused if commit.turn or commit.is_empty(error) else [warning(error), *refused]

    def _fatal(self, error: ErrorInfo | None) -> list[Effect]:
        verdict = None if error is None else classify_error(error, configuring=False)
        return [] if verdict is None else [Fail(verdict)]

    # -- settling -----------------------------------------------------------------------------------------------------

    def _settle(self, to: int) -> list[Effect]:
        if to <= self.settled:
            return []
        self.settled = to
        self._now.turns.covered = max(self._now.turns.covered, to)
        self.wire.forget(to)
        return [Settle(to)]

    def _settle_silence(self) -> list[Effect]:
        """Before the first open turn lies silence; at the end, where none is open, nothing else is left."""
        if self._now.turns.open:
            start = self._now.turns.open[0].start
            # What our own detector says of sound proves nothing of what the endpoint has read.
            known = self._read if self._own_turns else self.wire.position
            return [] if start is None else self._settle(min(start, known))
        return self._settle(self.wire.position) if self.drained else []

    def _settle_old(self, now: float) -> list[Effect]:
        """Silence is old when speech in it would have been told of even by an endpoint that is half a minute behind."""
        if self._quiet is None or self._now.turns.open or self._draining or self._deaf:
            self._quiet = (now, self._now.turns.covered)
            return []
        since, start = self._quiet
        return self._settle(min(self._read, start + round((now - since - OLD_SILENCE_S) * self.rate_hz)))

    # -- outcomes -----------------------------------------------------------------------------------------------------

    def _flush(self, now: float) -> list[Effect]:
        """Print what nothing earlier holds back."""
        steps: list[Effect] = []
        for turn in self._now.turns.take_done(self.wire.position):
            if not turn.missing:
                self._progress = max(self._progress, turn.touched)
            steps += self._outcome(turn, now)
        self._now.commits.forget_done()
        return [*steps, *self._settle_silence()]

    def _outcome(self, turn: Turn, now: float) -> list[Effect]:
        settled = self._settle(settled_by(turn))
        if is_silence(turn, detected=self._now.detected):
            return [*([warning(turn.failure)] if turn.failure else []), *settled]
        if turn.failure is not None or turn.missing:
            return [*lost(turn, self._now.turns.number, self.rate_hz), *settled]
        self.finals += 1
        number, latency_ms = self._now.turns.number(turn), self._latency(turn, now)
        resumed = (turn.start or 0) < self._replayed
        # Settled is moved first, so that a journal knows of the final before anybody reads it.
        return [*settled, Report(final(turn, number, self.rate_hz, latency_ms=latency_ms, resumed=resumed))]

    def _latency(self, turn: Turn, now: float) -> int | None:
        end = None if turn.approx else turn.speech_end
        heard = None if end is None else self._heard_at(max(end, turn.start or 0))
        if heard is None:
            return None
        latency = max(0, round((now - heard) * 1000))
        self.latencies_ms.append(latency)
        del self.latencies_ms[:-_MOST_LATENCIES]
        return latency

    # -- patience -----------------------------------------------------------------------------------------------------

    def _give_up_turns(self, now: float) -> list[Effect]:
        """The oldest turns lose their finals when nothing was heard of them for too long since it was their turn."""
        steps: list[Effect] = []
        while self._now.turns.open and self._is_overdue(self._now.turns.open[0], now):
            turn = self._now.turns.open[0]
            turn.missing = turn.done = True
            steps += self._flush(now)
        return steps

    def _is_overdue(self, turn: Turn, now: float) -> bool:
        if turn.end is None and len(self._now.turns.open) == 1 and not self._draining:
            return False  # it is still being spoken
        return now - max(turn.touched, self._progress) >= self._patience_s

    def _give_up_commit(self, now: float) -> list[Effect]:
        """At the end, a commit that is never answered must not hold the run."""
        pending = self._now.commits.pending
        if not self._draining or self._now.turns.open or not pending:
            return []
        commit = pending[-1]
        if now - max(commit.at, self._progress) < self._patience_s:
            return []
        pending.clear()
        if self._now.detected and commit.end <= self._read:
            # It has read everything, it tells where it hears speech, and it told of none.
            said = "the endpoint did not answer the last commit; nobody heard speech before it"
            return [Report(Warned("commit_unanswered", said))]
        return [Drop(self.settled, commit.end, "no_final")]
