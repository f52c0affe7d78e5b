"""The summary of a run, from its parts. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from rt_cli.audio.format import to_ms
from rt_cli.events import Summary
from rt_cli.streaming.outcome import percentiles

if TYPE_CHECKING:
    from rt_cli.audio.speech.gate import SendRanges
    from rt_cli.protocol.session.session import Session
    from rt_cli.streaming.cost import Meter
    from rt_cli.streaming.delivery.reconnect import Reconnector
    from rt_cli.streaming.outcome import RunOutcome


def summary_of(
    outcome: RunOutcome,
    session: Session,
    meter: Meter,
    *,
    delivery: Reconnector | None,
    send_ranges: SendRanges | None,
    wall_ms: int,
    translates: bool = False,
) -> Summary:
    """Return the summary of a run.

    Args:
        outcome: Its outcome and its ledger.
        session: Its finals.
        meter: What was sent on all connections.
        delivery: Its connections; None if it had none.
        send_ranges: Which parts were sent; None if all.
        wall_ms: Duration of the run, milliseconds.
        translates: Whether the session translates.
    """
    ledger, rate_hz = outcome.ledger, outcome.rate_hz
    return Summary(
        source=outcome.name,
        exit=outcome.exit_code,
        complete=outcome.complete,
        rate_hz=rate_hz,
        captured_ms=to_ms(ledger.captured, rate_hz),
        settled_ms=to_ms(ledger.settled, rate_hz),
        dropped_ms=to_ms(ledger.dropped, rate_hz),
        ledger=ledger,
        sent_ms=to_ms(meter.sent, rate_hz),
        gated_ms=to_ms(send_ranges.left_out if send_ranges else 0, rate_hz),
        cost=meter.cost or UNSET,
        finals=session.finals,
        translations=session.translations if translates else UNSET,
        unwritten=outcome.unwritten or UNSET,
        reconnects=delivery.reconnects if delivery else 0,
        latency_ms=percentiles(session.latencies.newest_ms),
        wall_ms=wall_ms,
    )
