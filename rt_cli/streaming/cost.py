"""Seconds of audio sent, their cost, and the cost limit. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rt_cli.events import Cost

if TYPE_CHECKING:
    from rt_cli.settings import Settings


class Bill:
    """Audio sent and its cost for one run; several sources may add to it.

    Args:
        price_per_minute: Price of a minute of sent audio, replays and padding included; None if unknown.
        currency: Currency of the price.
        limit: Cost at which capture ends; None for no limit.
    """

    def __init__(
        self, price_per_minute: float | None = None, currency: str = "USD", limit: float | None = None
    ) -> None:
        self.seconds = 0.0
        """Seconds of audio that all sources have sent."""
        self._price = price_per_minute
        self._currency = currency
        self._limit = limit

    @property
    def room_s(self) -> float:
        """Seconds of audio that may still be sent; ``inf`` without a limit or a price."""
        if self._limit is None or not self._price:
            return math.inf
        return self._limit / self._price * 60 - self.seconds

    def cost(self, seconds: float) -> Cost | None:
        """Return the cost of ``seconds`` of audio; None without a price."""
        return None if self._price is None else Cost(round(self._price * seconds / 60, 6), self._currency)


def bill_of(settings: Settings) -> Bill:
    """Return an empty bill with the price and the limit of the settings."""
    return Bill(settings.endpoint.price_per_minute, settings.endpoint.currency, settings.delivery.max_cost)


class Meter:
    """Counts the samples that one source sends on all its connections.

    Args:
        rate_hz: Sample rate of the audio.
        bill: Bill of the run; the meter adds to it.
    """

    def __init__(self, rate_hz: int, bill: Bill) -> None:
        self.sent = 0
        """Samples sent, replays and padding included."""
        self._rate_hz = rate_hz
        self._bill = bill

    def add(self, samples: int) -> None:
        """Count ``samples`` more as sent."""
        self.sent += samples
        self._bill.seconds += samples / self._rate_hz

    @property
    def room(self) -> float:
        """Samples that may still be sent; ``inf`` without a limit or a price."""
        return self._bill.room_s * self._rate_hz

    @property
    def cost(self) -> Cost | None:
        """Cost of the samples that this source has sent; None without a price."""
        return self._bill.cost(self.sent / self._rate_hz)
