"""Where a run can be looked at more closely than its events tell, by who measures it."""

from __future__ import annotations

from typing import Protocol


class MeasureHooks(Protocol):
    """Told synchronously on the event loop, of every chunk; must return at once and must not raise."""

    def opened(self) -> None:
        """The handshake of a connection has succeeded."""
        ...

    def sent(self, end: int) -> None:
        """Sound up to this position of the timeline is written; again after a replay."""
        ...

    def round_trip(self, seconds: float) -> None:
        """A pong came so long after its ping."""
        ...

    def heard_at(self, position: int) -> float | None:
        """When a sample was heard by who measures, seconds: final latencies are counted from then; None if unknown."""
        ...
