"""How a run ended: complete or not, with which exit code, and which one error is told. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct

from rt_cli.audio.format import to_ms
from rt_cli.errors import EXIT_INCOMPLETE, EXIT_OK, AudioError, RtError, worst_exit
from rt_cli.events import Latency

if TYPE_CHECKING:
    from rt_cli.events import Ledger


class RunOutcome(Struct, frozen=True):
    """What is known when everything has stopped."""

    name: str
    """Of the source."""
    rate_hz: int
    ledger: Ledger
    suspended: int
    """Samples that are dropped because the machine slept: nobody's fault."""
    errors: tuple[RtError, ...]
    """In the order they came."""
    signals: int = 0
    """How often it was told to stop."""
    signal_exit: int = EXIT_OK
    """130 or 143."""
    truncated: bool = False
    """A source that has an end did not come to it."""
    cost_limit_hit: bool = False
    """A source that has an end did not come to it, as that would have cost too much."""
    stdout_closed: bool = False
    """Nobody reads what is printed: the quiet end that was wanted."""

    @property
    def causes(self) -> tuple[RtError, ...]:
        """What went wrong; an account that does not balance, or has nothing in it, is such a thing, too."""
        if not self.ledger.balanced:
            return (*self.errors, RtError(f"the ledger does not balance: {self.ledger}", "please report this"))
        if not (self.errors or self.ledger.captured or self.signals or self.stdout_closed or self.cost_limit_hit):
            return (AudioError(f"no audio in {self.name}", "check the source", code="empty"),)
        return self.errors

    @property
    def delivered(self) -> bool:
        """Whether all that was captured is in finals, or known to hold none."""
        return not self.causes and self.ledger.settled + self.suspended == self.ledger.captured

    @property
    def exit_code(self) -> int:
        """The worst of what applies."""
        if self.stdout_closed:
            return EXIT_OK
        codes = [error.exit_code for error in self.causes]
        if self.signals and (self.truncated or self.signals > 1):
            codes.append(self.signal_exit)
        if self.cost_limit_hit or not self.delivered:
            codes.append(EXIT_INCOMPLETE)
        return worst_exit(codes)

    @property
    def complete(self) -> bool:
        """Delivered to the last sample, and the source was heard to its end."""
        return self.delivered and self.exit_code == EXIT_OK

    @property
    def error(self) -> RtError | None:
        """The one error to tell: the one that gives the exit code."""
        told = min(self.causes, key=lambda each: each.exit_code != self.exit_code, default=None)
        if told is None and self.cost_limit_hit:
            said = f"the cost limit is reached: the rest of {self.name} was not sent"
            return RtError(said, "raise --max-cost", code="max_cost")
        if told is None and self.exit_code == EXIT_INCOMPLETE:
            missing_ms = to_ms(self.ledger.captured - self.ledger.settled - self.suspended, self.rate_hz)
            return RtError(f"{missing_ms / 1000:.1f} s of audio are in no final", "see the summary", code="incomplete")
        return told


def percentiles(values_ms: list[int]) -> Latency | None:
    """Median, 95th percentile (nearest rank) and maximum; None of nothing."""
    if not values_ms:
        return None
    ordered = sorted(values_ms)

    def at(share: float) -> int:
        return ordered[math.ceil(share * len(ordered)) - 1]

    return Latency(p50=at(0.5), p95=at(0.95), max=ordered[-1])
