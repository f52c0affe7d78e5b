"""Recognition of whole items: order, fairness, limits, and abandoned items."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from rt_cli.server.recognition.base.batch import Batch, Speech
from rt_cli.server.recognition.interface import Hints, Hypothesis, RecognizerFailed
from tests.fakes import run

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.server.recognition.interface import RecognizerSession, Transcription


class Engine:
    """Works when the test allows it; the text has the length of the piece."""

    def __init__(self) -> None:
        self.allowed = asyncio.Semaphore(0)
        self.began: list[bytes] = []
        self.ended = 0
        self._news = asyncio.Event()

    async def transcribe(self, speech: Speech, _: Hints, tell: Callable[[str], None]) -> str:
        """A partial text, then the final one."""
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

    async def wait_until_working(self, number: int) -> None:
        """Wait until this number of pieces has been started."""
        while len(self.began) < number:
            self._news.clear()
            await self._news.wait()


async def finished_item(session: RecognizerSession, pcm: bytes) -> Transcription:
    """A finished item."""
    item = await session.open(1_000)
    await item.feed(pcm)
    item.finish()
    return item


async def all_hypotheses(item: Transcription) -> list[Hypothesis]:
    """All hypotheses of an item."""
    return [hypothesis async for hypothesis in item.hypotheses()]


def test_text_grows() -> None:
    """Partial texts come early; the texts of pieces are joined."""

    async def scenario() -> None:
        engine = Engine()
        async with Batch(engine, notice="", slots=1, piece_bytes=2_000).session() as session:
            item = await finished_item(session, bytes(3_000))
            engine.allowed.release()
            engine.allowed.release()
            assert await all_hypotheses(item) == [
                Hypothesis("about 1"),
                Hypothesis("1 about 0.5"),
                Hypothesis("1 0.5", final=True),
            ]

    run(scenario())


def test_item_without_sound() -> None:
    """An item without audio has an empty text and does not reach the engine."""

    async def scenario() -> None:
        engine = Engine()
        async with Batch(engine, notice="", slots=1).session() as session:
            assert await all_hypotheses(await finished_item(session, b"")) == [Hypothesis("", final=True)]
        assert engine.began == []

    run(scenario())


def test_failure_of_one_item() -> None:
    """The next item works; audio for the failed item is dropped."""

    async def scenario() -> None:
        engine = Engine()
        async with Batch(engine, notice="", slots=1, piece_bytes=1_000).session() as session:
            engine.allowed.release()
            bad = await session.open(1_000)
            await bad.feed(b"bad" + bytes(997))
            with pytest.raises(RecognizerFailed, match="bad sound"):
                await all_hypotheses(bad)
            await bad.feed(bytes(100_000))
            bad.finish()
            assert len(bad.waiting) <= 1  # type: ignore[attr-defined]
            engine.allowed.release()
            assert (await all_hypotheses(await finished_item(session, bytes(1_000))))[-1] == Hypothesis(
                "0.5", final=True
            )
        assert len(engine.began) == 2

    run(scenario())


def test_sessions_take_turns() -> None:
    """A session with many items delays another session by one item only."""

    async def scenario() -> None:
        engine = Engine()
        batch = Batch(engine, notice="", slots=1)
        async with batch.session() as many, batch.session() as one:
            flood = [await finished_item(many, bytes([1]) * 200) for _ in range(5)]
            await engine.wait_until_working(1)
            single = await finished_item(one, bytes([2]) * 200)
            for _ in range(6):
                engine.allowed.release()
            for item in (*flood, single):
                await all_hypotheses(item)
        order = [pcm[0] for pcm in engine.began]
        assert order.index(2) <= 2
        assert sorted(order) == [1, 1, 1, 1, 1, 2]

    run(scenario())


def test_unrecognised_audio_is_limited() -> None:
    """feed() waits until pieces are done."""

    async def scenario() -> None:
        engine = Engine()
        async with Batch(engine, notice="", slots=1, piece_bytes=1_000).session() as session:
            item = await session.open(1_000)
            feeding = asyncio.create_task(feed(item, 10))
            await engine.wait_until_working(1)
            fed = 0
            while fed != len(held(item)):  # until feed() waits
                fed = len(held(item))
                await asyncio.sleep(0)
            assert not feeding.done()
            assert fed <= 3
            for _ in range(10):
                engine.allowed.release()
            await feeding
            item.finish()
            assert (await all_hypotheses(item))[-1].text == " ".join(["0.5"] * 10)

    async def feed(item: Transcription, pieces: int) -> None:
        for _ in range(pieces):
            await item.feed(bytes(1_000))

    def held(item: Transcription) -> list[bytes]:
        return list(item.waiting)  # type: ignore[attr-defined]

    run(scenario())


def test_abandoned_items_end_at_once() -> None:
    """A running or waiting item releases its slot, and its reader gets a failure."""

    async def scenario() -> None:
        engine = Engine()
        async with Batch(engine, notice="", slots=1).session() as session:
            first, second = await finished_item(session, bytes(2_000)), await finished_item(session, bytes(2_000))
            await engine.wait_until_working(1)
            first.abandon()
            second.abandon()
            for item in (first, second):
                with pytest.raises(RecognizerFailed):
                    await all_hypotheses(item)
            engine.allowed.release()
            assert (await all_hypotheses(await finished_item(session, bytes(1_000))))[-1].text == "0.5"
        assert (len(engine.began), engine.ended) == (2, 2)

    run(scenario())


def test_end_of_session() -> None:
    """The end of the session abandons open items."""

    async def scenario() -> None:
        engine = Engine()
        async with Batch(engine, notice="", slots=1).session() as session:
            await finished_item(session, bytes(2_000))
            await session.open(1_000)
            await engine.wait_until_working(1)
        assert engine.ended == 1

    run(scenario())
