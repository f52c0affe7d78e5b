"""The next action of the pump, and the place of commits."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.audio.speech.gate import SendRange
from rt_cli.streaming.delivery.next_action import (
    Allowance,
    ChunkSizes,
    CommitTurn,
    Finish,
    GiveUp,
    Send,
    Skip,
    Wait,
    decide,
)

SIZES = ChunkSizes(usual=100, most=1000)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param({"captured": 0}, Wait(), id="nothing yet"),
        pytest.param({"captured": 99}, Wait(), id="less than a chunk"),
        pytest.param({"captured": 100}, Send(100), id="a chunk"),
        pytest.param({"captured": 199}, Send(100), id="a chunk and a bit"),
        pytest.param({"captured": 200}, Send(200), id="behind: larger chunks"),
        pytest.param({"captured": 5000}, Send(1000, alike=4), id="far behind: the largest"),
        pytest.param({"captured": 99, "ended": True}, Send(99), id="the rest"),
        pytest.param({"sent": 99, "captured": 99, "ended": True}, Finish(), id="the end"),
        pytest.param({"captured": 0, "ended": True}, Finish(), id="the end of nothing"),
        pytest.param({"captured": 500, "known": 50}, Wait(), id="not looked at yet"),
        pytest.param({"captured": 500, "known": 100}, Send(100), id="no further than was looked at"),
        pytest.param({"captured": 500, "known": 450, "ended": True}, Send(450), id="the end was not looked at"),
        pytest.param({"captured": 50, "known": 20, "ended": True}, Wait(), id="the rest is not looked at"),
        pytest.param({"captured": 500, "closes": 30}, Send(30), id="up to the close"),
        pytest.param({"captured": 500, "closes": 250}, Send(250), id="behind, up to the close"),
        pytest.param({"sent": 30, "captured": 500, "closes": 30}, CommitTurn(), id="at the close"),
        pytest.param({"sent": 500, "captured": 500, "closes": 500, "ended": True}, CommitTurn(), id="at the end"),
        pytest.param(
            {"captured": 500, "send_range": SendRange(sent=False, until=300, ends=False)},
            Skip(300),
            id="nothing to send",
        ),
        pytest.param(
            {"captured": 500, "send_range": SendRange(sent=False, until=0, ends=False)}, Wait(), id="not decided"
        ),
        pytest.param(
            {"captured": 500, "send_range": SendRange(sent=True, until=250, ends=False)},
            Send(250),
            id="as far as decided",
        ),
        pytest.param(
            {"captured": 500, "send_range": SendRange(sent=True, until=50, ends=False)},
            Wait(),
            id="decided for too little",
        ),
        pytest.param(
            {"captured": 500, "send_range": SendRange(sent=True, until=50, ends=True)}, Send(50), id="up to the edge"
        ),
        pytest.param(
            {"captured": 500, "closes": 40, "send_range": SendRange(sent=False, until=90, ends=True)},
            Skip(40),
            id="a close",
        ),
        pytest.param(
            {"sent": 500, "captured": 500, "ended": True, "send_range": SendRange(sent=False, until=500, ends=False)},
            Finish(),
            id="the end of silence",
        ),
        pytest.param({"captured": 500, "oldest": 300}, GiveUp(300), id="too old"),
        pytest.param({"sent": 300, "captured": 500, "oldest": 300}, Send(200), id="just not too old"),
        pytest.param({"captured": 500, "oldest": 300, "known": 200}, GiveUp(200), id="too old, and not looked at"),
        pytest.param({"captured": 500, "oldest": 300, "known": 0}, Wait(), id="too old, and nobody has looked"),
        pytest.param({"captured": 500, "oldest": 300, "closes": 100}, GiveUp(300), id="a turn that is too old"),
        pytest.param(
            {"sent": 100, "captured": 500, "oldest": 300, "closes": 100}, CommitTurn(), id="the turn before it first"
        ),
        pytest.param(
            {"captured": 500, "oldest": 300, "send_range": SendRange(sent=False, until=100, ends=True)},
            GiveUp(300),
            id="also what would not have been sent",
        ),
        pytest.param({"captured": 500, "oldest": 500, "ended": True}, GiveUp(500), id="all of it"),
    ],
)
def test_decide(state: dict[str, Any], expected: object) -> None:
    """One decision at a time."""
    full = {"sent": 0, "ended": False, "closes": None, "sizes": SIZES, "known": state["captured"], **state}
    assert decide(**full) == expected


@given(
    captured=st.integers(0, 5000),
    closes=st.lists(st.integers(1, 5000), max_size=8),
    usual=st.integers(1, 400),
    most=st.integers(400, 3000),
)
def test_everything_is_sent_once_and_every_close_is_a_commit(
    captured: int, closes: list[int], usual: int, most: int
) -> None:
    """For any marks: no sample twice, none missing, no chunk across a commit."""
    marks = sorted({close for close in closes if close <= captured})
    sent = 0
    commits: list[int] = []
    while True:
        last = commits[-1] if commits else 0
        ahead = next((mark for mark in marks if mark >= max(sent, last + 1)), None)
        step = decide(
            sent=sent,
            known=captured,
            captured=captured,
            ended=True,
            closes=ahead,
            sizes=ChunkSizes(usual, most),
        )
        match step:
            case Send(samples):
                assert 0 < samples <= max(usual, most)
                assert ahead is None or sent + samples <= ahead
                sent += samples
            case CommitTurn():
                commits.append(sent)
            case Finish():
                break
            case _:
                raise AssertionError("nothing more will come, so there is nothing to wait for")
    assert (sent, commits) == (captured, marks)


@given(
    sent=st.integers(0, 1000),
    more=st.integers(0, 1000),
    unseen=st.integers(0, 1000),
    ended=st.booleans(),
)
def test_never_beyond_what_is_known(sent: int, more: int, unseen: int, *, ended: bool) -> None:
    """Audio is not sent while its turn could still close before it."""
    step = decide(sent=sent, known=sent + more, captured=sent + more + unseen, ended=ended, closes=None, sizes=SIZES)
    if isinstance(step, Send):
        assert step.samples <= more


def test_allowance_allows_a_burst_and_then_paces() -> None:
    """A burst at once, then the rate."""
    allowance = Allowance(now=10.0, rate=100, burst=100)
    assert allowance.take(100, 10.0) <= 10.0
    assert allowance.take(50, 10.0) == pytest.approx(10.5)
    assert allowance.take(50, 10.0) == pytest.approx(11.0)


def test_allowance_does_not_save_up() -> None:
    """After a long pause there is one burst, no more."""
    allowance = Allowance(now=10.0, rate=100, burst=100)
    assert allowance.take(100, 100.0) <= 100.0
    assert allowance.take(100, 100.0) == pytest.approx(101.0)


def test_allowance_without_a_limit() -> None:
    """An infinite rate never waits."""
    allowance = Allowance(now=10.0, rate=math.inf, burst=100)
    assert max(allowance.take(1_000_000, 10.0) for _ in range(5)) <= 10.0


@given(st.lists(st.tuples(st.integers(1, 500), st.floats(0, 3)), min_size=1, max_size=40))
def test_allowance_keeps_the_rate(takes: list[tuple[int, float]]) -> None:
    """Over any period no more than the burst and the rate."""
    allowance, now, total = Allowance(now=0.0, rate=100, burst=200), 0.0, 0
    for samples, pause in takes:
        now = max(now + pause, allowance.take(samples, now + pause))
        total += samples
        assert total <= 200 + 100 * now + 1e-6
