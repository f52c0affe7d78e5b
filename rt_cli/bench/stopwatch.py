"""Measure one session: the run itself uses the same code as ``rt stream``."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Protocol

from msgspec import UNSET

from rt_cli.bench.level import SessionResult, tally
from rt_cli.bench.words import compare
from rt_cli.events import Dropped, Errored, Failed, Final, Partial, SessionChanged, Warned

if TYPE_CHECKING:
    from collections.abc import Iterable

    from msgspec import UnsetType

    from rt_cli.bench.level import Tally
    from rt_cli.bench.levels import Place
    from rt_cli.bench.words import Words
    from rt_cli.clock import Clock
    from rt_cli.events import Event, Summary


class SoundSchedule(Protocol):
    """When the sound of a session is due. Positions are samples."""

    @property
    def rate_hz(self) -> int:
        """Samples per second."""
        ...

    def begin(self) -> None:
        """The session is ready. Idempotent."""
        ...

    def due(self, position: int) -> float | None:
        """Return the due time of a sample, seconds; None before the start."""
        ...

    def dues(self, start: int, end: int) -> Iterable[float]:
        """Return the due time of each block that ends in (start, end], seconds."""
        ...


class Stopwatch:
    """Measures a run, as its measure hooks and its event handler.

    The sound starts when the session is ready. All later times count from the due time of the sound, not from the time
    of sending, so that a delay of this process is part of the figures.

    Args:
        schedule: Of the sound, which the stopwatch starts.
        clock: The time.
        level_measures: Receives all measured values, too.
    """

    def __init__(self, schedule: SoundSchedule, clock: Clock, level_measures: Tally) -> None:
        self.measures = tally(tuple(level_measures))
        self.failures: Counter[str] = Counter()
        self.warnings: Counter[str] = Counter()
        self.dropped_ms = 0
        self.unmeasured = 0
        self.error: str | None = None
        self._level_measures = level_measures
        self._schedule = schedule
        self._clock = clock
        self._started_at = clock.now()
        self._connected = False
        self._ready = False
        self._sent_end = 0
        self._turns: set[int] = set()
        self._texts: dict[int, str] = {}
        self._last_final_at: float | None = None

    # -- measure hooks ------------------------------------------------------------------------------------------------

    def opened(self) -> None:
        """Measure the time to the first handshake, including retries."""
        if not self._connected:
            self._connected = True
            self._measure("connect", self._clock.now() - self._started_at)

    def sent(self, end: int) -> None:
        """Measure the lateness of each newly sent block, also if several blocks are sent together."""
        now = self._clock.now()
        for due in self._schedule.dues(self._sent_end, end):
            self._measure("lateness", now - due)
        self._sent_end = max(self._sent_end, end)

    def round_trip(self, seconds: float) -> None:
        """Measure the time from a ping to its pong."""
        self._measure("round_trip", seconds)

    def heard_at(self, position: int) -> float | None:
        """Return the due time of a sample, seconds."""
        return self._schedule.due(position)

    # -- events -------------------------------------------------------------------------------------------------------

    def on_event(self, event: Event) -> None:
        """Measure and count an event of the run."""
        match event:
            case SessionChanged(state="ready") if not self._ready:
                self._ready = True
                self._measure("ready", self._clock.now() - self._started_at)
                self._schedule.begin()
            case Partial(turn, text, start_ms) if text and turn not in self._turns and "first_partial" in self.measures:
                self._turns.add(turn)
                self._first_words(turn, start_ms)
            case Final(turn, text, latency_ms=latency_ms):
                self._texts[turn] = text
                self._last_final_at = self._clock.now()
                if latency_ms is UNSET:
                    self.unmeasured += 1
                else:
                    self._measure("final", latency_ms / 1000)
            case Failed(code=code):
                self.failures[code] += 1
            case Dropped(start_ms, end_ms):
                self.dropped_ms += end_ms - start_ms
            case Warned(code=code):
                self.warnings[code] += 1
            case Errored(code=code):
                self.error = code

    def _first_words(self, turn: int, start_ms: int | UnsetType) -> None:
        if start_ms is UNSET and turn > 1:
            return
        due = self._schedule.due(round((start_ms or 0) * self._schedule.rate_hz / 1000))
        if due is not None:
            self._measure("first_partial", self._clock.now() - due)

    def _measure(self, name: str, seconds: float) -> None:
        self._add(name, seconds * 1000)

    def _add(self, name: str, value: float) -> None:
        for measures in (self.measures, self._level_measures):
            measures[name].add(value)

    # -- result -------------------------------------------------------------------------------------------------------

    def measure_pace(self, seconds: float) -> None:
        """Measure the real-time factor of sound of this length, from its first sample to the last final."""
        began_at = self._schedule.due(0)
        if self._last_final_at is not None and began_at is not None:
            self._add("rtf", (self._last_final_at - began_at) / seconds)

    def result(self, name: str, reference: str | None, summary: Summary, place: Place) -> SessionResult:
        """Return the result of the session.

        Args:
            name: Of its sound.
            reference: The words of its sound, if known.
            summary: Of the run.
            place: Of the session.
        """
        return SessionResult(
            number=place.number,
            round=place.round,
            recording=name,
            began_ms=round((self._started_at - place.level_began) * 1000),
            wall_ms=summary.wall_ms,
            measures=self.measures,
            finals=summary.finals,
            unmeasured=self.unmeasured,
            reconnects=summary.reconnects,
            failures=self.failures,
            warnings=self.warnings,
            dropped_ms=self.dropped_ms,
            exit=summary.exit,
            complete=summary.complete,
            error=self.error,
            words=self._words(reference, complete=summary.complete),
        )

    def _words(self, reference: str | None, *, complete: bool) -> Words | None:
        """Compare the words with the reference. None for a failed session, whose missing words are no errors."""
        if reference is None or not complete:
            return None
        return compare(reference, " ".join(text for _, text in sorted(self._texts.items())))
