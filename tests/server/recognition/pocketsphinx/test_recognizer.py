"""The pool with real processes: sessions share it, and a failure affects one session only."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rt_cli.server.recognition.interface import Hypothesis, RecognizerFailed, RecognizerSession, Transcription
from rt_cli.server.recognition.pocketsphinx import process, recognizer
from rt_cli.server.recognition.pocketsphinx.recognizer import DECODERS_PER_WORKER, MAX_WAITING_S, Pocketsphinx
from rt_cli.server.recognition.registry import unavailable
from tests.fakes import run
from tests.server.client import recording
from tests.server.test_words import errors, reference, workers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))
PROC = pytest.mark.skipif(not Path("/proc").exists(), reason="finds the recogniser's process in /proc")

RATE_HZ = 16_000
SHORT = recording("sense_0930", RATE_HZ)
SHORT_S = len(SHORT) / 2 / RATE_HZ
LONG = recording("sense_0870", RATE_HZ)


@asynccontextmanager
async def pool(workers: int = 1) -> AsyncIterator[Pocketsphinx]:
    """A pool that ends with the block."""
    sphinx = Pocketsphinx(workers)
    try:
        yield sphinx
    finally:
        await sphinx.aclose()


async def final(item: Transcription) -> Hypothesis:
    """The last hypothesis of an item."""
    return [hypothesis async for hypothesis in item.hypotheses()][-1]


async def recognise(session: RecognizerSession, pcm: bytes) -> Hypothesis:
    """The final hypothesis of a complete item."""
    item = await session.open(RATE_HZ)
    await item.feed(pcm)
    item.finish()
    return await final(item)


def wrong(text: str, name: str = "sense_0930") -> int:
    """Number of word errors of a clip."""
    return errors(reference(name), text.split())


def test_words_after_a_pause() -> None:
    """The final hypothesis has the words before the pause, then those after it."""

    async def scenario() -> Hypothesis:
        async with pool() as sphinx, sphinx.session() as session:
            item = await session.open(RATE_HZ)
            await item.feed(SHORT)
            item.pause()
            await item.feed(SHORT)
            item.finish()
            return await final(item)

    heard = run(scenario(), 90)
    words = heard.text.split()
    middle = len(words) // 2
    assert wrong(" ".join(words[:middle])) <= 3
    assert wrong(" ".join(words[middle:])) <= 3


def test_items_of_a_session_overlap() -> None:
    """An item may start before the item before is recognised; each gets its own words."""

    async def scenario() -> list[Hypothesis]:
        async with pool() as sphinx, sphinx.session() as session:
            return list(await asyncio.gather(recognise(session, SHORT), recognise(session, LONG[: len(SHORT)])))

    first, second = run(scenario(), 90)
    assert wrong(first.text) <= 2
    assert second.text not in {"", first.text}


def test_an_item_without_sound_needs_no_process() -> None:
    """An item without audio has an empty text at once."""

    async def scenario() -> tuple[Hypothesis, list[int]]:
        async with pool() as sphinx, sphinx.session() as session:
            return await recognise(session, b""), workers()

    assert run(scenario()) == (Hypothesis("", final=True), [])


@PROC
def test_more_sessions_than_decoders() -> None:
    """All sessions get their words from a limited number of processes."""
    sessions = DECODERS_PER_WORKER + 3

    async def scenario() -> tuple[list[Hypothesis], int]:
        async with pool() as sphinx, AsyncExitStack() as stack:
            every = [await stack.enter_async_context(sphinx.session()) for _ in range(sessions)]
            heard = await asyncio.gather(*(recognise(session, SHORT) for session in every))
            return list(heard), len(workers())

    heard, processes = run(scenario(), 120)
    assert [wrong(hypothesis.text) <= 2 for hypothesis in heard] == [True] * sessions
    assert 1 <= processes <= DECODERS_PER_WORKER


def test_a_flood_delays_others_by_its_turns_only() -> None:
    """Beside a session with ten minutes of audio, another final comes before a tenth of it is recognised."""

    async def scenario() -> tuple[Hypothesis, float]:
        async with pool() as sphinx, sphinx.session() as session, sphinx.session() as flooding:
            fed = 0
            full = asyncio.Event()

            async def flood() -> None:
                nonlocal fed
                item = await flooding.open(RATE_HZ)
                for fed in range(600):
                    if fed >= MAX_WAITING_S:
                        full.set()
                    await item.feed(LONG[: RATE_HZ * 2])

            task = asyncio.create_task(flood())
            await full.wait()
            heard = await recognise(session, SHORT)
            task.cancel()
            return heard, fed

    heard, flooded_s = run(scenario(), 120)
    assert wrong(heard.text) <= 2
    # Until the second process has loaded, only the flood is recognised: at most 10 s of its audio.
    assert flooded_s < 60


def test_unrecognised_audio_is_limited() -> None:
    """Without a decoder feed() accepts 5 s; later the rest is recognised."""

    async def scenario() -> tuple[float, Hypothesis]:
        async with pool() as sphinx, sphinx.session() as session:
            item = await session.open(RATE_HZ)
            taken = 0.0
            full = asyncio.Event()

            async def feed() -> None:
                nonlocal taken
                for at in range(0, len(LONG), 3_200):
                    await item.feed(LONG[at : at + 3_200])
                    taken += 0.1
                    if taken >= MAX_WAITING_S - 0.05:
                        full.set()
                item.finish()

            feeding = asyncio.create_task(feed())
            await full.wait()
            for _ in range(10):
                await asyncio.sleep(0)
            before = taken
            await feeding
            return before, await final(item)

    before, heard = run(scenario(), 90)
    assert before == pytest.approx(MAX_WAITING_S, abs=0.15)
    assert heard.final
    assert heard.text


@PROC
def test_crash_fails_one_item() -> None:
    """A process that dies fails its open item only; both sessions continue."""

    async def scenario() -> tuple[Hypothesis, Hypothesis]:
        async with pool(2) as sphinx, sphinx.session() as first, sphinx.session() as second:
            broken = await first.open(RATE_HZ)
            await broken.feed(SHORT)
            await anext(broken.hypotheses())
            (victim,) = workers()
            whole = await second.open(RATE_HZ)
            await whole.feed(SHORT)
            await anext(whole.hypotheses())
            os.kill(victim, signal.SIGKILL)
            with pytest.raises(RecognizerFailed, match="process ended"):
                await final(broken)
            whole.finish()
            return await final(whole), await recognise(first, SHORT)

    unharmed, again = run(scenario(), 90)
    assert wrong(unharmed.text) <= 2
    assert wrong(again.text) <= 2


@PROC
def test_hanging_process_does_not_block_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one worker, another session is recognised while a process hangs."""
    monkeypatch.setattr(recognizer, "OVERDUE_S", 0.5)
    monkeypatch.setattr(process, "ANSWER_S", 600.0)

    async def scenario() -> Hypothesis:
        async with pool() as sphinx, sphinx.session() as first, sphinx.session() as second:
            hanging = await first.open(RATE_HZ)
            await hanging.feed(SHORT)
            await anext(hanging.hypotheses())
            (victim,) = workers()
            os.kill(victim, signal.SIGSTOP)
            await hanging.feed(SHORT[:RATE_HZ])
            heard = await recognise(second, SHORT)
            assert victim in workers()
            return heard

    assert wrong(run(scenario(), 90).text) <= 2


