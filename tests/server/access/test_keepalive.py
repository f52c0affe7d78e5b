"""Who is still there, and who still reads."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rt_cli.server.access.keepalive import MAX_UNANSWERED, ClientState, Keepalive

PING, SILENT, STUCK = ClientState.PING, ClientState.SILENT, ClientState.STUCK


def checks(*heard: bool, reading: bool = True) -> list[ClientState]:
    """Look again and again; each value says whether something came in just before."""
    keepalive = Keepalive()
    found = []
    for index, something in enumerate(heard, 1):
        if something:
            keepalive.on_data()
        found.append(keepalive.check(reading=reading, sent=index, unsent=0))
    return found


def test_silence_ends_it() -> None:
    """Two pings without any sign of life are enough; one that is answered is none of them."""
    assert checks(False, False, False) == [PING, PING, SILENT]
    assert checks(False, False, True, False, False) == [PING, PING, PING, PING, SILENT]


def test_silence_of_our_own_making() -> None:
    """While we do not read, nobody can be silent."""
    assert checks(*[False] * 10, reading=False) == [PING] * 10


def test_whoever_does_not_read_is_stuck() -> None:
    """Not a byte gone between two looks, with bytes to go: stuck, though it talks all the time."""
    keepalive = Keepalive()
    found = []
    for sent, unsent in ((5, 40_000), (5, 30_000), (6, 30_000), (6, 30_000)):
        keepalive.on_data()
        found.append(keepalive.check(reading=True, sent=sent, unsent=unsent))
    assert found == [PING, PING, PING, STUCK]


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=20))
def test_a_reader_who_talks_is_never_ended(steps: list[tuple[bool, bool]]) -> None:
    """Heard before every look, and taking what it is sent: it is only ever pinged."""
    keepalive = Keepalive()
    for index, (reading, more) in enumerate(steps, 1):
        keepalive.on_data()
        assert keepalive.check(reading=reading, sent=index, unsent=1_000 if more else 0) is PING


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=30))
def test_silence_is_counted(steps: list[tuple[bool, bool]]) -> None:
    """It is silent exactly when as many pings before it had no sign of life, and all of them were read for."""
    keepalive = Keepalive()
    unanswered = 0
    for heard, reading in steps:
        if heard:
            keepalive.on_data()
        if heard or not reading:
            unanswered = 0
        found = keepalive.check(reading=reading, sent=0, unsent=0)
        assert (found is SILENT) == (unanswered == MAX_UNANSWERED)
        if found is SILENT:
            return
        unanswered += 1
