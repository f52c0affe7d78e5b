"""Client-side turns of a live source: each is reported as opened, although detection lags behind the sending."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from rt_cli.audio.format import to_ms
from rt_cli.events import Partial, SpeechBegan, SpeechEnded
from rt_cli.timeline.tape import Tape
from tests.exact import ExactDetector, ExactEndpoint, judge, speech, turns
from tests.fakes import run
from tests.habits import Habits
from tests.streaming import harness
from tests.streaming.harness import RATE, MemorySource, Run, settings, stream, with_turns

if TYPE_CHECKING:
    import pytest


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


def test_sound_is_sent_before_it_is_analysed(monkeypatch: pytest.MonkeyPatch) -> None:
    """If no turn can close in it: all 200 ms, the last of them speech, whose turn is committed all the same."""
    pairs = 70 * RATE // 1000
    pcm = bytes(2 * 60 * RATE // 1000) + speech(0, pairs)
    all_sent = threading.Event()
    mark_sent = Tape.mark_sent

    class Waiting(ExactDetector):
        def push(self, pcm: bytes) -> list[float]:
            assert all_sent.wait(5), "sound waits for its analysis"
            return super().push(pcm)

    def note(tape: Tape, to: int) -> None:
        mark_sent(tape, to)
        if to == len(pcm) // 2:
            all_sent.set()

    monkeypatch.setattr(harness, "ExactDetector", Waiting)
    monkeypatch.setattr(Tape, "mark_sent", note)

    async def scenario() -> Run:
        async with ExactEndpoint(Habits()).serving() as endpoint:
            return await stream(endpoint.url, MemorySource(pcm, live=True), with_turns(settings(), "client"))

    result = run(scenario())
    assert judge([final.text for final in result.finals], [range(pairs)]).perfect
    assert result.summary.exit == 0
