"""The offsets of speech events: believed only while they grow. Pure.

OpenAI counts from the start of the session's audio. Known servers count from the start of the current buffer, which
restarts with every turn (Speaches), or send wall clock time (LocalAI).
"""

from __future__ import annotations

from rt_cli.audio.format import to_samples

_OVERLAP_MS = 500
"""A turn may begin so long before the end of the one before it: its prefix padding lies in the other's silence."""
_AHEAD_MS = 100
"""An offset may be so far beyond the audio that was sent: servers round to their frames."""

_SHORTEST_MS = 30
"""No turn is shorter: such an offset stands still, or has another unit."""


class Offsets:
    """Converts offsets of one connection to samples of that connection.

    Args:
        rate_hz: Sample rate on the wire.
        overlap_ms: By how much a turn may overlap the one before it.
        restart: The endpoint is known to count from the start of the buffer.
    """

    def __init__(self, rate_hz: int, overlap_ms: int = _OVERLAP_MS, *, restart: bool = False) -> None:
        self.restart = restart
        """Offsets count from the last commit."""
        self._rate_hz = rate_hz
        self._overlap_ms = overlap_ms
        self._overlap = to_samples(overlap_ms, rate_hz)
        self._ahead = to_samples(_AHEAD_MS, rate_hz)
        self._shortest = to_samples(_SHORTEST_MS, rate_hz)
        self._base = 0
        """Wire sample of the last commit."""
        self._end = 0
        """Wire sample at which the last turn ended."""
        self._start: int | None = None

    def next_connection(self) -> Offsets:
        """Offsets of a new connection to the same endpoint."""
        return Offsets(self._rate_hz, self._overlap_ms, restart=self.restart)

    def start(self, offset_ms: int, sent: int) -> int | None:
        """Convert the start of a turn.

        Args:
            offset_ms: As the endpoint says, milliseconds.
            sent: Samples sent on this connection.

        Returns:
            A wire sample; None if the offset cannot be true.
        """
        offset = to_samples(offset_ms, self._rate_hz)
        if not self.restart and offset < self._end - self._overlap:
            self._note_restart()
        self._start = self._possible(offset + (self._base if self.restart else 0), sent)
        return self._start

    def end(self, offset_ms: int, sent: int) -> int | None:
        """Convert the end of a turn; arguments and result as for :meth:`start`."""
        offset = to_samples(offset_ms, self._rate_hz)
        if not self.restart and offset < self._end:
            # The start was taken for one that grows: it was not.
            self._note_restart()
        end = self._possible(offset + (self._base if self.restart else 0), sent)
        earliest = max(self._base if self.restart else 0, self._start or 0, self._end)
        if end is None or end < earliest + self._shortest:
            return None
        self._end = max(self._end, end)
        return end

    def committed(self, wire: int | None) -> None:
        """Note a commit: ours at a wire sample, or the endpoint's at the end of its turn (None)."""
        self._base = max(self._base, self._end if wire is None else wire)
        self._end = max(self._end, self._base if wire is not None else 0)
        self._start = None

    def _note_restart(self) -> None:
        self.restart = True
        self._base = max(self._base, self._end)

    def _possible(self, wire: int, sent: int) -> int | None:
        return min(wire, sent) if wire <= sent + self._ahead else None
