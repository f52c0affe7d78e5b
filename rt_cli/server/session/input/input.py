"""The input side as a state machine: from audio, speech probabilities and client events to actions. Pure.

The caller executes the actions in order. The caller also sends the transcripts to the client.
Positions are samples from the start of the session's audio.

The buffer of uncommitted audio is limited. Without turn detection, an append beyond the limit is rejected. With turn
detection, a turn that reaches the limit is committed, and silence is discarded after 32 s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rt_cli.audio.format import BYTES_PER_SAMPLE, to_ms, to_samples
from rt_cli.audio.speech.endpointing import MIN_TURN_MS, ONSET_FRAMES, Endpointer, SpeechStarts, SpeechStops
from rt_cli.server.session import wire
from rt_cli.server.session.config import ENGLISH, SERVER_VAD, SessionConfig, apply_update
from rt_cli.server.session.input.audio_buffer import AudioBuffer
from rt_cli.server.session.input.idle_timeout import IdleTimeout, timeout_triggered
from rt_cli.server.session.input.semantic_vad import SemanticEndpointer

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BUFFERED_S = 900
"""Limit of uncommitted audio: 43 MB at 24 kHz."""
_SILENCE_KEPT_S = 32
"""Silence kept with turn detection; longer than any onset or idle timeout reaches back."""
_MANUAL = {**SERVER_VAD, "silence_duration_ms": 500}
"""Detector settings without turn detection. The detector then only selects the audio to recognise."""


@dataclass(frozen=True, slots=True)
class SendEvent:
    """Send an event to the client."""

    event: wire.Event


@dataclass(frozen=True, slots=True)
class OpenItem:
    """Start the recognition of an item."""

    item_id: str


@dataclass(frozen=True, slots=True)
class FeedItem:
    """Pass more audio of an open item to the recogniser."""

    item_id: str
    pcm: bytes


@dataclass(frozen=True, slots=True)
class PauseItem:
    """A pause in the speech; the item continues."""

    item_id: str


@dataclass(frozen=True, slots=True)
class FinishItem:
    """End of the item's audio; the final text is needed."""

    item_id: str
    seconds: float


@dataclass(frozen=True, slots=True)
class AbandonItem:
    """Stop the recognition of an item that the client cleared; report nothing."""

    item_id: str


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """An item was committed."""

    item_id: str
    start_ms: int
    end_ms: int
    pcm: bytes = b""
    """s16le at the session's rate."""


@dataclass(frozen=True, slots=True)
class Respond:
    """Create a response for a turn. Follows the :class:`TurnEnded` of the turn; never after a commit by the client."""

    item_id: str


@dataclass(frozen=True, slots=True)
class InterruptReply:
    """The user started to speak: cancel the active response of the default conversation."""


Action = SendEvent | OpenItem | FeedItem | PauseItem | FinishItem | AbandonItem | TurnEnded | Respond | InterruptReply


@dataclass(slots=True)
class _Item:
    id: str
    start: int
    announced: bool = False
    """The client got ``speech_started`` for this item."""
    opened: bool = False
    """The recognition of this item has started."""


