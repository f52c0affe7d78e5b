"""An error while a source is closed ends that source with its summary, and no other."""

from __future__ import annotations

import asyncio

import pytest

from rt_cli.errors import AudioError
from tests.exact import ExactEndpoint, judge, turns
from tests.fakes import run
from tests.streaming.harness import MemorySource, Run, make_streamer, settings


class BadlyClosing(MemorySource):
    """A source whose closing fails."""

    error: Exception

    async def aclose(self) -> None:
        """Fail."""
        raise self.error


@pytest.mark.parametrize(
    ("error", "exit_code"), [(RuntimeError("planted"), 1), (OSError(5, "planted"), 1), (AudioError("planted"), 3)]
)
def test_closing_may_fail(error: Exception, exit_code: int) -> None:
    """Its finals and its summary are there; the source beside it is complete."""
    pcm, spans = turns(3, speech_ms=300, silence_ms=400)

    async def scenario() -> tuple[Run, Run]:
        bad, good = Run(), Run()
        source = BadlyClosing(pcm)
        source.error = error
        async with ExactEndpoint().serving() as endpoint, asyncio.TaskGroup() as tasks:
            first = tasks.create_task(make_streamer(bad, endpoint.url, source, settings()).run())
            second = tasks.create_task(make_streamer(good, endpoint.url, MemorySource(pcm), settings()).run())
            bad.ended, good.ended = await first, await second
        return bad, good

    bad, good = run(scenario())
    assert (bad.summary.exit, good.summary.exit) == (exit_code, 0)
    for each in (bad, good):
        assert judge([final.text for final in each.finals], spans).perfect
        assert each.events[-1] == each.summary
