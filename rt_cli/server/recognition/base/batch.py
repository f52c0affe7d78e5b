"""Recogniser for engines that need the whole item: buffers the audio and recognises it at the end of the item.

An engine on this machine may also read the open item again and again while one speaks: drafts. Two drafts that agree
on a word are told (:mod:`rt_cli.server.session.input.stable_words`); the reading at the end decides.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rt_cli.audio.format import BYTES_PER_SAMPLE
from rt_cli.server.recognition.base.draft_pace import DRAFT_EVERY_S, DraftPace
from rt_cli.server.recognition.base.item_task import ItemRecognizer, ItemSession, ItemTask
from rt_cli.server.recognition.base.text import whole_words
from rt_cli.server.recognition.interface import Hypothesis, RecognizerFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from rt_cli.server.recognition.interface import Hints

_LOG = logging.getLogger("rt.local")

PIECE_BYTES = 24 * 1024 * 1024
"""Longer items are split into pieces. OpenAI accepts 25 MB per upload, including headers."""
_MAX_PIECES = 64
"""Most unrecognised pieces of a session."""
_LONG_S = 20.0
"""An open piece of this length is cut where a draft ends a sentence, so that neither drafts nor the end take longer."""
_TOO_LONG_S = 28.0
"""One of this length is cut at any end of a segment: Whisper reads at most 30 s at once."""
_SENTENCE_ENDS = tuple(".?!…。？！")  # noqa: RUF001 - of scripts without Latin full stops, too


@dataclass(frozen=True, slots=True)
class Speech:
    """s16le mono."""

    pcm: bytes
    rate_hz: int

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return len(self.pcm) / BYTES_PER_SAMPLE / self.rate_hz


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a draft: its text, and its end in seconds from the start of the piece."""

    text: str
    end_s: float


class SegmentReader(Protocol):
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


class Draft(Protocol):
    """Reads an open piece quickly."""

    async def __call__(self, speech: Speech, hints: Hints) -> Sequence[Segment]:
        """Return the segments so far. Cancellation returns at once.

        Raises:
            RecognizerFailed: The item gets no further drafts.
        """
        ...


class Batch(ItemRecognizer):
    """A recogniser based on a :class:`SegmentReader`.

    Args:
        engine: Transcribes the pieces.
        notice: One line for people about the quality of the words.
        slots: Most pieces in recognition at once.
        languages: Languages of the engine (ISO 639-1); None: any, or unknown.
        piece_bytes: Size of the longest piece, an even number.
        draft: Reads the open piece while it grows; None: no words before its end.
        draft_every_s: Least new audio, in seconds, between two drafts of an item.
    """

    def __init__(
        self,
        engine: SegmentReader,
        *,
        notice: str,
        slots: int,
        languages: frozenset[str] | None = None,
        piece_bytes: int = PIECE_BYTES,
        draft: Draft | None = None,
        draft_every_s: float = DRAFT_EVERY_S,
    ) -> None:
        super().__init__(notice=notice, slots=slots, languages=languages)
        self.engine = engine
        self.piece_bytes = piece_bytes
        self.draft = draft
        self.draft_every_s = draft_every_s

    def new_item(self, session: ItemSession, rate_hz: int, hints: Hints) -> ItemTask:
        """Make an item."""
        return _BatchItem(self, session, rate_hz, hints)

    def is_full(self, items: Collection[ItemTask]) -> bool:
        """True if the session has too many unrecognised pieces. Ends: each piece has a deadline."""
        pieces = [len(piece) for item in items for piece in item.waiting]
        return sum(pieces) > self.piece_bytes or len(pieces) >= _MAX_PIECES


class _BatchItem(ItemTask):
    """The audio of an item: complete pieces, and the open one, which grows."""

    def __init__(self, batch: Batch, session: ItemSession, rate_hz: int, hints: Hints) -> None:
        super().__init__(session, rate_hz)
        self._batch = batch
        self._hints = hints
        self._texts: list[str] = []
        """The text of each recognised piece."""
        self._open = bytearray()
        self._draft = batch.draft
        self._pace = DraftPace(batch.draft_every_s)
        self._drafting: asyncio.Timeout | None = None

    async def feed(self, pcm: bytes) -> None:
        await self.session.wait_for_room()
        if self.work.done():
            return  # the item has failed: its audio is of no use
        self._open += pcm
        while len(self._open) >= self._batch.piece_bytes:
            self._cut(self._batch.piece_bytes)
        if self._draft is not None:
            self.input_changed.set()

    def pause(self) -> None:
        # Cut a long open piece at the pause: a later cut might split a word.
        if len(self._open) >= self._batch.piece_bytes // 2:
            self._cut(len(self._open))

    def finish(self) -> None:
        if self._open:
            self._cut(len(self._open))
        super().finish()

    async def recognise_piece(self, piece: bytes) -> None:
        async with self.session.share.turn():
            speech = Speech(piece, self.rate_hz)
            self._texts.append(await self._batch.engine.transcribe(speech, self._hints, self._put_partial))

    async def last_hypothesis(self) -> Hypothesis:
        return Hypothesis(_join(self._texts), final=True)

    async def wait_for_input(self) -> None:
        if self._draft is not None and self._draft_is_due():
            await self._read_draft(self._draft)
        else:
            await super().wait_for_input()

    def _put_partial(self, text: str) -> None:
        self.queue.put(Hypothesis(_join([*self._texts, text])))

    def _cut(self, size: int) -> None:
        self.add_piece(bytes(self._open[:size]))
        del self._open[:size]
        self._pace.cut()
        if self._drafting is not None:
            self._drafting.reschedule(asyncio.get_running_loop().time())

    def _draft_is_due(self) -> bool:
        """True if there is enough new audio, and the engine has slots to spare: pieces that are complete go first."""
        open_s = len(self._open) / BYTES_PER_SAMPLE / self.rate_hz
        return self._pace.is_due(open_s, asyncio.get_running_loop().time()) and self.session.share.is_idle

    async def _read_draft(self, draft: Draft) -> None:
        """Read the open piece; its end ends the reading."""
        clock = asyncio.get_running_loop().time
        speech, began_s = Speech(bytes(self._open), self.rate_hz), clock()
        try:
            async with asyncio.timeout(None) as self._drafting, self.session.share.turn():
                segments = await draft(speech, self._hints)
        except TimeoutError:
            return
        except RecognizerFailed as failure:
            _LOG.warning("no words before the end of this turn: %s", failure)
            self._draft = None
            return
        finally:
            self._drafting = None
        if self.waiting or self.finished:
            return
        self._pace.read(speech.seconds, began_s, clock())
        self._put_partial(whole_words("".join(segment.text for segment in segments).strip()))
        size = int(cut_s(segments, speech.seconds) * self.rate_hz) * BYTES_PER_SAMPLE
        if 0 < size < len(self._open):
            self._cut(size)


def cut_s(segments: Sequence[Segment], open_s: float) -> float:
    """Where a piece of ``open_s`` seconds is cut, in seconds; 0: nowhere. Its last segment may be incomplete. Pure."""
    if open_s < _LONG_S:
        return 0.0
    complete = segments[:-1]
    sentences = [each for each in complete if each.text.rstrip().endswith(_SENTENCE_ENDS)]
    ends = sentences or (complete if open_s >= _TOO_LONG_S else [])
    return ends[-1].end_s if ends else 0.0


def _join(texts: list[str]) -> str:
    return " ".join(text for text in texts if text)
