"""A distribution of any number of values in little memory. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

_GROWTH = 1.01
_LEAST = 0.001
_LOG_GROWTH = math.log(_GROWTH)


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Percentiles by the nearest rank, exact to half a percent; ``max`` is exact."""

    p50: float
    p95: float
    p99: float
    max: float
    n: int
    """The number of values. With fewer than 20 the p95 is the maximum, with fewer than 100 the p99 is."""


class Histogram:
    """Counts values in buckets that grow by one percent, as an HDR histogram does.

    Values are non-negative and have any unit. All values up to 0.001 share one bucket.
    """

    def __init__(self) -> None:
        self.n = 0
        self._least = math.inf
        self._most = -math.inf
        self._counts: dict[int, int] = {}

    def add(self, value: float) -> None:
        """Add a value. A negative value counts as zero."""
        value = max(0.0, value)
        bucket = 0 if value <= _LEAST else math.ceil(math.log(value / _LEAST) / _LOG_GROWTH)
        self._counts[bucket] = self._counts.get(bucket, 0) + 1
        self.n += 1
        self._least, self._most = min(self._least, value), max(self._most, value)

    def merge(self, other: Histogram) -> None:
        """Add all values of another histogram. Exact: the result is that of adding each value here."""
        for bucket, count in other._counts.items():
            self._counts[bucket] = self._counts.get(bucket, 0) + count
        self.n += other.n
        self._least, self._most = min(self._least, other._least), max(self._most, other._most)

    def percentile(self, share: float) -> float | None:
        """Return the smallest value that is >= this share (0..1] of all values; None without values."""
        rank = max(1, math.ceil(share * self.n))
        return next((value for value, total in self._cumulative_counts() if total >= rank), None)

    def percentiles(self) -> Percentiles | None:
        """Return the percentiles of the reports; None without values."""
        p50, p95, p99 = (self.percentile(share) for share in (0.5, 0.95, 0.99))
        if p50 is None or p95 is None or p99 is None:
            return None
        return Percentiles(p50, p95, p99, self._most, self.n)

    def curve(self) -> list[tuple[float, float]]:
        """Return ascending values, each with the share (0..1] of all values that are not larger."""
        return [(value, total / self.n) for value, total in self._cumulative_counts()]

    def _cumulative_counts(self) -> list[tuple[float, int]]:
        counts, total = [], 0
        for bucket in sorted(self._counts):
            total += self._counts[bucket]
            middle = _LEAST * _GROWTH ** (bucket - 0.5) if bucket else 0.0
            # The maximum is known exactly.
            value = self._most if total == self.n else middle
            counts.append((min(max(value, self._least), self._most), total))
        return counts
