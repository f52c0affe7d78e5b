"""Words while one speaks, of an engine that reads whole items: drafts of the open piece."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_cli.server.recognition.base.batch import Batch, Segment, Speech, cut_s
from rt_cli.server.recognition.base.draft_pace import DraftPace
from rt_cli.server.recognition.interface import Hints, Hypothesis, RecognizerFailed
from rt_cli.server.session.input.stable_words import StableWords
from tests.fakes import run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rt_cli.server.recognition.interface import RecognizerSession, Transcription

RATE_HZ = 1_000
STEP = bytes(2)
"""A millisecond."""


class Reader:
    """Drafts by a script; the text of a piece is its length in samples.

    Args:
        drafts: Segments of each draft in turn; an exception is raised; None never returns.
    """

    def __init__(self, *drafts: Sequence[Segment] | RecognizerFailed | None) -> None:
        self._script = list(drafts)
        self.asked: list[Speech] = []
        self.cancelled = 0
        self.pieces: list[Speech] = []
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def draft(self, speech: Speech, hints: Hints) -> Sequence[Segment]:
        """The next entry of the script; no segments after the last."""
        assert hints == Hints("en")
        self.asked.append(speech)
        answer = self._script.pop(0) if self._script else []
        if isinstance(answer, RecognizerFailed):
            raise answer
        if answer is None:
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled += 1
        return answer or []

    async def transcribe(self, speech: Speech, _: Hints, on_partial: Callable[[str], None]) -> str:
        """The number of samples."""
        self.pieces.append(speech)
        on_partial("")
        await self.may_end.wait()
        return str(len(speech.pcm) // 2)

    def batch(self, slots: int = 1) -> Batch:
        """A recogniser that drafts after each new millisecond."""
        return Batch(self, notice="", slots=slots, draft=self.draft, draft_every_s=0.001)


def said(text: str) -> list[Segment]:
    """A draft of one segment."""
    return [Segment(text, 1.0)]


async def speak_until(item: Transcription, is_enough: Callable[[], bool]) -> None:
    """Feed an item until something has happened."""
    while not is_enough():
        await item.feed(STEP)
        await asyncio.sleep(0)


async def speak_for(item: Transcription, seconds: float) -> None:
    """Feed an item for a while, in which nothing should happen."""
    clock = asyncio.get_running_loop().time
    end_s = clock() + seconds
    await speak_until(item, lambda: clock() > end_s)


async def opened(session: RecognizerSession) -> Transcription:
    """A new item."""
    return await session.open(RATE_HZ, Hints("en"))


def test_two_drafts_that_agree_are_told() -> None:
    """The last word of a draft may be incomplete; words of two drafts are sent before the item ends."""

    async def scenario() -> None:
        reader = Reader(said(" he might e"), said(" he might even have ma"), said(" he might even have ma"))
        words, deltas = StableWords(), []
        async with reader.batch().session() as session:
            item = await opened(session)
            hypotheses = item.hypotheses()
            for number in (1, 2, 3):
                await speak_until(item, lambda number=number: len(reader.asked) >= number)  # type: ignore[misc]
                hypothesis = await anext(hypotheses)
                assert not hypothesis.final
                deltas.append(words.push(hypothesis.text, hypothesis.heard_s))
            assert deltas == ["", "he might", " even have"]
            item.finish()
            fed = len(reader.asked[-1].pcm) // 2
            final = [each async for each in hypotheses][-1]
            assert final.final
            assert int(final.text) >= fed
        lengths = [len(speech.pcm) for speech in reader.asked]
        assert lengths == sorted(set(lengths)), "each draft has all of the open audio, and more than the one before"

    run(scenario())


def test_fast_audio_has_no_drafts() -> None:
    """Audio that is there at once is read once."""

    async def scenario() -> None:
        reader = Reader()
        async with Batch(reader, notice="", slots=2, draft=reader.draft).session() as session:
            item = await opened(session)
            for _ in range(50):
                await item.feed(STEP * 100)
                await asyncio.sleep(0)
            item.finish()
            assert [each async for each in item.hypotheses()][-1] == Hypothesis("5000", final=True)
        assert reader.asked == []

    run(scenario())


def test_no_drafts_without_a_drafting_engine() -> None:
    """An engine that bills each upload reads once."""

    async def scenario() -> None:
        reader = Reader()
        async with Batch(reader, notice="", slots=1, draft_every_s=0.001).session() as session:
            item = await opened(session)
            await speak_for(item, 0.05)
            item.finish()
            assert len([each async for each in item.hypotheses()]) == 2
        assert (reader.asked, len(reader.pieces)) == ([], 1)

    run(scenario())


def test_the_end_of_the_item_ends_a_draft() -> None:
    """The final reading does not wait for a draft, and the draft's slot is free."""

    async def scenario() -> None:
        reader = Reader(None)
        async with reader.batch().session() as session:
            item = await opened(session)
            await speak_until(item, lambda: len(reader.asked) == 1)
            item.finish()
            (_, final) = [each async for each in item.hypotheses()]
            assert final.final
        assert (reader.cancelled, len(reader.pieces)) == (1, 1)

    run(scenario())


def test_abandoned_during_a_draft() -> None:
    """The draft ends, and the next item of the session has the slot."""

    async def scenario() -> None:
        reader = Reader(None)
        async with reader.batch().session() as session:
            item = await opened(session)
            await speak_until(item, lambda: len(reader.asked) == 1)
            item.abandon()
            with pytest.raises(RecognizerFailed):
                await anext(item.hypotheses())
            other = await opened(session)
            await other.feed(STEP)
            other.finish()
            assert [each async for each in other.hypotheses()][-1].text == "1"
        assert reader.cancelled == 1

    run(scenario())