class AudioInput:
    """The input side of one session.

    Args:
        config: Initial configuration.
        new_item_id: Creates item ids.
        last_item: Returns the id of the conversation's last item. None: the item of the commit before is the last.
        languages: Languages of the recogniser (ISO 639-1); None: any.
    """

    voice_fixed = False
    """Set to True when the client receives audio of a reply: the voice can no longer change."""

    def __init__(
        self,
        config: SessionConfig,
        new_item_id: Callable[[], str],
        *,
        last_item: Callable[[], str | None] | None = None,
        languages: frozenset[str] | None = ENGLISH,
    ) -> None:
        self.config = config
        self.received = 0
        """Number of received samples, including cleared and discarded ones."""
        self.turns = 0
        self._new_item_id = new_item_id
        self._last_item = last_item or (lambda: self._committed)
        self._languages = languages
        self.needs_words = False
        """Set to True to recognise turns even if the client has no transcription configured."""
        self._frame = 0
        self._analysed_until = 0
        self._endpointer: Endpointer | SemanticEndpointer | None = None
        self._idle_timeout = IdleTimeout()
        self._uncommitted_from = 0
        self._committed: str | None = None
        self._just_committed: str | None = None
        self._item: _Item | None = None
        self._speaking = False
        self._fed_until = 0
        self._buffer = AudioBuffer()

    @property
    def pending_item_id(self) -> str | None:
        """The id of the uncommitted item; the client may already know it from ``speech_started``."""
        return None if self._item is None else self._item.id

    def start(self, frame_samples: int) -> None:
        """Start the detection. Called before the first audio; the sample rate is fixed from now on.

        Args:
            frame_samples: Samples per speech probability.
        """
        self._frame = frame_samples
        self._endpointer = self._new_endpointer(self._analysed_until)

    def update(self, session: object) -> None:
        """Apply a ``session.update``.

        Raises:
            Rejected: A field is unknown or invalid; nothing has changed.
        """
        config = apply_update(self.config, session, languages=self._languages, voice_fixed=self.voice_fixed)
        if config.rate_hz != self.config.rate_hz and self.received:
            message = "The rate cannot change once audio has been received."
            path = "session.audio.input.format." + ("rate" if config.input_format == "pcm" else "type")
            raise wire.Rejected("invalid_value", message, path)
        before, self.config = self.config, config
        if self._endpointer is not None and _detector_settings(config) != _detector_settings(before):
            self._change_endpointer(detected=before.turn_detection is not None)

    def check_room(self, samples: int) -> None:
        """Check that an append fits into the buffer. Called first, so that an append is never accepted in part.

        Args:
            samples: Samples of the append.

        Raises:
            Rejected: The buffer is full; the client has to commit or clear.
        """
        if self.config.turn_detection is not None:
            return
        max_samples = MAX_BUFFERED_S * self.config.rate_hz
        if self.received - self._uncommitted_from + samples > max_samples:
            message = f"The buffer holds {MAX_BUFFERED_S} s of audio at most; commit it or clear it."
            raise wire.Rejected("input_audio_buffer_full", message, "audio")

    def append(self, pcm: bytes, probabilities: list[float]) -> list[Action]:
        """Process received audio.

        Args:
            pcm: s16le at the session's rate.
            probabilities: Speech probabilities of the frames that ``pcm`` completes.
        """
        assert self._endpointer is not None, "start() comes first"  # noqa: S101 - a bug of the server, not of the client
        self._just_committed = None
        self._buffer.append(pcm)
        self.received += len(pcm) // BYTES_PER_SAMPLE
        actions: list[Action] = []
        for probability in probabilities:
            self._analysed_until += self._frame
            match self._endpointer.push(probability):
                case SpeechStarts(at):
                    actions += self._start_speech(at)
                case SpeechStops(at):
                    actions += self._stop_speech(at)
                case None:
                    actions += self._check_limits()
        actions += self._feed(self.received)
        self._trim_buffer()
        return actions

    def set_words(self, item_id: str, text: str) -> None:
        """Set the hypothesis of an item; semantic VAD uses it."""
        if self._item is not None and self._item.id == item_id and isinstance(self._endpointer, SemanticEndpointer):
            self._endpointer.set_words(text)

    def on_reply_begin(self) -> None:
        """A response of the conversation begins: stop the idle timeout."""
        self._idle_timeout.end()

    def on_reply_end(self, playback_s: float = 0.0) -> None:
        """A response of the conversation is done: start the idle timeout.

        Args:
            playback_s: Seconds of its audio that the client has still to play.
        """
        self._idle_timeout.begin(self.received + to_samples(playback_s * 1000, self.config.rate_hz))

    def commit(self) -> list[Action]:
        """Commit all uncommitted audio as one item.

        Raises:
            Rejected: Less than 100 ms of audio are uncommitted.
        """
        self._just_committed = None
        uncommitted = self.received - self._uncommitted_from
        if uncommitted < self._min_commit_samples:
            ms = to_ms(uncommitted, self.config.rate_hz)
            message = f"The buffer holds {ms} ms of audio; a commit takes at least {MIN_TURN_MS} ms."
            raise wire.Rejected("input_audio_buffer_commit_empty", message)
        item = self._current_item()
        item.start = min(item.start, self.received - self._min_commit_samples)
        return [*self._feed(self.received), *self._commit_item(item, self.received)]

    def clear(self) -> list[Action]:
        """Discard all uncommitted audio."""
        actions: list[Action] = [AbandonItem(self._item.id)] if self._item is not None and self._item.opened else []
        self._start_next_item(self.received)
        self._idle_timeout.restart(self.received)
        self._trim_buffer()
        return [*actions, SendEvent(wire.cleared())]

    def _start_speech(self, at: int) -> list[Action]:
        self._idle_timeout.end()
        is_new = self._item is None
        item = self._current_item()
        start = max(at, self._uncommitted_from)
        self._speaking, self._fed_until = True, max(self._fed_until, start)
        actions: list[Action] = []
        if self.config.turn_detection is not None and not item.announced:
            item.announced = True
            item.start = start if is_new else item.start
            actions.append(SendEvent(wire.speech_started(item.id, self._ms(item.start))))
            if self.config.interrupts:
                actions.append(InterruptReply())
        if (self.needs_words or self.config.transcription is not None) and not item.opened:
            item.opened = True
            actions.append(OpenItem(item.id))
        return actions

    def _stop_speech(self, at: int) -> list[Action]:
        item = self._current_item()
        actions = self._feed(at)
        self._speaking = False
        if self.config.turn_detection is None:
            return [*actions, PauseItem(item.id)] if item.opened else actions
        actions += [SendEvent(wire.speech_stopped(item.id, self._ms(at))), *self._commit_item(item, at)]
        if self.config.answers_turns:
            actions.append(Respond(item.id))
        return actions

    def _check_limits(self) -> list[Action]:
        """Commit a turn that is too long, or trigger the idle timeout."""
        if self.config.turn_detection is None:
            return []
        item, rate_hz = self._item, self.config.rate_hz
        if item is not None and self._analysed_until - item.start >= MAX_BUFFERED_S * rate_hz:
            events = [SendEvent(wire.speech_stopped(item.id, self._ms(self._analysed_until)))] if item.announced else []
            return [*self._feed(self._analysed_until), *events, *self._commit_item(item, self._analysed_until)]
        if item is not None:
            return []
        silence = self._idle_timeout.expire(self._analysed_until, self.config.idle_timeout_ms, rate_hz)
        return self._time_out(*silence) if silence is not None else []

    def _time_out(self, start: int, end: int) -> list[Action]:
        item = self._current_item()
        item.start = start
        event = timeout_triggered(item.id, self._ms(item.start), self._ms(end))
        return [SendEvent(event), *self._commit_item(item, end), Respond(item.id)]

    def _commit_item(self, item: _Item, end: int) -> list[Action]:
        self._idle_timeout.end()
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
        self._start_next_item(end)
        return actions

    def _start_next_item(self, at: int) -> None:
        """Audio from ``at`` on belongs to the next item."""
        self._item, self._speaking, self._uncommitted_from = None, False, at
        if self._endpointer is not None:
            self._endpointer.cut(at)

    def _current_item(self) -> _Item:
        if self._item is None:
            self._item = _Item(self._new_item_id(), self._uncommitted_from)
        return self._item

    def _feed(self, end: int) -> list[Action]:
        item = self._item
        if not self._speaking or item is None or not item.opened or end <= self._fed_until:
            return []
        pcm = self._buffer.between(self._fed_until, end)
        self._fed_until = end
        return [FeedItem(item.id, pcm)]

    def _trim_buffer(self) -> None:
        """Discard audio that no item can need any more."""
        if self.config.turn_detection is not None and self._item is None:
            oldest = self.received - _SILENCE_KEPT_S * self.config.rate_hz
            self._uncommitted_from = max(self._uncommitted_from, oldest)
        # A commit needs at least 100 ms, even if the item started later.
        oldest_needed = (
            self._uncommitted_from
            if self._item is None
            else min(self._item.start, self.received - self._min_commit_samples)
        )
        self._buffer.discard(oldest_needed)

    def _change_endpointer(self, *, detected: bool) -> None:
        """Replace the detector. A detected turn continues if turn detection stays on.

        Args:
            detected: Turn detection was on before the update.
        """
        continues = self._speaking and detected
        start = max(0, self._analysed_until - ONSET_FRAMES * self._frame) if continues else self._analysed_until
        self._endpointer = self._new_endpointer(start)
        self._endpointer.cut(self._uncommitted_from)
        self._speaking = continues
        for _ in range(ONSET_FRAMES if continues else 0):
            self._endpointer.push(1.0)

    def _new_endpointer(self, start: int) -> Endpointer | SemanticEndpointer:
        settings = self.config.turn_detection or _MANUAL
        if settings["type"] == "semantic_vad":
            return SemanticEndpointer(self._frame, self.config.rate_hz, settings["eagerness"], start)
        return Endpointer(
            self._frame,
            self.config.rate_hz,
            threshold=settings["threshold"],
            silence_ms=settings["silence_duration_ms"],
            prefix_ms=settings["prefix_padding_ms"],
            start=start,
        )

    @property
    def _min_commit_samples(self) -> int:
        return to_samples(MIN_TURN_MS, self.config.rate_hz)

    def _ms(self, samples: int) -> int:
        return to_ms(samples, self.config.rate_hz)


def _detector_settings(config: SessionConfig) -> dict[str, object] | None:
    """The turn detection settings that the detector uses."""
    detection = config.turn_detection
    reply_fields = {"create_response", "interrupt_response", "idle_timeout_ms"}
    return None if detection is None else {name: value for name, value in detection.items() if name not in reply_fields}
