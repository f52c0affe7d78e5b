"""What so many sessions at once came to. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from rt_cli.bench.histogram import Histogram
from rt_cli.bench.words import Words, together
from rt_cli.errors import EXIT_OK

MEASURES = ("connect", "ready", "first_partial", "final", "lateness", "round_trip", "rtf")
"""All in milliseconds but the last, the real-time factor."""
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
SHARES = ("errors", "wer", "client_cpu")
"""Numbers of a level as a whole, 1 being all of the sessions, of the words, of a core."""

Tally = dict[str, Histogram]


def tally() -> Tally:
    """A histogram for each measure, with nothing in it."""
    return {name: Histogram() for name in MEASURES}


@dataclass(frozen=True, slots=True)
class SessionResult:
    """One session from its start to its summary."""

    number: int
    """Which of the sessions at once, from 1."""
    round: int
    """Its how manyth recording, from 1."""
    recording: str
    began_ms: int
    """Since the level began."""
    wall_ms: int
    measures: Tally
    finals: int
    unmeasured: int
    """Finals of which nobody knows when their speech ended."""
    reconnects: int
    failed: Counter[str]
    """Turns without words, by the code of the reason."""
    warned: Counter[str]
    """Warnings, by their code."""
    dropped_ms: int
    exit: int
    complete: bool
    error: str | None
    """Code of what ended it."""
    words: Words | None = None

    @property
    def troubles(self) -> Counter[str]:
        """What went wrong, by code."""
        ended = Counter([self.error]) if self.error else Counter()
        return self.failed + ended

    @property
    def flawless(self) -> bool:
        """Complete, and every turn has its words."""
        return self.complete and not self.failed


@dataclass
class Level:
    """So many sessions at once; while it runs, what is known so far."""

    sessions: int
    measures: Tally = field(default_factory=tally)
    results: list[SessionResult] = field(default_factory=list)
    running: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    """Of this process, all its threads."""
    cut: bool = False
    """It was interrupted."""

    @property
    def errors(self) -> float:
        """The share of the sessions that were not flawless."""
        return sum(not result.flawless for result in self.results) / len(self.results) if self.results else 0.0

    @property
    def troubles(self) -> Counter[str]:
        """What went wrong, by code."""
        return sum((result.troubles for result in self.results), Counter())

    @property
    def warnings(self) -> Counter[str]:
        """What was warned of, by code."""
        return sum((result.warned for result in self.results), Counter())

    @property
    def words(self) -> Words | None:
        """Over all sessions that have a reference."""
        return together(result.words for result in self.results if result.words is not None)

    @property
    def client_cpu(self) -> float | None:
        """The share of one core that this process took."""
        return self.cpu_s / self.wall_s if self.wall_s else None

    @property
    def exits(self) -> list[int]:
        """Exit codes of the sessions that failed."""
        return [result.exit for result in self.results if result.exit != EXIT_OK]

    @property
    def all_failed(self) -> bool:
        """Not one session ended as it should."""
        return bool(self.results) and self.errors == 1

    def value(self, name: str) -> float | None:
        """A number by the name that limits have for it; None where nothing was measured.

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
