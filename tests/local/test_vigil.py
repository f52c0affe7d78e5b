"""Who is still there, and who still reads."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rt_cli.local.vigil import Finding, Vigil

LOOK_S = 20.0
PATIENCE_S = 40.0


def looks(*heard: bool, reading: bool = True) -> list[Finding]:
    """Look every 20 s; ``heard`` says where something came in just before."""
    vigil = Vigil(PATIENCE_S, 0.0)
    found = []
    for index, something in enumerate(heard, 1):
        now = index * LOOK_S
        if something:
            vigil.heard(now)
        found.append(vigil.look(now, reading=reading, sent=index, unsent=0))
    return found


def test_silence_ends_it() -> None:
    """Two pings without any sign of life are enough, one is not."""
    assert looks(False, True, False, False) == [Finding.PING, Finding.PING, Finding.PING, Finding.SILENT]


def test_silence_of_our_own_making() -> None:
    """While we do not read, nobody can be silent; the clock starts anew when we do."""
    assert looks(*[False] * 10, reading=False) == [Finding.PING] * 10


def test_whoever_does_not_read_is_stuck() -> None:
    """Not a byte gone between two looks, with bytes to go: stuck, though it talks all the time."""
    vigil = Vigil(PATIENCE_S, 0.0)
    found = []
    for now, sent, unsent in ((20.0, 5, 40_000), (40.0, 5, 30_000), (60.0, 6, 30_000), (80.0, 6, 30_000)):
        vigil.heard(now)
        found.append(vigil.look(now, reading=True, sent=sent, unsent=unsent))
    assert found == [Finding.PING, Finding.PING, Finding.PING, Finding.STUCK]


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=20))
def test_a_reader_who_talks_is_never_ended(steps: list[tuple[bool, bool]]) -> None:
    """Heard before every look, and taking what it is sent: it is only ever pinged."""
    vigil = Vigil(PATIENCE_S, 0.0)
    for index, (reading, more) in enumerate(steps, 1):
        vigil.heard(index * LOOK_S)
        unsent = 1_000 if more else 0
        assert vigil.look(index * LOOK_S, reading=reading, sent=index, unsent=unsent) is Finding.PING
