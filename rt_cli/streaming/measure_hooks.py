"""Hooks for measurements that need more detail than the events of a run."""

from __future__ import annotations

from typing import Protocol


class MeasureHooks(Protocol):
    """Callbacks of one run, on the event loop, for every chunk. They must return at once and must not raise."""

    def opened(self) -> None:
        """The handshake of a connection has succeeded."""
        ...

    def sent(self, end: int) -> None:
        """Audio up to timeline position ``end`` is written to the connection; called again after a replay."""
        ...

    def round_trip(self, seconds: float) -> None:
        """A pong arrived ``seconds`` after its ping."""
        ...

    def heard_at(self, position: int) -> float | None:
        """Return when the sample at ``position`` was captured, seconds; None if unknown. Latencies start there."""
        ...
