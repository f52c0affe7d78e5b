"""A session of the embedded endpoint: from audio, speech probabilities and commands to events and decisions. Pure.

The caller performs the actions in their order; whatever is recognised comes back to the client through the caller.
Positions are samples from the start of all audio of the session.

Audio that is in no item yet is held, and bounded: where the client commits, what does not fit is refused; where turns
are detected, one that does not fit is committed as it is, and silence is let go after half a minute.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rt_cli.audio.format import BYTES_PER_SAMPLE, to_ms, to_samples
from rt_cli.audio.speech.endpointing import MIN_TURN_MS, ONSET_FRAMES, Endpointer, SpeechStarts, SpeechStops
from rt_cli.server.session import wire
from rt_cli.server.session.config import ENGLISH, SERVER_VAD, SessionConfig, updated
from rt_cli.server.session.input.audio_buffer import AudioBuffer
from rt_cli.server.session.input.idle_timeout import IdleTimeout, timeout_triggered
from rt_cli.server.session.input.semantic_vad import SemanticEndpointer

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BUFFERED_S = 900
"""Audio that is in no item: 43 MB at 24 kHz."""
_SILENCE_KEPT_S = 32
"""Where turns are detected; more than any onset or idle timeout reaches back."""
_MANUAL = {**SERVER_VAD, "silence_duration_ms": 500}
"""Where the client commits, the detector only decides which audio is worth recognising."""


@dataclass(frozen=True, slots=True)
class SendEvent:
    """Tell the client."""

    event: wire.Event


@dataclass(frozen=True, slots=True)
class Open:
    """Start to recognise an item."""

    item_id: str


@dataclass(frozen=True, slots=True)
class FeedItem:
    """Recognise more of an item that is open."""

    item_id: str
    pcm: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    """The item goes on, but nobody speaks for now."""

    item_id: str


@dataclass(frozen=True, slots=True)
class FinishItem:
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
class InterruptReply:
    """Somebody began to speak: whatever is being answered in the default conversation is cancelled."""


Action = SendEvent | Open | FeedItem | Pause | FinishItem | Abandon | TurnEnded | Respond | InterruptReply


@dataclass(slots=True)
class _Item:
    id: str
    start: int
    announced: bool = False
    """The client was told that speech started."""
    opened: bool = False
    """It is being recognised."""


class AudioInput:
    """The state of one session.

    Args:
        config: To begin with.
        new_item_id: Makes ids.
        last_item: The item that a new one is put behind; without it, the one committed before.
        languages: Those that can be recognised; None: any.
        needs_words: Recognise turns even where the client wants no transcription of them.
    """

    voice_fixed = False
    """Set it once the client has received audio of a reply: the voice cannot change any more."""

    def __init__(
        self,
        config: SessionConfig,
        new_item_id: Callable[[], str],
        *,
        last_item: Callable[[], str | None] | None = None,
        languages: frozenset[str] | None = ENGLISH,
        needs_words: bool = False,
    ) -> None:
        self.config = config
        self.received = 0
        """Samples of audio so far, whatever became of them."""
        self.turns = 0
        self._new_item_id = new_item_id
        self._last_item = last_item or (lambda: self._committed)
        self._languages = languages
        self.needs_words = needs_words
        self._frame = 0
        self._heard = 0
        self._endpointer: Endpointer | SemanticEndpointer | None = None
        self._idleness = IdleTimeout()
        self._uncommitted_from = 0
        self._committed: str | None = None
        self._just_committed: str | None = None
        self._item: _Item | None = None
        self._speaking = False
        self._fed = 0
        self._buffer = AudioBuffer()

    @property
    def promised(self) -> str | None:
        """The id of the item that the audio at hand belongs to, which the client may know already."""
        return None if self._item is None else self._item.id

    def listen(self, frame_samples: int) -> None:
        """The first audio is about to come: the rate is settled.

        Args:
            frame_samples: How many samples each probability stands for.
        """
        self._frame = frame_samples
        self._endpointer = self._new_endpointer(self._heard)

    def update(self, session: object) -> None:
        """Apply a ``session.update``, all of it or nothing.

        Raises:
            Rejected: Something in it is wrong.
        """
        config = updated(self.config, session, languages=self._languages, voice_fixed=self.voice_fixed)
        if config.rate_hz != self.config.rate_hz and self.received:
            message = "The rate cannot change once audio has been received."
            path = "session.audio.input.format." + ("rate" if config.input_format == "pcm" else "type")
            raise wire.Rejected("invalid_value", message, path)
        before, self.config = self.config, config
        if self._endpointer is not None and _how(config) != _how(before):
            self._change_endpointer(detected=before.turn_detection is not None)

    def admit(self, samples: int) -> None:
        """Ask before an append is heard, so that it is refused whole or heard whole.

        Args:
            samples: How many it has.

        Raises:
            Rejected: The client has to commit or to clear first.
        """
        if self.config.turn_detection is not None:
            return
        longest = MAX_BUFFERED_S * self.config.rate_hz
        if self.received - self._uncommitted_from + samples > longest:
            message = f"The buffer holds {MAX_BUFFERED_S} s of audio at most; commit it or clear it."
            raise wire.Rejected("input_audio_buffer_full", message, "audio")

    def hear(self, pcm: bytes, probabilities: list[float]) -> list[Action]:
        """Take audio.

        Args:
            pcm: What arrived: s16le at the session's rate.
            probabilities: Of speech, of the frames that were completed.
        """
        assert self._endpointer is not None, "listen() comes first"  # noqa: S101 - a mistake of ours, not of the client
        self._just_committed = None
        self._buffer.append(pcm)
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
                    actions += self._go_on()
        actions += self._feed(self.received)
        self._forget()
        return actions

    def words_so_far(self, item_id: str, text: str) -> None:
        """What is known of an item's words; semantic VAD judges by them."""
        if self._item is not None and self._item.id == item_id and isinstance(self._endpointer, SemanticEndpointer):
            self._endpointer.words_so_far(text)

    def reply_began(self) -> None:
        """A response to the conversation is under way: nobody waits for the speaker."""
        self._idleness.end()

    def reply_ended(self, playback_s: float = 0.0) -> None:
        """A response to the conversation is done: the idle timeout runs.

        Args:
            playback_s: How much of its audio is still to be played.
        """
        self._idleness.begin(self.received + to_samples(playback_s * 1000, self.config.rate_hz))

    def commit(self) -> list[Action]:
        """Make an item of all audio that is in none.

        Raises:
            Rejected: There are less than 100 ms of it.
        """
        self._just_committed = None
        waiting = self.received - self._uncommitted_from
        if waiting < self._shortest:
            ms = to_ms(waiting, self.config.rate_hz)
            message = f"The buffer holds {ms} ms of audio; a commit takes at least {MIN_TURN_MS} ms."
            raise wire.Rejected("input_audio_buffer_commit_empty", message)
        item = self._present_item()
        item.start = min(item.start, self.received - self._shortest)
        return [*self._feed(self.received), *self._close(item, self.received)]

    def clear(self) -> list[Action]:
        """Forget all audio that is in no item."""
        abandoned: list[Action] = [Abandon(self._item.id)] if self._item is not None and self._item.opened else []
        self._cut(self.received)
        self._idleness.restart(self.received)
        self._forget()
        return [*abandoned, SendEvent(wire.cleared())]

    def _start(self, at: int) -> list[Action]:
        self._idleness.end()
        fresh = self._item is None
        item = self._present_item()
        start = max(at, self._uncommitted_from)
        self._speaking, self._fed = True, max(self._fed, start)
        actions: list[Action] = []
        if self.config.turn_detection is not None and not item.announced:
            item.announced = True
            item.start = start if fresh else item.start
            actions.append(SendEvent(wire.speech_started(item.id, self._ms(item.start))))
            if self.config.interrupts:
                actions.append(InterruptReply())
        if (self.needs_words or self.config.transcription is not None) and not item.opened:
            item.opened = True
            actions.append(Open(item.id))
        return actions

    def _stop(self, at: int) -> list[Action]:
        item = self._present_item()
        actions = self._feed(at)
        self._speaking = False
        if self.config.turn_detection is None:
            return [*actions, Pause(item.id)] if item.opened else actions
        actions += [SendEvent(wire.speech_stopped(item.id, self._ms(at))), *self._close(item, at)]
        if self.config.answers_turns:
            actions.append(Respond(item.id))
        return actions

    def _go_on(self) -> list[Action]:
        """What is due although speech neither starts nor stops: a turn is too long, or silence is."""
        if self.config.turn_detection is None:
            return []
        item, rate_hz = self._item, self.config.rate_hz
        if item is not None and self._heard - item.start >= MAX_BUFFERED_S * rate_hz:
            stopped = [SendEvent(wire.speech_stopped(item.id, self._ms(self._heard)))] if item.announced else []
            return [*self._feed(self._heard), *stopped, *self._close(item, self._heard)]
        if item is not None:
            return []
        silence = self._idleness.over(self._heard, self.config.idle_timeout_ms, rate_hz)
        return self._time_out(*silence) if silence is not None else []

    def _time_out(self, start: int, end: int) -> list[Action]:
        item = self._present_item()
        item.start = start
        told = timeout_triggered(item.id, self._ms(item.start), self._ms(end))
        return [SendEvent(told), *self._close(item, end), Respond(item.id)]

    def _close(self, item: _Item, end: int) -> list[Action]:
        self._idleness.end()
        previous = self._just_committed or self._last_item()
        actions: list[Action] = [SendEvent(event) for event in wire.item_committed(item.id, previous)]
        seconds = (end - item.start) / self.config.rate_hz
        if item.opened:
            actions.append(FinishItem(item.id, seconds))
        elif self.config.transcription is not None:
            actions.append(SendEvent(wire.transcript_completed(item.id, "", seconds)))
        self._committed = self._just_committed = item.id
        self.turns += 1
        pcm = self._buffer.between(item.start, end)
        actions.append(TurnEnded(item.id, self._ms(item.start), self._ms(end), pcm))
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
        pcm = self._buffer.between(self._fed, end)
        self._fed = end
        return [FeedItem(item.id, pcm)]

    def _forget(self) -> None:
        """Keep what may still come into an item."""
        if self.config.turn_detection is not None and self._item is None:
            oldest = self.received - _SILENCE_KEPT_S * self.config.rate_hz
            self._uncommitted_from = max(self._uncommitted_from, oldest)
        # A commit takes 100 ms even of an item that is younger.
        keep = self._uncommitted_from if self._item is None else min(self._item.start, self.received - self._shortest)
        self._buffer.forget(keep)

    def _change_endpointer(self, *, detected: bool) -> None:
        """Listen in another way. A turn that was detected goes on where turns are still detected.

        Args:
            detected: Turns were detected so far.
        """
        goes_on = self._speaking and detected
        start = max(0, self._heard - ONSET_FRAMES * self._frame) if goes_on else self._heard
        self._endpointer = self._new_endpointer(start)
        self._endpointer.cut(self._uncommitted_from)
        self._speaking = goes_on
        for _ in range(ONSET_FRAMES if goes_on else 0):
            self._endpointer.push(1.0)

    def _new_endpointer(self, start: int) -> Endpointer | SemanticEndpointer:
        numbers = self.config.turn_detection or _MANUAL
        if numbers["type"] == "semantic_vad":
            return SemanticEndpointer(self._frame, self.config.rate_hz, numbers["eagerness"], start)
        return Endpointer(
            self._frame,
            self.config.rate_hz,
            threshold=numbers["threshold"],
            silence_ms=numbers["silence_duration_ms"],
            prefix_ms=numbers["prefix_padding_ms"],
            start=start,
        )

    @property
    def _shortest(self) -> int:
        return to_samples(MIN_TURN_MS, self.config.rate_hz)

    def _ms(self, samples: int) -> int:
        return to_ms(samples, self.config.rate_hz)


def _how(config: SessionConfig) -> dict[str, object] | None:
    """What of the turn detection the detector depends on."""
    detection = config.turn_detection
    answering = {"create_response", "interrupt_response", "idle_timeout_ms"}
    return None if detection is None else {name: value for name, value in detection.items() if name not in answering}
