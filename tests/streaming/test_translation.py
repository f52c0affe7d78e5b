"""Translations over broken connections: every word of both languages, whatever happens."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from rt_cli.events import Errored, Translation, Warned
from rt_cli.settings import SessionSettings, Settings
from tests.exact import RATE, judge, record_verdict, turns
from tests.fakes import run
from tests.proxy import Fault, Proxy
from tests.streaming.harness import MemorySource, Run, settings, stream
from tests.translator import ExactTranslator, Translator, ranges

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rt_cli.audio.source import Block

HABITS = {
    "sentences": Translator(),
    "no sentences": Translator(sentences=False),
    "slow words": Translator(lag_ms=1400, behind_ms=2000),
    "no times": Translator(elapsed=False),
    "no times, no sound": Translator(elapsed=False, sound=False),
    "a translation alone": Translator(writes=False),
}


def translating(**delivery: object) -> Settings:
    """Settings that ask for Spanish."""
    return replace(settings(**delivery), session=SessionSettings(translate="es"))


def translations(done: Run) -> list[Translation]:
    """The translations of a run."""
    return [each for each in done.events if isinstance(each, Translation)]


@pytest.mark.parametrize("name", HABITS)
def test_all_words_of_both_languages_come_once(name: str) -> None:
    """Each translation follows its final, in the order of the turns; route and session are as they should be."""
    pcm, spans = turns(8, speech_ms=500, silence_ms=500, vary=90)

    async def scenario() -> None:
        async with ExactTranslator(HABITS[name]).serving() as endpoint:
            done = await stream(endpoint.url, MemorySource(pcm), translating())
        texts = [final.text for final in done.finals]
        assert HABITS[name].writes == any(texts)
        if any(texts):
            assert judge(ranges(texts), spans).perfect
        assert judge(ranges(each.text for each in translations(done)), spans).perfect
        assert [each.turn for each in translations(done)] == [final.turn for final in done.finals]
        assert done.summary.translations == len(translations(done)) == done.summary.finals
        assert done.summary.complete
        assert done.summary.ledger.settled == len(pcm) // 2
        assert {final.approx for final in done.finals} == {True}
        assert endpoint.paths == ["/v1/realtime/translations?model=gpt-realtime-translate"]
        assert endpoint.kinds == {"session.update", "session.input_audio_buffer.append", "session.close"}
        session = endpoint.updates[0]["session"]
        assert session["audio"]["output"] == {"language": "es"}
        assert "type" not in session

    run(scenario(), 30)


@pytest.mark.parametrize("name", HABITS)
@pytest.mark.parametrize("seeds", [range(3), pytest.param(range(3, 20), marks=pytest.mark.long)])
def test_kills_lose_no_word_of_either_language(name: str, seeds: range) -> None:
    """After a cut what was not told whole comes again; what may have been told twice says ``approx``."""
    pcm, spans = turns(24, speech_ms=400, silence_ms=400, vary=90)

    async def scenario(seed: int) -> None:
        chance = random.Random(seed)
        # Three fruitless connections in a row end a run: every third one is good for some turns.
        plan = [
            Fault(
                cut_after=chance.randrange(*((700_000, 1_200_000) if number % 3 == 2 else (100_000, 600_000))),
                how=chance.choice(("rst", "fin", "half")),
            )
            for number in range(8 if HABITS[name].sentences and HABITS[name].elapsed else 2)
        ]
        proxy = Proxy(lambda number: plan[number] if number < len(plan) else Fault())
        async with ExactTranslator(HABITS[name]).serving() as endpoint, proxy.serving(endpoint.port):
            done = await stream(f"ws://127.0.0.1:{proxy.port}/v1", MemorySource(pcm), translating())
        assert proxy.cuts
        _check_whole(done, endpoint, spans, writes=HABITS[name].writes)

    for seed in seeds:
        run(scenario(seed), 30)


def _check_whole(done: Run, endpoint: ExactTranslator, spans: list[range], *, writes: bool = True) -> None:
    assert done.summary.complete
    assert done.summary.ledger.balanced
    assert record_verdict(endpoint.calls, spans).perfect
    told = [[each.text for each in translations(done)], *([[each.text for each in done.finals]] if writes else [])]
    for texts in told:
        verdict = judge(ranges(texts), spans)
        assert (verdict.lost, verdict.garbled) == (0, 0)
        print(verdict)
    assert {final.approx for final in done.finals} == {True}
    assert [final.turn for final in done.finals] == list(range(1, len(done.finals) + 1))


@pytest.mark.parametrize("habits", [Translator(end="cut", ends=1), Translator(end="silence", ends=1)])
def test_only_session_closed_ends_a_session(habits: Translator) -> None:
    """Without it another connection hears again what was not told."""
    pcm, spans = turns(3, speech_ms=500, silence_ms=500)

    async def scenario() -> None:
        async with ExactTranslator(habits).serving() as endpoint:
            done = await stream(endpoint.url, MemorySource(pcm), translating(drain_timeout_s=1.5))
        assert done.summary.reconnects == 1
        _check_whole(done, endpoint, spans)

    run(scenario(), 30)


def test_an_interpreter_who_still_speaks_is_waited_for() -> None:
    """Sound is progress: the last words may come long after the end of the sound."""
    pcm, spans = turns(3, speech_ms=500, silence_ms=500)

    async def scenario() -> None:
        async with ExactTranslator(Translator(end="late", behind_ms=5000)).serving() as endpoint:
            done = await stream(endpoint.url, MemorySource(pcm), translating(drain_timeout_s=1.5))
        assert done.summary.reconnects == 0
        assert judge(ranges(each.text for each in translations(done)), spans).perfect
        _check_whole(done, endpoint, spans)

    run(scenario(), 30)


def test_words_without_a_translation_are_not_hidden() -> None:
    """They are in the finals, and in warnings for who reads translations alone; nothing waits for ever."""
    pcm, spans = turns(12, speech_ms=500, silence_ms=500)

    async def scenario() -> None:
        async with ExactTranslator(Translator(translates=False)).serving() as endpoint:
            done = await stream(endpoint.url, MemorySource(pcm), translating())
        assert done.summary.complete
        assert judge(ranges(final.text for final in done.finals), spans).perfect
        assert done.summary.translations == 0
        warnings = [each.message for each in done.events if isinstance(each, Warned) and each.code == "untranslated"]
        assert len(warnings) == len(done.finals)
        assert all(final.text in warning for final, warning in zip(done.finals, warnings, strict=True))

    run(scenario(), 30)


def test_an_endpoint_that_never_closes_is_no_success() -> None:
    """The words that it may have kept are missing: that is said."""
    pcm, _ = turns(2)

    async def scenario() -> None:
        async with ExactTranslator(Translator(end="cut")).serving() as endpoint:
            done = await stream(endpoint.url, MemorySource(pcm), translating(drain_timeout_s=1, retry_for_s=3))
        assert not done.summary.complete
        assert done.summary.exit in {5, 7}
        assert done.summary.ledger.balanced

    run(scenario(), 40)


def test_a_session_that_ends_by_itself_is_followed_by_another() -> None:
    """``session.closed`` that was not asked for is an expiry."""
    pcm, spans = turns(12, speech_ms=500, silence_ms=500)

    async def scenario() -> None:
        async with ExactTranslator(Translator(expires_ms=7000)).serving() as endpoint:
            done = await stream(endpoint.url, MemorySource(pcm), translating(speed=8.0))
        assert done.summary.reconnects >= 1
        _check_whole(done, endpoint, spans)

    run(scenario(), 40)


def test_planned_rollovers_lose_nothing() -> None:
    """Sessions that are left before they expire."""
    pcm, spans = turns(16, speech_ms=500, silence_ms=500)

    async def scenario() -> None:
        async with ExactTranslator().serving() as endpoint:
            done = await stream(endpoint.url, MemorySource(pcm), translating(speed=4.0, max_session_s=1.5))
        assert done.summary.reconnects >= 1
        _check_whole(done, endpoint, spans)

    run(scenario(), 60)


@pytest.mark.parametrize(
    ("code", "exit_code"), [("insufficient_quota", 4), ("invalid_model", 6), ("invalid_api_key", 4)]
)
def test_a_refusal_is_one_clear_error(code: str, exit_code: int) -> None:
    """No other connection is tried."""
    pcm, _ = turns(2)

    async def scenario() -> None:
        async with ExactTranslator(Translator(refusal=code)).serving() as endpoint:
            done = await stream(endpoint.url, MemorySource(pcm), translating())
        errors = [each for each in done.events if isinstance(each, Errored)]
        assert [error.code for error in errors] == [code]
        assert done.summary.exit == exit_code
        assert len(endpoint.calls) == 1

    run(scenario(), 30)


def test_a_pause_of_a_live_source_is_silence() -> None:
    """The endpoint counts time by the sound: without any the last words would wait for the next ones."""
    pcm, spans = turns(1, speech_ms=500, silence_ms=300)
    habits = Translator(behind_ms=1500)

    async def scenario() -> None:
        source = _Paused(pcm)
        async with ExactTranslator(habits).serving() as endpoint:
            done = await stream(endpoint.url, source, translating(speed=None))
        at = next(at for at, each in zip(done.times, done.events, strict=True) if isinstance(each, Translation))
        assert source.resumed_at is not None
        assert at < source.resumed_at
        assert judge(ranges(each.text for each in translations(done)), spans).perfect
        assert done.summary.ledger.padding >= 2 * RATE

    run(scenario(), 30)


class _Paused(MemorySource):
    """A live source that says nothing for some seconds."""

    def __init__(self, pcm: bytes) -> None:
        super().__init__(pcm, live=True)
        self.resumed_at: float | None = None

    async def blocks(self) -> AsyncIterator[Block]:
        """Yield the sound, then wait, then end."""
        async for block in super().blocks():
            yield block
        with_deadline = asyncio.wait_for(self._stopped.wait(), 5)
        with pytest.raises(TimeoutError):
            await with_deadline
        self.resumed_at = asyncio.get_running_loop().time()
