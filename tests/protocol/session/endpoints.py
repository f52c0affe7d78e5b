"""Two small endpoints, one that waits for our commits and one with server VAD, and the client's side of each.

Both read what was sent at their own pace, and keep what they have to say until the test lets it go.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rt_cli.protocol.server_events import (
    Committed,
    ErrorEvent,
    ErrorInfo,
    SpeechStarted,
    SpeechStopped,
    TranscriptCompleted,
    TranscriptFailed,
)
from tests.protocol.session.run import SILENCE_MS, Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rt_cli.protocol.server_events import ServerEvent

PREFIX = 40
ONSET = 30
"""Samples of speech before server VAD reports it."""


@dataclass(frozen=True)
class Span:
    """Speech on the timeline."""

    start: int
    end: int

    @property
    def text(self) -> str:
        """The transcript; unique for each span."""
        return f"said at {self.start}"


def timeline(lengths: Sequence[tuple[int, int]], tail: int) -> tuple[list[Span], int]:
    """Return spans of speech with silence between them, and the end of the audio."""
    spans, at = [], 0
    for quiet, loud in lengths:
        spans.append(Span(at + quiet, at + quiet + loud))
        at += quiet + loud
    return spans, at + tail


class Endpoint:
    """Base class: a queue of events in order, and finals that may come in any order.

    Args:
        run: The client.
        spans: Spans of speech.
        end: Position of the end of the audio.
    """

    own_turns = False

    def __init__(self, run: Run, spans: list[Span], end: int) -> None:
        self.run = run
        self.spans = spans
        self.end = end
        self.queue: deque[ServerEvent] = deque()
        self.finals: list[tuple[str, Span | None]] = []
        """Items whose ``committed`` was sent, and whose final is still missing."""
        self.items: dict[str, Span | None] = {}
        """Items whose ``committed`` is in the queue."""
        self.lost: list[Span] = []
        """Spans without a final on this connection."""
        self.read = 0
        self.began = 0
        self._items = 0
        self._finished = False

    # -- the client ---------------------------------------------------------------------------------------------------

    def send(self, samples: int) -> None:
        """Send more audio, up to the next boundary; capture it first if necessary."""
        tape = self.run.tape
        samples = min(samples, self.boundary(tape.sent) - tape.sent)
        missing = max(0, tape.sent + samples - tape.captured)
        tape.append(bytes(2 * missing))
        if samples:
            self.opens(tape.sent, tape.sent + samples)
            self.run.resend(samples)
            self.closes(tape.sent)

    def boundary(self, sent: int) -> int:
        """Return the position up to which audio may be sent in one step."""
        return max(sent, self.end)

    def opens(self, start: int, end: int) -> None:
        """Run our own detector on audio about to be sent."""

    def closes(self, sent: int) -> None:
        """Commit where our own detector found the end of a turn."""

    def finish(self) -> None:
        """Send the remaining audio and the last commit."""
        while self.run.tape.sent < self.end:
            self.send(self.end)
        if not self._finished:
            self._finished = True
            self.commit(self.run.finish())

    def reconnect(self) -> None:
        """Lose the connection with all its state, and open a new one."""
        self.run.reconnect()
        self.queue.clear()
        self.finals.clear()
        self.items.clear()
        self.lost.clear()
        self.read, self.began = 0, self.run.tape.settled
        self._finished = False

    # -- the endpoint -------------------------------------------------------------------------------------------------

    def read_audio(self, samples: int) -> None:
        """Read more of the sent audio."""
        self.read = min(self.read + samples, self.run.session.wire.wire)
        self.run.acknowledge(self.read)

    def commit(self, event_id: str) -> None:
        """Handle a commit of the client."""
        raise NotImplementedError

    def send_next(self) -> None:
        """Send the next event of the queue."""
        if self.queue:
            event = self.queue.popleft()
            self.run.receive(event)
            if isinstance(event, Committed) and event.item_id in self.items:
                self.finals.append((event.item_id, self.items.pop(event.item_id)))

    def outcome(self, index: int, fate: str) -> None:
        """Send, repeat, fail or lose one of the finals."""
        if not self.finals:
            return
        item, span = self.finals.pop(index % len(self.finals))
        final = TranscriptCompleted(item, span.text if span else "")
        match fate:
            case "final":
                self.run.receive(final)
            case "twice":
                self.run.receive(final, final)
            case "failed":
                self.run.receive(TranscriptFailed(item, ErrorInfo(code="audio_unintelligible")))
                self.lost += [span] if span else []
            case _:
                self.lost += [span] if span else []

    def answer_everything(self) -> None:
        """Read everything, and send all events and finals."""
        self.read_audio(self.run.session.wire.wire)
        while self.queue:
            self.send_next()
        while self.finals:
            self.outcome(0, "final")

    def committed(self, item: str, span: Span | None) -> None:
        """Queue ``committed`` for an item; its final comes after that."""
        self.queue.append(Committed(item))
        self.items[item] = span

    def new_item(self) -> str:
        """Return a new item id."""
        self._items += 1
        return f"item {self.began} {self._items}"


class Committing(Endpoint):
    """An endpoint without turn detection: the client commits the turns."""

    own_turns = True

    def boundary(self, sent: int) -> int:
        """Return the end of the next turn."""
        return next((span.end for span in self.spans if span.end > sent), self.end)

    def opens(self, start: int, end: int) -> None:
        """Report speech that starts in this range to the session."""
        for span in self.spans:
            if start <= span.start < end:
                self.run.session.speech_opens(span.start, self.run.now)

    def closes(self, sent: int) -> None:
        """Commit at the end of a span."""
        if any(span.end == sent for span in self.spans):
            self.commit(self.run.commit())

    def commit(self, event_id: str) -> None:
        """Make an item of the audio since the last commit."""
        del event_id
        sent = self.run.tape.sent
        self.committed(self.new_item(), next((span for span in self.spans if span.end == sent), None))

    def finish(self) -> None:
        """Send the remaining audio; commit it only if no span ends there."""
        while self.run.tape.sent < self.end:
            self.send(self.end)
        if not self._finished:
            self._finished = True
            if not any(span.end == self.end for span in self.spans):
                self.commit(self.run.commit(speech=False, tail=True))
            self.run.drain()


class ServerVad(Endpoint):
    """An endpoint with server VAD."""

    def __init__(self, run: Run, spans: list[Span], end: int) -> None:
        super().__init__(run, spans, end)
        self._current: tuple[str, Span] | None = None
        self._ended_spans = 0
        """Number of spans that have ended, or ended before this connection."""
        self._covered = 0

    def reconnect(self) -> None:
        """Lose the connection; only spans after its start count."""
        super().reconnect()
        self._current = None
        self._covered = 0
        self._ended_spans = sum(span.end <= self.began for span in self.spans)

    def read_audio(self, samples: int) -> None:
        """Read audio, and report starts and ends of speech."""
        super().read_audio(samples)
        while self._ended_spans < len(self.spans) and self._detect(self.spans[self._ended_spans]):
            pass

    def _detect(self, span: Span) -> bool:
        start, end = span.start - self.began, span.end + SILENCE_MS - self.began
        if self._current is None:
            if self.read < start + ONSET:
                return False
            item = self.new_item()
            self._current = item, span
            self.queue.append(SpeechStarted(item, max(0, start - PREFIX)))
        if self.read < end:
            return False
        self.queue.append(SpeechStopped(self._current[0], end))
        self._close(end)
        return True

    def _close(self, end: int) -> None:
        assert self._current is not None
        item, span = self._current
        self.committed(item, span)
        self._current, self._covered = None, end
        self._ended_spans += 1

    def commit(self, event_id: str) -> None:
        """End the current turn, or make an item of the silence, or refuse an empty buffer."""
        self.read_audio(self.run.session.wire.wire)
        if self._current is not None:
            self._close(self.read)
        elif self.read - self._covered >= SILENCE_MS:
            self.committed(self.new_item(), None)
        else:
            self.queue.append(ErrorEvent(ErrorInfo(code="input_audio_buffer_commit_empty", event_id=event_id)))
