"""The report: one HTML file without external resources. Needs matplotlib."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from rt_cli import __version__
from rt_cli.bench.plots import plots
from rt_cli.bench.table import cells, conclusion, head, number, remarks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rt_cli.bench.level import Level
    from rt_cli.bench.limits import Limit
    from rt_cli.bench.recording import Recording

_STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1d2126; --line: #d5d9de; --yes: #14713f; --no: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --page: #14171a; --ink: #e4e7ea; --line: #3a4046; --yes: #5fcf93; --no: #ff8a80; }
}
body { background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif;
  max-width: 80rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin: 0 0 .5rem; }
.verdict { font-size: 1.2rem; font-weight: 600; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .8rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
.yes { color: var(--yes); } .no { color: var(--no); }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 28rem), 1fr)); gap: 2rem; }
figure { margin: 2rem 0 0; } svg { width: 100%; height: auto; }
"""
_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Content security policy of the page: a browser loads nothing for it, and runs no script in it."""


@dataclass(frozen=True, slots=True)
class ReportData:
    """Facts about the measurement, for the head of the report."""

    endpoint: str
    """URL without secrets."""
    model: str
    date: str
    recordings: Sequence[Recording]
    chunk_ms: int
    rounds: int
    processes: int = 1


def report(levels: Sequence[Level], limits: Sequence[Limit], facts: ReportData) -> str:
    """Return the HTML page. Blocks for some seconds, to draw the plots.

    Args:
        levels: The levels, at least one.
        limits: The limits of the run.
        facts: Facts about the measurement.
    """
    figures = "\n".join(
        f"<figure><h2>{escape(title)}</h2>\n{svg}</figure>" for title, svg in plots(levels, limits).items()
    )
    notes = "\n".join(f"<p>{escape(remark)}</p>" for remark in remarks(levels))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_SECURITY_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>rt bench: {escape(facts.endpoint)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>rt bench: {escape(facts.endpoint)}</h1>
<p class="verdict">{escape(conclusion(levels, limits))}</p>
<p>{escape(_description(facts))}</p>
<p>{escape(_limits(limits))}</p>
<div class="wide">{_table(levels, limits)}</div>
{notes}
<div class="plots">{figures}</div>
</body>
</html>
"""


def _description(facts: ReportData) -> str:
    sounds = ", ".join(f"{recording.name} ({recording.seconds:.1f} s)" for recording in facts.recordings)
    rounds = f", {facts.rounds} rounds" if facts.rounds > 1 else ""
    processes = f", in {facts.processes} processes" if facts.processes > 1 else ""
    return (
        f"{facts.date}. Model {facts.model}. At real time, {facts.chunk_ms} ms at a time{rounds}{processes}: {sounds}."
        f" rt {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}."
    )


def _limits(limits: Sequence[Limit]) -> str:
    if not limits:
        return "No limits were set."
    return "Limits: " + ", ".join(f"{limit.name} {number(limit.name, limit.allowed)}" for limit in limits) + "."


def _table(levels: Sequence[Level], limits: Sequence[Limit]) -> str:
    heads = "\n".join("<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in row) + "</tr>" for row in head(levels))
    rows = "\n".join(_row(cells(level, limits)) for level in levels)
    return f"<table>\n<thead>{heads}</thead>\n<tbody>{rows}</tbody>\n</table>"


def _row(row: Sequence[str]) -> str:
    *figures, kept = row
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in figures) + f'<td class="{kept}">{kept}</td></tr>'
