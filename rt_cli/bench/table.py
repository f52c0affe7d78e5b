"""Results as a table for people. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rt_cli.bench.level import QUANTILES
from rt_cli.bench.limits import exceeded_limits, highest, holds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rt_cli.bench.histogram import Histogram
    from rt_cli.bench.level import Level
    from rt_cli.bench.limits import Limit

BUSY = 0.8
"""CPU share of one core above which this process may be late itself."""
_NO_VALUE = "-"
HEAD = (
    ("at", "once"),
    ("", "ended"),
    ("", "errors"),
    ("connect", "p50"),
    ("ready", "p50"),
    ("1st partial", "p50"),
    ("speech end", "p50"),
    ("to final", "p95"),
    ("", "p99"),
    ("finals", "n"),
    ("send late", "p99"),
    ("round trip", "p50"),
    ("real time", "p95"),
    ("words", "wrong"),
    ("client", "CPU"),
    ("", "held"),
)
"""Head of the table: two lines per column."""


def cells(level: Level, limits: Sequence[Limit], *, ended: bool = True) -> tuple[str, ...]:
    """Return the row of a level, in the order of :data:`HEAD`.

    Args:
        level: The level.
        limits: The limits that it must keep.
        ended: Whether the level has ended.
    """
    measures, words = level.measures, level.words
    held = ("yes" if holds(limits, level) else "no") if ended else "..."
    return (
        str(level.sessions),
        str(len(level.results)),
        _share(level.errors if level.results else None),
        _time(measures["connect"], "p50"),
        _time(measures["ready"], "p50"),
        _time(measures["first_partial"], "p50"),
        _time(measures["final"], "p50"),
        _time(measures["final"], "p95"),
        _time(measures["final"], "p99"),
        str(measures["final"].n),
        _time(measures["lateness"], "p99"),
        _time(measures["round_trip"], "p50"),
        _factor(measures["rtf"]),
        _share(None if words is None else words.error_rate),
        _share(level.client_cpu),
        held,
    )


def lines(levels: Sequence[Level], limits: Sequence[Limit], *, running: bool = False) -> list[str]:
    """Return all levels as lines of aligned columns, with two head lines.

    Args:
        levels: In their order.
        limits: The limits that they must keep.
        running: Whether the last level is still running.
    """
    rows = [cells(level, limits, ended=not (running and level is levels[-1])) for level in levels]
    heads = list(zip(*HEAD, strict=True))
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
    why = "interrupted" if last.interrupted else ", ".join(causes) or "every session failed"
    return f"held: {'no level' if most is None else f'{most} at once'}; not {last.sessions}: {why}"


def remarks(levels: Sequence[Level]) -> list[str]:
    """Return notes on the table: small samples, errors, warnings, a busy client."""
    notes = []
    if any(_few(level.measures[name], "p99") for level in levels for name in ("final", "lateness")):
        notes.append("* of so few values this is simply the largest")
    for level in levels:
        for what, counter in (("errors", level.error_codes), ("warnings", level.warnings)):
            if counter:
                counts = ", ".join(f"{code} {count}" for code, count in counter.most_common())
                notes.append(f"{level.sessions} at once, {what}: {counts}")
        if client_is_busy(level):
            notes.append(
                f"{level.sessions} at once: this process took {_share(level.client_cpu)} of a core and was held up"
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


def _few(histogram: Histogram, quantile: str) -> bool:
    return 0 < histogram.n * (1 - QUANTILES[quantile]) < 1 - 1e-9


def _time(histogram: Histogram, quantile: str) -> str:
    value = histogram.percentile(QUANTILES[quantile])
    if value is None:
        return _NO_VALUE
    return milliseconds(value) + ("*" if quantile != "p50" and _few(histogram, quantile) else "")


def _factor(histogram: Histogram) -> str:
    value = histogram.percentile(QUANTILES["p95"])
    return _NO_VALUE if value is None else f"{value:.2f}x"


def _share(value: float | None) -> str:
    return _NO_VALUE if value is None else f"{value * 100:.3g}%"
