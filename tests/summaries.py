"""Summaries as a run would report them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from rt_cli.audio.format import to_ms
from rt_cli.events import Summary

if TYPE_CHECKING:
    from rt_cli.events import Cost, Latency, Ledger


def summary_of(
    source: str,
    exit_code: int,
    *,
    complete: bool,
    rate_hz: int,
    ledger: Ledger,
    finals: int,
    reconnects: int,
    wall_ms: int,
    unwritten: int = 0,
    latency_ms: Latency | None = None,
    skipped: bool = False,
    sent: int = 0,
    gated: int = 0,
    cost: Cost | None = None,
) -> Summary:
    """Return a summary; ``sent`` and ``gated`` are samples, the rate of a source that was never opened is 0."""

    def ms(samples: int) -> int:
        return to_ms(samples, rate_hz) if rate_hz else 0

    return Summary(
        source=source,
        skipped=skipped or UNSET,
        exit=exit_code,
        complete=complete,
        rate_hz=rate_hz,
        captured_ms=ms(ledger.captured),
        settled_ms=ms(ledger.settled),
        dropped_ms=ms(ledger.dropped),
        ledger=ledger,
        sent_ms=ms(sent),
        gated_ms=ms(gated),
        cost=cost or UNSET,
        finals=finals,
        unwritten=unwritten or UNSET,
        reconnects=reconnects,
        latency_ms=latency_ms,
        wall_ms=wall_ms,
    )
