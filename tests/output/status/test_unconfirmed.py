"""The words on the screen that no final has confirmed."""

from __future__ import annotations

import pytest

from rt_cli.events import Event, Failed, Final, Label, Ledger, Partial, Withdrawn
from rt_cli.output.status.unconfirmed import Unconfirmed
from tests.summaries import summary_of

LEFT, RIGHT = Label("a.wav", "left"), Label("a.wav", "right")
SUMMARY = summary_of(
    "a.wav",
    7,
    complete=False,
    rate_hz=24_000,
    ledger=Ledger(0, 0, 0, 0, 0, 0, 0),
    finals=0,
    reconnects=0,
    wall_ms=1,
)


@pytest.mark.parametrize(
    ("events", "lines"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([Partial(1, "he"), Partial(1, " he might ")], ["unconfirmed: he might"], id="the last one"),
        pytest.param([Partial(1, "he"), Partial(2, "even")], ["unconfirmed: he", "unconfirmed: even"], id="two turns"),
        pytest.param([Partial(1, "he"), Final(1, "He.")], [], id="confirmed"),
        pytest.param([Partial(1, "he"), Final(2, "He.")], ["unconfirmed: he"], id="another turn is confirmed"),
        pytest.param([Partial(1, "he"), Failed(1, 0, 1, "code", "why")], [], id="failed"),
        pytest.param([Partial(1, "he"), Withdrawn(1)], [], id="withdrawn"),
        pytest.param([Partial(1, "he"), Withdrawn(1), Partial(1, "she")], ["unconfirmed: she"], id="heard again"),
        pytest.param([Partial(1, "he"), SUMMARY], [], id="the source has ended"),
        pytest.param([Partial(1, " ")], [], id="no words"),
        pytest.param([Partial(1, "\x1b[2Jhe\x07")], ["unconfirmed: he"], id="foreign text"),
    ],
)
def test_table(events: list[Event], lines: list[str]) -> None:
    """What is left to print after these events."""
    unconfirmed = Unconfirmed()
    for event in events:
        unconfirmed.take(event)
    assert unconfirmed.lines(labelled=False) == lines


def test_sources_are_apart() -> None:
    """A turn of one is no turn of another; each line names its source."""
    unconfirmed = Unconfirmed()
    for label, event in ((LEFT, Partial(1, "he")), (RIGHT, Partial(1, "she")), (LEFT, Final(1, "He."))):
        unconfirmed.take(event, label)
    assert unconfirmed.lines(labelled=True) == ["unconfirmed: a.wav right: she"]
