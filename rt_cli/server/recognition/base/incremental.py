"""Recogniser for engines that decode the audio as it comes: words come while one speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from rt_cli.audio.format import BYTES_PER_SAMPLE
from rt_cli.server.recognition.base.item_task import ItemRecognizer, ItemSession, ItemTask

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from rt_cli.server.recognition.base.model_threads import ModelThreads
    from rt_cli.server.recognition.interface import Hints, Hypothesis

Model = TypeVar("Model")

_MAX_WAITING_S = 5.0
_PIECE_S = 0.2
"""Audio of a session that is decoded in one turn."""


class ItemDecoder(Protocol):
    """The decoding of one item. Its methods block: they are called in a thread, one at a time."""

    def push(self, pcm: bytes) -> Hypothesis:
        """Decode s16le and return the text so far."""
        ...

    def finish(self) -> Hypothesis:
        """End the audio and return the final text. No push() afterwards."""
        ...


class Incremental(ItemRecognizer, Generic[Model]):
    """A recogniser with a :class:`ItemDecoder` for each item.

    Args:
        threads: The model, and the threads in which it decodes.
        new_decoder: Makes the decoder of an item from the model and the sample rate in Hz; must return at once.
        notice: One line for people about the quality of the words.
        workers: Most items that are decoded at once.
    """

    def __init__(
        self,
        threads: ModelThreads[Model],
        new_decoder: Callable[[Model, int], ItemDecoder],
        *,
        notice: str,
        workers: int,
    ) -> None:
        super().__init__(notice=notice, slots=workers)
        self.threads = threads
        self.new_decoder = new_decoder

    def new_item(self, session: ItemSession, rate_hz: int, hints: Hints) -> ItemTask:  # noqa: ARG002 - a model has its language
        """Make an item; hints have no effect."""
        return _IncrementalItem(self, session, rate_hz)

    def is_full(self, items: Collection[ItemTask]) -> bool:
        """True if 5 s of the session's audio are unrecognised."""
        return sum(item.waiting_s for item in items) >= _MAX_WAITING_S


class _IncrementalItem(ItemTask):
    def __init__(self, recognizer: Incremental[Model], session: ItemSession, rate_hz: int) -> None:
        super().__init__(session, rate_hz)
        self._recognizer = recognizer
        self._decoder: ItemDecoder | None = None

    async def feed(self, pcm: bytes) -> None:
        size = int(_PIECE_S * self.rate_hz) * BYTES_PER_SAMPLE
        for start in range(0, len(pcm), size):
            await self.session.wait_for_room()
            if self.work.done():
                return  # the item has already failed
            self.add_piece(pcm[start : start + size])

    async def recognise_piece(self, piece: bytes) -> None:
        decoder = await self._open()
        self.queue.put(await self._run_in_turn(decoder.push, piece))

    async def last_hypothesis(self) -> Hypothesis:
        decoder = await self._open()
        return await self._run_in_turn(decoder.finish)

    async def _open(self) -> ItemDecoder:
        if self._decoder is None:
            self._decoder = self._recognizer.new_decoder(await self._recognizer.threads.model(), self.rate_hz)
        return self._decoder

    async def _run_in_turn(self, work: Callable[..., Hypothesis], *arguments: bytes) -> Hypothesis:
        async with self.session.share.turn():
            return await self._recognizer.threads.run(work, *arguments)
