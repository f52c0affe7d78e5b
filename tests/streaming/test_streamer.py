"""A whole run against an endpoint with exact transcription."""

from __future__ import annotations

import pytest

from tests.exact import ExactEndpoint, judge, turns
from tests.fakes import run
from tests.habits import Habits
from tests.streaming.harness import MemorySource, settings, stream, with_turns


@pytest.mark.parametrize("live", [False, True], ids=["file", "live"])
def test_every_sample_is_in_exactly_one_final(*, live: bool) -> None:
    """Server VAD, no faults: the finals spell the audio."""
    pcm, spans = turns(8, vary=150)

    async def scenario() -> None:
        async with ExactEndpoint().serving() as endpoint:
            result = await stream(endpoint.url, MemorySource(pcm, live=live, speed=5))
        assert result.summary is not None
        assert judge([final.text for final in result.finals], spans).perfect
        assert [final.turn for final in result.finals] == list(range(1, 9))
        assert result.summary.exit == 0
        assert result.summary.ledger.settled == len(pcm) // 2

    run(scenario())


def test_without_turn_detection_everything_is_one_turn() -> None:
    """``none``: one commit at the end."""
    pcm, _ = turns(3)

    async def scenario() -> None:
        async with ExactEndpoint().serving() as endpoint:
            result = await stream(endpoint.url, MemorySource(pcm), with_turns(settings(), "none"))
        assert result.summary is not None
        assert (result.summary.exit, result.summary.complete, len(result.finals)) == (0, True, 1)

    run(scenario())


@pytest.mark.parametrize(("ids", "offsets"), [(False, True), (True, False), (False, False)], ids=str)
def test_endpoints_that_tell_less_lose_nothing_either(*, ids: bool, offsets: bool) -> None:
    """Without ids, without offsets, without either."""
    pcm, spans = turns(5)

    async def scenario() -> None:
        async with ExactEndpoint(Habits(ids="right" if ids else "none", offsets=offsets)).serving() as endpoint:
            result = await stream(endpoint.url, MemorySource(pcm))
        assert result.summary is not None
        assert judge([final.text for final in result.finals], spans).perfect
        assert result.summary.complete

    run(scenario())
