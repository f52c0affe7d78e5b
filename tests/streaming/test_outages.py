"""A network outage during a stream: no audio is lost, the outage is detected in time, and the lag is caught up."""

from __future__ import annotations

import itertools
import math
from typing import Literal

import pytest

from tests.fakes import run
from tests.outages import Outage, outage

SLACK_S = 1.5
"""For a busy machine, and the quarter of a second between two looks."""
STALLED_S = 3.0
DEAD_S = 11.0
FIRST_RETRY_S = 0.25
OUTAGES = [
    pytest.param("refused", 3.5, id="refused-3.5 s"),
    *(
        pytest.param(kind, seconds, id=f"{kind}-{seconds:g} s", marks=pytest.mark.long)
        for kind, seconds in [("black hole", 3.5), *itertools.product(("black hole", "refused"), (15, 60))]
    ),
]


@pytest.mark.parametrize(("kind", "seconds"), OUTAGES)
def test_an_outage_costs_nothing(kind: Literal["black hole", "refused"], seconds: float) -> None:
    """Every sample is in one final, the ledger balances, and the lag is caught up."""

    async def scenario() -> Outage:
        return await outage(kind, seconds, catch_up=math.inf)

    what = run(scenario(), seconds=seconds * 2 + 30)
    print(what.stalled, what.lost, what.retried, what.resumed, what.caught_up)
    assert what.verdict.perfect
    assert (what.run.summary.exit, what.run.summary.complete, what.run.dropped) == (0, True, [])
    if kind == "black hole":
        assert what.stalled is not None
        assert what.stalled <= STALLED_S + SLACK_S
        assert (what.lost is None) == (seconds < DEAD_S)
        assert (what.lost or 0.0) <= DEAD_S
    else:
        assert what.lost is not None
        assert what.retried is not None
        assert what.lost <= SLACK_S
        assert what.retried <= FIRST_RETRY_S + SLACK_S / 2
