"""A network outage during a live stream, and its effects."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Literal

from tests.exact import ExactEndpoint, Verdict, judge, turns
from tests.proxy import Proxy
from tests.streaming.harness import MemorySource, Run, make_streamer, settings

_BEFORE_S = 1.5
_AFTER_S = 2.5


@dataclass(frozen=True, slots=True)
class Outage:
    """One run through one outage. Times are seconds from the start of the outage, unless noted otherwise."""

    run: Run
    verdict: Verdict
    stalled: float | None
    """Time of the stall report."""
    lost: float | None
    """Time of the lost connection."""
    retried: float | None
    """Seconds from the loss to the next connection."""
    resumed: float | None
    """Seconds from the end of the outage to a session that takes audio."""
    caught_up: float
    """Seconds from the end of the outage until less than 0.5 s is unacknowledged."""


async def outage(kind: Literal["black hole", "refused"], seconds: float, *, catch_up: float) -> Outage:
    """Stream in real time through an outage.

    Args:
        kind: A black hole without errors; or all connections are reset, also new ones.
        seconds: Length of the outage.
        catch_up: Times real time.
    """
    # Catching up at 2x takes as long as the outage.
    after = _AFTER_S + (seconds + 4 if catch_up <= 2 else 0)
    pcm, spans = turns(round(_BEFORE_S + seconds + after), speech_ms=600, silence_ms=400)
    chosen = settings(speed=1.0, catch_up=catch_up)
    chosen = replace(chosen, delivery=replace(chosen.delivery, connect_timeout_s=10.0, drain_timeout_s=20.0))
    run, proxy, loop = Run(), Proxy(), asyncio.get_running_loop()
    async with ExactEndpoint().serving() as endpoint, proxy.serving(endpoint.port):
        streamer = make_streamer(run, f"ws://127.0.0.1:{proxy.port}/v1", MemorySource(pcm, live=True), chosen)
        streaming = asyncio.create_task(streamer.run())
        await asyncio.sleep(_BEFORE_S)
        began = loop.time()
        if kind == "refused":
            proxy.refuse()
        else:
            proxy.black_hole()
        await asyncio.sleep(seconds)
        healed = loop.time()
        proxy.heal()
        run.ended = await streaming
    run.check_story()
    lost = run.when("lost") if "lost" in run.states else None
    return Outage(
        run=run,
        verdict=judge([final.text for final in run.finals], spans),
        stalled=run.when("stalled") - began if "stalled" in run.states else None,
        lost=None if lost is None else lost - began,
        retried=None if lost is None else next(at for at in proxy.opened[1:] if at >= lost) - lost,
        resumed=run.when("resumed") - healed if "resumed" in run.states else None,
        caught_up=run.caught_up_after(healed) - healed,
    )