@PROC
def test_closed_session_releases_its_decoder() -> None:
    """A session that closes releases its decoder, and the process continues."""

    async def scenario() -> tuple[Hypothesis, list[int], list[int]]:
        async with pool() as sphinx:
            async with sphinx.session() as leaving:
                item = await leaving.open(RATE_HZ)
                await item.feed(LONG[: RATE_HZ * 6])
                await anext(item.hypotheses())
                before = workers()
            async with sphinx.session() as session:
                return await recognise(session, SHORT), before, workers()

    heard, before, after = run(scenario(), 90)
    assert wrong(heard.text) == 0
    assert before == after


def test_a_voice_is_known_from_item_to_item() -> None:
    """Voice data helps later items of the same session only; new sessions all get the same result."""

    async def scenario() -> tuple[list[str], str]:
        async with pool() as sphinx, sphinx.session() as session:
            texts = [(await recognise(session, LONG)).text for _ in range(2)]
            async with sphinx.session() as other:
                return texts, (await recognise(other, LONG)).text

    (first, second), other = run(scenario(), 90)
    assert first == other
    assert second != first


def test_waiting_for_words_can_be_cancelled() -> None:
    """After cancellation of feed() or hypotheses() the pool serves other sessions."""

    async def scenario() -> Hypothesis:
        async with pool() as sphinx:
            async with sphinx.session() as session:
                item = await session.open(RATE_HZ)
                feeding, reading = asyncio.create_task(item.feed(LONG * 3)), asyncio.create_task(final(item))
                await asyncio.sleep(0)
                feeding.cancel()
                reading.cancel()
                await asyncio.wait([feeding, reading])
            async with sphinx.session() as session:
                return await recognise(session, SHORT)

    assert wrong(run(scenario(), 90).text) == 0
