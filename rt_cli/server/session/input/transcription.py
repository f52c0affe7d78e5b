"""The words of a session's turns: recognised, told to the client where it asked for them, known to repliers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rt_cli.server.recognition.interface import Hints, RecognizerFailed, RecognizerSession, Transcription
from rt_cli.server.session import wire
from rt_cli.server.session.input.stable_words import StableWords

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from rt_cli.server.session.conversation.items import Items

WORDS_S = 30.0
"""How long a reply waits for the words that it answers."""
FAREWELL_S = 5.0
"""How long words of complete turns are awaited when the client has left, and its place may be wanted by another."""


@dataclass(slots=True)
class _Turn:
    """An item whose words are on their way."""

    transcription: Transcription
    told: bool
    """The client asked for them."""
    seconds: float = 0.0
    complete: asyncio.Event = field(default_factory=asyncio.Event)
    """It was committed, and the client knows."""
    report: asyncio.Task[None] | None = None


class TurnTranscriber:
    """The recognition of one session.

    Args:
        recognizer_session: The recogniser.
        group: Parent of the tasks that tell.
        items: Where the words are kept.
        tell: Sends an event.
        note: Tells those who watch the server.
        words_so_far: Told each hypothesis of an item.
    """

    def __init__(
        self,
        recognizer_session: RecognizerSession,
        group: asyncio.TaskGroup,
        items: Items,
        tell: Callable[[wire.Event], Awaitable[None]],
        note: Callable[..., None],
        words_so_far: Callable[[str, str], Any],
    ) -> None:
        self._recognizer_session = recognizer_session
        self._group = group
        self._items = items
        self._tell = tell
        self._note = note
        self._words_so_far = words_so_far
        self._open: dict[str, _Turn] = {}
        self._reports: dict[str, asyncio.Task[None]] = {}

    async def open(self, item_id: str, rate_hz: int, hints: Hints, *, told: bool) -> None:
        """Begin to recognise an item.

        Args:
            item_id: Its name.
            rate_hz: Of its audio.
            hints: What the client says about its words.
            told: Whether the client is told them.
        """
        turn = _Turn(await self._recognizer_session.open(rate_hz, hints), told)
        self._open[item_id] = turn
        turn.report = self._group.create_task(self._report(item_id, turn), name=f"words of {item_id}")
        self._reports[item_id] = turn.report
        # Not at the end of the task itself: one that is abandoned at once never begins.
        turn.report.add_done_callback(lambda _: self._reports.pop(item_id))

    async def feed(self, item_id: str, pcm: bytes) -> None:
        """Take more of it; waits while the recogniser is behind."""
        await self._open[item_id].transcription.feed(pcm)

    def pause(self, item_id: str) -> None:
        """Nobody speaks for now."""
        self._open[item_id].transcription.pause()

    def finish(self, item_id: str, seconds: float) -> None:
        """It is complete, and the client knows."""
        turn = self._open.pop(item_id)
        turn.seconds = seconds
        turn.complete.set()
        turn.transcription.finish()

    def abandon(self, item_id: str) -> None:
        """It will never be."""
        turn = self._open.pop(item_id)
        turn.transcription.abandon()
        if turn.report is not None:
            turn.report.cancel()

    async def settled(self, item_ids: Iterable[str]) -> None:
        """Wait until the words of these items are final, 30 s at most. Safe to cancel."""
        reports = [self._reports[item_id] for item_id in item_ids if item_id in self._reports]
        if reports:
            await asyncio.wait(reports, timeout=WORDS_S)

    async def close(self) -> None:
        """Forget what is not complete; of the rest, those who watch are told what comes within :data:`FAREWELL_S`."""
        for item_id in list(self._open):
            self.abandon(item_id)
        reports = list(self._reports.values())
        if reports:
            await asyncio.wait(reports, timeout=FAREWELL_S)
        for report in reports:
            report.cancel()

    async def _report(self, item_id: str, turn: _Turn) -> None:
        """Tell an item's words, the last of them only after the item itself."""
        try:
            text = await self._recognise(item_id, turn)
        except RecognizerFailed as failure:
            await turn.complete.wait()
            if turn.told:
                await self._tell(wire.transcript_failed(item_id, str(failure)))
            self._note("transcription_failed", item=item_id, reason=str(failure))
        else:
            await turn.complete.wait()
            self._items.set_words(item_id, text, told=turn.told)
            if turn.told:
                await self._tell(wire.transcript_completed(item_id, text, turn.seconds))
            self._note("transcript", item=item_id, text=text)

    async def _recognise(self, item_id: str, turn: _Turn) -> str:
        deltas = StableWords()
        text = ""
        async for hypothesis in turn.transcription.hypotheses():
            text = hypothesis.text
            self._words_so_far(item_id, text)
            delta = deltas.finish(text) if hypothesis.final else deltas.push(text)
            if delta and turn.told:
                await self._tell(wire.transcript_delta(item_id, delta))
        return text
