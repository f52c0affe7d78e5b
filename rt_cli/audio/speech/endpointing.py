"""Where speech starts and stops, and where a turn ends: from probabilities to positions. Pure.

Two machines, for two ends of the wire: the :class:`Endpointer` is what an endpoint with server VAD does, the
:class:`TurnDetector` is how ``rt`` makes turns for an endpoint that has none. Positions are samples.
"""

from __future__ import annotations

from msgspec import Struct

from rt_cli.audio.format import SILENCE_DBFS, to_samples

ONSET_FRAMES = 2
"""Frames of speech in a row that start a turn: a click is one."""
MIN_TURN_MS = 100
"""What endpoints refuse to take less of."""
SHORTEST_MAX_TURN_S = 0.5
"""Less leaves no room for an onset and a turn worth sending."""
_HYSTERESIS = 0.15
_LULL_DB = 15.0
"""How far below the level of its speech a frame of a long turn must be to count as a gap between words."""
_MEMORY = 0.05
"""Weight of a new frame in the running level of speech: about 20 frames, 0.6 s."""


class SpeechStarts(Struct, frozen=True):
    """Somebody began to speak."""

    at: int
    """First sample of the turn: the onset minus the prefix padding."""


class SpeechStops(Struct, frozen=True):
    """Nobody has spoken for the silence that ends a turn."""

    at: int
    """End of the turn, that silence included, as OpenAI's ``audio_end_ms`` counts it."""


class TurnOpens(Struct, frozen=True):
    """Speech has begun: what is sent from here on belongs to a turn."""

    at: int
    """First sample of the turn: the onset minus the prefix padding, never before the end of the turn before."""


class TurnCloses(Struct, frozen=True):
    """The turn is to be committed here."""

    at: int
    """The sample after its last."""


class _Runs:
    """How many frames in a row were speech, or were not."""

    def __init__(self, frame_samples: int, threshold: float, start: int) -> None:
        self.position = start
        self.speech = 0
        self.quiet = 0
        self._frame = frame_samples
        self._on = threshold
        # Half the threshold where the hysteresis would leave nothing below it.
        self._off = max(threshold - _HYSTERESIS, threshold / 2)

    def push(self, probability: float) -> None:
        self.position += self._frame
        self.speech = self.speech + 1 if probability >= self._on else 0
        self.quiet = self.quiet + 1 if probability < self._off else 0

    def onset(self) -> int | None:
        """Where the present speech began, once there is enough of it."""
        return self.position - self.speech * self._frame if self.speech >= ONSET_FRAMES else None


class Endpointer:
    """Server VAD: speech starts, speech stops.

    Args:
        frame_samples: Length of a frame.
        rate_hz: Of the audio.
        threshold: Probability from which a frame is speech; it is silence from 0.15 below that.
        silence_ms: Silence that ends a turn; rounded up to whole frames, at least one.
        prefix_ms: Audio before the onset that belongs to the turn.
        start: Position of the first frame.
    """

    def __init__(
        self, frame_samples: int, rate_hz: int, *, threshold: float, silence_ms: float, prefix_ms: float, start: int = 0
    ) -> None:
        self._runs = _Runs(frame_samples, threshold, start)
        self._silence = _whole_frames(silence_ms, rate_hz, frame_samples)
        self._prefix = to_samples(prefix_ms, rate_hz)
        self._previous_end = start
        self._speaking = False

    def push(self, probability: float) -> SpeechStarts | SpeechStops | None:
        """Take the probability of the next frame."""
        self._runs.push(probability)
        if self._speaking:
            return self._stop() if self._runs.quiet >= self._silence else None
        onset = self._runs.onset()
        if onset is None:
            return None
        self._speaking = True
        return SpeechStarts(max(onset - self._prefix, self._previous_end))

    def _stop(self) -> SpeechStops:
        # A cut by hand may lie ahead of the frames seen so far.
        self.cut(self._runs.position)
        return SpeechStops(self._previous_end)

    def cut(self, at: int) -> None:
        """A turn was ended by hand at ``at`` (a commit or a clear): what is said from there on starts another."""
        self._previous_end = max(self._previous_end, at)
        self._speaking = False


