"""Levels for tests."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rt_cli.bench.level import Level, SessionResult, tally

if TYPE_CHECKING:
    from rt_cli.bench.words import Words


def ended(
    *, error: str | None = None, exit_: int = 0, failed: int = 0, lagged: int = 0, words: Words | None = None
) -> SessionResult:
    """A session that is over."""
    return SessionResult(
        number=1,
        round=1,
        recording="talk.wav",
        began_ms=0,
        wall_ms=1000,
        measures=tally(),
        finals=1,
        unmeasured=0,
        reconnects=0,
        failed=Counter({"unclear": failed} if failed else {}),
        warned=Counter({"loop_lag": lagged} if lagged else {}),
        dropped_ms=0,
        exit=exit_,
        complete=exit_ == 0,
        error=error,
        words=words,
    )


def level(
    sessions: int, *finals_ms: float, results: list[SessionResult] | None = None, cpu: float = 0.1, cut: bool = False
) -> Level:
    """A level whose finals took so long; one good session if nothing is said of them."""
    made = Level(sessions, results=[ended()] if results is None else results, wall_s=10.0, cpu_s=10 * cpu, cut=cut)
    for value in finals_ms:
        made.measures["final"].add(value)
    return made
