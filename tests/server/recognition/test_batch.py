"""Items that are recognised whole: order, fairness, bounds, and what becomes of those that nobody wants."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from rt_cli.server.recognition.batch import Batch, Speech
from rt_cli.server.recognition.interface import Hints, Hypothesis, RecognizerFailed
from tests.fakes import run

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.server.recognition.interface import RecognizerSession, Transcription


class Engine:
    """Works when it is allowed to, and says how long a piece was."""

    def __init__(self) -> None:
        self.allowed = asyncio.Semaphore(0)
        self.began: list[bytes] = []
        self.ended = 0
        self._news = asyncio.Event()

    async def transcribe(self, speech: Speech, _: Hints, tell: Callable[[str], None]) -> str:
        """Half of the text first, then all of it."""
        self.began.append(speech.pcm)
        self._news.set()
        try:
            tell(f"about {speech.seconds:g}")
            await self.allowed.acquire()
        finally:
            self.ended += 1
        if speech.pcm.startswith(b"bad"):
            raise RecognizerFailed("bad sound")
        return f"{speech.seconds:g}"

    async def working(self, number: int) -> None:
        """Return once so many pieces have been begun."""
        while len(self.began) < number:
            self._news.clear()
            await self._news.wait()


async def given(session: RecognizerSession, pcm: bytes) -> Transcription:
    """An item, finished."""
    item = await session.open(1_000)
    await item.feed(pcm)
    item.finish()
    return item


async def told(item: Transcription) -> list[Hypothesis]:
    """All about it."""
    return [hypothesis async for hypothesis in item.hypotheses()]


def test_text_grows() -> None:
    """What is known early is told early; the pieces' texts are joined."""

    async def scenario() -> None:
        engine = Engine()
        async with Batch(engine, notice="", slots=1, piece_bytes=2_000).session() as session:
            item = await given(session, bytes(3_000))
            engine.allowed.release()
            engine.allowed.release()
            assert await told(item) == [
                Hypothesis("about 1"),
                Hypothesis("1 about 0.5"),
                Hypothesis("1 0.5", final=True),
            ]

    run(scenario())


def test_item_without_sound() -> None:
    """Nothing said, nothing asked."""

    async def scenario() -> None:
        engine = Engine()
        async with Batch(engine, notice="", slots=1).session() as session:
            assert await told(await given(session, b"")) == [Hypothesis("", final=True)]
        assert engine.began == []

    run(scenario())


def test_failure_is_one_items() -> None:
    """The next item of the session is recognised; what is fed to the one that failed goes nowhere."""

    async def scenario() -> None:
        engine = Engine()
        async with Batch(engine, notice="", slots=1, piece_bytes=1_000).session() as session:
            engine.allowed.release()
            bad = await session.open(1_000)
            await bad.feed(b"bad" + bytes(997))
            with pytest.raises(RecognizerFailed, match="bad sound"):
                await told(bad)
            await bad.feed(bytes(100_000))
            bad.finish()
            assert len(bad.waiting) <= 1  # type: ignore[attr-defined]
            engine.allowed.release()
            assert (await told(await given(session, bytes(1_000))))[-1] == Hypothesis("0.5", final=True)
        assert len(engine.began) == 2

    run(scenario())


def test_sessions_take_turns() -> None:
    """A session with many items waiting holds up another by one of them."""

    async def scenario() -> None:
        engine = Engine()
        batch = Batch(engine, notice="", slots=1)
        async with batch.session() as many, batch.session() as one:
            flood = [await given(many, bytes([1]) * 200) for _ in range(5)]
            await engine.working(1)
            single = await given(one, bytes([2]) * 200)
            for _ in range(6):
                engine.allowed.release()
            for item in (*flood, single):
                await told(item)
        order = [pcm[0] for pcm in engine.began]
        assert order.index(2) <= 2
        assert sorted(order) == [1, 1, 1, 1, 1, 2]

    run(scenario())


def test_audio_that_waits_is_bounded() -> None:
    """Whoever feeds waits until pieces are done."""

    async def scenario() -> None:
        engine = Engine()
        async with Batch(engine, notice="", slots=1, piece_bytes=1_000).session() as session:
            item = await session.open(1_000)
            feeding = asyncio.create_task(feed(item, 10))
            await engine.working(1)
            fed = 0
            while fed != len(held(item)):  # until no more is taken
                fed = len(held(item))
                await asyncio.sleep(0)
            assert not feeding.done()
            assert fed <= 3
            for _ in range(10):
                engine.allowed.release()
            await feeding
            item.finish()
            assert (await told(item))[-1].text == " ".join(["0.5"] * 10)

    async def feed(item: Transcription, pieces: int) -> None:
        for _ in range(pieces):
            await item.feed(bytes(1_000))

    def held(item: Transcription) -> list[bytes]:
        return list(item.waiting)  # type: ignore[attr-defined]

    run(scenario())


def test_abandoned_items_end_at_once() -> None:
    """At work or waiting: the slot is free, and the reader hears of it."""

    async def scenario() -> None:
        engine = Engine()
        async with Batch(engine, notice="", slots=1).session() as session:
            first, second = await given(session, bytes(2_000)), await given(session, bytes(2_000))
            await engine.working(1)
            first.abandon()
            second.abandon()
            for item in (first, second):
                with pytest.raises(RecognizerFailed):
                    await told(item)
            engine.allowed.release()
            assert (await told(await given(session, bytes(1_000))))[-1].text == "0.5"
        assert (len(engine.began), engine.ended) == (2, 2)

    run(scenario())


def test_end_of_session() -> None:
    """What is open is given up, the unfinished too."""

    async def scenario() -> None:
        engine = Engine()
        async with Batch(engine, notice="", slots=1).session() as session:
            await given(session, bytes(2_000))
            await session.open(1_000)
            await engine.working(1)
        assert engine.ended == 1

    run(scenario())