class TurnDetector:
    """Turns for an endpoint that makes none.

    A turn closes after ``silence_ms`` of silence. Past half of ``max_turn_s`` less and less silence will do, and a gap
    between words (a frame far quieter than the speech around it) counts as silence; at ``max_turn_s`` it closes
    whatever is said. What was sent cannot be cut in the past, so a turn always closes at the end of the latest frame.

    Args:
        frame_samples: Length of a frame.
        rate_hz: Of the audio.
        threshold: Probability from which a frame is speech; it is silence from 0.15 below that.
        silence_ms: Silence that ends a turn; rounded up to whole frames, at least one.
        prefix_ms: Audio before the onset that belongs to the turn, at most half of ``max_turn_s``.
        max_turn_s: No turn is longer; :data:`SHORTEST_MAX_TURN_S` or more.
        start: Position of the first frame.

    Raises:
        ValueError: ``max_turn_s`` leaves no room for a turn.
    """

    def __init__(
        self,
        frame_samples: int,
        rate_hz: int,
        *,
        threshold: float,
        silence_ms: float,
        prefix_ms: float,
        max_turn_s: float,
        start: int = 0,
    ) -> None:
        if max_turn_s < SHORTEST_MAX_TURN_S:
            raise ValueError(f"max_turn_s must be at least {SHORTEST_MAX_TURN_S}")
        self._runs = _Runs(frame_samples, threshold, start)
        self._frame = frame_samples
        self._silence = _whole_frames(silence_ms, rate_hz, frame_samples)
        self._shortest = to_samples(MIN_TURN_MS, rate_hz)
        self._longest = to_samples(max_turn_s * 1000, rate_hz)
        self._prefix = min(to_samples(prefix_ms, rate_hz), self._longest // 2)
        self._previous_end = start
        self._opened: int | None = None
        self._lull = 0
        self._speech_dbfs = SILENCE_DBFS

    def push(self, probability: float, level_dbfs: float) -> list[TurnOpens | TurnCloses]:
        """Take the next frame.

        Args:
            probability: Of speech, 0..1.
            level_dbfs: RMS of the frame.
        """
        self._runs.push(probability)
        if self._opened is None:
            return self._open(level_dbfs)
        self._listen(level_dbfs)
        return [self._close(self._runs.position)] if self._ends(self._runs.position - self._opened) else []

    def finish(self, at: int) -> TurnCloses | None:
        """Close the open turn, if there is one, at the end of the input.

        Args:
            at: Position of the end; frames not completed included.

        Returns:
            Where to commit: never less than 100 ms after the opening, so it may lie beyond ``at`` by as much silence as
            the caller has to add.
        """
        if self._opened is None:
            return None
        return self._close(max(at, self._opened + self._shortest))

    def _open(self, level_dbfs: float) -> list[TurnOpens | TurnCloses]:
        onset = self._runs.onset()
        if onset is None:
            return []
        self._opened = max(onset - self._prefix, self._previous_end)
        self._lull = 0
        self._speech_dbfs = level_dbfs
        return [TurnOpens(self._opened)]

    def _listen(self, level_dbfs: float) -> None:
        """Follow the level of speech, and count frames far below it."""
        gap = level_dbfs <= self._speech_dbfs - _LULL_DB
        self._lull = self._lull + 1 if gap or self._runs.quiet else 0
        if self._runs.speech:
            self._speech_dbfs += _MEMORY * (level_dbfs - self._speech_dbfs)

    def _ends(self, length: int) -> bool:
        if length < self._shortest:
            return False
        if length + self._frame > self._longest:
            return True
        half = self._longest / 2
        if length <= half:
            return self._runs.quiet >= self._silence
        return self._lull >= max(1.0, self._silence * (self._longest - length) / half)

    def _close(self, at: int) -> TurnCloses:
        self._previous_end = at
        self._opened = None
        return TurnCloses(at)


def _whole_frames(ms: float, rate_hz: int, frame_samples: int) -> int:
    return max(1, -(-to_samples(ms, rate_hz) // frame_samples))
