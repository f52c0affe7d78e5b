"""The outcome of a run: complete or not, exit code, and the one error to report. Pure."""

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
    """Facts about a run after all its tasks have ended."""

    name: str
    """Name of the source."""
    rate_hz: int
    ledger: Ledger
    suspended: int
    """Samples lost while the machine was suspended; they do not make a run incomplete."""
    errors: tuple[RtError, ...]
    """Errors in order of time."""
    signals: int = 0
    """Number of stop signals (Ctrl-C, SIGTERM)."""
    signal_exit: int = EXIT_OK
    """Exit code of the signal: 130 or 143."""
    truncated: bool = False
    """A finite source was not read to its end."""
    cost_limit_hit: bool = False
    """A finite source was not read to its end because of the cost limit."""
    stdout_closed: bool = False
    """The reader closed stdout (EPIPE), and no signal came before. Not an error: exit 0."""
    unwritten: int = 0
    """Finals with words that nobody reads."""
    may_be_silent: bool = False
    """No audio at all is no error: the user of a conversation may type."""

    @property
    def causes(self) -> tuple[RtError, ...]:
        """All errors. A ledger that does not balance and a source without audio count as errors, too."""
        if not self.ledger.balanced:
            return (*self.errors, RtError(f"the ledger does not balance: {self.ledger}", "please report this"))
        explained = self.signals or self.stdout_closed or self.cost_limit_hit or self.may_be_silent
        if not (self.errors or self.ledger.captured or explained):
            return (AudioError(f"no audio in {self.name}", "check the source", code="empty"),)
        return self.errors

    @property
    def delivered(self) -> bool:
        """Whether all captured audio is settled: in a final, or known to need none."""
        return not self.causes and self.ledger.settled + self.suspended == self.ledger.captured

    @property
    def exit_code(self) -> int:
        """The worst of the exit codes that apply."""
        if self.stdout_closed and not (self.signals and self.unwritten):
            return EXIT_OK
        codes = [error.exit_code for error in self.causes]
        if self.signals and (self.truncated or self.signals > 1):
            codes.append(self.signal_exit)
        if self.cost_limit_hit or not self.delivered or (self.signals and self.unwritten):
            codes.append(EXIT_INCOMPLETE)
        return worst_exit(codes)

    @property
    def complete(self) -> bool:
        """Whether the source was read to its end and delivered to its last sample."""
        return self.delivered and self.exit_code == EXIT_OK

    @property
    def error(self) -> RtError | None:
        """The one error to report: the cause of the exit code."""
        cause = min(self.causes, key=lambda each: each.exit_code != self.exit_code, default=None)
        if cause is None and self.cost_limit_hit:
            message = f"the cost limit is reached: the rest of {self.name} was not sent"
            return RtError(message, "raise --max-cost", code="max_cost")
        if cause is None and self.exit_code == EXIT_INCOMPLETE and self.delivered:
            count = f"{self.unwritten} final" if self.unwritten == 1 else f"{self.unwritten} finals"
            return RtError(f"{count} could not be written to stdout", "the words are above", code="unwritten")
        if cause is None and self.exit_code == EXIT_INCOMPLETE:
            missing_ms = to_ms(self.ledger.captured - self.ledger.settled - self.suspended, self.rate_hz)
            return RtError(f"{missing_ms / 1000:.1f} s of audio are in no final", "see the summary", code="incomplete")
        return cause


def percentiles(values_ms: list[int]) -> Latency | None:
    """Return median, 95th percentile (nearest rank) and maximum; None for an empty list."""
    if not values_ms:
        return None
    ordered = sorted(values_ms)

    def at(share: float) -> int:
        return ordered[math.ceil(share * len(ordered)) - 1]

    return Latency(p50=at(0.5), p95=at(0.95), max=ordered[-1])
