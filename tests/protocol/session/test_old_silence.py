"""Silence is old after half a minute without a turn."""

from __future__ import annotations

from rt_cli.protocol.session.deadlines import OLD_SILENCE_S, OldSilence

RATE = 1000


def test_silence_ages_from_the_first_check_on() -> None:
    """So much is old as lies further back than half a minute; before, nothing is."""
    silence = OldSilence(RATE)
    assert silence.end(100.0, 500, busy=False) is None
    assert silence.end(100.0 + OLD_SILENCE_S, 500, busy=False) == 500
    assert silence.end(102.0 + OLD_SILENCE_S, 500, busy=False) == 2500


def test_a_turn_begins_the_silence_anew() -> None:
    """After its end, where it ends."""
    silence = OldSilence(RATE)
    silence.end(0.0, 0, busy=False)
    assert silence.end(100.0, 7000, busy=True) is None
    assert silence.end(101.0 + OLD_SILENCE_S, 7000, busy=False) == 8000
