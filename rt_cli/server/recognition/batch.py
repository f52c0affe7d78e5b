"""Recogniser for engines that need the whole item: buffers the audio and recognises it at the end of the item."""

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
"""Longer items are split into pieces. OpenAI accepts 25 MB per upload, including headers."""
_MAX_PIECES = 64
"""Most unrecognised pieces of a session."""


@dataclass(frozen=True, slots=True)
class Speech:
    """s16le mono."""

    pcm: bytes
    rate_hz: int

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return len(self.pcm) / BYTES_PER_SAMPLE / self.rate_hz


class Engine(Protocol):
    """Transcribes a piece of audio."""

    async def transcribe(self, speech: Speech, hints: Hints, on_partial: Callable[[str], None]) -> str:
        """Transcribe a piece. Cancellation stops the work at once.

        Args:
            speech: At most ``PIECE_BYTES``.
            hints: Language and prompt from the client.
            on_partial: Receives the text of the piece so far, if the engine reports partial text.

        Raises:
            RecognizerFailed: The engine has no text for this piece.
        """
        ...


class Batch:
    """A recogniser based on an :class:`Engine`.

    Args:
        engine: Transcribes the pieces.
        notice: One line for people about the quality of the words.
        languages: Languages of the engine (ISO 639-1); None: any, or unknown.
        slots: Most pieces in recognition at once.
        piece_bytes: Size of the longest piece, an even number.
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
        """Open the recogniser for one session; the end of the block abandons open items."""
        async with asyncio.TaskGroup() as tasks:
            session = _BatchSession(self, FairShare(self._slots), tasks)
            try:
                yield session
            finally:
                session.abandon()


class _BatchSession:
    def __init__(self, batch: Batch, share: FairShare, tasks: asyncio.TaskGroup) -> None:
        self.batch = batch
        self.share = share
        self._tasks = tasks
        self._items: set[_Item] = set()
        self._room = asyncio.Event()

    async def open(self, rate_hz: int, hints: Hints = NO_HINTS) -> Transcription:
        item = _Item(self, rate_hz, hints)
        item.work = self._tasks.create_task(item.recognise(), name="recognition of an item")
        self._items.add(item)
        item.work.add_done_callback(lambda _: self._remove(item))
        return item

    async def wait_for_room(self) -> None:
        """Wait while the session has too many unrecognised pieces. Ends: each piece has a deadline."""
        while self._waiting_bytes() > self.batch.piece_bytes or self._waiting_pieces() >= _MAX_PIECES:
            self._room.clear()
            await self._room.wait()

    def notify_room(self) -> None:
        """Wake the callers of :meth:`wait_for_room` after a piece is done."""
        self._room.set()

    def abandon(self) -> None:
        for item in list(self._items):
            item.abandon()

    def _remove(self, item: _Item) -> None:
        self._items.discard(item)
        self.notify_room()

    def _waiting_bytes(self) -> int:
        return sum(len(piece) for item in self._items for piece in item.waiting)

    def _waiting_pieces(self) -> int:
        return sum(len(item.waiting) for item in self._items)


class _Item:
    """The audio of an item in pieces, and the task that recognises the pieces one after the other."""

    work: asyncio.Task[None]

    def __init__(self, session: _BatchSession, rate_hz: int, hints: Hints) -> None:
        self.waiting: deque[bytes] = deque()
        """Unrecognised pieces, including the current one."""
        self._session = session
        self._rate_hz = rate_hz
        self._hints = hints
        self._buffer = bytearray()
        self._finished = False
        self._input_changed = asyncio.Event()
        self._queue = HypothesisQueue()
        self.hypotheses = self._queue.hypotheses

    async def feed(self, pcm: bytes) -> None:
        await self._session.wait_for_room()
        if self.work.done():
            return  # the item has failed: its audio is of no use
        self._buffer += pcm
        while len(self._buffer) >= self._session.batch.piece_bytes:
            self._cut(self._session.batch.piece_bytes)

    def pause(self) -> None:
        # Cut a large buffer at the pause: a later cut might split a word.
        if len(self._buffer) >= self._session.batch.piece_bytes // 2:
            self._cut(len(self._buffer))

    def finish(self) -> None:
        self._finished = True
        if self._buffer:
            self._cut(len(self._buffer))
        self._input_changed.set()

    def abandon(self) -> None:
        self._queue.fail("it was given up")
        self.work.cancel()

    def _cut(self, size: int) -> None:
        self.waiting.append(bytes(self._buffer[:size]))
        del self._buffer[:size]
        self._input_changed.set()

    async def recognise(self) -> None:
        texts: list[str] = []
        try:
            while (piece := await self._next_piece()) is not None:
                texts.append(await self._recognise_piece(piece, texts))
                self.waiting.popleft()
                self._session.notify_room()
            self._queue.put(Hypothesis(_join(texts), final=True))
        except RecognizerFailed as failure:
            self._queue.fail(str(failure))
        except Exception as exc:  # noqa: BLE001 - an item that breaks must not end the session
            self._queue.fail(f"a bug of the recogniser: {exc!r}")

    async def _next_piece(self) -> bytes | None:
        """The oldest piece; None after the last."""
        while not self.waiting and not self._finished:
            self._input_changed.clear()
            await self._input_changed.wait()
        return self.waiting[0] if self.waiting else None

    async def _recognise_piece(self, piece: bytes, texts: list[str]) -> str:
        def on_partial(text: str) -> None:
            self._queue.put(Hypothesis(_join([*texts, text])))

        async with self._session.share.turn():
            return await self._session.batch.engine.transcribe(Speech(piece, self._rate_hz), self._hints, on_partial)


def _join(texts: list[str]) -> str:
    return " ".join(text for text in texts if text)
