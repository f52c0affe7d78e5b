"""How much sound was sent, what it costs, and how much more may be. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rt_cli.events import Cost

if TYPE_CHECKING:
    from rt_cli.settings import Settings


class Bill:
    """Of one run; several sources may add to it.

    Args:
        price_per_minute: Of sound that is sent, again or as silence, too; None where nobody knows it.
        currency: Of the price.
        limit: Cost at which no more is to be captured.
    """

    def __init__(
        self, price_per_minute: float | None = None, currency: str = "USD", limit: float | None = None
    ) -> None:
        self.seconds = 0.0
        """Sent by all sources."""
        self._price = price_per_minute
        self._currency = currency
        self._limit = limit

    @property
    def room_s(self) -> float:
        """Seconds of sound that may still be sent."""
        if self._limit is None or not self._price:
            return math.inf
        return self._limit / self._price * 60 - self.seconds

    def cost(self, seconds: float) -> Cost | None:
        """Of so much sound; None without a price."""
        return None if self._price is None else Cost(round(self._price * seconds / 60, 6), self._currency)


def bill_of(settings: Settings) -> Bill:
    """An empty bill at the price that is configured."""
    return Bill(settings.endpoint.price_per_minute, settings.endpoint.currency, settings.delivery.max_cost)


class Meter:
    """Counts what one source sends, on all its connections.

    Args:
        rate_hz: Of the sound.
        bill: To add it to.
    """

    def __init__(self, rate_hz: int, bill: Bill) -> None:
        self.sent = 0
        """Samples."""
        self._rate_hz = rate_hz
        self._bill = bill

    def add(self, samples: int) -> None:
        """So many more are sent."""
        self.sent += samples
        self._bill.seconds += samples / self._rate_hz

    @property
    def room(self) -> float:
        """Samples that may still be sent."""
        return self._bill.room_s * self._rate_hz

    @property
    def cost(self) -> Cost | None:
        """Of what this source has sent."""
        return self._bill.cost(self.sent / self._rate_hz)
