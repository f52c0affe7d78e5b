"""The results of one level: a number of parallel sessions, transcriptions or conversations. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rt_cli.bench.histogram import Histogram
from rt_cli.bench.words import Words, total
from rt_cli.errors import EXIT_OK

if TYPE_CHECKING:
    from collections.abc import Sequence

MEASURES = ("connect", "ready", "first_partial", "final", "lateness", "round_trip", "rtf")
"""Of transcriptions. All in milliseconds, except ``rtf``, the real-time factor."""
TALK_MEASURES = ("connect", "ready", "endpointing", "first_audio", "voice_to_voice", "final", "lateness", "round_trip")
"""Of conversations, in milliseconds."""
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
SHARES = ("errors", "wer", "client_cpu")
"""Shares of a whole level: 1 is all sessions, all words, one CPU core."""

Tally = dict[str, Histogram]


def tally(measures: Sequence[str] = MEASURES) -> Tally:
    """Return an empty histogram for each measure."""
    return {name: Histogram() for name in measures}


def merge(into: Tally, more: Tally) -> None:
    """Add all values of another tally of the same measures."""
    for name, histogram in more.items():
        into[name].merge(histogram)


def take(measures: Tally) -> Tally:
    """Return the values of a tally, and empty it in place."""
    taken = dict(measures)
    measures.update(tally(tuple(measures)))
    return taken


@dataclass(frozen=True, slots=True)
class ReplyCounts:
    """The replies of a conversation."""

    ended: int = 0
    """Replies that have ended, whether or not before their end."""
    interrupted: int = 0
    """Of them, those that the user stopped."""
    failed: int = 0
    """Replies that did not come, or not to their end, although nobody stopped them."""


@dataclass(frozen=True, slots=True)
class SessionResult:
    """The result of one session."""

    number: int
    """Number among the parallel sessions, from 1."""
    round: int
    """Number of the recording within its slot, from 1."""
    recording: str
    began_ms: int
    """Start of the session, since the start of the level."""
    wall_ms: int
    measures: Tally
    finals: int
    unmeasured: int
    """Finals without latency, because the end of their speech is unknown."""
    reconnects: int
    failures: Counter[str]
    """Failed turns and replies, by error code."""
    warnings: Counter[str]
    """Warnings, by code."""
    dropped_ms: int
    exit: int
    complete: bool
    error: str | None
    """Code of the error that ended the session."""
    words: Words | None = None
    replies: ReplyCounts | None = None
    """None for a transcription."""

    @property
    def error_codes(self) -> Counter[str]:
        """Failed turns and replies, and the final error, by code."""
        final_error = Counter([self.error]) if self.error else Counter()
        return self.failures + final_error

    @property
    def flawless(self) -> bool:
        """Whether the session is complete, and no turn or reply failed."""
        return self.complete and not self.failures


@dataclass
class Level:
    """A number of parallel sessions, and their results so far."""

    sessions: int
    measures: Tally = field(default_factory=tally)
    results: list[SessionResult] = field(default_factory=list)
    started: int = 0
    """Sessions that have begun."""
    running: int = 0
    wall_s: float = 0.0
    cpus_s: Sequence[float] = ()
    """CPU time of each process that runs sessions, all threads, and of this one."""
    interrupted: bool = False
    """Whether a signal ended the level early."""

    @property
    def talks(self) -> bool:
        """Whether the sessions are conversations."""
        return "voice_to_voice" in self.measures

    @property
    def finished(self) -> int:
        """Sessions that ended without an error."""
        return sum(result.flawless for result in self.results)

    @property
    def failed(self) -> int:
        """Sessions that ended with an error."""
        return len(self.results) - self.finished

    @property
    def lost(self) -> int:
        """Sessions that began and of which nothing is known."""
        return max(0, self.started - self.running - self.finished - self.failed)

    @property
    def replies(self) -> ReplyCounts | None:
        """Replies of all sessions; None for transcriptions."""
        counts = [result.replies for result in self.results if result.replies is not None]
        if not self.talks:
            return None
        return ReplyCounts(
            *(sum(getattr(each, name) for each in counts) for name in ("ended", "interrupted", "failed"))
        )

    @property
    def errors(self) -> float:
        """Share of the sessions with an error."""
        return self.failed / len(self.results) if self.results else 0.0

    @property
    def error_codes(self) -> Counter[str]:
        """Errors of all sessions, by code."""
        return sum((result.error_codes for result in self.results), Counter())

    @property
    def warnings(self) -> Counter[str]:
        """Warnings of all sessions, by code."""
        return sum((result.warnings for result in self.results), Counter())

    @property
    def words(self) -> Words | None:
        """Word counts of all sessions with a reference."""
        return total(result.words for result in self.results if result.words is not None)

    @property
    def client_cpu(self) -> float | None:
        """CPU time of the busiest process, as a share of one core."""
        return max(self.cpus_s, default=0.0) / self.wall_s if self.wall_s else None

    @property
    def clients_cpu(self) -> float | None:
        """CPU time of all processes, as a share of one core."""
        return sum(self.cpus_s) / self.wall_s if self.wall_s else None

    @property
    def processes(self) -> int:
        """Processes that ran sessions."""
        return max(1, len(self.cpus_s) - 1)

    @property
    def exits(self) -> list[int]:
        """Exit codes of the failed sessions."""
        return [result.exit for result in self.results if result.exit != EXIT_OK]

    @property
    def all_failed(self) -> bool:
        """Whether every session has an error."""
        return bool(self.results) and self.errors == 1

    def value(self, name: str) -> float | None:
        """Return a number by its name in limits; None if nothing was measured.

        Args:
            name: One of :data:`SHARES`, or a measure and a quantile, as ``final_p95``.
        """
        match name:
            case "errors":
                return self.errors if self.results else None
            case "wer":
                return None if self.words is None else self.words.error_rate
            case "client_cpu":
                return self.client_cpu
        measure, _, quantile = name.rpartition("_")
        return self.measures[measure].percentile(QUANTILES[quantile])
