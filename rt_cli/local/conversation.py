"""A session of the embedded endpoint: from audio, speech probabilities and commands to events and decisions. Pure.

The caller performs the actions in their order; whatever is recognised comes back to the client through the caller.
Positions are samples from the start of all audio of the session.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rt_cli.audio.format import BYTES_PER_SAMPLE, to_ms, to_samples
from rt_cli.audio.turns import MIN_TURN_MS, ONSET_FRAMES, Endpointer, SpeechStarts, SpeechStops
from rt_cli.local import wire
from rt_cli.local.config import SERVER_VAD, SessionConfig, updated

if TYPE_CHECKING:
    from collections.abc import Callable

_MANUAL = {**SERVER_VAD, "silence_duration_ms": 500}
"""Where the client commits, the detector only decides which audio is worth recognising."""
_LATE_FRAMES = ONSET_FRAMES + 2
"""How far a frame's probability may lag behind its audio, and an onset behind its first frame."""


@dataclass(frozen=True, slots=True)
class Send:
    """Tell the client."""

    event: wire.Event


@dataclass(frozen=True, slots=True)
class Open:
    """Start to recognise an item."""

    item_id: str


@dataclass(frozen=True, slots=True)
class Feed:
    """Recognise more of an item that is open."""

    item_id: str
    pcm: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    """The item goes on, but nobody speaks for now."""

    item_id: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The item is complete: report its final text."""

    item_id: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Abandon:
    """The item will never be: report nothing."""

    item_id: str


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """An item was committed."""

    item_id: str
    start_ms: int
    end_ms: int
    pcm: bytes = b""
    """Its audio: s16le at the session's rate."""


