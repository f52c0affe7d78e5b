"""Results as NDJSON objects. Pure."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rt_cli.bench.limits import exceeded_limits, highest, holds
from rt_cli.bench.table import client_is_busy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rt_cli.bench.histogram import Histogram
    from rt_cli.bench.level import Level, ReplyCounts, SessionResult, Tally
    from rt_cli.bench.limits import Limit
    from rt_cli.bench.words import Words

_DIGITS = 3


def session_line(result: SessionResult, level: Level) -> dict[str, Any]:
    """Return the object of one session."""
    return {
        "type": "bench_session",
        "sessions": level.sessions,
        "number": result.number,
        "round": result.round,
        "source": result.recording,
        "began_ms": result.began_ms,
        "wall_ms": result.wall_ms,
        "exit": result.exit,
        "complete": result.complete,
        **({"error": result.error} if result.error else {}),
        "failed": dict(result.failures),
        "warnings": dict(result.warnings),
        "dropped_ms": result.dropped_ms,
        "finals": result.finals,
        **_replies(result.replies),
        "reconnects": result.reconnects,
        **_measures(result.measures),
        **_words(result.words),
    }


def level_line(level: Level, limits: Sequence[Limit]) -> dict[str, Any]:
    """Return the object of one level."""
    return {
        "type": "bench_level",
        "sessions": level.sessions,
        "runs": len(level.results),
        "held": holds(limits, level),
        "limits": [_limit(limit, level) for limit in limits],
        "errors": round(level.errors, _DIGITS),
        "error_codes": dict(level.error_codes),
        "warnings": dict(level.warnings),
        "account": {
            "started": level.started,
            "finished": level.finished,
            "failed": level.failed,
            "lost": level.lost,
        },
        **_replies(level.replies),
        "finals": sum(result.finals for result in level.results),
        "unmeasured": sum(result.unmeasured for result in level.results),
        "reconnects": sum(result.reconnects for result in level.results),
        **_measures(level.measures),
        **_words(level.words),
        "client_cpu": _rounded(level.client_cpu),
        "clients_cpu": _rounded(level.clients_cpu),
        "processes": level.processes,
        "client_felt": client_is_busy(level),
        "wall_ms": round(level.wall_s * 1000),
    }


def summary_line(
    levels: Sequence[Level], limits: Sequence[Limit], *, endpoint: str, model: str, exit_code: int, interrupted: bool
) -> dict[str, Any]:
    """Return the object of the last line."""
    last = levels[-1] if levels else None
    return {
        "type": "bench_summary",
        "exit": exit_code,
        "endpoint": endpoint,
        "model": model,
        "highest": highest(limits, levels),
        "levels": [level.sessions for level in levels],
        "stopped_by": [limit.name for limit in exceeded_limits(limits, last)] if last else [],
        "interrupted": interrupted,
    }


def _measures(measures: Tally) -> dict[str, Any]:
    return {name if name == "rtf" else f"{name}_ms": _percentiles(values) for name, values in measures.items()}


def _replies(replies: ReplyCounts | None) -> dict[str, Any]:
    if replies is None:
        return {}
    return {"replies": replies.ended, "interrupted": replies.interrupted, "failed_replies": replies.failed}


def _percentiles(histogram: Histogram) -> dict[str, float] | None:
    values = histogram.percentiles()
    return None if values is None else {name: round(value, _DIGITS) for name, value in asdict(values).items()}


def _words(words: Words | None) -> dict[str, Any]:
    return {} if words is None else {"wer": round(words.error_rate, 4), "words": asdict(words)}


def _limit(limit: Limit, level: Level) -> dict[str, Any]:
    measured = level.value(limit.name)
    return {
        "name": limit.name,
        "allowed": limit.allowed,
        "measured": _rounded(measured),
        "held": limit.is_kept(level),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
