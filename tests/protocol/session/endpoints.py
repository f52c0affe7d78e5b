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
"""Samples of speech before server VAD notices."""


@dataclass(frozen=True)
class Span:
    """Speech on the timeline."""

    start: int
    end: int

    @property
    def text(self) -> str:
        """What is said in it; no two spans say the same."""
        return f"said at {self.start}"


def timeline(lengths: Sequence[tuple[int, int]], tail: int) -> tuple[list[Span], int]:
    """Spans of speech with silence between them, and where the sound ends."""
    spans, at = [], 0
    for quiet, loud in lengths:
        spans.append(Span(at + quiet, at + quiet + loud))
        at += quiet + loud
    return spans, at + tail


class Endpoint:
    """What both have in common: a queue of events in order, and finals that may come in any order.

    Args:
        run: The client.
        spans: Where speech is.
        end: Where the sound ends.
    """

    own_turns = False

    def __init__(self, run: Run, spans: list[Span], end: int) -> None:
        self.run = run
        self.spans = spans
        self.end = end
        self.said: deque[ServerEvent] = deque()
        self.finals: list[tuple[str, Span | None]] = []
        """Of the items that were told of."""
        self.items: dict[str, Span | None] = {}
        """That were not told of yet."""
        self.lost: list[Span] = []
        """Whose finals will never come on this connection."""
        self.read = 0
        self.began = 0
        self._items = 0
        self._finished = False

    # -- the client ---------------------------------------------------------------------------------------------------

    def send(self, samples: int) -> None:
        """Send more of the sound, captured before or not, as far as the next thing to do."""
        tape = self.run.tape
        samples = min(samples, self.boundary(tape.sent) - tape.sent)
        missing = max(0, tape.sent + samples - tape.captured)
        tape.append(bytes(2 * missing))
        if samples:
            self.opens(tape.sent, tape.sent + samples)
            self.run.resend(samples)
            self.closes(tape.sent)

    def boundary(self, sent: int) -> int:
        """How far may be sent in one go."""
        return max(sent, self.end)

    def opens(self, start: int, end: int) -> None:
        """Our own detector looks at what is about to be sent."""

    def closes(self, sent: int) -> None:
        """Our own detector says where to commit."""

    def finish(self) -> None:
        """Send the rest, and the last commit."""
        while self.run.tape.sent < self.end:
            self.send(self.end)
        if not self._finished:
            self._finished = True
            self.commit(self.run.finish())

    def reconnect(self) -> None:
        """The connection is lost: nothing of it counts."""
        self.run.reconnect()
        self.said.clear()
        self.finals.clear()
        self.items.clear()
        self.lost.clear()
        self.read, self.began = 0, self.run.tape.settled
        self._finished = False

    # -- the endpoint -------------------------------------------------------------------------------------------------

    def hear(self, samples: int) -> None:
        """Read more of what was sent."""
        self.read = min(self.read + samples, self.run.session.wire.wire)
        self.run.acknowledge(self.read)

    def commit(self, event_id: str) -> None:
        """A commit of ours."""
        raise NotImplementedError

    def tell(self) -> None:
        """Say the next thing."""
        if self.said:
            event = self.said.popleft()
            self.run.hear(event)
            if isinstance(event, Committed) and event.item_id in self.items:
                self.finals.append((event.item_id, self.items.pop(event.item_id)))

    def outcome(self, index: int, fate: str) -> None:
        """Give one of the finals its fate."""
        if not self.finals:
            return
        item, span = self.finals.pop(index % len(self.finals))
        final = TranscriptCompleted(item, span.text if span else "")
        match fate:
            case "final":
                self.run.hear(final)
            case "twice":
                self.run.hear(final, final)
            case "failed":
                self.run.hear(TranscriptFailed(item, ErrorInfo(code="audio_unintelligible")))
                self.lost += [span] if span else []
            case _:
                self.lost += [span] if span else []

    def answer_everything(self) -> None:
        """Read, say and transcribe all there is."""
        self.hear(self.run.session.wire.wire)
        while self.said:
            self.tell()
        while self.finals:
            self.outcome(0, "final")

    def committed(self, item: str, span: Span | None) -> None:
        """An item is complete; its final comes after that was said."""
        self.said.append(Committed(item))
        self.items[item] = span

    def new_item(self) -> str:
        """An id."""
        self._items += 1
        return f"item {self.began} {self._items}"


class Committing(Endpoint):
    """Transcribes what we commit."""

    own_turns = True

    def boundary(self, sent: int) -> int:
        """No further than where the next turn closes."""
        return next((span.end for span in self.spans if span.end > sent), self.end)

    def opens(self, start: int, end: int) -> None:
        """Speech is told when the sound in which it begins is sent."""
        for span in self.spans:
            if start <= span.start < end:
                self.run.session.speech_opens(span.start, self.run.now)

    def closes(self, sent: int) -> None:
        """Speech that ends is committed."""
        if any(span.end == sent for span in self.spans):
            self.commit(self.run.commit())

    def commit(self, event_id: str) -> None:
        """Everything since the last commit is an item."""
        del event_id
        sent = self.run.tape.sent
        self.committed(self.new_item(), next((span for span in self.spans if span.end == sent), None))

    def finish(self) -> None:
        """The tail is committed only where there is one."""
        while self.run.tape.sent < self.end:
            self.send(self.end)
        if not self._finished:
            self._finished = True
            if not any(span.end == self.end for span in self.spans):
                self.commit(self.run.commit(speech=False, tail=True))
            self.run.drain()


class ServerVad(Endpoint):
    """Finds the turns itself."""

    def __init__(self, run: Run, spans: list[Span], end: int) -> None:
        super().__init__(run, spans, end)
        self._speaking: tuple[str, Span] | None = None
        self._heard = 0
        """How many spans are over, or were before this connection."""
        self._covered = 0

    def reconnect(self) -> None:
        """It knows nothing of what it had heard on the connection before."""
        super().reconnect()
        self._speaking = None
        self._covered = 0
        self._heard = sum(span.end <= self.began for span in self.spans)

    def hear(self, samples: int) -> None:
        """Read, and notice speech and its end."""
        super().hear(samples)
        while self._heard < len(self.spans) and self._notice(self.spans[self._heard]):
            pass

    def _notice(self, span: Span) -> bool:
        start, end = span.start - self.began, span.end + SILENCE_MS - self.began
        if self._speaking is None:
            if self.read < start + ONSET:
                return False
            item = self.new_item()
            self._speaking = item, span
            self.said.append(SpeechStarted(item, max(0, start - PREFIX)))
        if self.read < end:
            return False
        self.said.append(SpeechStopped(self._speaking[0], end))
        self._close(end)
        return True

    def _close(self, end: int) -> None:
        assert self._speaking is not None
        item, span = self._speaking
        self.committed(item, span)
        self._speaking, self._covered = None, end
        self._heard += 1

    def commit(self, event_id: str) -> None:
        """Our last commit ends the turn that is spoken, or makes one of the silence, or is refused."""
        self.hear(self.run.session.wire.wire)
        if self._speaking is not None:
            self._close(self.read)
        elif self.read - self._covered >= SILENCE_MS:
            self.committed(self.new_item(), None)
        else:
            self.said.append(ErrorEvent(ErrorInfo(code="input_audio_buffer_commit_empty", event_id=event_id)))
