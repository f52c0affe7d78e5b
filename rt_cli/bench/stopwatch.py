"""One session on the way that a user's sound takes, with a stopwatch beside it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rt_cli.bench.level import SessionResult, tally
from rt_cli.bench.words import compare
from rt_cli.events import Dropped, Errored, Failed, Final, Partial, SessionChanged, Warned

if TYPE_CHECKING:
    from rt_cli.bench.level import Tally
    from rt_cli.bench.recording import Recording, Spoken
    from rt_cli.bench.words import Words
    from rt_cli.clock import Clock
    from rt_cli.events import Event, Summary


class Stopwatch:
    """Measures a run; its probe and its observer.

    The sound begins when the session is ready, and everything after that is counted from the moment at which it was
    due by the schedule, not from when it was sent: who is held up does not see his delay taken out of the figures.

    Args:
        spoken: The source, which it begins.
        clock: The time.
        together: Also takes what is measured.
    """

    def __init__(self, spoken: Spoken, clock: Clock, together: Tally) -> None:
        self.measures = tally()
        self.failed: Counter[str] = Counter()
        self.warned: Counter[str] = Counter()
        self.dropped_ms = 0
        self.unmeasured = 0
        self.error: str | None = None
        self._together = together
        self._spoken = spoken
        self._clock = clock
        self._started_at = clock.now()
        self._opened = False
        self._ready = False
        self._reach = 0
        self._turns: set[int] = set()
        self._texts: dict[int, str] = {}
        self._last_final_at: float | None = None

    # -- the probe ----------------------------------------------------------------------------------------------------

    def opened(self) -> None:
        """The handshake has succeeded, perhaps after retries."""
        if not self._opened:
            self._opened = True
            self._measure("connect", self._clock.now() - self._started_at)

    def sent(self, end: int) -> None:
        """Sound is written, for the first time: how late is each piece of it, however many go at once?"""
        now = self._clock.now()
        for due in self._spoken.dues(self._reach, end):
            self._measure("lateness", now - due)
        self._reach = max(self._reach, end)

    def round_trip(self, seconds: float) -> None:
        """A pong has come."""
        self._measure("round_trip", seconds)

    def heard_at(self, position: int) -> float | None:
        """When a sample was due."""
        return self._spoken.due(position)

    # -- the observer -------------------------------------------------------------------------------------------------

    def on_event(self, event: Event) -> None:
        """Take what happened."""
        match event:
            case SessionChanged(state="ready") if not self._ready:
                self._ready = True
                self._measure("ready", self._clock.now() - self._started_at)
                self._spoken.begin()
            case Partial(turn, text, start_ms) if text and turn not in self._turns:
                self._turns.add(turn)
                self._first_words(turn, start_ms)
            case Final(turn, text, latency_ms=latency_ms):
                self._texts[turn] = text
                self._last_final_at = self._clock.now()
                if latency_ms is None:
                    self.unmeasured += 1
                else:
                    self._measure("final", latency_ms / 1000)
            case Failed(code=code):
                self.failed[code] += 1
            case Dropped(start_ms, end_ms):
                self.dropped_ms += end_ms - start_ms
            case Warned(code=code):
                self.warned[code] += 1
            case Errored(code=code):
                self.error = code

    def _first_words(self, turn: int, start_ms: int | None) -> None:
        if start_ms is None and turn > 1:
            return
        due = self._spoken.due(round((start_ms or 0) * self._spoken.info.rate_hz / 1000))
        if due is not None:
            self._measure("first_partial", self._clock.now() - due)

    def _measure(self, name: str, seconds: float) -> None:
        for measures in (self.measures, self._together):
            measures[name].add(seconds * 1000)

    # -- the end ------------------------------------------------------------------------------------------------------

    def result(
        self, recording: Recording, summary: Summary, *, number: int, round_: int, began: float
    ) -> SessionResult:
        """What it came to.

        Args:
            recording: What was said.
            summary: Of the run.
            number: Which of the sessions at once, from 1.
            round_: Its how manyth recording, from 1.
            began: When the level did, seconds.
        """
        if self._last_final_at is not None and self._spoken.began_at is not None and summary.complete:
            factor = (self._last_final_at - self._spoken.began_at) / recording.seconds
            for measures in (self.measures, self._together):
                measures["rtf"].add(factor)
        return SessionResult(
            number=number,
            round=round_,
            recording=recording.name,
            began_ms=round((self._started_at - began) * 1000),
            wall_ms=summary.wall_ms,
            measures=self.measures,
            finals=summary.finals,
            unmeasured=self.unmeasured,
            reconnects=summary.reconnects,
            failed=self.failed,
            warned=self.warned,
            dropped_ms=self.dropped_ms,
            exit=summary.exit,
            complete=summary.complete,
            error=self.error,
            words=self._words(recording.reference, complete=summary.complete),
        )

    def _words(self, reference: str | None, *, complete: bool) -> Words | None:
        """Of a session that failed the words are missing for another reason than that they were not understood."""
        if reference is None or not complete:
            return None
        return compare(reference, " ".join(text for _, text in sorted(self._texts.items())))
