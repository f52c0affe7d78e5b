"""Whole runs through broken connections: no audio is lost, no turn is printed twice."""

from __future__ import annotations

import pytest

from tests.exact import ExactEndpoint, judge, turns
from tests.fakes import run
from tests.proxy import Fault, Proxy
from tests.streaming.harness import MemorySource, Run, settings, stream


async def through(
    plan: dict[int, Fault], pcm: bytes, *, live: bool = False, chosen: object = None
) -> tuple[Run, Proxy]:
    """Run through a proxy whose n-th connection has the n-th fault of the plan."""
    proxy = Proxy(lambda number: plan.get(number, Fault()))
    async with ExactEndpoint().serving() as endpoint, proxy.serving(endpoint.port):
        url = f"ws://127.0.0.1:{proxy.port}/v1/realtime"
        result = await stream(url, MemorySource(pcm, live=live, speed=4), chosen or settings())  # type: ignore[arg-type]
    return result, proxy


@pytest.mark.parametrize("how", ["rst", "fin", "half"])
def test_a_cut_connection_costs_nothing(how: str) -> None:
    """Reset, end without a close frame, half-close: the finals spell the audio, each turn once."""
    pcm, spans = turns(6)

    async def scenario() -> None:
        plan = {0: Fault(cut_after=150_000, how=how)}  # type: ignore[arg-type]
        result, proxy = await through(plan, pcm)
        assert result.summary is not None
        assert judge([final.text for final in result.finals], spans).perfect
        assert [final.turn for final in result.finals] == list(range(1, 7))
        assert (result.summary.exit, result.summary.complete) == (0, True)
        assert result.summary.reconnects == proxy.connections - 1 == 1
        assert result.states == ["ready", "lost", "resumed", "closed"]

    run(scenario())
