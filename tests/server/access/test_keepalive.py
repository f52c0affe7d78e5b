"""Detection of clients that are gone or do not read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.server.access.keepalive import MAX_UNANSWERED, ClientState, Keepalive

PING, SILENT, STUCK = ClientState.PING, ClientState.SILENT, ClientState.STUCK


def checks(*heard: bool, reading: bool = True) -> list[ClientState]:
    """Check repeatedly; each value says whether data came in before the check."""
    keepalive = Keepalive()
    found = []
    for index, something in enumerate(heard, 1):
        if something:
            keepalive.on_data()
        found.append(keepalive.check(reading=reading, written=index, unsent=0))
    return found


def test_two_unanswered_pings_are_silence() -> None:
    """Two pings without any received byte mean SILENT; an answered ping does not count."""
    assert checks(False, False, False) == [PING, PING, SILENT]
    assert checks(False, False, True, False, False) == [PING, PING, PING, PING, SILENT]


def test_no_silence_while_the_server_does_not_read() -> None:
    """While the server does not read, no client is SILENT."""
    assert checks(*[False] * 10, reading=False) == [PING] * 10


def test_client_that_does_not_read_is_stuck() -> None:
    """No byte read between two checks, with bytes waiting: STUCK, even if the client sends data."""
    keepalive = Keepalive()
    found = []
    for written, unsent in ((50_000, 40_000), (50_000, 30_000), (51_000, 30_000), (52_000, 31_000)):
        keepalive.on_data()
        found.append(keepalive.check(reading=True, written=written, unsent=unsent))
    assert found == [PING, PING, PING, STUCK]


@pytest.mark.parametrize(
    ("outputs", "state"),
    [
        pytest.param([(9000, 8000), (9000, 7990)], STUCK, id="drips"),
        pytest.param([(9000, 8000), (9000, 7000)], PING, id="reads enough"),
        pytest.param([(9000, 8000), (20_000, 18_990)], STUCK, id="drips, and more is written"),
        pytest.param([(9000, 10), (9500, 500)], PING, id="has read all that waited"),
        pytest.param([(9000, 10), (9000, 0)], PING, id="has read everything"),
        pytest.param([(9000, 0), (90_000, 81_000)], PING, id="nothing waited"),
    ],
)
def test_a_client_that_drips_is_stuck(outputs: list[tuple[int, int]], state: ClientState) -> None:
    """A thousand bytes have to be read, if so many wait."""
    keepalive = Keepalive(least=1000)
    found = [keepalive.check(reading=True, written=written, unsent=unsent) for written, unsent in outputs]
    assert found == [PING, state]


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=20))
def test_active_client_is_only_pinged(steps: list[tuple[bool, bool]]) -> None:
    """A client that sends and reads is only pinged."""
    keepalive = Keepalive()
    for index, (reading, more) in enumerate(steps, 1):
        keepalive.on_data()
        assert keepalive.check(reading=reading, written=2_000 * index, unsent=1_000 if more else 0) is PING


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=30))
def test_silence_is_counted(steps: list[tuple[bool, bool]]) -> None:
    """SILENT exactly after MAX_UNANSWERED pings without received data, while the server reads."""
    keepalive = Keepalive()
    unanswered = 0
    for heard, reading in steps:
        if heard:
            keepalive.on_data()
        if heard or not reading:
            unanswered = 0
        found = keepalive.check(reading=reading, written=0, unsent=0)
        assert (found is SILENT) == (unanswered == MAX_UNANSWERED)
        if found is SILENT:
            return
        unanswered += 1