@dataclass(frozen=True, slots=True)
class Respond:
    """A turn that is to be answered has ended: after its :class:`TurnEnded`, never after a commit by the client."""

    item_id: str


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Somebody began to speak: whatever is being answered in the default conversation is cancelled."""


Action = Send | Open | Feed | Pause | Finish | Abandon | TurnEnded | Respond | Interrupt


@dataclass(slots=True)
class _Item:
    id: str
    start: int
    opened: bool = False


class Conversation:
    """The state of one session.

    Args:
        config: To begin with.
        new_item_id: Makes ids.
    """

    def __init__(self, config: SessionConfig, new_item_id: Callable[[], str]) -> None:
        self.config = config
        self.received = 0
        """Samples of audio so far, whatever became of them."""
        self.turns = 0
        self._new_item_id = new_item_id
        self._frame = 0
        self._heard = 0
        self._endpointer: Endpointer | None = None
        self._uncommitted_from = 0
        self._previous_item: str | None = None
        self._item: _Item | None = None
        self._speaking = False
        self._fed = 0
        self._recent = bytearray()

    def listen(self, frame_samples: int) -> None:
        """The first audio is about to come: the rate is settled.

        Args:
            frame_samples: How many samples each probability stands for.
        """
        self._frame = frame_samples
        self._endpointer = self._new_endpointer()

    def update(self, session: object) -> None:
        """Apply a ``session.update``, all of it or nothing.

        Raises:
            Rejected: Something in it is wrong.
        """
        config = updated(self.config, session)
        if config.rate_hz != self.config.rate_hz and self.received:
            message = "The rate cannot change once audio has been received."
            raise wire.Rejected("invalid_value", message, "session.audio.input.format.rate")
        turns_change = config.turn_detection != self.config.turn_detection
        self.config = config
        if turns_change and self._endpointer is not None:
            self._endpointer = self._new_endpointer()

    def hear(self, pcm: bytes, probabilities: list[float]) -> list[Action]:
        """Take audio.

        Args:
            pcm: What arrived: s16le at the session's rate.
            probabilities: Of speech, of the frames that were completed.
        """
        assert self._endpointer is not None, "listen() comes first"  # noqa: S101 - a mistake of ours, not of the client
        self._recent += pcm
        self.received += len(pcm) // BYTES_PER_SAMPLE
        actions: list[Action] = []
        for probability in probabilities:
            self._heard += self._frame
            match self._endpointer.push(probability):
                case SpeechStarts(at):
                    actions += self._start(at)
                case SpeechStops(at):
                    actions += self._stop(at)
                case None:
                    pass
        actions += self._feed(self.received)
        self._forget()
        return actions

    def commit(self) -> list[Action]:
        """Make an item of all audio that is in none.

        Raises:
            Rejected: There are less than 100 ms of it.
        """
        waiting = self.received - self._uncommitted_from
        if waiting < to_samples(MIN_TURN_MS, self.config.rate_hz):
            ms = to_ms(waiting, self.config.rate_hz)
            message = f"The buffer holds {ms} ms of audio; a commit takes at least {MIN_TURN_MS} ms."
            raise wire.Rejected("input_audio_buffer_commit_empty", message)
        return [*self._feed(self.received), *self._close(self._present_item(), self.received)]

    def clear(self) -> list[Action]:
        """Forget all audio that is in no item."""
        abandoned: list[Action] = [Abandon(self._item.id)] if self._item is not None and self._item.opened else []
        self._cut(self.received)
        return [*abandoned, Send(wire.cleared())]

    def _start(self, at: int) -> list[Action]:
        item = self._present_item()
        start = max(at, self._uncommitted_from)
        self._speaking, self._fed = True, start
        actions: list[Action] = []
        if self.config.turn_detection is not None:
            item.start = start
            actions.append(Send(wire.speech_started(item.id, self._ms(start))))
        if self.config.transcription is not None and not item.opened:
            item.opened = True
            actions.append(Open(item.id))
        return actions

    def _stop(self, at: int) -> list[Action]:
        item = self._present_item()
        actions = self._feed(at)
        self._speaking = False
        if self.config.turn_detection is not None:
            return [*actions, Send(wire.speech_stopped(item.id, self._ms(at))), *self._close(item, at)]
        return [*actions, Pause(item.id)] if item.opened else actions

    def _close(self, item: _Item, end: int) -> list[Action]:
        actions: list[Action] = [Send(event) for event in wire.item_committed(item.id, self._previous_item)]
        seconds = (end - item.start) / self.config.rate_hz
        if item.opened:
            actions.append(Finish(item.id, seconds))
        elif self.config.transcription is not None:
            actions.append(Send(wire.transcript_completed(item.id, "", seconds)))
        self._previous_item = item.id
        self.turns += 1
        actions.append(TurnEnded(item.id, self._ms(item.start), self._ms(end)))
        self._cut(end)
        return actions

    def _cut(self, at: int) -> None:
        """Whatever comes after ``at`` belongs to another item."""
        self._item, self._speaking, self._uncommitted_from = None, False, at
        if self._endpointer is not None:
            self._endpointer.cut(at)

    def _present_item(self) -> _Item:
        if self._item is None:
            self._item = _Item(self._new_item_id(), self._uncommitted_from)
        return self._item

    def _feed(self, end: int) -> list[Action]:
        item = self._item
        if not self._speaking or item is None or not item.opened or end <= self._fed:
            return []
        offset = self.received - len(self._recent) // BYTES_PER_SAMPLE
        pcm = bytes(self._recent[(self._fed - offset) * BYTES_PER_SAMPLE : (end - offset) * BYTES_PER_SAMPLE])
        self._fed = end
        return [Feed(item.id, pcm)]

    def _forget(self) -> None:
        """Keep what an onset may still reach back to."""
        prefix = to_samples((self.config.turn_detection or _MANUAL)["prefix_padding_ms"], self.config.rate_hz)
        kept = (prefix + _LATE_FRAMES * self._frame) * BYTES_PER_SAMPLE
        del self._recent[: max(0, len(self._recent) - kept)]

    def _new_endpointer(self) -> Endpointer:
        numbers = self.config.turn_detection or _MANUAL
        self._speaking = False
        return Endpointer(
            self._frame,
            self.config.rate_hz,
            threshold=numbers["threshold"],
            silence_ms=numbers["silence_duration_ms"],
            prefix_ms=numbers["prefix_padding_ms"],
            start=self._heard,
        )

    def _ms(self, samples: int) -> int:
        return to_ms(samples, self.config.rate_hz)
