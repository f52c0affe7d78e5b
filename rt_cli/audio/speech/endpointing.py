"""From speech probabilities to the positions where speech starts and stops and where turns end. Pure.

The :class:`Endpointer` does what an endpoint with server VAD does. The :class:`TurnDetector` makes turns in ``rt`` for
an endpoint without turn detection. Positions are samples.
"""

from __future__ import annotations

from msgspec import Struct

from rt_cli.audio.format import SILENCE_DBFS, to_samples

ONSET_FRAMES = 2
"""Consecutive speech frames that start a turn. A click is one frame long."""
MIN_TURN_MS = 100
"""Shortest turn: endpoints refuse a commit of less audio."""
SHORTEST_MAX_TURN_S = 0.5
"""Smallest ``max_turn_s``: a shorter one has no room for an onset and a turn of useful length."""
_HYSTERESIS = 0.15
_GAP_DB = 15.0
"""In a long turn, a frame this far below the level of the speech counts as a gap between words."""
_LEVEL_WEIGHT = 0.05
"""Weight of a new frame in the running level of speech: about 20 frames, 0.6 s."""
_HORIZON_FRAMES = 8
"""How far ahead the earliest close is looked for: farther than audio is captured before its frame is analysed."""


class SpeechStarts(Struct, frozen=True):
    """Speech has started."""

    at: int
    """First sample of the turn: the onset minus the prefix padding."""


class SpeechStops(Struct, frozen=True):
    """Speech has stopped: the silence has reached its configured length."""

    at: int
    """End of the turn including that silence, as in OpenAI's ``audio_end_ms``."""


class TurnOpens(Struct, frozen=True):
    """A turn has started: the audio from here on belongs to the turn."""

    at: int
    """First sample of the turn: the onset minus the prefix padding, but not before the end of the previous turn."""


class TurnCloses(Struct, frozen=True):
    """The turn has ended: commit it here."""

    at: int
    """Position after the last sample of the turn."""


class _Runs:
    """Counts consecutive frames of speech and of silence."""

    def __init__(self, frame_samples: int, threshold: float, start: int, *, resumed: bool) -> None:
        self.position = start
        self.speech = ONSET_FRAMES - 1 if resumed else 0
        self.quiet = 0
        self._frame = frame_samples
        self._on = threshold
        # For a low threshold, half of it: the hysteresis would leave no probability that counts as silence.
        self._off = max(threshold - _HYSTERESIS, threshold / 2)

    def push(self, probability: float) -> None:
        self.position += self._frame
        self.speech = self.speech + 1 if probability >= self._on else 0
        self.quiet = self.quiet + 1 if probability < self._off else 0

    def onset(self) -> int | None:
        """Start of the current speech, or None if it is shorter than ``ONSET_FRAMES``."""
        return self.position - self.speech * self._frame if self.speech >= ONSET_FRAMES else None


class Endpointer:
    """Server VAD: detects where speech starts and stops.

    Args:
        frame_samples: Length of a frame.
        rate_hz: Of the audio.
        threshold: Probability from which a frame is speech; it is silence from 0.15 below that.
        silence_ms: Silence that ends a turn; rounded up to whole frames, at least one.
        prefix_ms: Audio before the onset that belongs to the turn.
        start: Position of the first frame.
        resumed: The audio before ``start`` may end within a word: one frame of speech at ``start`` is an onset.
    """

    def __init__(
        self,
        frame_samples: int,
        rate_hz: int,
        *,
        threshold: float,
        silence_ms: float,
        prefix_ms: float,
        start: int = 0,
        resumed: bool = False,
    ) -> None:
        self._runs = _Runs(frame_samples, threshold, start, resumed=resumed)
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
        # A manual cut may be ahead of the frames pushed so far.
        self.cut(self._runs.position)
        return SpeechStops(self._previous_end)

    def cut(self, at: int) -> None:
        """End the turn at ``at`` for a manual commit or clear. Later speech starts a new turn."""
        self._previous_end = max(self._previous_end, at)
        self._speaking = False


