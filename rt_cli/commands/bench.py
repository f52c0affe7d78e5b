"""``rt bench``: an endpoint under load."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rt_cli.cli import options
from rt_cli.cli.process import run_loop, warn_of_variables
from rt_cli.config.layers import settings_of
from rt_cli.config.values import number_option, settings_keys
from rt_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

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
Talk = Annotated[bool, typer.Option("--talk", help="Conversations: voice-to-voice latencies.")]
InterruptAt = Annotated[
    str | None, typer.Option(metavar="TIME", help="Say the next turn so long after a reply begins.")
]
MaxLatency = Annotated[str | None, typer.Option(metavar="TIME", help="Same as --limit voice_to_voice_max=TIME.")]
Workers = Annotated[
    int | None, typer.Option(metavar="N", min=1, max=256, show_default=False, help="Processes [one per core].")
]
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
    talk: Talk = False,
    interrupt_at: InterruptAt = None,
    max_latency: MaxLatency = None,
    workers: Workers = None,
    retry_for: RetryFor = "0",
    **values: Any,
) -> int:
    """Speak to an endpoint in many sessions, and measure them.

    Recordings are sent in real time; with --talk all are turns of one conversation.

    Examples:
        rt bench --url URL --sessions 1,2,4,8 --limit final_p95=2s talk.wav
        rt bench --url URL --sessions 8 --html report.html talk.wav
        rt bench --url URL --talk --sessions 50 --max-latency 1.5s question.wav
    """
    of_talk = {name: values.get(name) for name, key in settings_keys().items() if key.table == "talk"}
    _check_talk({**of_talk, "interrupt_at": interrupt_at, "max_latency": max_latency}, talk=talk)
    if interrupt_at is not None and len(files) < 2:  # noqa: PLR2004 - the second one interrupts
        raise UsageError("--interrupt-at without a turn that interrupts", "give two or more files")
    force = bool(values.pop("force"))
    settings = settings_of({"retry_for": retry_for, "format": None, **values})
    warn_of_variables(quiet=settings.output.quiet)
    from rt_cli.bench.run_bench import BenchOptions, open_bench

    limits = [*(limit or ()), *([] if max_latency is None else [f"voice_to_voice_max={max_latency}"])]
    bench_options = BenchOptions(
        files,
        sessions,
        rounds,
        spread,
        limits,
        reference or [],
        html,
        replace=force,
        talk=talk,
        interrupt_at_s=None if interrupt_at is None else number_option("--interrupt-at", interrupt_at, low=0),
        workers=workers,
    )
    with open_bench(settings, bench_options) as opened:
        return run_loop(opened.run)


def _check_talk(values: Mapping[str, Any], *, talk: bool) -> None:
    """Refuse options that only conversations have, where there are none. Raises UsageError."""
    for name, value in values.items():
        if not talk and value is not None:
            raise UsageError(f"--{name.replace('_', '-')} is for conversations", "add --talk")
