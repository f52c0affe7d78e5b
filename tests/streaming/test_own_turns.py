"""Client-side turns of a live source: each is reported as opened, although detection lags behind."""

from __future__ import annotations

from dataclasses import replace

from rt_cli.audio.format import to_ms
from rt_cli.events import Partial, SpeechBegan, SpeechEnded
from tests.exact import ExactEndpoint, judge, turns
from tests.fakes import run
from tests.habits import Habits
from tests.streaming.harness import MemorySource, Run, settings, stream, with_turns


def test_every_turn_has_its_beginning_and_its_place() -> None:
    """Also if its first frames were sent before the detector found speech."""
    pcm, spans = turns(20, speech_ms=300, silence_ms=300, vary=100)
    chosen = with_turns(settings(), "client")
    chosen = replace(chosen, input=replace(chosen.input, chunk_ms=10))

    async def scenario() -> Run:
        async with ExactEndpoint(Habits(final_delay_s=0.1)).serving() as endpoint:
            return await stream(endpoint.url, MemorySource(pcm, live=True, speed=4), chosen)

    result = run(scenario(), seconds=30)
    assert judge([final.text for final in result.finals], spans).perfect
    assert all(each.start_ms is not None for each in result.events if isinstance(each, Partial))
    assert [each.turn for each in result.events if isinstance(each, SpeechBegan)] == list(range(1, 21))
    assert [each.turn for each in result.events if isinstance(each, SpeechEnded)] == list(range(1, 21))
    padding_ms = to_ms(result.summary.ledger.padding, result.summary.rate_hz)
    assert result.summary.sent_ms == result.summary.captured_ms + padding_ms, "no chunk is sent twice"
