"""Whether the endpoint is alive, from the times of inbound data and acknowledgements. Pure."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

STALLED_S = 3.0
DEAD_S = 8.0
LONGEST_PATIENCE_S = 60.0

Health = Literal["alive", "stalled", "dead"]


class Vitals(Struct, frozen=True):
    """Measurements of a connection at one moment; times in seconds of one clock."""

    now: float
    inbound_at: float
    """Time of the last inbound byte."""
    progress_at: float
    """Time of the last move of the acknowledged mark."""
    in_flight: int
    """Samples sent and not acknowledged."""
    oldest_ping_at: float | None
    """Time at which the oldest unanswered ping was written; None without one."""
    round_trip_s: float | None = None


def health(vitals: Vitals, *, patience_s: float = DEAD_S) -> Health:
    """Return the state of the endpoint at one moment.

    *Stalled*: audio is in flight and the acknowledged mark has not moved for ``max(3 s, 2 x round trip)``. *Dead*: the
    oldest ping has had no pong, and no byte has arrived, both for ``patience_s``. Any inbound byte is a sign of life.
    """
    if vitals.oldest_ping_at is not None:
        silent = vitals.now - max(vitals.oldest_ping_at, vitals.inbound_at)
        if silent >= patience_s:
            return "dead"
    if vitals.in_flight and vitals.now - vitals.progress_at >= max(STALLED_S, 2 * (vitals.round_trip_s or 0.0)):
        return "stalled"
    return "alive"


def patience(deaths: int) -> float:
    """Return the seconds to wait for a sign of life after ``deaths`` dead connections without progress between.

    The time doubles from the second one on: a slow endpoint must not be cut off and replayed for ever.
    """
    return float(min(DEAD_S * 2 ** max(0, deaths - 1), LONGEST_PATIENCE_S))
