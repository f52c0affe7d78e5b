"""Results as a table for people. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.bench.level import QUANTILES
from rt_cli.bench.limits import exceeded_limits, highest, holds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rt_cli.bench.histogram import Histogram
    from rt_cli.bench.level import Level
    from rt_cli.bench.limits import Limit

    _Columns = tuple[tuple[str, str, Callable[[Level], str]], ...]

BUSY = 0.8
"""CPU share of one core above which this process may be late itself."""
_NO_VALUE = "-"


def _percentile(measure: str, quantile: str) -> Callable[[Level], str]:
    return lambda level: _time(level.measures[measure], quantile)


def _replies(kind: str) -> Callable[[Level], str]:
    return lambda level: _NO_VALUE if level.replies is None else str(getattr(level.replies, kind))


def _factor(level: Level) -> str:
    value = level.value("rtf_p95")
    return _NO_VALUE if value is None else f"{value:.2f}x"


_SESSIONS: _Columns = (
    ("at", "once", lambda level: str(level.sessions)),
    ("", "ended", lambda level: str(len(level.results))),
    ("", "errors", lambda level: _share(level.errors if level.results else None)),
    ("connect", "p50", _percentile("connect", "p50")),
    ("ready", "p50", _percentile("ready", "p50")),
)
_TRANSCRIPTIONS: _Columns = (
    ("1st partial", "p50", _percentile("first_partial", "p50")),
    ("speech end", "p50", _percentile("final", "p50")),
    ("to final", "p95", _percentile("final", "p95")),
    ("", "p99", _percentile("final", "p99")),
    ("finals", "n", lambda level: str(level.measures["final"].n)),
)
_CONVERSATIONS: _Columns = (
    ("end of turn", "p50", _percentile("endpointing", "p50")),
    ("1st audio", "p50", _percentile("first_audio", "p50")),
    ("voice", "p50", _percentile("voice_to_voice", "p50")),
    ("to voice", "p95", _percentile("voice_to_voice", "p95")),
    ("", "p99", _percentile("voice_to_voice", "p99")),
    ("replies", "n", _replies("ended")),
    ("inter-", "rupted", _replies("interrupted")),
    ("", "failed", _replies("failed")),
)
_WIRE: _Columns = (
    ("send late", "p99", _percentile("lateness", "p99")),
    ("round trip", "p50", _percentile("round_trip", "p50")),
)
_SHARES: _Columns = (
    ("words", "wrong", lambda level: _share(None if level.words is None else level.words.error_rate)),
    ("client", "CPU", lambda level: _share(level.client_cpu)),
)
_COLUMNS: dict[bool, _Columns] = {
    False: (*_SESSIONS, *_TRANSCRIPTIONS, *_WIRE, ("real time", "p95", _factor), *_SHARES),
    True: (*_SESSIONS, *_CONVERSATIONS, *_WIRE, *_SHARES),
}
"""By whether the sessions are conversations: two lines of the head, and the cell of a level."""


def head(levels: Sequence[Level]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the two lines of the head, as cells."""
    columns = _COLUMNS[levels[0].talks]
    return (*(column[0] for column in columns), ""), (*(column[1] for column in columns), "held")


def cells(level: Level, limits: Sequence[Limit], *, ended: bool = True) -> tuple[str, ...]:
    """Return the row of a level, in the order of :func:`head`.

    Args:
        level: The level.
        limits: The limits that it must keep.
        ended: Whether the level has ended.
    """
    held = ("yes" if holds(limits, level) else "no") if ended else "..."
    return (*(cell(level) for _, _, cell in _COLUMNS[level.talks]), held)


def lines(levels: Sequence[Level], limits: Sequence[Limit], *, running: bool = False) -> list[str]:
    """Return all levels as lines of aligned columns, with two head lines.

    Args:
        levels: In their order.
        limits: The limits that they must keep.
        running: Whether the last level is still running.
    """
    rows = [cells(level, limits, ended=not (running and level is levels[-1])) for level in levels]
    heads = head(levels)
    widths = [max(map(len, column)) for column in zip(*heads, *rows, strict=True)]
    return [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (*heads, *rows)
    ]


def conclusion(levels: Sequence[Level], limits: Sequence[Limit]) -> str:
    """Return the result in one sentence."""
    most, last = highest(limits, levels), levels[-1]
    if holds(limits, last):
        return f"held: {most} at once, the most that was tried"
    causes = [_cause(limit, last) for limit in exceeded_limits(limits, last)] if not last.all_failed else []
    causes += [f"{last.lost} sessions lost"] if last.lost else []
    why = "interrupted" if last.interrupted else ", ".join(causes) or "every session failed"
    return f"held: {'no level' if most is None else f'{most} at once'}; not {last.sessions}: {why}"


def remarks(levels: Sequence[Level]) -> list[str]:
    """Return notes on the table: small samples, errors, warnings, lost sessions, a busy client."""
    notes = []
    if any(_few(level.measures[name], "p99") for level in levels for name in (_answer(level), "lateness")):
        notes.append("* of so few values this is simply the largest")
    for level in levels:
        for what, counter in (("errors", level.error_codes), ("warnings", level.warnings)):
            if counter:
                counts = ", ".join(f"{code} {count}" for code, count in counter.most_common())
                notes.append(f"{level.sessions} at once, {what}: {counts}")
        if level.lost:
            notes.append(
                f"{level.sessions} at once: {level.started} sessions started, {level.finished} finished,"
                f" {level.failed} failed: {level.lost} lost"
            )
        if client_is_busy(level):
            who = "this process" if level.processes == 1 else f"the busiest of {level.processes} processes"
            notes.append(
                f"{level.sessions} at once: {who} took {_share(level.client_cpu)} of a core and was held up"
                f" {level.warnings['loop_lag']} times: some of the delay is its own: fewer sessions, or more machines"
            )
    return notes


def client_is_busy(level: Level) -> bool:
    """Return whether this process or its machine may have caused part of the measured delay."""
    return (level.client_cpu or 0) > BUSY or level.warnings["loop_lag"] > 0


def number(name: str, value: float | None) -> str:
    """Return a number of a level as text, in the unit of its name in limits."""
    if value is None:
        return "not measured"
    if name in ("errors", "wer", "client_cpu"):
        return _share(value)
    return f"{value:.2f}" if name.startswith("rtf") else milliseconds(value)


def milliseconds(value: float) -> str:
    """Return a time with a suitable unit."""
    if value < 10:  # noqa: PLR2004 - two significant digits
        return f"{value:.1f}ms"
    return f"{value:.0f}ms" if value < 1000 else f"{value / 1000:.2f}s"  # noqa: PLR2004


def _cause(limit: Limit, level: Level) -> str:
    measured = number(limit.name, level.value(limit.name))
    return f"{limit.name} {measured} (limit {number(limit.name, limit.allowed)})"


def _answer(level: Level) -> str:
    return "voice_to_voice" if level.talks else "final"


def _few(histogram: Histogram, quantile: str) -> bool:
    return 0 < histogram.n * (1 - QUANTILES[quantile]) < 1 - 1e-9


def _time(histogram: Histogram, quantile: str) -> str:
    value = histogram.percentile(QUANTILES[quantile])
    if value is None:
        return _NO_VALUE
    return milliseconds(value) + ("*" if quantile != "p50" and _few(histogram, quantile) else "")


def _share(value: float | None) -> str:
    return _NO_VALUE if value is None else f"{value * 100:.3g}%"
