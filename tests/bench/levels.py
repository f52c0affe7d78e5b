"""Levels and session results for tests."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rt_cli.bench.level import TALK_MEASURES, Level, ReplyCounts, SessionResult, tally

if TYPE_CHECKING:
    from rt_cli.bench.words import Words


def session_result(
    *,
    error: str | None = None,
    exit_: int = 0,
    failures: int = 0,
    lagged: int = 0,
    words: Words | None = None,
    replies: ReplyCounts | None = None,
) -> SessionResult:
    """Return the result of one session."""
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
        failures=Counter({"unclear": failures} if failures else {}),
        warnings=Counter({"loop_lag": lagged} if lagged else {}),
        dropped_ms=0,
        exit=exit_,
        complete=exit_ == 0,
        error=error,
        words=words,
        replies=replies,
    )


def level(
    sessions: int,
    *finals_ms: float,
    results: list[SessionResult] | None = None,
    cpu: float = 0.1,
    interrupted: bool = False,
) -> Level:
    """Return a level with finals of these latencies; by default with one session without errors."""
    result = Level(
        sessions,
        results=[session_result()] if results is None else results,
        wall_s=10.0,
        cpus_s=[10 * cpu],
        interrupted=interrupted,
    )
    for value in finals_ms:
        result.measures["final"].add(value)
    return result


def talk_level(sessions: int, *voice_to_voice_ms: float, lost: int = 0, exit_: int = 0) -> Level:
    """Return a level of conversations with replies of these latencies, one session of which has ended."""
    replies = ReplyCounts(ended=3, interrupted=2, failed=1)
    results = [session_result(replies=replies, exit_=exit_)]
    result = Level(sessions, measures=tally(TALK_MEASURES), results=results, started=1 + lost, wall_s=10, cpus_s=[1.0])
    for value in voice_to_voice_ms:
        result.measures["voice_to_voice"].add(value)
    return result
