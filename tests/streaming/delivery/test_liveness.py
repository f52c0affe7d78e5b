"""Alive, stalled or dead, from the measurements at one moment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.streaming.delivery.liveness import DEAD_S, LONGEST_PATIENCE_S, Vitals, health, patience

NOW = 100.0


def vitals(
    *,
    inbound: float = 0,
    progress: float = 0,
    in_flight: int = 0,
    ping: float | None = None,
    round_trip: float | None = None,
) -> Vitals:
    """Measurements with times given as seconds ago."""
    return Vitals(
        now=NOW,
        inbound_at=NOW - inbound,
        progress_at=NOW - progress,
        in_flight=in_flight,
        oldest_ping_at=None if ping is None else NOW - ping,
        round_trip_s=round_trip,
    )


@pytest.mark.parametrize(
    ("given_vitals", "expected"),
    [
        pytest.param(vitals(), "alive", id="at the start"),
        pytest.param(vitals(progress=60), "alive", id="nothing in flight"),
        pytest.param(vitals(progress=2.9, in_flight=1), "alive", id="slow for less than 3 s"),
        pytest.param(vitals(progress=3.0, in_flight=1), "stalled", id="no progress for 3 s"),
        pytest.param(vitals(progress=3.9, in_flight=1, round_trip=2.0), "alive", id="less than two long round trips"),
        pytest.param(vitals(progress=4.0, in_flight=1, round_trip=2.0), "stalled", id="two long round trips"),
        pytest.param(vitals(progress=3.0, in_flight=1, round_trip=0.01), "stalled", id="a short round trip"),
        pytest.param(vitals(ping=7.9, inbound=7.9), "alive", id="silence for less than 8 s"),
        pytest.param(vitals(ping=8.0, inbound=8.0), "dead", id="silence for 8 s"),
        pytest.param(vitals(ping=8.0, inbound=60), "dead", id="last word long before the ping"),
        pytest.param(vitals(ping=60, inbound=7.9), "alive", id="never answers pings but speaks"),
        pytest.param(vitals(ping=2.0, inbound=60), "alive", id="the ping is young"),
        pytest.param(vitals(inbound=600), "alive", id="nothing asked, nothing answered"),
        pytest.param(vitals(ping=9, inbound=9, progress=9, in_flight=1), "dead", id="dead rather than stalled"),
    ],
)
def test_health(given_vitals: Vitals, expected: str) -> None:
    """Any inbound byte is a sign of life; acknowledgements are progress."""
    assert health(given_vitals) == expected


def test_patience_delays_dead() -> None:
    """Twice the patience allows twice the silence."""
    silent = vitals(ping=12, inbound=12)
    assert (health(silent), health(silent, patience_s=16)) == ("dead", "alive")


@pytest.mark.parametrize(("deaths", "seconds"), [(0, 8), (1, 8), (2, 16), (3, 32), (4, 60), (50, 60)])
def test_patience(deaths: int, seconds: float) -> None:
    """It doubles from the second dead connection without progress on, up to a minute."""
    assert patience(deaths) == seconds


@given(st.integers(0, 1000))
def test_patience_is_bounded(deaths: int) -> None:
    """After any number of dead connections."""
    assert DEAD_S <= patience(deaths) <= patience(deaths + 1) <= LONGEST_PATIENCE_S
