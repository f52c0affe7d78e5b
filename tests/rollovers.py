"""Sessions that expire during speech, and the resulting words."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest.mock import patch

from rt_cli.streaming.delivery import link
from tests.exact import ExactEndpoint, Verdict, judge, turns
from tests.streaming.harness import MemorySource, Run, settings, stream

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from tests.habits import Habits


def short_lifetimes() -> AbstractContextManager[object]:
    """Believe lifetimes that nobody means outside of tests."""
    return patch.object(link, "SHORTEST_LIFETIME_S", 0.3)


async def rollovers(
    habits: Habits, *, count: int = 60, speech_ms: int = 300, speed: float = 3.0
) -> tuple[Run, Verdict]:
    """Stream a live source to an endpoint with short sessions.

    Args:
        habits: Behaviour of the endpoint, with a lifetime.
        count: Number of turns.
        speech_ms: Length of each turn; 300 ms of silence follow.
        speed: Times real time.
    """
    pcm, spans = turns(count, speech_ms=speech_ms, silence_ms=300)
    with short_lifetimes():
        async with ExactEndpoint(habits).serving() as endpoint:
            run = await stream(endpoint.url, MemorySource(pcm, live=True, speed=speed), settings(catch_up=20.0))
    return run, judge([final.text for final in run.finals], spans)
