"""The offsets of speech events: believed only while they grow, and all audio is taken. Pure.

OpenAI counts from the start of the session's audio. Known servers count from the start of the current buffer, which
restarts with every turn (Speaches), or send wall clock time (LocalAI).
"""

from __future__ import annotations

from rt_cli.audio.format import to_samples

USUAL_PREFIX_MS = 300
"""Prefix padding of most servers: a turn begins so long before its speech, perhaps in the silence of the one before."""
_FRAMES_MS = 200
"""A turn may begin so much earlier than that: servers detect speech in frames."""
_AHEAD_MS = 100
"""An offset may be so far beyond the audio that was sent: servers round to their frames."""
_SHORTEST_MS = 60
"""No turn is shorter: its speech, and the silence after it, take longer."""
_ON_TIME = 3
"""So many events in a row that move with the time, but not with the audio, are those of a clock."""
_JITTER_MS = 50
"""Events of an endpoint that reads a clock come by so much earlier or later."""


class Offsets:
    """Converts offsets of one connection to samples of that connection.

    Args:
        rate_hz: Sample rate on the wire.
        prefix_ms: Prefix padding, milliseconds.
    """

    def __init__(self, rate_hz: int, prefix_ms: float = USUAL_PREFIX_MS) -> None:
        self.prefix_ms = prefix_ms
        """Turns overlap by little more than this."""
        self.restart = False
        """Offsets count from the last commit."""
        self.clock = False
        """Offsets are the time of a clock, not of the audio: none is believed."""
        self.refused = False
        """Audio of this connection was refused, and nobody knows whether its offsets count it: none is believed."""
        self.grows = False
        """Offsets count from the start: counted from the last commit, they would be beyond the audio that was sent."""
        self._rate_hz = rate_hz
        self._ahead = to_samples(_AHEAD_MS, rate_hz)
        self._shortest = to_samples(_SHORTEST_MS, rate_hz)
        self._base = self._base_end = 0
        """Wire sample of the last commit, and of the end of the last turn, if offsets count from the last commit."""
        self._start = self._end = 0
        """Wire sample at which the last turn began and ended."""
        self._last: tuple[float, float, float] | None = None
        """The last event: its offset, its arrival, and the length of the audio sent before it, milliseconds."""
        self._on_time = 0
        """Number of events in a row that came when a clock would have let them come."""

    def next_connection(self) -> Offsets:
        """Offsets of a new connection to the same endpoint."""
        offsets = Offsets(self._rate_hz, self.prefix_ms)
        offsets.restart, offsets.grows, offsets.clock = self.restart, self.grows, self.clock
        return offsets

    def start(self, offset_ms: int, sent: int, now: float) -> int | None:
        """Convert the start of a turn.

        Args:
            offset_ms: As the endpoint says, milliseconds.
            sent: Samples sent on this connection.
            now: Seconds.

        Returns:
            A wire sample; None if the offset cannot be true.
        """
        self._note_clock(offset_ms, sent, now)
        overlap = to_samples(self.prefix_ms + _FRAMES_MS, self._rate_hz)
        start = self._wire(to_samples(offset_ms, self._rate_hz), self._end - overlap, sent)
        self._start = start or 0
        return start

    def end(self, offset_ms: int, sent: int, now: float) -> int | None:
        """Convert the end of a turn; arguments and result as for :meth:`start`."""
        self._note_clock(offset_ms, sent, now, shortest_ms=_SHORTEST_MS)
        offset = to_samples(offset_ms, self._rate_hz)
        # Where the end is the first to show a restart, the start was taken for one that grows.
        end = self._wire(offset, self._end, sent)
        self._base_end = min(self._base + offset, sent)
        earliest = max(self._base if self.restart else 0, self._start, self._end)
        if end is None or end < earliest + self._shortest:
            return None
        self._end = max(self._end, end)
        return end

    def committed(self, wire: int | None) -> None:
        """Note a commit: ours at a wire sample, or the endpoint's at the end of its turn (None)."""
        if wire is not None:
            self._end = max(self._end, wire)
        self._base = max(self._base, self._base_end if wire is None else wire)
        self._start = 0

    def _note_clock(self, offset_ms: int, sent: int, now: float, shortest_ms: int = 0) -> None:
        """Note whether the offset moves with the time, although the audio was sent faster or slower."""
        before, self._last = self._last, (offset_ms, now * 1000, sent * 1000 / self._rate_hz)
        if before is None:
            return
        moved, passed, fed = (new - old for new, old in zip(self._last, before, strict=True))
        on_time = abs(moved - passed) <= _JITTER_MS
        self._on_time = self._on_time + 1 if on_time and abs(fed - passed) > 2 * _JITTER_MS else 0
        self.clock = self.clock or self._on_time >= _ON_TIME or (on_time and 0 <= moved < shortest_ms)

    def _wire(self, offset: int, earliest: int, sent: int) -> int | None:
        """Return the wire sample of an offset that, if it grows, is ``earliest`` or later."""
        latest = sent + self._ahead
        if self.clock or self.refused or offset > latest:
            return None
        if not self.restart and offset < earliest:
            if self.grows:
                return None
            # The last turn may have ended without a commit.
            self.restart, self._base = True, max(self._base, self._base_end)
        wire = offset + self._base
        if self.restart:
            return min(wire, sent) if wire <= latest else None
        self.grows = self.grows or wire > latest
        return min(offset, sent)
