"""Whether and when to reconnect after the failure or the end of a connection. Pure; randomness is an argument."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from rt_cli.errors import UnreachableError
from rt_cli.protocol.error_policy import FULL_CODES

if TYPE_CHECKING:
    from collections.abc import Callable

    from rt_cli.errors import RtError

FIRST_DELAY_S = 0.25
LONGEST_DELAY_S = 8.0
_MOST_DOUBLINGS = 10
LONGEST_WAIT_FOR_ROOM_S = 60.0
"""Whatever Retry-After asks for: a session of this run may end earlier and make room."""
WAITING_DELAY_S = 2.0
"""Longest delay while another session of this run is about to end and to make room."""
MAX_WITHOUT_PROGRESS = 3
"""Consecutive connections that the endpoint may end without progress before the run gives up."""
_LOCAL_ENDS = frozenset({"dead", "no_session", "no_progress", "endpoint_makes_turns"})
"""Codes of connections that this side ended because the endpoint was silent."""


class Attempt(Struct, frozen=True):
    """How one connection ended."""

    error: RtError
    now: float
    """Seconds."""
    opened: bool
    """The handshake had succeeded: the endpoint, not the network, ended the connection."""
    ready: bool
    """The endpoint had accepted the session configuration."""
    progressed: bool
    """The settled mark or the furthest acknowledged mark moved during the connection."""


class Backoff:
    """Decides about the retries of one run.

    Before the endpoint was ready once, all retries stay within ``connect_timeout_s``: a wrong address must fail soon.
    After that each outage has ``retry_for_s``, and progress restarts that time. Delays double from 0.25 s to 8 s with
    full jitter; a Retry-After of the endpoint is the minimum.

    Args:
        connect_timeout_s: Time for all tries until the endpoint is ready for the first time.
        retry_for_s: Time for one outage.
        began: Time of the first try, seconds.
        jitter: Returns a random number in [0, 1).
        wait_for_room: Called if the endpoint is full before it was ready for the first time. True: that try does not
            count.
    """

    def __init__(
        self,
        *,
        connect_timeout_s: float,
        retry_for_s: float,
        began: float,
        jitter: Callable[[], float],
        wait_for_room: Callable[[], bool] = lambda: False,
    ) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._retry_for_s = retry_for_s
        self._jitter = jitter
        self._wait_for_room = wait_for_room
        self._outage_since = began
        self._ever_ready = False
        self._tries = 0
        self._without_progress = 0
        self._too_big = 0

    def after(self, attempt: Attempt) -> float | None:
        """Return the seconds until the next connection; None to give up with the error of the attempt."""
        error = attempt.error
        if attempt.progressed or (attempt.ready and not self._ever_ready):
            self._outage_since, self._tries, self._without_progress = attempt.now, 0, 0
        self._ever_ready = self._ever_ready or attempt.ready
        if not self._ever_ready and _is_full(error) and self._is_retryable(error) and self._wait_for_room():
            self._outage_since = attempt.now
            return min(self._delay(error, WAITING_DELAY_S), LONGEST_WAIT_FOR_ROOM_S)
        if attempt.opened and not attempt.progressed and not _is_outage(error):
            self._without_progress += 1
        if not self._is_retryable(error) or self._without_progress >= MAX_WITHOUT_PROGRESS:
            return None
        delay = self._delay(error, LONGEST_DELAY_S)
        return delay if attempt.now + delay - self._outage_since < self._budget_s else None

    def handed_over(self, now: float) -> None:
        """Note that a connection served until another one took over: what fails from now on is a new outage."""
        self._ever_ready, self._outage_since, self._tries = True, now, 0

    def left_s(self, now: float) -> float:
        """Return the seconds until the run gives up, if no connection makes progress before."""
        return max(0.0, self._outage_since + self._budget_s - now)

    def _delay(self, error: RtError, longest_s: float) -> float:
        delay: float = self._jitter() * min(FIRST_DELAY_S * 2 ** min(self._tries, _MOST_DOUBLINGS), longest_s)
        self._tries += 1
        retry_after_s = error.retry_after_s if isinstance(error, UnreachableError) else None
        return max(delay, retry_after_s or 0.0)

    def _is_retryable(self, error: RtError) -> bool:
        """Whether another connection may succeed."""
        if isinstance(error, UnreachableError):
            return not error.final
        if error.code == "message_too_big":
            # One message may be a mishap of the endpoint; the same on the next connection is its way.
            self._too_big += 1
            return self._ever_ready and self._too_big == 1
        # An endpoint that was ready before speaks the protocol: its silence is an outage.
        return self._ever_ready and error.code == "no_session"

    @property
    def _budget_s(self) -> float:
        return self._retry_for_s if self._ever_ready else self._connect_timeout_s


def _is_full(error: RtError) -> bool:
    """Whether the endpoint has no room at the moment."""
    has_retry_after = isinstance(error, UnreachableError) and error.retry_after_s is not None
    return has_retry_after or error.code in FULL_CODES


def _is_outage(error: RtError) -> bool:
    """Whether the end counts as an outage: this side ended the connection, or the endpoint sent a Retry-After.

    A full endpoint perhaps still counts the session that was lost.
    """
    retry_after_s = error.retry_after_s if isinstance(error, UnreachableError) else None
    return error.code in _LOCAL_ENDS or retry_after_s is not None
