"""The error of a server that cannot listen. Pure."""

from __future__ import annotations

import errno

from rt_cli.errors import UsageError


def cannot_listen(host: str, port: int, exc: OSError | OverflowError) -> UsageError:
    """Return the error for an address that cannot be bound.

    Args:
        host: The address.
        port: The port.
        exc: The error of the system; OverflowError for a number that is no port.
    """
    if isinstance(exc, OSError) and exc.errno == errno.EADDRINUSE:
        return UsageError(
            f"port {port} is taken (another rt serve?)", "--port 0 takes any free one", code="port_in_use"
        )
    reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
    hint = "choose another with --port, or --port 0 for any free one"
    return UsageError(f"cannot listen on {host} port {port}: {reason}", hint, code="port_in_use")
