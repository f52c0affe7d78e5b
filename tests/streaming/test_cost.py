"""Seconds sent and their cost."""

from __future__ import annotations

import math

import pytest

from rt_cli.events import Cost
from rt_cli.streaming.cost import Bill, Meter


def test_a_minute_costs_its_price() -> None:
    """Also in parts, and from two sources."""
    bill = Bill(0.06, "EUR", limit=0.12)
    first, second = Meter(24_000, bill), Meter(16_000, bill)
    for _ in range(60):
        first.add(24_000)
        second.add(8_000)

    assert (first.cost, second.cost) == (Cost(0.06, "EUR"), Cost(0.03, "EUR"))
    assert bill.room_s == pytest.approx(30)
    assert first.room == pytest.approx(30 * 24_000)


@pytest.mark.parametrize("bill", [Bill(), Bill(0.06), Bill(None, limit=1), Bill(0, limit=1)])
def test_without_price_or_limit_there_is_no_limit(bill: Bill) -> None:
    """The remaining seconds are infinite."""
    meter = Meter(24_000, bill)
    meter.add(10**9)

    assert meter.room == math.inf
    assert meter.sent == 10**9


def test_no_price_is_no_cost() -> None:
    """None, not a cost of zero."""
    assert Meter(24_000, Bill()).cost is None
