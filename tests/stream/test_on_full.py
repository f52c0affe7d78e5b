"""An endpoint that is away, or too slow, for longer than live sound may wait: what is given up, to the sample."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.exact import RATE, ExactEndpoint, Verdict, judge, turns
from tests.fakes import run
from tests.proxy import Fault, Proxy
from tests.stream.harness import MemorySource, Run, make_streamer, settings, with_turns

if TYPE_CHECKING:
    from rt_cli.settings import OnFull, TurnDetection

LIMIT_S = 2.0
_SPEECH_MS, _SILENCE_MS = 600, 400


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run was, and what became of its sound."""

    run: Run
    verdict: Verdict
    pcm: bytes

    @property
    def spoken_and_dropped(self) -> int:
        """Pairs of samples that are in a hole, by what was told."""
        samples = np.frombuffer(self.pcm, dtype="<i2")
        ranges = [slice(each.start_ms * RATE // 1000, each.end_ms * RATE // 1000) for each in self.run.dropped]
        return sum(int(np.count_nonzero(samples[each])) for each in ranges) // 2

    @property
    def dropped(self) -> int:
        """Samples that were told to be dropped."""
        return sum(each.end_ms - each.start_ms for each in self.run.dropped) * RATE // 1000


async def away(
    policy: OnFull, seconds: float, *, detection: TurnDetection = "server_vad", length_s: int = 10, before_s: float = 2.5
) -> Outcome:
    """A live source at the speed of sound, through a network that resets everybody for a while."""
    pcm, spans = turns(length_s, speech_ms=_SPEECH_MS, silence_ms=_SILENCE_MS)
    chosen = with_turns(settings(catch_up=20.0, on_full=policy), detection)
    result, proxy = Run(), Proxy()
    async with ExactEndpoint().serving() as endpoint, proxy.serving(endpoint.port):
        url = f"ws://127.0.0.1:{proxy.port}/v1"
        streamer = make_streamer(result, url, MemorySource(pcm, live=True), chosen, memory_s=LIMIT_S)
        streaming = asyncio.create_task(streamer.run())
        await asyncio.sleep(before_s)
        proxy.refuse()
        await asyncio.sleep(seconds)
        proxy.heal()
        result.ended = await streaming
    result.check_story()
    return Outcome(result, judge([final.text for final in result.finals], spans), pcm)


@pytest.mark.parametrize("detection", ["server_vad", "client", "none"])
def test_what_is_too_old_is_given_up_and_the_newest_is_heard(detection: TurnDetection) -> None:
    """What is in no final is what was told to be dropped, to the sample; the rest is heard once, in its order."""
    outcome = run(away("drop-oldest", 4.0, detection=detection), seconds=60)
    result, verdict = outcome.run, outcome.verdict
    print(verdict, result.dropped, result.finals, result.states, result.summary)

    assert verdict == Verdict(outcome.spoken_and_dropped, 0, 0, 0)
    assert verdict.lost
    assert outcome.dropped == result.summary.ledger.dropped
    assert {each.reason for each in result.dropped} == {"full"}
    assert (result.summary.exit, result.summary.complete) == (7, False)
    assert result.summary.ledger.settled + outcome.dropped == result.summary.ledger.captured == len(outcome.pcm) // 2


async def narrow(policy: OnFull, share: float, *, detection: TurnDetection = "server_vad", length_s: int = 12) -> Outcome:
    """The same through a network that passes only a share of the sound."""
    pcm, spans = turns(length_s, speech_ms=_SPEECH_MS, silence_ms=_SILENCE_MS)
    chosen = with_turns(settings(catch_up=20.0, on_full=policy), detection)
    result, proxy = Run(), Proxy(lambda _number: Fault(bytes_per_s=share * 64_000))
    async with ExactEndpoint().serving() as endpoint, proxy.serving(endpoint.port):
        url = f"ws://127.0.0.1:{proxy.port}/v1"
        streamer = make_streamer(result, url, MemorySource(pcm, live=True), chosen, memory_s=LIMIT_S)
        result.ended = await streamer.run()
    result.check_story()
    return Outcome(result, judge([final.text for final in result.finals], spans), pcm)


@pytest.mark.parametrize("detection", ["server_vad", "client", "none"])
def test_an_endpoint_that_is_too_slow_misses_a_piece_now_and_then(detection: TurnDetection) -> None:
    """On one connection: gaps of a second or more, and what is heard is whole, in order, and never far behind."""
    outcome = run(narrow("drop-oldest", 0.5, detection=detection), seconds=60)
    result, verdict = outcome.run, outcome.verdict
    print(verdict, result.dropped, result.finals, result.states, result.summary)
    assert verdict == Verdict(outcome.spoken_and_dropped, 0, 0, 0)
    assert verdict.lost