class TurnDetector:
    """Detects turns for an endpoint without turn detection.

    A turn closes after ``silence_ms`` of silence. After half of ``max_turn_s`` the necessary silence gets shorter and
    shorter, and a gap between words (a frame far quieter than the speech around it) counts as silence. At
    ``max_turn_s`` the turn closes even during speech. A turn always closes at the end of the latest frame, because
    audio that was already sent cannot be split.

    Args:
        frame_samples: Length of a frame.
        rate_hz: Of the audio.
        threshold: Probability from which a frame is speech; it is silence from 0.15 below that.
        silence_ms: Silence that ends a turn; rounded up to whole frames, at least one.
        prefix_ms: Audio before the onset that belongs to the turn, at most half of ``max_turn_s``.
        max_turn_s: Longest turn; at least :data:`SHORTEST_MAX_TURN_S`.
        start: Position of the first frame.
        resumed: The audio before ``start`` may end within a word: one frame of speech at ``start`` opens a turn.

    Raises:
        ValueError: ``max_turn_s`` is too small.
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
        resumed: bool = False,
    ) -> None:
        if max_turn_s < SHORTEST_MAX_TURN_S:
            raise ValueError(f"max_turn_s must be at least {SHORTEST_MAX_TURN_S}")
        self._runs = _Runs(frame_samples, threshold, start, resumed=resumed)
        self._frame = frame_samples
        self._silence = _whole_frames(silence_ms, rate_hz, frame_samples)
        self._shortest = to_samples(MIN_TURN_MS, rate_hz)
        self._longest = to_samples(max_turn_s * 1000, rate_hz)
        self._prefix = min(to_samples(prefix_ms, rate_hz), self._longest // 2)
        self._previous_end = start
        self._turn_start: int | None = None
        self._gap_frames = 0
        self._speech_dbfs = SILENCE_DBFS

    def push(self, probability: float, level_dbfs: float) -> list[TurnOpens | TurnCloses]:
        """Take the next frame.

        Args:
            probability: Probability of speech, 0..1.
            level_dbfs: RMS level of the frame.
        """
        self._runs.push(probability)
        if self._turn_start is None:
            return self._open(level_dbfs)
        self._track_level(level_dbfs)
        length = self._runs.position - self._turn_start
        return [self._close(self._runs.position)] if self._ends(length, self._runs.quiet, self._gap_frames) else []

    @property
    def earliest_close(self) -> int:
        """Position before which no further turn closes, whatever frames follow; at most 8 frames ahead.

        The frames that close a turn first are silence; if none is open, after the speech that opens it.
        """
        runs = self._runs
        start, opens_in = self._turn_start, 0
        if start is None:
            opens_in = max(1, ONSET_FRAMES - runs.speech)
            start = max(runs.position - runs.speech * self._frame - self._prefix, self._previous_end)
        for ahead in range(opens_in + 1, _HORIZON_FRAMES):
            silence = ahead - opens_in
            quiet, gap = (silence, silence) if opens_in else (runs.quiet + silence, self._gap_frames + silence)
            if self._ends(runs.position + ahead * self._frame - start, quiet, gap):
                return runs.position + ahead * self._frame
        return runs.position + _HORIZON_FRAMES * self._frame

    def finish(self, at: int) -> TurnCloses | None:
        """Close the open turn, if there is one, at the end of the input.

        Args:
            at: Position of the end, including an incomplete last frame.

        Returns:
            The position to commit at: at least 100 ms after the start of the turn. If this is after ``at``, the caller
            adds silence up to it.
        """
        if self._turn_start is None:
            return None
        return self._close(max(at, self._turn_start + self._shortest))

    def _open(self, level_dbfs: float) -> list[TurnOpens | TurnCloses]:
        onset = self._runs.onset()
        if onset is None:
            return []
        self._turn_start = max(onset - self._prefix, self._previous_end)
        self._gap_frames = 0
        self._speech_dbfs = level_dbfs
        return [TurnOpens(self._turn_start)]

    def _track_level(self, level_dbfs: float) -> None:
        """Track the level of speech, and count frames far below it."""
        gap = level_dbfs <= self._speech_dbfs - _GAP_DB
        self._gap_frames = self._gap_frames + 1 if gap or self._runs.quiet else 0
        if self._runs.speech:
            self._speech_dbfs += _LEVEL_WEIGHT * (level_dbfs - self._speech_dbfs)

    def _ends(self, length: int, quiet: int, gap: int) -> bool:
        """Whether a turn of so many samples ends after so many frames of silence, and of silence or gap."""
        if length < self._shortest:
            return False
        if length + self._frame > self._longest:
            return True
        half = self._longest / 2
        if length <= half:
            return quiet >= self._silence
        return gap >= max(1.0, self._silence * (self._longest - length) / half)

    def _close(self, at: int) -> TurnCloses:
        self._previous_end = at
        self._turn_start = None
        return TurnCloses(at)


def _whole_frames(ms: float, rate_hz: int, frame_samples: int) -> int:
    return max(1, -(-to_samples(ms, rate_hz) // frame_samples))
