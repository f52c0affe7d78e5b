"""Every error that ``rt`` raises on purpose.

::

    RtError                     1   unexpected; a bug if it reaches the user
    ├── UsageError              2   option, config file, profile, device choice, output path
    ├── AudioError              3   source unreadable, empty, no such device, device lost
    ├── RefusedError            4   authentication, permission, quota
    ├── UnreachableError        5   refused, DNS, TLS, timeout, 5xx
    │   └── ConnectionLost      5   an established connection ended
    └── EndpointError           6   not a usable endpoint: 404, configuration rejected, protocol broken
    SenderBusy                      the caller asked to fail rather than wait (not an RtError: a caller's choice)

The number is the exit code. Incomplete (7) and interrupted (130, 143) are not errors but states of a run.
:func:`worst_exit` defines the order of all exit codes.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

EXIT_OK = 0
EXIT_INCOMPLETE = 7
EXIT_UNEXPECTED = 8
"""An expectation of ``rt talk`` failed, ``rt say`` said something else, or ``rt bench --talk`` passed a limit."""
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143

# If several exit codes apply, the first in this list wins: a cause precedes its consequences.
_SEVERITY = (1, 2, 4, 3, 6, 5, EXIT_INTERRUPTED, EXIT_TERMINATED, EXIT_INCOMPLETE, EXIT_UNEXPECTED, EXIT_OK)


class RtError(Exception):
    """An error that one line can explain.

    Args:
        message: What happened, without a trailing full stop.
        hint: What to do about it.
        code: A stable identifier for scripts, ``snake_case``.
    """

    exit_code = 1
    default_code = "internal"

    def __init__(self, message: str, hint: str | None = None, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code or self.default_code

    def __str__(self) -> str:
        return f"{self.message}: {self.hint}" if self.hint else self.message


class UsageError(RtError):
    """A wrong option, config value, profile, device choice or output path."""

    exit_code = 2
    default_code = "usage"


class AudioError(RtError):
    """The audio input cannot be read: missing, corrupt, empty, no such device, device lost."""

    exit_code = 3
    default_code = "audio_input"


class RefusedError(RtError):
    """The endpoint refuses access: key, permission, quota."""

    exit_code = 4
    default_code = "refused"


class UnreachableError(RtError):
    """The endpoint cannot be reached: refused, DNS, TLS, timeout, 5xx.

    Args:
        message: What happened.
        hint: What to do about it.
        final: True if a retry cannot help, for example with a bad certificate.
        retry_after_s: Seconds that the endpoint asks to wait before a retry.
        code: See :class:`RtError`.
    """

    exit_code = 5
    default_code = "unreachable"

    def __init__(
        self,
        message: str,
        hint: str | None = None,
        *,
        final: bool = False,
        retry_after_s: float | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message, hint, code=code)
        self.final = final
        self.retry_after_s = retry_after_s


class ConnectionLost(UnreachableError):
    """The endpoint or the network ended an established connection."""

    default_code = "connection_lost"


class EndpointError(RtError):
    """The server is not a usable realtime endpoint, or it rejects the configuration."""

    exit_code = 6
    default_code = "endpoint"


class SenderBusy(Exception):
    """Another stream of audio is being sent, and the caller does not want to wait."""


def unexpected(exc: BaseException) -> RtError:
    """Convert a bug (or the first of an exception group) to a one-line error. ``RT_DEBUG`` prints a traceback."""
    from rt_cli.masking import masked

    if os.environ.get("RT_DEBUG") and sys.stderr is not None:
        import traceback

        print(masked("".join(traceback.format_exception(exc))), file=sys.stderr)  # noqa: T201 - for developers
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    return RtError(
        masked(f"unexpected {type(exc).__name__}: {exc}"), "please report this; -v or RT_DEBUG=1 shows where"
    )


def worst_exit(codes: list[int]) -> int:
    """Return the exit code of a run whose parts ended with ``codes``; 0 without parts."""
    return min(codes, key=_SEVERITY.index, default=EXIT_OK)


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Return a hint for a misspelt name, or None if no known name is similar."""
    # Import here: only errors need it.
    from difflib import get_close_matches

    close = get_close_matches(name, sorted(known), n=1)
    return f"did you mean {close[0]}?" if close else None
