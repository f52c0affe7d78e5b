"""A distribution in little memory, however many values it has. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

_GROWTH = 1.01
_LEAST = 0.001
_LOG_GROWTH = math.log(_GROWTH)


@dataclass(frozen=True, slots=True)
class Percentiles:
    """By the nearest rank: values that occurred, to half a percent; the largest is exact."""

    p50: float
    p95: float
    p99: float
    max: float
    n: int
    """Of how many values. Of fewer than 20 the p95 is the largest of them, of fewer than 100 the p99."""


class Histogram:
    """Counts values in buckets that grow by one percent, as an HDR histogram does.

    Values are non-negative and may have any unit; below a thousandth all are alike.
    """

    def __init__(self) -> None:
        self.n = 0
        self._least = math.inf
        self._most = -math.inf
        self._counts: dict[int, int] = {}

    def add(self, value: float) -> None:
        """Count a value; one below zero is zero."""
        value = max(0.0, value)
        bucket = 0 if value <= _LEAST else math.ceil(math.log(value / _LEAST) / _LOG_GROWTH)
        self._counts[bucket] = self._counts.get(bucket, 0) + 1
        self.n += 1
        self._least, self._most = min(self._least, value), max(self._most, value)

    def percentile(self, share: float) -> float | None:
        """The smallest value that so large a share (0..1] of all values does not exceed; None of none."""
        rank = max(1, math.ceil(share * self.n))
        return next((value for value, reached in self._steps() if reached >= rank), None)

    def percentiles(self) -> Percentiles | None:
        """Those that are told; None of no values."""
        p50, p95, p99 = (self.percentile(share) for share in (0.5, 0.95, 0.99))
        if p50 is None or p95 is None or p99 is None:
            return None
        return Percentiles(p50, p95, p99, self._most, self.n)

    def curve(self) -> list[tuple[float, float]]:
        """Values in their order, each with the share (0..1] of all values that it is not exceeded by."""
        return [(value, reached / self.n) for value, reached in self._steps()]

    def _steps(self) -> list[tuple[float, int]]:
        steps, reached = [], 0
        for bucket in sorted(self._counts):
            reached += self._counts[bucket]
            middle = _LEAST * _GROWTH ** (bucket - 0.5) if bucket else 0.0
            # The largest is known better than its bucket.
            value = self._most if reached == self.n else middle
            steps.append((min(max(value, self._least), self._most), reached))
        return steps