def test_failed_draft_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The item has no further drafts, and its final text."""

    async def scenario() -> None:
        reader = Reader(RecognizerFailed("too warm"))
        async with reader.batch().session() as session:
            item = await opened(session)
            await speak_until(item, lambda: len(reader.asked) == 1)
            await speak_for(item, 0.05)
            item.finish()
            assert [each async for each in item.hypotheses()][-1].final
        assert len(reader.asked) == 1

    run(scenario())
    assert [record.getMessage() for record in caplog.records] == ["no words before the end of this turn: too warm"]


@pytest.mark.parametrize(("slots", "drafts"), [(1, 0), (2, 0), (3, 1), (4, 2)])
def test_drafts_take_no_slot_that_ended_turns_need(slots: int, drafts: int) -> None:
    """With one slot busy and another of several kept free, drafts have what is left."""

    async def scenario() -> None:
        reader = Reader(None, None)
        reader.may_end.clear()
        batch = reader.batch(slots)
        async with batch.session() as one, batch.session() as two, batch.session() as three:
            ended = await opened(one)
            await ended.feed(STEP)
            ended.finish()
            await anext(ended.hypotheses())  # its reading has begun
            speaking = [await opened(two), await opened(three)]
            for item in speaking:
                await speak_for(item, 0.05)
            assert len(reader.asked) == drafts
            for item in speaking:
                item.abandon()
            reader.may_end.set()
            assert [each async for each in ended.hypotheses()][-1].text == "1"

    run(scenario())


def test_long_pieces_are_cut_where_a_segment_ends() -> None:
    """After 20 s, the sentences that are complete are read for good; every sample is read exactly once more."""

    async def scenario() -> None:
        reader = Reader([Segment("A b", 5.0), Segment(" c.", 12.0), Segment(" d", 20.0)])
        async with reader.batch().session() as session:
            item = await opened(session)
            await item.feed(STEP)
            await item.feed(bytes(2 * 20 * RATE_HZ))
            fed = 1 + 20 * RATE_HZ
            while not reader.asked:
                await asyncio.sleep(0)
                await item.feed(STEP)
                fed += 1
            hypotheses = item.hypotheses()
            while not reader.pieces:
                await anext(hypotheses)
            item.finish()
            final = [each async for each in hypotheses][-1]
        assert [len(piece.pcm) // 2 for piece in reader.pieces] == [12 * RATE_HZ, fed - 12 * RATE_HZ]
        assert final == Hypothesis(f"{12 * RATE_HZ} {fed - 12 * RATE_HZ}", final=True)

    run(scenario())


@pytest.mark.parametrize("segments", [[Segment("a.", 20.0)], [Segment("a.", 0.0), Segment("b", 20.0)]])
def test_long_pieces_without_a_place_to_cut(segments: list[Segment]) -> None:
    """One segment, or one that ends at 0, stays open."""

    async def scenario() -> None:
        reader = Reader(segments)
        async with reader.batch().session() as session:
            item = await opened(session)
            await item.feed(bytes(2 * 20 * RATE_HZ))
            await speak_until(item, lambda: len(reader.asked) >= 2)
            item.finish()
            assert [each async for each in item.hypotheses()][-1].final
        assert len(reader.pieces) == 1

    run(scenario())


@pytest.mark.parametrize(
    ("texts", "open_s", "at_s"),
    [
        (["A.", "b.", "c"], 19.9, 0.0),
        (["A.", "b.", "c"], 20.0, 2.0),
        (["A.", "b", "c."], 20.0, 1.0),
        (["A", "b", "c."], 20.0, 0.0),
        (["A", "b", "c."], 28.0, 2.0),
        (["A.", "b", "c"], 28.0, 1.0),
        (["你好。", "你"], 20.0, 1.0),
        (["A."], 40.0, 0.0),
        ([], 40.0, 0.0),
    ],
)
def test_cut_of_a_long_piece(texts: list[str], open_s: float, at_s: float) -> None:
    """After the last sentence that is complete; of a too long piece after any segment but the last."""
    assert cut_s([Segment(text, 1.0 + number) for number, text in enumerate(texts)], open_s) == at_s


@pytest.mark.parametrize(
    ("open_s", "now_s", "is_due"),
    [(0.9, 20.0, False), (1.0, 20.0, True), (1.0, 10.9, False), (1.0, 11.0, True)],
)
def test_first_draft(open_s: float, now_s: float, is_due: bool) -> None:  # noqa: FBT001 - a column of the table
    """After a second of audio, and a second after it began to come."""
    pace = DraftPace(1.0)
    assert not pace.is_due(0.1, 10.0)
    assert pace.is_due(open_s, now_s) is is_due


def test_after_a_cut_all_audio_is_new() -> None:
    """The next draft comes after a second of the new piece."""
    pace = DraftPace(1.0)
    pace.is_due(0.1, 0.0)
    pace.read(25.0, 25.0, 26.0)
    pace.cut()
    assert not pace.is_due(0.9, 30.0)
    assert pace.is_due(1.0, 30.0)


@given(st.lists(st.floats(0.01, 10), min_size=1, max_size=20))
def test_drafts_take_at_most_half_of_the_time(durations: list[float]) -> None:
    """However slow the engine is."""
    pace, now_s, busy_s = DraftPace(1.0), 0.0, 0.0
    for duration_s in durations:
        while not pace.is_due(now_s, now_s):
            now_s += 0.1
        pace.read(now_s, now_s, now_s + duration_s)
        busy_s += duration_s
        now_s += duration_s
        assert busy_s - duration_s <= now_s - busy_s + 1e-9
