"""Connections killed at random offsets: no audio is lost, no turn is printed twice, and every number comes once."""

from __future__ import annotations

import pytest

from tests.fakes import run
from tests.kills import KINDS, kill_run

USUAL = [
    "server VAD",
    "turns of our own",
    "one id",
    "neither ids nor offsets",
    "offsets of the clock",
    "offsets of the connection's clock",
]
"""The others are in the simulation, too."""
RUNS = [
    *(pytest.param(name, range(1), id=f"{name}-one run") for name in USUAL),
    *(pytest.param(name, range(10), id=f"{name}-ten runs", marks=pytest.mark.long) for name in KINDS),
]


@pytest.mark.parametrize(("name", "seeds"), RUNS)
def test_kills_at_random_offsets_cost_nothing(name: str, seeds: range) -> None:
    """Checked by the finals, which spell the audio, and by all audio that the endpoint received."""
    kind = KINDS[name]

    async def scenario() -> int:
        kills = 0
        for seed in seeds:
            outcome = await kill_run(kind, seed, count=12 if kind.exact else 24)
            print(f"seed {seed}: {outcome.kills} kills, {outcome.run.summary.reconnects} reconnects, {outcome.finals}")
            kills += outcome.kills
            assert kind.holds(outcome)
        return kills

    assert run(scenario(), seconds=30 * len(seeds))


def test_kills_cost_a_live_source_nothing_either() -> None:
    """A source that cannot wait, at four times real time."""

    async def scenario() -> None:
        outcome = await kill_run(KINDS["server VAD"], 0, live_speed=4)
        assert outcome.kills
        assert outcome.perfect

    run(scenario(), seconds=60)
