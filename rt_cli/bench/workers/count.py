"""How many processes a bench uses."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rt_cli.errors import UsageError

if TYPE_CHECKING:
    from rt_cli.protocol.endpoint.endpoint import Endpoint

_LOOKUP_S = 2.0


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker_count(
    asked: int | None, *, cores: int, endpoint_here: bool, sessions: int, cost_limited: bool = False
) -> int:
    """Return the number of processes; 1 is this one alone.

    Args:
        asked: Value of ``--workers``.
        cores: Cores of this machine.
        endpoint_here: Whether the endpoint needs one of them.
        sessions: The most parallel sessions.
        cost_limited: Whether all sessions share a limit on their cost, which one process keeps.

    Raises:
        UsageError: Several processes, and a limit on the cost.
    """
    if cost_limited:
        if (asked or 1) > 1:
            raise UsageError("--max-cost is kept by one process", "leave out --workers or --max-cost")
        return 1
    return max(1, min(asked or cores - endpoint_here, sessions))


async def choose_count(asked: int | None, endpoint: Endpoint, sessions: int, *, cost_limited: bool) -> int:
    """Return the number of processes on this machine, as :func:`worker_count` does."""
    here = endpoint.loopback or await is_here(endpoint.url)
    return worker_count(asked, cores=usable_cores(), endpoint_here=here, sessions=sessions, cost_limited=cost_limited)


async def is_here(url: str) -> bool:
    """Return whether the host of a URL is this machine; False if its name has no address within two seconds."""
    try:
        async with asyncio.timeout(_LOOKUP_S):
            found = await asyncio.get_running_loop().getaddrinfo(urlsplit(url).hostname, 0, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError, TimeoutError):
        return False
    return any(_is_own(family, address) for family, _, _, _, address in found)


def _is_own(family: int, address: tuple[object, ...]) -> bool:
    """Return whether an address is one of this machine: only those can be bound."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind(address)
    except OSError:
        return False
    return True
