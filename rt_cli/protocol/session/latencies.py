"""How long finals took. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.protocol.session.turn_list import Turn

_MOST = 20_000


class Latencies:
    """Times from the end of speech to the final.

    Args:
        captured_at: Returns when the sample at a timeline position was captured, seconds; None if unknown.
    """

    def __init__(self, captured_at: Callable[[int], float | None]) -> None:
        self.newest_ms: list[int] = []
        """Those of the newest finals, milliseconds."""
        self._captured_at = captured_at

    def measure(self, turn: Turn, now: float) -> int | None:
        """Return the milliseconds from the end of speech to ``now``, seconds; None if that end is unknown."""
        end = None if turn.approx else turn.speech_end
        captured_at = None if end is None else self._captured_at(max(end, turn.start or 0))
        if captured_at is None:
            return None
        latency_ms = max(0, round((now - captured_at) * 1000))
        self.newest_ms.append(latency_ms)
        del self.newest_ms[:-_MOST]
        return latency_ms
