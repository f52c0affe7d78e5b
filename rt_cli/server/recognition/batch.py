"""Engines that take an item whole: its audio is gathered, and recognised when the item is finished."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rt_cli.audio.format import BYTES_PER_SAMPLE
from rt_cli.server.recognition.fair_share import FairShare
from rt_cli.server.recognition.hypothesis_queue import HypothesisQueue
from rt_cli.server.recognition.interface import (
    NO_HINTS,
    Hints,
    Hypothesis,
    RecognizerFailed,
    RecognizerSession,
    Transcription,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

PIECE_BYTES = 24 * 1024 * 1024
"""Longer items are recognised in pieces: 25 MB is what OpenAI takes in one upload, its envelope included."""
_MAX_PIECES = 64
"""Pieces of a session that may wait to be recognised."""


@dataclass(frozen=True, slots=True)
class Speech:
    """s16le mono."""

    pcm: bytes
    rate_hz: int

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.pcm) / BYTES_PER_SAMPLE / self.rate_hz


class Engine(Protocol):
    """Turns a piece of audio into text."""

    async def transcribe(self, speech: Speech, hints: Hints, tell: Callable[[str], None]) -> str:
        """The text of a piece.

        Args:
            speech: At most ``PIECE_BYTES``.
            hints: What the client says about it.
            tell: Takes all of the piece's text as far as it is known, if that comes earlier.

        Raises:
            RecognizerFailed: There is none. Cancelled, the work ends at once.
        """
        ...


class Batch:
    """A recogniser made from such an engine.

    Args:
        engine: Does the work.
        notice: One line: what is to be thought of its words.
        languages: Those it knows (ISO 639-1); None: any, or nobody knows.
        slots: How many pieces it works on at once.
        piece_bytes: Longest piece, an even number.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        notice: str,
        slots: int,
        languages: frozenset[str] | None = None,
        piece_bytes: int = PIECE_BYTES,
    ) -> None:
        self.engine = engine
        self.notice = notice
        self.languages = languages
        self.piece_bytes = piece_bytes
        self._slots = asyncio.Semaphore(slots)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[RecognizerSession]:
        """One session's items; those open at the end are given up."""
        async with asyncio.TaskGroup() as tasks:
            session = _BatchEars(self, FairShare(self._slots), tasks)
            try:
                yield session
            finally:
                session.abandon()


class _BatchEars:
    def __init__(self, batch: Batch, share: FairShare, tasks: asyncio.TaskGroup) -> None:
        self.batch = batch
        self.share = share
        self._tasks = tasks
        self._items: set[_Item] = set()
        self._less_waiting = asyncio.Event()

    async def open(self, rate_hz: int, hints: Hints = NO_HINTS) -> Transcription:
        item = _Item(self, rate_hz, hints)
        item.work = self._tasks.create_task(item.recognise(), name="recognition of an item")
        self._items.add(item)
        item.work.add_done_callback(lambda _: self._done(item))
        return item

    async def room(self) -> None:
        """Return once the session's pieces that wait are few; each has its deadline, so they become fewer."""
        while self._waiting_bytes() > self.batch.piece_bytes or self._waiting_pieces() >= _MAX_PIECES:
            self._less_waiting.clear()
            await self._less_waiting.wait()

    def relieve(self) -> None:
        """Something that waited does not any more."""
        self._less_waiting.set()

    def abandon(self) -> None:
        for item in list(self._items):
            item.abandon()

    def _done(self, item: _Item) -> None:
        self._items.discard(item)
        self.relieve()

    def _waiting_bytes(self) -> int:
        return sum(len(piece) for item in self._items for piece in item.waiting)

    def _waiting_pieces(self) -> int:
        return sum(len(item.waiting) for item in self._items)


class _Item:
    """An item's audio, cut into pieces, and the task that has them recognised one after the other."""

    work: asyncio.Task[None]

    def __init__(self, session: _BatchEars, rate_hz: int, hints: Hints) -> None:
        self.waiting: deque[bytes] = deque()
        """Pieces not recognised yet, that which is at work included."""
        self._ears = session
        self._rate_hz = rate_hz
        self._hints = hints
        self._gathered = bytearray()
        self._finished = False
        self._more = asyncio.Event()
        self._told = HypothesisQueue()
        self.hypotheses = self._told.hypotheses

    async def feed(self, pcm: bytes) -> None:
        await self._ears.room()
        if self.work.done():
            return  # it failed already: what would be gathered is of no use
        self._gathered += pcm
        while len(self._gathered) >= self._ears.batch.piece_bytes:
            self._cut(self._ears.batch.piece_bytes)

    def pause(self) -> None:
        # Better here than in the middle of a word later on.
        if len(self._gathered) >= self._ears.batch.piece_bytes // 2:
            self._cut(len(self._gathered))

    def finish(self) -> None:
        self._finished = True
        if self._gathered:
            self._cut(len(self._gathered))
        self._more.set()

    def abandon(self) -> None:
        self._told.fail("it was given up")
        self.work.cancel()

    def _cut(self, size: int) -> None:
        self.waiting.append(bytes(self._gathered[:size]))
        del self._gathered[:size]
        self._more.set()

    async def recognise(self) -> None:
        texts: list[str] = []
        try:
            while (piece := await self._next()) is not None:
                texts.append(await self._recognise_piece(piece, texts))
                self.waiting.popleft()
                self._ears.relieve()
            self._told.tell(Hypothesis(_joined(texts), final=True))
        except RecognizerFailed as failure:
            self._told.fail(str(failure))

    async def _next(self) -> bytes | None:
        """The oldest piece; None after the last."""
        while not self.waiting and not self._finished:
            self._more.clear()
            await self._more.wait()
        return self.waiting[0] if self.waiting else None

    async def _recognise_piece(self, piece: bytes, texts: list[str]) -> str:
        def tell(text: str) -> None:
            self._told.tell(Hypothesis(_joined([*texts, text])))

        async with self._ears.share.turn():
            return await self._ears.batch.engine.transcribe(Speech(piece, self._rate_hz), self._hints, tell)


def _joined(texts: list[str]) -> str:
    return " ".join(text for text in texts if text)
