"""The summary of a source, from its samples. Pure."""

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
    latency_ms: Latency | None = None,
    skipped: bool = False,
    sent: int = 0,
    gated: int = 0,
    cost: Cost | None = None,
) -> Summary:
    """Return the summary of a source.

    Args:
        source: Name of the source as the user wrote it.
        exit_code: Exit code of the source.
        complete: Whether every sample is settled.
        rate_hz: Wire rate of all counts of samples; 0 if it never became known.
        ledger: Where every captured sample is.
        finals: Number of finals.
        reconnects: Number of connections after the first.
        wall_ms: Duration of the run, milliseconds.
        latency_ms: From the end of speech to the final; None without a measured final.
        skipped: Nothing was sent, because an earlier run finished this source.
        sent: Samples sent on all connections, including padding and audio sent again.
        gated: Samples captured but not sent.
        cost: Of the sent audio; None without a configured price.
    """

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
        reconnects=reconnects,
        latency_ms=latency_ms,
        wall_ms=wall_ms,
    )
