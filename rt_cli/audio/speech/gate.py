"""Which stretches of the timeline are sent, where not all of it is: those near speech, or those that were asked for.

Pure. Positions are samples on the timeline. What is known only grows: where it was said that nothing is to be sent,
nothing will be.
"""

from __future__ import annotations

from msgspec import Struct

from rt_cli.audio.format import to_samples
from rt_cli.audio.speech.endpointing import ONSET_FRAMES, Endpointer, SpeechStarts

PRE_ROLL_MS = 300
"""Sound kept from before the start of speech at least, so that the first word is whole."""
HANG_MS = 500
"""Sound kept after the silence that ends a turn, so that an endpoint hears that silence, too."""
LONGEST_THOUGHT_MS = 8000
"""How long an endpoint that goes by meaning may wait in silence for the rest of a sentence."""
_MARGIN_MS = 200
"""More pre-roll than the endpoint keeps, whose detector may hear the same speech a little earlier than ours."""
_CAUTION = 0.6
"""Share of the endpoint's threshold that opens the gate: what it might hear as speech, it must get."""


class SendRange(Struct, frozen=True):
    """Sound that is sent, or sound that is not."""

    sent: bool
    until: int
    """As far as that is known."""
    ends: bool
    """The other kind begins there."""


class SendRanges:
    """The stretches that are sent; kept until they are settled, for a replay.

    Args:
        start: Timeline position at which the run begins.
    """

    def __init__(self, start: int = 0) -> None:
        self.known = start
        """Position up to which it is decided."""
        self.left_out = 0
        """Samples that were not sent; a replay counts nothing twice."""
        self._reach = start
        self._send_ranges: list[tuple[int, int | None]] = []
        self._closed = start

    @property
    def is_open(self) -> bool:
        """Whether what comes is sent."""
        return bool(self._send_ranges) and self._send_ranges[-1][1] is None

    def open(self, at: int) -> int:
        """Send from ``at`` on, but nothing that was decided otherwise; returns from where. Idempotent while open."""
        if not self.is_open:
            self._send_ranges.append((max(at, self.known, self._closed), None))
        return self._send_ranges[-1][0]

    def close(self, at: int) -> int:
        """Send up to ``at``, which may lie ahead, and nothing that follows; returns up to where."""
        if self.is_open:
            start, _ = self._send_ranges[-1]
            self._closed = max(at, self.known, start)
            self._send_ranges[-1] = (start, self._closed)
        return self._closed

    def decided(self, to: int) -> None:
        """Everything before ``to`` is decided."""
        self.known = max(self.known, to)

    def at(self, position: int) -> SendRange:
        """What is to be done with the sound from ``position`` on."""
        for start, end in self._send_ranges:
            if end is None or end > position:
                edge = start if position < start else end
                return SendRange(position >= start, min(edge or self.known, self.known), edge is not None)
        return SendRange(sent=False, until=self.known, ends=False)

    def unsent(self, start: int, end: int) -> list[tuple[int, int]]:
        """The parts of a range that are not sent, in order, as far as that is known."""
        parts, position = [], start
        while position < min(end, self.known):
            send_range = self.at(position)
            if not send_range.sent:
                parts.append((position, min(send_range.until, end)))
            position = send_range.until
        return parts

    def leave_out(self, start: int, end: int) -> None:
        """This much is not sent."""
        self.left_out += max(0, end - max(start, self._reach))
        self._reach = max(self._reach, end)

    def forget(self, settled: int) -> None:
        """Drop the send_ranges that no replay can meet again."""
        while self._send_ranges and (self._send_ranges[0][1] or settled + 1) <= settled:
            self._send_ranges.pop(0)


class Gate:
    """Opens send_ranges around speech.

    Args:
        send_ranges: To open and close.
        frame_samples: Length of a frame.
        rate_hz: Of the audio.
        threshold: Probability from which the endpoint takes a frame for speech; the gate is more cautious.
        silence_ms: Silence that ends a turn for the endpoint.
        prefix_ms: Audio before the onset that the endpoint takes into a turn.
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
        self._undecided = to_samples(before_ms, rate_hz) + ONSET_FRAMES * frame_samples
        self._endpointer = Endpointer(
            frame_samples,
            rate_hz,
            threshold=_CAUTION * threshold,
            silence_ms=silence_ms + HANG_MS,
            prefix_ms=before_ms,
            start=send_ranges.known,
        )

    def push(self, probability: float, _level_dbfs: float) -> None:
        """Take the next frame: the probability of speech in it, and its level, which says nothing here."""
        self._position += self._frame
        match self._endpointer.push(probability):
            case SpeechStarts(at):
                self._send_ranges.open(at)
            case None:
                pass
            case stops:
                self._send_ranges.close(stops.at)
        # Silence is sent after all if speech follows soon.
        self._send_ranges.decided(self._position - (0 if self._send_ranges.is_open else self._undecided))
