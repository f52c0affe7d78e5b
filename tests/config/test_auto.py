"""What ``auto`` stands for: configured values win, defaults depend on source and endpoint."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from rt_cli.settings import auto

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("configured", "live", "speed", "expected"),
    [
        (None, True, 1.0, (40, 1000)),
        (None, True, math.inf, (40, 1000)),
        (None, False, 1.0, (100, 1000)),
        (None, False, 0.5, (100, 1000)),
        (None, False, 1.5, (500, 1000)),
        (None, False, math.inf, (500, 1000)),
        (20, True, 1.0, (20, 20)),
        (20, False, math.inf, (20, 20)),
    ],
)
def test_chunks(configured: int | None, live: bool, speed: float, expected: tuple[int, int]) -> None:  # noqa: FBT001
    """Short where somebody waits for the words, long where throughput counts."""
    assert auto.chunk_ms(configured, live=live, speed=speed) == expected


@pytest.mark.parametrize(
    ("decide", "usual", "embedded"),
    [(auto.speed, 1.0, math.inf), (auto.catch_up, 2.0, math.inf), (auto.drain_timeout_s, 10.0, 60.0)],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_values_that_depend_on_the_endpoint(decide: Callable[..., float], usual: float, embedded: float) -> None:
    """The embedded endpoint has no pace of its own, but shares this machine."""
    assert decide(None, embedded=False) == usual
    assert decide(None, embedded=True) == embedded
    assert decide(3.5, embedded=False) == decide(3.5, embedded=True) == 3.5


def test_longest_outage() -> None:
    """A live source waits longer: its sound cannot be had again."""
    assert auto.retry_for_s(None, live=True) == 600
    assert auto.retry_for_s(None, live=False) == 120
    assert auto.retry_for_s(0, live=True) == auto.retry_for_s(0, live=False) == 0
