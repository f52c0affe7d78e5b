"""Plots as SVG elements for an HTML page, in the text colour of that page. Needs matplotlib."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from rt_cli.bench.level import QUANTILES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes

    from rt_cli.bench.level import Level
    from rt_cli.bench.limits import Limit

_INK = "#010203"
"""Colour of text and axes, used for nothing else: in the SVG it is replaced by the page's text colour."""
COLOURS = ("#3b82c4", "#d9822b", "#2f9e6e", "#b0529b", "#8a7a2e", "#c2453d")
"""Readable on white and on black."""
_LINES = {"p50": COLOURS[0], "p95": COLOURS[1], "p99": COLOURS[3]}
_RC: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "grid.color": _INK,
    "grid.alpha": 0.15,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


def plots(levels: Sequence[Level], limits: Sequence[Limit]) -> dict[str, str]:
    """Return the plots as SVG elements, by title. Blocks for a second or two."""
    drawn = {}
    name, title, counted = (
        ("voice_to_voice", "End of speech to the first sound of the reply", "replies")
        if levels[0].talks
        else ("final", "End of speech to final", "finals")
    )
    answered = [level for level in levels if level.measures[name].n]
    if answered:
        drawn[title] = _draw(name, lambda axes: _growth(axes, answered, name, limits))
        drawn[f"{title}, all of them"] = _draw("curve", lambda axes: _curves(axes, answered, name, counted))
    if any(level.measures["lateness"].n for level in levels):
        drawn["How late sound was sent"] = _draw("late", lambda axes: _growth(axes, levels, "lateness", limits))
    if any(level.measures["ready"].n for level in levels):
        drawn["From the start to a session that is ready"] = _draw(
            "ready", lambda axes: _growth(axes, levels, "ready", limits)
        )
    drawn["Errors, words, and this process"] = _draw("shares", lambda axes: _shares(axes, levels))
    return drawn


def _draw(name: str, fill: Callable[[Axes], None]) -> str:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    # A salt per plot: element ids must be unique on the page.
    with rc_context({**_RC, "svg.hashsalt": name}):
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        fill(figure.subplots())
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = drawn.getvalue()
    return svg[svg.index("<svg") :].replace(_INK, "currentColor").strip()


def _growth(axes: Axes, levels: Sequence[Level], measure: str, limits: Sequence[Limit]) -> None:
    """Plot percentiles over the number of sessions, and their limits."""
    for quantile, colour in _LINES.items():
        values = [(level.sessions, level.measures[measure].percentile(QUANTILES[quantile])) for level in levels]
        known = [(sessions, value) for sessions, value in values if value is not None]
        if known:
            axes.plot(*zip(*known, strict=True), "o-", color=colour, label=quantile)
        for limit in limits:
            if limit.name == f"{measure}_{quantile}":
                axes.axhline(limit.allowed, color=colour, linestyle="--", label=f"limit of {quantile}")
    _over_sessions(axes, levels)
    axes.set_ylabel("milliseconds")


def _curves(axes: Axes, levels: Sequence[Level], measure: str, counted: str) -> None:
    """Plot the cumulative distribution of a measure, for each level."""
    for at, level in enumerate(levels):
        values, shares = zip(*[(0.0, 0.0), *level.measures[measure].curve()], strict=True)
        label = f"{level.sessions} at once (n = {level.measures[measure].n})"
        axes.step(values, [share * 100 for share in shares], where="post", color=COLOURS[at % 6], label=label)
    axes.set_xlabel("milliseconds")
    axes.set_ylabel(f"% of {counted} within")
    axes.set_xlim(left=0)
    axes.set_ylim(0, 102)
    axes.legend()


def _shares(axes: Axes, levels: Sequence[Level]) -> None:
    named = {"errors": "sessions with errors", "wer": "wrong words", "client_cpu": "of a core, this process"}
    for (name, label), colour in zip(named.items(), COLOURS, strict=False):
        values = [(level.sessions, value * 100) for level in levels if (value := level.value(name)) is not None]
        if values:
            axes.plot(*zip(*values, strict=True), "o-", color=colour, label=label)
    _over_sessions(axes, levels)
    axes.set_ylabel("%")


def _over_sessions(axes: Axes, levels: Sequence[Level]) -> None:
    counts = [level.sessions for level in levels]
    if max(counts) > 4 * min(counts):
        axes.set_xscale("log", base=2)
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.minorticks_off()
    axes.set_xlabel("sessions at once")
    axes.set_ylim(bottom=0)
    axes.legend()
