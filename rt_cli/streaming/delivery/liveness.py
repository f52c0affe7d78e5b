"""Whether the endpoint is alive, from what has come in and when. Pure."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

STALLED_S = 3.0
DEAD_S = 8.0
LONGEST_PATIENCE_S = 60.0

Health = Literal["alive", "stalled", "dead"]


class Vitals(Struct, frozen=True):
    """What is known at one moment; times in seconds of one clock."""

    now: float
    inbound_at: float
    """When the last byte came in."""
    progress_at: float
    """When the acknowledged mark last moved."""
    in_flight: int
    """Samples that are not acknowledged."""
    oldest_ping_at: float | None
    """When the oldest unanswered ping was written."""
    round_trip_s: float | None = None


def health(vitals: Vitals, *, patience_s: float = DEAD_S) -> Health:
    """Judge one moment.

    *Stalled*: audio is in flight and the acknowledged mark has not moved for ``max(3 s, 2 x round trip)``. *Dead*: the
    oldest ping is unanswered and nothing at all has come in, both for ``patience_s``. Any inbound byte counts as life.
    """
    if vitals.oldest_ping_at is not None:
        silent = vitals.now - max(vitals.oldest_ping_at, vitals.inbound_at)
        if silent >= patience_s:
            return "dead"
    if vitals.in_flight and vitals.now - vitals.progress_at >= max(STALLED_S, 2 * (vitals.round_trip_s or 0.0)):
        return "stalled"
    return "alive"


def patience(deaths_here: int) -> float:
    """Seconds to wait for a sign of life, after so many deaths at the same place of the timeline.

    It doubles from the second death on: a slow endpoint must not be killed and replayed for ever.
    """
    return float(min(DEAD_S * 2 ** max(0, deaths_here - 1), LONGEST_PATIENCE_S))
