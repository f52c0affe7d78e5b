"""Transcription of a session's turns: for the client, if configured, and for the replier."""

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
"""Longest wait of a reply for the transcripts that it depends on."""
CLOSE_S = 5.0
"""Longest wait for final transcripts after the client has disconnected. Short: the session still counts as open."""


@dataclass(slots=True)
class _Turn:
    """An item in recognition."""

    transcription: Transcription
    to_client: bool
    """The client has transcription configured."""
    seconds: float = 0.0
    complete: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the events of the commit have been sent."""
    report: asyncio.Task[None] | None = None


class TurnTranscriber:
    """The recognition of one session.

    Args:
        recognizer_session: The recogniser's side of this session.
        group: Parent of the tasks that send transcripts.
        items: Stores the final transcripts.
        send_event: Sends an event to the client.
        notify: Sends a log event of the server.
        on_hypothesis: Receives item id and text of each hypothesis.
    """

    def __init__(
        self,
        recognizer_session: RecognizerSession,
        group: asyncio.TaskGroup,
        items: Items,
        send_event: Callable[[wire.Event], Awaitable[None]],
        notify: Callable[..., None],
        on_hypothesis: Callable[[str, str], Any],
    ) -> None:
        self._recognizer_session = recognizer_session
        self._group = group
        self._items = items
        self._send_event = send_event
        self._notify = notify
        self._on_hypothesis = on_hypothesis
        self._open: dict[str, _Turn] = {}
        self._reports: dict[str, asyncio.Task[None]] = {}

    async def open(self, item_id: str, rate_hz: int, hints: Hints, *, to_client: bool) -> None:
        """Start the recognition of an item.

        Args:
            item_id: Id of the item.
            rate_hz: Sample rate of its audio.
            hints: Language and prompt from the client.
            to_client: Send deltas and the final text to the client.
        """
        turn = _Turn(await self._recognizer_session.open(rate_hz, hints), to_client)
        self._open[item_id] = turn
        turn.report = self._group.create_task(self._report(item_id, turn), name=f"words of {item_id}")
        self._reports[item_id] = turn.report
        # A callback, not the end of the coroutine: a task that is cancelled at once never starts.
        turn.report.add_done_callback(lambda _: self._reports.pop(item_id))

    async def feed(self, item_id: str, pcm: bytes) -> None:
        """Pass audio of an item; waits while the recogniser is behind."""
        await self._open[item_id].transcription.feed(pcm)

    def pause(self, item_id: str) -> None:
        """Mark a pause in the speech."""
        self._open[item_id].transcription.pause()

    def finish(self, item_id: str, seconds: float) -> None:
        """End an item whose commit has been sent."""
        turn = self._open.pop(item_id)
        turn.seconds = seconds
        turn.complete.set()
        turn.transcription.finish()

    def abandon(self, item_id: str) -> None:
        """Stop the recognition of an item and send nothing."""
        turn = self._open.pop(item_id)
        turn.transcription.abandon()
        if turn.report is not None:
            turn.report.cancel()

    async def wait_final(self, item_ids: Iterable[str]) -> None:
        """Wait until the words of these items are final, 30 s at most. Safe to cancel."""
        reports = [self._reports[item_id] for item_id in item_ids if item_id in self._reports]
        if reports:
            await asyncio.wait(reports, timeout=WORDS_S)

    async def close(self) -> None:
        """Abandon open items; wait up to :data:`CLOSE_S` for the transcripts of the finished ones."""
        for item_id in list(self._open):
            self.abandon(item_id)
        reports = list(self._reports.values())
        if reports:
            await asyncio.wait(reports, timeout=CLOSE_S)
        for report in reports:
            report.cancel()

    async def _report(self, item_id: str, turn: _Turn) -> None:
        """Send deltas as they come, and ``completed`` only after the item's ``committed``."""
        try:
            text = await self._recognise(item_id, turn)
        except RecognizerFailed as failure:
            await turn.complete.wait()
            if turn.to_client:
                await self._send_event(wire.transcript_failed(item_id, str(failure)))
            self._notify("transcription_failed", item=item_id, reason=str(failure))
        else:
            await turn.complete.wait()
            self._items.set_words(item_id, text, to_client=turn.to_client)
            if turn.to_client:
                await self._send_event(wire.transcript_completed(item_id, text, turn.seconds))
            self._notify("transcript", item=item_id, text=text)

    async def _recognise(self, item_id: str, turn: _Turn) -> str:
        deltas = StableWords()
        text = ""
        async for hypothesis in turn.transcription.hypotheses():
            text = hypothesis.text
            self._on_hypothesis(item_id, text)
            delta = deltas.finish(text) if hypothesis.final else deltas.push(text, hypothesis.heard_s)
            if delta and turn.to_client:
                await self._send_event(wire.transcript_delta(item_id, delta))
        return deltas.transcript if turn.to_client else text
