"""Alive, stalled or dead, from the measurements at one moment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.streaming.delivery.liveness import (
    DEAD_S,
    LONGEST_PATIENCE_S,
    Advance,
    Vitals,
    gives_up,
    health,
    is_cut_off,
    patience,
    progress_patience,
)

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


@pytest.mark.parametrize(
    ("given_vitals", "expected"),
    [
        pytest.param(vitals(ping=0.9, inbound=9, round_trip=0.1), False, id="a ping waits for less than a second"),
        pytest.param(vitals(ping=1.0, inbound=9, round_trip=0.1), True, id="a ping waits"),
        pytest.param(vitals(ping=9, inbound=0.9, round_trip=0.1), False, id="something came"),
        pytest.param(vitals(ping=1.5, inbound=9, round_trip=0.8), False, id="far away"),
        pytest.param(vitals(ping=1.7, inbound=9, round_trip=0.8), True, id="farther than far away"),
        pytest.param(vitals(ping=9, inbound=9), False, id="it never answers pings"),
        pytest.param(vitals(inbound=9, round_trip=0.1), False, id="no ping waits"),
    ],
)
def test_the_silence_of_the_network(given_vitals: Vitals, *, expected: bool) -> None:
    """It is not that of the endpoint, which answers pings."""
    assert is_cut_off(given_vitals) is expected


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


def advance(
    *,
    stuck: float,
    in_flight: int = 1,
    answers_pings: bool = True,
    blocked: bool = False,
    stopped: float | None = None,
    finished: bool = False,
) -> Advance:
    """A connection without progress for so many seconds."""
    return Advance(stuck, in_flight, answers_pings, blocked, stopped, finished)


@pytest.mark.parametrize(
    ("progress", "left"),
    [
        pytest.param(advance(stuck=29), False, id="less than half a minute"),
        pytest.param(advance(stuck=30), True, id="half a minute"),
        pytest.param(advance(stuck=300, in_flight=0), False, id="everything is acknowledged"),
        pytest.param(advance(stuck=300, finished=True), False, id="only answers are missing"),
        pytest.param(advance(stuck=30, answers_pings=False), False, id="never answers pings, and takes more"),
        pytest.param(advance(stuck=30, answers_pings=False, blocked=True), True, id="never answers, and reads nothing"),
        pytest.param(advance(stuck=9, stopped=4), False, id="after a signal, for less than the drain timeout"),
        pytest.param(advance(stuck=9, stopped=5), True, id="after a signal"),
        pytest.param(advance(stuck=4, stopped=9), False, id="after a signal, with progress"),
        pytest.param(advance(stuck=9, stopped=5, answers_pings=False), True, id="after a signal, whatever it answers"),
    ],
)
def test_life_is_not_progress(progress: Advance, *, left: bool) -> None:
    """With half a minute of patience, and a drain timeout of five seconds."""
    assert gives_up(progress, patience_s=30, drain_s=5) is left


@pytest.mark.parametrize(("stuck", "seconds"), [(0, 30), (1, 60), (2, 120), (3, 120), (50, 120)])
def test_progress_patience(stuck: int, seconds: float) -> None:
    """It doubles at the same place of the timeline, up to two minutes: a slow recogniser is not replayed for ever."""
    assert progress_patience(stuck) == seconds
