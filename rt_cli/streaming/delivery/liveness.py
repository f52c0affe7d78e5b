"""Whether the endpoint is alive, from the times of inbound data and acknowledgements. Pure."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

STALLED_S = 3.0
DEAD_S = 8.0
QUIET_S = 1.0
LONGEST_PATIENCE_S = 60.0
STUCK_S = 30.0
LONGEST_STUCK_S = 120.0

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


def is_cut_off(vitals: Vitals) -> bool:
    """Whether the silence is that of the network: a ping waits, and the endpoint has answered the ones before it.

    Such an endpoint may have told long ago what is waited for. Either the network comes back, or the connection is dead
    soon, and another one tries again.
    """
    if vitals.round_trip_s is None or vitals.oldest_ping_at is None:
        return False
    silent = vitals.now - max(vitals.oldest_ping_at, vitals.inbound_at)
    return silent >= max(QUIET_S, 2 * vitals.round_trip_s)


class Advance(Struct, frozen=True):
    """Whether an endpoint gets on with the audio, at one moment."""

    stuck_s: float
    """Seconds since the acknowledged or the settled mark moved, or a partial got longer."""
    in_flight: int
    """Samples that are not acknowledged."""
    answers_pings: bool
    """It has answered a ping on this connection."""
    blocked: bool
    """Nothing more can be sent until it reads: a write waits for it, or the window is full."""
    stopped_s: float | None
    """Seconds since the user ended the capture; None if it goes on."""
    finished: bool
    """Everything is sent: only answers are missing, which have a timeout of their own."""


def gives_up(progress: Advance, *, patience_s: float, drain_s: float) -> bool:
    """Return whether a connection is to be left although the endpoint shows life.

    Life is not progress: a backend may hang behind a proxy that answers. An endpoint that never answers a ping is
    believed by its events, and is left only if it also stops reading.

    Args:
        progress: Of this moment.
        patience_s: Seconds without progress while audio is unacknowledged.
        drain_s: The same after the user has ended the capture.
    """
    if progress.finished or not progress.in_flight:
        return False
    if progress.stopped_s is not None and min(progress.stuck_s, progress.stopped_s) >= drain_s:
        return True
    return progress.stuck_s >= patience_s and (progress.answers_pings or progress.blocked)


def progress_patience(stuck_here: int) -> float:
    """Return :data:`STUCK_S`, doubled for each connection left without progress at the same place of the timeline."""
    return float(min(STUCK_S * 2 ** min(stuck_here, 10), LONGEST_STUCK_S))


def patience(deaths: int) -> float:
    """Return the seconds to wait for a sign of life after ``deaths`` dead connections without progress between.

    The time doubles from the second one on: a slow endpoint must not be cut off and replayed for ever.
    """
    return float(min(DEAD_S * 2 ** min(max(0, deaths - 1), 10), LONGEST_PATIENCE_S))
