"""Which ranges of the timeline are sent, if not all of it: those near speech, or those of push-to-talk. Pure.

Positions are samples on the timeline. A decision is final: a range that is decided as not sent stays so.
"""

from __future__ import annotations

from msgspec import Struct

from rt_cli.audio.format import to_samples
from rt_cli.audio.speech.endpointing import ONSET_FRAMES, Endpointer, SpeechStarts

PRE_ROLL_MS = 300
"""Least audio that is sent from before the start of speech, so that the first word is complete."""
HANG_MS = 500
"""Audio that is sent after the silence that ends a turn, so that the endpoint detects this silence too."""
LONGEST_THOUGHT_MS = 8000
"""Longest silence for which an endpoint with semantic VAD may wait for the rest of a sentence."""
_MARGIN_MS = 200
"""Added to the prefix of the endpoint, whose detector may find the same speech a little earlier than ours."""
_THRESHOLD_FACTOR = 0.6
"""The threshold of the gate, relative to that of the endpoint. It is lower, so that all possible speech is sent."""


class SendRange(Struct, frozen=True):
    """A range of audio that is either sent or not sent."""

    sent: bool
    until: int
    """End of the range, as far as it is decided."""
    ends: bool
    """True if a range of the other kind starts at ``until``."""


class SendRanges:
    """The ranges that are sent. They are kept until they are settled, for a replay on a new connection.

    Args:
        start: Timeline position at which the run starts.
    """

    def __init__(self, start: int = 0) -> None:
        self.known = start
        """Position up to which it is decided what is sent."""
        self.left_out = 0
        """Samples not sent. A replay does not count them again."""
        self._counted_to = start
        self._send_ranges: list[tuple[int, int | None]] = []
        self._closed = start

    @property
    def is_open(self) -> bool:
        """True if new audio is sent."""
        return bool(self._send_ranges) and self._send_ranges[-1][1] is None

    def open(self, at: int) -> int:
        """Start a range at ``at``, or later if more is decided; return its start. Idempotent while open."""
        if not self.is_open:
            self._send_ranges.append((max(at, self.known, self._closed), None))
        return self._send_ranges[-1][0]

    def close(self, at: int) -> int:
        """End the open range at ``at``, which may be in the future, or later if more is decided; return its end."""
        if self.is_open:
            start, _ = self._send_ranges[-1]
            self._closed = max(at, self.known, start)
            self._send_ranges[-1] = (start, self._closed)
        return self._closed

    def decided(self, to: int) -> None:
        """Mark everything before ``to`` as decided."""
        self.known = max(self.known, to)

    def at(self, position: int) -> SendRange:
        """Return the range that starts at ``position``."""
        for start, end in self._send_ranges:
            if end is None or end > position:
                edge = start if position < start else end
                return SendRange(position >= start, min(edge or self.known, self.known), edge is not None)
        return SendRange(sent=False, until=self.known, ends=False)

    def unsent(self, start: int, end: int) -> list[tuple[int, int]]:
        """List the parts of a range that are not sent, in order, as far as they are decided."""
        parts, position = [], start
        while position < min(end, self.known):
            send_range = self.at(position)
            if not send_range.sent:
                parts.append((position, min(send_range.until, end)))
            position = send_range.until
        return parts

    def leave_out(self, start: int, end: int) -> None:
        """Count a range as not sent, without the part that was already counted."""
        self.left_out += max(0, end - max(start, self._counted_to))
        self._counted_to = max(self._counted_to, end)

    def forget(self, settled: int) -> None:
        """Drop the ranges before ``settled``: no replay needs them."""
        while self._send_ranges and (self._send_ranges[0][1] or settled + 1) <= settled:
            self._send_ranges.pop(0)


class Gate:
    """Opens and closes send ranges around speech.

    Args:
        send_ranges: The ranges to open and close.
        frame_samples: Length of a frame.
        rate_hz: Of the audio.
        threshold: Probability from which the endpoint takes a frame for speech; the gate uses a lower one.
        silence_ms: Silence that ends a turn for the endpoint.
        prefix_ms: Audio before the onset that the endpoint includes in a turn.
    """

    def __init__(
        self,
        send_ranges: SendRanges,
        frame_samples: int,
        rate_hz: int,
        *,
        threshold: float,
        silence_ms: float,
        prefix_ms: float,
    ) -> None:
        before_ms = max(PRE_ROLL_MS, prefix_ms + _MARGIN_MS)
        self._send_ranges = send_ranges
        self._frame = frame_samples
        self._position = send_ranges.known
        self._lookback = to_samples(before_ms, rate_hz) + ONSET_FRAMES * frame_samples
        self._endpointer = Endpointer(
            frame_samples,
            rate_hz,
            threshold=_THRESHOLD_FACTOR * threshold,
            silence_ms=silence_ms + HANG_MS,
            prefix_ms=before_ms,
            start=send_ranges.known,
            resumed=send_ranges.known > 0,
        )

    def push(self, probability: float, _level_dbfs: float) -> None:
        """Take the next frame: its probability of speech, and its level, which the gate ignores."""
        self._position += self._frame
        match self._endpointer.push(probability):
            case SpeechStarts(at):
                self._send_ranges.open(at)
            case None:
                pass
            case stops:
                self._send_ranges.close(stops.at)
        # The last silence is undecided: the gate sends it if speech follows soon.
        self._send_ranges.decided(self._position - (0 if self._send_ranges.is_open else self._lookback))
