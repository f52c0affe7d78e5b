"""``rt bench``: an endpoint under load."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rt_cli.cli import options
from rt_cli.cli.process import run_loop, warn_of_variables
from rt_cli.config.layers import settings_of

Files = Annotated[list[str], typer.Argument(metavar="FILE...", help="Recordings, taken in turns.")]
Sessions = Annotated[str, typer.Option(metavar="N,N,...", show_default=False, help="At once, level after level [1].")]
Rounds = Annotated[
    int, typer.Option(metavar="N", min=1, max=100_000, show_default=False, help="Recordings for each [1].")
]
Spread = Annotated[
    str, typer.Option(metavar="TIME", show_default=False, help="In which the sessions of a level start [2s].")
]
Limits = Annotated[
    list[str] | None, typer.Option("--limit", metavar="NAME=VALUE", help="No level more: final_p95=2s, errors=1%.")
]
References = Annotated[
    list[Path] | None, typer.Option("--reference", metavar="FILE", help="Words of each recording, in order.")
]
Html = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Report with plots.")]
RetryFor = Annotated[str, typer.Option(metavar="TIME", show_default=False, help="Outages that are no errors [0].")]


@options.with_settings("bench")
def bench(
    files: Files,
    sessions: Sessions = "1",
    rounds: Rounds = 1,
    spread: Spread = "2s",
    limit: Limits = None,
    reference: References = None,
    html: Html = None,
    retry_for: RetryFor = "0",
    **values: Any,
) -> int:
    """Speak to an endpoint in many sessions, and measure them.

    Recordings are sent in real time.

    Examples:
        rt bench --url URL --sessions 1,2,4,8 --limit final_p95=2s talk.wav
        rt bench --url URL --sessions 8 --html report.html talk.wav
    """
    force = bool(values.pop("force"))
    settings = settings_of({"retry_for": retry_for, "format": None, **values})
    warn_of_variables(quiet=settings.output.quiet)
    from rt_cli.bench.run_bench import BenchOptions, open_bench

    bench_options = BenchOptions(files, sessions, rounds, spread, limit or [], reference or [], html, replace=force)
    with open_bench(settings, bench_options) as opened:
        return run_loop(opened.run)
