"""Base of the recognisers that work through an item piece by piece: sessions, fair shares, bounds, abandoned items."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from rt_cli.audio.format import BYTES_PER_SAMPLE
from rt_cli.server.recognition.base.fair_share import FairShare, Slots
from rt_cli.server.recognition.base.hypothesis_queue import HypothesisQueue
from rt_cli.server.recognition.interface import (
    NO_HINTS,
    Hints,
    Hypothesis,
    RecognizerFailed,
    RecognizerSession,
    Transcription,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection


class ItemRecognizer(ABC):
    """A recogniser of a server, with items of its own kind.

    Args:
        notice: One line for people about the quality of the words.
        slots: Most pieces in recognition at once, of all sessions.
        languages: Languages of the engine (ISO 639-1); None: any, or unknown.
    """

    def __init__(self, *, notice: str, slots: int, languages: frozenset[str] | None = None) -> None:
        self.notice = notice
        self.languages = languages
        self._slots = Slots(slots)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[RecognizerSession]:
        """Open the recogniser for one session; the end of the block abandons open items."""
        async with asyncio.TaskGroup() as tasks:
            session = ItemSession(self, FairShare(self._slots), tasks)
            try:
                yield session
            finally:
                session.abandon()

    @abstractmethod
    def new_item(self, session: ItemSession, rate_hz: int, hints: Hints) -> ItemTask:
        """Make an item; the session starts its task."""

    @abstractmethod
    def is_full(self, items: Collection[ItemTask]) -> bool:
        """True if the items of a session hold so much unrecognised audio that it must not grow."""


class ItemSession:
    """The open items of one session.

    Args:
        recognizer: Makes the items.
        share: The session's access to the engine.
        tasks: Parent of the tasks of the items.
    """

    def __init__(self, recognizer: ItemRecognizer, share: FairShare, tasks: asyncio.TaskGroup) -> None:
        self.share = share
        self._recognizer = recognizer
        self._tasks = tasks
        self._items: set[ItemTask] = set()
        self._room = asyncio.Event()

    async def open(self, rate_hz: int, hints: Hints = NO_HINTS) -> Transcription:
        """Start the recognition of an item; does not wait for a model to load."""
        item = self._recognizer.new_item(self, rate_hz, hints)
        item.work = self._tasks.create_task(item.recognise(), name="recognition of an item")
        self._items.add(item)
        item.work.add_done_callback(lambda _: self._remove(item))
        return item

    async def wait_for_room(self) -> None:
        """Wait while the session has too much unrecognised audio."""
        while self._recognizer.is_full(self._items):
            self._room.clear()
            await self._room.wait()

    def notify_room(self) -> None:
        """Wake the callers of :meth:`wait_for_room` after a piece is done."""
        self._room.set()

    def abandon(self) -> None:
        """Abandon all open items."""
        for item in list(self._items):
            item.abandon()

    def _remove(self, item: ItemTask) -> None:
        self._items.discard(item)
        self.notify_room()


class ItemTask(ABC):
    """The audio of an item in pieces, and the task that recognises the pieces one after the other.

    Args:
        session: Owner of the item.
        rate_hz: Sample rate of the audio.
    """

    work: asyncio.Task[None]

    def __init__(self, session: ItemSession, rate_hz: int) -> None:
        self.session = session
        self.rate_hz = rate_hz
        self.waiting: deque[bytes] = deque()
        """Unrecognised pieces, including the current one."""
        self.finished = False
        self.input_changed = asyncio.Event()
        self.queue = HypothesisQueue()
        self.hypotheses = self.queue.hypotheses

    @property
    def waiting_s(self) -> float:
        """Seconds of audio in the unrecognised pieces."""
        return sum(map(len, self.waiting)) / BYTES_PER_SAMPLE / self.rate_hz

    @abstractmethod
    async def feed(self, pcm: bytes) -> None:
        """Add s16le; waits while the session has too much unrecognised audio."""

    def pause(self) -> None:  # noqa: B027 - not abstract: most engines need no mark
        """Do nothing: the audio contains the pause."""

    def finish(self) -> None:
        """End the audio; the final hypothesis follows."""
        self.finished = True
        self.input_changed.set()

    def abandon(self) -> None:
        """Stop the recognition; a reader of the hypotheses gets a failure."""
        self.queue.fail("it was given up")
        self.work.cancel()

    def add_piece(self, pcm: bytes) -> None:
        """Append a piece for recognition."""
        self.waiting.append(pcm)
        self.input_changed.set()

    async def recognise(self) -> None:
        """Recognise the pieces as they come; ends with the final hypothesis or a failure."""
        try:
            while (piece := await self._next_piece()) is not None:
                await self.recognise_piece(piece)
                self.waiting.popleft()
                self.session.notify_room()
            self.queue.put(await self.last_hypothesis())
        except RecognizerFailed as failure:
            self.queue.fail(str(failure))
        except Exception as exc:  # noqa: BLE001 - an item that breaks must not end the session
            self.queue.fail(f"a bug of the recogniser: {exc!r}")

    @abstractmethod
    async def recognise_piece(self, piece: bytes) -> None:
        """Recognise the oldest piece.

        Raises:
            RecognizerFailed: The item gets no text.
        """

    @abstractmethod
    async def last_hypothesis(self) -> Hypothesis:
        """The final hypothesis, after the last piece.

        Raises:
            RecognizerFailed: The item gets no text.
        """

    async def wait_for_input(self) -> None:
        """Wait for a piece, the end of the audio, or any other change of the input."""
        self.input_changed.clear()
        await self.input_changed.wait()

    async def _next_piece(self) -> bytes | None:
        """The oldest piece; None after the last."""
        while not self.waiting and not self.finished:
            await self.wait_for_input()
        return self.waiting[0] if self.waiting else None
