"""Whether and when to try again after a connection failed or ended. Pure but for the dice, which are passed in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from rt_cli.errors import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.errors import RtError

FIRST_DELAY_S = 0.25
LONGEST_DELAY_S = 8.0
WAITING_DELAY_S = 2.0
"""While a session of ours is about to make room."""
MOST_FRUITLESS = 3
"""Connections in a row that the endpoint ended without any progress."""
_OUR_VERDICTS = frozenset({"dead", "no_session"})
"""It was we who ended the connection, for its silence."""
_FULL = frozenset({"rate_limited", "rate_limit_exceeded", "session_limit_reached", "overloaded", "no_room"})
"""What a refusal for want of room is called."""


class Attempt(Struct, frozen=True):
    """How one connection ended."""

    error: RtError
    now: float
    """Seconds."""
    opened: bool
    """The handshake had succeeded: the endpoint, not the network, ended it."""
    ready: bool
    """It was configured."""
    progressed: bool
    """The settled mark, or the furthest acknowledged one, moved during it."""


class Backoff:
    """The patience of one run.

    Until an endpoint has been ready once, retries stay inside ``connect_timeout_s``: a wrong address should not take
    minutes to be found. From then on each outage has ``retry_for_s``, counted anew whenever there was progress. Delays
    double from 0.25 s to 8 s with full jitter; what the endpoint asks for is waited at least.

    Args:
        connect_timeout_s: For the first readiness, all tries together.
        retry_for_s: For one outage.
        began: Seconds, when the run began to connect.
        dice: A number in [0, 1).
        wait_for_room: Whether to be refused for want of room, before the first readiness, costs no patience.
    """

    def __init__(
        self,
        *,
        connect_timeout_s: float,
        retry_for_s: float,
        began: float,
        dice: Callable[[], float],
        wait_for_room: Callable[[], bool] = lambda: False,
    ) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._retry_for_s = retry_for_s
        self._dice = dice
        self._wait_for_room = wait_for_room
        self._outage_since = began
        self._ever_ready = False
        self._tries = 0
        self._fruitless = 0

    def after(self, attempt: Attempt) -> float | None:
        """Seconds to wait before the next connection; None to give up with the attempt's error."""
        error = attempt.error
        if attempt.progressed or (attempt.ready and not self._ever_ready):
            self._outage_since, self._tries, self._fruitless = attempt.now, 0, 0
        self._ever_ready = self._ever_ready or attempt.ready
        if not self._ever_ready and _is_full(error) and self._may_help(error) and self._wait_for_room():
            self._outage_since = attempt.now
            return self._delay(error, WAITING_DELAY_S)
        if attempt.opened and not attempt.progressed and not _asks_for_patience(error):
            self._fruitless += 1
        if not self._may_help(error) or self._fruitless >= MOST_FRUITLESS:
            return None
        delay = self._delay(error, LONGEST_DELAY_S)
        return delay if attempt.now + delay - self._outage_since < self._budget_s else None

    def _delay(self, error: RtError, longest_s: float) -> float:
        delay: float = self._dice() * min(FIRST_DELAY_S * 2**self._tries, longest_s)
        self._tries += 1
        asked = error.retry_after_s if isinstance(error, UnreachableError) else None
        return max(delay, asked or 0.0)

    def _may_help(self, error: RtError) -> bool:
        """Whether another connection may fare better."""
        if isinstance(error, UnreachableError):
            return not error.final
        # What has been ready before is an endpoint, and its silence now an outage.
        return self._ever_ready and error.code == "no_session"

    @property
    def _budget_s(self) -> float:
        return self._retry_for_s if self._ever_ready else self._connect_timeout_s


def _is_full(error: RtError) -> bool:
    """Whether the endpoint has too much to do at the moment."""
    asked = isinstance(error, UnreachableError) and error.retry_after_s is not None
    return asked or error.code in _FULL


def _asks_for_patience(error: RtError) -> bool:
    """Whether it was our verdict, or the endpoint has no room now: perhaps it still counts the session that we lost."""
    asked = error.retry_after_s if isinstance(error, UnreachableError) else None
    return error.code in _OUR_VERDICTS or asked is not None
